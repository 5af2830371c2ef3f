//! The front of a car: bonnet, grille, lamps, bumper with its intakes, and the recess that the plate sits in.

use super::Arrival;
use super::canvas::{self, Bgr, lit};
use super::scene::{F, project, unproject};
use crate::picture::Picture;
use crate::plate::Colour;

/// Body colours of the cars, blue, green, red, and the plates that are not painted on such a car: a plate on a body of its own
/// colour is a riddle for eyes, not an arrival.
const BODIES: [(Bgr, &[Colour]); 7] = [
    ([60, 50, 190], &[]),
    ([205, 205, 210], &[Colour::White, Colour::Green, Colour::YellowGreen]),
    ([70, 66, 62], &[Colour::Black]),
    ([150, 90, 40], &[Colour::Blue, Colour::Black]),
    ([235, 235, 235], &[Colour::White, Colour::Green, Colour::YellowGreen]),
    ([60, 95, 60], &[Colour::Green, Colour::YellowGreen]),
    ([88, 104, 122], &[]),
];
/// The size of the paint's grain (dirt, flakes, small dents), metres, and how much brighter or darker it makes the paint.
const GRAIN: f32 = 0.035;
const GRAININESS: f32 = 0.09;

/// One car, `z` metres away.
pub(super) struct Front<'a> {
    pub(super) on: &'a mut Picture,
    pub(super) z: f32,
    pub(super) light: f32,
}

impl Front<'_> {
    /// Paints it, all but the plate.
    pub(super) fn paint(&mut self, car: &Arrival) {
        let number: usize = car.plate.slots().iter().map(|&s| s as usize).sum();
        let body = body(number, car.colour);
        let (dark, black) = ([38, 36, 36], [22, 21, 20]);
        self.part(&[[-1.0, 0.03], [1.0, 0.03], [1.05, -0.04], [-1.05, -0.04]], [30, 30, 30]);
        self.sides(&[[0.66, 0.3], [0.88, 0.3], [0.88, 0.0], [0.66, 0.0]], [20, 20, 20]);
        self.cabin(body);
        self.part(&[[-0.86, 1.0], [0.86, 1.0], [0.92, 0.6], [-0.92, 0.6]], body);
        // The bonnet's edge and its two creases.
        self.part(&block(0.85, 0.945, 0.965), lit(body, 0.55));
        self.sides(&[[0.36, 0.94], [0.4, 0.94], [0.52, 0.8], [0.47, 0.8]], lit(body, 0.78));
        self.part(&block(0.92, 0.24, 0.62), lit(body, 0.93));
        self.part(&block(0.92, 0.595, 0.615), lit(body, 0.5));
        self.grille(dark);
        self.lamps();
        // The bumper: an intake with a fog lamp on either side, one in the middle below, and a lip.
        self.sides(&[[0.52, 0.47], [0.8, 0.54], [0.84, 0.34], [0.5, 0.35]], dark);
        self.sides(&[[0.55, 0.4], [0.8, 0.4], [0.8, 0.415], [0.55, 0.415]], lit(body, 0.7));
        self.part(&block(0.46, 0.25, 0.335), black);
        self.part(&block(0.46, 0.285, 0.3), [70, 70, 70]);
        self.part(&block(0.9, 0.235, 0.25), [60, 60, 62]);
        for side in [-0.67, 0.67] {
            self.disc([side, 0.45], [0.045, 0.045], [196, 200, 204]);
        }
        // The recess, and sensors beside it.
        self.part(&[[-0.3, 0.57], [0.3, 0.57], [0.27, 0.35], [-0.27, 0.35]], lit(body, 0.62));
        for side in [-0.4, 0.4] {
            self.disc([side, 0.5], [0.016, 0.016], black);
        }
        self.grain(number as u32);
    }

    fn cabin(&mut self, body: Bgr) {
        self.part(&[[-0.62, 1.46], [0.62, 1.46], [0.86, 0.95], [-0.86, 0.95]], body);
        self.part(&[[-0.56, 1.4], [0.56, 1.4], [0.74, 1.0], [-0.74, 1.0]], [120, 108, 96]);
        // The sky in the glass, two heads, the wheel, wipers, mirrors.
        self.part(&[[-0.5, 1.38], [0.1, 1.38], [-0.2, 1.12], [-0.62, 1.12]], [150, 138, 124]);
        for side in [-0.3, 0.3] {
            self.disc([side, 1.2], [0.1, 0.12], [66, 60, 56]);
        }
        self.part(&[[0.1, 1.06], [0.52, 1.06], [0.54, 1.0], [0.08, 1.0]], [48, 46, 44]);
        self.part(&[[-0.6, 1.03], [0.2, 1.045], [0.2, 1.025], [-0.6, 1.01]], [26, 26, 26]);
        self.sides(&[[0.8, 1.12], [0.96, 1.12], [0.96, 1.0], [0.8, 1.02]], lit(body, 0.8));
    }

    fn grille(&mut self, dark: Bgr) {
        self.part(&[[-0.46, 0.79], [0.46, 0.79], [0.4, 0.6], [-0.4, 0.6]], dark);
        for n in 0..4 {
            let low = 0.615 + 0.042 * n as f32;
            self.part(&block(0.4 + 0.012 * n as f32, low, low + 0.014), [170, 170, 170]);
        }
        self.disc([0.0, 0.695], [0.06, 0.05], [205, 205, 205]);
        self.disc([0.0, 0.695], [0.035, 0.028], [60, 52, 48]);
    }

    fn lamps(&mut self) {
        let lamp = if self.light < 0.5 { [225, 250, 255] } else { [225, 225, 220] };
        for side in [-1.0, 1.0] {
            self.disc([side * 0.68, 0.69], [0.18, 0.085], [58, 56, 54]);
            let [x, y] = project(side * 0.66, 0.69, self.z);
            canvas::ellipse(self.on, [x, y], [0.11 * F / self.z, 0.06 * F / self.z], lamp);
            self.disc([side * 0.79, 0.71], [0.035, 0.035], [70, 140, 230]);
        }
    }

    /// A polygon in metres to the right and above the ground.
    fn part(&mut self, points: &[[f32; 2]], colour: Bgr) {
        let mut seen = [[0.0; 2]; 4];
        for (to, [x, h]) in seen.iter_mut().zip(points) {
            *to = project(*x, *h, self.z);
        }
        canvas::polygon(self.on, &seen[..points.len().min(4)], lit(colour, self.light));
    }

    /// The same on both sides.
    fn sides(&mut self, points: &[[f32; 2]; 4], colour: Bgr) {
        self.part(points, colour);
        self.part(&points.map(|[x, h]| [-x, h]), colour);
    }

    fn disc(&mut self, [x, h]: [f32; 2], size: [f32; 2], colour: Bgr) {
        let (centre, size) = (project(x, h, self.z), size.map(|r| r * F / self.z));
        canvas::ellipse(self.on, centre, size, lit(colour, self.light));
    }

    /// Roughens bonnet and bumper.
    fn grain(&mut self, number: u32) {
        let ([left, top], [right, bottom]) = (project(-0.86, 0.94, self.z), project(0.86, 0.25, self.z));
        let within = |v: f32, most: usize| v.clamp(0.0, most as f32) as usize;
        let (x0, x1) = (within(left, self.on.width), within(right, self.on.width));
        for y in within(top, self.on.height)..within(bottom, self.on.height) {
            let row = &mut self.on.bgr[(y * self.on.width + x0) * 3..(y * self.on.width + x1) * 3];
            for (n, pixel) in row.chunks_exact_mut(3).enumerate() {
                let [x, h] = unproject([(x0 + n) as f32, y as f32], self.z);
                let cell = |v: f32| ((v + 2.0) / GRAIN) as u32;
                let mixed = cell(x).wrapping_mul(0x9E37_79B1) ^ cell(h).wrapping_mul(0x85EB_CA77) ^ number << 20;
                let dice = (mixed ^ mixed >> 15).wrapping_mul(0x2C1B_3C6D) >> 24;
                let by = 1.0 + GRAININESS * (dice as f32 / 127.5 - 1.0);
                pixel.iter_mut().for_each(|c| *c = (f32::from(*c) * by).clamp(0.0, 255.0) as u8);
            }
        }
    }
}

fn block(x: f32, low: f32, high: f32) -> [[f32; 2]; 4] {
    [[-x, high], [x, high], [x, low], [-x, low]]
}

/// The body of a car with this plate.
fn body(number: usize, plate: Colour) -> Bgr {
    let apart = BODIES.iter().filter(|(_, not)| !not.contains(&plate));
    apart.clone().nth(number % apart.count().max(1)).map_or(BODIES[0].0, |(body, _)| *body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_body_has_its_plates_colour() {
        for plate in Colour::ALL {
            let bodies: Vec<Bgr> = (0..20).map(|n| body(n, plate)).collect();
            assert!(bodies.iter().any(|b| *b != bodies[0]), "{plate:?}");
        }
        assert!((0..20).all(|n| body(n, Colour::Blue) != [150, 90, 40]));
        assert!((0..20).all(|n| body(n, Colour::White) != [235, 235, 235]));
    }
}
