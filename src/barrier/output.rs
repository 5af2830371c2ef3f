//! The outputs with the machine above them: orders are carried out here, and what became of them is counted.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::contact::{At, Done};
use super::machine::Machine;
use super::states::{Answer, Command, Fault, Hold, Mode, Note, Order, Reason, State};
use super::wires::{Direction, Input, Levels};
use super::{ArmError, Outputs, Pulse, Rules};

/// How the barrier is doing, for the page and for metrics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BarrierState {
    /// What the "open" button hangs on, such as `gpio /dev/gpiochip0 line 17`.
    pub arm: String,
    /// What "close" hangs on, where it is wired.
    pub close: Option<String>,
    /// How the lane's barrier stands.
    pub state: State,
    /// What the gate is asked to be.
    pub mode: Mode,
    /// Who asked for that mode, and why.
    pub mode_reason: Option<Reason>,
    /// Why the arm is held up, if it is.
    pub hold: Option<Hold>,
    /// What is wrong.
    pub faults: Vec<Fault>,
    /// The inputs.
    pub inputs: Levels,
    /// The way of the car under the arm, or of the last one; none where the loops do not tell.
    pub direction: Option<Direction>,
    /// "Open" is pressed at this moment.
    pub pressed: bool,
    /// Something should have been let go and could not be: somebody has to look at the relay.
    pub stuck: bool,
    /// Presses of "open" since the start.
    pub presses: u64,
    /// When it was last pressed.
    pub last_press: Option<Timestamp>,
    /// Who asked for that, and why.
    pub last_reason: Option<Reason>,
    /// Presses and releases that failed since the start.
    pub failures: u64,
    /// The newest of them.
    pub last_failure: Option<Failure>,
    /// It takes no more requests.
    pub stopped: bool,
}

/// A press or a release that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When.
    pub at: Timestamp,
    /// What the output said.
    pub reason: String,
}

/// Something that happened at the barrier, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub note: Note,
    /// Who asked for it, and why, where somebody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// The machine and its outputs.
pub(super) struct Works {
    pub(super) machine: Machine,
    outputs: Outputs,
    epoch: Instant,
    state: BarrierState,
    notes: Vec<Noted>,
    press_failed: bool,
}

impl Works {
    /// Outputs that have been let go.
    pub(super) fn new(outputs: Outputs, rules: Rules, wired: impl IntoIterator<Item = Input>) -> Works {
        let rules = Rules { close: rules.close.filter(|_| outputs.close.is_some()), ..rules };
        let state = BarrierState {
            arm: outputs.open.describe(),
            close: outputs.close.as_ref().map(|arm| arm.describe()),
            ..BarrierState::default()
        };
        Works {
            machine: Machine::new(rules, Levels::wired(wired)),
            outputs,
            epoch: Instant::now(),
            state,
            notes: Vec::new(),
            press_failed: false,
        }
    }

    /// The machine's time.
    pub(super) fn now(&self) -> At {
        self.epoch.elapsed()
    }

    /// The moment that the machine calls `at`.
    pub(super) fn moment(&self, at: At) -> Instant {
        self.epoch + at
    }

    /// Presses "open" for this reason, if it may be pressed.
    pub(super) fn open(&mut self, reason: Reason) -> Pulse {
        match self.machine.ask(self.now(), &reason.by) {
            Answer::JustPressed => Pulse::JustPressed,
            Answer::Refused(refusal) => Pulse::Failed(ArmError::Refused(refusal)),
            Answer::Press => {
                while let Some(order) = self.machine.release(self.now()) {
                    // Counted, shown and tried again by the machine.
                    let _ = self.carry_out(order);
                }
                let (at, result) = self.carry_out(Order::Press(Command::Open));
                self.note_press(&result, reason);
                match result {
                    Ok(()) => Pulse::Pressed(at),
                    Err(error) => Pulse::Failed(error),
                }
            }
        }
    }

    /// Does everything that has to be done now.
    pub(super) fn work(&mut self) {
        while let Some(order) = self.machine.next(self.now()) {
            let why = self.machine.own_reason();
            let (_, result) = self.carry_out(order);
            if order == Order::Press(Command::Open) {
                self.note_press(&result, why);
            }
        }
    }

    /// Sets the mode, and who asked for it.
    pub(super) fn set_mode(&mut self, mode: Mode, reason: Reason) {
        self.state.mode_reason = Some(reason);
        self.machine.set_mode(self.now(), mode);
    }

    fn note_press(&mut self, result: &Result<(), ArmError>, reason: Reason) {
        let note = if result.is_ok() { Note::Pressed } else { Note::PressFailed };
        // An output that is gone is tried again and again while the arm is held up: once is enough to know.
        if note == Note::Pressed || !self.press_failed {
            self.notes.push(Noted { at: Timestamp::now(), note, reason: Some(reason.clone()) });
        }
        self.press_failed = result.is_err();
        self.state.last_reason = Some(reason);
    }

    /// What happened since the last time.
    pub(super) fn take_notes(&mut self) -> Vec<Noted> {
        let mut notes = std::mem::take(&mut self.notes);
        let of_mode = |note: &Note| match note {
            Note::HoldBegan { hold: Hold::Mode } | Note::HoldEnded { hold: Hold::Mode } => {
                self.state.mode_reason.clone()
            }
            _ => None,
        };
        notes.extend(self.machine.take_notes().into_iter().map(|note| Noted {
            at: Timestamp::now(),
            note,
            reason: of_mode(&note),
        }));
        notes
    }

    fn carry_out(&mut self, order: Order) -> (Instant, Result<(), ArmError>) {
        let (Order::Press(command) | Order::Release(command)) = order;
        let arm = match command {
            Command::Open => Some(&mut self.outputs.open),
            Command::Close => self.outputs.close.as_mut(),
        };
        let result = match (arm, order) {
            (Some(arm), Order::Press(_)) => guarded(|| arm.press()),
            (Some(arm), Order::Release(_)) => guarded(|| arm.release()),
            // The rules have no "close" without its output.
            (None, _) => Ok(()),
        };
        let at = Instant::now();
        let done = match &result {
            Ok(()) => Done::Yes,
            Err(ArmError::Uncertain(_)) => Done::Maybe,
            Err(_) => Done::No,
        };
        let was_stuck = self.machine.is_stuck();
        self.machine.did(at.saturating_duration_since(self.epoch), order, done);
        self.tell(order, &result, was_stuck);
        (at, result)
    }

    fn tell(&mut self, order: Order, result: &Result<(), ArmError>, was_stuck: bool) {
        let stuck = self.machine.is_stuck();
        match result {
            Ok(()) if order == Order::Press(Command::Open) => {
                self.state.presses += 1;
                self.state.last_press = Some(Timestamp::now());
            }
            Ok(()) if was_stuck && !stuck => tracing::warn!("{}: let go at last", self.state.arm),
            Ok(()) => {}
            Err(error) => {
                self.state.failures += 1;
                self.state.last_failure = Some(Failure { at: Timestamp::now(), reason: error.to_string() });
                if stuck && !was_stuck {
                    tracing::error!("{}: the button cannot be let go: {error}; trying on", self.state.arm);
                }
            }
        }
    }

    /// How it is doing.
    pub(super) fn state(&mut self) -> BarrierState {
        let machine = &self.machine;
        self.state.state = machine.state();
        self.state.mode = machine.mode();
        self.state.hold = machine.hold();
        self.state.faults = machine.faults();
        self.state.inputs = *machine.levels();
        self.state.direction = machine.direction();
        self.state.pressed = machine.is_pressed();
        self.state.stuck = machine.is_stuck();
        self.state.stopped = machine.is_stopped();
        self.state.clone()
    }
}

/// An output that panics has failed, no more: the button must still be let go. Whether it moved is not known.
fn guarded(act: impl FnOnce() -> Result<(), ArmError>) -> Result<(), ArmError> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|_| Err(ArmError::Uncertain("the output panicked".into())))
}
