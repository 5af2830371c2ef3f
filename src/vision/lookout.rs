//! Is this frame worth reading, or does it show the same empty lane as those before?
//!
//! In: every frame. Out: yes or no, for a twentieth of what reading costs. A coarse grid of brightness samples over the lane
//! is compared with how the lane looked lately; each cell of 4 x 4 samples, and each block of 4 x 4 cells, knows how much it
//! differs when nothing happens (noise, a video codec's breathing, leaves) and calls as soon as it differs by more. The small
//! cells see a plate, the large blocks see what is large and faint: a dark car at night.
//!
//! Every doubt is decided for reading: the first frames, a picture of another size, a gap in the frames (a camera that came
//! back), a lane too restless to be judged. And a lane that stands still is read once in a while all the same.

use std::time::{Duration, Instant};

use crate::config;
use crate::picture::Picture;

/// Samples a cell's side, and cells a block's side.
const SIDE: usize = 4;
/// The narrowest plate worth reading is so many samples wide.
const SAMPLES_A_PLATE: f32 = 10.0;
/// Brightness is kept with so many binary places.
const PLACES: u32 = 7;
/// The remembered lane follows the frames by 1/2^this a frame: some half second.
const FOLLOW: u32 = 4;
/// More than the greatest difference lately by so many grey levels is a change: in a cell, and in a block.
const CELL: Limits = Limits { margin: 3.0, most: 20.0 };
const BLOCK: Limits = Limits { margin: 1.5, most: 8.0 };
/// Frames that are read while the lane is learnt.
const LEARNING: u32 = 24;
/// After the last change it is read on for so long.
const LINGER: Duration = Duration::from_millis(500);
/// A longer gap between two frames than this means that the camera was away.
const GAP: Duration = Duration::from_millis(400);

/// What makes a difference a change, in grey levels.
#[derive(Clone, Copy)]
struct Limits {
    /// Above what was seen lately.
    margin: f32,
    /// What was seen lately counts for no more than this: a restless lane is read, not ignored.
    most: f32,
}

/// How much one place differs from the remembered lane while nothing happens, grey levels.
#[derive(Clone, Copy, Debug, Default)]
struct Calm {
    mean: f32,
    /// The greatest lately; sinks slowly to the mean.
    peak: f32,
}

/// The places of one size.
#[derive(Default)]
struct Level {
    columns: usize,
    calm: Vec<Calm>,
    /// This frame's differences, and those of the frame that called.
    now: Vec<f32>,
    called: Vec<f32>,
}

/// Looks at every frame, and tells which are worth reading.
pub struct Lookout {
    on: bool,
    /// It reads again after so long, whatever it sees.
    look_again: Duration,
    /// Of the frames of a waking lane, one in so many is read.
    every: u32,
    /// Frames since the last one that was read.
    passed: u32,
    /// Was the lane awake in the frame before?
    awake: bool,
    step: usize,
    /// Which part of what picture the samples are of: the picture's size, then the part's place and size.
    place: [usize; 6],
    columns: usize,
    samples: Vec<u8>,
    lane: Vec<u16>,
    cells: Level,
    blocks: Level,
    /// Frames still to be learnt from.
    learning: u32,
    seen: Option<Instant>,
    read: Option<Instant>,
    awake_until: Option<Instant>,
    /// Was there a car to decide about since it woke?
    met: bool,
}

impl Default for Lookout {
    /// One that finds every frame worth reading.
    fn default() -> Lookout {
        Lookout::new(&config::Vision { sleep_when_still: false, ..config::Vision::default() })
    }
}

impl Lookout {
    /// As the configuration has it.
    pub fn new(settings: &config::Vision) -> Lookout {
        Lookout {
            on: settings.sleep_when_still,
            look_again: Duration::from_millis(settings.look_again_ms),
            every: settings.read_every,
            passed: 0,
            awake: false,
            step: ((settings.narrowest_plate_px / SAMPLES_A_PLATE) as usize).clamp(1, 8),
            place: [0; 6],
            columns: 0,
            samples: Vec::new(),
            lane: Vec::new(),
            cells: Level::default(),
            blocks: Level::default(),
            learning: LEARNING,
            seen: None,
            read: None,
            awake_until: None,
            met: false,
        }
    }

    /// Is this frame, captured `at`, worth reading? `region` is the lane on it (left, top, width, height in pixels, within the
    /// picture); `busy` says that it is to be read in any case, because a car is being decided about.
    pub fn is_worth_reading(&mut self, picture: &Picture, region: [usize; 4], at: Instant, busy: bool) -> bool {
        let slept = !self.awake;
        self.awake = !self.on || self.looks_awake(picture, region, at, busy) || busy;
        let due = self.read.is_none_or(|read| at.saturating_duration_since(read) >= self.look_again);
        self.passed += 1;
        // The frame that woke it is read whatever was read before.
        let turn = slept || self.passed >= self.every;
        let worth = due || (self.awake && turn);
        if worth {
            (self.read, self.passed) = (Some(at), 0);
        }
        worth
    }

    /// Looks at one frame; is the lane awake?
    fn looks_awake(&mut self, picture: &Picture, region: [usize; 4], at: Instant, busy: bool) -> bool {
        let came_back = self.seen.is_none_or(|seen| at.saturating_duration_since(seen) > GAP);
        self.seen = Some(at);
        let same = self.prepare(picture, region);
        if self.columns == 0 {
            return true;
        }
        self.sample(picture, region);
        if same {
            self.compare();
        } else {
            self.begin();
        }
        let learning = self.learning > 0;
        let changed = same && !learning && (self.cells.calls(CELL) || self.blocks.calls(BLOCK));
        self.wake_or_sleep(at, changed || came_back || learning, busy);
        // While a car is decided about the lane is not learnt: it shall be known again when the car has gone. A car that is
        // done with and stays becomes a part of it.
        if !busy {
            self.cells.learn(CELL, learning);
            self.blocks.learn(BLOCK, learning);
            self.learning = self.learning.saturating_sub(1);
            self.follow();
        }
        self.awake_until.is_some()
    }

    /// A new alarm, or the end of one.
    fn wake_or_sleep(&mut self, at: Instant, changed: bool, busy: bool) {
        self.met |= busy;
        if changed {
            if self.awake_until.is_none() {
                self.met = busy;
                self.cells.remember_call();
                self.blocks.remember_call();
            }
            self.awake_until = Some(at + LINGER);
        } else if self.awake_until.is_some_and(|until| at > until) {
            self.awake_until = None;
            // A false alarm teaches: what called will have to differ by more next time.
            if !self.met {
                self.cells.forgive();
                self.blocks.forgive();
            }
        }
    }

    /// Makes room for a picture and a lane of this size; `false` if it was another one before.
    fn prepare(&mut self, picture: &Picture, region: [usize; 4]) -> bool {
        let [left, top, width, height] = region;
        let place = [picture.width, picture.height, left, top, width, height];
        if self.place == place {
            return true;
        }
        self.place = place;
        let (columns, rows) = (width / self.step, height / self.step);
        self.columns = if rows == 0 { 0 } else { columns };
        self.samples.resize(self.columns * rows, 0);
        self.lane.resize(self.columns * rows, 0);
        self.cells.resize(self.columns.div_ceil(SIDE), rows.div_ceil(SIDE));
        self.blocks.resize(self.cells.columns.div_ceil(SIDE), rows.div_ceil(SIDE).div_ceil(SIDE));
        false
    }

    /// Takes the brightness of every so-many-th pixel and its neighbour.
    fn sample(&mut self, picture: &Picture, [left, top, ..]: [usize; 4]) {
        let (step, columns) = (self.step, self.columns);
        for (y, into) in self.samples.chunks_exact_mut(columns).enumerate() {
            let begin = ((top + y * step + step / 2) * picture.width + left) * 3;
            let row = &picture.bgr[begin..begin + columns * step * 3];
            if step == 1 {
                into.iter_mut().zip(row.chunks_exact(3)).for_each(|(to, p)| *to = (grey(p) >> 2) as u8);
            } else {
                let pairs = row.chunks_exact(step * 3);
                into.iter_mut().zip(pairs).for_each(|(to, p)| *to = ((grey(p) + grey(&p[3..])) >> 3) as u8);
            }
        }
    }

    /// The lane is what this frame shows.
    fn begin(&mut self) {
        self.lane.iter_mut().zip(&self.samples).for_each(|(lane, &now)| *lane = u16::from(now) << PLACES);
        for level in [&mut self.cells, &mut self.blocks] {
            level.calm.fill(Calm::default());
            level.now.fill(0.0);
        }
        self.learning = LEARNING;
    }

    /// How much each cell and each block differs from the remembered lane.
    fn compare(&mut self) {
        let rows = self.samples.len() / self.columns;
        for (y, into) in self.cells.now.chunks_exact_mut(self.cells.columns).enumerate() {
            let span = y * SIDE..((y + 1) * SIDE).min(rows);
            let height = span.len();
            into.fill(0.0);
            for row in span {
                let at = row * self.columns..(row + 1) * self.columns;
                let (now, lane) = (&self.samples[at.clone()], &self.lane[at]);
                for ((sum, now), lane) in into.iter_mut().zip(now.chunks(SIDE)).zip(lane.chunks(SIDE)) {
                    *sum += difference(now, lane) as f32;
                }
            }
            for (x, sum) in into.iter_mut().enumerate() {
                let width = SIDE.min(self.columns - x * SIDE);
                *sum /= (width * height * (1 << PLACES)) as f32;
            }
        }
        self.cells.gather(&mut self.blocks);
    }

    /// Lets the remembered lane follow this frame.
    fn follow(&mut self) {
        for (lane, &now) in self.lane.iter_mut().zip(&self.samples) {
            let off = (i32::from(now) << PLACES) - i32::from(*lane);
            *lane = (i32::from(*lane) + (off >> FOLLOW)) as u16;
        }
    }
}

/// Four times a pixel's brightness.
fn grey(pixel: &[u8]) -> u16 {
    u16::from(pixel[0]) + 2 * u16::from(pixel[1]) + u16::from(pixel[2])
}

/// The sum of absolute differences of a few samples.
fn difference(now: &[u8], lane: &[u16]) -> u32 {
    now.iter().zip(lane).map(|(&now, &lane)| u32::from((u16::from(now) << PLACES).abs_diff(lane))).sum()
}

impl Level {
    fn resize(&mut self, columns: usize, rows: usize) {
        self.columns = columns;
        self.calm.resize(columns * rows, Calm::default());
        self.now.resize(columns * rows, 0.0);
        self.called.resize(columns * rows, 0.0);
    }

    /// The means of this level's squares into the next.
    fn gather(&self, into: &mut Level) {
        let rows = self.now.len() / self.columns;
        for (i, mean) in into.now.iter_mut().enumerate() {
            let (x, y) = (i % into.columns * SIDE, i / into.columns * SIDE);
            let (right, bottom) = ((x + SIDE).min(self.columns), (y + SIDE).min(rows));
            let sum: f32 = (y..bottom).flat_map(|r| &self.now[r * self.columns + x..r * self.columns + right]).sum();
            *mean = sum / ((right - x) * (bottom - y)) as f32;
        }
    }

    /// Does any place differ by more than it does when nothing happens?
    fn calls(&self, limits: Limits) -> bool {
        self.now.iter().zip(&self.calm).any(|(now, calm)| *now > calm.peak.min(limits.most) + limits.margin)
    }

    /// Takes this frame's differences for what happens when nothing does, where they are small enough for that.
    fn learn(&mut self, limits: Limits, all: bool) {
        for (calm, &now) in self.calm.iter_mut().zip(&self.now) {
            if all || now <= calm.peak.min(limits.most) + limits.margin {
                calm.mean += (now - calm.mean) / 16.0;
                calm.peak = (calm.peak - (calm.peak - calm.mean) / 128.0).max(now);
            }
        }
    }

    fn remember_call(&mut self) {
        self.called.copy_from_slice(&self.now);
    }

    fn forgive(&mut self) {
        for (calm, called) in self.calm.iter_mut().zip(&self.called) {
            calm.peak = calm.peak.max(*called);
        }
    }
}

#[cfg(test)]
#[path = "lookout_tests.rs"]
mod tests;
