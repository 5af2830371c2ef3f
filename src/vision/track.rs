//! One car's frames, fused.
//!
//! In: the [`Reading`]s of each frame. Out: [`Track`]s, one a car, whose [`Track::fused`] evidence is what the match weighs,
//! and how each moved. A reading goes to the track that it continues best, by where the plate was to be expected and by
//! what was read; a plate that is covered for a while keeps its track.
//!
//! Neighbouring frames show the same dirt, the same lamp and the same angle: they are not independent looks. The mean of
//! their log-probabilities is therefore sharpened only as much as [`effective_looks`] says, so that twenty frames of one
//! blurred plate never add up to certainty. The constants of the fusion were fitted: `calibration/track`.

mod motion;

use std::time::{Duration, Instant};

use super::{Reading, SlotProbabilities};
use crate::picture::Quad;
use crate::plate::{ALPHABET, Colour, SLOTS};
pub use motion::{Heading, Motion, Place};

/// How alike two frames of one car are, 0 (independent) to 1 (the same look twice). With 0.4 no number of frames counts
/// for more than two and a half independent looks.
const LIKENESS: f64 = 0.4;
/// Share of frames whose reading of a slot tells nothing: keeps one bad frame from vetoing a character for good.
const BAD_LOOK: f32 = 0.001;
/// A plate of this width or wider, pixels, has full weight.
const FULL_WIDTH_PX: f32 = 130.0;
/// One that was never this wide is far: of the weight of a full one it has at most a fifth.
const FAR_PX: f32 = 0.6 * FULL_WIDTH_PX;
/// One of this width is near: of the weight of a full one it has three quarters, and nearer frames tell the reader little more.
const NEAR_PX: f32 = 0.9 * FULL_WIDTH_PX;
/// It was near in so many frames: a single one may have had its corners wrong.
const NEAR_FRAMES: u32 = 2;
/// A plate at least this sharp has full weight; see [`Reading::sharpness`].
const FULL_SHARPNESS: f32 = 0.06;
/// How fast the weight falls with the width below the full one, and with the sharpness.
const WIDTH_POWER: f32 = 3.0;
const SHARPNESS_POWER: f32 = 1.0;
/// A moving car that was not seen for so long has left.
const GONE_AFTER: Duration = Duration::from_millis(900);
/// A standing one may be covered for so long: by somebody who walks past, by the arm.
const COVERED_FOR: Duration = Duration::from_millis(3000);
/// A car that has not moved for so long stands.
const STANDING: Duration = Duration::from_millis(600);
/// The frames that are kept as the best looks.
pub const LOOKS: usize = 3;

/// How many independent looks `n` frames of one car are worth: `n / (1 + LIKENESS (n - 1))`, the design effect of
/// equally correlated samples (Kish, Survey Sampling, 1965).
pub fn effective_looks(n: f64) -> f64 {
    if n <= 1.0 { n } else { n / (1.0 + LIKENESS * (n - 1.0)) }
}

/// How large a plate was seen so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distance {
    /// So small that a reader may be sure of what is not there; and it does not stand, as where a camera sees none larger.
    Far,
    /// Better frames are to come.
    Coming,
    /// Nearer frames would tell the reader little more.
    Near,
}

/// A frame that counted much.
#[derive(Clone, Debug)]
pub struct Look {
    /// When.
    pub at: Instant,
    /// How much it counted, 0..1.
    pub weight: f32,
    /// The plate's width, pixels.
    pub width: f32,
    /// See [`Reading::sharpness`].
    pub sharpness: f32,
    /// The likeliest characters, as indices into [`ALPHABET`].
    pub read: [u8; SLOTS],
    /// The probability of them all, 0..1.
    pub confidence: f32,
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
    /// Of those, the ones in which the plate was [`NEAR_PX`] wide or more.
    near_frames: u32,
    /// It was [`FAR_PX`] wide or more once, or has stood.
    came_up: bool,
    /// Seen in the newest frame?
    pub fresh: bool,
    /// Is the newest frame the best look at this plate so far?
    pub best_now: bool,
    /// How it moved.
    pub motion: Motion,
    /// The heaviest frame's weight so far.
    best_weight: f32,
    /// The frames' weights, and their readings' weighted log-probabilities and colours, added up.
    weight: f32,
    sum: Box<[[f32; ALPHABET.len()]; SLOTS]>,
    colours: [f32; 6],
    looks: [Option<Look>; LOOKS],
}

impl Track {
    fn start(id: u64, at: Instant, reading: &Reading) -> Track {
        let mut track = Track {
            id,
            first_seen: at,
            last_seen: at,
            quad: reading.quad,
            frames: 0,
            near_frames: 0,
            came_up: false,
            fresh: true,
            best_now: false,
            motion: Motion::start(at, &reading.quad),
            best_weight: 0.0,
            weight: 0.0,
            sum: Box::new([[0.0; ALPHABET.len()]; SLOTS]),
            colours: [0.0; 6],
            looks: [const { None }; LOOKS],
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
        self.near_frames += u32::from(reading.quad.width() >= NEAR_PX);
        self.last_seen = at;
        self.quad = reading.quad;
        self.fresh = true;
        self.motion.add(at, &reading.quad);
        self.came_up |= reading.quad.width() >= FAR_PX || self.has_stood();
        self.keep_look(at, w, reading);
    }

    fn keep_look(&mut self, at: Instant, weight: f32, reading: &Reading) {
        let lighter = |look: &Option<Look>| look.as_ref().is_none_or(|kept| kept.weight < weight);
        let Some(place) = self.looks.iter().position(lighter) else { return };
        let best = reading.slots.best();
        let look = Look {
            at,
            weight,
            width: reading.quad.width(),
            sharpness: reading.sharpness,
            read: best.map(|(i, _)| i),
            confidence: best.iter().map(|(_, p)| *p).product(),
        };
        self.looks[place..].rotate_right(1);
        self.looks[place] = Some(look);
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

    /// How near the plate has come.
    pub fn distance(&self) -> Distance {
        if self.near_frames >= NEAR_FRAMES {
            Distance::Near
        } else if self.came_up {
            Distance::Coming
        } else {
            Distance::Far
        }
    }

    /// Did it stand where it was seen last?
    fn has_stood(&self) -> bool {
        self.motion.stood(self.last_seen) > STANDING
    }

    /// The likeliest ground colour.
    pub fn colour(&self) -> Colour {
        Colour::likeliest(&self.colours)
    }

    /// How likely each ground colour is, 0..1, in the order of [`Colour::ALL`].
    pub fn colours(&self) -> [f32; 6] {
        self.colours.map(|sum| sum / self.weight.max(1e-6))
    }

    /// The frames that counted most, best first.
    pub fn looks(&self) -> impl Iterator<Item = &Look> {
        self.looks.iter().flatten()
    }

    /// May it still be there, though it is not seen?
    fn stays(&self, at: Instant) -> bool {
        let unseen = at.saturating_duration_since(self.last_seen);
        unseen <= GONE_AFTER || (self.has_stood() && unseen <= COVERED_FOR)
    }
}

/// How much a reading counts, 0..1: small and blurred plates count little, so that a far first look never outweighs the
/// near one that follows.
fn weight(reading: &Reading) -> f32 {
    let size = (reading.quad.width() / FULL_WIDTH_PX).clamp(0.1, 1.0);
    let sharp = (reading.sharpness / FULL_SHARPNESS).clamp(0.2, 1.0);
    size.powf(WIDTH_POWER) * sharp.powf(SHARPNESS_POWER)
}

/// The cars in front of the camera.
#[derive(Default)]
pub struct Tracker {
    tracks: Vec<Track>,
    started: u64,
    /// Which track each reading of the frame may go to, and how well it fits: kept for its memory.
    fits: Vec<(f32, usize, usize)>,
}

impl Tracker {
    /// Adds one frame's readings. Cars that have left are moved to `gone` (in the order they came).
    pub fn update(&mut self, at: Instant, readings: &[Reading], gone: &mut Vec<Track>) {
        for track in &mut self.tracks {
            track.fresh = false;
        }
        self.assign(at, readings);
        for (r, reading) in readings.iter().enumerate() {
            if !self.fits.iter().any(|&(_, _, taken)| taken == r) {
                self.started += 1;
                self.tracks.push(Track::start(self.started, at, reading));
            }
        }
        let mut i = 0;
        while i < self.tracks.len() {
            if self.tracks[i].stays(at) {
                i += 1;
            } else {
                gone.push(self.tracks.remove(i));
            }
        }
    }

    /// Gives each reading to the track it fits best, the best fits first, one reading a track. Afterwards `fits` holds what
    /// was given.
    fn assign(&mut self, at: Instant, readings: &[Reading]) {
        self.fits.clear();
        for (t, track) in self.tracks.iter().enumerate() {
            let fused = track.fused();
            for (r, reading) in readings.iter().enumerate() {
                let fit = fit(track, &fused, at, reading);
                if fit > 0.0 {
                    self.fits.push((fit, t, r));
                }
            }
        }
        self.fits.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut given = 0;
        for i in 0..self.fits.len() {
            let (_, t, r) = self.fits[i];
            if !self.fits[..given].iter().any(|&(_, track, reading)| track == t || reading == r) {
                self.fits.swap(given, i);
                given += 1;
                self.tracks[t].add(at, &readings[r]);
            }
        }
        self.fits.truncate(given);
    }

    /// The cars that are still there.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Ends all tracks, as when the camera was lost.
    pub fn clear(&mut self, gone: &mut Vec<Track>) {
        gone.append(&mut self.tracks);
    }
}

/// Below this the text speaks against the same plate: three slots in which both are sure of different characters.
const TEXT_SAME: f32 = 0.0;
/// A plate that lies this many of its widths from where it was to be expected is another car's, whatever it reads...
const FAR: f32 = 5.0;
/// ... and beyond this one, unless it reads the same in every slot.
const NEAR: f32 = 1.2;
/// The same for its width: the factor by which it may differ from what was to be expected.
const WIDTH_FACTOR: f32 = 1.6;

/// How well a reading continues a track: above nothing if it may be the same car, more for the nearer.
fn fit(track: &Track, fused: &SlotProbabilities, at: Instant, reading: &Reading) -> f32 {
    let ([x, y], width) = track.motion.expected(at);
    let [rx, ry] = reading.quad.centre();
    let (wide, slack) = (width.max(reading.quad.width()).max(1.0), track.motion.slack(at));
    let distance = (rx - x).hypot(ry - y) / (wide * slack);
    let stretch = (reading.quad.width().max(1.0) / width.max(1.0)).ln().abs() / (WIDTH_FACTOR.ln() * slack);
    let (same_text, differ) = alike(fused, &reading.slots);
    let near = distance < NEAR && stretch < 1.0 && same_text > TEXT_SAME;
    let read_the_same = distance < FAR && stretch < 2.0 && differ == 0 && same_text > 8.0;
    if near || read_the_same { 100.0 - 10.0 * distance - 5.0 * stretch + same_text } else { 0.0 }
}

/// How much likelier it is that two readings are of one plate than of two that have nothing to do with each other, as a
/// logarithm; and in how many slots both are sure of different characters.
fn alike(a: &SlotProbabilities, b: &SlotProbabilities) -> (f32, usize) {
    // Some thirty characters may stand in a serial's place.
    const CHARACTERS: f32 = 30.0;
    let (mut sum, mut differ) = (0.0, 0);
    for (x, y) in a.0.iter().zip(&b.0) {
        let overlap: f32 = x.iter().zip(y).filter(|(p, q)| **p + **q > -20.0).map(|(p, q)| (p + q).exp()).sum();
        sum += (overlap * CHARACTERS).max(1e-3).ln();
    }
    for ((i, p), (j, q)) in a.best().into_iter().zip(b.best()) {
        differ += usize::from(i != j && p > 0.8 && q > 0.8);
    }
    // Three clear differences outweigh five agreements.
    (sum - differ.saturating_sub(2) as f32 * 20.0, differ)
}

#[cfg(test)]
#[path = "track/tests.rs"]
pub(crate) mod tests;
