//! How the lane looks while nobody is there, and where a picture differs from that.
//!
//! In: the frames in which no plate is seen and nothing moves, one a second or so. Out: a coarse picture of the empty lane
//! with how restless each of its places is, and for any place of a later frame whether something else stands there. A car hides
//! the lane to the left and to the right of its plate; a telephone or a sheet held up by hand does not.
//!
//! The light changes, the lane does not: by how much brighter or darker a frame is than the remembered lane is told by the
//! commonest ratio of the two, away from the car. Where both are too dark to be told apart nothing is said, and nothing before
//! the lane was seen empty for a second or two.

use std::time::{Duration, Instant};

use crate::picture::Picture;

/// Cells a row.
const COLUMNS: usize = 240;
/// Brightness is kept with so many binary places.
const PLACES: u32 = 7;
/// The lane is looked at so often, and so often while it is not known.
const EVERY: Duration = Duration::from_millis(900);
const EVERY_NEW: Duration = Duration::from_millis(300);
/// Looks until it is known; while they last it is learnt by halves.
const LEARNING: u32 = 5;
/// Later the remembered lane follows a look by 1/2^this: some seven seconds.
const FOLLOW: u32 = 3;
/// The restlessness follows by 1/2^this.
const FOLLOW_SPREAD: u32 = 3;
/// If more of the cells than one in so many have changed, something moves there: nothing is learnt ...
const STILL: usize = 50;
/// ... unless it goes on for so many looks: then the lane is another one.
const PATIENCE: u32 = 20;
/// A place that differs by more than this and so many times its restlessness is something else, grey levels.
const FLOOR: f32 = 4.0;
const RESTLESS: f32 = 2.0;
/// Where that is more than this share of the lane's brightness, what looks like the lane may be anything: noise, by night.
const VAGUE: f32 = 0.25;
/// A cell that differs by more than this and so many times its restlessness has changed.
const CHANGED: i32 = 6;
const CHANGED_RESTLESS: i32 = 3;
/// No place counts for more restless than this, grey levels.
const MOST_RESTLESS: i32 = 40;
/// Where both are darker than this nothing can be told apart.
const DARK: f32 = 20.0;
/// What is brighter than this may be burnt out: how bright it is in truth is not known.
const BURNT: f32 = 250.0;
/// The light is judged by one cell of so many in each direction.
const THINNED: usize = 7;
/// The ratios of light that are counted: so many steps to the octave, from an eighth to eight times.
const STEPS: f32 = 16.0;
const OCTAVES: f32 = 3.0;
const RATIOS: usize = 97;
/// With fewer cells than this to judge by, the light is taken for unchanged.
const ENOUGH: u32 = 40;

/// The remembered lane.
#[derive(Default)]
pub struct EmptyLane {
    /// The picture's size, and the cells'.
    size: [usize; 2],
    step: usize,
    columns: usize,
    now: Vec<[u8; 3]>,
    lane: Vec<[u16; 3]>,
    spread: Vec<[u16; 3]>,
    /// Looks it was learnt from.
    looks: u32,
    /// Looks in a row in which something moved.
    moved: u32,
    looked: Option<Instant>,
}

/// The part of a picture that a car may take: left, top, right, bottom, pixels.
pub type Part = [f32; 4];
/// How many times brighter than the remembered lane a frame is: in blue, green and red.
pub type Light = [f32; 3];

impl EmptyLane {
    /// Looks at a frame, captured `at`, in which nobody is known to be.
    pub fn look(&mut self, picture: &Picture, at: Instant) {
        let every = if self.looks < LEARNING { EVERY_NEW } else { EVERY };
        if self.looked.is_some_and(|looked| at.saturating_duration_since(looked) < every) {
            return;
        }
        self.looked = Some(at);
        if !self.prepare(picture) {
            return;
        }
        let (step, columns) = (self.step, self.columns);
        for (y, row) in self.now.chunks_exact_mut(columns).enumerate() {
            row.iter_mut().enumerate().for_each(|(x, now)| *now = cell(picture, x * step, y * step, step));
        }
        if self.looks == 0 {
            self.lane.iter_mut().zip(&self.now).for_each(|(lane, now)| *lane = now.map(|v| u16::from(v) << PLACES));
            self.spread.fill([0; 3]);
            self.looks = 1;
            return;
        }
        let light = self.light_of(|i| Some(self.now[i])).map(|light| (light * 256.0) as i32);
        let changed = self.changed(light);
        let learning = self.looks < LEARNING;
        self.moved = if changed > self.now.len() / STILL { self.moved + 1 } else { 0 };
        if self.moved == 0 || learning || self.moved > PATIENCE {
            self.learn(light, if learning { 1 } else { FOLLOW });
            self.looks = self.looks.saturating_add(1);
        }
    }

    /// Is it known how the lane looks in pictures of this size?
    pub fn is_known(&self, picture: &Picture) -> bool {
        self.looks >= LEARNING && self.size == [picture.width, picture.height]
    }

    /// How many times brighter than the remembered lane this picture is, told by what is outside of `car`.
    pub fn light(&self, picture: &Picture, [left, top, right, bottom]: Part) -> Light {
        let (step, columns) = (self.step, self.columns);
        self.light_of(|i| {
            let (x, y) = (i % columns * step, i / columns * step);
            let (fx, fy) = (x as f32, y as f32);
            let away = fx < left || fx > right || fy < top || fy > bottom;
            away.then(|| cell(picture, x, y, step))
        })
    }

    /// Is what is `seen` at this place (blue, green, red; pixels) something else than the lane under this light? None where that
    /// cannot be told.
    pub fn is_hidden(&self, x: f32, y: f32, seen: [f32; 3], light: Light) -> Option<bool> {
        let rows = self.lane.len() / self.columns;
        let near = |v: f32, most: usize| {
            let v = (v / self.step as f32 - 0.5).clamp(0.0, most as f32 - 1.0);
            [v as usize, (v as usize + 1).min(most - 1)]
        };
        let ([x0, x1], [y0, y1]) = (near(x, self.columns), near(y, rows));
        let cells = [y0 * self.columns + x0, y0 * self.columns + x1, y1 * self.columns + x0, y1 * self.columns + x1];
        let (mut dark, mut vague, mut differs) = (true, true, false);
        for c in 0..3 {
            // An edge of the lane may be anywhere between the cells' middles: either side's brightness is the lane's.
            let (mut least, mut most, mut spread) = (u16::MAX, 0, 0);
            for i in cells {
                (least, most) = (least.min(self.lane[i][c]), most.max(self.lane[i][c]));
                spread = spread.max(self.spread[i][c]);
            }
            let burnt = grey(most) >= BURNT;
            let [least, most, spread] = [least, most, spread].map(|v| grey(v) * light[c]);
            let (least, most) = (least.min(BURNT), if burnt { 255.0 } else { most });
            let slack = FLOOR + RESTLESS * spread;
            dark &= most < DARK && seen[c] < DARK;
            vague &= slack > VAGUE * most;
            differs |= seen[c] < least - slack || seen[c] > most + slack;
        }
        match differs {
            _ if dark => None,
            false if vague => None,
            differs => Some(differs),
        }
    }

    /// Makes room for a picture of this size; `false` if there is nothing to be seen.
    fn prepare(&mut self, picture: &Picture) -> bool {
        let size = [picture.width, picture.height];
        if self.size != size {
            self.size = size;
            self.step = (picture.width / COLUMNS).max(1);
            self.columns = picture.width / self.step;
            let cells = self.columns * (picture.height / self.step);
            self.now.resize(cells, [0; 3]);
            self.lane.resize(cells, [0; 3]);
            self.spread.resize(cells, [0; 3]);
            (self.looks, self.moved) = (0, 0);
        }
        !self.now.is_empty()
    }

    /// The commonest ratios of a frame's cells to the remembered ones; `now` gives a cell's colour, or none for one that does not
    /// count.
    fn light_of(&self, now: impl Fn(usize) -> Option<[u8; 3]>) -> Light {
        let mut counts = [[0u32; RATIOS]; 3];
        let rows = self.lane.len() / self.columns;
        for y in (0..rows).step_by(THINNED) {
            for i in (y * self.columns..(y + 1) * self.columns).step_by(THINNED) {
                let Some(now) = now(i) else { continue };
                for c in 0..3 {
                    // What is burnt out or black has lost its ratio.
                    let (lane, now) = (grey(self.lane[i][c]), f32::from(now[c]));
                    if (DARK..BURNT).contains(&lane) && (4.0..BURNT).contains(&now) {
                        let ratio = (now / lane).log2();
                        let at = ((ratio + OCTAVES) * STEPS).round();
                        if (0.0..RATIOS as f32).contains(&at) {
                            counts[c][at as usize] += 1;
                        }
                    }
                }
            }
        }
        counts.map(|counts| commonest(&counts))
    }

    /// How many cells show something else than the lane. `light` in 1/256, here and below.
    fn changed(&self, light: [i32; 3]) -> usize {
        let differs = |((lane, spread), now): ((&[u16; 3], &[u16; 3]), &[u8; 3])| {
            (0..3).fold(false, |differs, c| {
                let [lane, spread] = [lane[c], spread[c]].map(|v| (i32::from(v) * light[c]) >> 8);
                let off = ((i32::from(now[c]) << PLACES) - lane).abs();
                differs | (off > (CHANGED << PLACES) + CHANGED_RESTLESS * spread)
            })
        };
        self.lane.iter().zip(&self.spread).zip(&self.now).map(|cell| usize::from(differs(cell))).sum()
    }

    /// Lets the remembered lane follow this look.
    fn learn(&mut self, light: [i32; 3], follow: u32) {
        for ((lane, spread), now) in self.lane.iter_mut().zip(&mut self.spread).zip(&self.now) {
            for c in 0..3 {
                let now = i32::from(now[c]) << PLACES;
                let off = (now - ((i32::from(lane[c]) * light[c]) >> 8)).abs();
                let step = (off - i32::from(spread[c])) >> FOLLOW_SPREAD;
                spread[c] = (i32::from(spread[c]) + step).clamp(0, MOST_RESTLESS << PLACES) as u16;
                lane[c] = (i32::from(lane[c]) + ((now - i32::from(lane[c])) >> follow)) as u16;
            }
        }
    }
}

fn grey(kept: u16) -> f32 {
    f32::from(kept) / (1 << PLACES) as f32
}

/// The ratio at the peak of these counts.
fn commonest(counts: &[u32; RATIOS]) -> f32 {
    let close = |i: usize| i.saturating_sub(1)..(i + 2).min(RATIOS);
    let around = |i: usize| counts[close(i)].iter().sum::<u32>();
    let peak = (0..RATIOS).max_by_key(|&i| (around(i), counts[i])).unwrap_or(0);
    let n = around(peak);
    if n < ENOUGH {
        return 1.0;
    }
    let sum: f32 = close(peak).map(|i| i as f32 * counts[i] as f32).sum();
    (sum / n as f32 / STEPS - OCTAVES).exp2()
}

/// The mean colour of a square of this side, from four of its pixels.
fn cell(picture: &Picture, x: usize, y: usize, side: usize) -> [u8; 3] {
    let (near, far) = (side / 4, side * 3 / 4);
    let mut sum = [2u16; 3];
    for (dx, dy) in [(near, near), (far, near), (near, far), (far, far)] {
        let at = ((y + dy) * picture.width + x + dx) * 3;
        sum.iter_mut().zip(&picture.bgr[at..at + 3]).for_each(|(sum, v)| *sum += u16::from(*v));
    }
    sum.map(|sum| (sum / 4) as u8)
}

#[cfg(test)]
#[path = "empty_lane_tests.rs"]
mod tests;
