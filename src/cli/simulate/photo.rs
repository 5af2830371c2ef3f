//! A photograph of a car that comes nearer along the lane.

use opencv::core::{Mat, Scalar, Size, Vec3b};
use opencv::imgproc;
use rand_chacha::ChaCha8Rng;

use super::paint::{self, Drive, EYE, F, HORIZON, Light, PLATE_WIDTH, bilinear, put, shake};
use crate::picture::{Picture, Quad};
use crate::vision::warp::Homography;

/// How far a car reaches from its plate, plate widths: to each side (a car is 1.8 m wide), upwards and downwards. Where the
/// photograph ends before that, its edge goes on.
const SIDE: f32 = 2.05;
const UP: f32 = 2.6;
const DOWN: f32 = 0.75;

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
    pub fn flat(&self, margin: f32) -> Picture {
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

/// Paints the photograph's car at this distance.
pub fn car(
    photo: &Photo,
    ground: &Picture,
    drive: Drive,
    light: Light,
    z: f32,
    rng: &mut ChaCha8Rng,
    into: &mut Picture,
) -> opencv::Result<()> {
    paint::empty(ground, into);
    let wanted = F * PLATE_WIDTH / z;
    let centre = [640.0 + F * drive.side / z + shake(rng), HORIZON + F * (EYE - drive.height) / z + shake(rng)];
    let scale = photo.quad.width() / wanted;
    let level = photo
        .levels
        .iter()
        .rposition(|l| photo.levels[0].width as f32 / l.width as f32 <= (scale / light.sharp).max(1.0));
    let from = &photo.levels[level.unwrap_or(0)];
    let shrink = from.width as f32 / photo.levels[0].width as f32;
    let within = |v: f32, most: usize| v.clamp(0.0, most as f32) as usize;
    let (left, right) = (within(centre[0] - SIDE * wanted, into.width), within(centre[0] + SIDE * wanted, into.width));
    let (top, bottom) = (within(centre[1] - UP * wanted, into.height), within(centre[1] + DOWN * wanted, into.height));
    // The pixel (x, y) of this part shows (a x - b y + c, b x + a y + d) of the photograph.
    let (sin, cos) = drive.roll.sin_cos();
    let (a, b) = (cos * scale * shrink, sin * scale * shrink);
    let [px, py] = photo.quad.centre().map(|v| v * shrink);
    let (dx, dy) = (left as f32 - centre[0], top as f32 - centre[1]);
    let (c, d) = (px + a * dx - b * dy, py + b * dx + a * dy);
    let part = |down: f32| warp(from, [[a, -b, c], [b, a, d + down]], right - left, bottom - top);
    let sharp = part(0.0)?;
    let smeared = part(light.smear * scale * shrink)?;
    for (y, (one, other)) in
        sharp.chunks_exact(3 * (right - left)).zip(smeared.chunks_exact(3 * (right - left))).enumerate()
    {
        let row = &mut into.bgr[((top + y) * into.width + left) * 3..][..one.len()];
        for (to, (a, b)) in row.iter_mut().zip(one.iter().zip(other)) {
            *to = (u16::from(*a) + u16::from(*b)).div_ceil(2) as u8;
        }
    }
    paint::develop(light, rng, into);
    Ok(())
}

/// The part of a picture that this matrix shows, `width` by `height` pixels; the picture's edge goes on outside.
fn warp(from: &Picture, matrix: [[f32; 3]; 2], width: usize, height: usize) -> opencv::Result<Vec<u8>> {
    let mut part = vec![0u8; 3 * width * height];
    let source = Mat::new_rows_cols_with_bytes::<Vec3b>(from.height as i32, from.width as i32, &from.bgr)?;
    let matrix = Mat::from_slice_2d(&matrix)?;
    let mut target = Mat::new_rows_cols_with_bytes_mut::<Vec3b>(height as i32, width as i32, &mut part)?;
    imgproc::warp_affine(
        &source,
        &mut target,
        &matrix,
        Size::new(width as i32, height as i32),
        imgproc::INTER_LINEAR | imgproc::WARP_INVERSE_MAP,
        opencv::core::BORDER_REPLICATE,
        Scalar::default(),
    )?;
    drop(target);
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn a_car_is_shown_where_the_geometry_has_it_and_the_lane_beside_it_stays() {
        let mut picture = Picture::filled(900, 700, [40, 120, 40]);
        for y in 400..430 {
            for x in 400..500 {
                put(&mut picture, x, y, [200.0, 40.0, 20.0]);
            }
        }
        let quad = Quad([[400.0, 400.0], [500.0, 400.0], [500.0, 430.0], [400.0, 430.0]]);
        let photo = Photo::new(picture, quad);
        let (ground, mut into) = (paint::ground(), Picture::default());
        let drive = Drive { side: 0.0, roll: 0.0, height: 0.45 };
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let light = Light::draw(false, &mut rng);
        car(&photo, &ground, drive, light, 5.0, &mut rng, &mut into).unwrap();
        let [_, y, width] = paint::place(5.0);
        let (y, width) = (y * paint::HEIGHT as f32, width * paint::WIDTH as f32);
        let blue = |x: f32, y: f32| {
            let at = (y as usize * into.width + x as usize) * 3;
            into.bgr[at] > into.bgr[at + 1].saturating_add(40)
        };
        assert!(blue(640.0, y) && blue(640.0 - 0.45 * width, y) && blue(640.0 + 0.45 * width, y));
        assert!(!blue(640.0 - 0.6 * width, y) && !blue(640.0, y - 0.3 * width));
    }
}
