//! Lanes that stand still, and what must wake the lookout.

use proptest::prelude::*;

use super::*;
use crate::camera::rendered::{Arrival, Scene};
use crate::plate::Colour;

const W: usize = 640;
const H: usize = 360;
const TICK: Duration = Duration::from_millis(40);

/// A lane of bushes and asphalt under this light, with sensor noise of up to `noise` grey levels either way.
struct Lane {
    light: f32,
    noise: i32,
    state: u32,
}

impl Lane {
    fn frame(&mut self) -> Picture {
        let mut picture = Picture::filled(W, H, [0; 3]);
        for (i, pixel) in picture.bgr.chunks_exact_mut(3).enumerate() {
            let (x, y) = ((i % W) as f32, (i / W) as f32);
            let ground = 90.0 + 40.0 * (x * 0.11).sin() * (y * 0.07).cos();
            self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let grain = if self.noise > 0 { (self.state >> 16) as i32 % (2 * self.noise + 1) - self.noise } else { 0 };
            pixel.fill((ground * self.light + grain as f32).clamp(0.0, 255.0) as u8);
        }
        picture
    }
}

fn lane(light: f32, noise: i32) -> Lane {
    Lane { light, noise, state: 7 }
}

/// Adds `by` grey levels to a rectangle.
fn lift(picture: &mut Picture, [left, top, width, height]: [usize; 4], by: i32) {
    for y in top..(top + height).min(picture.height) {
        for x in left..(left + width).min(picture.width) {
            for c in &mut picture.bgr[(y * picture.width + x) * 3..][..3] {
                *c = (i32::from(*c) + by).clamp(0, 255) as u8;
            }
        }
    }
}

/// A lookout that never looks again by itself, so that what wakes it is a change.
struct Watch {
    lookout: Lookout,
    at: Instant,
    region: [usize; 4],
}

impl Watch {
    fn new() -> Watch {
        let settings = config::Vision { look_again_ms: 60_000, ..Default::default() };
        Watch { lookout: Lookout::new(&settings), at: Instant::now(), region: [0, 0, W, H] }
    }

    fn sees(&mut self, picture: &Picture) -> bool {
        self.at += TICK;
        self.lookout.is_worth_reading(picture, self.region, self.at, false)
    }

    /// Shows it the empty lane until it sleeps; it must.
    fn asleep(lane: &mut Lane) -> Watch {
        let mut watch = Watch::new();
        for _ in 0..LEARNING + 40 {
            let frame = lane.frame();
            watch.sees(&frame);
        }
        assert!(!watch.sees(&lane.frame()), "an empty lane puts it to sleep");
        watch
    }
}

#[test]
fn an_empty_lane_is_left_alone_by_day_by_night_and_at_dawn() {
    for noise in [0, 3, 8] {
        let mut lane = lane(1.0, noise);
        let mut watch = Watch::asleep(&mut lane);
        assert_eq!((0..150).filter(|_| watch.sees(&lane.frame())).count(), 0, "noise {noise}");
        // Two thirds of the light go within twelve seconds.
        for _ in 0..300 {
            lane.light -= 0.0022;
            assert!(!watch.sees(&lane.frame()), "light {}", lane.light);
        }
    }
}

#[test]
fn it_looks_again_every_second_all_the_same() {
    let mut lane = lane(1.0, 2);
    let mut watch = Watch::asleep(&mut lane);
    watch.lookout.look_again = Duration::from_secs(1);
    let reads = (0..100).filter(|_| watch.sees(&lane.frame())).count();
    assert_eq!(reads, 4, "four seconds");
}

#[test]
fn a_dark_car_at_night_wakes_it_at_once() {
    // Five grey levels darker than a dark lane, under noise as strong as that.
    let mut lane = lane(0.15, 5);
    let mut watch = Watch::asleep(&mut lane);
    let mut frame = lane.frame();
    lift(&mut frame, [230, 120, 150, 130], -5);
    assert!(watch.sees(&frame));
}

#[test]
fn painted_cars_wake_it_in_their_first_frame() {
    let mut scene = Scene::new(5);
    for night in [false, true] {
        let car = Arrival { plate: "苏F12345".parse().unwrap(), colour: Colour::Blue, night, hold: Duration::ZERO };
        let mut paint = |car| {
            let mut picture = Picture::default();
            scene.paint(car, night, false, &mut picture);
            picture
        };
        let empty: Vec<Picture> = (0..4).map(|_| paint(None)).collect();
        for far in [18.0, 9.0] {
            let mut watch = Watch::new();
            watch.region = [0, 0, 1920, 1080];
            let last = empty.iter().cycle().take(60).map(|picture| watch.sees(picture)).last();
            assert_eq!(last, Some(false), "night {night}: the empty lane");
            assert!(watch.sees(&paint(Some((&car, far)))), "night {night}, {far} m");
        }
    }
}

#[test]
fn a_gap_another_size_and_another_lane_wake_it() {
    let mut lane = lane(1.0, 2);
    let mut watch = Watch::asleep(&mut lane);
    watch.at += Duration::from_secs(1);
    assert!(watch.sees(&lane.frame()), "the camera was away");
    let mut watch = Watch::asleep(&mut lane);
    watch.region = [64, 64, 320, 160];
    assert!(watch.sees(&lane.frame()), "the lane was drawn anew");
    let mut watch = Watch::asleep(&mut lane);
    watch.region = [0, 0, 320, 180];
    assert!(watch.sees(&Picture::filled(320, 180, [90; 3])), "another camera");
}

#[test]
fn a_car_being_decided_about_is_read_and_one_that_stays_becomes_the_lane() {
    let mut lane = lane(1.0, 2);
    let mut watch = Watch::asleep(&mut lane);
    let mut parked = |watch: &mut Watch, busy: bool| {
        let mut frame = lane.frame();
        lift(&mut frame, [200, 100, 200, 150], 60);
        watch.at += TICK;
        watch.lookout.is_worth_reading(&frame, watch.region, watch.at, busy)
    };
    assert!((0..50).all(|_| parked(&mut watch, true)));
    // Decided about, it is read until it has been learnt, and no longer.
    let reads = (0..200).filter(|_| parked(&mut watch, false)).count();
    assert!((10..120).contains(&reads), "{reads}");
    assert!(!parked(&mut watch, false));
    assert!(watch.sees(&lane.frame()), "it drives away");
}

#[test]
fn a_picture_that_breathes_is_soon_known() {
    // As a video codec's whole pictures differ from those between them, once a second.
    let mut lane = lane(1.0, 2);
    let mut watch = Watch::asleep(&mut lane);
    let mut reads = [0; 8];
    for n in 0..200usize {
        let mut frame = lane.frame();
        if n % 25 == 0 {
            lift(&mut frame, [0, 0, W, H], 6);
        }
        reads[n / 25] += usize::from(watch.sees(&frame));
    }
    assert!(reads[0] > 0 && reads[4..].iter().all(|n| *n == 0), "{reads:?}");
}

#[test]
fn one_frame_in_three_is_read_and_the_first_of_a_change_always() {
    let mut lane = lane(1.0, 2);
    for wait in 0..3 {
        let mut watch = Watch::asleep(&mut lane);
        watch.lookout.every = 3;
        for _ in 0..wait {
            watch.sees(&lane.frame());
        }
        let mut car = lane.frame();
        lift(&mut car, [200, 100, 200, 150], 60);
        let read: Vec<bool> = (0..7).map(|_| watch.sees(&car)).collect();
        assert_eq!(read, [true, false, false, true, false, false, true]);
    }
}

#[test]
fn pictures_too_small_to_be_judged_are_read() {
    let mut watch = Watch::new();
    for (width, height) in [(1, 1), (3, 50), (50, 3), (5, 5), (17, 9)] {
        watch.region = [0, 0, width, height];
        assert!(watch.sees(&Picture::filled(width, height, [9; 3])), "{width} x {height}");
    }
    let mut always = Lookout::default();
    let (picture, start) = (Picture::filled(64, 64, [9; 3]), Instant::now());
    assert!((0..200).all(|n| always.is_worth_reading(&picture, [0, 0, 64, 64], start + TICK * n, false)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever is as large as the smallest plate worth reading, wherever it appears, wakes it within that frame.
    #[test]
    fn any_change_of_a_plates_size_wakes_it(
        x in 0usize..W - 40, y in 0usize..H - 13, by in 25i32..90, darker: bool, noise in 0i32..4, light in 0.35f32..1.2,
    ) {
        let mut lane = lane(light, noise);
        let mut watch = Watch::asleep(&mut lane);
        let mut frame = lane.frame();
        // Darker only where there is light to take away.
        lift(&mut frame, [x, y, 40, 13], if darker && light > 0.9 { -by.min(40) } else { by });
        prop_assert!(watch.sees(&frame));
    }

    /// Letters on a ground as bright as the lane behind it are a change too.
    #[test]
    fn a_pattern_of_the_same_mean_wakes_it(x in 0usize..W - 48, y in 0usize..H - 16, by in 30i32..60) {
        let mut lane = lane(1.0, 2);
        let mut watch = Watch::asleep(&mut lane);
        let mut frame = lane.frame();
        for (n, column) in (x..x + 48).step_by(6).enumerate() {
            lift(&mut frame, [column, y, 6, 16], if n % 2 == 0 { by } else { -by });
        }
        prop_assert!(watch.sees(&frame));
    }

    /// Nothing that can be shown to it makes it panic.
    #[test]
    fn any_lane_of_any_picture_is_judged(
        w in 1usize..90, h in 1usize..90, left in 0usize..40, top in 0usize..40, narrowest in 8.0f32..400.0,
    ) {
        let (left, top) = (left.min(w - 1), top.min(h - 1));
        let settings = config::Vision { narrowest_plate_px: narrowest, ..Default::default() };
        let (mut lookout, start) = (Lookout::new(&settings), Instant::now());
        for n in 0..30u32 {
            let picture = Picture::filled(w, h, [(n * 8) as u8; 3]);
            lookout.is_worth_reading(&picture, [left, top, w - left, h - top], start + TICK * n, n % 7 == 0);
        }
    }
}
