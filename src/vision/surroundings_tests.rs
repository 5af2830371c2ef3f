//! Cars, sheets and telephones before a lane, with and without an arm across the picture.

use super::*;

/// A picture with a pattern of its own for every `seed`, sampled so that it can be scaled and shifted.
fn pattern(seed: f32, x: f32, y: f32) -> u8 {
    let wave = |f: f32, p: f32| ((x * f + p * seed).sin() + (y * f * 1.3 + seed).cos()) * 30.0;
    (120.0 + wave(0.05, 1.0) + wave(0.11, 2.0) + wave(0.23, 3.0)).clamp(0.0, 255.0) as u8
}

/// A lane on which a body `reach` plate widths wide lies around the plate.
fn frame(at: Place, reach: f32) -> (Picture, Quad) {
    let mut picture = Picture::filled(640, 360, [0, 0, 0]);
    for (i, pixel) in picture.bgr.chunks_exact_mut(3).enumerate() {
        let (x, y) = ((i % 640) as f32, (i / 640) as f32);
        let (u, v) = ((x - at.x) / at.width, (y - at.y) / at.width);
        let on_body = u.abs() < reach && v.abs() < reach;
        pixel.fill(if on_body { pattern(7.0, u * 100.0, v * 100.0) } else { pattern(1.0, x, y) });
    }
    let (w, h) = (at.width / 2.0, at.width / 6.0);
    let quad = Quad([[-w, -h], [w, -h], [w, h], [-w, h]].map(|[x, y]| [at.x + x, at.y + y]));
    (picture, quad)
}

fn scores(reach: f32, path: impl Fn(f32) -> Place) -> [Option<f32>; BANDS] {
    let mut around = Surroundings::default();
    for n in 0..8 {
        let (picture, quad) = frame(path(n as f32), reach);
        around.look(&picture, &quad, &EmptyLane::default());
    }
    around.scores()
}

#[test]
fn a_body_comes_along_and_a_lane_stays_behind() {
    let coming = |n: f32| Place { x: 320.0 + n, y: 150.0 + 5.0 * n, width: 50.0 + 4.0 * n };
    let (car, sheet) = (scores(9.0, coming), scores(0.65, coming));
    let of_sheet = [sheet[LEFT], sheet[RIGHT]];
    assert!(car.iter().all(|s| s.unwrap() > 1.0) && of_sheet.iter().all(|s| s.unwrap() < -1.0), "{car:?} {sheet:?}");
    let shaking = |n: f32| Place { x: 320.0 + 14.0 * (n % 2.0), y: 170.0, width: 70.0 };
    let shaken = scores(0.65, shaking);
    assert!(shaken[LEFT].unwrap() < -1.0 && shaken[RIGHT].unwrap() < -1.0, "{shaken:?}");
}

#[test]
fn the_lane_stays_at_the_sides_of_somebody_who_carries_a_sheet() {
    let coming = |n: f32| Place { x: 320.0 + n, y: 150.0 + 5.0 * n, width: 50.0 + 4.0 * n };
    let [left, right, above] = scores(0.95, coming);
    assert!(left.unwrap() < -0.5 && right.unwrap() < -0.5 && above.unwrap() > 0.5, "{left:?} {right:?} {above:?}");
}

#[test]
fn what_does_not_move_or_cannot_be_seen_tells_nothing() {
    assert_eq!(scores(9.0, |_| Place { x: 320.0, y: 170.0, width: 70.0 }), [None; BANDS]);
    let mut around = Surroundings::default();
    for n in 0..4 {
        let (_, quad) = frame(Place { x: 320.0, y: 150.0 + 20.0 * n as f32, width: 60.0 }, 1.0);
        around.look(&Picture::filled(640, 360, [9, 9, 9]), &quad, &EmptyLane::default());
        around.look(&Picture::filled(64, 36, [9, 9, 9]), &quad, &EmptyLane::default());
    }
    assert_eq!(around.scores(), [None; BANDS]);
}

/// The lane of [`frame`] while nobody is there, behind an arm or not.
fn empty(arm: bool) -> EmptyLane {
    let mut lane = EmptyLane::default();
    let start = std::time::Instant::now();
    for n in 0..8 {
        let (mut picture, _) = frame(Place { x: -900.0, y: -900.0, width: 50.0 }, 1.0);
        if arm {
            bar(&mut picture);
        }
        lane.look(&picture, start + n * std::time::Duration::from_secs(1));
    }
    lane
}

/// A striped arm that crosses the picture before everything.
fn bar(picture: &mut Picture) {
    for y in 160..190 {
        for x in 0..picture.width {
            picture.bgr[(y * picture.width + x) * 3..][..3].fill([30, 240][x / 45 % 2]);
        }
    }
}

/// What is seen of a plate with a body of this reach that comes along this way.
fn seen(reach: f32, arm: bool, lane: &EmptyLane) -> Surroundings {
    let mut around = Surroundings::default();
    for n in 0..8 {
        let n = n as f32;
        let (mut picture, quad) = frame(Place { x: 320.0 + n, y: 150.0 + 5.0 * n, width: 50.0 + 4.0 * n }, reach);
        if arm {
            bar(&mut picture);
        }
        around.look(&picture, &quad, lane);
    }
    around
}

#[test]
fn an_arm_before_a_car_says_nothing_once_the_lane_was_seen_empty() {
    let sides = |around: &Surroundings| around.scores()[LEFT].unwrap_or(0.0) + around.scores()[RIGHT].unwrap_or(0.0);
    let unknown = seen(9.0, true, &EmptyLane::default());
    assert!(sides(&unknown) < 0.0, "the arm stays: {:?}", unknown.scores());
    assert_eq!(unknown.covers(), [None; BANDS]);
    let known = seen(9.0, true, &empty(true));
    assert!(sides(&known) > 1.0, "{:?}", known.scores());
    let [left, right, _] = known.covers();
    assert!(left.unwrap() > 0.6 && right.unwrap() > 0.6, "{:?}", known.covers());
}

#[test]
fn a_sheet_hides_little_of_the_lane_beside_it() {
    for (reach, most) in [(0.65, 0.05), (0.95, 0.35)] {
        for arm in [false, true] {
            let [left, right, _] = seen(reach, arm, &empty(arm)).covers();
            assert!(left.unwrap() < most && right.unwrap() < most, "{reach}, {arm}: {left:?} {right:?}");
        }
    }
    let [left, right, above] = seen(9.0, false, &empty(false)).covers();
    assert!([left, right, above].iter().all(|share| share.unwrap() > 0.75), "{left:?} {right:?} {above:?}");
}
