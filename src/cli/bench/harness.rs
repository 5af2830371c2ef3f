//! The lane as `run` builds it, with frames out of memory and the simulated arm: what `decision` and `pulse` are timed on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use jiff::Timestamp;
use parking_lot::Mutex;

use super::stages::Samples;
use crate::barrier::{Barrier, Edge, Pulse, SimulatedArm};
use crate::camera::Frame;
use crate::clock::SystemClock;
use crate::config::{self, Config, Strength};
use crate::gate::inside::Inside;
use crate::gate::lane::{Button, Frames, Lane, Parts, Sight};
use crate::gate::liveness::NotWired;
use crate::gate::mode::Hand;
use crate::picture::Picture;
use crate::register::Snapshot;
use crate::vision::{Reading, Vision};

/// The pulse is short and the gap shorter, so that one arrival can follow the other.
const PULSE_MS: u64 = 4;

/// What is kept from arrival to arrival.
pub struct Harness {
    rules: config::Gate,
    photo_check: config::PhotoCheck,
    vision: Arc<Mutex<Vision>>,
    snapshot: Arc<Snapshot>,
    arm: SimulatedArm,
    barrier: Arc<Barrier>,
}

/// The same picture again and again, "captured" when it is asked for.
struct Still {
    picture: Picture,
    captured: Arc<Mutex<Instant>>,
    sequence: u64,
}

impl Frames for Still {
    fn next(&mut self, frame: &mut Option<Frame>, _timeout: Duration) -> bool {
        // The picture is handed over once; after that its frame comes back with a new time, as a camera reuses memory.
        let picture = match frame.take() {
            Some(old) => old.picture,
            None => std::mem::take(&mut self.picture),
        };
        self.sequence += 1;
        let captured = Instant::now();
        *self.captured.lock() = captured;
        *frame = Some(Frame { picture, captured, taken_at: Timestamp::now(), sequence: self.sequence });
        true
    }

    fn ended(&self) -> bool {
        false
    }
}

/// The networks, lent to one lane after the other.
struct Lent {
    vision: Arc<Mutex<Vision>>,
    readings: Vec<Reading>,
}

impl Sight for Lent {
    fn read(&mut self, picture: &Picture) -> anyhow::Result<&[Reading]> {
        self.readings.clear();
        self.readings.extend_from_slice(self.vision.lock().read(picture)?);
        Ok(&self.readings)
    }
}

/// The barrier, and when it was last asked: that is the moment of the decision. What the lane does after it (keeping a
/// picture for the record) holds nobody up.
struct Asked {
    barrier: Arc<Barrier>,
    at: Arc<Mutex<Option<Instant>>>,
}

impl Button for Asked {
    fn press(&self, _service: bool) -> Pulse {
        *self.at.lock() = Some(Instant::now());
        self.barrier.pulse()
    }
}

impl Harness {
    /// The arm is simulated whatever the configuration says: a bench must not open a gate.
    pub fn new(config: &Config, vision: Vision, snapshot: Snapshot) -> Harness {
        let arm = SimulatedArm::new();
        let wires = config::Barrier { pulse_ms: PULSE_MS, min_gap_ms: PULSE_MS, ..config.barrier.clone() };
        let barrier = Arc::new(Barrier::start(Box::new(arm.clone()), &wires));
        Harness {
            rules: config.gate.clone(),
            photo_check: config.photo_check.clone(),
            vision: Arc::new(Mutex::new(vision)),
            snapshot: Arc::new(snapshot),
            arm,
            barrier,
        }
    }

    /// One car comes: as many frames as it takes to open, at most ten.
    pub fn arrival(&mut self, picture: &Picture, samples: &mut Samples) {
        let captured = Arc::new(Mutex::new(Instant::now()));
        let snapshot = self.snapshot.clone();
        let (arrivals, records) = bounded(4);
        let asked = Arc::new(Mutex::new(None));
        let mut lane = Lane::new(Parts {
            frames: Box::new(Still { picture: picture.clone(), captured: captured.clone(), sequence: 0 }),
            sight: Box::new(Lent { vision: self.vision.clone(), readings: Vec::new() }),
            register: Box::new(move || snapshot.clone()),
            presence: Box::new(NotWired),
            clock: Box::new(SystemClock),
            hand: Hand::default(),
            inside: Inside::default(),
            schedule: config::Schedule::default(),
            // A still picture does not come nearer; what the check costs is measured all the same.
            photo_check: config::PhotoCheck { strength: Strength::Watch, ..self.photo_check.clone() },
            button: Box::new(Asked { barrier: self.barrier.clone(), at: asked.clone() }),
            arrivals,
            viewfinder: Arc::default(),
            telemetry: Arc::default(),
            rules: self.rules.clone(),
        });
        for _ in 0..10 {
            lane.step(Duration::ZERO);
            let Some(decided) = *asked.lock() else { continue };
            let captured = *captured.lock();
            samples.decision.push(decided.saturating_duration_since(captured));
            let edge = self.arm.history().into_iter().rev().find(|(_, edge)| *edge == Edge::Pressed);
            if let Some((at, _)) = edge.filter(|(at, _)| *at >= decided) {
                samples.pulse.push(at.saturating_duration_since(captured));
            }
            break;
        }
        drop(records);
        std::thread::sleep(Duration::from_millis(3 * PULSE_MS));
    }
}
