//! The lane that approaches are painted on, and the camera that sees them.
//!
//! A pinhole camera 1.5 m above the ground: a plate `z` metres away, `h` metres up and `x` metres to the side is seen at
//! `(640 + F x / z, HORIZON + F (1.5 - h) / z)`.

use std::sync::{Arc, LazyLock};

use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::stage::Painter;
use crate::picture::Picture;

/// The size of the frames, pixels.
pub const WIDTH: usize = 1280;
/// See [`WIDTH`].
pub const HEIGHT: usize = 720;
/// The camera's focal length, the horizon's line and the camera's height; pixels, pixels, metres.
pub const F: f32 = 1150.0;
/// See [`F`].
pub const HORIZON: f32 = 250.0;
/// See [`F`].
pub const EYE: f32 = 1.5;
/// A plate's width, metres.
pub const PLATE_WIDTH: f32 = 0.44;
/// From this width on, pixels, a plate is readable: other systems ask for more (XProtect LPR for 130 and 170, "Plate width
/// recommendations" in its manual).
pub const READABLE_PX: f32 = 80.0;
/// A plate's height above the ground, metres.
const PLATE_HEIGHT: f32 = 0.45;
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

/// The first frame of so many that has the plate at a readable size.
pub fn readable_from(frames: usize) -> usize {
    let width = |frame| F * PLATE_WIDTH / distance(frame, frames);
    (0..frames).find(|frame| width(*frame) >= READABLE_PX).unwrap_or(frames)
}

/// How far away a car is in this frame of so many.
pub fn distance(frame: usize, frames: usize) -> f32 {
    let t = (frame as f32 / (WAY * frames as f32)).min(1.0);
    // It brakes: the way is a parabola in time.
    FAR + (STOP - FAR) * (1.0 - (1.0 - t) * (1.0 - t)) * 0.999
}

/// The light of one approach.
#[derive(Clone, Copy)]
pub struct Light {
    gain: [f32; 3],
    noise: f32,
    /// How sharp, 1 is as the photograph is.
    pub sharp: f32,
    /// Smear downwards between neighbouring lines, pixels.
    pub smear: f32,
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
    pub side: f32,
    /// Turned by so much, radians.
    pub roll: f32,
    /// Its plate's height, metres.
    pub height: f32,
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

/// The camera's tremor, pixels.
pub fn shake(rng: &mut ChaCha8Rng) -> f32 {
    rng.random_range(-0.6..0.6)
}

/// The empty lane behind everything.
pub fn ground() -> Arc<Picture> {
    let mut wide = Picture::default();
    crate::camera::rendered::Scene::new(3).paint(None, false, false, &mut wide);
    let mut small = wide.shrunk_to(WIDTH);
    small.bgr.resize(WIDTH * HEIGHT * 3, 90);
    Arc::new(Picture { width: WIDTH, height: HEIGHT, bgr: small.bgr })
}

/// A frame that shows the empty lane.
pub fn empty(ground: &Picture, into: &mut Picture) {
    (into.width, into.height) = (ground.width, ground.height);
    into.bgr.clone_from(&ground.bgr);
}

/// Paints the lane before an approach: empty, and under another exposure than what comes then, by up to a quarter either way.
pub fn before(ground: Arc<Picture>, light: Light, seed: u64) -> Painter {
    let (exposure, mut rng) = exposure(seed);
    let light = Light { gain: light.gain.map(|g| g * exposure), ..light };
    Box::new(move |_, into| {
        empty(&ground, into);
        develop(light, &mut rng, into);
    })
}

/// How much brighter the lane before an approach is, and dice for its noise.
pub fn exposure(seed: u64) -> (f32, ChaCha8Rng) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(u64::MAX);
    (rng.random_range(0.8..1.25), rng)
}

/// Sums of two dice, -255..=255, more than a frame has pixels: every frame begins somewhere else in it.
static NOISE: LazyLock<Vec<i16>> = LazyLock::new(|| {
    let mut bytes = vec![0u8; 2 * (WIDTH * HEIGHT + STARTS)];
    ChaCha8Rng::seed_from_u64(7).fill_bytes(&mut bytes);
    bytes.chunks_exact(2).map(|b| i16::from(b[0]) + i16::from(b[1]) - 255).collect()
});
const STARTS: usize = 1 << 18;

/// What the camera makes of a painted frame: the light, and noise of its own for every pixel.
pub fn develop(light: Light, rng: &mut ChaCha8Rng, frame: &mut Picture) {
    let gain = light.gain.map(|g| (g * 256.0).round() as i32);
    let amplitude = (light.noise * 2.0).round() as i32;
    let noise = &NOISE[rng.random_range(0..STARTS)..];
    for (pixel, n) in frame.bgr.chunks_exact_mut(3).zip(noise) {
        let n = (i32::from(*n) * amplitude) >> 8;
        for i in 0..3 {
            pixel[i] = (((i32::from(pixel[i]) * gain[i]) >> 8) + n).clamp(0, 255) as u8;
        }
    }
}

/// The colour between four pixels; none beyond the edge.
pub fn bilinear(from: &Picture, u: f32, v: f32) -> Option<[f32; 3]> {
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

/// Sets one pixel.
pub fn put(on: &mut Picture, x: usize, y: usize, colour: [f32; 3]) {
    let pixel = &mut on.bgr[(y * on.width + x) * 3..][..3];
    pixel.copy_from_slice(&colour.map(|c| c.clamp(0.0, 255.0) as u8));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_the_arm_a_plate_is_as_wide_as_the_help_of_narrowest_says() {
        let width = F * PLATE_WIDTH / distance(13, 14);
        assert_eq!(width as u16, 126, "{width}");
    }

    #[test]
    fn the_camera_darkens_and_adds_noise_that_is_the_same_for_a_seed() {
        let ground = ground();
        let light = Light::draw(true, &mut ChaCha8Rng::seed_from_u64(1));
        let frame = |seed| {
            let mut frame = Picture::default();
            empty(&ground, &mut frame);
            develop(light, &mut ChaCha8Rng::seed_from_u64(seed), &mut frame);
            frame
        };
        let mean = |p: &Picture| p.bgr.iter().map(|b| f64::from(*b)).sum::<f64>() / p.bgr.len() as f64;
        assert!(frame(1) == frame(1) && frame(1) != frame(2));
        let share = mean(&frame(1)) / mean(&ground);
        assert!((0.25..0.65).contains(&share), "{share}");
    }
}
