//! A lane that is driven by a script: readings, pauses, a clock; what was pressed and put on record comes out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use parking_lot::Mutex;

use crate::barrier::{ArmError, Pulse};
use crate::camera::Frame;
use crate::clock::{Clock, Hands};
use crate::config::{self, Strength};
use crate::gate::event::Arrival;
use crate::gate::inside::Inside;
use crate::gate::lane::{Button, Frames, Lane, Parts, Sight};
use crate::gate::liveness::Presence;
use crate::gate::mode::Hand;
use crate::picture::{Picture, Quad};
use crate::register::{Dues, Snapshot, Vehicle};
use crate::vision::Reading;
use crate::vision::track::tests::reading;

pub(super) const TICK: Duration = Duration::from_millis(80);

/// Hands out empty frames, `age` old, one a step; `None` is a pause without frames.
pub(super) struct Script {
    left: VecDeque<Option<Duration>>,
    age: Duration,
    clock: Hands,
    sequence: u64,
    /// Where to paint a car's front around a plate, frame by frame.
    bodies: VecDeque<Vec<Quad>>,
    /// How far it reaches, plate widths.
    reach: f32,
}

impl Frames for Script {
    fn next(&mut self, frame: &mut Option<Frame>, _: Duration) -> bool {
        let Some(next) = self.left.pop_front() else { return false };
        if let Some(pause) = next {
            self.clock.turn(pause);
            return false;
        }
        self.clock.turn(TICK);
        self.sequence += 1;
        let captured = self.clock.now() - self.age;
        let mut picture = Picture::filled(640, 360, [90, 90, 90]);
        self.bodies.pop_front().iter().flatten().for_each(|quad| paint_body(&mut picture, quad, self.reach));
        *frame = Some(Frame { picture, captured, taken_at: self.clock.wall(), sequence: self.sequence });
        true
    }

    fn ended(&self) -> bool {
        self.left.is_empty()
    }
}

/// A front that comes along with its plate, so many plate widths to each side.
pub(super) fn paint_body(on: &mut Picture, plate: &Quad, reach: f32) {
    let ([x, y], width) = (plate.centre(), plate.width());
    let within = |v: f32, most: usize| v.clamp(0.0, most as f32) as usize;
    for py in within(y - 1.5 * width, on.height)..within(y + 0.8 * width, on.height) {
        for px in within(x - reach * width, on.width)..within(x + reach * width, on.width) {
            let (u, v) = ((px as f32 - x) / width, (py as f32 - y) / width);
            let grey = 120.0 + 50.0 * ((u * 5.0).sin() + (v * 4.0 + u * 2.0).cos());
            on.bgr[(py * on.width + px) * 3..][..3].fill(grey as u8);
        }
    }
}

/// Reads the scripted plates, one list a frame.
pub(super) struct Seen(VecDeque<Vec<Reading>>, Vec<Reading>);

impl Sight for Seen {
    fn read(&mut self, _: &Picture) -> anyhow::Result<&[Reading]> {
        self.1 = self.0.pop_front().ok_or_else(|| anyhow::anyhow!("the script is at its end"))?;
        Ok(&self.1)
    }
}

/// A button that notes when it was pressed, and keeps a gap of three seconds.
#[derive(Clone)]
pub(super) struct Presses {
    at: Arc<Mutex<Vec<std::time::Instant>>>,
    clock: Hands,
    broken: bool,
}

impl Button for Presses {
    fn press(&self, _: bool) -> Pulse {
        if self.broken {
            return Pulse::Failed(ArmError::Output("the line is gone".into()));
        }
        let (now, mut at) = (self.clock.now(), self.at.lock());
        if at.last().is_some_and(|last| now - *last < Duration::from_secs(3)) {
            return Pulse::JustPressed;
        }
        at.push(now);
        Pulse::Pressed(now)
    }
}

pub(super) struct Loop(Option<bool>);

impl Presence for Loop {
    fn is_on(&self) -> Option<bool> {
        self.0
    }
}

/// What a test may change about the gate.
pub(super) struct Setting {
    pub(super) age: Duration,
    pub(super) broken: bool,
    pub(super) room: usize,
    pub(super) presence: Option<bool>,
    pub(super) rules: config::Gate,
    pub(super) strength: Strength,
    /// How far a front reaches from its plate, plate widths; 0 where none is painted.
    pub(super) bodies: f32,
    pub(super) schedule: config::Schedule,
    pub(super) hand: Hand,
    pub(super) inside: Inside,
    pub(super) register: Arc<Snapshot>,
    pub(super) wall: Timestamp,
    pub(super) sight_ends: usize,
}

impl Default for Setting {
    fn default() -> Setting {
        Setting {
            age: Duration::ZERO,
            broken: false,
            room: 16,
            presence: None,
            rules: config::Gate::default(),
            // The scripted frames are empty: nothing comes along with a plate.
            strength: Strength::Watch,
            bodies: 0.0,
            schedule: config::Schedule::default(),
            hand: Hand::default(),
            inside: Inside::default(),
            register: Arc::new(Snapshot::new(vec![
                vehicle("苏F12345", Dues::settled()),
                vehicle("苏F8K291", Dues::default()),
            ])),
            wall: "2026-11-25T12:00:00Z".parse().unwrap(),
            sight_ends: 0,
        }
    }
}

pub(super) fn vehicle(plate: &str, dues: Dues) -> Vehicle {
    Vehicle::new(plate.parse().unwrap(), "2-301").with(dues)
}

/// One step of a script: what is read in a frame, or a pause without frames.
pub(super) type Steps = Vec<Result<Vec<Reading>, Duration>>;

/// Lets the script run; gives how often it was pressed, and what was put on record.
pub(super) fn run(steps: Steps, setting: Setting) -> (usize, Vec<Arrival>) {
    let clock = Hands::at(setting.wall, TimeZone::get("Asia/Shanghai").unwrap());
    let at = Arc::<Mutex<Vec<_>>>::default();
    let presses = Presses { at, clock: clock.clone(), broken: setting.broken };
    let left = steps.iter().map(|step| step.as_ref().err().copied()).collect();
    let count = steps.len();
    let mut readings: VecDeque<Vec<Reading>> = steps.into_iter().filter_map(Result::ok).collect();
    readings.truncate(readings.len() - setting.sight_ends);
    let quads = |readings: &Vec<Reading>| readings.iter().map(|r| r.quad).collect();
    let bodies = if setting.bodies > 0.0 { readings.iter().map(quads).collect() } else { VecDeque::new() };
    let frames = Script { left, age: setting.age, clock: clock.clone(), sequence: 0, bodies, reach: setting.bodies };
    let seen = Seen(readings, Vec::new());
    let (parts, arrivals) = Parts::new(frames, seen, setting.register, presses.clone(), setting.room);
    let mut lane = Lane::new(Parts {
        presence: Box::new(Loop(setting.presence)),
        clock: Box::new(clock),
        hand: setting.hand,
        inside: setting.inside,
        rules: setting.rules,
        schedule: setting.schedule,
        photo_check: config::PhotoCheck { strength: setting.strength, ..Default::default() },
        ..parts
    });
    for _ in 0..count {
        lane.step(Duration::ZERO);
    }
    lane.finish();
    let pressed = presses.at.lock().len();
    (pressed, arrivals.try_iter().collect())
}

/// A plate that is so wide and lies as far down as the lane's geometry has it.
pub(super) fn at(text: &str, x: f32, width: f32) -> Reading {
    let mut reading = reading(text, x, width, 0.99);
    reading.quad.0.iter_mut().for_each(|p| p[1] += 1.2 * width - 80.0);
    reading
}

/// A car that comes up in `frames` frames and stands for as many as `stands`.
pub(super) fn car(text: &str, frames: usize, stands: usize) -> Steps {
    let width = |n: usize| 60.0 + 80.0 * (n.min(frames) as f32 / frames as f32);
    (0..frames + stands).map(|n| Ok(vec![at(text, 100.0, width(n))])).collect()
}

pub(super) fn pause(seconds: f32) -> Steps {
    // In steps, as the lane waits.
    (0..(seconds / 0.2).round() as usize).map(|_| Err(Duration::from_millis(200))).collect()
}

pub(super) fn fresh(steps: Steps) -> (usize, Vec<Arrival>) {
    run(steps, Setting::default())
}
