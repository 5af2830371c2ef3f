//! The lane's barrier as a pure machine: told the time, the inputs, what is asked and what the outputs made of its orders.
//!
//! It has no thread, no clock and no wire, so every state it can reach can be visited: `search.rs` does. The drawing of its
//! states is in `docs/barrier.md`.

mod report;

use std::time::Duration;

use super::contact::{At, Contact, Done, NotNow};
use super::loops::{self, Loops};
use super::position::{Position, switched_up};
use super::states::{Answer, By, Command, Hold, Holding, Mode, Note, Order, Refusal, Rules};
use super::wires::{Direction, Input, Level, Levels};

/// While something is going on the machine is asked again after this time.
const RESTLESS: Duration = Duration::from_millis(50);
/// A press of the push button waits no longer than this for the contact to be free.
const PATIENCE: Duration = Duration::from_secs(2);

/// The machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Machine {
    rules: Rules,
    open: Contact,
    close: Option<Contact>,
    levels: Levels,
    mode: Mode,
    position: Position,
    loops: Loops,
    /// Why the arm is held up.
    hold: Option<Hold>,
    /// When "open" is pressed next to hold it.
    hold_press_at: Option<At>,
    /// The arm is going down because we pressed "close", since then.
    closing: Option<At>,
    /// "Close" was pressed for this opening already.
    closed_once: bool,
    /// "Open" has to be pressed as soon as it may: a car came while the arm was closing.
    reverse: bool,
    /// The push button was pressed, then, and not answered yet.
    button_asks: Option<At>,
    /// The next press is its answer.
    pressing_for_button: bool,
    press_failed: bool,
    /// Not before then is "open" pressed of the machine's own accord: an output that is gone is not asked without end.
    not_before: Option<At>,
    /// Cars that were let in, and cars that went through, since the arm was last down.
    granted: u8,
    passed: u8,
    told_tailgate: bool,
    stopped: bool,
    notes: Vec<Note>,
}

impl Machine {
    /// A machine whose arm is down; nothing has been pressed.
    pub(super) fn new(rules: Rules, levels: Levels) -> Machine {
        Machine {
            rules,
            open: Contact::new(rules.open),
            close: rules.close.map(Contact::new),
            levels,
            mode: Mode::Normal,
            position: Position::default(),
            loops: Loops::default(),
            hold: None,
            hold_press_at: None,
            closing: None,
            closed_once: false,
            reverse: false,
            button_asks: None,
            pressing_for_button: false,
            press_failed: false,
            not_before: None,
            granted: 0,
            passed: 0,
            told_tailgate: false,
            stopped: false,
            notes: Vec::new(),
        }
    }

    /// An input has this level now.
    pub(super) fn set_level(&mut self, now: At, input: Input, level: Level) {
        let old = self.levels.get(input);
        if old == level || !old.is_wired() {
            return;
        }
        self.levels.set(input, level);
        if level == Level::Broken {
            self.notes.push(Note::WireBroken { input });
        } else if old == Level::Broken && level.is_known() {
            self.notes.push(Note::WireMended { input });
        }
        match input {
            Input::Presence | Input::Passage => {
                if let Some(direction) = self.loops.changed(now, input, old, &self.levels) {
                    self.went_through(direction);
                }
                self.watch_closing(now);
            }
            Input::ArmUp | Input::ArmDown => {
                if self.switches_contradict() {
                    self.notes.push(Note::SwitchesContradict);
                }
            }
            // Only a press that was seen to begin is one: a button that hangs is not.
            Input::Button if old.is_clear() && level.is_active() && !self.stopped => self.button_asks = Some(now),
            Input::Button => {}
            Input::Fire | Input::Power => {}
        }
        self.look(now);
    }

    /// Somebody asks to open. With [`Answer::Press`] the caller carries out what [`release`](Machine::release) wants first,
    /// then presses, then reports it.
    pub(super) fn ask(&mut self, now: At, by: &By) -> Answer {
        if self.stopped {
            return Answer::Refused(Refusal::Stopped);
        }
        if self.mode == Mode::Closed && *by == By::Car {
            return Answer::Refused(Refusal::Closed);
        }
        let answer = match self.open.may_press(now) {
            Ok(()) => Answer::Press,
            Err(NotNow::JustPressed) => Answer::JustPressed,
            // Held up: "open" is pressed at this moment, and that is what was asked for.
            Err(NotNow::NotLetGo) if self.open.is_held() && !self.open.is_stuck() => Answer::JustPressed,
            Err(NotNow::NotLetGo) => Answer::Refused(Refusal::NotLetGo),
            Err(NotNow::TooOften) => Answer::Refused(Refusal::TooOften),
        };
        if answer != Answer::Press && !matches!(answer, Answer::Refused(_)) {
            self.granted = self.granted.saturating_add(1);
        }
        if answer == Answer::Press {
            self.stop_closing(now);
        }
        answer
    }

    /// Sets the mode.
    pub(super) fn set_mode(&mut self, now: At, mode: Mode) {
        self.mode = mode;
        self.look(now);
    }

    /// Takes no more requests, and lets go of everything.
    pub(super) fn stop(&mut self, now: At) {
        self.stopped = true;
        (self.reverse, self.button_asks) = (false, None);
        self.open.let_go(now);
        if let Some(close) = &mut self.close {
            close.let_go(now);
        }
    }

    /// What has to be let go now.
    pub(super) fn release(&mut self, now: At) -> Option<Order> {
        if self.close.as_ref().is_some_and(|close| close.is_due(now)) {
            return Some(Order::Release(Command::Close));
        }
        self.open.is_due(now).then_some(Order::Release(Command::Open))
    }

    /// What has to be done now; asked again and again until it is nothing.
    pub(super) fn next(&mut self, now: At) -> Option<Order> {
        self.look(now);
        if let Some(release) = self.release(now) {
            return Some(release);
        }
        if self.stopped {
            return None;
        }
        if self.wants_open(now) {
            // Never both at once, unless "close" cannot be let go: then "open" is the lesser evil.
            if self.close.as_ref().is_some_and(|close| close.is_down() && !close.is_stuck()) {
                self.stop_closing(now);
                return self.release(now);
            }
            return Some(Order::Press(Command::Open));
        }
        self.may_close(now).then_some(Order::Press(Command::Close))
    }

    /// An order was carried out; this became of it.
    pub(super) fn did(&mut self, now: At, order: Order, done: Done) {
        match order {
            Order::Press(Command::Open) => {
                let hold = self.hold.is_some() && self.rules.holding == Holding::Pressed;
                self.open.was_pressed(now, done, hold);
                self.press_failed = done != Done::Yes;
                self.pressing_for_button = false;
                self.not_before = (done == Done::No).then_some(now + RESTLESS);
                if done != Done::No {
                    self.opening(now);
                }
            }
            Order::Release(Command::Open) => self.open.was_let_go(now, done),
            Order::Press(Command::Close) => {
                if let Some(close) = &mut self.close {
                    close.was_pressed(now, done, false);
                }
                self.closed_once = true;
                if done != Done::No {
                    self.closing = Some(now);
                    self.notes.push(Note::Closing);
                }
            }
            Order::Release(Command::Close) => {
                if let Some(close) = &mut self.close {
                    close.was_let_go(now, done);
                }
            }
        }
        self.look(now);
    }

    /// When it wants to be asked again; `None`: only when something has changed.
    pub(super) fn due(&self, now: At) -> Option<At> {
        let releases = self.open.due().into_iter().chain(self.close.as_ref().and_then(Contact::due));
        let restless = !self.stopped
            && (!self.position.is_down()
                || self.hold.is_some()
                || self.closing.is_some()
                || self.reverse
                || self.button_asks.is_some());
        releases.chain(restless.then_some(now + RESTLESS)).min()
    }

    /// Takes the notes since the last time.
    pub(super) fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// "Open" was pressed, or may have been.
    fn opening(&mut self, now: At) {
        if self.position.is_down() {
            (self.granted, self.passed, self.told_tailgate) = (0, 0, false);
        }
        self.granted = self.granted.saturating_add(1);
        self.position.asked(now);
        (self.reverse, self.closed_once, self.closing) = (false, false, None);
        self.loops.begin(&self.levels);
        if let Holding::Pulses(every) = self.rules.holding {
            self.hold_press_at = Some(now + every);
        }
    }

    /// A car went through.
    fn went_through(&mut self, direction: Option<Direction>) {
        self.notes.push(Note::Passed { direction });
        // Cars that leave are the barrier's own affair, and nobody counts while the arm is held up.
        if direction == Some(Direction::Out) || self.hold.is_some() || self.position.is_down() {
            return;
        }
        self.passed = self.passed.saturating_add(1);
        if self.passed > self.granted && !std::mem::replace(&mut self.told_tailgate, true) {
            self.notes.push(Note::Tailgated);
        }
    }

    /// A loop has changed while the arm may be going down.
    fn watch_closing(&mut self, now: At) {
        // Also when an end switch says that the arm is down already: as long as "close" is pressed, it may move.
        let moving = self.closing.is_some() || self.close.as_ref().is_some_and(Contact::is_down);
        if moving && !loops::all_clear(&self.levels) {
            self.stop_closing(now);
            self.reverse = !self.stopped;
            self.notes.push(Note::ClosingStopped);
        }
    }

    fn stop_closing(&mut self, now: At) {
        self.closing = None;
        if let Some(close) = &mut self.close {
            close.let_go(now);
        }
    }

    /// What the time and the switches say about the arm, and whether it has to be held up.
    fn look(&mut self, now: At) {
        let note = self.position.look(now, &self.levels, &self.rules, self.hold.is_some());
        self.notes.extend(note);
        self.look_at_the_hold(now);
        if let Some(since) = self.closing {
            // Down, or long enough under way: from here on the barrier's own controller is trusted again.
            let down = self.levels.get(Input::ArmDown).is_active();
            if down || now.saturating_sub(since) >= self.rules.opens_within {
                self.closing = None;
            }
        }
    }

    fn look_at_the_hold(&mut self, now: At) {
        let wanted = if self.stopped {
            None
        } else if self.rules.fire_opens && self.levels.get(Input::Fire).is_active() {
            Some(Hold::Fire)
        } else if self.rules.power_opens && self.levels.get(Input::Power).is_active() {
            Some(Hold::Power)
        } else {
            (self.mode == Mode::HeldOpen).then_some(Hold::Mode)
        };
        if wanted == self.hold {
            return;
        }
        if let Some(hold) = self.hold {
            self.notes.push(Note::HoldEnded { hold });
        }
        if let Some(hold) = wanted {
            self.notes.push(Note::HoldBegan { hold });
            self.stop_closing(now);
        }
        if self.hold.is_none() {
            self.hold_press_at = Some(now);
        }
        if wanted.is_none() {
            self.hold_press_at = None;
            if self.open.is_held() {
                self.open.let_go(now);
            }
        }
        self.hold = wanted;
    }

    /// Does the machine itself want "open" pressed now, and may it be?
    fn wants_open(&mut self, now: At) -> bool {
        let is_due = self.hold_press_at.is_some_and(|at| at <= now);
        let hold = self.hold.is_some()
            && match self.rules.holding {
                Holding::Pulses(_) => is_due && switched_up(&self.levels) != Some(true),
                Holding::Pressed => is_due && !self.open.is_held(),
            };
        let button = self.button_asks.is_some();
        let too_early = self.not_before.is_some_and(|at| now < at);
        if !(hold || self.reverse || button) || too_early {
            return false;
        }
        let may = self.open.may_press(now);
        // A press of the button that cannot be answered soon is forgotten: nobody expects the arm to move minutes later.
        let late = self.button_asks.is_some_and(|at| now.saturating_sub(at) >= PATIENCE);
        if button && (may.is_ok() || may == Err(NotNow::JustPressed) || late) {
            self.button_asks = None;
            self.pressing_for_button = may.is_ok();
            self.notes.push(Note::PushButton);
            self.granted = self.granted.saturating_add(u8::from(may == Err(NotNow::JustPressed)));
        }
        may.is_ok()
    }

    /// Never on a car: see [`Loops::allow_closing`]; and never while anything else is out of the ordinary.
    fn may_close(&mut self, now: At) -> bool {
        let Some(close) = &mut self.close else { return false };
        self.position.may_be_up(now, &self.rules)
            && !self.closed_once
            && self.hold.is_none()
            && self.mode != Mode::HeldOpen
            && !self.reverse
            && !self.open.is_down()
            && !self.open.pressed_within(now, self.rules.open.min_gap)
            && close.may_press(now).is_ok()
            && self.loops.allow_closing(now, self.rules.close_after, &self.levels)
            && self.faults().is_empty()
    }

    fn switches_contradict(&self) -> bool {
        self.levels.get(Input::ArmUp).is_active() && self.levels.get(Input::ArmDown).is_active()
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
pub(super) mod tests;
