//! Lanes that are empty, and what stands on them then.

use super::*;

const W: usize = 640;
const H: usize = 360;
const NOWHERE: Part = [0.0; 4];

/// A lane of asphalt, a wall and a striped arm, under this light, with noise of its own in every frame.
fn lane(light: f32, noise: i32, n: u32) -> Picture {
    let mut picture = Picture::filled(W, H, [0; 3]);
    let mut state = n.wrapping_mul(2_654_435_761).wrapping_add(1);
    for (i, pixel) in picture.bgr.chunks_exact_mut(3).enumerate() {
        let (x, y) = (i % W, i / W);
        let ground = match () {
            () if (200..212).contains(&y) => [60.0, 230.0][x / 40 % 2],
            () if x < 120 => 140.0,
            () => 90.0 + 20.0 * (x as f32 * 0.05).sin() * (y as f32 * 0.04).cos(),
        };
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let grain = (state >> 16) as i32 % (2 * noise + 1) - noise;
        pixel.fill((ground * light + grain as f32).clamp(0.0, 255.0) as u8);
    }
    picture
}

fn put(picture: &mut Picture, [left, top, width, height]: [usize; 4], grey: u8) {
    for y in top..top + height {
        for x in left..left + width {
            picture.bgr[(y * W + x) * 3..][..3].fill(grey);
        }
    }
}

/// A lane that was looked at so often.
fn seen(looks: u32, frame: impl Fn(u32) -> Picture) -> (EmptyLane, Instant) {
    let (mut empty, mut at) = (EmptyLane::default(), Instant::now());
    for n in 0..looks {
        at += EVERY;
        empty.look(&frame(n), at);
    }
    (empty, at)
}

/// The share of these places at which something else than the lane is seen, of those where that can be told; none if nowhere.
fn hidden(empty: &EmptyLane, picture: &Picture, [left, top, width, height]: [usize; 4]) -> Option<f32> {
    let light = empty.light(picture, NOWHERE);
    let mut told = [0u32; 2];
    for y in (top..top + height).step_by(6) {
        for x in (left..left + width).step_by(6) {
            // The mean of nine pixels, as around a plate.
            let square = (0..9).map(|i| f32::from(picture.bgr[((y + i / 3) * W + x + i % 3) * 3 + 1])).sum::<f32>();
            if let Some(is) = empty.is_hidden(x as f32, y as f32, [square / 9.0; 3], light) {
                told[usize::from(is)] += 1;
            }
        }
    }
    let all = told[0] + told[1];
    (all > 0).then(|| told[1] as f32 / all as f32)
}

const MIDDLE: [usize; 4] = [200, 100, 300, 200];

#[test]
fn the_lane_is_known_again_in_another_light_and_what_stands_there_is_not_the_lane() {
    for noise in [0, 3, 8] {
        let (empty, _) = seen(12, |n| lane(1.0, noise, n));
        for light in [0.5, 0.8, 1.0, 1.2] {
            let mut frame = lane(light, noise, 99);
            assert!(empty.is_known(&frame));
            let share = hidden(&empty, &frame, MIDDLE).unwrap();
            assert!(share < 0.02, "noise {noise}, light {light}: {share}");
            put(&mut frame, MIDDLE, (180.0 * light) as u8);
            let share = hidden(&empty, &frame, MIDDLE).unwrap();
            assert!(share > 0.9, "noise {noise}, light {light}: {share}");
        }
    }
}

#[test]
fn an_edge_of_the_lane_may_tremble() {
    let (empty, _) = seen(12, |n| lane(1.0, 1, n));
    // The arm is seen one pixel lower.
    let frame = lane(1.0, 1, 99);
    let mut lower = frame.clone();
    lower.bgr[W * 3..].copy_from_slice(&frame.bgr[..(H - 1) * W * 3]);
    let share = hidden(&empty, &lower, [200, 190, 300, 40]).unwrap();
    assert!(share < 0.05, "{share}");
}

#[test]
fn nothing_is_known_of_a_lane_that_was_not_seen_for_long_or_in_another_size() {
    let (empty, _) = seen(LEARNING - 1, |n| lane(1.0, 1, n));
    assert!(!empty.is_known(&lane(1.0, 1, 9)));
    let (mut empty, at) = seen(LEARNING, |n| lane(1.0, 1, n));
    assert!(empty.is_known(&lane(1.0, 1, 9)) && !empty.is_known(&Picture::filled(320, 180, [90; 3])));
    for size in [[320, 180], [1, 1], [0, 0], [239, 3]] {
        empty.look(&Picture::filled(size[0], size[1], [90; 3]), at + EVERY);
        assert!(!empty.is_known(&lane(1.0, 1, 9)));
    }
    // Looks that follow each other closely are one.
    let (mut empty, start) = (EmptyLane::default(), Instant::now());
    (0..25).for_each(|n| empty.look(&lane(1.0, 1, n), start + Duration::from_millis(40) * n));
    assert!(!empty.is_known(&lane(1.0, 1, 9)));
}

#[test]
fn what_moves_is_not_learnt_and_what_stays_is() {
    let (mut empty, mut at) = seen(12, |n| lane(1.0, 2, n));
    let there = |x: usize| {
        let mut frame = lane(1.0, 2, x as u32);
        put(&mut frame, [x, 100, 160, 150], 200);
        frame
    };
    for n in 0..20 {
        at += EVERY;
        empty.look(&there(20 * n), at);
    }
    let share = hidden(&empty, &lane(1.0, 2, 99), MIDDLE).unwrap();
    assert!(share < 0.02, "something passed: {share}");
    for _ in 0..PATIENCE + 60 {
        at += EVERY;
        empty.look(&there(250), at);
    }
    let share = hidden(&empty, &there(250), MIDDLE).unwrap();
    assert!(share < 0.05, "a container was put there: {share}");
}

#[test]
fn two_darknesses_are_not_told_apart() {
    let (empty, _) = seen(12, |n| lane(0.1, 1, n));
    let mut frame = lane(0.1, 1, 99);
    put(&mut frame, MIDDLE, 3);
    assert_eq!(hidden(&empty, &frame, [220, 110, 250, 80]), None);
    put(&mut frame, MIDDLE, 90);
    assert_eq!(hidden(&empty, &frame, [220, 110, 250, 80]), Some(1.0));
}
