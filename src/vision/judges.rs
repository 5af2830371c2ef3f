//! Judging finds: exact corners, a reading, and another where the first is in doubt.

use std::time::{Duration, Instant};

use super::detector::Found;
use super::legibility::legibility;
use super::reader::{Read, Reader};
use super::rectifier::{Rectifier, Refined};
use super::{Reading, SlotProbabilities, Timings, UNSURE, VisionError};
use crate::config;
use crate::picture::{Picture, Quad, drop_covered};

/// A find that the refiner believes less is none.
const PLATE: f32 = 0.5;
/// A find that the refiner believes to have two rows with more than this probability may have two, or one.
const MAYBE_TWO_ROWS: f32 = 0.1;
/// In a frame, whose reading will be added up with others, a plate is looked at again if a slot is less sure than this. Of the readings of
/// plates 61 pixels wide or more that are 2 to 5 % (calibration/doubt).
const SURE: f32 = 0.99;
/// What the second reader's look counts beside the first's, 0..1. From a half to two thirds makes the truth likeliest
/// (calibration/doubt, docs/decisions/2026-11-27-doubt.md).
const SECOND_SHARE: f32 = 0.6;
/// Where a frame's second look begins: the corners with a little of the surroundings; growth along and across.
const SECOND_START: [f32; 2] = [1.06, 1.1];
/// Where another look begins at what could not be read: much further out, since the corners may be those of the half of a plate that
/// the sun shines on, or that a shadow covers.
const WIDER_START: [f32; 2] = [1.3, 1.1];
/// Two looks whose plates differ by more than this in the logarithm of their width did not see the same.
const APART: f32 = 0.1;
/// Where those tries begin: the corners as they are, with the surroundings, and a little inside; growth along and across.
const OTHER_STARTS: [[f32; 2]; 3] = [[1.0, 1.0], [1.1, 1.15], [0.95, 0.9]];
/// The detector's corners of a plate that is wide enough are not narrower than this share of that.
const SURELY_NARROWER: f32 = 0.7;
/// A reading is dropped if the characters of the likeliest plate are less likely than this on (geometric) average: lamps, grilles,
/// lettering. Of 2,649 plates that are read right one is below 0.9.
const BELIEVABLE: f32 = 0.7;

/// How hard a picture is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// A frame, after which comes another: every plate is read once, what is in doubt twice. What may be one row or two is
    /// first read as `two_rows` says, which is the other way round in the next frame.
    Frame { two_rows: bool },
    /// A photograph: what is in doubt is read again.
    Photograph,
}

impl Effort {
    /// A reading whose weakest slot is below this is in doubt, 0..1.
    fn sure(self) -> f32 {
        match self {
            Effort::Frame { .. } => SURE,
            Effort::Photograph => UNSURE,
        }
    }
}

/// The networks that judge finds, with their buffers.
pub(super) struct Judges {
    rectifier: Rectifier,
    reader: Reader,
    /// Asked about what the reader doubts; none where `vision.second_reader` is off.
    second_reader: Option<Reader>,
    /// Narrower plates are not read, pixels.
    narrowest: f32,
}

impl Judges {
    /// Loads their models.
    pub(super) fn load(settings: &config::Vision) -> Result<Judges, VisionError> {
        Ok(Judges {
            rectifier: Rectifier::load(settings)?,
            reader: Reader::load(settings)?,
            second_reader: settings.second_reader.then(|| Reader::load_second(settings)).transpose()?,
            narrowest: settings.narrowest_plate_px,
        })
    }

    /// The judges, with what they are to judge; the time they take is added up.
    pub(super) fn on<'a>(&'a mut self, picture: &'a Picture, effort: Effort, timings: &'a mut Timings) -> Judging<'a> {
        Judging { judges: self, picture, effort, timings }
    }

    /// The time spent in the networks since this was last asked.
    pub(super) fn take_spent(&mut self) -> Duration {
        let second = self.second_reader.as_mut().map_or(Duration::ZERO, Reader::take_spent);
        self.rectifier.take_spent() + self.reader.take_spent() + second
    }

    /// When and how their models were trained.
    pub(super) fn trained(&self) -> String {
        let second = self.second_reader.as_ref().map_or("off".into(), Reader::trained);
        format!("corners {}; reader {}; second reader {second}", self.rectifier.trained(), self.reader.trained())
    }
}

/// The judging of one picture's finds.
pub(super) struct Judging<'a> {
    judges: &'a mut Judges,
    picture: &'a Picture,
    effort: Effort,
    timings: &'a mut Timings,
}

impl Judging<'_> {
    /// Reads all finds into `readings`, best first; of those that cover one another only the best stays.
    pub(super) fn judge(&mut self, found: &[Found], readings: &mut Vec<Reading>) -> Result<(), VisionError> {
        for find in found {
            // The detector's corners are off by a few per cent; what is much too small need not be refined either.
            if find.quad.width() < SURELY_NARROWER * self.judges.narrowest {
                continue;
            }
            let reading = self.read(&find.quad, find.score)?;
            if let Some(reading) = reading.filter(is_believable) {
                readings.push(if self.effort == Effort::Photograph { self.read_again(reading)? } else { reading });
            }
        }
        readings.sort_unstable_by(|a, b| (b.score * b.confidence()).total_cmp(&(a.score * a.confidence())));
        drop_covered(readings, |r| &r.quad);
        Ok(())
    }

    /// Refines rough corners and reads what stands there; none if it is no plate.
    pub(super) fn read(&mut self, rough: &Quad, score: f32) -> Result<Option<Reading>, VisionError> {
        let refined = self.refine(rough)?;
        let Some(refined) = refined.filter(|r| self.is_plate(r)) else { return Ok(None) };
        if let Effort::Frame { two_rows } = self.effort {
            return self.read_in_frame(&refined, two_rows, score);
        }
        let mut best = self.read_at(&refined.quad, false, score, refined.is_plate)?;
        // Seen askew, one row is as high for its width as two are: where it may be either, the reader judges.
        let mut two_rows = false;
        if refined.two_rows > MAYBE_TWO_ROWS
            && let Some(two) = self.read_at(&refined.quad, true, score, refined.is_plate)?
            && best.as_ref().is_none_or(|one| legibility(&two.slots) > legibility(&one.slots))
        {
            (best, two_rows) = (Some(two), true);
        }
        match best {
            Some(best) if self.is_in_doubt(&best) => self.second_opinion(best, &refined.quad, two_rows).map(Some),
            best => Ok(best),
        }
    }

    /// Reads a find of a frame at its exact corners; where that cannot be believed the other way, and then further out.
    fn read_in_frame(&mut self, refined: &Refined, two_rows: bool, score: f32) -> Result<Option<Reading>, VisionError> {
        let may_be_either = (MAYBE_TWO_ROWS..1.0 - MAYBE_TWO_ROWS).contains(&refined.two_rows);
        let two_rows = if may_be_either { two_rows } else { refined.two_rows > 0.5 };
        let first = self.read_at(&refined.quad, two_rows, score, refined.is_plate)?;
        if let Some(first) = first.filter(is_believable) {
            return self.look_twice(first, two_rows).map(Some);
        }
        // Single rows seen askew are taken for two, surely even.
        if refined.two_rows > MAYBE_TWO_ROWS
            && let Some(other) = self.read_at(&refined.quad, !two_rows, score, refined.is_plate)?.filter(is_believable)
        {
            return Ok(Some(other));
        }
        let [along, across] = WIDER_START;
        let wider = self.refine(&refined.quad.grown(along, across))?;
        let Some(wider) = wider.filter(|r| self.is_plate(r)) else { return Ok(None) };
        let again = self.read_at(&wider.quad, two_rows, score, wider.is_plate)?;
        again.filter(is_believable).map(|again| self.look_twice(again, two_rows)).transpose()
    }

    /// Does the refiner believe it, and is it wide enough to be read?
    fn is_plate(&self, refined: &Refined) -> bool {
        refined.is_plate >= PLATE && refined.quad.width() >= self.judges.narrowest
    }

    /// Exact corners for rough ones, and the time it took.
    fn refine(&mut self, rough: &Quad) -> Result<Option<Refined>, VisionError> {
        let begun = Instant::now();
        let refined = self.judges.rectifier.refine(self.picture, rough);
        self.timings.rectify += begun.elapsed();
        refined
    }

    /// Reads the plate that has these corners.
    pub(super) fn read_at(
        &mut self,
        quad: &Quad,
        two_rows: bool,
        score: f32,
        is_plate: f32,
    ) -> Result<Option<Reading>, VisionError> {
        let read = timed(&mut self.judges.reader, self.timings, self.picture, quad, two_rows)?;
        Ok(read.map(|r| {
            let (slots, colours, sharpness) = (r.slots, r.colours, r.sharpness);
            Reading { quad: *quad, score, is_plate, slots, colours, sharpness }
        }))
    }

    /// What is not sure of every slot is refined and read once more from another start, so that how the corners happened to
    /// fall weighs less, and shown to the second reader; all of that counts. Costs one more refinement and two readings.
    fn look_twice(&mut self, first: Reading, two_rows: bool) -> Result<Reading, VisionError> {
        if !self.is_in_doubt(&first) {
            return Ok(first);
        }
        let [along, across] = SECOND_START;
        let refined = self.refine(&first.quad.grown(along, across))?.filter(|r| r.is_plate >= PLATE);
        let again = match refined {
            Some(refined) => self.read_at(&refined.quad, two_rows, first.score, refined.is_plate)?,
            None => None,
        };
        let Some(again) = again.filter(is_believable) else { return Ok(first) };
        let at = again.quad;
        let reading = if are_apart(&first.quad, &again.quad) {
            clearer(first, again)
        } else {
            Reading { slots: first.slots.and(&again.slots), ..first }
        };
        self.second_opinion(reading, &at, two_rows)
    }

    /// What the second reader says of the plate at these corners counts, if there is a second reader and it sees a plate, with
    /// the share [`SECOND_SHARE`].
    fn second_opinion(&mut self, reading: Reading, at: &Quad, two_rows: bool) -> Result<Reading, VisionError> {
        let Some(reader) = self.judges.second_reader.as_mut() else { return Ok(reading) };
        let second = timed(reader, self.timings, self.picture, at, two_rows)?;
        Ok(match second.filter(|second| is_a_plates(&second.slots)) {
            Some(second) => Reading { slots: reading.slots.mixed(&second.slots, SECOND_SHARE), ..reading },
            None => reading,
        })
    }

    /// Is it a plate, and some slot of it unsure?
    fn is_in_doubt(&self, reading: &Reading) -> bool {
        reading.slots.weakest() < self.effort.sure() && is_believable(reading)
    }

    /// A reading that is not sure of every slot may have its corners a little wrong: it is read again from other starts,
    /// and the clearest reading counts. Costs three more refinements and readings, for one plate in thirty.
    pub(super) fn read_again(&mut self, first: Reading) -> Result<Reading, VisionError> {
        if !self.is_in_doubt(&first) {
            return Ok(first);
        }
        let (start, score) = (first.quad, first.score);
        let mut best = first;
        for [along, across] in OTHER_STARTS {
            if let Some(again) = self.read(&start.grown(along, across), score)? {
                best = clearer(best, again);
            }
        }
        Ok(best)
    }
}

/// What this reader reads there; the time it took is added up.
fn timed(
    reader: &mut Reader,
    timings: &mut Timings,
    picture: &Picture,
    quad: &Quad,
    two_rows: bool,
) -> Result<Option<Read>, VisionError> {
    let begun = Instant::now();
    let read = reader.read(picture, quad, two_rows)?;
    timings.read += begun.elapsed();
    timings.reads += 1;
    Ok(read)
}

/// Is a plate's text read, and more than guessed?
pub(super) fn is_believable(reading: &Reading) -> bool {
    is_a_plates(&reading.slots)
}

/// Is there a plate's worth of characters, and are they more than guesses?
fn is_a_plates(slots: &SlotProbabilities) -> bool {
    let written = slots.best().iter().filter(|(i, _)| *i != 0).count();
    written >= 6 && legibility(slots) >= BELIEVABLE.ln()
}

/// The one of two readings that is rather a plate's; the first where both are.
fn clearer(first: Reading, second: Reading) -> Reading {
    if legibility(&second.slots) > legibility(&first.slots) { second } else { first }
}

/// Are two looks' corners so different that one of them is not the plate's: a bumper's recess, a holder?
fn are_apart(a: &Quad, b: &Quad) -> bool {
    (a.width() / b.width()).ln().abs() > APART
}

#[cfg(test)]
mod tests {
    use super::super::Vision;
    use super::*;
    use crate::camera::rendered::paint_plate;
    use crate::config;
    use crate::plate::Colour;

    /// A flat blue plate, so many pixels wide, before a grey wall by dusk, with so much noise.
    fn wall(width: usize, noise: f32) -> Picture {
        let plate = paint_plate(&"苏F8K291".parse().unwrap(), Colour::Blue).shrunk_to(width);
        let mut picture = Picture::filled(640, 360, [96, 96, 96]);
        for y in 0..plate.height {
            let (from, to) = (3 * plate.width * y, 3 * ((150 + y) * picture.width + 250));
            picture.bgr[to..to + 3 * plate.width].copy_from_slice(&plate.bgr[from..from + 3 * plate.width]);
        }
        for (i, v) in picture.bgr.iter_mut().enumerate() {
            *v = (f32::from(*v) * 0.3 + 40.0 + noise * ((i * 7919 % 1009) as f32 * 0.7).sin()) as u8;
        }
        picture
    }

    #[test]
    fn only_what_is_in_doubt_is_shown_to_the_second_reader() {
        let load = |second_reader| Vision::load(&config::Vision { second_reader, ..Default::default() }).unwrap();
        let (mut with, mut without) = (load(true), load(false));
        let (mut clear, mut doubted) = (0, 0);
        for (width, noise) in
            (42..120).step_by(6).flat_map(|width| [4.0, 14.0, 22.0, 30.0, 38.0].map(|noise| (width, noise)))
        {
            let picture = wall(width, noise);
            let (a, b) = (with.read(&picture).unwrap().to_vec(), without.read(&picture).unwrap().to_vec());
            if a.len() != 1 || b.len() != 1 {
                continue;
            }
            match without.timings().reads {
                1 => {
                    clear += 1;
                    assert_eq!(with.timings().reads, 1, "{width}");
                    assert!(a[0].slots == b[0].slots && b[0].slots.weakest() >= SURE, "{width}");
                }
                2 => {
                    doubted += 1;
                    assert_eq!(with.timings().reads, 3, "{width}");
                    assert!(a[0].slots != b[0].slots, "{width}");
                }
                _ => {}
            }
        }
        assert!(clear > 2 && doubted > 2, "{clear} clear, {doubted} doubted");
    }

    #[test]
    fn of_a_plate_of_which_one_half_was_found_the_whole_is_read() {
        let mut judges = Judges::load(&config::Vision::default()).unwrap();
        let (mut whole, mut all) = (0, 0);
        for (width, share) in (70..130).step_by(10).flat_map(|width| [0.45, 0.5, 0.6].map(|share| (width, share))) {
            let picture = wall(width, 4.0);
            let (left, right, high) = (250.0, 250.0 + width as f32, 150.0 + width as f32 * 140.0 / 440.0);
            let middle = |from: f32, to: f32| from + share * (to - from);
            for [a, b] in [[left, middle(left, right)], [middle(right, left), right]] {
                let half = Quad([[a, 150.0], [b, 150.0], [b, high], [a, high]]);
                let mut timings = Timings::default();
                let read =
                    judges.on(&picture, Effort::Frame { two_rows: false }, &mut timings).read(&half, 0.9).unwrap();
                all += 1;
                whole += usize::from(read.is_some_and(|r| r.slots.text() == "苏F8K291"));
            }
        }
        assert!(whole * 10 >= all * 8, "{whole} of {all}");
    }

    #[test]
    fn looks_whose_widths_differ_saw_different_things() {
        let quad = Quad([[100.0, 50.0], [200.0, 54.0], [200.0, 84.0], [100.0, 80.0]]);
        assert!(!are_apart(&quad, &quad.grown(1.06, 1.2)) && !are_apart(&quad.grown(1.06, 1.2), &quad));
        assert!(are_apart(&quad, &quad.grown(1.3, 1.0)) && are_apart(&quad.grown(1.3, 1.0), &quad));
    }
}
