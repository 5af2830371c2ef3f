//! Tracks of scripted readings.

use super::*;
use crate::plate::Plate;
use proptest::prelude::*;

/// A reading of this plate at `x`, `width` pixels wide, each slot with probability `p`.
pub(crate) fn reading(text: &str, x: f32, width: f32, p: f32) -> Reading {
    let plate: Plate = text.parse().unwrap();
    let mut slots = [[((1.0 - p) / (ALPHABET.len() - 1) as f32).ln(); ALPHABET.len()]; SLOTS];
    for (row, &i) in slots.iter_mut().zip(plate.slots()) {
        row[i as usize] = p.ln();
    }
    let h = width / 3.1;
    Reading {
        quad: Quad([[x, 100.0], [x + width, 100.0], [x + width, 100.0 + h], [x, 100.0 + h]]),
        score: 0.9,
        is_plate: 0.99,
        slots: SlotProbabilities(slots),
        colours: [1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        sharpness: 0.1,
    }
}

fn feed(tracker: &mut Tracker, at: Instant, readings: &[Reading]) -> Vec<Track> {
    let mut gone = Vec::new();
    tracker.update(at, readings, &mut gone);
    gone
}

#[test]
fn one_car_is_one_track_and_leaves() {
    let (mut tracker, start) = (Tracker::default(), Instant::now());
    for n in 0..10u32 {
        let at = start + Duration::from_millis(40 * u64::from(n));
        feed(&mut tracker, at, &[reading("苏F12345", 100.0 + 20.0 * n as f32, 100.0, 0.95)]);
    }
    assert_eq!(tracker.tracks().len(), 1);
    assert_eq!(tracker.tracks()[0].frames, 10);
    let gone = feed(&mut tracker, start + Duration::from_secs(3), &[]);
    assert_eq!((gone.len(), tracker.tracks().len()), (1, 0));
    assert_eq!(gone[0].fused().text(), "苏F12345");
}

#[test]
fn the_next_car_in_the_same_place_is_another_track() {
    let (mut tracker, start) = (Tracker::default(), Instant::now());
    feed(&mut tracker, start, &[reading("苏F12345", 100.0, 120.0, 0.97)]);
    feed(&mut tracker, start + Duration::from_millis(300), &[reading("苏FA67K9", 100.0, 120.0, 0.97)]);
    assert_eq!(tracker.tracks().len(), 2);
}

#[test]
fn a_clear_near_look_outweighs_wrong_far_ones() {
    let (mut tracker, start) = (Tracker::default(), Instant::now());
    for n in 0..4 {
        let at = start + Duration::from_millis(40 * n);
        feed(&mut tracker, at, &[reading("苏F12346", 100.0, 45.0, 0.9)]);
    }
    for (n, width) in [(4, 70.0), (5, 105.0), (6, 140.0), (7, 140.0)] {
        let at = start + Duration::from_millis(40 * n);
        feed(&mut tracker, at, &[reading("苏F12345", 100.0, width, 0.97)]);
    }
    assert_eq!(tracker.tracks().len(), 1);
    assert_eq!(tracker.tracks()[0].fused().text(), "苏F12345");
}

#[test]
fn many_blurred_frames_never_add_up_to_certainty() {
    let (mut tracker, start) = (Tracker::default(), Instant::now());
    for n in 0..200 {
        let at = start + Duration::from_millis(40 * n);
        feed(&mut tracker, at, &[reading("苏F12345", 100.0, 140.0, 0.5)]);
    }
    let best = tracker.tracks()[0].fused().best();
    // Two and a half independent looks at 0.5 against 74 others at 0.0068 each.
    assert!(best.iter().all(|(_, p)| *p < 0.999), "{best:?}");
}

/// How near a plate has come that was so wide in one frame after the other, pixels.
fn distance_after(widths: &[f32]) -> Distance {
    let (start, mut tracker) = (Instant::now(), Tracker::default());
    for (n, width) in widths.iter().enumerate() {
        feed(&mut tracker, start + Duration::from_millis(80 * n as u64), &[reading("苏F12345", 100.0, *width, 0.9)]);
    }
    assert_eq!(tracker.tracks().len(), 1);
    tracker.tracks()[0].distance()
}

#[test]
fn a_plate_is_near_once_two_frames_show_it_large() {
    assert_eq!(distance_after(&[60.0, 80.0, 100.0, 110.0, 116.0, 116.0]), Distance::Coming);
    assert_eq!(distance_after(&[90.0, 105.0, 120.0, 110.0]), Distance::Coming, "one frame may have its corners wrong");
    assert_eq!(distance_after(&[100.0, 110.0, 118.0, 126.0]), Distance::Near);
    assert_eq!(distance_after(&[118.0, 118.0, 110.0]), Distance::Near, "it is not forgotten when the car rolls back");
}

#[test]
fn a_plate_is_far_until_it_was_seen_larger_or_stands() {
    assert_eq!(distance_after(&[55.0, 60.0, 65.0, 70.0, 75.0]), Distance::Far);
    assert_eq!(distance_after(&[60.0, 70.0, 80.0]), Distance::Coming);
    assert_eq!(
        distance_after(&[60.0, 70.0, 80.0, 75.0]),
        Distance::Coming,
        "it is not forgotten when the car rolls back"
    );
    // A camera that sees none larger: for 0.6 s it is to be seen whether this one grows.
    assert_eq!(distance_after(&[60.0; 8]), Distance::Far);
    assert_eq!(distance_after(&[60.0; 9]), Distance::Coming);
}

#[test]
fn frames_count_for_less_and_less() {
    assert_eq!(effective_looks(1.0), 1.0);
    assert!(effective_looks(2.0) < 2.0);
    assert!(effective_looks(1e9) <= 2.5);
}

#[test]
fn a_car_that_stops_and_is_covered_for_a_while_is_one_track() {
    let (mut tracker, start) = (Tracker::default(), Instant::now());
    let ms = Duration::from_millis;
    for n in 0..8u32 {
        let width = 60.0 + 8.0 * n as f32;
        feed(&mut tracker, start + ms(80 * u64::from(n)), &[reading("苏F12345", 300.0, width, 0.95)]);
    }
    for n in 8..20 {
        feed(&mut tracker, start + ms(80 * n), &[reading("苏F12345", 300.0, 116.0, 0.95)]);
    }
    // Somebody walks past: two seconds without a plate.
    assert!(feed(&mut tracker, start + ms(3600), &[]).is_empty());
    feed(&mut tracker, start + ms(3700), &[reading("苏F12345", 302.0, 116.0, 0.95)]);
    assert_eq!((tracker.tracks().len(), tracker.tracks()[0].frames), (1, 21));
    assert_eq!(tracker.tracks()[0].motion.heading(), Heading::Coming);
    assert!(tracker.tracks()[0].motion.stood(start + ms(3700)) > ms(2000));
}

#[test]
fn a_car_that_backs_out_goes() {
    let (mut tracker, start) = (Tracker::default(), Instant::now());
    let mut headings = Vec::new();
    for n in 0..30u32 {
        let width = if n < 15 { 60.0 + 4.0 * n as f32 } else { 120.0 - 4.0 * (n - 15) as f32 };
        feed(
            &mut tracker,
            start + Duration::from_millis(80 * u64::from(n)),
            &[reading("苏F12345", 300.0, width, 0.95)],
        );
        headings.push(tracker.tracks()[0].motion.heading());
    }
    assert_eq!((headings[0], headings[14], headings[29]), (Heading::Standing, Heading::Coming, Heading::Going));
    assert_eq!(tracker.tracks().len(), 1);
}

#[test]
fn bumper_to_bumper_is_two_tracks() {
    let (mut tracker, start) = (Tracker::default(), Instant::now());
    for n in 0..12u32 {
        // The second follows three metres behind: smaller, higher, close by.
        let at = start + Duration::from_millis(80 * u64::from(n));
        let (near, far) = (90.0 + 7.0 * n as f32, 50.0 + 4.0 * n as f32);
        let mut second = reading("苏FA67K9", 340.0, far, 0.95);
        second.quad.0.iter_mut().for_each(|p| p[1] -= 70.0);
        feed(&mut tracker, at, &[second, reading("苏F12345", 300.0, near, 0.95)]);
    }
    let texts: Vec<(String, u32)> = tracker.tracks().iter().map(|t| (t.fused().text(), t.frames)).collect();
    assert_eq!(texts, [("苏FA67K9".to_owned(), 12), ("苏F12345".to_owned(), 12)]);
    // The first has left; the second comes to where it was.
    let at = start + Duration::from_millis(80 * 14);
    feed(&mut tracker, at, &[reading("苏FA67K9", 320.0, 104.0, 0.95)]);
    let fresh: Vec<String> = tracker.tracks().iter().filter(|t| t.fresh).map(|t| t.fused().text()).collect();
    assert_eq!(fresh, ["苏FA67K9"]);
}

#[test]
fn cars_side_by_side_do_not_change_places() {
    let (mut tracker, start) = (Tracker::default(), Instant::now());
    for n in 0..10u64 {
        let mut both = vec![reading("苏F12345", 100.0, 120.0, 0.95), reading("苏F12346", 240.0, 120.0, 0.95)];
        if n % 2 == 1 {
            both.reverse();
        }
        feed(&mut tracker, start + Duration::from_millis(80 * n), &both);
    }
    let texts: Vec<String> = tracker.tracks().iter().map(|t| t.fused().text()).collect();
    assert_eq!(texts, ["苏F12345", "苏F12346"]);
}

proptest! {
    /// The order of the frames does not matter to what they say together.
    #[test]
    fn the_order_of_frames_does_not_matter(looks in proptest::collection::vec((40.0f32..160.0, 0.3f32..0.99, 0.01f32..0.1), 2..12)) {
        let readings: Vec<Reading> = looks.iter().enumerate().map(|(n, &(width, p, sharpness))| {
            let text = if n % 4 == 3 { "苏F12346" } else { "苏F12345" };
            Reading { sharpness, ..reading(text, 100.0, width, p) }
        }).collect();
        let fuse = |readings: &mut dyn Iterator<Item = &Reading>| {
            let at = Instant::now();
            let first = readings.next().unwrap();
            let mut track = Track::start(1, at, first);
            readings.for_each(|r| track.add(at, r));
            (track.fused(), track.distance())
        };
        let ((forth, near), (back, near_back)) = (fuse(&mut readings.iter()), fuse(&mut readings.iter().rev()));
        prop_assert_eq!(near, near_back);
        for (a, b) in forth.0.iter().flatten().zip(back.0.iter().flatten()) {
            prop_assert!((a - b).abs() < 1e-2 * (1.0 + a.abs()), "{a} {b}");
        }
    }
}
