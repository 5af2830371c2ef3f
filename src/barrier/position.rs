//! Where the arm is, as far as anybody can know: by its end switches, or by the clock.

use super::contact::At;
use super::states::{Mode, Note, Rules, State};
use super::wires::{Input, Levels};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Arm {
    #[default]
    Down,
    /// "Open" was pressed; nothing tells whether it went up.
    Asked(At),
    /// An end switch says that it is up, since then.
    Up(At),
}

/// Where the arm is, and what was told about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Position {
    arm: Arm,
    did_not_open: bool,
    told_too_long: bool,
}

/// Up or not, by the end switches; `None` where none is wired and working, or both contradict.
pub(super) fn switched_up(levels: &Levels) -> Option<bool> {
    match (levels.get(Input::ArmUp).known(), levels.get(Input::ArmDown).known()) {
        (Some(true), Some(true)) => None,
        (Some(up), _) => Some(up),
        (None, Some(down)) => Some(!down),
        (None, None) => None,
    }
}

impl Position {
    /// "Open" was pressed, or may have been.
    pub(super) fn asked(&mut self, now: At) {
        if !matches!(self.arm, Arm::Up(_)) {
            self.arm = Arm::Asked(now);
        }
    }

    /// What the time and the switches say. `held`: somebody wants it up, so that it is never up for too long.
    pub(super) fn look(&mut self, now: At, levels: &Levels, rules: &Rules, held: bool) -> Option<Note> {
        let mut note = None;
        self.arm = match (self.arm, switched_up(levels)) {
            (Arm::Asked(_) | Arm::Down, Some(true)) => Arm::Up(now),
            (Arm::Asked(since), Some(false)) if now.saturating_sub(since) >= rules.opens_within => {
                self.did_not_open = true;
                note = Some(Note::DidNotOpen);
                Arm::Down
            }
            (Arm::Up(_), Some(false)) => Arm::Down,
            // Nothing tells: it counts as up for a while.
            (Arm::Asked(since), None) if now.saturating_sub(since) >= rules.stays_open => Arm::Down,
            (Arm::Up(_), None) => Arm::Asked(now),
            (arm, _) => arm,
        };
        if let Arm::Up(since) = self.arm {
            self.did_not_open = false;
            let long = now.saturating_sub(since) >= rules.held_too_long;
            if long && !held && !std::mem::replace(&mut self.told_too_long, true) {
                note = Some(Note::HeldTooLong);
            }
        } else {
            self.told_too_long = false;
        }
        note
    }

    /// It is down, as far as is known.
    pub(super) fn is_down(&self) -> bool {
        self.arm == Arm::Down
    }

    /// It was asked to open, and an end switch says that it did not.
    pub(super) fn did_not_open(&self) -> bool {
        self.did_not_open
    }

    /// Is it up, or, without end switches, must it have gone up by now?
    pub(super) fn may_be_up(&self, now: At, rules: &Rules) -> bool {
        match self.arm {
            Arm::Down => false,
            Arm::Up(_) => true,
            Arm::Asked(since) => now.saturating_sub(since) >= rules.opens_within,
        }
    }

    /// The state of a barrier without faults that nobody holds.
    pub(super) fn state(&self, occupied: bool, mode: Mode) -> State {
        match (self.arm, occupied) {
            (Arm::Asked(_) | Arm::Up(_), true) => State::Passing,
            (Arm::Up(_), false) => State::Open,
            (Arm::Asked(_), false) => State::Asked,
            (Arm::Down, _) if mode == Mode::Closed => State::Closed,
            (Arm::Down, _) => State::Idle,
        }
    }

    #[cfg(test)]
    pub(super) fn rebase(&mut self, oldest: At, rebase: &impl Fn(At) -> At) {
        if let Arm::Asked(at) | Arm::Up(at) = &mut self.arm {
            *at = rebase((*at).max(oldest));
        }
    }
}
