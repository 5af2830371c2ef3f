//! A frame, or a part of it, shrunk into the detector's input: what is read is read once, channels and scale change on the
//! way. On a 1080p frame this is the corridor's largest piece of work outside of the networks, and most of that is waiting for
//! the memory.

use super::warp::Planes;
use crate::picture::Picture;

/// Above this scale shrinking by means would repeat and drop pixels; bilinear interpolation is used instead.
const NEARLY_ALIKE: f32 = 0.67;
/// More rows than this are not added up: 257 bytes of 255 fit 16 bits.
const MOST_ROWS: usize = 257;
/// Where a new pixel covers so many rows, every second of them is enough: with the columns that is a mean of eight pixels or
/// more, and half of the frame stays in the memory.
const ENOUGH_ROWS: usize = 4;

/// Buffers of [`Planes::fit`], kept from frame to frame.
#[derive(Debug, Default)]
pub struct Scratch {
    /// One row of sums, three a pixel, and one pixel more so that whatever is read as a word lies within.
    sums: Vec<u16>,
    columns: Columns,
    /// One new row's pixels before they are divided: blue, green and red, 16 bits each.
    words: Vec<u64>,
}

/// Which columns of the picture each new pixel covers: `least` or one more.
#[derive(Debug, Default)]
struct Columns {
    least: usize,
    /// Where they begin, and the last one's end.
    edges: Vec<usize>,
    /// All ones where there is one more.
    one_more: Vec<u64>,
    /// 1 / (255 times their number).
    share: Vec<f32>,
}

impl Columns {
    /// `width` columns to `w` new ones, of which there are no more.
    fn spread(&mut self, width: usize, w: usize) {
        self.least = width / w;
        self.edges.clear();
        self.edges.extend((0..=w).map(|x| x * width / w));
        let count = |pair: &[usize]| pair[1] - pair[0];
        self.one_more.clear();
        self.one_more.extend(self.edges.windows(2).map(|p| if count(p) > self.least { u64::MAX } else { 0 }));
        self.share.clear();
        self.share.extend(self.edges.windows(2).map(|p| 1.0 / (255 * count(p)) as f32));
    }
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
        scratch.columns.spread(width, w);
        scratch.sums.clear();
        scratch.sums.resize((width + 2) * 3, 0);
        scratch.words.resize(w, 0);
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
        let grey = self.level(0.5);
        for plane in self.values.chunks_exact_mut(self.width * self.height) {
            for row in plane.chunks_exact_mut(self.width).take(h) {
                row[w..].fill(grey);
            }
            plane[h * self.width..].fill(grey);
        }
    }
}

/// [`average`] for processors with AVX2: the same code, with the compiler free to use it.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn average_avx2(planes: &mut Planes, picture: &Picture, fit: Fit, scratch: &mut Scratch) {
    average(planes, picture, fit, scratch);
}

/// Each new pixel is the mean of those it covers, or of every second row of them.
#[inline(always)]
fn average(planes: &mut Planes, picture: &Picture, fit: Fit, scratch: &mut Scratch) {
    let (size, black, span) = (planes.width * planes.height, planes.black, planes.span);
    let (red, rest) = planes.values.split_at_mut(size);
    let (green, blue) = rest.split_at_mut(size);
    for y in 0..fit.h {
        let from = fit.top + y * fit.height / fit.h;
        let to = (fit.top + (y + 1) * fit.height / fit.h).clamp(from + 1, from + MOST_ROWS);
        let begin = (from * picture.width + fit.left) * 3;
        let every = every(to - from);
        let rows = (to - from).div_ceil(every);
        add_rows(&picture.bgr[begin..], every * picture.width * 3, rows, &mut scratch.sums[..fit.width * 3]);
        let at = y * planes.width;
        let row = [&mut blue[at..at + fit.w], &mut green[at..at + fit.w], &mut red[at..at + fit.w]];
        divide(scratch, rows, [black, span], row);
    }
}

/// Of the rows that a new pixel covers, every how many-th is read.
#[inline(always)]
fn every(rows: usize) -> usize {
    if rows < ENOUGH_ROWS { 1 } else { 2 }
}

/// Adds up each new pixel's columns and divides by how many pixels that were; `span` is how far white is above black.
#[inline(always)]
fn divide(scratch: &mut Scratch, rows: usize, [black, span]: [f32; 2], [blue, green, red]: [&mut [f32]; 3]) {
    let Scratch { sums, columns, words } = scratch;
    let factor = span / rows as f32;
    // Known lengths need no loop, as long as no sum outgrows its 16 bits.
    let fits = (columns.least + 1) * rows * 255 <= usize::from(u16::MAX);
    match columns.least {
        1 if fits => add_columns::<1>(sums, columns, words),
        2 if fits => add_columns::<2>(sums, columns, words),
        3 if fits => add_columns::<3>(sums, columns, words),
        4 if fits => add_columns::<4>(sums, columns, words),
        5 if fits => add_columns::<5>(sums, columns, words),
        6 if fits => add_columns::<6>(sums, columns, words),
        _ => {
            for (x, edges) in columns.edges.windows(2).enumerate() {
                let sum = sums[edges[0] * 3..edges[1] * 3].chunks_exact(3).fold([0; 3], add_pixel);
                [blue[x], green[x], red[x]] = sum.map(|sum| black + sum as f32 * (columns.share[x] * factor));
            }
            return;
        }
    }
    for (plane, shift) in [(blue, 0), (green, 16), (red, 32)] {
        for ((value, word), share) in plane.iter_mut().zip(words.iter()).zip(&columns.share) {
            *value = black + f32::from((word >> shift) as u16) * (share * factor);
        }
    }
}

#[inline(always)]
fn add_pixel(sum: [u32; 3], pixel: &[u16]) -> [u32; 3] {
    [sum[0] + u32::from(pixel[0]), sum[1] + u32::from(pixel[1]), sum[2] + u32::from(pixel[2])]
}

/// Adds up N columns for each new pixel, and one more where it covers that: blue, green and red in one 64-bit word, four
/// 16-bit lanes of which the last is not wanted.
#[inline(always)]
fn add_columns<const N: usize>(sums: &[u16], columns: &Columns, words: &mut [u64]) {
    for ((word, &edge), one_more) in words.iter_mut().zip(&columns.edges).zip(&columns.one_more) {
        let sums = &sums[edge * 3..][..3 * N + 4];
        let lanes = |i: usize| sums[3 * i..3 * i + 4].iter().rev().fold(0u64, |word, &v| word << 16 | u64::from(v));
        *word = (0..N).map(lanes).fold(lanes(N) & one_more, u64::wrapping_add);
    }
}

/// Adds up `count` rows of bytes, column by column; row `r` begins at `r * stride`.
#[inline(always)]
fn add_rows(bytes: &[u8], stride: usize, count: usize, sums: &mut [u16]) {
    // Up to six rows at a time: the sums are written once for all of them.
    match count {
        1 => add_some_rows::<1>(bytes, stride, sums),
        2 => add_some_rows::<2>(bytes, stride, sums),
        3 => add_some_rows::<3>(bytes, stride, sums),
        4 => add_some_rows::<4>(bytes, stride, sums),
        5 => add_some_rows::<5>(bytes, stride, sums),
        _ => add_some_rows::<6>(bytes, stride, sums),
    }
    for r in 6..count {
        sums.iter_mut().zip(&bytes[r * stride..]).for_each(|(sum, byte)| *sum += u16::from(*byte));
    }
}

/// The sums of N rows.
#[inline(always)]
fn add_some_rows<const N: usize>(bytes: &[u8], stride: usize, sums: &mut [u16]) {
    let n = sums.len();
    let rows: [&[u8]; N] = std::array::from_fn(|r| &bytes[r * stride..][..n]);
    for (i, sum) in sums.iter_mut().enumerate() {
        *sum = rows.iter().map(|row| u16::from(row[i])).sum();
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

    /// The mean of the covered pixels that are to be read, counted one by one.
    fn plain(
        picture: &Picture,
        [left, top, width, height]: [usize; 4],
        (w, h): (usize, usize),
        x: usize,
        y: usize,
    ) -> f32 {
        let span = |i: usize, size: usize, n: usize| (i * size / n)..((i + 1) * size / n);
        let (mut sum, mut count) = (0u32, 0u32);
        for row in span(y, height, h).step_by(every(span(y, height, h).len())) {
            for column in span(x, width, w) {
                sum += u32::from(picture.bgr[((top + row) * picture.width + left + column) * 3 + 2]);
                count += 1;
            }
        }
        sum as f32 / (255 * count) as f32
    }

    proptest! {
        #[test]
        fn a_pixel_is_the_mean_of_what_it_covers(
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
