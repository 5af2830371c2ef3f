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
    /// Of a telephone or a print held in the hand: on which side the forearm is, and who stands behind it, if the camera sees him.
    arm: f32,
    person: Option<Person>,
}

/// Somebody who stands behind what he shows, at arm's length.
struct Person {
    /// Metres from the camera, and where his middle is, pixels.
    z: f32,
    x: f32,
    /// His shoulders' half width, metres.
    half: f32,
    /// How many times further away he is when he begins.
    steps: f32,
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
        let cloth = rng.random_range(0..1000);
        let arm = rng.random_range(-0.4..0.4);
        let person = Person {
            z: rng.random_range(1.7..3.2),
            x: from[0] + rng.random_range(-60.0..60.0),
            half: rng.random_range(0.2..0.27),
            steps: if trick == Trick::Held { 1.0 } else { rng.random_range(1.0..1.3) },
        };
        let held = matches!(trick, Trick::Held | Trick::Pushed | Trick::Grey);
        let person = Some(person).filter(|_| held && rng.random_bool(0.5));
        Spoof { flat, trick, from, width, margin, cloth, arm, person }
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
        if let Some(person) = &self.person {
            self.stand(person, frame, into);
        }
        let within = |v: f32, most: usize| v.clamp(0.0, most as f32) as usize;
        // Whoever holds it reaches no further than this.
        let (left, right) = (within(centre[0] - width, into.width), within(centre[0] + width, into.width));
        let (top, bottom) = match self.trick {
            Trick::Carried | Trick::Low => (0, into.height),
            _ => (within(centre[1] - width, into.height), into.height),
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
            Trick::Held | Trick::Pushed | Trick::Grey => return self.hand(u, v),
        };
        on_person.then(|| self.cloth_at(u, v))
    }

    /// The fingers around the lower edge, and the forearm in its sleeve.
    fn hand(&self, u: f32, v: f32) -> Option<[f32; 3]> {
        let (fingers, sleeve) = ((u - self.arm).abs() < 0.3, v > 0.75);
        if !fingers || v < 0.3 || (sleeve && (u - self.arm).abs() > 0.24) {
            return None;
        }
        let fold = 14.0 * ((u - self.arm) * 24.0).sin();
        let base = if sleeve { [90.0, 70.0, (self.cloth % 200) as f32] } else { [120.0, 150.0, 200.0] };
        Some(base.map(|c: f32| (c + fold).clamp(0.0, 255.0)))
    }

    /// Paints who stands behind what is held: he sways a little, or comes a step nearer.
    fn stand(&self, person: &Person, (frame, frames): (usize, usize), into: &mut Picture) {
        let t = frame as f32 / frames as f32;
        let z = person.z * (person.steps + (1.0 - person.steps) * t);
        let x = person.x + 2.0 * (frame as f32 * 0.45).sin();
        let metre = F / z;
        let within = |v: f32, most: usize| v.clamp(0.0, most as f32) as usize;
        let (left, right) = (x - person.half * metre, x + person.half * metre);
        for py in within(HORIZON + (EYE - 1.75) * metre, into.height)..into.height {
            let height = EYE - (py as f32 - HORIZON) / metre;
            for px in within(left, into.width)..within(right, into.width) {
                let u = (px as f32 - x) / metre;
                let head = u.hypot((height - 1.6) * 0.8) < 0.115;
                let shoulders = height < 1.43 - 0.25 * u.abs();
                if height > 0.0 && (head || shoulders) {
                    // In the units that a sheet before the chest has; the head lies above its neck.
                    put(into, px, py, self.cloth_at(u * 4.0, if head { -2.4 } else { (1.2 - height) * 4.0 }));
                }
            }
        }
    }

    fn cloth_at(&self, u: f32, v: f32) -> [f32; 3] {
        let fold = (u * 9.0 + self.cloth as f32).sin() + (v * 7.0 + u * 4.0).cos();
        let skin = v < if self.trick == Trick::Carried { -1.1 } else { -2.3 };
        let base = if skin { [120.0, 150.0, 200.0] } else { [90.0, 70.0, (self.cloth % 200) as f32] };
        base.map(|c: f32| (c + 22.0 * fold).clamp(0.0, 255.0))
    }
}
