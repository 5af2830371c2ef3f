//! A full journal, to be looked at: 5,000 cars, a million arrivals, 2,000 passes and a book of 100,000 entries. By hand:
//! `PLATEGATE_FILL=/some/folder cargo test --lib full -- --ignored --nocapture`, then
//! `PLATEGATE_FILL=/some/folder cargo test --test full -- --ignored --nocapture`, which asks for every page.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

use super::Store;
use super::events::Events;
use super::index::Query;
use crate::gate::event::{Event, Outcome, PulseReport, Rule, VehicleRef};
use crate::ledger::{Account, Campaign, Draft, Exemption, Fen, Purpose, Tariff, What, Who};
use crate::plate::Plate;
use crate::register::{Change, Household, Pass, Register, Standing, Vehicle, today};

fn plate(n: u32) -> Plate {
    format!("苏F{:05}", n % 100_000).parse().expect("five digits are a plate")
}

fn household(n: u32) -> String {
    format!("{}-{}", n / 250 + 1, n % 250 + 101)
}

/// Most passes are over.
fn pass(id: u64) -> Pass {
    let n = id as u32;
    let from = Timestamp::now() - SignedDuration::from_hours(i64::from(n));
    Pass {
        id,
        plate: plate(90_000 + n),
        from,
        to: from + SignedDuration::from_hours(24),
        entries: Some(2),
        used: n % 3,
        household: household(n % 5_000),
        note: "外婆".into(),
        given_by: "fill".into(),
    }
}

/// A share and eighteen fees of each car, and what was spent of it.
fn fill_book(register: &Register) {
    let filling = Instant::now();
    let day = |ago: i32| today().checked_sub(jiff::Span::new().days(ago)).unwrap();
    let campaign =
        Campaign { name: "barrier".into(), title: "道闸".into(), goal: Fen::yuan(500_000), share: Fen::yuan(100) };
    let tariff = Tariff { from: day(400), yearly: Fen::yuan(366), grace_days: 30, vote: None };
    let mut drafts = vec![
        Draft::now("fill", What::Campaign(campaign)).on(day(400)),
        Draft::now("fill", What::Tariff(tariff)).on(day(400)),
    ];
    for n in 0..60 {
        let (who, reason) = (Who::Household(household(n * 80)), "医生".into());
        let exemption = Exemption { who, from: day(300), until: None, vote: None, reason };
        drafts.push(Draft::now("fill", What::Exemption(exemption)).on(day(300)));
    }
    for n in 0..5_000 {
        let (campaign, into) = ("barrier".to_owned(), Account::Cash(format!("管家{}", n % 20)));
        let what = What::Contribution {
            campaign,
            plate: Some(plate(n)),
            household: household(n),
            amount: Fen::yuan(100),
            into,
        };
        drafts.push(Draft::now("fill", what).on(day(390)));
    }
    for term in 0..18 {
        for n in 0..5_000 {
            let (from, until) = (day(360 - 20 * term), day(341 - 20 * term));
            let (plate, household, into) = (plate(n), household(n), Account::Bank);
            let what = What::Fee { plate, household, from, until, amount: Fen::yuan(20), into };
            drafts.push(Draft::now("fill", what).on(from).once(&format!("{term} {n}")));
        }
        for n in 0..300 {
            let (title, payee, out_of) = (format!("换灯 {n}，给 {}", plate(n)), "张师傅".into(), Account::Bank);
            let purpose = Purpose::ALL[n as usize % 4];
            let what = What::Spending { purpose, title, payee, amount: Fen::yuan(9), out_of, receipt: None };
            drafts.push(Draft::now("fill", what).on(day(360 - 20 * term)));
        }
    }
    for some in drafts.chunks(5_000) {
        register.enter(some).unwrap();
    }
    println!("{} entries in {:.0} s", drafts.len(), filling.elapsed().as_secs_f64());
    let one = Instant::now();
    let gift = What::Contribution {
        campaign: "barrier".into(),
        plate: None,
        household: household(1),
        amount: Fen::yuan(1),
        into: Account::Bank,
    };
    register.enter(&[Draft::now("fill", gift)]).unwrap();
    println!("{:6.1} ms for one more", one.elapsed().as_secs_f64() * 1e3);
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
    changes.extend((1..=2_000).map(|id| Change::Pass(pass(id))));
    register.apply("fill", &changes).unwrap();
    fill_book(&register);
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
