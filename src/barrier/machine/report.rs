//! What the machine tells of itself.

use super::Machine;
use crate::barrier::contact::Contact;
use crate::barrier::loops;
use crate::barrier::states::{By, Fault, Hold, Mode, Reason, State};
use crate::barrier::wires::{Direction, Levels};

impl Machine {
    /// How the barrier stands.
    pub(in crate::barrier) fn state(&self) -> State {
        if !self.faults().is_empty() {
            State::Fault
        } else if self.hold.is_some() {
            State::HeldOpen
        } else {
            self.position.state(loops::occupied(&self.levels), self.mode)
        }
    }

    /// What is wrong.
    pub(in crate::barrier) fn faults(&self) -> Vec<Fault> {
        let close_stuck = self.close.as_ref().is_some_and(Contact::is_stuck);
        [
            (self.open.is_stuck(), Fault::OpenStuck),
            (close_stuck, Fault::CloseStuck),
            (self.press_failed, Fault::PressFailed),
            (self.position.did_not_open(), Fault::DidNotOpen),
            (self.switches_contradict(), Fault::SwitchesContradict),
        ]
        .into_iter()
        .filter_map(|(is, fault)| is.then_some(fault))
        .collect()
    }

    /// Why the arm is held up, if it is.
    pub(in crate::barrier) fn hold(&self) -> Option<Hold> {
        self.hold
    }

    /// The mode.
    pub(in crate::barrier) fn mode(&self) -> Mode {
        self.mode
    }

    /// The inputs.
    pub(in crate::barrier) fn levels(&self) -> &Levels {
        &self.levels
    }

    /// The way of the car under the arm, or of the last one.
    pub(in crate::barrier) fn direction(&self) -> Option<Direction> {
        self.loops.direction()
    }

    /// "Open" is pressed at this moment, as far as the output knows.
    pub(in crate::barrier) fn is_pressed(&self) -> bool {
        self.open.is_pressed()
    }

    /// Something should have been let go and could not be.
    pub(in crate::barrier) fn is_stuck(&self) -> bool {
        self.open.is_stuck() || self.close.as_ref().is_some_and(Contact::is_stuck)
    }

    /// Nothing is, or may be, pressed.
    pub(in crate::barrier) fn is_let_go(&self) -> bool {
        !self.open.is_down() && !self.close.as_ref().is_some_and(Contact::is_down)
    }

    /// It takes no more requests.
    pub(in crate::barrier) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Why "open" is pressed of the machine's own accord, for the record; asked before the press.
    pub(in crate::barrier) fn own_reason(&self) -> Reason {
        let why = match self.hold {
            _ if self.pressing_for_button => return Reason { by: By::Button, why: "the push button".into() },
            Some(Hold::Fire) => "the fire alarm holds the gate open",
            Some(Hold::Power) => "the power is about to fail",
            Some(Hold::Mode) => "the gate is held open",
            None => "a car came while the arm was going down",
        };
        Reason::itself(why)
    }
}
