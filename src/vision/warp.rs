//! Pictures into network inputs: planar RGB, `f32`, 0..1, warped in one pass.

use std::ops::Range;

use crate::picture::{Picture, Quad};

/// A plane homography: `x' = (m0 x + m1 y + m2) / w`, `y' = (m3 x + m4 y + m5) / w`, `w = m6 x + m7 y + 1`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Homography([f64; 8]);

impl Homography {
    /// The one that takes each corner of `from` to that of `to`; none if three corners lie on a line.
    /// The eight equations are those of Hartley and Zisserman, Multiple View Geometry, section 4.1, with h33 = 1.
    pub fn between(from: &Quad, to: &Quad) -> Option<Homography> {
        let mut a = [[0.0f64; 9]; 8];
        for i in 0..4 {
            let [x, y] = from.0[i].map(f64::from);
            let [u, v] = to.0[i].map(f64::from);
            a[2 * i] = [x, y, 1.0, 0.0, 0.0, 0.0, -u * x, -u * y, u];
            a[2 * i + 1] = [0.0, 0.0, 0.0, x, y, 1.0, -v * x, -v * y, v];
        }
        solve(&mut a).map(Homography)
    }

    /// Where a point goes; far away instead of infinitely far.
    pub fn apply(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let (m, x, y) = (&self.0, f64::from(x), f64::from(y));
        let w = m[6] * x + m[7] * y + 1.0;
        let w = if w.abs() < 1e-9 { 1e-9 } else { w };
        let far = |v: f64| (v / w).clamp(-1e6, 1e6) as f32;
        [far(m[0] * x + m[1] * y + m[2]), far(m[3] * x + m[4] * y + m[5])]
    }

    /// Where a quadrilateral goes.
    pub fn apply_quad(&self, quad: &Quad) -> Quad {
        Quad(quad.0.map(|p| self.apply(p)))
    }
}

/// Gauss elimination with row pivoting on [A | b].
fn solve(a: &mut [[f64; 9]; 8]) -> Option<[f64; 8]> {
    for i in 0..8 {
        let pivot = (i..8).max_by(|&r, &s| a[r][i].abs().total_cmp(&a[s][i].abs()))?;
        a.swap(i, pivot);
        if a[i][i].abs() <= 1e-10 || a[i][i].is_nan() {
            return None;
        }
        let row = a[i];
        for other in a.iter_mut().skip(i + 1) {
            let factor = other[i] / row[i];
            for (o, r) in other.iter_mut().zip(row).skip(i) {
                *o -= factor * r;
            }
        }
    }
    let mut x = [0.0; 8];
    for i in (0..8).rev() {
        let known: f64 = (i + 1..8).map(|j| a[i][j] * x[j]).sum();
        x[i] = (a[i][8] - known) / a[i][i];
    }
    x.iter().all(|v| v.is_finite()).then_some(x)
}

/// A network's input: `[3, height, width]`, red, green, blue planes, black and white being what the network was taught.
#[derive(Clone, Debug)]
pub struct Planes {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `3 * height * width` values.
    pub values: Vec<f32>,
    /// The value of black, and how far above it white is.
    pub(super) black: f32,
    pub(super) span: f32,
}

impl Planes {
    /// Black is 0 and white is 1; all grey.
    pub fn new(width: usize, height: usize) -> Planes {
        Planes::between(width, height, [0.0, 1.0])
    }

    /// With these values for black and for white; all grey.
    pub fn between(width: usize, height: usize, [black, white]: [f32; 2]) -> Planes {
        let span = white - black;
        Planes { width, height, values: vec![black + 0.5 * span; 3 * width * height], black, span }
    }

    /// What stands for this share 0..1 of white.
    #[inline(always)]
    pub(super) fn level(&self, share: f32) -> f32 {
        self.black + share * self.span
    }

    /// Writes one pixel, given as blue, green, red, 0..1.
    fn put(&mut self, x: usize, y: usize, pixel: [f32; 3]) {
        let (at, plane) = (y * self.width + x, self.width * self.height);
        let [blue, green, red] = pixel.map(|share| self.level(share));
        self.values[at] = red;
        self.values[plane + at] = green;
        self.values[2 * plane + at] = blue;
    }

    /// Lays `quad` of the picture on `rect`, filling the columns `columns`; bilinear, the picture's edge goes on
    /// outside (as OpenCV's `warpPerspective` with `INTER_LINEAR` and `BORDER_REPLICATE`).
    /// `false` if the quad is degenerate.
    pub fn warp(&mut self, picture: &Picture, quad: &Quad, rect: &Quad, columns: Range<usize>) -> bool {
        let Some(h) = Homography::between(rect, quad) else { return false };
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2, which is all that the function asks for.
            unsafe { warp_avx2(self, picture, &h, columns) };
            return true;
        }
        warp(self, picture, &h, columns);
        true
    }

    /// Lays the part of the picture that begins at `left`, `top` at the top left, `w` x `h` pixels at this scale.
    pub(super) fn fit_bilinear(
        &mut self,
        picture: &Picture,
        [left, top, ..]: [usize; 4],
        scale: f32,
        w: usize,
        h: usize,
    ) {
        for y in 0..h {
            for x in 0..w {
                let sx = left as f32 + (x as f32 + 0.5) / scale - 0.5;
                let sy = top as f32 + (y as f32 + 0.5) / scale - 0.5;
                let pixel = bilinear(picture, sx, sy);
                self.put(x, y, pixel);
            }
        }
    }
}

/// [`warp`] for processors with AVX2: the same code, with the compiler free to use it.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn warp_avx2(planes: &mut Planes, picture: &Picture, h: &Homography, columns: Range<usize>) {
    warp(planes, picture, h, columns);
}

/// Fills each row of the planes from where `h` says.
#[inline(always)]
fn warp(planes: &mut Planes, picture: &Picture, h: &Homography, columns: Range<usize>) {
    let m = h.0;
    let (size, black, span) = (planes.width * planes.height, planes.black, planes.span);
    for y in 0..planes.height {
        // What does not change along the row, in double precision; the rest is good to a thousandth of a pixel in single.
        let v = y as f64;
        let [u0, v0, w0] = [m[1] * v + m[2], m[4] * v + m[5], m[7] * v + 1.0].map(|c| c as f32);
        let [u1, v1, w1] = [m[0], m[3], m[6]].map(|c| c as f32);
        for begin in columns.clone().step_by(AT_ONCE) {
            let places: [[f32; 2]; AT_ONCE] = std::array::from_fn(|i| {
                let x = (begin + i) as f32;
                let scale = 1.0 / (w1 * x + w0);
                [(u1 * x + u0) * scale, (v1 * x + v0) * scale]
            });
            let colours = bilinear_at_once(picture, places);
            let (at, count) = (y * planes.width + begin, AT_ONCE.min(columns.end - begin));
            for (colour, plane) in colours.iter().rev().zip(0..3) {
                let into = planes.values[plane * size + at..][..count].iter_mut();
                into.zip(colour).for_each(|(value, share)| *value = black + share * span);
            }
        }
    }
}

/// So many places are worked out side by side.
const AT_ONCE: usize = 16;

/// [`bilinear`] of several places: their blues, greens and reds, 0..1.
#[inline(always)]
fn bilinear_at_once(picture: &Picture, places: [[f32; 2]; AT_ONCE]) -> [[f32; AT_ONCE]; 3] {
    let (last_x, last_y) = (picture.width.saturating_sub(2) as i32, picture.height.saturating_sub(2) as i32);
    let stride = picture.width * 3;
    // `max` first: what is no number becomes 0.
    let xs = places.map(|[x, _]| x.max(0.0).min((last_x + 1) as f32));
    let ys = places.map(|[_, y]| y.max(0.0).min((last_y + 1) as f32));
    let (x0, y0) = (xs.map(|x| (x as i32).min(last_x)), ys.map(|y| (y as i32).min(last_y)));
    let at: [usize; AT_ONCE] = std::array::from_fn(|i| y0[i] as usize * stride + x0[i] as usize * 3);
    // A pixel and its right neighbour are six bytes, which are read as eight.
    let farthest = at.iter().fold(0, |a, b| a.max(*b));
    if picture.width < 2 || picture.height < 2 || farthest + stride + 8 > picture.bgr.len() {
        let pixels = places.map(|[x, y]| bilinear(picture, x, y));
        return std::array::from_fn(|c| pixels.map(|pixel| pixel[c]));
    }
    let word = |at: usize| u64::from_le_bytes(picture.bgr[at..at + 8].try_into().expect("eight bytes"));
    let (upper, lower) = (at.map(word), at.map(|at| word(at + stride)));
    let fx: [f32; AT_ONCE] = std::array::from_fn(|i| xs[i] - x0[i] as f32);
    let fy: [f32; AT_ONCE] = std::array::from_fn(|i| ys[i] - y0[i] as f32);
    let wa: [f32; AT_ONCE] = std::array::from_fn(|i| (1.0 - fx[i]) * (1.0 - fy[i]) / 255.0);
    let wb: [f32; AT_ONCE] = std::array::from_fn(|i| fx[i] * (1.0 - fy[i]) / 255.0);
    let wc: [f32; AT_ONCE] = std::array::from_fn(|i| (1.0 - fx[i]) * fy[i] / 255.0);
    let wd: [f32; AT_ONCE] = std::array::from_fn(|i| fx[i] * fy[i] / 255.0);
    let byte = |word: u64, n: usize| f32::from((word >> (8 * n)) as u8);
    let mut colours = [[0.0; AT_ONCE]; 3];
    for (c, colour) in colours.iter_mut().enumerate() {
        for (i, value) in colour.iter_mut().enumerate() {
            *value = wa[i] * byte(upper[i], c)
                + wb[i] * byte(upper[i], c + 3)
                + wc[i] * byte(lower[i], c)
                + wd[i] * byte(lower[i], c + 3);
        }
    }
    colours
}

/// The picture's colour at a place, or at its edge nearest to that: blue, green, red, 0..1.
#[inline(always)]
fn bilinear(picture: &Picture, x: f32, y: f32) -> [f32; 3] {
    // `max` first: what is no number becomes 0.
    let (x, y) = (x.max(0.0).min((picture.width - 1) as f32), y.max(0.0).min((picture.height - 1) as f32));
    let x0 = (x as usize).min(picture.width.saturating_sub(2));
    let y0 = (y as usize).min(picture.height.saturating_sub(2));
    let (fx, fy) = (x - x0 as f32, y - y0 as f32);
    let right = 3 * usize::from(picture.width > 1);
    let down = 3 * picture.width * usize::from(picture.height > 1);
    let at = (y0 * picture.width + x0) * 3;
    let (upper, lower) = (&picture.bgr[at..at + right + 3], &picture.bgr[at + down..at + down + right + 3]);
    let (wa, wb) = ((1.0 - fx) * (1.0 - fy) / 255.0, fx * (1.0 - fy) / 255.0);
    let (wc, wd) = ((1.0 - fx) * fy / 255.0, fx * fy / 255.0);
    std::array::from_fn(|i| {
        wa * f32::from(upper[i])
            + wb * f32::from(upper[right + i])
            + wc * f32::from(lower[i])
            + wd * f32::from(lower[right + i])
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rect(x0: f32, y0: f32, x1: f32, y1: f32) -> Quad {
        Quad([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    }

    /// A picture whose red grows with x and whose green grows with y.
    pub(in crate::vision) fn ramp(width: usize, height: usize) -> Picture {
        let mut bgr = Vec::new();
        for y in 0..height {
            for x in 0..width {
                bgr.extend([0, y as u8, x as u8]);
            }
        }
        Picture { width, height, bgr }
    }

    #[test]
    fn a_warp_of_a_ramp_is_a_ramp() {
        let mut planes = Planes::new(40, 20);
        assert!(planes.warp(&ramp(200, 100), &rect(50.0, 20.0, 128.0, 58.0), &rect(0.0, 0.0, 39.0, 19.0), 0..40));
        for y in 0..20 {
            for x in 0..40 {
                let (red, green) = (planes.values[y * 40 + x], planes.values[800 + y * 40 + x]);
                assert!((red * 255.0 - (50.0 + 2.0 * x as f32)).abs() < 0.01);
                assert!((green * 255.0 - (20.0 + 2.0 * y as f32)).abs() < 0.01);
            }
        }
    }

    #[test]
    fn a_homography_takes_corners_to_corners_and_back() {
        let (a, b) = (rect(10.0, 20.0, 110.0, 50.0), Quad([[3.0, 4.0], [90.0, 12.0], [85.0, 47.0], [1.0, 30.0]]));
        let there = Homography::between(&a, &b).unwrap();
        let back = Homography::between(&b, &a).unwrap();
        for (p, q) in a.0.iter().zip(&b.0) {
            let [x, y] = there.apply(*p);
            assert!((x - q[0]).abs() < 1e-3 && (y - q[1]).abs() < 1e-3);
            let [x, y] = back.apply([x, y]);
            assert!((x - p[0]).abs() < 1e-2 && (y - p[1]).abs() < 1e-2);
        }
        assert!(Homography::between(&Quad([[0.0, 0.0]; 4]), &a).is_none());
    }

    proptest! {
        #[test]
        fn any_quad_of_any_picture_is_safe(
            w in 1usize..30, h in 1usize..30,
            corners in proptest::array::uniform8(-1e5f32..1e5),
        ) {
            let quad = Quad([[corners[0], corners[1]], [corners[2], corners[3]], [corners[4], corners[5]], [corners[6], corners[7]]]);
            let picture = Picture::filled(w, h, [1, 2, 3]);
            let mut planes = Planes::new(16, 8);
            planes.warp(&picture, &quad, &rect(2.0, 2.0, 13.0, 6.0), 0..16);
            prop_assert!(planes.values.iter().all(|v| v.is_finite()));
        }
    }
}
