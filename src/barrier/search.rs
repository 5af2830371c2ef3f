//! Every state that the machine can reach, visited: breadth first over inputs, requests, modes, time steps, and whatever the
//! outputs make of an order. An observer that knows nothing of the machine's insides judges every order.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use super::contact::{At, Done, Timing};
use super::machine::Machine;
use super::machine::tests::{NOW, s};
use super::states::{Answer, By, Command, Holding, Mode, Order, Rules};
use super::wires::{Input, Level, Levels};

const TICK: Duration = Duration::from_secs(1);
const PULSE: Duration = TICK;
const GAP: Duration = Duration::from_secs(3);
/// Where the arm has been for longer makes no difference under [`rules`].
const MEMORY: Duration = Duration::from_secs(6);
/// The most orders that may be given in one moment. A machine that gives more asks a dead output without end.
const MOST_ORDERS: usize = 8;

fn rules() -> Rules {
    let timing = Timing { pulse: PULSE, min_gap: GAP, most: 2, window: s(8.0) };
    Rules {
        open: timing,
        close: None,
        close_after: s(1.0),
        opens_within: s(2.0),
        stays_open: s(4.0),
        held_too_long: s(2.0),
        holding: Holding::Pulses(s(4.0)),
        fire_opens: true,
        power_opens: true,
    }
}

/// Was the loop seen to work since "open" was last pressed?
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
enum Seen {
    #[default]
    Nothing,
    Active,
    ActiveAndClear,
}

/// What somebody sees who watches the wires only.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Observer {
    levels: Levels,
    seen: [Seen; 2],
    /// When "open" was, or may have been, pressed last.
    pressed_at: Option<At>,
    /// The contacts are, or may be, closed: "open" and "close".
    on: [bool; 2],
    /// The newest attempt to let go failed.
    cannot_let_go: [bool; 2],
    stopped: bool,
}

const LOOPS: [Input; 2] = [Input::Presence, Input::Passage];

impl Observer {
    fn level(&mut self, input: Input, level: Level) {
        self.levels.set(input, level);
        if let Some(index) = LOOPS.iter().position(|l| *l == input) {
            self.seen[index] = match (level, self.seen[index]) {
                (Level::Active, Seen::Nothing) => Seen::Active,
                (Level::Clear, Seen::Active) => Seen::ActiveAndClear,
                (Level::Active | Level::Clear, seen) => seen,
                _ => Seen::Nothing,
            };
        }
    }

    /// Is it certain that nobody is under the arm?
    fn is_clear(&self) -> bool {
        let wired: Vec<_> = LOOPS.into_iter().zip(self.seen).filter(|(l, _)| self.levels.get(*l).is_wired()).collect();
        !wired.is_empty() && wired.iter().all(|(l, _)| self.levels.get(*l).is_clear())
    }

    /// Judges an order and what became of it.
    fn order(&mut self, now: At, order: Order, done: Done) {
        let (Order::Press(command) | Order::Release(command)) = order;
        let index = usize::from(command == Command::Close);
        match order {
            Order::Press(_) => {
                assert!(!self.stopped, "pressed after the stop");
                assert!(!self.on[index], "pressed while it is pressed");
                if command == Command::Open {
                    let long_ago = self.pressed_at.is_none_or(|at| now - at >= GAP);
                    assert!(long_ago, "pressed twice within the gap");
                    assert!(!self.on[1] || self.cannot_let_go[1], "up and down at once");
                } else {
                    assert!(self.is_clear(), "closed with {:?}", self.levels);
                    let proven = LOOPS
                        .into_iter()
                        .zip(self.seen)
                        .all(|(input, seen)| !self.levels.get(input).is_wired() || seen == Seen::ActiveAndClear);
                    assert!(proven, "closed without having seen every loop at work");
                    assert!(!self.on[0], "up and down at once");
                }
                // A press that failed may have moved the contact all the same.
                self.on[index] = true;
                if command == Command::Open && done != Done::No {
                    self.pressed_at = Some(now);
                    for (seen, input) in self.seen.iter_mut().zip(LOOPS) {
                        *seen = if self.levels.get(input).is_active() { Seen::Active } else { Seen::Nothing };
                    }
                }
            }
            Order::Release(_) => {
                self.on[index] = done != Done::Yes;
                self.cannot_let_go[index] = done != Done::Yes;
            }
        }
    }

    /// Judges a moment in which nothing more is to be done.
    fn rest(&self, now: At, machine: &Machine, rules: &Rules) {
        if self.on[1] && !self.cannot_let_go[1] {
            assert!(self.is_clear(), "\"close\" is pressed on a car, or on a loop that says nothing");
        }
        for index in 0..2 {
            let held = index == 0 && machine.hold().is_some() && rules.holding == Holding::Pressed;
            if self.on[index] && !self.cannot_let_go[index] {
                assert!(!self.stopped, "pressed after the stop");
                let soon = machine.due(now).is_some_and(|at| at <= now + PULSE);
                assert!(held || soon, "nothing lets go of it: {:?}", machine.state());
            }
            if self.cannot_let_go[index] {
                assert!(machine.is_stuck(), "nobody is told that it cannot be let go");
                assert!(machine.due(now).is_some_and(|at| at <= now + s(0.05)), "nobody tries again");
            }
        }
    }

    fn rebased(mut self, now: At) -> Observer {
        self.pressed_at = self.pressed_at.filter(|&at| now - at < GAP).map(|at| NOW - (now - at));
        self
    }
}

/// 128 bits: among a million states, two that differ and look alike are not to be expected in the age of the universe.
fn fingerprint(state: &(Machine, Observer)) -> [u64; 2] {
    [0u8, 1].map(|salt| {
        let mut hasher = DefaultHasher::new();
        (salt, state).hash(&mut hasher);
        hasher.finish()
    })
}

struct Search {
    rules: Rules,
    wired: Vec<(Input, Vec<Level>)>,
    modes: Vec<Mode>,
    presses: Vec<Done>,
    releases: Vec<Done>,
    /// Fingerprints: whole states would take a gigabyte.
    seen: HashSet<[u64; 2]>,
    queue: VecDeque<(Machine, Observer)>,
    closes: usize,
    opens: usize,
}

impl Search {
    /// Every way in which the orders of this moment can be carried out.
    fn carry_out(&mut self, now: At, machine: Machine, observer: Observer, orders: usize) {
        let mut after = machine.clone();
        let order = after.next(now);
        self.outcomes(now, after, observer, orders, order);
    }

    fn outcomes(&mut self, now: At, mut machine: Machine, observer: Observer, orders: usize, order: Option<Order>) {
        assert!(orders < MOST_ORDERS, "orders without end");
        let Some(order) = order else {
            observer.rest(now, &machine, &self.rules);
            machine.take_notes();
            let state = (machine.rebased(now, MEMORY), observer.rebased(now));
            if self.seen.insert(fingerprint(&state)) {
                self.queue.push_back(state);
            }
            return;
        };
        self.opens += usize::from(order == Order::Press(Command::Open));
        self.closes += usize::from(order == Order::Press(Command::Close));
        let outcomes = if matches!(order, Order::Press(_)) { self.presses.clone() } else { self.releases.clone() };
        for done in outcomes {
            let (mut machine, mut observer) = (machine.clone(), observer.clone());
            observer.order(now, order, done);
            machine.did(now, order, done);
            self.carry_out(now, machine, observer, orders + 1);
        }
    }

    /// Everything that can happen next.
    fn step(&mut self, machine: &Machine, observer: &Observer) {
        self.carry_out(NOW + TICK, machine.clone(), observer.clone(), 0);
        for (input, levels) in self.wired.clone() {
            for level in levels {
                let (mut machine, mut observer) = (machine.clone(), observer.clone());
                machine.set_level(NOW, input, level);
                observer.level(input, level);
                self.carry_out(NOW, machine, observer, 0);
            }
        }
        for mode in self.modes.clone() {
            let mut machine = machine.clone();
            machine.set_mode(NOW, mode);
            self.carry_out(NOW, machine, observer.clone(), 0);
        }
        let mut asked = machine.clone();
        match asked.ask(NOW, &By::Car) {
            // What has to be let go comes before the press, as the outputs do it.
            Answer::Press => match asked.release(NOW) {
                Some(order) => self.outcomes(NOW, asked, observer.clone(), 0, Some(order)),
                None => self.outcomes(NOW, asked, observer.clone(), 0, Some(Order::Press(Command::Open))),
            },
            _ => self.carry_out(NOW, asked, observer.clone(), 0),
        }
        let (mut machine, mut observer) = (machine.clone(), observer.clone());
        machine.stop(NOW);
        observer.stopped = true;
        self.carry_out(NOW, machine, observer, 0);
    }
}

const KNOWN: [Level; 2] = [Level::Clear, Level::Active];
const ANY: [Level; 3] = [Level::Clear, Level::Active, Level::Broken];
const WORKS: [Done; 1] = [Done::Yes];
const FAILS: [Done; 3] = [Done::Yes, Done::No, Done::Maybe];
const STUCK: [Done; 2] = [Done::Yes, Done::No];

/// Visits everything; gives the numbers of states, of presses of "open", and of "close".
fn visit(
    rules: Rules,
    wired: &[(Input, &[Level])],
    modes: &[Mode],
    presses: &[Done],
    releases: &[Done],
) -> (usize, usize, usize) {
    let levels = Levels::wired(wired.iter().map(|(input, _)| *input));
    let machine = Machine::new(rules, levels);
    let observer = Observer {
        levels,
        seen: Default::default(),
        pressed_at: None,
        on: [false; 2],
        cannot_let_go: [false; 2],
        stopped: false,
    };
    let start = (machine, observer);
    let mut search = Search {
        rules,
        wired: wired.iter().map(|(input, levels)| (*input, levels.to_vec())).collect(),
        modes: modes.to_vec(),
        presses: presses.to_vec(),
        releases: releases.to_vec(),
        seen: HashSet::from([fingerprint(&start)]),
        queue: VecDeque::from([start]),
        closes: 0,
        opens: 0,
    };
    while let Some((machine, observer)) = search.queue.pop_front() {
        search.step(&machine, &observer);
    }
    (search.seen.len(), search.opens, search.closes)
}

#[test]
fn a_gate_with_a_push_button_only() {
    let modes = [Mode::Normal, Mode::HeldOpen, Mode::Closed];
    let (states, opens, closes) = visit(rules(), &[(Input::Button, &KNOWN)], &modes, &FAILS, &STUCK);
    println!("{states} states, {opens} presses of open, {closes} of close");
    assert!(states > 500 && opens > 100 && closes == 0);
}

#[test]
fn a_gate_with_loops_that_may_close() {
    let rules = Rules { close: Some(rules().open), ..rules() };
    let wired: [(Input, &[Level]); 2] = [(Input::Presence, &ANY), (Input::Passage, &ANY)];
    let (states, opens, closes) = visit(rules, &wired, &[], &WORKS, &WORKS);
    println!("{states} states, {opens} presses of open, {closes} of close");
    assert!(states > 10_000 && opens > 1000 && closes > 100);
}

#[test]
fn a_gate_with_one_loop_that_may_close_and_outputs_that_fail() {
    let rules = Rules { close: Some(rules().open), ..rules() };
    let wired: [(Input, &[Level]); 1] = [(Input::Passage, &ANY)];
    let (states, opens, closes) = visit(rules, &wired, &[], &FAILS, &STUCK);
    println!("{states} states, {opens} presses of open, {closes} of close");
    assert!(states > 10_000 && opens > 1000 && closes > 100);
}

#[test]
fn a_gate_with_an_end_switch_and_a_light_barrier_that_may_close() {
    let rules = Rules { close: Some(rules().open), ..rules() };
    let wired: [(Input, &[Level]); 2] = [(Input::Passage, &ANY), (Input::ArmDown, &KNOWN)];
    let (states, opens, closes) = visit(rules, &wired, &[], &WORKS, &WORKS);
    println!("{states} states, {opens} presses of open, {closes} of close");
    assert!(states > 10_000 && opens > 1000 && closes > 100);
}

/// A million states.
#[test]
#[ignore = "takes a minute; run it after a change to the machine"]
fn a_gate_with_both_end_switches_and_a_light_barrier_that_may_close() {
    let rules = Rules { close: Some(rules().open), ..rules() };
    let wired: [(Input, &[Level]); 3] = [(Input::Passage, &ANY), (Input::ArmUp, &KNOWN), (Input::ArmDown, &KNOWN)];
    let (states, opens, closes) = visit(rules, &wired, &[], &WORKS, &WORKS);
    println!("{states} states, {opens} presses of open, {closes} of close");
    assert!(states > 500_000 && opens > 100_000 && closes > 1000);
}

#[test]
fn a_gate_that_fire_and_power_hold_open_with_pulses_and_outputs_that_fail() {
    let wired: [(Input, &[Level]); 2] = [(Input::Fire, &ANY), (Input::ArmUp, &KNOWN)];
    let (states, opens, closes) = visit(rules(), &wired, &[], &FAILS, &STUCK);
    println!("{states} states, {opens} presses of open, {closes} of close");
    assert!(states > 10_000 && opens > 1000 && closes == 0);
}

#[test]
fn a_gate_that_is_held_open_with_a_lasting_press_and_outputs_that_fail() {
    let rules = Rules { holding: Holding::Pressed, close: Some(rules().open), ..rules() };
    let wired: [(Input, &[Level]); 1] = [(Input::Passage, &KNOWN)];
    let (states, opens, closes) =
        visit(rules, &wired, &[Mode::Normal, Mode::HeldOpen], &[Done::Yes, Done::Maybe], &STUCK);
    println!("{states} states, {opens} presses of open, {closes} of close");
    assert!(states > 10_000 && opens > 1000 && closes > 10);
}

/// Four million states.
#[test]
#[ignore = "takes minutes; run it after a change to the machine"]
fn a_gate_with_everything_that_may_fail() {
    let rules = Rules { holding: Holding::Pressed, close: Some(rules().open), stays_open: s(6.0), ..rules() };
    let wired: [(Input, &[Level]); 2] = [(Input::Fire, &KNOWN), (Input::Passage, &KNOWN)];
    let (states, opens, closes) = visit(rules, &wired, &[Mode::Normal, Mode::HeldOpen], &FAILS, &STUCK);
    println!("{states} states, {opens} presses of open, {closes} of close");
    assert!(states > 1_000_000 && opens > 100_000 && closes > 1000);
}
