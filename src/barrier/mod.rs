//! The barrier: it is only ever asked to open.
//!
//! In: "press open". Out: when the relay moved, or why it did not. This room never drives the arm down and knows nothing
//! of plates.

use std::time::Instant;

/// A two-state output with the "open" button behind it. Released means not pressed; dropping it releases.
pub trait Arm: Send {
    /// Presses "open".
    fn press(&mut self) -> Result<(), ArmError>;
    /// Lets go of it.
    fn release(&mut self) -> Result<(), ArmError>;
    /// What it is, for the page and for `doctor`: `simulated`, `gpio /dev/gpiochip0 line 17`.
    fn describe(&self) -> String;
}

/// Why the button could not be pressed or let go.
#[derive(Debug, thiserror::Error)]
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
