//! The machine's promises, one story each; `search.rs` visits every state for the rest.

use super::*;
use crate::barrier::contact::Timing;
use crate::barrier::states::{Fault, State};

/// The moment to which the search moves every state.
pub(in crate::barrier) const NOW: At = Duration::from_secs(100_000);

impl Machine {
    /// The same state at the time [`NOW`], without what makes no difference any more. `memory` is longer than any of the
    /// rules' times.
    pub(in crate::barrier) fn rebased(mut self, now: At, memory: Duration) -> Machine {
        let rebase = |at: At| if at >= now { NOW + (at - now) } else { NOW - (now - at) };
        self.open.rebase(now, &rebase);
        if let Some(close) = &mut self.close {
            close.rebase(now, &rebase);
        }
        self.loops.rebase(now, self.rules.close_after, &rebase);
        self.hold_press_at = self.hold_press_at.map(|at| rebase(at.max(now)));
        self.not_before = self.not_before.filter(|&at| at > now).map(rebase);
        self.closing = self.closing.map(rebase);
        self.button_asks = self.button_asks.map(rebase);
        self.position.rebase(now.saturating_sub(memory), &rebase);
        // More than a few cars are not told apart.
        (self.granted, self.passed) = (self.granted.min(2), self.passed.min(3));
        self
    }
}

pub(in crate::barrier) fn s(seconds: f64) -> At {
    Duration::from_secs_f64(seconds)
}

pub(in crate::barrier) fn rules() -> Rules {
    let timing = Timing { pulse: s(0.5), min_gap: s(3.0), most: 5, window: s(60.0) };
    Rules {
        open: timing,
        close: None,
        close_after: s(3.0),
        opens_within: s(8.0),
        stays_open: s(10.0),
        held_too_long: s(60.0),
        holding: Holding::Pulses(s(10.0)),
        fire_opens: true,
        power_opens: false,
    }
}

/// A machine, its time, and outputs that do what they are told.
struct Stand {
    machine: Machine,
    now: At,
    orders: Vec<(f64, Order)>,
}

const OPEN: Order = Order::Press(Command::Open);
const CLOSE: Order = Order::Press(Command::Close);

impl Stand {
    fn new(rules: Rules, wired: &[Input]) -> Stand {
        let mut stand = Stand {
            machine: Machine::new(rules, Levels::wired(wired.iter().copied())),
            now: At::ZERO,
            orders: Vec::new(),
        };
        for &input in wired {
            stand.set(input, if input == Input::ArmDown { Level::Active } else { Level::Clear });
        }
        stand.machine.take_notes();
        stand
    }

    fn work(&mut self) {
        while let Some(order) = self.machine.next(self.now) {
            self.orders.push((self.now.as_secs_f64(), order));
            self.machine.did(self.now, order, Done::Yes);
        }
    }

    fn set(&mut self, input: Input, level: Level) {
        self.machine.set_level(self.now, input, level);
        self.work();
    }

    /// Lets the time go on, a twentieth of a second a step.
    fn wait(&mut self, seconds: f64) {
        let until = self.now + s(seconds);
        while self.now < until {
            self.now += s(0.05);
            self.work();
        }
    }

    fn ask(&mut self, by: &By) -> Answer {
        let answer = self.machine.ask(self.now, by);
        if answer == Answer::Press {
            self.orders.push((self.now.as_secs_f64(), OPEN));
            self.machine.did(self.now, OPEN, Done::Yes);
        }
        self.work();
        answer
    }

    fn notes(&mut self) -> Vec<Note> {
        self.machine.take_notes()
    }

    fn presses(&self, order: Order) -> usize {
        self.orders.iter().filter(|(_, o)| *o == order).count()
    }
}

#[test]
fn without_any_wire_asked_is_not_open() {
    let mut gate = Stand::new(rules(), &[]);
    assert_eq!(gate.machine.state(), State::Idle);
    assert_eq!(gate.ask(&By::Car), Answer::Press);
    assert_eq!(gate.machine.state(), State::Asked);
    gate.wait(9.9);
    assert_eq!(gate.machine.state(), State::Asked);
    gate.wait(0.2);
    assert_eq!((gate.machine.state(), gate.notes()), (State::Idle, vec![]));
}

#[test]
fn an_arm_that_does_not_come_up_is_told_and_tried_again() {
    let mut gate = Stand::new(rules(), &[Input::ArmUp]);
    gate.ask(&By::Car);
    gate.wait(8.1);
    assert_eq!((gate.machine.state(), gate.notes()), (State::Fault, vec![Note::DidNotOpen]));
    assert_eq!(gate.machine.faults(), [Fault::DidNotOpen]);
    assert_eq!(gate.ask(&By::Car), Answer::Press);
    gate.wait(2.0);
    gate.set(Input::ArmUp, Level::Active);
    assert_eq!((gate.machine.state(), gate.notes()), (State::Open, vec![]));
    gate.wait(61.0);
    assert_eq!(gate.notes(), [Note::HeldTooLong]);
    gate.set(Input::ArmUp, Level::Clear);
    assert_eq!(gate.machine.state(), State::Idle);
}

#[test]
fn two_cars_on_one_press_are_recorded_and_two_presses_are_not() {
    let wired = [Input::Presence, Input::Passage, Input::ArmUp];
    let through = |gate: &mut Stand| {
        for (input, level) in [
            (Input::Presence, Level::Active),
            (Input::Passage, Level::Active),
            (Input::Presence, Level::Clear),
            (Input::Passage, Level::Clear),
        ] {
            gate.wait(0.4);
            gate.set(input, level);
        }
    };
    for (cars_asked, tailgated) in [(1, true), (2, false)] {
        let mut gate = Stand::new(rules(), &wired);
        for _ in 0..cars_asked {
            gate.ask(&By::Car);
        }
        gate.set(Input::ArmUp, Level::Active);
        through(&mut gate);
        assert_eq!(gate.notes(), [Note::Passed { direction: Some(Direction::In) }]);
        assert_eq!(gate.machine.state(), State::Open);
        through(&mut gate);
        assert_eq!(gate.notes().contains(&Note::Tailgated), tailgated, "{cars_asked} asked");
    }
}

#[test]
fn fire_holds_the_arm_up_if_it_was_voted_and_only_then() {
    let mut gate = Stand::new(rules(), &[Input::Fire, Input::Power]);
    gate.set(Input::Power, Level::Active);
    gate.wait(1.0);
    assert_eq!((gate.machine.state(), gate.orders.len()), (State::Idle, 0));
    gate.set(Input::Fire, Level::Active);
    gate.wait(29.0);
    assert_eq!((gate.machine.state(), gate.presses(OPEN)), (State::HeldOpen, 3));
    assert_eq!(gate.notes(), [Note::HoldBegan { hold: Hold::Fire }]);
    gate.set(Input::Fire, Level::Clear);
    gate.wait(30.0);
    assert_eq!((gate.machine.state(), gate.presses(OPEN)), (State::Idle, 3));
}

#[test]
fn a_held_press_lasts_as_long_as_the_alarm_and_is_let_go_when_stopped() {
    let held = Rules { holding: Holding::Pressed, ..rules() };
    let mut gate = Stand::new(held, &[Input::Fire]);
    gate.set(Input::Fire, Level::Active);
    gate.wait(100.0);
    assert_eq!(gate.orders, [(0.0, OPEN)]);
    assert_eq!(gate.ask(&By::Car), Answer::JustPressed);
    gate.set(Input::Fire, Level::Clear);
    assert_eq!(gate.orders.last().unwrap().1, Order::Release(Command::Open));
    gate.set(Input::Fire, Level::Active);
    gate.machine.stop(gate.now);
    gate.work();
    assert!(gate.machine.is_let_go());
    assert_eq!(gate.ask(&By::Service), Answer::Refused(Refusal::Stopped));
}

#[test]
fn a_closed_gate_opens_for_service_people_and_the_button() {
    let mut gate = Stand::new(rules(), &[Input::Button]);
    gate.machine.set_mode(gate.now, Mode::Closed);
    assert_eq!(gate.machine.state(), State::Closed);
    assert_eq!(gate.ask(&By::Car), Answer::Refused(Refusal::Closed));
    for by in [By::Service, By::Person("王伟".into())] {
        assert_eq!(gate.ask(&by), Answer::Press);
        gate.wait(12.0);
    }
    gate.set(Input::Button, Level::Active);
    gate.wait(1.0);
    assert_eq!((gate.presses(OPEN), gate.notes()), (3, vec![Note::PushButton]));
    // A button that hangs is no new press; neither is one that hangs from the start.
    gate.wait(30.0);
    gate.set(Input::Button, Level::Broken);
    gate.set(Input::Button, Level::Active);
    gate.wait(30.0);
    assert_eq!(gate.presses(OPEN), 3);
}

#[test]
fn too_many_presses_in_a_minute_are_refused() {
    let mut gate = Stand::new(rules(), &[]);
    let mut answers = Vec::new();
    for _ in 0..7 {
        answers.push(gate.ask(&By::Car));
        gate.wait(3.1);
    }
    assert_eq!(answers[4..6], [Answer::Press, Answer::Refused(Refusal::TooOften)]);
    gate.wait(40.0);
    assert_eq!(gate.ask(&By::Car), Answer::Press);
}

fn closing() -> Stand {
    let with_close = Rules { close: Some(rules().open), ..rules() };
    let mut gate = Stand::new(with_close, &[Input::Presence, Input::Passage, Input::ArmUp, Input::ArmDown]);
    gate.set(Input::Presence, Level::Active);
    gate.ask(&By::Car);
    gate.set(Input::ArmDown, Level::Clear);
    gate.wait(2.0);
    gate.set(Input::ArmUp, Level::Active);
    gate
}

#[test]
fn close_is_pressed_once_when_every_loop_is_clear_and_was_seen_to_work() {
    let mut gate = closing();
    gate.set(Input::Passage, Level::Active);
    gate.set(Input::Presence, Level::Clear);
    gate.wait(20.0);
    assert_eq!(gate.presses(CLOSE), 0, "a car is under the arm");
    gate.set(Input::Passage, Level::Clear);
    gate.wait(2.9);
    assert_eq!(gate.presses(CLOSE), 0, "too early");
    gate.wait(0.2);
    assert_eq!(gate.presses(CLOSE), 1);
    gate.wait(30.0);
    assert_eq!(gate.presses(CLOSE), 1, "once an opening");
}

#[test]
fn a_loop_that_was_never_seen_to_work_keeps_the_arm_up() {
    for level in [Level::Clear, Level::Active, Level::Broken] {
        let mut gate = closing();
        gate.set(Input::Presence, Level::Clear);
        gate.set(Input::Passage, level);
        gate.wait(60.0);
        assert_eq!(gate.presses(CLOSE), 0, "{level:?}");
    }
}

#[test]
fn a_car_that_comes_while_it_closes_is_given_way_at_once() {
    let mut gate = closing();
    gate.set(Input::Passage, Level::Active);
    gate.set(Input::Presence, Level::Clear);
    gate.set(Input::Passage, Level::Clear);
    gate.wait(3.05);
    let before = gate.orders.len();
    assert_eq!(gate.orders.last().unwrap().1, CLOSE);
    gate.wait(0.2);
    gate.set(Input::Presence, Level::Active);
    let since: Vec<Order> = gate.orders[before..].iter().map(|(_, order)| *order).collect();
    assert_eq!(since, [Order::Release(Command::Close), OPEN]);
    assert!(gate.notes().contains(&Note::ClosingStopped));
}

#[test]
fn a_wire_that_breaks_is_told_once_and_again_when_it_is_mended() {
    let mut gate = Stand::new(rules(), &[Input::Passage]);
    gate.set(Input::Passage, Level::Broken);
    gate.set(Input::Passage, Level::Broken);
    gate.set(Input::Passage, Level::Clear);
    let input = Input::Passage;
    assert_eq!(gate.notes(), [Note::WireBroken { input }, Note::WireMended { input }]);
}

#[test]
fn switches_that_contradict_are_a_fault_and_believed_in_nothing() {
    let mut gate = Stand::new(rules(), &[Input::ArmUp, Input::ArmDown]);
    gate.set(Input::ArmUp, Level::Active);
    assert_eq!(
        (gate.machine.faults(), gate.notes()),
        (vec![Fault::SwitchesContradict], vec![Note::SwitchesContradict])
    );
    gate.ask(&By::Car);
    gate.wait(5.0);
    gate.set(Input::ArmDown, Level::Clear);
    assert_eq!(gate.machine.state(), State::Open);
}
