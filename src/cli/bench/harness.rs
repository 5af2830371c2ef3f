//! The lane as `run` builds it, with frames out of memory and a simulated arm: what everything from frame to pulse is timed
//! on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use jiff::Timestamp;
use parking_lot::Mutex;

use super::stages::Samples;
use crate::barrier::{Barrier, Edge, Pulse, SimulatedArm};
use crate::camera::Frame;
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config, Strength};
use crate::gate::event::Arrival;
use crate::gate::inside::Inside;
use crate::gate::lane::{Button, Frames, Lane, Parts, Sight};
use crate::gate::liveness::NotWired;
use crate::gate::mode::Hand;
use crate::picture::Picture;
use crate::register::Snapshot;
use crate::telemetry::Telemetry;
use crate::vision::lookout::Lookout;
use crate::vision::{Reading, Vision};

/// The pulse is short and the gap shorter, so that one arrival can follow the other.
const PULSE_MS: u64 = 4;

/// What a lane is made of here.
#[derive(Clone)]
pub struct Kit {
    /// The configuration; a bench opens no gate, whatever it says of the barrier.
    pub config: Config,
    /// Who is registered.
    pub snapshot: Arc<Snapshot>,
}

/// What differs from lane to lane.
pub struct Made {
    /// Frames in.
    pub frames: Box<dyn Frames>,
    /// The reader of plates.
    pub sight: Box<dyn Sight>,
    /// What is pressed.
    pub button: Box<dyn Button>,
    /// What tells frames worth reading.
    pub lookout: Lookout,
    /// The time.
    pub clock: Box<dyn Clock>,
}

impl Kit {
    /// A lane, and its records.
    pub fn lane(&self, made: Made) -> (Lane, Receiver<Arrival>, Arc<Telemetry>) {
        let (snapshot, telemetry) = (self.snapshot.clone(), Arc::<Telemetry>::default());
        let (arrivals, records) = bounded(4);
        let lane = Lane::new(Parts {
            frames: made.frames,
            lookout: made.lookout,
            sight: made.sight,
            register: Box::new(move || snapshot.clone()),
            presence: Box::new(NotWired),
            clock: made.clock,
            hand: Hand::default(),
            inside: Inside::default(),
            schedule: config::Schedule::default(),
            // A still picture does not come nearer; what the check costs is measured all the same.
            photo_check: config::PhotoCheck { strength: Strength::Watch, ..self.config.photo_check.clone() },
            button: made.button,
            arrivals,
            viewfinder: Arc::default(),
            telemetry: telemetry.clone(),
            rules: self.config.gate.clone(),
        });
        (lane, records, telemetry)
    }
}

/// The networks, lent to one lane after the other.
pub struct Lent {
    vision: Arc<Mutex<Vision>>,
    lane: Option<[f32; 4]>,
    readings: Vec<Reading>,
}

impl Lent {
    /// Lends them.
    pub fn new(vision: Arc<Mutex<Vision>>, lane: Option<[f32; 4]>) -> Lent {
        Lent { vision, lane, readings: Vec::new() }
    }
}

impl Sight for Lent {
    fn read(&mut self, picture: &Picture) -> anyhow::Result<&[Reading]> {
        self.readings.clear();
        self.readings.extend_from_slice(self.vision.lock().read(picture)?);
        Ok(&self.readings)
    }

    fn lane(&self) -> Option<[f32; 4]> {
        self.lane
    }
}

/// A barrier with a simulated arm, and when it was last asked: that is the moment of the decision. What the lane does after
/// it (keeping a picture for the record) holds nobody up.
#[derive(Clone)]
pub struct Asked {
    barrier: Arc<Barrier>,
    arm: SimulatedArm,
    at: Arc<Mutex<Option<Instant>>>,
}

impl Asked {
    /// A barrier that presses for a moment only.
    pub fn new(config: &Config) -> Asked {
        let arm = SimulatedArm::new();
        let wires = config::Barrier { pulse_ms: PULSE_MS, min_gap_ms: PULSE_MS, ..config.barrier.clone() };
        let wires = config::Barrier { most_per_minute: u32::MAX, ..wires };
        Asked { barrier: Arc::new(Barrier::start(Box::new(arm.clone()), &wires)), arm, at: Arc::default() }
    }

    /// When it was asked since the last time this was called, and the relay's edge that came of it.
    pub fn take(&self) -> Option<(Instant, Option<Instant>)> {
        let decided = self.at.lock().take()?;
        let edge = self.arm.history().into_iter().rev().find(|(_, edge)| *edge == Edge::Pressed);
        Some((decided, edge.map(|(at, _)| at).filter(|at| *at >= decided)))
    }
}

impl Button for Asked {
    fn press(&self, _service: bool) -> Pulse {
        *self.at.lock() = Some(Instant::now());
        self.barrier.pulse()
    }
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

/// What is kept from arrival to arrival.
pub struct Harness {
    kit: Kit,
    vision: Arc<Mutex<Vision>>,
    asked: Asked,
}

impl Harness {
    /// The arm is simulated whatever the configuration says: a bench must not open a gate.
    pub fn new(kit: Kit, vision: Arc<Mutex<Vision>>) -> Harness {
        let asked = Asked::new(&kit.config);
        Harness { kit, vision, asked }
    }

    /// One car comes: as many frames as it takes to open, at most ten.
    pub fn arrival(&mut self, picture: &Picture, samples: &mut Samples) {
        let captured = Arc::new(Mutex::new(Instant::now()));
        let (mut lane, _records, _) = self.kit.lane(Made {
            frames: Box::new(Still { picture: picture.clone(), captured: captured.clone(), sequence: 0 }),
            sight: Box::new(Lent::new(self.vision.clone(), self.kit.config.vision.lane)),
            button: Box::new(self.asked.clone()),
            // Every frame is read here: what a car costs is asked.
            lookout: Lookout::default(),
            clock: Box::new(SystemClock),
        });
        for _ in 0..10 {
            lane.step(Duration::ZERO);
            let Some((decided, edge)) = self.asked.take() else { continue };
            let captured = *captured.lock();
            samples.decision.push(decided.saturating_duration_since(captured));
            if let Some(edge) = edge {
                samples.pulse.push(edge.saturating_duration_since(captured));
            }
            break;
        }
        std::thread::sleep(Duration::from_millis(3 * PULSE_MS));
    }
}
