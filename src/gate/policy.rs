//! May this car come in now?
//!
//! In: a [`Match`], how the car moved and whether it is one, the mode, the compound's rules, the time. Out: a [`Verdict`]
//! with the one rule that decided. Every rule is a line of [`decide`], in the order in which they apply.

use jiff::Zoned;

use super::event::{Finding, Heading, Liveness, Rule};
use super::matching::{Candidate, Match};
use super::mode::Mode;
use crate::config::{self, Unpaid};
use crate::plate::{Colour, Kind, Plate};
use crate::register::{LivePass, Snapshot, Standing, Validity, Vehicle};
use crate::vision::track::Distance;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Press "open" now.
    Open(Rule),
    /// Certain already: keep it out.
    Refuse(Rule),
    /// Look at more frames; if none come, this is the reason it stayed out.
    Wait(Rule),
}

impl Verdict {
    /// The rule that decided.
    pub fn rule(self) -> Rule {
        let (Verdict::Open(rule) | Verdict::Refuse(rule) | Verdict::Wait(rule)) = self;
        rule
    }

    fn is_open(self) -> bool {
        matches!(self, Verdict::Open(_))
    }
}

/// A reading less likely than this is called unreadable, not a stranger's.
const LEGIBLE: f64 = 0.5;
/// How sure the form of a service vehicle's plate must be.
const SERVICE_SURE: f64 = 0.999;
/// A stranger is refused before it stands after this many frames more than it takes to open.
const EARLY: u32 = 3;

/// One car's evidence, as far as the rules need it.
#[derive(Debug)]
pub struct Case<'a> {
    /// Against the register.
    pub found: &'a Match<'a>,
    /// The register, for the visitors' passes.
    pub register: &'a Snapshot,
    /// The ground colour.
    pub colour: Colour,
    /// Frames it was read in.
    pub frames: u32,
    /// Was the plate large enough in them?
    pub distance: Distance,
    /// Which way it drives.
    pub heading: Heading,
    /// Is it a car?
    pub liveness: Liveness,
    /// May the gate open on that, as strictly as the configuration wants it?
    pub is_live: bool,
    /// How the gate is run.
    pub mode: Mode,
}

/// Applies the compound's rules at this moment.
pub fn decide(case: &Case<'_>, rules: &config::Gate, now: &Zoned) -> Verdict {
    let found = case.found;
    let seen = case.frames >= rules.frames_to_open;
    // A gate that keeps an ambulance out costs lives: at once, whatever else holds.
    if is_service(case, rules) {
        return Verdict::Open(Rule::Service);
    }
    if case.heading == Heading::Going {
        return Verdict::Wait(Rule::Leaving);
    }
    match case.mode {
        Mode::Closed if seen => return Verdict::Refuse(Rule::Closed),
        Mode::Closed => return Verdict::Wait(Rule::Closed),
        Mode::HeldOpen if seen => return Verdict::Open(Rule::HeldOpen),
        Mode::HeldOpen => return Verdict::Wait(Rule::HeldOpen),
        Mode::Normal => {}
    }
    if found.is_sure(rules.false_open_one_in, case.distance)
        && let Some(best) = found.best()
    {
        return of_the_register(case, best, rules, now);
    }
    if found.confidence < LEGIBLE {
        return Verdict::Wait(Rule::Unreadable);
    }
    if found.is_near_miss() || found.best().is_some_and(|best| best.plate == found.read) {
        return Verdict::Wait(Rule::NearMiss);
    }
    let certain = case.frames >= rules.frames_to_open + EARLY && found.is_surely_strange(rules.false_open_one_in);
    if certain { Verdict::Refuse(Rule::Stranger) } else { Verdict::Wait(Rule::Stranger) }
}

/// It is a registered plate beyond doubt.
fn of_the_register(case: &Case<'_>, best: &Candidate<'_>, rules: &config::Gate, now: &Zoned) -> Verdict {
    let verdict = by_plate(best, case.register, rules, now);
    // Between two registered cars that both may come in, it does not matter which it is.
    if case.found.rivals().any(|rival| by_plate(rival, case.register, rules, now).is_open() != verdict.is_open()) {
        return Verdict::Wait(Rule::NearMiss);
    }
    // A car that has look-alikes has to show itself once more.
    if case.frames < rules.frames_to_open + u32::from(best.has_lookalike) {
        return Verdict::Wait(verdict.rule());
    }
    if verdict.is_open() && !case.is_live {
        let nothing_there = case.liveness.presence == Finding::Picture;
        return Verdict::Wait(if nothing_there { Rule::NothingThere } else { Rule::Photograph });
    }
    verdict
}

/// What holds for a plate: the car's standing; a pass for what has none, or stands badly.
fn by_plate(candidate: &Candidate<'_>, register: &Snapshot, rules: &config::Gate, now: &Zoned) -> Verdict {
    let car = candidate.vehicle.map(|vehicle| by_standing(vehicle, rules, now));
    match car {
        Some(verdict) if verdict.is_open() || verdict.rule() == Rule::Blocked => verdict,
        car => match (by_pass(candidate.plate, register, now), car) {
            (Some(pass), _) if pass.is_open() => pass,
            (_, Some(car)) => car,
            (Some(pass), None) => pass,
            // Its pass has just been taken back.
            (None, None) => Verdict::Wait(Rule::Stranger),
        },
    }
}

fn by_standing(vehicle: &Vehicle, rules: &config::Gate, now: &Zoned) -> Verdict {
    match vehicle.standing(now.date()) {
        Standing::Paid => Verdict::Open(Rule::Paid),
        Standing::Exempt => Verdict::Open(Rule::Exempt),
        Standing::Grace => Verdict::Open(Rule::Grace),
        Standing::Unpaid if rules.unpaid == Unpaid::Open => Verdict::Open(Rule::UnpaidOpen),
        Standing::Unpaid => Verdict::Refuse(Rule::Unpaid),
        Standing::Blocked => Verdict::Refuse(Rule::Blocked),
    }
}

/// What this plate's passes are worth together.
fn by_pass(plate: Plate, register: &Snapshot, now: &Zoned) -> Option<Verdict> {
    let worth = |pass: &LivePass| match pass.validity(now.timestamp()) {
        Validity::Good => Verdict::Open(Rule::Pass),
        Validity::UsedUp => Verdict::Refuse(Rule::PassUsed),
        Validity::TooEarly => Verdict::Refuse(Rule::PassEarly),
        Validity::Over => Verdict::Refuse(Rule::PassOver),
    };
    let rank = |verdict: &Verdict| match verdict.rule() {
        Rule::Pass => 3,
        Rule::PassUsed => 2,
        Rule::PassEarly => 1,
        _ => 0,
    };
    register.passes().iter().filter(|pass| pass.plate() == plate).map(worth).max_by_key(rank)
}

/// The pass that lets this plate in now.
pub fn good_pass<'a>(register: &'a Snapshot, plate: Plate, now: &Zoned) -> Option<&'a LivePass> {
    let good = |pass: &&LivePass| pass.plate() == plate && pass.validity(now.timestamp()) == Validity::Good;
    register.passes().iter().find(good)
}

/// Fire, rescue, police: white plates whose form is beyond doubt.
fn is_service(case: &Case<'_>, rules: &config::Gate) -> bool {
    let kind = case.found.read.kind(case.colour);
    let white = case.colour == Colour::White;
    let named = matches!(kind, Kind::Police | Kind::Emergency | Kind::ArmedPolice);
    named
        && white
        && rules.always_open.contains(&kind)
        && case.found.service >= SERVICE_SURE
        && case.found.confidence >= LEGIBLE
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
