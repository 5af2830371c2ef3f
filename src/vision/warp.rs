//! Pictures into network inputs: planar RGB, `f32`, 0..1, warped or shrunk in one pass.

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

/// A network's input: `[3, height, width]`, red, green, blue planes, 0..1.
#[derive(Clone, Debug, Default)]
pub struct Planes {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `3 * height * width` values.
    pub values: Vec<f32>,
}

impl Planes {
    /// All grey 0.5.
    pub fn new(width: usize, height: usize) -> Planes {
        Planes { width, height, values: vec![0.5; 3 * width * height] }
    }

    /// Writes one pixel, given as blue, green, red.
    fn put(&mut self, x: usize, y: usize, [blue, green, red]: [f32; 3]) {
        let (at, plane) = (y * self.width + x, self.width * self.height);
        self.values[at] = red;
        self.values[plane + at] = green;
        self.values[2 * plane + at] = blue;
    }

    /// Lays `quad` of the picture on `rect`, filling the columns `from..to`; bilinear, the picture's edge goes on
    /// outside (as OpenCV's `warpPerspective` with `INTER_LINEAR` and `BORDER_REPLICATE`).
    /// `false` if the quad is degenerate.
    pub fn warp(&mut self, picture: &Picture, quad: &Quad, rect: &Quad, columns: std::ops::Range<usize>) -> bool {
        let Some(h) = Homography::between(rect, quad) else { return false };
        let (right, bottom) = ((picture.width - 1) as f32, (picture.height - 1) as f32);
        for y in 0..self.height {
            for x in columns.clone() {
                let [sx, sy] = h.apply([x as f32, y as f32]);
                let pixel = bilinear(picture, sx.clamp(0.0, right), sy.clamp(0.0, bottom));
                self.put(x, y, pixel);
            }
        }
        true
    }

    /// Lays the part `region` (left, top, width, height in pixels) of the picture at the top left, as large as it fits,
    /// and gives the scale; the rest is left as it is. Shrinking averages, so that thin strokes do not flicker.
    pub fn fit(&mut self, picture: &Picture, region: [usize; 4], rows: &mut Vec<u32>) -> f32 {
        let [left, top, width, height] = region;
        let scale = (self.width as f32 / width as f32).min(self.height as f32 / height as f32);
        let w = ((width as f32 * scale).round() as usize).clamp(1, self.width);
        let h = ((height as f32 * scale).round() as usize).clamp(1, self.height);
        if scale > 0.67 {
            self.fit_bilinear(picture, region, scale, w, h);
            return scale;
        }
        for y in 0..h {
            let from = top + y * height / h;
            let to = (top + (y + 1) * height / h).max(from + 1);
            sum_rows(picture, left, width, from..to, rows);
            for x in 0..w {
                let (a, b) = (x * width / w, ((x + 1) * width / w).max(x * width / w + 1));
                let mut sum = [0u32; 3];
                for pixel in rows[a * 3..b * 3].chunks_exact(3) {
                    sum = [sum[0] + pixel[0], sum[1] + pixel[1], sum[2] + pixel[2]];
                }
                let norm = 1.0 / (255.0 * ((b - a) * (to - from)) as f32);
                self.put(x, y, sum.map(|c| c as f32 * norm));
            }
        }
        scale
    }

    fn fit_bilinear(&mut self, picture: &Picture, [left, top, ..]: [usize; 4], scale: f32, w: usize, h: usize) {
        let (right, bottom) = ((picture.width - 1) as f32, (picture.height - 1) as f32);
        for y in 0..h {
            for x in 0..w {
                let sx = left as f32 + (x as f32 + 0.5) / scale - 0.5;
                let sy = top as f32 + (y as f32 + 0.5) / scale - 0.5;
                let pixel = bilinear(picture, sx.clamp(0.0, right), sy.clamp(0.0, bottom));
                self.put(x, y, pixel);
            }
        }
    }
}

/// Adds up rows of a part of the picture, column by column.
fn sum_rows(picture: &Picture, left: usize, width: usize, rows: std::ops::Range<usize>, sums: &mut Vec<u32>) {
    sums.clear();
    sums.resize(width * 3, 0);
    for y in rows {
        let at = (y.min(picture.height - 1) * picture.width + left) * 3;
        for (sum, &byte) in sums.iter_mut().zip(&picture.bgr[at..at + width * 3]) {
            *sum += u32::from(byte);
        }
    }
}

/// The picture's colour at a place within it: blue, green, red, 0..1.
fn bilinear(picture: &Picture, x: f32, y: f32) -> [f32; 3] {
    let (x0, y0) = (x as usize, y as usize);
    let (fx, fy) = (x - x0 as f32, y - y0 as f32);
    let x1 = (x0 + 1).min(picture.width - 1);
    let y1 = (y0 + 1).min(picture.height - 1);
    let at = |x: usize, y: usize| &picture.bgr[(y * picture.width + x) * 3..][..3];
    let (a, b, c, d) = (at(x0, y0), at(x1, y0), at(x0, y1), at(x1, y1));
    let (wa, wb) = ((1.0 - fx) * (1.0 - fy), fx * (1.0 - fy));
    let (wc, wd) = ((1.0 - fx) * fy, fx * fy);
    let mix = |i: usize| wa * f32::from(a[i]) + wb * f32::from(b[i]) + wc * f32::from(c[i]) + wd * f32::from(d[i]);
    [mix(0) / 255.0, mix(1) / 255.0, mix(2) / 255.0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rect(x0: f32, y0: f32, x1: f32, y1: f32) -> Quad {
        Quad([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    }

    /// A picture whose red grows with x and whose green grows with y.
    fn ramp(width: usize, height: usize) -> Picture {
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

    #[test]
    fn shrinking_averages_and_keeps_the_place() {
        let mut planes = Planes::new(64, 32);
        let scale = planes.fit(&ramp(240, 100), [40, 20, 128, 64], &mut Vec::new());
        assert_eq!(scale, 0.5);
        for x in [0, 10, 63] {
            let mean = 40.0 + 2.0 * x as f32 + 0.5;
            assert!((planes.values[5 * 64 + x] * 255.0 - mean).abs() < 0.01);
        }
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

        #[test]
        fn any_picture_fits(w in 1usize..300, h in 1usize..300) {
            let mut planes = Planes::new(32, 32);
            let scale = planes.fit(&Picture::filled(w, h, [255, 255, 255]), [0, 0, w, h], &mut Vec::new());
            prop_assert!(scale > 0.0);
            prop_assert!(planes.values.iter().all(|v| (0.0..=1.001).contains(v)));
        }
    }
}
