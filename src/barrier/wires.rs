//! What is wired to the gate besides the "open" button: the inputs, their levels, and the way a car took.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An input that may be wired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// The loop or sensor before the arm, on the street's side: active while a car stands there.
    Presence,
    /// The loop or light barrier under the arm: active while a car is in its way.
    Passage,
    /// The end switch of the raised arm.
    ArmUp,
    /// The end switch of the lowered arm.
    ArmDown,
    /// A push button: to open from inside.
    Button,
    /// The fire alarm's contact.
    Fire,
    /// The power supply's warning: on battery, or about to fail.
    Power,
}

impl Input {
    /// All of them, in the order of their numbers.
    pub const ALL: [Input; 7] =
        [Input::Presence, Input::Passage, Input::ArmUp, Input::ArmDown, Input::Button, Input::Fire, Input::Power];

    /// Its key in `[inputs]`.
    pub fn key(self) -> &'static str {
        match self {
            Input::Presence => "presence",
            Input::Passage => "passage",
            Input::ArmUp => "arm_up",
            Input::ArmDown => "arm_down",
            Input::Button => "button",
            Input::Fire => "fire",
            Input::Power => "power",
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// What is known of an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// There is no such wire.
    #[default]
    NotWired,
    /// Wired, and not read yet.
    Unknown,
    /// Wired, and it cannot be read: the line, the relay board or the bus to it is gone.
    Broken,
    /// Nobody there; not pressed; no alarm.
    Clear,
    /// Somebody there; pressed; alarm.
    Active,
}

impl Level {
    /// Is there such a wire, working or not?
    pub fn is_wired(self) -> bool {
        self != Level::NotWired
    }

    /// Does it say something?
    pub fn is_known(self) -> bool {
        matches!(self, Level::Clear | Level::Active)
    }

    /// Is it known to be active?
    pub fn is_active(self) -> bool {
        self == Level::Active
    }

    /// Is it known to be clear?
    pub fn is_clear(self) -> bool {
        self == Level::Clear
    }

    /// `None` where nothing is known: not wired, not read yet, or broken.
    pub fn known(self) -> Option<bool> {
        self.is_known().then_some(self.is_active())
    }
}

/// The levels of all inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Levels([Level; 7]);

impl Levels {
    /// Nothing wired but these, none of them read yet.
    pub fn wired(inputs: impl IntoIterator<Item = Input>) -> Levels {
        let mut levels = Levels::default();
        for input in inputs {
            levels.set(input, Level::Unknown);
        }
        levels
    }

    /// One of them.
    pub fn get(&self, input: Input) -> Level {
        self.0[input as usize]
    }

    /// Changes one.
    pub fn set(&mut self, input: Input, level: Level) {
        self.0[input as usize] = level;
    }

    /// Those that are wired.
    pub fn iter_wired(&self) -> impl Iterator<Item = (Input, Level)> + '_ {
        Input::ALL.into_iter().map(|input| (input, self.get(input))).filter(|(_, level)| level.is_wired())
    }
}

/// Which way a car goes, by the order in which it reached the loops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the street into the compound: the presence loop first.
    In,
    /// Out of the compound: the loop under the arm first.
    Out,
}
