//! Whom to remind before something runs out: a fee, days of grace, an exemption.

use std::collections::HashMap;

use jiff::ToSpan;
use jiff::civil::Date;
use serde::Serialize;

use super::{Household, Snapshot, Stand, Standing, Vehicle};
use crate::plate::Plate;

/// One reminder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reminder {
    /// The car.
    pub plate: Plate,
    /// Its household's key.
    pub household: String,
    /// The contact's name.
    pub name: String,
    /// The contact's telephone number.
    pub phone: Option<String>,
    /// How it stands.
    #[serde(flatten)]
    pub stand: Stand,
    /// Days until the last day; 0 is today.
    pub days_left: i32,
}

/// The cars whose paid term, grace or exemption ends within so many days, each with how it stands and that last day.
fn ending(snapshot: &Snapshot, today: Date, days: u16) -> impl Iterator<Item = (&Vehicle, Stand, Date)> {
    let horizon = today.checked_add(i64::from(days).days()).unwrap_or(Date::MAX);
    snapshot.vehicles().iter().filter_map(move |vehicle| {
        let stand = vehicle.stand(today);
        let until = stand.until.filter(|until| *until <= horizon)?;
        let good = matches!(stand.standing, Standing::Paid | Standing::Grace | Standing::Exempt);
        good.then_some((vehicle, stand, until))
    })
}

/// How many there are to remind.
pub fn count(snapshot: &Snapshot, today: Date, days: u16) -> usize {
    ending(snapshot, today, days).count()
}

/// The cars whose paid term, grace or exemption ends within so many days, the most urgent first.
pub fn reminders(snapshot: &Snapshot, households: &[Household], today: Date, days: u16) -> Vec<Reminder> {
    let by_key: HashMap<String, &Household> = households.iter().map(|h| (h.key(), h)).collect();
    let due = ending(snapshot, today, days).map(|(vehicle, stand, until)| {
        let household = by_key.get(&vehicle.household);
        Reminder {
            plate: vehicle.plate,
            household: vehicle.household.clone(),
            name: household.map(|h| h.name.clone()).unwrap_or_default(),
            phone: household.and_then(|h| h.phone.clone()),
            stand,
            days_left: until.since(today).map_or(0, |span| span.get_days()),
        }
    });
    let mut due: Vec<Reminder> = due.collect();
    due.sort_by_key(|r| (r.days_left, r.plate));
    due
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Fen, Tariff};
    use crate::register::{Dues, Vehicle};
    use jiff::civil::date;
    use std::sync::Arc;

    #[test]
    fn the_most_urgent_comes_first_and_the_settled_do_not_come() {
        let today = date(2026, 11, 25);
        let tariff = Tariff { from: date(2025, 1, 1), yearly: Fen::yuan(30), grace_days: 30, vote: None };
        let tariffs: Arc<[Tariff]> = Arc::from([tariff]);
        let car = |plate: &str, until: Date| {
            let terms = vec![(date(2025, 6, 1), until)];
            Vehicle::new(plate.parse().unwrap(), "2-301").with(Dues {
                terms,
                tariffs: tariffs.clone(),
                ..Dues::settled()
            })
        };
        let snapshot = Snapshot::new(vec![
            car("苏F11111", date(2026, 12, 21)),
            car("苏F22222", date(2026, 11, 20)),
            car("苏F33333", date(2027, 5, 1)),
            car("苏F44444", date(2026, 11, 25)),
            car("苏F55555", date(2026, 1, 1)),
        ]);
        let household = Household { building: 2, unit: "301".into(), name: "王伟".into(), phone: None };
        let told = reminders(&snapshot, &[household], today, 30);
        let told: Vec<_> = told.iter().map(|r| (r.plate.to_string(), r.stand.standing, r.days_left)).collect();
        assert_eq!(
            told,
            [
                ("苏F44444".into(), Standing::Paid, 0),
                ("苏F22222".into(), Standing::Grace, 25),
                ("苏F11111".into(), Standing::Paid, 26)
            ]
        );
    }
}
