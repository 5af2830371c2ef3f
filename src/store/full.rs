//! A full journal, to be looked at: 5,000 cars and a million arrivals. By hand:
//! `PLATEGATE_FILL=/some/folder cargo test --lib full -- --ignored --nocapture`, then `plategate run --data /some/folder`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

use super::Store;
use super::events::Events;
use super::index::Query;
use crate::gate::event::{Event, Outcome, PulseReport, Rule, VehicleRef};
use crate::plate::Plate;
use crate::register::{Change, Household, Register, Standing, Vehicle};

fn plate(n: u32) -> Plate {
    format!("苏F{:05}", n % 100_000).parse().expect("five digits are a plate")
}

#[test]
#[ignore = "by hand: it writes a gigabyte"]
fn fill_and_look() {
    let folder = PathBuf::from(std::env::var("PLATEGATE_FILL").expect("PLATEGATE_FILL names an empty folder"));
    let store = Arc::new(Store::open(&folder).unwrap());
    let register = Register::open(store.clone()).unwrap();
    let mut changes = Vec::new();
    for n in 0..5_000 {
        let (building, unit, name) = ((n / 250 + 1) as u16, format!("{}", n % 250 + 101), format!("住户{n}"));
        let household = Household { building, unit, name, phone: None };
        changes.push(Change::Vehicle(Vehicle::new(plate(n), &household.key())));
        changes.push(Change::Household(household));
    }
    register.apply("fill", &changes).unwrap();
    let events = Events::open(store.clone()).unwrap();
    let begun = Timestamp::now() - SignedDuration::from_hours(24 * 364);
    let filling = Instant::now();
    for n in 0..1_000_000u32 {
        let at = begun + SignedDuration::from_secs(i64::from(n) * 31);
        let known = n % 3 != 0;
        let plate = plate(if known { n % 5_000 } else { 5_000 + n * 7 % 90_000 });
        let household = format!("{}-{}", n % 5_000 / 250 + 1, n % 250 + 101);
        let vehicle = known.then_some(VehicleRef { plate, household, standing: Standing::Paid });
        let (outcome, rule) = if known { (Outcome::Opened, Rule::Paid) } else { (Outcome::Refused, Rule::Stranger) };
        let pulse = known.then_some(PulseReport::Pressed { after_ms: f64::from(n % 300) });
        let (plate, text) = (Some(plate), plate.to_string());
        events.fill(Event { outcome, rule, plate, text, vehicle, pulse, ..Event::blank("gate", at) }).unwrap();
    }
    store.commit().unwrap();
    println!("filled in {:.0} s", filling.elapsed().as_secs_f64());
    let day = Some((begun + SignedDuration::from_hours(24 * 100)).to_zoned(jiff::tz::TimeZone::system()).date());
    for query in [
        Query::default(),
        Query { day, ..Query::default() },
        Query { plate: Some("苏F04321".into()), ..Query::default() },
        Query { plate: Some("99".into()), ..Query::default() },
        Query { outcome: Some(Outcome::Failed), ..Query::default() },
        Query { day, outcome: Some(Outcome::Refused), ..Query::default() },
    ] {
        let looked = Instant::now();
        let found = events.find(&query, 51).unwrap().len();
        println!("{:6.1} ms, {found} of {query:?}", looked.elapsed().as_secs_f64() * 1e3);
    }
}
