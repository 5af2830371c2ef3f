//! The words of the barrier: its states, what it is told, what it tells.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::contact::Timing;
use super::wires::{Direction, Input};
use crate::config;

/// How the lane's barrier stands, as far as anybody can know: without end switches "asked" never becomes "open".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Down, as far as is known; waiting for cars.
    #[default]
    Idle,
    /// "Open" was pressed. Whether the arm went up is not known (yet).
    Asked,
    /// An end switch says that the arm is up.
    Open,
    /// A car is under the arm.
    Passing,
    /// Held open: fire, failing power, or asked for.
    HeldOpen,
    /// Closed by schedule or by hand: ordinary cars are not let in.
    Closed,
    /// Something is wrong; [`Fault`] says what.
    Fault,
}

/// What the gate is asked to be, by the schedule or by hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Opens for those who may come in.
    #[default]
    Normal,
    /// The arm stays up.
    HeldOpen,
    /// It opens for nobody but fire, rescue, police, a steward and the push button.
    Closed,
}

/// Why the arm is held up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// The fire alarm's contact.
    Fire,
    /// The power is about to fail.
    Power,
    /// The mode says so: schedule or hand.
    Mode,
}

/// Who asks to open.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The policy, for a car.
    Car,
    /// The policy, for fire, rescue or police: also while the gate is closed.
    Service,
    /// A person, by name: on the page or on the command line.
    Person(String),
    /// The push button.
    Button,
    /// The barrier itself: to hold the arm up, or because a car came while it was closing.
    Itself,
}

/// Who asks, and why: for the record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reason {
    /// Who.
    pub by: By,
    /// Why, in a few words. No plate: this text goes into the log.
    pub why: String,
}

impl Reason {
    /// The policy decided so, for a car.
    pub fn car() -> Reason {
        Reason { by: By::Car, why: "a car that may come in".into() }
    }

    /// The policy decided so, for fire, rescue or police.
    pub fn service() -> Reason {
        Reason { by: By::Service, why: "fire, rescue or police".into() }
    }

    /// A person asked for it.
    pub fn person(name: impl Into<String>, why: impl Into<String>) -> Reason {
        Reason { by: By::Person(name.into()), why: why.into() }
    }

    /// The hours of the configuration say so.
    pub fn schedule() -> Reason {
        Reason::itself("by the schedule")
    }

    pub(super) fn itself(why: &str) -> Reason {
        Reason { by: By::Itself, why: why.into() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.by {
            By::Person(name) => write!(f, "{name}: {}", self.why),
            By::Car | By::Service | By::Button | By::Itself => f.write_str(&self.why),
        }
    }
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// "Open" should have been let go and could not be.
    OpenStuck,
    /// "Close" should have been let go and could not be.
    CloseStuck,
    /// The newest press failed.
    PressFailed,
    /// "Open" was pressed, and the end switch says that the arm did not go up.
    DidNotOpen,
    /// Both end switches are active at once.
    SwitchesContradict,
}

impl Fault {
    /// All of them, as metrics name them.
    pub const ALL: [(Fault, &'static str); 5] = [
        (Fault::OpenStuck, "open_stuck"),
        (Fault::CloseStuck, "close_stuck"),
        (Fault::PressFailed, "press_failed"),
        (Fault::DidNotOpen, "did_not_open"),
        (Fault::SwitchesContradict, "switches_contradict"),
    ];
}

/// What happened at the barrier, for the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub enum Note {
    /// "Open" was pressed; the note's reason says who asked.
    Pressed,
    /// It should have been pressed, and the output failed.
    PressFailed,
    /// The arm was asked to open and did not: somebody should look.
    DidNotOpen,
    /// The arm has been up for very long.
    HeldTooLong,
    /// More cars went through than were let in.
    Tailgated,
    /// A car went through.
    Passed {
        /// Which way; none where it is not known.
        direction: Option<Direction>,
    },
    /// The arm is held up from now on.
    HoldBegan {
        /// Why.
        hold: Hold,
    },
    /// It is no longer.
    HoldEnded {
        /// Why it was.
        hold: Hold,
    },
    /// The push button was pressed.
    PushButton,
    /// An input cannot be read any more.
    WireBroken {
        /// Which.
        input: Input,
    },
    /// It can be read again.
    WireMended {
        /// Which.
        input: Input,
    },
    /// Both end switches are active at once.
    SwitchesContradict,
    /// "Close" was pressed: every presence input is clear and was seen to work.
    Closing,
    /// A car came while the arm was going down: "close" was let go and "open" is pressed.
    ClosingStopped,
}

impl Note {
    /// Every kind, as it is written on record, and whether it is an alert.
    pub const KINDS: [(&'static str, bool); 14] = [
        ("pressed", false),
        ("press_failed", true),
        ("did_not_open", true),
        ("held_too_long", true),
        ("tailgated", true),
        ("passed", false),
        ("hold_began", true),
        ("hold_ended", false),
        ("push_button", false),
        ("wire_broken", true),
        ("wire_mended", false),
        ("switches_contradict", true),
        ("closing", false),
        ("closing_stopped", true),
    ];

    /// Its kind, as it is written on record and as metrics count it.
    pub fn kind(self) -> &'static str {
        match self {
            Note::Pressed => "pressed",
            Note::PressFailed => "press_failed",
            Note::DidNotOpen => "did_not_open",
            Note::HeldTooLong => "held_too_long",
            Note::Tailgated => "tailgated",
            Note::Passed { .. } => "passed",
            Note::HoldBegan { .. } => "hold_began",
            Note::HoldEnded { .. } => "hold_ended",
            Note::PushButton => "push_button",
            Note::WireBroken { .. } => "wire_broken",
            Note::WireMended { .. } => "wire_mended",
            Note::SwitchesContradict => "switches_contradict",
            Note::Closing => "closing",
            Note::ClosingStopped => "closing_stopped",
        }
    }

    /// Should somebody be told at once?
    pub fn is_alert(self) -> bool {
        !matches!(
            self,
            Note::Pressed
                | Note::Passed { .. }
                | Note::HoldEnded { .. }
                | Note::PushButton
                | Note::WireMended { .. }
                | Note::Closing
        )
    }
}

/// The two things that can be pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Up.
    Open,
    /// Down. Only where an output for it is wired.
    Close,
}

/// What the machine wants done with an output, at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Press it.
    Press(Command),
    /// Let go of it.
    Release(Command),
}

/// The machine's answer to "open".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Press "open" now, and report what became of it.
    Press,
    /// It was pressed a moment ago, or the arm is held up.
    JustPressed,
    /// No.
    Refused(Refusal),
}

/// Why "open" is not pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The program is being stopped.
    #[error("the gate is being stopped")]
    Stopped,
    /// The mode is [`Mode::Closed`].
    #[error("the gate is closed at this hour; a steward can open it by hand")]
    Closed,
    /// A line that is still active has no edge to give: saying "pressed" would be a lie.
    #[error("the last press has not been let go yet: look at the relay and its wiring")]
    NotLetGo,
    /// A runaway must not wear the barrier out.
    #[error("it was pressed too often within a minute (barrier.most_per_minute)")]
    TooOften,
}

/// How the arm is held up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holding {
    /// "Open" is pressed anew after this time, unless the end switch says that the arm is up.
    Pulses(Duration),
    /// "Open" stays pressed.
    Pressed,
}

/// What the machine goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rules {
    /// How long and how often "open" is pressed.
    pub open: Timing,
    /// The same for "close"; `None` where it is not wired.
    pub close: Option<Timing>,
    /// Every presence input must have been clear for so long before "close" is pressed.
    pub close_after: Duration,
    /// The arm is up within this time, or did not open.
    pub opens_within: Duration,
    /// Without end switches: how long after a press the arm counts as up.
    pub stays_open: Duration,
    /// An arm that is up for longer is reported.
    pub held_too_long: Duration,
    /// How the arm is held up.
    pub holding: Holding,
    /// The residents voted that the fire alarm opens the gate.
    pub fire_opens: bool,
    /// The residents voted that failing power opens the gate.
    pub power_opens: bool,
}

impl Rules {
    /// The rules of the configuration; `close` is there where an output for it is.
    pub fn from_config(settings: &config::Barrier) -> Rules {
        let ms = Duration::from_millis;
        let timing = Timing {
            pulse: ms(settings.pulse_ms),
            min_gap: ms(settings.min_gap_ms),
            most: settings.most_per_minute as usize,
            window: Duration::from_secs(60),
        };
        Rules {
            open: timing,
            close: settings.close.is_some().then_some(timing),
            close_after: ms(settings.close_after_ms),
            opens_within: ms(settings.opens_within_ms),
            stays_open: Duration::from_secs(settings.stays_open_s),
            held_too_long: Duration::from_secs(settings.held_too_long_s),
            holding: match settings.hold {
                config::Hold::Pulses => Holding::Pulses(Duration::from_secs(settings.hold_every_s)),
                config::Hold::Press => Holding::Pressed,
            },
            fire_opens: settings.fire_opens,
            power_opens: settings.power_opens,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_s_kind_is_the_word_on_record() {
        let (input, hold) = (Input::Fire, Hold::Fire);
        let all = [
            Note::Pressed,
            Note::PressFailed,
            Note::DidNotOpen,
            Note::HeldTooLong,
            Note::Tailgated,
            Note::Passed { direction: None },
            Note::HoldBegan { hold },
            Note::HoldEnded { hold },
            Note::PushButton,
            Note::WireBroken { input },
            Note::WireMended { input },
            Note::SwitchesContradict,
            Note::Closing,
            Note::ClosingStopped,
        ];
        for (note, (kind, alert)) in all.into_iter().zip(Note::KINDS) {
            assert_eq!(serde_json::to_value(note).unwrap()["what"], kind);
            assert_eq!((note.kind(), note.is_alert()), (kind, alert));
        }
        for (fault, word) in Fault::ALL {
            assert_eq!(serde_json::to_value(fault).unwrap(), word);
        }
    }
}
