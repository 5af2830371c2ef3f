//! Photographs of plates that somebody shows to the camera.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::paint::{self, EYE, F, HORIZON, Light, PLATE_WIDTH, bilinear, put};
use super::photo::Photo;
use crate::picture::Picture;

/// How somebody shows a photograph of a plate to the camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trick {
    /// A telephone, held still.
    Held,
    /// A telephone, moved towards the camera.
    Pushed,
    /// A sheet of paper, carried along the lane before the chest.
    Carried,
    /// A print in black and white, moved towards the camera.
    Grey,
    /// A print as large as a plate, carried along the lane as high as a plate hangs, before the knees.
    Low,
}

impl Trick {
    /// All of them.
    pub const ALL: [Trick; 5] = [Trick::Held, Trick::Pushed, Trick::Carried, Trick::Grey, Trick::Low];

    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Trick::Held => "held",
            Trick::Pushed => "pushed",
            Trick::Carried => "carried",
            Trick::Grey => "grey",
            Trick::Low => "low",
        }
    }
}

/// A photograph of a plate and how it is shown.
pub struct Spoof {
    flat: Picture,
    trick: Trick,
    from: [f32; 2],
    width: f32,
    margin: f32,
    cloth: u32,
}

impl Spoof {
    /// Shows this photograph's plate.
    pub fn of_photo(photo: &Photo, trick: Trick, rng: &mut ChaCha8Rng) -> Spoof {
        Spoof::of_flat(photo.flat(0.06), trick, rng)
    }

    /// Shows this flat plate.
    pub fn of_flat(mut flat: Picture, trick: Trick, rng: &mut ChaCha8Rng) -> Spoof {
        if trick == Trick::Grey {
            for pixel in flat.bgr.chunks_exact_mut(3) {
                let grey = (u16::from(pixel[0]) + 2 * u16::from(pixel[1]) + u16::from(pixel[2])) / 4;
                pixel.fill(grey as u8);
            }
        }
        let from = [rng.random_range(400.0..880.0), rng.random_range(260.0..560.0)];
        let (width, margin) = (rng.random_range(75.0..140.0), rng.random_range(0.02..0.15));
        Spoof { flat, trick, from, width, margin, cloth: rng.random_range(0..1000) }
    }

    /// Where the plate is in this frame of so many, and how wide.
    fn at(&self, frame: usize, frames: usize, rng: &mut ChaCha8Rng) -> ([f32; 2], f32) {
        let wobble = |rng: &mut ChaCha8Rng, by: f32| rng.random_range(-by..by);
        let t = frame as f32 / frames as f32;
        let [x, y] = self.from;
        // At a walk: a thing so wide, so high above the ground.
        let walked = |wide: f32, height: f32, rng: &mut ChaCha8Rng| {
            let z = 6.5 - 3.6 * t;
            let y = HORIZON + F * (EYE - height) / z;
            ([640.0 + (x - 640.0) * 2.0 / z + wobble(rng, 3.0), y + wobble(rng, 3.0)], F * wide / z)
        };
        match self.trick {
            Trick::Held => {
                let width = self.width * (1.0 + wobble(rng, 0.02));
                ([x + wobble(rng, 4.0), y + wobble(rng, 4.0)], width)
            }
            Trick::Pushed | Trick::Grey => {
                let width = 60.0 + (self.width + 20.0 - 60.0) * t;
                ([x + wobble(rng, 5.0), y + 50.0 * t + wobble(rng, 5.0)], width)
            }
            Trick::Carried => walked(0.27, 1.2, rng),
            Trick::Low => walked(PLATE_WIDTH, 0.45, rng),
        }
    }

    /// Paints a frame.
    pub fn paint(
        &self,
        ground: &Picture,
        light: Light,
        frame: (usize, usize),
        rng: &mut ChaCha8Rng,
        into: &mut Picture,
    ) {
        paint::empty(ground, into);
        let (centre, width) = self.at(frame.0, frame.1, rng);
        let within = |v: f32, most: usize| v.clamp(0.0, most as f32) as usize;
        // Whoever holds it reaches no further than this.
        let (left, right) = (within(centre[0] - width, into.width), within(centre[0] + width, into.width));
        let (top, bottom) = match self.trick {
            Trick::Carried | Trick::Low => (0, into.height),
            _ => (within(centre[1] - width, into.height), within(centre[1] + width, into.height)),
        };
        for y in top..bottom {
            for x in left..right {
                if let Some(colour) = self.colour(x as f32 - centre[0], y as f32 - centre[1], width) {
                    put(into, x, y, colour);
                }
            }
        }
        paint::develop(light, rng, into);
    }

    /// What is to be seen so far from the plate's centre, pixels; none where the lane is.
    fn colour(&self, dx: f32, dy: f32, width: f32) -> Option<[f32; 3]> {
        let (half, high) = (width / 2.0, width * self.flat.height as f32 / self.flat.width as f32 / 2.0);
        let scale = self.flat.width as f32 / width;
        if dx.abs() < half && dy.abs() < high {
            return bilinear(&self.flat, (dx + half) * scale, (dy + high) * scale);
        }
        let paper = matches!(self.trick, Trick::Carried | Trick::Grey | Trick::Low);
        let edge = width * self.margin;
        if dx.abs() < half + edge + width * 0.04 && dy.abs() < width * 0.36 {
            return Some(if paper { [235.0; 3] } else { [18.0, 16.0, 16.0] });
        }
        let (u, v) = (dx / width, dy / width);
        let on_person = match self.trick {
            Trick::Carried => u.abs() < 0.95 && v > -1.9,
            // A grown person's shoulders are as wide as a plate.
            Trick::Low => u.abs() < 0.6 && (-2.9..1.0).contains(&v),
            _ => false,
        };
        on_person.then(|| self.cloth_at(u, v))
    }

    fn cloth_at(&self, u: f32, v: f32) -> [f32; 3] {
        let fold = (u * 9.0 + self.cloth as f32).sin() + (v * 7.0 + u * 4.0).cos();
        let skin = v < if self.trick == Trick::Low { -2.3 } else { -1.1 };
        let base = if skin { [120.0, 150.0, 200.0] } else { [90.0, 70.0, (self.cloth % 200) as f32] };
        base.map(|c: f32| (c + 22.0 * fold).clamp(0.0, 255.0))
    }
}
