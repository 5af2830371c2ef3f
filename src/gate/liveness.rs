//! A car, or a photograph of a plate?
//!
//! In: how a plate moved ([`Track`]), what was around it ([`Surroundings`]), the presence loop, the lane's geometry. Out: a
//! [`Liveness`], one finding a test, and whether the gate may open on them. A telephone held up neither hides the lane beside it
//! nor has a body around it that comes along; a printed sheet has the wrong size for its place, or the wrong colour.
//!
//! What this cannot tell: a full-size plate of the right colours, carried along the lane at bumper height in front of
//! something that moves with it; and a small one before the chest of somebody who walks up straight, who is as wide beside a
//! telephone as a car is beside its plate. The presence loop can: wire it.

use super::event::{Finding, Liveness};
use crate::config::{PhotoCheck, Strength};
use crate::plate::{Colour, Plate};
use crate::vision::surroundings::Surroundings;
use crate::vision::track::{Heading, Track};

/// Tells whether something stands on the presence loop.
pub trait Presence: Send {
    /// Is it on? None where no loop is wired, or where it is broken.
    fn is_on(&self) -> Option<bool>;
}

/// No loop is wired.
#[derive(Clone, Copy, Debug, Default)]
pub struct NotWired;

impl Presence for NotWired {
    fn is_on(&self) -> Option<bool> {
        None
    }
}

/// A plate that has grown by this factor on its way grows as a car does; one held up may shake by less.
const GROWN: f32 = 1.12;
/// With a body that comes along, it has at least not shrunk.
const NOT_SHRUNK: f32 = 1.015;
/// A plate that grows comes down in the picture, by this much of the growth in width: from a camera at bonnet height to one
/// on a mast.
const FALL: std::ops::RangeInclusive<f32> = 0.2..=16.0;
/// How much of the lane beside the plate (0.8 to 1.7 plate widths from its middle) a car hides on either side at least: a narrow
/// one is 1.4 m wide. With less than the other on one side the lane is seen there.
const HIDES: f32 = 0.7;
const SHOWS: f32 = 0.4;
/// The score of both sides together below which the lane stays.
const NO_BODY: f32 = -0.7;
/// What a score must reach for a body that comes along.
struct Body {
    /// Both sides together.
    both: f32,
    /// The least of either.
    either: f32,
}
/// Where the lane is known only what hides it is compared: a body is either that of a car, or of somebody behind a telephone.
const BODY_ON_KNOWN_LANE: Body = Body { both: 2.0, either: 0.5 };
/// Where it is not, what stays of the lane is in the score.
const BODY: Body = Body { both: 1.2, either: 0.2 };
/// How many times wider or narrower than the lane's geometry says a plate may be: crooked ones, double rows, corners found
/// roughly; and what no plate is.
const SIZE_PLAUSIBLE: f32 = 1.45;
const SIZE_IMPOSSIBLE: f32 = 1.75;
/// The probability of a ground colour that the kind may have, above which it is that, and below which it is not.
const COLOUR: f32 = 0.5;
const NOT_COLOUR: f32 = 0.1;

/// Looks at one car. `frame` is the picture's width and height, pixels; `read` what its plate says.
pub fn look(
    track: &Track,
    around: &Surroundings,
    read: Plate,
    presence: Option<bool>,
    frame: [f32; 2],
    settings: &PhotoCheck,
) -> Liveness {
    let hides = hides(around);
    Liveness {
        growth: growth(track),
        size: size(track, frame, settings),
        body: body(around, hides.is_some()),
        hides,
        colour: colour(track, read),
        presence: match presence {
            Some(true) => Finding::Car,
            Some(false) => Finding::Picture,
            None => Finding::Unknown,
        },
    }
}

/// May the gate open on these findings?
pub fn passes(found: &Liveness, track: &Track, strength: Strength) -> bool {
    if strength != Strength::Refuse {
        return true;
    }
    let hides = found.hides.unwrap_or(Finding::Car);
    let no_picture = [found.size, found.body, hides, found.colour, found.presence, found.growth]
        .iter()
        .all(|finding| *finding != Finding::Picture);
    // Growing alone is what a telephone does that is pushed towards the camera.
    let body = found.body == Finding::Car && hides == Finding::Car && track.motion.grown() >= NOT_SHRUNK;
    no_picture && (body || found.presence == Finding::Car)
}

/// Did what is beside the plate come along with it? Both sides are asked, or the one that is in the picture.
fn body(around: &Surroundings, lane_is_known: bool) -> Finding {
    let [left, right, _] = around.scores();
    let (sum, least) = match (left, right) {
        (Some(a), Some(b)) => (a + b, a.min(b)),
        (Some(one), None) | (None, Some(one)) => (one, one),
        (None, None) => return Finding::Unknown,
    };
    let body = if lane_is_known { BODY_ON_KNOWN_LANE } else { BODY };
    if sum <= NO_BODY {
        Finding::Picture
    } else if sum >= body.both && least >= body.either {
        Finding::Car
    } else {
        Finding::Unknown
    }
}

/// Is the lane hidden on both sides of the plate, or on the one that is in the picture? None where that could not be told.
fn hides(around: &Surroundings) -> Option<Finding> {
    let [left, right, _] = around.covers();
    let least = match (left, right) {
        (Some(a), Some(b)) => a.min(b),
        (one, other) => one.or(other)?,
    };
    Some(if least >= HIDES {
        Finding::Car
    } else if least < SHOWS {
        Finding::Picture
    } else {
        Finding::Unknown
    })
}

fn growth(track: &Track) -> Finding {
    let motion = &track.motion;
    if motion.grown() < GROWN || motion.heading() != Heading::Coming {
        return Finding::Unknown;
    }
    let wider = motion.here.width - motion.narrowest.width;
    let fall = (motion.here.centre[1] - motion.narrowest.centre[1]) / wider;
    if FALL.contains(&fall) { Finding::Car } else { Finding::Unknown }
}

/// Is the plate as wide as one is at its place of the lane? Only where the lane's geometry is known.
fn size(track: &Track, [width, height]: [f32; 2], settings: &PhotoCheck) -> Finding {
    let (Some(far), Some(near)) = (settings.far, settings.near) else { return Finding::Unknown };
    let here = &track.motion.here;
    // On a level lane the width grows in proportion to the distance from the horizon.
    let share = (here.centre[1] / height - far[1]) / (near[1] - far[1]);
    let expected = (far[2] + share * (near[2] - far[2])) * width;
    if expected < 0.25 * far[2] * width {
        return Finding::Picture;
    }
    let factor = (here.width / expected).max(expected / here.width);
    if factor <= SIZE_PLAUSIBLE {
        Finding::Car
    } else if factor >= SIZE_IMPOSSIBLE {
        Finding::Picture
    } else {
        Finding::Unknown
    }
}

/// Has the plate a ground that its kind has?
fn colour(track: &Track, read: Plate) -> Finding {
    let colours = track.colours();
    let right: f32 = Colour::ALL.iter().zip(colours).filter(|(c, _)| read.form().has(**c)).map(|(_, p)| p).sum();
    if right >= COLOUR {
        Finding::Car
    } else if right <= NOT_COLOUR {
        Finding::Picture
    } else {
        Finding::Unknown
    }
}
