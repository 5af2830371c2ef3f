//! Drawing on a picture: convex shapes, discs, glows.

use crate::picture::Picture;

/// A colour as blue, green, red.
pub(super) type Bgr = [u8; 3];

/// Darkens or brightens a colour.
pub(super) fn lit(colour: Bgr, by: f32) -> Bgr {
    colour.map(|c| (f32::from(c) * by).clamp(0.0, 255.0) as u8)
}

/// Fills a convex polygon.
pub(super) fn polygon(on: &mut Picture, points: &[[f32; 2]], colour: Bgr) {
    let top = points.iter().map(|p| p[1]).fold(f32::MAX, f32::min).max(0.0) as usize;
    let bottom = (points.iter().map(|p| p[1]).fold(f32::MIN, f32::max).min(on.height as f32 - 1.0)).max(-1.0);
    for y in top..(bottom + 1.0) as usize {
        let line = y as f32 + 0.5;
        let (mut left, mut right) = (f32::MAX, f32::MIN);
        for (i, a) in points.iter().enumerate() {
            let b = points[(i + 1) % points.len()];
            if (a[1] <= line) != (b[1] <= line) {
                let x = a[0] + (line - a[1]) / (b[1] - a[1]) * (b[0] - a[0]);
                (left, right) = (left.min(x), right.max(x));
            }
        }
        span(on, y, left, right, colour);
    }
}

/// Fills an ellipse.
pub(super) fn ellipse(on: &mut Picture, [cx, cy]: [f32; 2], [rx, ry]: [f32; 2], colour: Bgr) {
    let from = (cy - ry).max(0.0) as usize;
    let to = ((cy + ry).min(on.height as f32 - 1.0) + 1.0).max(0.0) as usize;
    for y in from..to {
        let t = (y as f32 + 0.5 - cy) / ry.max(0.5);
        if t.abs() < 1.0 {
            let half = rx * (1.0 - t * t).sqrt();
            span(on, y, cx - half, cx + half, colour);
        }
    }
}

fn span(on: &mut Picture, y: usize, left: f32, right: f32, colour: Bgr) {
    if y >= on.height || right < left {
        return;
    }
    let a = left.round().clamp(0.0, on.width as f32) as usize;
    let b = right.round().clamp(0.0, on.width as f32) as usize;
    for pixel in on.bgr[(y * on.width + a) * 3..(y * on.width + b) * 3].chunks_exact_mut(3) {
        pixel.copy_from_slice(&colour);
    }
}

/// Adds light around a lamp, falling off with the square of the distance.
pub(super) fn glow(on: &mut Picture, [cx, cy]: [f32; 2], radius: f32, strength: f32) {
    let reach = radius * 3.0;
    let (x0, x1) = ((cx - reach).max(0.0) as usize, (cx + reach).clamp(0.0, on.width as f32) as usize);
    let (y0, y1) = ((cy - reach).max(0.0) as usize, (cy + reach).clamp(0.0, on.height as f32) as usize);
    let (inverse, edge) = (1.0 / (radius * radius), 1.0 / 10.0);
    for y in y0..y1 {
        let dy = y as f32 - cy;
        for x in x0..x1 {
            let dx = x as f32 - cx;
            let light = strength * (1.0 / (1.0 + (dx * dx + dy * dy) * inverse) - edge);
            if light > 1.0 {
                let at = (y * on.width + x) * 3;
                for c in &mut on.bgr[at..at + 3] {
                    *c = c.saturating_add(light as u8);
                }
            }
        }
    }
}
