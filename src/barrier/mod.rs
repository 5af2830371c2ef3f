//! The barrier: it is only ever asked to open.
//!
//! In: "press open" ([`Barrier::open`], with who and why), the mode ([`Barrier::set_mode`]), the levels of what is wired
//! ([`Inputs`]). Out: when the relay moved, or why it did not ([`Pulse`]), how the barrier stands ([`BarrierState`]), what
//! happened there ([`Note`]). This room knows nothing of plates and pages. It presses "close" only where an output for it is
//! wired, every presence input is clear, and every one was seen to work since the last press.
//!
//! - [`Arm`]: an output with a button behind it; [`GpioArm`] and [`SimulatedArm`], among others.
//! - `contact`, `loops`, `machine`: what may be pressed when, as a plain machine that is told the time; `docs/barrier.md`
//!   draws it.
//! - [`Barrier`]: the machine with its outputs and a thread that lets go of the button.
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

mod contact;
mod gpio;
mod loops;
mod machine;
mod modbus;
mod output;
mod position;
#[cfg(test)]
pub(crate) mod pty;
mod pulser;
mod readers;
pub(crate) mod relay;
#[cfg(test)]
mod search;
mod simulated;
mod states;
mod wires;

use std::time::Instant;

pub use contact::Timing;
pub use gpio::{CONSUMER, GpioArm, LineReport, busy, chips, look};
pub use modbus::{ModbusArm, ModbusBoard};
pub use output::{BarrierState, Failure, Noted};
pub use pulser::{Approach, Barrier, Inputs};
pub use readers::{Readers, request_input, wired};
pub use relay::{RelayArm, RelayBoard};
pub use simulated::{Edge, SimulatedArm};
pub use states::{By, Fault, Hold, Holding, Mode, Note, Reason, Refusal, Rules, State};
pub use wires::{Direction, Input, Level, Levels};

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

/// The outputs of one barrier.
pub struct Outputs {
    /// "Open".
    pub open: Box<dyn Arm>,
    /// "Close", where it is wired.
    pub close: Option<Box<dyn Arm>>,
}

impl Outputs {
    /// Opens the configured outputs, released.
    ///
    /// Simulated ones made here cannot be looked at; make a [`SimulatedArm`] yourself where somebody has to see it move.
    /// `board` is the relay board, where one is configured.
    pub fn open(settings: &config::Barrier, board: Option<&ModbusBoard>) -> Result<Outputs, ArmError> {
        let close = settings.close.as_ref();
        match settings.output {
            config::Output::Simulated => {
                let simulated = || Box::new(SimulatedArm::new()) as Box<dyn Arm>;
                Ok(Outputs { open: simulated(), close: close.map(|_| simulated()) })
            }
            config::Output::Gpio => {
                let open = GpioArm::open(settings)?;
                let close = close.map(|line| GpioArm::on(settings, line)).transpose()?;
                Ok(Outputs { open: Box::new(open), close: close.map(|arm| Box::new(arm) as Box<dyn Arm>) })
            }
            config::Output::Modbus => {
                let board = board.ok_or_else(|| ArmError::Unavailable("no relay board was started".into()))?;
                let close = close.map(|line| number(line).map(|coil| board.coil(coil))).transpose()?;
                let open = Box::new(board.coil(settings.coil));
                Ok(Outputs { open, close: close.map(|arm| Box::new(arm) as Box<dyn Arm>) })
            }
            config::Output::Serial => {
                let board = RelayBoard::open(&settings.port)?;
                let close = close.map(|line| number(line).and_then(|n| board.relay(n))).transpose()?;
                let open = Box::new(board.relay(settings.relay)?);
                Ok(Outputs { open, close: close.map(|arm| Box::new(arm) as Box<dyn Arm>) })
            }
        }
    }
}

/// Starts the Modbus board where an output or an input is on it.
pub fn board(config: &config::Config) -> Result<Option<ModbusBoard>, ArmError> {
    let needed =
        config.barrier.output == config::Output::Modbus || config.inputs.wires().any(|(_, wire)| wire.modbus.is_some());
    needed.then(|| ModbusBoard::start(&config.modbus)).transpose()
}

/// Starts the configured barrier with everything that is wired. `simulated` is pressed where the output is simulated.
pub fn start(config: &config::Config, simulated: &SimulatedArm) -> Result<(Barrier, Readers), ArmError> {
    let board = board(config)?;
    let mut outputs = Outputs::open(&config.barrier, board.as_ref())?;
    if config.barrier.output == config::Output::Simulated {
        outputs.open = Box::new(simulated.clone());
    }
    let barrier = Barrier::start_with(outputs, Rules::from_config(&config.barrier), wired(&config.inputs));
    let readers = Readers::start(config, &barrier.inputs(), board.as_ref());
    Ok((barrier, readers))
}

/// The number of a coil or relay; the configuration refuses names for those.
fn number<T: TryFrom<u32>>(line: &config::Line) -> Result<T, ArmError> {
    let number = match line {
        config::Line::Offset(number) => T::try_from(*number).ok(),
        config::Line::Name(_) => None,
    };
    number
        .ok_or_else(|| ArmError::Unavailable(format!("barrier.close = {line}: expected the number of a coil or relay")))
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
    /// The output may have moved or not: its answer was lost. It counts as a press.
    #[error("{0}")]
    Uncertain(String),
    /// It was not pressed, because it may not be now.
    #[error("{0}")]
    Refused(Refusal),
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
