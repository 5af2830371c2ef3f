//! Approaches to look at: a photograph that comes nearer along a lane, and photographs of plates that somebody holds up.
//!
//! The lane is seen by a pinhole camera 1.5 m above the ground; a plate `z` metres away, `h` metres up and `x` metres to
//! the side is seen at `(640 + F x / z, HORIZON + F (1.5 - h) / z)`.

use std::sync::Arc;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::picture::{Picture, Quad};
use crate::vision::warp::Homography;

/// The size of the frames, pixels.
pub const WIDTH: usize = 1280;
/// See [`WIDTH`].
pub const HEIGHT: usize = 720;
const F: f32 = 1150.0;
const HORIZON: f32 = 250.0;
const EYE: f32 = 1.5;
/// A plate's height above the ground and its width, metres.
const PLATE_HEIGHT: f32 = 0.45;
const PLATE_WIDTH: f32 = 0.44;
const FAR: f32 = 9.5;
const STOP: f32 = 4.0;
/// Of the frames of an approach, this share is the way; then the car stands.
const WAY: f32 = 0.75;

/// The lane's geometry for the check for photographs: x, y and width at this distance, as shares of the frame.
pub fn place(z: f32) -> [f32; 3] {
    let y = HORIZON + F * (EYE - PLATE_HEIGHT) / z;
    [0.5, y / HEIGHT as f32, F * PLATE_WIDTH / z / WIDTH as f32]
}

/// The far and the near end of the way.
pub fn ends() -> ([f32; 3], [f32; 3]) {
    (place(FAR), place(STOP))
}

/// How far away a car is in this frame of so many.
pub fn distance(frame: usize, frames: usize) -> f32 {
    let t = (frame as f32 / (WAY * frames as f32)).min(1.0);
    // It brakes: the way is a parabola in time.
    FAR + (STOP - FAR) * (1.0 - (1.0 - t) * (1.0 - t)) * 0.999
}

/// A photograph, in sizes, with where the plate is on it.
pub struct Photo {
    levels: Vec<Picture>,
    quad: Quad,
}

impl Photo {
    /// Takes a photograph and the plate's corners on it.
    pub fn new(picture: Picture, quad: Quad) -> Photo {
        let mut levels = vec![picture];
        for level in 1..4 {
            let smaller = levels[0].shrunk_to(levels[0].width.max(levels[0].height) >> level);
            levels.push(smaller);
        }
        Photo { levels, quad }
    }

    /// The plate alone, laid flat, with a margin.
    fn flat(&self, margin: f32) -> Picture {
        let (w, h) = (440.0, 140.0);
        let (mx, my) = (w * margin, h * margin);
        let inner = Quad([[mx, my], [mx + w, my], [mx + w, my + h], [mx, my + h]]);
        let (width, height) = ((w + 2.0 * mx) as usize, (h + 2.0 * my) as usize);
        let mut flat = Picture::filled(width, height, [0, 0, 0]);
        if let Some(back) = Homography::between(&inner, &self.quad) {
            for y in 0..height {
                for x in 0..width {
                    let [u, v] = back.apply([x as f32, y as f32]);
                    let colour = bilinear(&self.levels[0], u, v).unwrap_or([0.0; 3]);
                    put(&mut flat, x, y, colour);
                }
            }
        }
        flat
    }
}

/// The light of one approach.
#[derive(Clone, Copy)]
pub struct Light {
    gain: [f32; 3],
    noise: f32,
    /// How sharp, 1 is as the photograph is.
    sharp: f32,
    /// Smear downwards between neighbouring lines, pixels.
    smear: f32,
}

impl Light {
    /// By day or by night.
    pub fn draw(night: bool, rng: &mut ChaCha8Rng) -> Light {
        let level = if night { rng.random_range(0.3..0.55) } else { rng.random_range(0.65..1.15) };
        let gain = [0; 3].map(|_| level * rng.random_range(0.92..1.08));
        let noise = if night { rng.random_range(4.0..10.0) } else { rng.random_range(1.0..5.0) };
        Light { gain, noise, sharp: rng.random_range(0.75..1.4), smear: rng.random_range(0.0..2.5) }
    }
}

/// How a car drives up.
#[derive(Clone, Copy)]
pub struct Drive {
    /// Metres to the side of the camera's axis.
    side: f32,
    /// Turned by so much, radians.
    roll: f32,
    /// Its plate's height, metres.
    height: f32,
}

impl Drive {
    /// Any way a car may drive.
    pub fn draw(rng: &mut ChaCha8Rng) -> Drive {
        Drive {
            side: rng.random_range(-0.6..0.6),
            roll: rng.random_range(-0.05..0.05),
            height: rng.random_range(0.35..0.6),
        }
    }
}

/// Paints the photograph's car at this distance.
pub fn car(
    photo: &Photo,
    ground: &Picture,
    drive: Drive,
    light: Light,
    z: f32,
    rng: &mut ChaCha8Rng,
    into: &mut Picture,
) {
    let wanted = F * PLATE_WIDTH / z;
    let centre = [640.0 + F * drive.side / z + shake(rng), HORIZON + F * (EYE - drive.height) / z + shake(rng)];
    let scale = photo.quad.width() / wanted;
    let level = photo
        .levels
        .iter()
        .rposition(|l| photo.levels[0].width as f32 / l.width as f32 <= (scale / light.sharp).max(1.0));
    let from = &photo.levels[level.unwrap_or(0)];
    let shrink = from.width as f32 / photo.levels[0].width as f32;
    let [px, py] = photo.quad.centre();
    let (sin, cos) = drive.roll.sin_cos();
    compose(ground, light, rng, into, |x, y| {
        let (dx, dy) = ((x - centre[0]) * scale, (y - centre[1]) * scale);
        let (u, v) = ((px + cos * dx - sin * dy) * shrink, (py + sin * dx + cos * dy) * shrink);
        bilinear(from, u, v).map(|a| {
            let b = bilinear(from, u, v + light.smear * scale * shrink).unwrap_or(a);
            [0, 1, 2].map(|i| (a[i] + b[i]) / 2.0)
        })
    });
}

fn shake(rng: &mut ChaCha8Rng) -> f32 {
    rng.random_range(-0.6..0.6)
}

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
}

impl Trick {
    /// All of them.
    pub const ALL: [Trick; 4] = [Trick::Held, Trick::Pushed, Trick::Carried, Trick::Grey];

    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Trick::Held => "held",
            Trick::Pushed => "pushed",
            Trick::Carried => "carried",
            Trick::Grey => "grey",
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
        match self.trick {
            Trick::Held => {
                let width = self.width * (1.0 + wobble(rng, 0.02));
                ([x + wobble(rng, 4.0), y + wobble(rng, 4.0)], width)
            }
            Trick::Pushed | Trick::Grey => {
                let width = 60.0 + (self.width + 20.0 - 60.0) * t;
                ([x + wobble(rng, 5.0), y + 50.0 * t + wobble(rng, 5.0)], width)
            }
            Trick::Carried => {
                // At a walk, before the chest, on paper of A4.
                let z = 6.5 - 3.6 * t;
                let y = HORIZON + F * (EYE - 1.2) / z;
                ([640.0 + (x - 640.0) * 2.0 / z + wobble(rng, 3.0), y + wobble(rng, 3.0)], F * 0.27 / z)
            }
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
        let (centre, width) = self.at(frame.0, frame.1, rng);
        let (half, high) = (width / 2.0, width * self.flat.height as f32 / self.flat.width as f32 / 2.0);
        let scale = self.flat.width as f32 / width;
        let edge = width * self.margin;
        let paper = matches!(self.trick, Trick::Carried | Trick::Grey);
        let rim = if paper { [235.0; 3] } else { [18.0, 16.0, 16.0] };
        compose(ground, light, rng, into, |x, y| {
            let (dx, dy) = (x - centre[0], y - centre[1]);
            if dx.abs() < half && dy.abs() < high {
                let (u, v) = ((dx + half) * scale, (dy + high) * scale);
                return bilinear(&self.flat, u, v);
            }
            let on_rim = dx.abs() < half + edge + width * 0.04 && dy.abs() < width * 0.36;
            let on_person = self.trick == Trick::Carried && dx.abs() < width * 0.95 && dy > -width * 1.9;
            match (on_rim, on_person) {
                (true, _) => Some(rim),
                (_, true) => Some(self.cloth_at(dx / width, dy / width)),
                _ => None,
            }
        });
    }

    fn cloth_at(&self, u: f32, v: f32) -> [f32; 3] {
        let fold = (u * 9.0 + self.cloth as f32).sin() + (v * 7.0 + u * 4.0).cos();
        let skin = v < -1.1;
        let base = if skin { [120.0, 150.0, 200.0] } else { [90.0, 70.0, (self.cloth % 200) as f32] };
        base.map(|c: f32| (c + 22.0 * fold).clamp(0.0, 255.0))
    }
}

/// Fills a frame: what `over` gives, else the ground; in this light.
fn compose(
    ground: &Picture,
    light: Light,
    rng: &mut ChaCha8Rng,
    into: &mut Picture,
    over: impl Fn(f32, f32) -> Option<[f32; 3]>,
) {
    (into.width, into.height) = (WIDTH, HEIGHT);
    into.bgr.clear();
    into.bgr.reserve(WIDTH * HEIGHT * 3);
    let mut state: u32 = rng.random();
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let behind = &ground.bgr[(y * WIDTH + x) * 3..][..3];
            let colour = over(x as f32, y as f32).unwrap_or_else(|| [0, 1, 2].map(|i| f32::from(behind[i])));
            // A cheap noise of its own for every pixel (xorshift, Marsaglia 2003).
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let noise = ((state & 0xff) as f32 + (state >> 8 & 0xff) as f32 - 255.0) / 128.0 * light.noise;
            into.bgr.extend([0, 1, 2].map(|i| (colour[i] * light.gain[i] + noise).clamp(0.0, 255.0) as u8));
        }
    }
}

fn put(on: &mut Picture, x: usize, y: usize, colour: [f32; 3]) {
    let pixel = &mut on.bgr[(y * on.width + x) * 3..][..3];
    pixel.copy_from_slice(&colour.map(|c| c.clamp(0.0, 255.0) as u8));
}

fn bilinear(from: &Picture, u: f32, v: f32) -> Option<[f32; 3]> {
    let (x, y) = (u.floor(), v.floor());
    if x < 0.0 || y < 0.0 || x + 1.0 >= from.width as f32 || y + 1.0 >= from.height as f32 {
        return None;
    }
    let (fx, fy) = (u - x, v - y);
    let at = (y as usize * from.width + x as usize) * 3;
    let (upper, lower) = (&from.bgr[at..at + 6], &from.bgr[at + from.width * 3..][..6]);
    Some([0, 1, 2].map(|i| {
        let mix = |row: &[u8]| f32::from(row[i]) * (1.0 - fx) + f32::from(row[i + 3]) * fx;
        mix(upper) * (1.0 - fy) + mix(lower) * fy
    }))
}

/// The empty lane behind everything.
pub fn ground() -> Arc<Picture> {
    let mut wide = Picture::default();
    crate::camera::rendered::Scene::new(3).paint(None, false, false, &mut wide);
    let mut small = wide.shrunk_to(WIDTH);
    small.bgr.resize(WIDTH * HEIGHT * 3, 90);
    Arc::new(Picture { width: WIDTH, height: HEIGHT, bgr: small.bgr })
}
