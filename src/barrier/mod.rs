//! The barrier: it is only ever asked to open.
//!
//! In: "press open" ([`Barrier::pulse`]). Out: when the relay moved, or why it did not ([`Pulse`]), and how the output is
//! doing ([`BarrierState`]). This room never drives the arm down and knows nothing of plates, cars and pages.
//!
//! - [`Arm`]: the output with the "open" button behind it; [`GpioArm`] and [`SimulatedArm`] are the two there are.
//! - `button`: what may be pressed when, as a plain state machine that is told the time.
//! - [`Barrier`]: the same with a thread that lets go of the button.
//!
//! # When is the button let go?
//!
//! | what happens | what lets go |
//! |---|---|
//! | the pulse is over | the barrier's thread |
//! | [`Barrier::stop`], or the last owner drops the barrier, also while a panic unwinds | the barrier's thread, within milliseconds |
//! | a panic in another thread | the barrier's thread lives on and keeps to the pulse's end |
//! | `exit`, abort, `kill -9` in the middle of a pulse | the kernel takes the line back. Most chips then let it float, some keep the last level: the relay board must be off when its input floats, and the next start, seconds later, drives the line to released before anything else |
//! | the box loses power | the relay falls off |

mod button;
mod gpio;
mod pulser;
mod simulated;

use std::time::Instant;

pub use button::{BarrierState, Failure};
pub use gpio::{CONSUMER, GpioArm, LineReport, busy, chips, look};
pub use pulser::Barrier;
pub use simulated::{Edge, SimulatedArm};

use crate::config;

/// A two-state output with the "open" button behind it. Released means not pressed; dropping it releases.
pub trait Arm: Send {
    /// Presses "open".
    fn press(&mut self) -> Result<(), ArmError>;
    /// Lets go of it. Doing so twice is no error.
    fn release(&mut self) -> Result<(), ArmError>;
    /// What it is, for the page and for `doctor`: `simulated`, `gpio /dev/gpiochip0 line 17`.
    fn describe(&self) -> String;
}

/// Opens the configured output, released.
///
/// A simulated one made here cannot be looked at; make a [`SimulatedArm`] yourself where somebody has to see it move.
pub fn open(settings: &config::Barrier) -> Result<Box<dyn Arm>, ArmError> {
    Ok(match settings.output {
        config::Output::Simulated => Box::new(SimulatedArm::new()),
        config::Output::Gpio => Box::new(GpioArm::open(&settings.chip, settings.line, settings.active_low)?),
    })
}

/// Why the button could not be pressed or let go.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArmError {
    /// The chip or line could not be had; the text says what to do.
    #[error("{0}")]
    Unavailable(String),
    /// The output was there and failed.
    #[error("{0}")]
    Output(String),
}

/// What a request to open led to.
#[derive(Debug)]
pub enum Pulse {
    /// The relay moved at this moment; it is let go by itself after the pulse's length.
    Pressed(Instant),
    /// It was pressed less than the minimum gap ago: nothing was done.
    JustPressed,
    /// The output failed.
    Failed(ArmError),
}
