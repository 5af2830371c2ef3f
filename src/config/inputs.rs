//! `[inputs]`: The wires that tell what happens at the gate. What is not set is not wired.

use serde::Deserialize;

use super::barrier::Line;
use super::{Problem, within};
use crate::barrier::Input;

/// `[inputs]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Inputs {
    /// The loop before the arm.
    pub presence: Option<Wire>,
    /// The loop or light barrier under the arm.
    pub passage: Option<Wire>,
    /// The end switch of the raised arm.
    pub arm_up: Option<Wire>,
    /// The end switch of the lowered arm.
    pub arm_down: Option<Wire>,
    /// A push button to open from inside.
    pub button: Option<Wire>,
    /// The fire alarm's contact.
    pub fire: Option<Wire>,
    /// The power supply's warning.
    pub power: Option<Wire>,
    /// A GPIO line must keep a level for so long before it counts, milliseconds; the kernel sees to it.
    pub debounce_ms: u64,
}

impl Default for Inputs {
    fn default() -> Inputs {
        Inputs {
            presence: None,
            passage: None,
            arm_up: None,
            arm_down: None,
            button: None,
            fire: None,
            power: None,
            debounce_ms: 30,
        }
    }
}

/// One wire: a line of a GPIO chip, or a discrete input of the Modbus board.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wire {
    /// The GPIO chip: its path, its label, or its name. Not set: `barrier.chip`.
    pub chip: Option<String>,
    /// The line on it: its offset, or its name.
    pub line: Option<Line>,
    /// The discrete input of the Modbus board (`[modbus]`), counted from 0.
    pub modbus: Option<u16>,
    /// Active when the line is low or the discrete input is off.
    pub active_low: bool,
    /// What the chip does with a line that nothing drives.
    pub bias: Bias,
}

/// What the chip does with a line that nothing drives; the kernel's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bias {
    /// As it is.
    #[default]
    AsIs,
    /// Pulled up inside the chip.
    PullUp,
    /// Pulled down inside the chip.
    PullDown,
    /// Neither.
    Disabled,
}

impl Inputs {
    /// The wires that are set.
    pub fn wires(&self) -> impl Iterator<Item = (Input, &Wire)> {
        Input::ALL.into_iter().filter_map(|input| {
            let wire = match input {
                Input::Presence => &self.presence,
                Input::Passage => &self.passage,
                Input::ArmUp => &self.arm_up,
                Input::ArmDown => &self.arm_down,
                Input::Button => &self.button,
                Input::Fire => &self.fire,
                Input::Power => &self.power,
            };
            wire.as_ref().map(|wire| (input, wire))
        })
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        within("inputs.debounce_ms", self.debounce_ms, 0..=1000, "0..1000 milliseconds")?;
        for (input, wire) in self.wires() {
            if wire.line.is_some() == wire.modbus.is_some() {
                let key = match input {
                    Input::Presence => "inputs.presence",
                    Input::Passage => "inputs.passage",
                    Input::ArmUp => "inputs.arm_up",
                    Input::ArmDown => "inputs.arm_down",
                    Input::Button => "inputs.button",
                    Input::Fire => "inputs.fire",
                    Input::Power => "inputs.power",
                };
                let found = if wire.line.is_some() { "both" } else { "neither" };
                return Err(Problem::new(key, found, "either line (a GPIO line) or modbus (a discrete input)"));
            }
        }
        Ok(())
    }
}
