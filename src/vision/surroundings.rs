//! Does what is around a plate hide the lane, and does it move with the plate?
//!
//! In: a frame, where the plate is on it, and how the empty lane looks. Out: which share of the lane beside the plate is hidden,
//! and, after the plate has moved some way, whether its surroundings (bumper, grille, lamps) came along or stayed behind. A car
//! hides the lane and comes along; around a telephone held up, or a printed sheet, the lane is seen and stays where it is.
//!
//! A ring of brightness samples is taken around the plate, in units of the plate: a band to its left, one to its right, one
//! above. Once the plate has moved, two stories are compared for each band: it moved with the plate, or it stayed where it
//! was. Whichever leaves the smaller difference is the better one; by how much is added up over the frames. A car reaches
//! two plate widths to either side; whoever carries a sheet does not, so both sides are asked on their own.
//!
//! Once the lane was seen empty ([`EmptyLane`]), samples that look as it does there take no part in that: an arm that crosses
//! the picture stays, and says nothing about the car behind it. How many they are is told on its own.

use super::empty_lane::EmptyLane;
use crate::picture::{Picture, Quad};

/// The ring's reach from the plate's centre, plate widths: to the sides, upwards, and how far down the sides go.
const SIDE: f32 = 1.7;
const UP: f32 = 1.1;
const DOWN: f32 = 0.4;
/// What belongs to the plate, its frame, a telephone's edge, a sheet's margin, and a hand.
const OWN_SIDE: f32 = 0.8;
const OWN_HEIGHT: f32 = 0.5;
/// The distance of the samples, plate widths.
const STEP: f32 = 0.1;
/// How far the ring's outer parts must have moved, in steps, before the two stories can be told apart.
const MOVED: f32 = 0.8;
/// A band with less contrast than this (standard deviation, grey levels) tells nothing: a wall, the night.
const CONTRAST: f32 = 2.5;
/// Differences below this share of the contrast are noise.
const NOISE: f32 = 0.05;
/// Fewer of a band's samples within the picture than this share tell nothing; nor do fewer that are not the empty lane.
const SEEN: f32 = 0.5;
const FOREIGN: f32 = 0.25;
/// Where the empty lane can be told from something else at fewer of a band's columns than this share, nothing is said of it.
const TOLD: f32 = 0.5;
/// A column hides the lane if at least this share of its samples is something else: a grey car on grey asphalt looks like the lane
/// at many of them, whoever carries a sheet at none of those beyond his shoulders.
const COLUMN: f32 = 0.3;
/// The ring's columns, and how many of a column's samples must be told from the lane or known as it.
const COLUMNS: usize = 35;
const COLUMN_TOLD: u32 = 4;
/// What a car may take of the picture, plate widths from its plate's centre: to each side, upwards, downwards.
const CAR: [f32; 3] = [2.3, 3.0, 1.2];

/// The bands of the ring.
pub const BANDS: usize = 3;
const LEFT: usize = 0;
const RIGHT: usize = 1;
const ABOVE: usize = 2;
/// The columns of each.
const COLUMNS_OF: [usize; BANDS] = [10, 10, 15];

/// Where the ring lies: the plate's centre and width.
#[derive(Clone, Copy, Debug)]
struct Place {
    x: f32,
    y: f32,
    width: f32,
}

impl Place {
    /// Has a plate that is here now moved far enough from this place?
    fn is_left(self, here: Place) -> bool {
        let shift = (here.x - self.x).hypot(here.y - self.y);
        let stretch = (here.width - self.width).abs() * SIDE;
        shift.max(stretch) >= MOVED * STEP * self.width
    }
}

/// A ring and where it was taken; `NAN` beyond the picture's edge, and where the empty lane is seen.
#[derive(Clone, Debug)]
struct Ring {
    place: Place,
    bands: Bands,
}

type Bands = [Vec<f32>; BANDS];

/// How much of the lane a band hides, frame by frame.
#[derive(Clone, Copy, Debug, Default)]
struct Cover {
    /// The shares, and their weights, added up.
    sum: f32,
    weight: f32,
}

/// What was found so far about one plate's surroundings.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    reference: Option<Ring>,
    moved: Bands,
    stayed: Bands,
    scores: [Option<f32>; BANDS],
    covers: [Cover; BANDS],
}

impl Surroundings {
    /// Looks at the next frame with this plate, on a lane that looks like this while it is empty.
    pub fn look(&mut self, picture: &Picture, quad: &Quad, lane: &EmptyLane) {
        let [x, y] = quad.centre();
        let here = Place { x, y, width: quad.width().max(1.0) };
        if self.reference.as_ref().is_some_and(|reference| !reference.place.is_left(here)) {
            return;
        }
        let known = lane.is_known(picture);
        if known {
            self.sample_before(lane, picture, here);
        } else {
            sample(picture, here, &mut self.moved);
        }
        let Some(reference) = &mut self.reference else {
            self.reference = Some(Ring { place: here, bands: self.moved.clone() });
            return;
        };
        sample(picture, reference.place, &mut self.stayed);
        let least = if known { FOREIGN } else { SEEN };
        for band in 0..BANDS {
            let before = &reference.bands[band];
            if let (Some(moved), Some(stayed)) =
                (unlikeness(before, &self.moved[band], least), unlikeness(before, &self.stayed[band], least))
            {
                *self.scores[band].get_or_insert(0.0) += ((stayed + NOISE) / (moved + NOISE)).ln();
            }
        }
        reference.place = here;
        std::mem::swap(&mut reference.bands, &mut self.moved);
    }

    /// The evidence so far, as a logarithm: above nothing the surroundings moved with the plate, below they stayed; for the
    /// band to the left, the one to the right and the one above. None for a band in which nothing could be compared.
    pub fn scores(&self) -> [Option<f32>; BANDS] {
        self.scores
    }

    /// The share 0..1 of each band's columns that hide the lane, in the mean of the rings so far. None for a band where that
    /// could not be told: the lane was not seen empty yet, or is too dark.
    pub fn covers(&self) -> [Option<f32>; BANDS] {
        self.covers.map(|cover| (cover.weight > 0.0).then(|| cover.sum / cover.weight))
    }

    /// Takes the ring around this place, counts the columns that hide the lane, and strikes out the samples that show it.
    fn sample_before(&mut self, lane: &EmptyLane, picture: &Picture, here: Place) {
        let [side, up, down] = CAR.map(|reach| reach * here.width);
        let light = lane.light(picture, [here.x - side, here.y - up, here.x + side, here.y + down]);
        let mut counts = [[[0u32; 2]; COLUMNS]; BANDS];
        self.moved.iter_mut().for_each(Vec::clear);
        each_place(|band, du, dv| {
            let (x, y) = (here.x + du * here.width, here.y + dv * here.width);
            let seen = colour(picture, x, y, here.width * STEP);
            let hidden = seen.and_then(|seen| lane.is_hidden(x, y, seen, light));
            if let Some(hidden) = hidden {
                let column = ((du + SIDE) / STEP).round() as usize;
                counts[band][column.min(COLUMNS - 1)][usize::from(hidden)] += 1;
            }
            let lasts = hidden != Some(false);
            self.moved[band].push(seen.filter(|_| lasts).map_or(f32::NAN, |[_, green, _]| green));
        });
        for (band, counts) in counts.iter().enumerate() {
            let told = || counts.iter().filter(|[shows, hides]| shows + hides >= COLUMN_TOLD);
            let hide = told().filter(|[shows, hides]| *hides as f32 >= COLUMN * (shows + hides) as f32).count();
            if told().count() as f32 >= TOLD * COLUMNS_OF[band] as f32 {
                // A plate that is near says more: the lane's cells are finer than it.
                self.covers[band].sum += here.width * hide as f32 / told().count() as f32;
                self.covers[band].weight += here.width;
            }
        }
    }
}

/// The ring's places, band by band: how far from the plate's centre, plate widths.
fn each_place(mut of: impl FnMut(usize, f32, f32)) {
    let steps = |reach: f32| (reach / STEP).round() as i32;
    for v in -steps(UP)..=steps(DOWN) {
        for u in -steps(SIDE)..=steps(SIDE) {
            let (du, dv) = (u as f32 * STEP, v as f32 * STEP);
            match () {
                () if du <= -OWN_SIDE => of(LEFT, du, dv),
                () if du >= OWN_SIDE => of(RIGHT, du, dv),
                () if dv <= -OWN_HEIGHT => of(ABOVE, du, dv),
                () => {}
            }
        }
    }
}

/// Takes the ring around this place.
fn sample(picture: &Picture, at: Place, into: &mut Bands) {
    into.iter_mut().for_each(Vec::clear);
    each_place(|band, du, dv| {
        let seen = colour(picture, at.x + du * at.width, at.y + dv * at.width, at.width * STEP);
        into[band].push(seen.map_or(f32::NAN, |[_, green, _]| green));
    });
}

/// The mean colour of a square of this side, from at most nine of its pixels; none beyond the edge.
fn colour(picture: &Picture, x: f32, y: f32, side: f32) -> Option<[f32; 3]> {
    let third = side / 3.0;
    let mut sum = [0u32; 3];
    for dy in [-third, 0.0, third] {
        for dx in [-third, 0.0, third] {
            let (px, py) = (x + dx, y + dy);
            if px < 0.0 || py < 0.0 || px >= picture.width as f32 || py >= picture.height as f32 {
                return None;
            }
            let at = (py as usize * picture.width + px as usize) * 3;
            sum.iter_mut().zip(&picture.bgr[at..at + 3]).for_each(|(sum, v)| *sum += u32::from(*v));
        }
    }
    Some(sum.map(|sum| sum as f32 / 9.0))
}

/// How unlike two rings are: 0 the same but for the light, 1 nothing in common. None if too little is to be seen: fewer than this
/// share of the samples.
fn unlikeness(a: &[f32], b: &[f32], least: f32) -> Option<f32> {
    let pairs = || a.iter().zip(b).filter(|(x, y)| x.is_finite() && y.is_finite());
    let n = pairs().count() as f32;
    if n < least * a.len() as f32 {
        return None;
    }
    let (mean_a, mean_b) = (pairs().map(|(x, _)| x).sum::<f32>() / n, pairs().map(|(_, y)| y).sum::<f32>() / n);
    let (mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0);
    for (x, y) in pairs() {
        let (x, y) = (x - mean_a, y - mean_b);
        (aa, bb, ab) = (aa + x * x, bb + y * y, ab + x * y);
    }
    let enough = CONTRAST * CONTRAST * n;
    (aa > enough && bb > enough).then(|| 1.0 - (ab / (aa * bb).sqrt()).clamp(0.0, 1.0))
}

#[cfg(test)]
#[path = "surroundings_tests.rs"]
mod tests;
