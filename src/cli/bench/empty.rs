//! What an empty lane costs: the lane as it runs, with its lookout, over frames that differ in noise alone.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::harness::{Asked, Kit, Lent, Made};
use super::machine::processor_time;
use crate::camera::Frame;
use crate::camera::rendered::Scene;
use crate::clock::{Clock, Hands};
use crate::gate::lane::Frames;
use crate::picture::Picture;
use crate::vision::Vision;
use crate::vision::lookout::Lookout;

/// Frames a second that are counted on.
const FPS: u32 = 15;
/// So many seconds pass before it is measured, and while.
const SETTLES_S: u32 = 3;
const SECONDS: u32 = 10;
/// Different frames, each with its own noise.
const FRAMES: u64 = 4;

/// What was found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Empty {
    /// Frames a second.
    pub fps: u32,
    /// The share 0..1 of one core that the lane took, decoding apart.
    pub share_of_core: f64,
    /// The share 0..1 of the frames that were read.
    pub read_share: f64,
}

/// Lets the lane look at nothing for some seconds of a played clock.
pub fn measure(kit: &Kit, vision: Arc<Mutex<Vision>>) -> Empty {
    let clock = Hands::at(Timestamp::now(), TimeZone::UTC);
    let pictures = (0..FRAMES).map(empty).collect();
    let (mut lane, _records, telemetry) = kit.lane(Made {
        frames: Box::new(Round { pictures, at: 0, clock: clock.clone() }),
        sight: Box::new(Lent::new(vision, kit.config.vision.lane)),
        button: Box::new(Asked::new(&kit.config)),
        lookout: Lookout::new(&kit.config.vision),
        clock: Box::new(clock),
    });
    let mut run = |seconds: u32| {
        for _ in 0..seconds * FPS {
            lane.step(Duration::ZERO);
        }
    };
    run(SETTLES_S);
    let (left_unread, begun) = (telemetry.still_frames(), processor_time());
    run(SECONDS);
    let took = processor_time().saturating_sub(begun).as_secs_f64();
    let frames = f64::from(SECONDS * FPS);
    let unread = (telemetry.still_frames() - left_unread) as f64;
    let round = |v: f64| (v * 1e4).round() / 1e4;
    Empty { fps: FPS, share_of_core: round(took / f64::from(SECONDS)), read_share: round(1.0 - unread / frames) }
}

/// An empty lane by day, 1080p; the seed settles the noise.
pub fn empty(seed: u64) -> Picture {
    let mut picture = Picture::default();
    Scene::new(seed).paint(None, false, false, &mut picture);
    picture
}

/// A few pictures in turn, at the pace of a played clock; they change places with the lane's, nothing is copied.
struct Round {
    pictures: Vec<Picture>,
    at: usize,
    clock: Hands,
}

impl Frames for Round {
    fn next(&mut self, frame: &mut Option<Frame>, _timeout: Duration) -> bool {
        let place = self.at % self.pictures.len();
        let picture = std::mem::take(&mut self.pictures[place]);
        if let Some(old) = frame.take() {
            let before = (self.at - 1) % self.pictures.len();
            self.pictures[before] = old.picture;
        }
        self.at += 1;
        self.clock.turn(Duration::from_secs(1) / FPS);
        let (captured, taken_at) = (self.clock.now(), self.clock.wall());
        *frame = Some(Frame { picture, captured, taken_at, sequence: self.at as u64 });
        true
    }

    fn ended(&self) -> bool {
        false
    }
}
