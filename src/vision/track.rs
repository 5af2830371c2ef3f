//! One car's frames, fused.
//!
//! In: the [`Reading`]s of each frame. Out: [`Track`]s, one a car, whose [`Track::fused`] evidence is what the match weighs.
//!
//! Neighbouring frames show the same dirt, the same lamp and the same angle: they are not independent looks. The mean of
//! their log-probabilities is therefore sharpened only as much as [`effective_looks`] says, so that twenty frames of one
//! blurred plate never add up to certainty.

use std::time::{Duration, Instant};

use super::{Reading, SlotProbabilities};
use crate::picture::Quad;
use crate::plate::{ALPHABET, Colour, SLOTS};

/// How alike two frames of one car are, 0 (independent) to 1 (the same look twice). With 0.5 no number of frames counts
/// for more than two independent looks.
const LIKENESS: f64 = 0.5;
/// Share of frames whose reading of a slot tells nothing: keeps one bad frame from vetoing a character for good.
const BAD_LOOK: f32 = 0.02;
/// A plate of this width or wider, pixels, has full weight.
const FULL_WIDTH_PX: f32 = 130.0;
/// A plate at least this sharp has full weight; see [`Reading::sharpness`].
const FULL_SHARPNESS: f32 = 0.06;
/// A car that was not seen for so long has left.
const GONE_AFTER: Duration = Duration::from_millis(900);
/// A track that moves less than this share of the plate's width between frames is the same car.
const REACH: f32 = 1.2;

/// How many independent looks `n` frames of one car are worth: `n / (1 + LIKENESS (n - 1))`, the design effect of
/// equally correlated samples (Kish, Survey Sampling, 1965).
pub fn effective_looks(n: f64) -> f64 {
    if n <= 1.0 { n } else { n / (1.0 + LIKENESS * (n - 1.0)) }
}

/// One car in front of the camera.
#[derive(Clone)]
pub struct Track {
    /// Counts up from 1.
    pub id: u64,
    /// When it was first seen.
    pub first_seen: Instant,
    /// When it was last seen.
    pub last_seen: Instant,
    /// Where its plate was last.
    pub quad: Quad,
    /// Frames it was read in.
    pub frames: u32,
    /// Seen in the newest frame?
    pub fresh: bool,
    /// The heaviest frame's weight so far.
    best_weight: f32,
    /// Is the newest frame the best look at this plate so far?
    pub best_now: bool,
    /// The frames' weights, and their readings' weighted log-probabilities and colours, added up.
    weight: f32,
    sum: Box<[[f32; ALPHABET.len()]; SLOTS]>,
    colours: [f32; 6],
}

impl Track {
    fn start(id: u64, at: Instant, reading: &Reading) -> Track {
        let mut track = Track {
            id,
            first_seen: at,
            last_seen: at,
            quad: reading.quad,
            frames: 0,
            fresh: true,
            best_weight: 0.0,
            best_now: false,
            weight: 0.0,
            sum: Box::new([[0.0; ALPHABET.len()]; SLOTS]),
            colours: [0.0; 6],
        };
        track.add(at, reading);
        track
    }

    fn add(&mut self, at: Instant, reading: &Reading) {
        let w = weight(reading);
        for (sum, row) in self.sum.iter_mut().zip(&reading.slots.0) {
            for (s, l) in sum.iter_mut().zip(row) {
                let p = (1.0 - BAD_LOOK) * l.exp() + BAD_LOOK / ALPHABET.len() as f32;
                *s += w * p.ln();
            }
        }
        for (sum, p) in self.colours.iter_mut().zip(&reading.colours) {
            *sum += w * p;
        }
        self.weight += w;
        self.best_now = w > self.best_weight;
        self.best_weight = self.best_weight.max(w);
        self.frames += 1;
        self.last_seen = at;
        self.quad = reading.quad;
        self.fresh = true;
    }

    /// What all frames together say.
    pub fn fused(&self) -> SlotProbabilities {
        let looks = effective_looks(f64::from(self.weight / self.best_weight.max(1e-6))) as f32;
        let sharpen = looks / self.weight.max(1e-6);
        let mut logits = [0.0; ALPHABET.len() * SLOTS];
        for (out, s) in logits.iter_mut().zip(self.sum.iter().flatten()) {
            *out = s * sharpen;
        }
        SlotProbabilities::from_logits(&logits)
    }

    /// The likeliest ground colour.
    pub fn colour(&self) -> Colour {
        Colour::likeliest(&self.colours)
    }
}

/// How much a reading counts, 0..1: small and blurred plates count little, so that a far first look never outweighs the
/// near one that follows.
fn weight(reading: &Reading) -> f32 {
    let size = (reading.quad.width() / FULL_WIDTH_PX).clamp(0.1, 1.0);
    let sharp = (reading.sharpness / FULL_SHARPNESS).clamp(0.2, 1.0);
    size * size * sharp
}

/// The cars in front of the camera.
#[derive(Default)]
pub struct Tracker {
    tracks: Vec<Track>,
    started: u64,
}

impl Tracker {
    /// Adds one frame's readings. Cars that have left are moved to `gone` (in the order they came).
    pub fn update(&mut self, at: Instant, readings: &[Reading], gone: &mut Vec<Track>) {
        for track in &mut self.tracks {
            track.fresh = false;
        }
        for reading in readings {
            match self.same_car(at, reading) {
                Some(i) => self.tracks[i].add(at, reading),
                None => {
                    self.started += 1;
                    self.tracks.push(Track::start(self.started, at, reading));
                }
            }
        }
        let mut i = 0;
        while i < self.tracks.len() {
            if at.saturating_duration_since(self.tracks[i].last_seen) > GONE_AFTER {
                gone.push(self.tracks.remove(i));
            } else {
                i += 1;
            }
        }
    }

    /// The cars that are still there.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Ends all tracks, as when the camera was lost.
    pub fn clear(&mut self, gone: &mut Vec<Track>) {
        gone.append(&mut self.tracks);
    }

    /// The track that this reading continues: near its last place and not clearly another plate.
    fn same_car(&self, at: Instant, reading: &Reading) -> Option<usize> {
        let near = |track: &Track| {
            let ([ax, ay], [bx, by]) = (track.quad.centre(), reading.quad.centre());
            let width = track.quad.width().max(reading.quad.width()).max(1.0);
            // After a gap in reading the car may have moved on.
            let frames = 1.0 + at.saturating_duration_since(track.last_seen).as_secs_f32() * 2.0;
            (ax - bx).hypot(ay - by) / (width * frames)
        };
        (0..self.tracks.len())
            .filter(|&i| !self.tracks[i].fresh)
            .map(|i| (i, near(&self.tracks[i])))
            .filter(|&(i, distance)| {
                let differ = clear_differences(&self.tracks[i].fused(), &reading.slots);
                (distance < REACH && differ < 3) || (distance < 4.0 * REACH && differ == 0)
            })
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(i, _)| i)
    }
}

/// Slots in which both are sure of different characters.
fn clear_differences(a: &SlotProbabilities, b: &SlotProbabilities) -> usize {
    a.best().iter().zip(b.best()).filter(|((x, p), (y, q))| x != y && *p > 0.8 && *q > 0.8).count()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::plate::Plate;

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
        for n in 4..6 {
            let at = start + Duration::from_millis(40 * n);
            feed(&mut tracker, at, &[reading("苏F12345", 100.0, 140.0, 0.97)]);
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
        // Two independent looks at 0.5 against 74 others at 0.0068 each.
        assert!(best.iter().all(|(_, p)| *p < 0.99), "{best:?}");
    }

    #[test]
    fn frames_count_for_less_and_less() {
        assert_eq!(effective_looks(1.0), 1.0);
        assert!(effective_looks(2.0) < 2.0);
        assert!(effective_looks(1e9) <= 2.0);
    }
}
