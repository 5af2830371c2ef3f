//! Number plates as GA 36-2018 lays them out, flat and front-on, painted from the built-in glyphs.

use std::sync::OnceLock;

use super::canvas::{self, Bgr};
use crate::picture::Picture;
use crate::plate::{Colour, Form, Plate, alphabet_index};

/// Pixels a millimetre of plate.
const SCALE: f32 = 2.0;
const CELL: [usize; 2] = [45, 90];

/// One glyph's place on the plate, in millimetres.
struct Place {
    char: char,
    left: f32,
    top: f32,
    width: f32,
    height: f32,
    red: bool,
}

/// Paints a plate, 2 pixels a millimetre: 440 x 140 mm, new energy 480 x 140 mm, double-row (trailers) 440 x 220 mm.
pub fn paint_plate(plate: &Plate, colour: Colour) -> Picture {
    let [width, height] = size_mm(plate);
    let (ground, ink) = paint(colour);
    let mut picture = Picture::filled((width * SCALE) as usize, (height * SCALE) as usize, ground);
    shade(&mut picture, colour);
    border(&mut picture, ink);
    for place in places(plate) {
        stamp(&mut picture, &place, if place.red { [30, 25, 205] } else { ink });
    }
    if matches!(plate.form(), Form::Standard | Form::Police | Form::Learner | Form::Consulate) {
        canvas::ellipse(&mut picture, [134.0 * SCALE, 70.0 * SCALE], [5.0 * SCALE, 5.0 * SCALE], ink);
    }
    picture
}

/// The plate's size, millimetres.
pub(super) fn size_mm(plate: &Plate) -> [f32; 2] {
    match plate.form() {
        Form::NewEnergySmall | Form::NewEnergyLarge => [480.0, 140.0],
        Form::Trailer => [440.0, 220.0],
        _ => [440.0, 140.0],
    }
}

/// Ground and ink.
fn paint(colour: Colour) -> (Bgr, Bgr) {
    const WHITE: Bgr = [244, 244, 244];
    const BLACK: Bgr = [22, 20, 20];
    match colour {
        Colour::Blue => ([172, 76, 24], WHITE),
        Colour::Green => ([150, 208, 112], BLACK),
        Colour::YellowGreen => ([130, 205, 120], BLACK),
        Colour::Yellow => ([30, 188, 242], BLACK),
        Colour::White => ([236, 236, 236], BLACK),
        Colour::Black => ([28, 26, 26], WHITE),
    }
}

/// New-energy grounds are not of one colour.
fn shade(picture: &mut Picture, colour: Colour) {
    let (width, height) = (picture.width, picture.height);
    for (i, pixel) in picture.bgr.chunks_exact_mut(3).enumerate() {
        match colour {
            Colour::Green => {
                let t = (i / width) as f32 / height as f32;
                for (c, white) in pixel.iter_mut().zip([232.0, 242.0, 226.0]) {
                    *c = (white * (1.0 - t) + f32::from(*c) * t) as u8;
                }
            }
            Colour::YellowGreen if i % width < width * 30 / 100 => pixel.copy_from_slice(&[58, 206, 238]),
            _ => {}
        }
    }
}

fn border(picture: &mut Picture, ink: Bgr) {
    let (w, h, inset, line) = (picture.width, picture.height, 8, 3);
    for y in inset..h - inset {
        for x in inset..w - inset {
            let edge = x < inset + line || x >= w - inset - line || y < inset + line || y >= h - inset - line;
            if edge {
                picture.bgr[(y * w + x) * 3..][..3].copy_from_slice(&ink);
            }
        }
    }
}

fn places(plate: &Plate) -> Vec<Place> {
    let chars: Vec<char> = plate.chars().collect();
    let row = |n: usize, char: char, red: bool| Place {
        char,
        left: 15.5 + 57.0 * n as f32 + if n > 1 { 22.0 } else { 0.0 },
        top: 25.0,
        width: 45.0,
        height: 90.0,
        red,
    };
    let all = chars.iter().enumerate();
    match plate.form() {
        Form::NewEnergySmall | Form::NewEnergyLarge => all
            .map(|(n, &char)| {
                let left = if n < 2 { 15.5 + 54.0 * n as f32 } else { 146.5 + 52.0 * (n as f32 - 2.0) };
                Place { char, left, top: 25.0, width: if n == 0 { 45.0 } else { 43.0 }, height: 90.0, red: false }
            })
            .collect(),
        Form::Trailer => all
            .map(|(n, &char)| match n {
                0 | 1 => {
                    Place { char, left: 110.0 + 140.0 * n as f32, top: 15.0, width: 80.0, height: 60.0, red: false }
                }
                _ => Place {
                    char,
                    left: 27.5 + 80.0 * (n as f32 - 2.0),
                    top: 90.0,
                    width: 65.0,
                    height: 110.0,
                    red: false,
                },
            })
            .collect(),
        Form::Emergency => all
            .map(|(n, &char)| match n {
                6 => Place { char, left: 380.0, top: 25.0, width: 45.0, height: 43.0, red: true },
                7 => Place { char, left: 380.0, top: 72.0, width: 45.0, height: 43.0, red: true },
                _ => row(n, char, false),
            })
            .collect(),
        _ => all.map(|(n, &char)| row(n.min(6), char, matches!(char, '警' | '领'))).collect(),
    }
}

fn stamp(picture: &mut Picture, place: &Place, ink: Bgr) {
    let Some(index) = alphabet_index(place.char) else { return };
    let glyphs = glyphs();
    let [x0, y0] = [(place.left * SCALE) as usize, (place.top * SCALE) as usize];
    let [w, h] = [(place.width * SCALE) as usize, (place.height * SCALE) as usize];
    for y in 0..h {
        for x in 0..w {
            let u = (x as f32 + 0.5) / w as f32 * CELL[0] as f32 - 0.5;
            let v = (y as f32 + 0.5) / h as f32 * CELL[1] as f32 - 0.5;
            let cover = sample(glyphs, index as usize, u, v);
            if cover > 0.02 && y0 + y < picture.height && x0 + x < picture.width {
                let at = ((y0 + y) * picture.width + x0 + x) * 3;
                for (c, i) in picture.bgr[at..at + 3].iter_mut().zip(ink) {
                    *c = (f32::from(*c) * (1.0 - cover) + f32::from(i) * cover) as u8;
                }
            }
        }
    }
}

/// How much of this place of the glyph's cell is ink, 0..1.
fn sample(glyphs: &image::GrayImage, index: usize, u: f32, v: f32) -> f32 {
    let at = |x: i32, y: i32| {
        let (x, y) = (x.clamp(0, CELL[0] as i32 - 1) as u32, y.clamp(0, CELL[1] as i32 - 1) as u32);
        f32::from(glyphs.get_pixel(index as u32 * CELL[0] as u32 + x, y).0[0]) / 255.0
    };
    let (x, y) = (u.floor(), v.floor());
    let (fx, fy, x, y) = (u - x, v - y, x as i32, y as i32);
    let upper = at(x, y) * (1.0 - fx) + at(x + 1, y) * fx;
    let lower = at(x, y + 1) * (1.0 - fx) + at(x + 1, y + 1) * fx;
    upper * (1.0 - fy) + lower * fy
}

/// One cell for each character of the alphabet, in its order; made by `models/training/make_atlas.py`.
fn glyphs() -> &'static image::GrayImage {
    static GLYPHS: OnceLock<image::GrayImage> = OnceLock::new();
    GLYPHS.get_or_init(|| {
        image::load_from_memory(include_bytes!("../../../assets/glyphs.png"))
            .expect("the built-in glyphs are a picture")
            .into_luma8()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plates_have_their_standard_sizes_and_grounds() {
        for (text, colour, size) in [
            ("苏F12345", Colour::Blue, (880, 280)),
            ("苏FD12345", Colour::Green, (960, 280)),
            ("苏FA123挂", Colour::Yellow, (880, 440)),
            ("苏FX234应急", Colour::White, (880, 280)),
            ("粤Z1A23港", Colour::Black, (880, 280)),
        ] {
            let picture = paint_plate(&text.parse().unwrap(), colour);
            assert_eq!((picture.width, picture.height), size, "{text}");
        }
        let blue = paint_plate(&"苏F12345".parse().unwrap(), Colour::Blue);
        assert_eq!(blue.bgr[..3], [172, 76, 24]);
        let inked = blue.bgr.chunks_exact(3).filter(|p| p[2] > 200).count();
        assert!((20_000..120_000).contains(&inked), "{inked} white pixels");
    }
}
