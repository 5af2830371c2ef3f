//! The lane by day and by night, with a car at a given distance.
//!
//! A pinhole camera 1.5 m above the ground looks along the lane: a point `x` metres to the right, `h` metres up and `z`
//! metres away is seen at `(960 + F x / z, HORIZON + F (1.5 - h) / z)`.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::canvas::{self, Bgr, lit};
use super::car::Front;
use super::{Arrival, plate};
use crate::picture::{Picture, Quad};
use crate::plate::{Colour, Plate};
use crate::vision::warp::Homography;

const WIDTH: usize = 1920;
const HEIGHT: usize = 1080;
/// The camera's focal length, pixels.
pub(super) const F: f32 = 1500.0;
const HORIZON: f32 = 380.0;
const EYE: f32 = 1.5;
/// The arm's distance and the post's place, metres.
const ARM: f32 = 3.4;
const POST: f32 = -1.75;

/// Paints the lane.
pub struct Scene {
    day: Picture,
    night: Picture,
    noise: Vec<i8>,
    rng: ChaCha8Rng,
    painted: Option<(Plate, Colour, Vec<Picture>)>,
}

impl Scene {
    /// A lane; the seed settles the noise.
    pub fn new(seed: u64) -> Scene {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let noise = (0..1 << 16).map(|_| (rng.random_range(-5i8..=5) + rng.random_range(-5i8..=5)) / 2).collect();
        Scene { day: background(1.0), night: background(0.16), noise, rng, painted: None }
    }

    /// Paints one frame: a car at this distance (metres), by day or by night, the arm up or down.
    pub fn paint(&mut self, car: Option<(&Arrival, f32)>, night: bool, arm_up: bool, into: &mut Picture) {
        let ground = if night { &self.night } else { &self.day };
        (into.width, into.height) = (WIDTH, HEIGHT);
        into.bgr.clear();
        into.bgr.extend_from_slice(&ground.bgr);
        let light = if night { 0.22 } else { 1.0 };
        if let Some((car, z)) = car {
            Front { on: into, z, light }.paint(car);
            self.paint_plate(into, car, z, night);
            if night {
                for side in [-0.66, 0.66] {
                    canvas::glow(into, project(side, 0.68, z), 0.17 * F / z, 150.0);
                }
            }
        }
        paint_arm(into, arm_up, light.max(0.5));
        self.add_noise(into, if night { 2 } else { 1 });
    }

    fn paint_plate(&mut self, on: &mut Picture, car: &Arrival, z: f32, night: bool) {
        if self.painted.as_ref().is_none_or(|(p, c, _)| (*p, *c) != (car.plate, car.colour)) {
            let flat = plate::paint_plate(&car.plate, car.colour);
            let levels = (1..4).fold(vec![flat], |mut all, level| {
                let smaller = all[0].shrunk_to(all[0].width >> level);
                all.push(smaller);
                all
            });
            self.painted = Some((car.plate, car.colour, levels));
        }
        let Some((_, _, levels)) = &self.painted else { return };
        let [w, h] = plate::size_mm(&car.plate).map(|mm| mm / 1000.0);
        let (left, right, top, bottom) = (-w / 2.0, w / 2.0, 0.45 + h / 2.0, 0.45 - h / 2.0);
        // The car stands at a slight angle: its right side is a little further away.
        let quad = Quad([
            project(left, top, z),
            project(right, top, z * 1.012),
            project(right, bottom, z * 1.012),
            project(left, bottom, z),
        ]);
        let wanted = quad.width() * 1.6;
        let level = levels.iter().rev().find(|l| l.width as f32 >= wanted).unwrap_or(&levels[0]);
        // Plates throw headlights back, other cars' and the street's: they are brighter than the car at night.
        lay(on, level, &quad, if night { 0.55 } else { 0.97 });
    }

    fn add_noise(&mut self, on: &mut Picture, strength: i8) {
        let mut at: usize = self.rng.random_range(0..self.noise.len());
        for row in on.bgr.chunks_exact_mut(WIDTH * 3) {
            at = (at + 7919) % (self.noise.len() - WIDTH * 3);
            for (c, n) in row.iter_mut().zip(&self.noise[at..at + WIDTH * 3]) {
                *c = c.saturating_add_signed(n * strength);
            }
        }
    }
}

/// Where a point is seen: metres to the right, above the ground and away.
pub(super) fn project(x: f32, h: f32, z: f32) -> [f32; 2] {
    [WIDTH as f32 / 2.0 + F * x / z, HORIZON + F * (EYE - h) / z]
}

/// Which point so far away is seen there: metres to the right and above the ground.
pub(super) fn unproject([x, y]: [f32; 2], z: f32) -> [f32; 2] {
    [(x - WIDTH as f32 / 2.0) * z / F, EYE - (y - HORIZON) * z / F]
}

/// Lays a flat picture on a quadrilateral, four samples a pixel.
fn lay(on: &mut Picture, flat: &Picture, quad: &Quad, light: f32) {
    let (w, h) = (flat.width as f32 - 1.0, flat.height as f32 - 1.0);
    let whole = Quad([[0.0, 0.0], [w, 0.0], [w, h], [0.0, h]]);
    let Some(back) = Homography::between(quad, &whole) else { return };
    let [x0, y0, x1, y1] = quad.bounds();
    let range = |a: f32, b: f32, most: usize| a.max(0.0) as usize..((b + 2.0).max(0.0) as usize).min(most);
    for y in range(y0 - 1.0, y1, on.height) {
        for x in range(x0 - 1.0, x1, on.width) {
            let (mut sum, mut hits) = ([0.0f32; 3], 0.0);
            for [dx, dy] in [[-0.25, -0.25], [0.25, -0.25], [-0.25, 0.25], [0.25, 0.25]] {
                let [u, v] = back.apply([x as f32 + dx, y as f32 + dy]);
                if (-0.5..=w + 0.5).contains(&u) && (-0.5..=h + 0.5).contains(&v) {
                    let (u, v) = (u.round().clamp(0.0, w) as usize, v.round().clamp(0.0, h) as usize);
                    let pixel = &flat.bgr[(v * flat.width + u) * 3..][..3];
                    sum = std::array::from_fn(|i| sum[i] + f32::from(pixel[i]));
                    hits += 1.0;
                }
            }
            let cover = hits / 4.0;
            if cover > 0.0 {
                let pixel = &mut on.bgr[(y * WIDTH + x) * 3..][..3];
                for (c, s) in pixel.iter_mut().zip(sum) {
                    *c = (f32::from(*c) * (1.0 - cover) + s / 4.0 * light).clamp(0.0, 255.0) as u8;
                }
            }
        }
    }
}

fn paint_arm(on: &mut Picture, up: bool, light: f32) {
    let post = [project(POST - 0.12, 1.1, ARM), project(POST + 0.12, 1.1, ARM)];
    let foot = [project(POST + 0.12, 0.0, ARM), project(POST - 0.12, 0.0, ARM)];
    canvas::polygon(on, &[post[0], post[1], foot[0], foot[1]], lit([60, 170, 235], light));
    for n in 0..12 {
        let colour = if n % 2 == 0 { lit([40, 40, 210], light) } else { lit([240, 240, 240], light) };
        let (a, b) = (n as f32 * 0.28, (n + 1) as f32 * 0.28);
        let corners = if up {
            [[POST - 0.04, 1.0 + a], [POST + 0.04, 1.0 + a], [POST + 0.04, 1.0 + b], [POST - 0.04, 1.0 + b]]
        } else {
            [[POST + a, 1.04], [POST + b, 1.04], [POST + b, 0.96], [POST + a, 0.96]]
        };
        canvas::polygon(on, &corners.map(|[x, h]| project(x, h, ARM)), colour);
    }
}

/// Sky, houses, walls, the road: everything that does not move.
fn background(light: f32) -> Picture {
    let mut picture = Picture::filled(WIDTH, HEIGHT, lit([120, 122, 124], light));
    for y in 0..HORIZON as usize {
        let t = y as f32 / HORIZON;
        let sky = lit([(238.0 - 20.0 * t) as u8, (214.0 + 8.0 * t) as u8, (196.0 + 26.0 * t) as u8], light);
        for pixel in picture.bgr[y * WIDTH * 3..(y + 1) * WIDTH * 3].chunks_exact_mut(3) {
            pixel.copy_from_slice(&sky);
        }
    }
    for (left, right, height, z, colour) in [
        (-16.0, -5.0, 15.0, 34.0, [150, 160, 172]),
        (4.5, 17.0, 15.0, 38.0, [140, 152, 166]),
        (-3.5, 3.0, 12.0, 60.0, [158, 164, 170]),
    ] {
        house(&mut picture, left, right, height, z, lit(colour, light), light);
    }
    let wall = |picture: &mut Picture, x: f32, colour: Bgr| {
        let corners = [project(x, 1.9, 40.0), project(x, 1.9, 2.2), project(x, 0.0, 2.2), project(x, 0.0, 40.0)];
        canvas::polygon(picture, &corners, colour);
    };
    wall(&mut picture, -3.0, lit([132, 140, 150], light));
    wall(&mut picture, 3.0, lit([120, 130, 142], light));
    let road = [project(-2.2, 0.0, 60.0), project(2.2, 0.0, 60.0), project(2.2, 0.0, 1.2), project(-2.2, 0.0, 1.2)];
    canvas::polygon(&mut picture, &road, lit([92, 90, 88], light));
    for side in [-2.05, 2.05] {
        let line = [[-0.05, 60.0], [0.05, 60.0], [0.05, 1.2], [-0.05, 1.2]].map(|[dx, z]| project(side + dx, 0.0, z));
        canvas::polygon(&mut picture, &line, lit([225, 228, 230], light));
    }
    picture
}

fn house(on: &mut Picture, left: f32, right: f32, height: f32, z: f32, colour: Bgr, light: f32) {
    let corners = [project(left, height, z), project(right, height, z), project(right, 0.0, z), project(left, 0.0, z)];
    canvas::polygon(on, &corners, colour);
    let (floors, windows) = ((height / 3.0) as usize, ((right - left) / 2.2) as usize);
    for floor in 0..floors {
        for n in 0..windows {
            let (x, h) = (left + 0.7 + 2.2 * n as f32, 1.0 + 3.0 * floor as f32);
            let warm = light < 0.5 && (floor * 7 + n * 3) % 4 == 0;
            let pane = if warm { [110, 200, 240] } else { lit([120, 104, 92], light) };
            let frame = [[x, h + 1.4], [x + 1.1, h + 1.4], [x + 1.1, h], [x, h]].map(|[x, h]| project(x, h, z));
            canvas::polygon(on, &frame, pane);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn frames_are_whole_at_every_distance() {
        let mut scene = Scene::new(1);
        let mut picture = Picture::default();
        for night in [false, true] {
            let car =
                Arrival { plate: "苏FD12345".parse().unwrap(), colour: Colour::Green, night, hold: Duration::ZERO };
            for z in [40.0, 14.0, 4.3, 1.7, 0.8] {
                scene.paint(Some((&car, z)), night, z < 4.0, &mut picture);
                assert_eq!(picture.bgr.len(), WIDTH * HEIGHT * 3);
                if let Ok(folder) = std::env::var("PLATEGATE_SHOW") {
                    std::fs::write(format!("{folder}/{night}-{z}.jpg"), picture.to_jpeg(90).unwrap()).unwrap();
                }
            }
        }
    }
}
