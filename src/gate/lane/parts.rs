//! What the lane is told and what it is given: every room that it does not look into.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::barrier::Pulse;
use crate::camera::Frame;
use crate::clock::{Clock, SystemClock};
use crate::config;
use crate::gate::event::Arrival;
use crate::gate::inside::Inside;
use crate::gate::liveness::{NotWired, Presence};
use crate::gate::mode::Hand;
use crate::gate::viewfinder::Viewfinder;
use crate::picture::Picture;
use crate::register::Snapshot;
use crate::telemetry::Telemetry;
use crate::vision::Reading;
use crate::vision::lookout::Lookout;

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
    /// The part of the picture that is looked at (left, top, width, height as shares 0..1), if it is not all of it.
    fn lane(&self) -> Option<[f32; 4]> {
        None
    }
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
    /// What tells a frame that is worth reading from one more of an empty lane.
    pub lookout: Lookout,
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

impl Parts {
    /// A lane with nothing else wired: no lookout, no presence loop, this machine's clock, the default rules, photographs watched
    /// for. Its arrivals come out of the receiver, which holds `room` of them.
    pub fn new(
        frames: impl Frames + 'static,
        sight: impl Sight + 'static,
        snapshot: Arc<Snapshot>,
        button: impl Button + 'static,
        room: usize,
    ) -> (Parts, Receiver<Arrival>) {
        let (arrivals, out) = bounded(room);
        let parts = Parts {
            frames: Box::new(frames),
            lookout: Lookout::default(),
            sight: Box::new(sight),
            register: Box::new(move || snapshot.clone()),
            button: Box::new(button),
            presence: Box::new(NotWired),
            clock: Box::new(SystemClock),
            hand: Hand::default(),
            inside: Inside::default(),
            arrivals,
            viewfinder: Arc::default(),
            telemetry: Arc::default(),
            rules: config::Gate::default(),
            schedule: config::Schedule::default(),
            photo_check: config::PhotoCheck { strength: config::Strength::Watch, ..Default::default() },
        };
        (parts, out)
    }
}
