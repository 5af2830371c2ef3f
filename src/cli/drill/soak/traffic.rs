//! The cars of a soak: who comes when, and what the camera reads of them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use crate::barrier::Pulse;
use crate::camera::Frame;
use crate::clock::{Clock, Hands};
use crate::gate::lane::{Button, Frames, Sight};
use crate::picture::{Picture, Quad};
use crate::plate::{ALPHABET, Plate, SLOTS};
use crate::vision::{Reading, SlotProbabilities};

/// From frame to frame.
const TICK: Duration = Duration::from_millis(80);
/// Frames of one approach.
const FRAMES: usize = 8;

/// What is still to be seen: readings, frame by frame; none: a pause without frames.
pub(super) type Script = Arc<Mutex<VecDeque<Option<Vec<Reading>>>>>;

/// The camera, at the clock's pace.
pub(super) struct Camera {
    pub(super) script: Script,
    pub(super) clock: Hands,
    pub(super) sequence: u64,
}

impl Frames for Camera {
    fn next(&mut self, frame: &mut Option<Frame>, _: Duration) -> bool {
        if self.script.lock().front().is_none_or(Option::is_none) {
            // The car has gone when nothing was seen of it for a while.
            self.script.lock().pop_front();
            self.clock.turn(Duration::from_secs(5));
            return false;
        }
        self.clock.turn(TICK);
        self.sequence += 1;
        let shade = (self.sequence % 200) as u8;
        let (captured, taken_at) = (self.clock.now(), self.clock.wall());
        let picture = Picture::filled(640, 360, [shade, 90, 130]);
        *frame = Some(Frame { picture, captured, taken_at, sequence: self.sequence });
        true
    }

    fn ended(&self) -> bool {
        self.script.lock().is_empty()
    }
}

/// What is read.
pub(super) struct Eyes {
    pub(super) script: Script,
    pub(super) readings: Vec<Reading>,
}

impl Sight for Eyes {
    fn read(&mut self, _: &Picture) -> anyhow::Result<&[Reading]> {
        self.readings = self.script.lock().pop_front().flatten().unwrap_or_default();
        Ok(&self.readings)
    }
}

/// The button, with the gap that a barrier keeps.
pub(super) struct Press {
    pub(super) clock: Hands,
    pub(super) last: Mutex<Option<Instant>>,
}

impl Button for Press {
    fn press(&self, _service: bool) -> Pulse {
        let (now, mut last) = (self.clock.now(), self.last.lock());
        if last.is_some_and(|last| now.saturating_duration_since(last) < Duration::from_secs(3)) {
            return Pulse::JustPressed;
        }
        *last = Some(now);
        Pulse::Pressed(now)
    }
}

/// The frames of one car that drives up: ever larger, read ever better, at worst `clear` a character.
pub(super) fn approach(script: &Script, plate: &Plate, clear: f32, random: &mut ChaCha8Rng) {
    let mut script = script.lock();
    for n in 0..FRAMES {
        let share = n as f32 / (FRAMES - 1) as f32;
        let p = (clear - 0.15 * (1.0 - share) - random.random_range(0.0..0.02)).clamp(0.2, 0.999);
        script.push_back(Some(vec![reading(plate, 100.0 + 60.0 * share, 80.0 + 90.0 * share, p)]));
    }
    script.push_back(None);
}

fn reading(plate: &Plate, x: f32, width: f32, p: f32) -> Reading {
    let mut slots = [[((1.0 - p) / (ALPHABET.len() - 1) as f32).ln(); ALPHABET.len()]; SLOTS];
    for (row, &i) in slots.iter_mut().zip(plate.slots()) {
        row[i as usize] = p.ln();
    }
    let (top, height) = (100.0 + width / 2.0, width / 3.1);
    let quad = Quad([[x, top], [x + width, top], [x + width, top + height], [x, top + height]]);
    let mut colours = [0.0; 6];
    colours[0] = 1.0;
    Reading { quad, score: 0.9, is_plate: 0.99, slots: SlotProbabilities(slots), colours, sharpness: 0.1 }
}

/// Who comes: mostly neighbours; strangers, some of them again and again; some that cannot be read.
pub(super) fn who(neighbours: &[Plate], random: &mut ChaCha8Rng) -> (Plate, f32) {
    let stranger = |number: u32| format!("皖A{number:05}").parse::<Plate>().expect("five digits make a plate");
    match random.random_range(0..100) {
        0..65 => (*neighbours.choose(random).unwrap_or(&stranger(1)), 0.985),
        65..75 => (stranger(random.random_range(0..60)), 0.985),
        75..95 => (stranger(random.random_range(100..100_000)), 0.985),
        _ => (stranger(random.random_range(100..100_000)), 0.55),
    }
}

/// Seconds after midnight, in order, with the rush of the morning and the evening.
pub(super) fn times(count: u32, random: &mut ChaCha8Rng) -> Vec<u32> {
    let mut times: Vec<u32> = (0..count)
        .map(|_| match random.random_range(0..10) {
            0..3 => random.random_range(7 * 3600..9 * 3600),
            3..6 => random.random_range(17 * 3600..20 * 3600),
            _ => random.random_range(600..86_000),
        })
        .collect();
    times.sort_unstable();
    times
}
