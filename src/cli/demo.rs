//! The demo: what drives up to the painted lane, and whether each got the right answer.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::accounts::{Accounts, Role, code};
use crate::camera::rendered::{ArmUp, Arrival, Script};
use crate::gate::event::{Event, Outcome, Rule};
use crate::plate::{Colour, Plate};
use crate::register::Register;
use crate::register::demo::{NEAR_MISS, PAID, PAID_GREEN, STEWARDS, STRANGER, TREASURER, UNPAID};
use crate::web::words;

/// The cars of `--once`: plate, colour, by night, and what must happen to each.
const ONCE: [(&str, Colour, bool, Outcome, Rule); 5] = [
    (PAID, Colour::Blue, false, Outcome::Opened, Rule::Paid),
    (UNPAID, Colour::Blue, false, Outcome::Refused, Rule::Unpaid),
    (STRANGER, Colour::Blue, false, Outcome::Refused, Rule::Stranger),
    (NEAR_MISS, Colour::Blue, false, Outcome::Refused, Rule::NearMiss),
    (PAID_GREEN, Colour::Green, true, Outcome::Opened, Rule::Paid),
];

/// What the painted lane shows: the cars of [`ONCE`], or cars of the register and strangers without end.
pub fn script(once: bool, register: &Register, arm_up: ArmUp) -> Script {
    let car = |plate: &str, colour, night| {
        let plate = plate.parse().expect("the demo's plates are well-formed");
        Arrival { plate, colour, night, hold: Duration::from_millis(3500) }
    };
    let mut cars: Vec<Arrival> = ONCE.iter().map(|&(plate, colour, night, ..)| car(plate, colour, night)).collect();
    if once {
        return Script::once(cars, arm_up);
    }
    for (n, vehicle) in register.snapshot().vehicles().iter().enumerate().filter(|(n, _)| n % 9 == 4) {
        let colour = if vehicle.plate.chars().count() == 8 { Colour::Green } else { Colour::Blue };
        cars.push(car(&vehicle.plate.to_string(), colour, n % 4 == 0));
    }
    Script::forever(cars, arm_up)
}

/// People who may sign in to the demo's page, with passwords made anew at each start: one who runs everything, one of each
/// role, and a resident of a household that has paid.
pub fn sign_in(accounts: &Accounts, register: &Register) -> anyhow::Result<String> {
    let password = code::for_people();
    let everything: &[Role] = &[Role::Steward, Role::Treasurer, Role::Maintainer];
    for (name, roles) in std::iter::once((NAME, everything)).chain(people()) {
        if accounts.user(name)?.is_some() {
            accounts.set_password(name, &password)?;
        } else {
            accounts.add(name, &password, roles)?;
        }
    }
    let mut told = format!("Sign in as {NAME} with the password {password}");
    let others: Vec<String> = people().map(|(name, roles)| format!("{name} ({})", roles[0].word())).collect();
    told += &format!("\nOr, with the same password, as {}", others.join(", "));
    if let Some((household, name, password)) = resident(accounts, register)? {
        told += &format!("\nOr as {name}, a resident of {household}, with the password {password}");
    }
    Ok(told)
}

/// The contact of the household whose car is paid, let in by an invitation as a steward would.
fn resident(accounts: &Accounts, register: &Register) -> anyhow::Result<Option<(String, String, String)>> {
    let plate: Plate = PAID.parse().expect("the demo's plates are well-formed");
    let snapshot = register.snapshot();
    let Some(key) = snapshot.get(&plate).map(|car| car.household.clone()) else { return Ok(None) };
    let Some(name) = register.household(&key)?.map(|household| household.name) else {
        return Ok(None);
    };
    let password = code::for_people();
    if accounts.residents(&key)?.iter().any(|user| user.name == name) {
        accounts.readmit(&key, &name, &password)?;
    } else {
        let (_, invitation) = accounts.invitations.make(&key, NAME, 1)?;
        accounts.join(&invitation, &name, &password)?;
    }
    Ok(Some((key, name, password)))
}

/// The name of the demo's person who may do everything.
const NAME: &str = "demo";

/// Those who keep the demo's book, and one who may only look: to see what each role sees, and to hand cash over.
fn people() -> impl Iterator<Item = (&'static str, &'static [Role])> {
    const AUDITOR: &str = "周敏";
    let steward: (_, &[Role]) = (STEWARDS[0], &[Role::Steward]);
    [steward, (TREASURER, &[Role::Treasurer]), (AUDITOR, &[Role::Auditor])].into_iter()
}

/// A new data folder for one run, so that an earlier run's register does not change the answers.
pub fn fresh_folder() -> PathBuf {
    std::env::temp_dir().join(format!("plategate-demo-{}", std::process::id()))
}

/// Compares what was recorded with what should have happened, car by car.
pub fn judge(events: &[Event]) -> ExitCode {
    let mut faults = 0;
    for (plate, _, night, outcome, rule) in ONCE {
        let wanted: Plate = plate.parse().expect("the demo's plates are well-formed");
        let of_this_car: Vec<&Event> = events.iter().filter(|e| e.plate == Some(wanted)).collect();
        let right = matches!(of_this_car.as_slice(), [e] if e.outcome == outcome && e.rule == rule);
        let time = if night { "by night" } else { "by day" };
        let got: Vec<String> =
            of_this_car.iter().map(|e| format!("{}: {}", words::outcome(e.outcome), words::rule(e.rule))).collect();
        let got = if got.is_empty() { "nothing recorded".to_owned() } else { got.join(", then ") };
        println!("{} {plate} {time}: {got}", if right { "right" } else { "WRONG" });
        faults += u32::from(!right);
    }
    let others = events.iter().filter(|e| ONCE.iter().all(|(plate, ..)| e.plate != plate.parse().ok())).count();
    if others > 0 {
        println!("WRONG {others} arrivals of cars that did not come");
    }
    let _ = std::fs::remove_dir_all(fresh_folder());
    ExitCode::from(u8::from(faults > 0 || others > 0))
}
