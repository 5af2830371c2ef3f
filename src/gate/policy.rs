//! May this car come in now?
//!
//! In: a [`Match`], the compound's rules, today's date. Out: a [`Verdict`] with the one rule that decided. Every rule is a
//! line of [`decide`], in the order in which they apply.

use jiff::civil::Date;

use super::event::Rule;
use super::matching::Match;
use crate::config::{self, Unpaid};
use crate::plate::{Colour, Kind};
use crate::register::{Standing, Vehicle};

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
}

/// A reading less likely than this is called unreadable, not a stranger's.
const LEGIBLE: f64 = 0.5;
/// How sure the form of a service vehicle's plate must be.
const SERVICE_SURE: f64 = 0.999;

/// One car's evidence, as far as the rules need it.
#[derive(Debug)]
pub struct Case<'a> {
    /// Against the register.
    pub found: &'a Match<'a>,
    /// The ground colour.
    pub colour: Colour,
    /// Frames it was read in.
    pub frames: u32,
}

/// Applies the compound's rules.
pub fn decide(case: &Case<'_>, rules: &config::Gate, today: Date) -> Verdict {
    let Case { found, .. } = case;
    let enough = case.frames >= rules.frames_to_open;
    if found.is_sure(rules.false_open_one_in)
        && let Some(vehicle) = found.vehicle
    {
        let verdict = by_standing(vehicle, rules, today);
        // Between two registered cars that both may come in, it does not matter which it is.
        let agreed = found.rival.is_none_or(|rival| is_open(by_standing(rival, rules, today)) == is_open(verdict));
        return match (agreed, enough) {
            (true, true) => verdict,
            (true, false) => Verdict::Wait(verdict.rule()),
            (false, _) => Verdict::Wait(Rule::NearMiss),
        };
    }
    if is_service(case, rules) {
        return if enough { Verdict::Open(Rule::Service) } else { Verdict::Wait(Rule::Service) };
    }
    if found.confidence < LEGIBLE {
        return Verdict::Wait(Rule::Unreadable);
    }
    if found.is_neighbour() || found.vehicle.is_some_and(|v| v.plate == found.read) {
        return Verdict::Wait(Rule::NearMiss);
    }
    Verdict::Wait(Rule::Stranger)
}

fn by_standing(vehicle: &Vehicle, rules: &config::Gate, today: Date) -> Verdict {
    match vehicle.standing(today) {
        Standing::Paid => Verdict::Open(Rule::Paid),
        Standing::Exempt => Verdict::Open(Rule::Exempt),
        Standing::Grace => Verdict::Open(Rule::Grace),
        Standing::Unpaid if rules.unpaid == Unpaid::Open => Verdict::Open(Rule::UnpaidOpen),
        Standing::Unpaid => Verdict::Refuse(Rule::Unpaid),
        Standing::Blocked => Verdict::Refuse(Rule::Blocked),
    }
}

fn is_open(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Open(_))
}

/// Fire, rescue, police: white plates whose form is beyond doubt. A gate that keeps them out costs lives.
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
mod tests {
    use super::*;
    use crate::ledger::Fen;
    use crate::register::Dues;

    fn vehicle(plate: &str, change: impl FnOnce(&mut Vehicle)) -> Vehicle {
        let mut vehicle = Vehicle::new(plate.parse().unwrap(), "2-301").with(Dues::settled());
        change(&mut vehicle);
        vehicle
    }

    fn found(vehicle: &Vehicle, ratio: f64, margin: f64) -> Match<'_> {
        Match {
            vehicle: Some(vehicle),
            rival: None,
            ratio,
            margin,
            read: vehicle.plate,
            confidence: 0.95,
            service: 0.0,
        }
    }

    fn verdict(found: &Match<'_>, frames: u32, rules: &config::Gate) -> Verdict {
        let case = Case { found, colour: Colour::Blue, frames };
        decide(&case, rules, jiff::civil::date(2026, 11, 24))
    }

    #[test]
    fn each_standing_has_its_rule() {
        let rules = config::Gate::default();
        let today = jiff::civil::date(2026, 11, 24);
        let cases = [
            (vehicle("苏F12345", |_| ()), Verdict::Open(Rule::Paid)),
            (vehicle("苏F12345", |v| v.dues.paid = Fen::of(9_999)), Verdict::Refuse(Rule::Unpaid)),
            (vehicle("苏F12345", |v| v.dues = Dues::exempt()), Verdict::Open(Rule::Exempt)),
            (
                vehicle("苏F12345", |v| (v.dues, v.grace_until) = (Dues::default(), Some(today))),
                Verdict::Open(Rule::Grace),
            ),
            (
                vehicle("苏F12345", |v| (v.dues, v.grace_until) = (Dues::default(), today.yesterday().ok())),
                Verdict::Refuse(Rule::Unpaid),
            ),
            (vehicle("苏F12345", |v| v.blocked = true), Verdict::Refuse(Rule::Blocked)),
        ];
        for (vehicle, want) in cases {
            assert_eq!(verdict(&found(&vehicle, 1e6, 1e4), 3, &rules), want);
        }
    }

    #[test]
    fn the_compound_may_let_the_unpaid_in() {
        let rules = config::Gate { unpaid: Unpaid::Open, ..Default::default() };
        let vehicle = vehicle("苏F12345", |v| v.dues = Dues::default());
        assert_eq!(verdict(&found(&vehicle, 1e6, 1e4), 3, &rules), Verdict::Open(Rule::UnpaidOpen));
    }

    #[test]
    fn one_frame_or_a_thin_margin_or_a_small_ratio_waits() {
        let rules = config::Gate::default();
        let vehicle = vehicle("苏F12345", |_| ());
        assert!(!is_open(verdict(&found(&vehicle, 1e6, 1e4), 1, &rules)));
        assert!(!is_open(verdict(&found(&vehicle, 1e6, 2.0), 9, &rules)));
        assert!(!is_open(verdict(&found(&vehicle, 9_999.0, 1e4), 9, &rules)));
    }

    #[test]
    fn doubt_between_a_paid_and_an_unpaid_car_waits() {
        let rules = config::Gate::default();
        let (paid, unpaid) = (vehicle("苏F12345", |_| ()), vehicle("苏F12346", |v| v.dues = Dues::default()));
        let doubtful = Match { rival: Some(&unpaid), ..found(&paid, 1e6, 1e4) };
        assert_eq!(verdict(&doubtful, 5, &rules), Verdict::Wait(Rule::NearMiss));
    }

    #[test]
    fn a_white_emergency_plate_comes_in_and_a_blue_look_alike_does_not() {
        let rules = config::Gate::default();
        let read = "苏FX234应急".parse().unwrap();
        let found =
            |service| Match { vehicle: None, rival: None, ratio: 0.0, margin: 0.0, read, confidence: 0.9, service };
        let today = jiff::civil::date(2026, 11, 24);
        let case = |colour, service| decide(&Case { found: &found(service), colour, frames: 4 }, &rules, today);
        assert_eq!(case(Colour::White, 0.9999), Verdict::Open(Rule::Service));
        assert_eq!(case(Colour::Blue, 0.9999), Verdict::Wait(Rule::Stranger));
        assert_eq!(case(Colour::White, 0.9), Verdict::Wait(Rule::Stranger));
    }
}
