//! A frame, or a part of it, shrunk into the detector's input: every byte is read once, channels and scale change on the
//! way. On a 1080p frame this is the corridor's largest piece of work outside of the networks.

use super::warp::Planes;
use crate::picture::Picture;

/// Above this scale shrinking by means would repeat and drop pixels; bilinear interpolation is used instead.
const NEARLY_ALIKE: f32 = 0.67;
/// More rows than this are not added up: 257 bytes of 255 fit 16 bits.
const MOST_ROWS: usize = 257;

/// Buffers of [`Planes::fit`], kept from frame to frame.
#[derive(Debug, Default)]
pub struct Scratch {
    /// One row of sums, three a pixel, and one more so that the last pixel can be read as four numbers too.
    sums: Vec<u16>,
    /// Where each new pixel's columns begin, and the last one's end.
    edges: Vec<usize>,
}

/// What goes where: `width` x `height` pixels at `left`, `top` of the picture to `w` x `h` pixels.
#[derive(Clone, Copy)]
struct Fit {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    w: usize,
    h: usize,
}

impl Planes {
    /// Lays the part `region` (left, top, width, height in pixels, within the picture) of the picture at the top left, as
    /// large as it fits but not enlarged (no network is taught what enlarged plates look like), greys the rest, and gives
    /// the scale. Shrinking averages, so that thin strokes do not flicker.
    pub fn fit(&mut self, picture: &Picture, region: [usize; 4], scratch: &mut Scratch) -> f32 {
        let [left, top, width, height] = region;
        let scale = (self.width as f32 / width as f32).min(self.height as f32 / height as f32).min(1.0);
        let w = ((width as f32 * scale).round() as usize).clamp(1, self.width);
        let h = ((height as f32 * scale).round() as usize).clamp(1, self.height);
        self.grey_beyond(w, h);
        if scale > NEARLY_ALIKE {
            self.fit_bilinear(picture, region, scale, w, h);
            return scale;
        }
        let fit = Fit { left, top, width, height, w, h };
        scratch.edges.clear();
        scratch.edges.extend((0..=w).map(|x| x * width / w));
        scratch.sums.clear();
        scratch.sums.resize(width * 3 + 1, 0);
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2, which is all that the function asks for.
            unsafe { average_avx2(self, picture, fit, scratch) };
            return scale;
        }
        average(self, picture, fit, scratch);
        scale
    }

    /// Greys what lies right of column `w` and below row `h`: another frame may have left something there.
    fn grey_beyond(&mut self, w: usize, h: usize) {
        if (w, h) == (self.width, self.height) {
            return;
        }
        for plane in self.values.chunks_exact_mut(self.width * self.height) {
            for row in plane.chunks_exact_mut(self.width).take(h) {
                row[w..].fill(0.5);
            }
            plane[h * self.width..].fill(0.5);
        }
    }
}

/// [`average`] for processors with AVX2: the same code, with the compiler free to use it.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn average_avx2(planes: &mut Planes, picture: &Picture, fit: Fit, scratch: &mut Scratch) {
    average(planes, picture, fit, scratch);
}

/// Each new pixel is the mean of those it covers.
#[inline(always)]
fn average(planes: &mut Planes, picture: &Picture, fit: Fit, scratch: &mut Scratch) {
    let size = planes.width * planes.height;
    let (red, rest) = planes.values.split_at_mut(size);
    let (green, blue) = rest.split_at_mut(size);
    for y in 0..fit.h {
        let from = fit.top + y * fit.height / fit.h;
        let to = (fit.top + (y + 1) * fit.height / fit.h).clamp(from + 1, from + MOST_ROWS);
        let begin = (from * picture.width + fit.left) * 3;
        add_rows(&picture.bgr[begin..], picture.width * 3, to - from, &mut scratch.sums[..fit.width * 3]);
        let few_rows = to - from <= 64;
        let at = y * planes.width;
        let (red, green, blue) = (&mut red[at..at + fit.w], &mut green[at..at + fit.w], &mut blue[at..at + fit.w]);
        let edges = &scratch.edges[..fit.w + 1];
        for x in 0..fit.w {
            let (a, b) = (edges[x], edges[x + 1]);
            // 1080 lines to 288 are three or four pixels to one: known lengths need no loop.
            let sum = match b - a {
                2 if few_rows => add_pixels::<2>(&scratch.sums[a * 3..]),
                3 if few_rows => add_pixels::<3>(&scratch.sums[a * 3..]),
                4 if few_rows => add_pixels::<4>(&scratch.sums[a * 3..]),
                _ => scratch.sums[a * 3..b * 3].chunks_exact(3).fold([0; 3], add_pixel),
            };
            let norm = 1.0 / (255 * (b - a) * (to - from)) as f32;
            blue[x] = sum[0] as f32 * norm;
            green[x] = sum[1] as f32 * norm;
            red[x] = sum[2] as f32 * norm;
        }
    }
}

#[inline(always)]
fn add_pixel(sum: [u32; 3], pixel: &[u16]) -> [u32; 3] {
    [sum[0] + u32::from(pixel[0]), sum[1] + u32::from(pixel[1]), sum[2] + u32::from(pixel[2])]
}

/// Adds up N pixels, blue, green and red in one 64-bit word each: four 16-bit lanes of which the last is not wanted. No
/// lane overflows as long as a pixel is at most 64 rows' sum and N at most four.
#[inline(always)]
fn add_pixels<const N: usize>(sums: &[u16]) -> [u32; 3] {
    let sums = &sums[..3 * N + 1];
    let lanes = |i: usize| sums[i..i + 4].iter().rev().fold(0u64, |word, &v| word << 16 | u64::from(v));
    let word: u64 = (0..N).map(|i| lanes(3 * i)).fold(0, u64::wrapping_add);
    [word as u16, (word >> 16) as u16, (word >> 32) as u16].map(u32::from)
}

/// Adds up `count` rows of bytes, column by column; row `r` begins at `r * stride`.
#[inline(always)]
fn add_rows(bytes: &[u8], stride: usize, count: usize, sums: &mut [u16]) {
    let n = sums.len();
    let row = |r: usize| &bytes[r * stride..][..n];
    let wide = |byte: &u8| u16::from(*byte);
    // Up to four rows at a time: the sums are written once for all of them.
    let added = match count {
        1 => {
            sums.iter_mut().zip(row(0)).for_each(|(s, a)| *s = wide(a));
            1
        }
        2 => {
            let rows = row(0).iter().zip(row(1));
            sums.iter_mut().zip(rows).for_each(|(s, (a, b))| *s = wide(a) + wide(b));
            2
        }
        3 => {
            let rows = row(0).iter().zip(row(1)).zip(row(2));
            sums.iter_mut().zip(rows).for_each(|(s, ((a, b), c))| *s = wide(a) + wide(b) + wide(c));
            3
        }
        _ => {
            let rows = row(0).iter().zip(row(1)).zip(row(2)).zip(row(3));
            sums.iter_mut().zip(rows).for_each(|(s, (((a, b), c), d))| *s = (wide(a) + wide(b)) + (wide(c) + wide(d)));
            4
        }
    };
    for r in added..count {
        sums.iter_mut().zip(row(r)).for_each(|(s, a)| *s += wide(a));
    }
}

#[cfg(test)]
mod tests {
    use super::super::warp::tests::ramp;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shrinking_averages_and_keeps_the_place() {
        let mut planes = Planes::new(64, 32);
        let scale = planes.fit(&ramp(240, 100), [40, 20, 128, 64], &mut Scratch::default());
        assert_eq!(scale, 0.5);
        for x in [0, 10, 63] {
            let mean = 40.0 + 2.0 * x as f32 + 0.5;
            assert!((planes.values[5 * 64 + x] * 255.0 - mean).abs() < 0.01);
        }
    }

    #[test]
    fn nothing_is_left_of_the_frame_before() {
        let (mut planes, mut scratch) = (Planes::new(64, 32), Scratch::default());
        planes.fit(&Picture::filled(640, 320, [255, 255, 255]), [0, 0, 640, 320], &mut scratch);
        planes.fit(&Picture::filled(320, 320, [0, 0, 0]), [0, 0, 320, 320], &mut scratch);
        assert_eq!((planes.values[31], planes.values[32]), (0.0, 0.5));
        planes.fit(&Picture::filled(640, 160, [255, 255, 255]), [0, 0, 640, 160], &mut scratch);
        assert_eq!((planes.values[15 * 64], planes.values[16 * 64]), (1.0, 0.5));
    }

    /// The mean of every covered pixel, counted one by one.
    fn plain(
        picture: &Picture,
        [left, top, width, height]: [usize; 4],
        (w, h): (usize, usize),
        x: usize,
        y: usize,
    ) -> f32 {
        let span = |i: usize, size: usize, n: usize| (i * size / n)..((i + 1) * size / n);
        let (mut sum, mut count) = (0u32, 0u32);
        for row in span(y, height, h) {
            for column in span(x, width, w) {
                sum += u32::from(picture.bgr[((top + row) * picture.width + left + column) * 3 + 2]);
                count += 1;
            }
        }
        sum as f32 / (255 * count) as f32
    }

    proptest! {
        #[test]
        fn every_pixel_is_the_mean_of_what_it_covers(
            w in 60usize..400, h in 60usize..300, left in 0usize..20, top in 0usize..20, seed in any::<u32>(),
        ) {
            let noise = (0..w * h * 3).scan(seed | 1, |s, _| {
                *s = s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                Some((*s >> 24) as u8)
            });
            let picture = Picture { width: w, height: h, bgr: noise.collect() };
            let region = [left, top, w - left, h - top];
            let mut planes = Planes::new(24, 24);
            let scale = planes.fit(&picture, region, &mut Scratch::default());
            let size = (((region[2] as f32 * scale).round() as usize).min(24), ((region[3] as f32 * scale).round() as usize).min(24));
            for (x, y) in [(0, 0), (size.0 - 1, 0), (0, size.1 - 1), (size.0 - 1, size.1 - 1), (size.0 / 2, size.1 / 2)] {
                prop_assert!((planes.values[y * 24 + x] - plain(&picture, region, size, x, y)).abs() < 1e-5);
            }
        }

        #[test]
        fn any_picture_fits(w in 1usize..300, h in 1usize..300) {
            let mut planes = Planes::new(32, 32);
            let scale = planes.fit(&Picture::filled(w, h, [255, 255, 255]), [0, 0, w, h], &mut Scratch::default());
            prop_assert!(scale > 0.0);
            prop_assert!(planes.values.iter().all(|v| (0.0..=1.001).contains(v)));
        }
    }
}
