//! The lane loop: the one place that knows the order of the stages.
//!
//! [`Lane::step`] is the whole way of a frame: newest frame → read → track → match → policy → barrier → event. It runs on
//! a thread of its own and waits for nothing but the next frame: the register is an immutable snapshot in memory, and
//! events go over a bounded channel to whoever writes them down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use jiff::Timestamp;

use super::event::{Arrival, Event, Outcome, PulseReport, Rule, SlotRead, VehicleRef};
use super::matching::{Match, Roster};
use super::policy::{self, Case, Verdict};
use super::strangers::Strangers;
use super::viewfinder::Viewfinder;
use crate::barrier::Pulse;
use crate::camera::Frame;
use crate::config;
use crate::picture::Picture;
use crate::plate::{ALPHABET, Colour, Plate};
use crate::register::{self, Snapshot};
use crate::telemetry::Telemetry;
use crate::vision::track::{Track, Tracker};
use crate::vision::{Reading, SlotProbabilities};

/// Where the lane's frames come from: a camera, or a test's script.
pub trait Frames: Send {
    /// Waits for a frame newer than the one in `frame` and puts it there; `false` if none came in time.
    fn next(&mut self, frame: &mut Option<Frame>, timeout: Duration) -> bool;
    /// Will no more frames come, ever?
    fn ended(&self) -> bool;
}

/// What reads plates off a picture.
pub trait Sight: Send {
    /// All plates of a picture, best first.
    fn read(&mut self, picture: &Picture) -> anyhow::Result<&[Reading]>;
}

/// What presses "open".
pub trait Button: Send {
    /// Presses it, if it was not pressed just now.
    fn press(&self) -> Pulse;
}

/// What the lane is told and what it is given.
pub struct Parts {
    /// Frames in.
    pub frames: Box<dyn Frames>,
    /// The reader of plates.
    pub sight: Box<dyn Sight>,
    /// The register's newest snapshot.
    pub register: Box<dyn Fn() -> Arc<Snapshot> + Send>,
    /// The barrier.
    pub button: Box<dyn Button>,
    /// Arrivals out.
    pub arrivals: Sender<Arrival>,
    /// For those who want to see what the lane sees.
    pub viewfinder: Arc<Viewfinder>,
    /// Counters and latencies.
    pub telemetry: Arc<Telemetry>,
    /// The compound's rules.
    pub rules: config::Gate,
}

/// The lane: every stage, and what it remembers from frame to frame.
pub struct Lane {
    parts: Parts,
    frame: Option<Frame>,
    tracker: Tracker,
    strangers: Strangers,
    roster: Roster,
    snapshot: Arc<Snapshot>,
    cars: Vec<Car>,
    recent: Vec<Recent>,
    gone: Vec<Track>,
}

/// A plate that was decided about, for as long as it may still be the same arrival.
struct Recent {
    plate: Plate,
    outcome: Outcome,
    seen: Instant,
}

/// What the lane remembers of one track.
struct Car {
    track: u64,
    /// What it was recorded as.
    plate: Option<Plate>,
    /// Put on record, and how.
    recorded: Option<Outcome>,
    /// The best look at it so far, for the record of a car that left without being let in.
    best: Option<(Event, Picture)>,
}

impl Lane {
    /// Puts the stages together.
    pub fn new(parts: Parts) -> Lane {
        let strangers = Strangers::new(parts.rules.home_province, parts.rules.home_city);
        let snapshot = (parts.register)();
        let roster = Roster::new(&snapshot, &strangers);
        Lane {
            parts,
            frame: None,
            tracker: Tracker::default(),
            strangers,
            roster,
            snapshot,
            cars: Vec::new(),
            recent: Vec::new(),
            gone: Vec::new(),
        }
    }

    /// Runs until `stop` is set or the frames end.
    pub fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            if !self.step(Duration::from_millis(200)) && self.parts.frames.ended() {
                break;
            }
        }
        self.tracker.clear(&mut self.gone);
        self.finish_gone();
    }

    /// One frame's way from the camera to the barrier. `false` if no frame came.
    pub fn step(&mut self, timeout: Duration) -> bool {
        // 1. The newest frame, and nothing older.
        self.parts.telemetry.beat();
        let mut frame = self.frame.take();
        if !self.parts.frames.next(&mut frame, timeout) {
            self.frame = frame;
            self.tracker.update(Instant::now(), &[], &mut self.gone);
            self.finish_gone();
            return false;
        }
        let Some(current) = frame else { return false };
        let begun = Instant::now();

        // 2. Every plate on it, a probability for each slot and character.
        let readings = match self.parts.sight.read(&current.picture) {
            Ok(readings) => readings,
            Err(error) => {
                tracing::error!(%error, "a frame could not be read");
                self.parts.telemetry.frame_failed();
                self.frame = Some(current);
                return true;
            }
        };
        self.parts.viewfinder.offer(&current.picture, readings);

        // 3. Joined with the frames before: one track a car.
        self.tracker.update(current.captured, readings, &mut self.gone);
        self.refresh_register();

        // 4. Match, policy, barrier, event: for each car in this frame.
        for i in 0..self.tracker.tracks().len() {
            if self.tracker.tracks()[i].fresh {
                self.consider(i, &current);
            }
        }
        self.finish_gone();
        self.parts.telemetry.frame_read(begun.elapsed(), current.captured);
        self.frame = Some(current);
        true
    }

    /// Takes over the register's newest snapshot.
    fn refresh_register(&mut self) {
        let newest = (self.parts.register)();
        if !Arc::ptr_eq(&newest, &self.snapshot) {
            self.roster = Roster::new(&newest, &self.strangers);
            self.snapshot = newest;
        }
    }

    /// Decides about one car, and acts.
    fn consider(&mut self, index: usize, frame: &Frame) {
        let track = &self.tracker.tracks()[index];
        let car = match self.cars.iter().position(|c| c.track == track.id) {
            Some(i) => i,
            None => {
                self.cars.push(Car { track: track.id, plate: None, recorded: None, best: None });
                self.cars.len() - 1
            }
        };
        if let (Some(plate), Some(outcome)) = (self.cars[car].plate, self.cars[car].recorded) {
            remember(&mut self.recent, plate, outcome);
        }
        if self.cars[car].recorded == Some(Outcome::Opened) {
            return;
        }
        let slots = track.fused();
        let snapshot = self.snapshot.clone();
        let found = self.roster.weigh(&slots, &snapshot, &self.strangers);
        let colour = track.colour();
        let case = Case { found: &found, colour, frames: track.frames };
        let today = register::today();
        let verdict = policy::decide(&case, &self.parts.rules, today);
        let (waited, best_now) = (frame.captured.saturating_duration_since(track.first_seen), track.best_now);
        let patience = Duration::from_millis(self.parts.rules.refuse_after_ms);
        let event = || self.describe(track, &slots, &found, colour, today, frame.taken_at);

        match verdict {
            Verdict::Open(rule) => {
                let event = event();
                self.open(car, rule, event, frame);
            }
            _ if self.cars[car].recorded.is_some() => {}
            Verdict::Refuse(rule) => {
                let event = Event { outcome: Outcome::Refused, rule, ..event() };
                self.record(car, event, frame.picture.clone());
            }
            Verdict::Wait(rule) if case.frames >= self.parts.rules.frames_to_open && waited >= patience => {
                let event = Event { outcome: Outcome::Refused, rule, ..event() };
                self.record(car, event, frame.picture.clone());
            }
            Verdict::Wait(rule) => {
                if best_now || self.cars[car].best.is_none() {
                    let event = Event { outcome: Outcome::Refused, rule, ..event() };
                    self.keep_best(car, event, &frame.picture);
                }
            }
        }
    }

    /// Keeps the best look at a car so far, in memory that is used again.
    fn keep_best(&mut self, car: usize, event: Event, picture: &Picture) {
        match &mut self.cars[car].best {
            Some((kept, copy)) => {
                *kept = event;
                (copy.width, copy.height) = (picture.width, picture.height);
                copy.bgr.clone_from(&picture.bgr);
            }
            none => *none = Some((event, picture.clone())),
        }
    }

    /// Presses "open" for a car, unless its frame is too old.
    fn open(&mut self, car: usize, rule: Rule, mut event: Event, frame: &Frame) {
        if frame.captured.elapsed() > Duration::from_millis(self.parts.rules.max_frame_age_ms) {
            self.parts.telemetry.stale();
            (event.outcome, event.rule) = (Outcome::Refused, Rule::Stale);
            self.keep_best(car, event, &frame.picture);
            return;
        }
        // A parked car whose track breaks must not hold the gate open all night.
        if event.plate.is_some_and(|plate| self.is_repeat(plate, Outcome::Opened)) {
            (self.cars[car].recorded, self.cars[car].plate) = (Some(Outcome::Opened), event.plate);
            return;
        }
        event.rule = rule;
        (event.outcome, event.pulse) = match self.parts.button.press() {
            Pulse::Pressed(at) => {
                let after = at.saturating_duration_since(frame.captured);
                self.parts.telemetry.pulse(after);
                (Outcome::Opened, Some(PulseReport::Pressed { after_ms: after.as_secs_f64() * 1e3 }))
            }
            Pulse::JustPressed => (Outcome::Opened, Some(PulseReport::JustPressed)),
            Pulse::Failed(error) => {
                tracing::error!(%error, "the barrier could not be opened");
                (Outcome::Failed, Some(PulseReport::Failed { reason: error.to_string() }))
            }
        };
        if self.cars[car].recorded != Some(event.outcome) {
            self.record(car, event, frame.picture.clone());
        }
    }

    /// Hands an arrival on to be written down; never waits.
    fn record(&mut self, car: usize, event: Event, picture: Picture) {
        (self.cars[car].recorded, self.cars[car].plate) = (Some(event.outcome), event.plate);
        self.cars[car].best = None;
        if let Some(plate) = event.plate {
            let repeat = event.outcome == Outcome::Refused && self.is_repeat(plate, Outcome::Refused);
            remember(&mut self.recent, plate, event.outcome);
            if repeat {
                return;
            }
        }
        self.parts.telemetry.decided(event.outcome, event.rule);
        if self.parts.arrivals.try_send(Arrival { event, picture }).is_err() {
            self.parts.telemetry.event_lost();
            tracing::error!("an arrival could not be put on record: the recorder does not keep up");
        }
    }

    /// Had this plate this outcome a moment ago? A car that stays at the gate is one arrival, however often its track
    /// breaks: the time counts from when it was last seen.
    fn is_repeat(&mut self, plate: Plate, outcome: Outcome) -> bool {
        let keep = Duration::from_secs(self.parts.rules.repeat_after_s);
        self.recent.retain(|r| r.seen.elapsed() < keep);
        // One that was let in and is then read less well is no refusal.
        let same = |o: Outcome| o == outcome || (outcome == Outcome::Refused && o == Outcome::Opened);
        self.recent.iter().any(|r| r.plate == plate && same(r.outcome))
    }

    /// Puts cars on record that left undecided.
    fn finish_gone(&mut self) {
        for track in std::mem::take(&mut self.gone) {
            let Some(i) = self.cars.iter().position(|c| c.track == track.id) else { continue };
            // A thing that was a plate in one frame only is no arrival.
            if self.cars[i].recorded.is_none()
                && track.frames >= self.parts.rules.frames_to_open.max(2)
                && let Some((event, picture)) = self.cars[i].best.take()
                && event.rule != Rule::Unreadable
            {
                self.record(i, event, picture);
            }
            self.cars.swap_remove(i);
        }
    }

    fn describe(
        &self,
        track: &Track,
        slots: &SlotProbabilities,
        found: &Match<'_>,
        colour: Colour,
        today: jiff::civil::Date,
        at: Timestamp,
    ) -> Event {
        let likely = found.vehicle.filter(|v| v.plate == found.read || found.is_neighbour());
        Event {
            plate: Some(found.read).filter(|_| found.confidence > 0.2),
            text: slots.text(),
            kind: Some(found.read.kind(colour)).filter(|_| found.confidence > 0.2),
            slots: slot_reads(slots),
            vehicle: likely.map(|v| VehicleRef {
                plate: v.plate,
                household: v.household.clone(),
                standing: v.standing(today),
            }),
            posterior: found.posterior(),
            frames: track.frames,
            quad: track.quad,
            ..Event::blank(&self.parts.rules.name, at)
        }
    }
}

fn remember(recent: &mut Vec<Recent>, plate: Plate, outcome: Outcome) {
    let seen = Instant::now();
    match recent.iter_mut().find(|r| r.plate == plate) {
        Some(known) => (known.outcome, known.seen) = (outcome, seen),
        None => recent.push(Recent { plate, outcome, seen }),
    }
}

/// The slots for the record: the likeliest character of each, and the others above 1 %.
fn slot_reads(slots: &SlotProbabilities) -> Vec<SlotRead> {
    let read = |row: &[f32; ALPHABET.len()]| {
        let mut all: Vec<(char, f32)> = ALPHABET.iter().copied().zip(row.iter().map(|l| l.exp())).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        let or = all[1..].iter().copied().take_while(|(_, p)| *p > 0.01).take(4).collect();
        SlotRead { char: all[0].0, p: all[0].1, or }
    };
    slots.0.iter().map(read).collect()
}
