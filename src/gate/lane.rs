//! The lane loop: the one place that knows the order of the stages.
//!
//! [`Lane::step`] is the whole way of a frame: newest frame → worth reading? → read → track → match → policy → barrier → event. It runs on
//! a thread of its own and waits for nothing but the next frame: the register is an immutable snapshot in memory, and
//! events go over a bounded channel to whoever writes them down.

mod parts;
mod record;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::account::{self, Grounds};
use super::event::{Event, Heading, Outcome, Times};
use super::liveness;
use super::matching::Roster;
use super::policy::{self, Case, Verdict};
use super::recent::Recent;
use super::strangers::Strangers;
use crate::camera::Frame;
use crate::config::Strength;
use crate::picture::Picture;
use crate::plate::Plate;
use crate::register::Snapshot;
use crate::vision::detector::region_of;
use crate::vision::empty_lane::EmptyLane;
use crate::vision::surroundings::Surroundings;
use crate::vision::track::{Track, Tracker};
pub use parts::{Button, Frames, Parts, Sight};

/// A car that crawls on is refused after this many times what a standing one is given.
const CRAWLS: u32 = 5;
/// A car that was refused, and has stood for so long since it came, is no longer read in every frame.
const SETTLED: Duration = Duration::from_secs(2);
/// One that has stood for so long is a part of the lane.
const PARKED: Duration = Duration::from_secs(60);

/// The lane: every stage, and what it remembers from frame to frame.
pub struct Lane {
    parts: Parts,
    frame: Option<Frame>,
    tracker: Tracker,
    /// How the lane looks while nobody is there.
    empty: EmptyLane,
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
            empty: EmptyLane::default(),
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
        if !self.is_worth_reading(&current) {
            self.parts.viewfinder.offer_unread(&current.picture);
            self.parts.telemetry.frame_was_still(current.captured);
            self.tracker.update(current.captured, &[], &mut self.gone);
            self.finish_gone();
            self.look_at_empty(&current);
            self.frame = Some(current);
            return true;
        }

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
        self.look_at_empty(&current);
        self.parts.telemetry.frame_read(self.parts.clock.since(taken), current.captured);
        self.frame = Some(current);
        true
    }

    /// Has anything changed since the frames before, or is there a car to be decided about?
    fn is_worth_reading(&mut self, frame: &Frame) -> bool {
        let tracks = self.tracker.tracks();
        let undecided = tracks.iter().any(|track| !self.is_done_with(track, frame.captured));
        let something_there = tracks.is_empty() && self.parts.presence.is_on() == Some(true);
        let region = region_of(&frame.picture, self.parts.sight.lane());
        self.parts.lookout.is_worth_reading(&frame.picture, region, frame.captured, undecided || something_there)
    }

    /// If nobody is there but parked cars, this is how the lane looks.
    fn look_at_empty(&mut self, frame: &Frame) {
        let parked = |track: &Track| track.motion.stood(frame.captured) >= PARKED;
        let nobody = self.tracker.tracks().iter().all(parked) && self.parts.presence.is_on() != Some(true);
        if nobody && self.parts.photo_check.strength != Strength::Off {
            self.empty.look(&frame.picture, frame.captured);
        }
    }

    /// Is nothing to be expected of this car but that it drives on?
    fn is_done_with(&self, track: &Track, at: Instant) -> bool {
        match self.cars.iter().find(|car| car.track == track.id).and_then(|car| car.recorded) {
            Some(Outcome::Opened) => true,
            Some(_) => track.motion.stood(at) >= SETTLED,
            None => false,
        }
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
            self.cars[car].around.look(&frame.picture, &track.quad, &self.empty);
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
            distance: track.distance(),
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
}
