//! The lane loop: the one place that knows the order of the stages.
//!
//! [`Lane::step`] is the whole way of a frame: newest frame → read → track → match → policy → barrier → event. It runs on
//! a thread of its own and waits for nothing but the next frame: the register is an immutable snapshot in memory, and
//! events go over a bounded channel to whoever writes them down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use jiff::Zoned;

use super::account::{self, Grounds};
use super::event::{Arrival, Event, Heading, Outcome, PulseReport, Rule, Times};
use super::inside::Inside;
use super::liveness::{self, Presence};
use super::matching::Roster;
use super::mode::Hand;
use super::policy::{self, Case, Verdict};
use super::recent::Recent;
use super::strangers::Strangers;
use super::viewfinder::Viewfinder;
use crate::barrier::Pulse;
use crate::camera::Frame;
use crate::clock::Clock;
use crate::config::{self, Direction, Strength};
use crate::picture::Picture;
use crate::plate::Plate;
use crate::register::Snapshot;
use crate::telemetry::Telemetry;
use crate::vision::Reading;
use crate::vision::surroundings::Surroundings;
use crate::vision::track::{Track, Tracker};

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
    /// Presses it, if it was not pressed just now. `service`: for fire, rescue or police.
    fn press(&self, service: bool) -> Pulse;
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
    /// The presence loop.
    pub presence: Box<dyn Presence>,
    /// What time it is.
    pub clock: Box<dyn Clock>,
    /// The mode that stewards set by hand.
    pub hand: Hand,
    /// Who is inside.
    pub inside: Inside,
    /// Arrivals out.
    pub arrivals: Sender<Arrival>,
    /// For those who want to see what the lane sees.
    pub viewfinder: Arc<Viewfinder>,
    /// Counters and latencies.
    pub telemetry: Arc<Telemetry>,
    /// The compound's rules.
    pub rules: config::Gate,
    /// Its hours.
    pub schedule: config::Schedule,
    /// How photographs of plates are looked for.
    pub photo_check: config::PhotoCheck,
}

/// A car that crawls on is refused after this many times what a standing one is given.
const CRAWLS: u32 = 5;

/// The lane: every stage, and what it remembers from frame to frame.
pub struct Lane {
    parts: Parts,
    frame: Option<Frame>,
    tracker: Tracker,
    strangers: Strangers,
    roster: Roster,
    snapshot: Arc<Snapshot>,
    cars: Vec<Car>,
    recent: Recent,
    gone: Vec<Track>,
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
    /// What was seen around its plate.
    around: Surroundings,
}

/// When a frame passed which stage.
#[derive(Clone, Copy)]
struct Stamps {
    captured: Instant,
    taken: Instant,
    read: Instant,
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
            recent: Recent::default(),
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
        self.finish();
    }

    /// No more frames come: cars that were not decided about are put on record.
    pub fn finish(&mut self) {
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
            self.tracker.update(self.parts.clock.now(), &[], &mut self.gone);
            self.finish_gone();
            return false;
        }
        let Some(current) = frame else { return false };
        let taken = self.parts.clock.now();

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
        let stamps = Stamps { captured: current.captured, taken, read: self.parts.clock.now() };
        self.parts.viewfinder.offer(&current.picture, readings);

        // 3. Joined with the frames before: one track a car.
        self.tracker.update(current.captured, readings, &mut self.gone);
        self.refresh_register();

        // 4. Match, policy, barrier, event: for each car in this frame.
        for i in 0..self.tracker.tracks().len() {
            if self.tracker.tracks()[i].fresh {
                self.consider(i, &current, stamps);
            }
        }
        self.finish_gone();
        self.parts.telemetry.frame_read(self.parts.clock.since(taken), current.captured);
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
    fn consider(&mut self, index: usize, frame: &Frame, stamps: Stamps) {
        let car = self.car_of(self.tracker.tracks()[index].id);
        if let (Some(plate), Some(outcome)) = (self.cars[car].plate, self.cars[car].recorded) {
            self.recent.remember(plate, outcome, self.parts.clock.now());
        }
        if self.cars[car].recorded == Some(Outcome::Opened) {
            return;
        }
        let track = &self.tracker.tracks()[index];
        let (rules, settings) = (&self.parts.rules, &self.parts.photo_check);
        if settings.strength != Strength::Off {
            self.cars[car].around.look(&frame.picture, &track.quad);
        }
        let slots = track.fused();
        let snapshot = self.snapshot.clone();
        let found = self.roster.weigh(&slots, &snapshot, &self.strangers);
        let size = [frame.picture.width as f32, frame.picture.height as f32];
        let presence = self.parts.presence.is_on();
        let liveness = liveness::look(track, &self.cars[car].around, found.read, presence, size, settings);
        let now = self.parts.clock.local();
        let case = Case {
            found: &found,
            register: &snapshot,
            colour: track.colour(),
            frames: track.frames,
            heading: track.motion.heading(),
            liveness,
            is_live: liveness::passes(&liveness, track, settings.strength),
            mode: self.parts.hand.mode(&now, &self.parts.schedule),
        };
        let verdict = policy::decide(&case, rules, &now);
        let (best_now, late) = (track.best_now, self.is_late(track, frame.captured));
        let event = || {
            let times = self.times(stamps, track.first_seen);
            let (gate, one_in, today, at) = (&*rules.name, rules.false_open_one_in, now.date(), frame.taken_at);
            let grounds = Grounds { gate, track, slots: &slots, found: &found, liveness, one_in, today, at };
            Event { rule: verdict.rule(), times, ..account::of(&grounds) }
        };
        match verdict {
            Verdict::Open(_) => {
                let event = event();
                let pass = found.best().map(|best| best.plate);
                self.open(car, event, pass, &now, frame);
            }
            _ if self.cars[car].recorded.is_some() => {}
            Verdict::Wait(_) if !late || case.frames < rules.frames_to_open => {
                if best_now || self.cars[car].best.is_none() {
                    let event = event();
                    self.keep_best(car, event, &frame.picture);
                }
            }
            Verdict::Refuse(_) | Verdict::Wait(_) => {
                let event = event();
                self.record(car, event, frame.picture.clone());
            }
        }
    }

    /// What is remembered of this track.
    fn car_of(&mut self, track: u64) -> usize {
        self.cars.iter().position(|car| car.track == track).unwrap_or_else(|| {
            let around = Surroundings::default();
            self.cars.push(Car { track, plate: None, recorded: None, best: None, around });
            self.cars.len() - 1
        })
    }

    /// Has this car stood, or crawled, for as long as the gate waits for better frames? One that drives away is waited for
    /// until it has gone.
    fn is_late(&self, track: &Track, at: Instant) -> bool {
        let patience = Duration::from_millis(self.parts.rules.refuse_after_ms);
        let waited = at.saturating_duration_since(track.first_seen);
        let leaving = track.motion.heading() == Heading::Going && !track.motion.came;
        !leaving && (track.motion.stood(at) >= patience || waited >= patience * CRAWLS)
    }

    fn times(&self, stamps: Stamps, first_seen: Instant) -> Times {
        let ms = |at: Instant| at.saturating_duration_since(stamps.captured).as_secs_f64() * 1e3;
        let now = self.parts.clock.now();
        Times {
            taken_ms: ms(stamps.taken),
            read_ms: ms(stamps.read),
            decided_ms: ms(now),
            relay_ms: None,
            since_first_ms: now.saturating_duration_since(first_seen).as_secs_f64() * 1e3,
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

    /// Presses "open" for a car, unless its frame is too old. `plate` is the registered one it was taken for.
    fn open(&mut self, car: usize, mut event: Event, plate: Option<Plate>, now: &Zoned, frame: &Frame) {
        if self.parts.clock.since(frame.captured) > Duration::from_millis(self.parts.rules.max_frame_age_ms) {
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
        event.outcome = Outcome::Opened;
        match self.parts.button.press(event.rule == Rule::Service) {
            Pulse::Pressed(at) => {
                let after = at.saturating_duration_since(frame.captured);
                self.parts.telemetry.pulse(after);
                let after_ms = after.as_secs_f64() * 1e3;
                (event.pulse, event.times.relay_ms) = (Some(PulseReport::Pressed { after_ms }), Some(after_ms));
                self.count_entry(&mut event, plate, now);
            }
            Pulse::JustPressed => {
                // For the car in front. This one gets its own pulse once the gap is over; if it slips through before, its
                // best look is put on record when it has gone.
                event.pulse = Some(PulseReport::JustPressed);
                self.keep_best(car, event, &frame.picture);
                return;
            }
            Pulse::Failed(error) => {
                tracing::error!(%error, "the barrier could not be opened");
                (event.outcome, event.pulse) =
                    (Outcome::Failed, Some(PulseReport::Failed { reason: error.to_string() }));
            }
        }
        if self.cars[car].recorded != Some(event.outcome) {
            self.record(car, event, frame.picture.clone());
        }
    }

    /// It has been let in: a visitor has one entry less, and who is inside is inside.
    fn count_entry(&self, event: &mut Event, plate: Option<Plate>, now: &Zoned) {
        let Some(plate) = plate.filter(|_| event.rule != Rule::Service) else { return };
        if event.rule == Rule::Pass
            && let Some(pass) = policy::good_pass(&self.snapshot, plate, now)
        {
            // Another lane may have taken the last one in this very moment: one car more, once.
            pass.take();
            event.pass = Some(pass.id());
        }
        match self.parts.rules.direction {
            Direction::In if event.vehicle.is_some() => event.already_inside = self.parts.inside.comes_in(plate),
            Direction::Out if event.vehicle.is_some() => self.parts.inside.leaves(plate),
            _ => {}
        }
    }

    /// Hands an arrival on to be written down; never waits.
    fn record(&mut self, car: usize, event: Event, picture: Picture) {
        (self.cars[car].recorded, self.cars[car].plate) = (Some(event.outcome), event.plate);
        self.cars[car].best = None;
        if let Some(plate) = event.plate {
            let repeat = event.outcome == Outcome::Refused && self.is_repeat(plate, Outcome::Refused);
            self.recent.remember(plate, event.outcome, self.parts.clock.now());
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

    fn is_repeat(&mut self, plate: Plate, outcome: Outcome) -> bool {
        let keep = Duration::from_secs(self.parts.rules.repeat_after_s);
        self.recent.is_repeat(plate, outcome, self.parts.clock.now(), keep)
    }

    /// Puts cars on record that left undecided.
    fn finish_gone(&mut self) {
        for track in std::mem::take(&mut self.gone) {
            let Some(i) = self.cars.iter().position(|c| c.track == track.id) else { continue };
            // A thing that was a plate in one frame only is no arrival.
            if self.cars[i].recorded.is_none()
                && track.frames >= self.parts.rules.frames_to_open.max(2)
                && let Some((event, picture)) = self.cars[i].best.take()
            {
                let event = self.farewell(event, &track);
                if event.rule != Rule::Unreadable {
                    self.record(i, event, picture);
                }
            }
            self.cars.swap_remove(i);
        }
    }

    /// The record of a car that has gone undecided: one that was only ever seen driving away has left.
    fn farewell(&self, event: Event, track: &Track) -> Event {
        let left = track.motion.heading() == Heading::Going && !track.motion.came && event.outcome == Outcome::Refused;
        if !left {
            return event;
        }
        if let (Some(vehicle), Direction::In) = (&event.vehicle, self.parts.rules.direction) {
            self.parts.inside.leaves(vehicle.plate);
        }
        Event { outcome: Outcome::Seen, rule: Rule::Leaving, heading: Heading::Going, ..event }
    }
}
