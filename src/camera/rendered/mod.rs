//! The painted lane: a simulated camera over a simulated gate.
//!
//! In: a [`Script`] of arrivals, and whether the arm is up. Out: frames in which cars drive up, wait, and pass or turn
//! back. It is the twin of a real camera behind the same trait, for trying things out and for tests.

mod canvas;
mod car;
mod plate;
mod scene;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{CameraError, FrameSource, Got};
use crate::picture::Picture;
use crate::plate::{Colour, Plate};
pub use plate::paint_plate;
pub use scene::Scene;

/// One car of the script.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// What its plate says.
    pub plate: Plate,
    /// The plate's ground.
    pub colour: Colour,
    /// Lamps on, everything else dark.
    pub night: bool,
    /// How long it waits at the closed arm before it turns back.
    pub hold: Duration,
}

/// Tells whether the arm is up.
pub type ArmUp = Arc<dyn Fn() -> bool + Send + Sync>;

/// What drives up, and the arm it drives up to.
#[derive(Clone)]
pub struct Script {
    arrivals: Vec<Arrival>,
    forever: bool,
    arm_up: ArmUp,
}

impl Script {
    /// Each car once, then the camera is at its end.
    pub fn once(arrivals: Vec<Arrival>, arm_up: ArmUp) -> Script {
        Script { arrivals, forever: false, arm_up }
    }

    /// The cars one after the other, over and over.
    pub fn forever(arrivals: Vec<Arrival>, arm_up: ArmUp) -> Script {
        Script { arrivals, forever: true, arm_up }
    }

    /// An empty lane.
    pub fn empty() -> Script {
        Script { arrivals: Vec::new(), forever: true, arm_up: Arc::new(|| false) }
    }
}

/// Where a car stands, metres from the camera.
const FAR: f32 = 15.0;
const STOP: f32 = 4.3;
const PAST: f32 = 1.7;
const DRIVING_UP: f32 = 2.6;
const TURNING_BACK: f32 = 2.2;
const PASSING: f32 = 1.2;
const BETWEEN: f32 = 1.6;

enum Phase {
    Between,
    DrivingUp,
    Waiting,
    Passing,
    TurningBack,
}

/// The painted lane as a camera.
pub(crate) struct RenderedLane {
    script: Script,
    scene: Scene,
    every: Duration,
    due: Instant,
    at: usize,
    phase: Phase,
    since: Instant,
}

impl RenderedLane {
    pub(crate) fn new(script: Script, fps: u32) -> RenderedLane {
        let now = Instant::now();
        RenderedLane {
            script,
            scene: Scene::new(7),
            // A painted frame takes several milliseconds of the same CPU that reads it.
            every: Duration::from_secs(1) / fps.clamp(1, 15),
            due: now,
            at: 0,
            phase: Phase::Between,
            since: now,
        }
    }

    /// Goes on to the next phase if its time has come; gives the car's distance, if there is a car.
    fn advance(&mut self, car: &Arrival) -> Option<f32> {
        let t = self.since.elapsed().as_secs_f32();
        let eased = |from: f32, to: f32, length: f32| {
            let s = (t / length).min(1.0);
            from + (to - from) * s * (2.0 - s)
        };
        let (distance, over, next) = match self.phase {
            Phase::Between => (None, t > BETWEEN, Phase::DrivingUp),
            Phase::DrivingUp => (Some(eased(FAR, STOP, DRIVING_UP)), t > DRIVING_UP, Phase::Waiting),
            Phase::Waiting if (self.script.arm_up)() => (Some(STOP), t > 0.4, Phase::Passing),
            Phase::Waiting => (Some(STOP), t > car.hold.as_secs_f32(), Phase::TurningBack),
            Phase::Passing => {
                (Some(STOP + (PAST - STOP) * (t / PASSING).min(1.0).powi(2)), t > PASSING, Phase::Between)
            }
            Phase::TurningBack => {
                let s = (t / TURNING_BACK).min(1.0);
                (Some(STOP + (FAR - STOP) * s * s), t > TURNING_BACK, Phase::Between)
            }
        };
        if over {
            if matches!(self.phase, Phase::Passing | Phase::TurningBack) {
                self.at += 1;
            }
            (self.phase, self.since) = (next, Instant::now());
        }
        distance
    }
}

impl FrameSource for RenderedLane {
    fn read(&mut self, into: &mut Picture) -> Result<Got, CameraError> {
        std::thread::sleep(self.due.saturating_duration_since(Instant::now()));
        self.due = Instant::now() + self.every;
        let arm_up = (self.script.arm_up)();
        if self.script.arrivals.is_empty() {
            self.scene.paint(None, false, arm_up, into);
            return Ok(Got::Frame);
        }
        if !self.script.forever && self.at >= self.script.arrivals.len() {
            return Ok(Got::End);
        }
        let car = self.script.arrivals[self.at % self.script.arrivals.len()].clone();
        let distance = self.advance(&car);
        self.scene.paint(distance.map(|z| (&car, z)), car.night, arm_up, into);
        Ok(Got::Frame)
    }
}
