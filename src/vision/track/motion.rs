//! How a plate moved across the picture: where it is to be expected, whether it comes, goes or stands.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::picture::Quad;

/// Which way a car drives, as the camera sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Heading {
    /// Towards the camera.
    Coming,
    /// Away from it.
    Going,
    /// Neither, or it cannot be told yet.
    #[default]
    Standing,
}

/// Where a plate was, and how wide.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// When.
    pub at: Instant,
    /// The centre, pixels.
    pub centre: [f32; 2],
    /// Pixels.
    pub width: f32,
}

/// A plate that has grown by this factor comes; corners are found to one or two in a hundred.
const COMES: f32 = 1.06;
/// One that has shrunk by this factor from its greatest width goes.
const GOES: f32 = 0.8;
/// One whose width keeps within this factor, and whose centre within this share of it, stands.
const STANDS_WIDTH: f32 = 1.04;
const STANDS_SHIFT: f32 = 0.2;
/// No motion is drawn out further than this into the future.
const FORESIGHT_S: f32 = 0.4;
/// How much the newest step counts in the speed.
const NEWEST: f32 = 0.5;

/// The motion of one plate.
#[derive(Clone, Debug)]
pub struct Motion {
    /// Where it is, or was last.
    pub here: Place,
    /// Where it was narrowest.
    pub narrowest: Place,
    /// It was seen coming at some time.
    pub came: bool,
    widest: f32,
    /// Since when, and where, it stands.
    mark: Place,
    /// Pixels a second, and the logarithm of the width a second.
    speed: [f32; 2],
    growth: f32,
}

impl Motion {
    pub(super) fn start(at: Instant, quad: &Quad) -> Motion {
        let here = Place { at, centre: quad.centre(), width: quad.width().max(1.0) };
        Motion { here, narrowest: here, came: false, widest: here.width, mark: here, speed: [0.0; 2], growth: 0.0 }
    }

    pub(super) fn add(&mut self, at: Instant, quad: &Quad) {
        let next = Place { at, centre: quad.centre(), width: quad.width().max(1.0) };
        let seconds = at.saturating_duration_since(self.here.at).as_secs_f32();
        if seconds > 1e-3 {
            let mix = |old: f32, new: f32| old + NEWEST * (new - old);
            for i in 0..2 {
                self.speed[i] = mix(self.speed[i], (next.centre[i] - self.here.centre[i]) / seconds);
            }
            self.growth = mix(self.growth, (next.width / self.here.width).ln() / seconds).clamp(-3.0, 3.0);
        }
        if next.width < self.narrowest.width {
            self.narrowest = next;
        }
        self.widest = self.widest.max(next.width);
        let shift = (next.centre[0] - self.mark.centre[0]).hypot(next.centre[1] - self.mark.centre[1]);
        let stretch = (next.width / self.mark.width).max(self.mark.width / next.width);
        if stretch > STANDS_WIDTH || shift > STANDS_SHIFT * next.width {
            self.mark = next;
        }
        self.here = next;
        self.came |= self.heading() == Heading::Coming;
    }

    /// Where the plate's centre is to be expected at this time, and how wide it is.
    pub fn expected(&self, at: Instant) -> ([f32; 2], f32) {
        let ahead = at.saturating_duration_since(self.here.at).as_secs_f32().min(FORESIGHT_S);
        let [x, y] = self.here.centre;
        ([x + self.speed[0] * ahead, y + self.speed[1] * ahead], self.here.width * (self.growth * ahead).exp())
    }

    /// How much further than from frame to frame it may be from there, after it was not seen for a while: 1 or more.
    pub fn slack(&self, at: Instant) -> f32 {
        1.0 + 2.0 * at.saturating_duration_since(self.here.at).as_secs_f32()
    }

    /// By which factor it has grown since it was narrowest, 1 or more.
    pub fn grown(&self) -> f32 {
        if self.narrowest.at <= self.here.at { self.here.width / self.narrowest.width } else { 1.0 }
    }

    /// For how long it has stood.
    pub fn stood(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.mark.at)
    }

    /// Which way it drives. A car that stops on its way comes all the same; one that backs out goes.
    pub fn heading(&self) -> Heading {
        if self.here.width < GOES * self.widest {
            Heading::Going
        } else if self.grown() > COMES {
            Heading::Coming
        } else {
            Heading::Standing
        }
    }
}
