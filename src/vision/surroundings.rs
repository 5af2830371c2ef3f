//! Does what is around a plate move with it?
//!
//! In: a frame, and where the plate is on it. Out: after the plate has moved some way, whether its surroundings (bumper,
//! grille, lamps) came along or stayed behind. A car's come along; around a telephone held up, or a printed sheet, the
//! lane stays where it is.
//!
//! A ring of brightness samples is taken around the plate, in units of the plate: a band to its left, one to its right, one
//! above. Once the plate has moved, two stories are compared for each band: it moved with the plate, or it stayed where it
//! was. Whichever leaves the smaller difference is the better one; by how much is added up over the frames. A car reaches
//! two plate widths to either side; whoever carries a sheet does not, so both sides are asked on their own.

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
/// Fewer of a band's samples within the picture than this share tell nothing.
const SEEN: f32 = 0.5;

/// The bands of the ring.
pub const BANDS: usize = 3;
const LEFT: usize = 0;
const RIGHT: usize = 1;
const ABOVE: usize = 2;

/// Where the ring lies: the plate's centre and width.
#[derive(Clone, Copy, Debug)]
struct Place {
    x: f32,
    y: f32,
    width: f32,
}

/// A ring and where it was taken; `NAN` beyond the picture's edge.
#[derive(Clone, Debug)]
struct Ring {
    place: Place,
    bands: Bands,
}

type Bands = [Vec<f32>; BANDS];

/// What was found so far about one plate's surroundings.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    reference: Option<Ring>,
    moved: Bands,
    stayed: Bands,
    scores: [Option<f32>; BANDS],
}

impl Surroundings {
    /// Looks at the next frame with this plate.
    pub fn look(&mut self, picture: &Picture, quad: &Quad) {
        let [x, y] = quad.centre();
        let here = Place { x, y, width: quad.width().max(1.0) };
        let Some(reference) = &mut self.reference else {
            let mut bands = Bands::default();
            sample(picture, here, &mut bands);
            self.reference = Some(Ring { place: here, bands });
            return;
        };
        let was = reference.place;
        let shift = (here.x - was.x).hypot(here.y - was.y);
        let stretch = (here.width - was.width).abs() * SIDE;
        if shift.max(stretch) < MOVED * STEP * was.width {
            return;
        }
        sample(picture, here, &mut self.moved);
        sample(picture, was, &mut self.stayed);
        for band in 0..BANDS {
            let before = &reference.bands[band];
            if let (Some(moved), Some(stayed)) =
                (unlikeness(before, &self.moved[band]), unlikeness(before, &self.stayed[band]))
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
}

/// Takes the ring around this place.
fn sample(picture: &Picture, at: Place, into: &mut Bands) {
    into.iter_mut().for_each(Vec::clear);
    let steps = |reach: f32| (reach / STEP).round() as i32;
    for v in -steps(UP)..=steps(DOWN) {
        for u in -steps(SIDE)..=steps(SIDE) {
            let (du, dv) = (u as f32 * STEP, v as f32 * STEP);
            let band = match () {
                () if du <= -OWN_SIDE => LEFT,
                () if du >= OWN_SIDE => RIGHT,
                () if dv <= -OWN_HEIGHT => ABOVE,
                () => continue,
            };
            into[band].push(grey(picture, at.x + du * at.width, at.y + dv * at.width, at.width * STEP));
        }
    }
}

/// The mean brightness (green) of a square of this side, from at most nine of its pixels; `NAN` beyond the edge.
fn grey(picture: &Picture, x: f32, y: f32, side: f32) -> f32 {
    let third = side / 3.0;
    let mut sum = 0.0;
    for dy in [-third, 0.0, third] {
        for dx in [-third, 0.0, third] {
            let (px, py) = (x + dx, y + dy);
            if px < 0.0 || py < 0.0 || px >= picture.width as f32 || py >= picture.height as f32 {
                return f32::NAN;
            }
            sum += f32::from(picture.bgr[(py as usize * picture.width + px as usize) * 3 + 1]);
        }
    }
    sum / 9.0
}

/// How unlike two rings are: 0 the same but for the light, 1 nothing in common. None if too little is to be seen.
fn unlikeness(a: &[f32], b: &[f32]) -> Option<f32> {
    let pairs = || a.iter().zip(b).filter(|(x, y)| x.is_finite() && y.is_finite());
    let n = pairs().count() as f32;
    if n < SEEN * a.len() as f32 {
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
mod tests {
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
            around.look(&picture, &quad);
        }
        around.scores()
    }

    #[test]
    fn a_body_comes_along_and_a_lane_stays_behind() {
        let coming = |n: f32| Place { x: 320.0 + n, y: 150.0 + 5.0 * n, width: 50.0 + 4.0 * n };
        let (car, sheet) = (scores(9.0, coming), scores(0.65, coming));
        let of_sheet = [sheet[LEFT], sheet[RIGHT]];
        assert!(
            car.iter().all(|s| s.unwrap() > 1.0) && of_sheet.iter().all(|s| s.unwrap() < -1.0),
            "{car:?} {sheet:?}"
        );
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
            around.look(&Picture::filled(640, 360, [9, 9, 9]), &quad);
            around.look(&Picture::filled(64, 36, [9, 9, 9]), &quad);
        }
        assert_eq!(around.scores(), [None; BANDS]);
    }
}
