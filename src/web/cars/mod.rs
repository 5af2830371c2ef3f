//! Cars and households: finding, adding, changing, retiring; tables in and out.

mod edit;
mod exchange;
mod hints;
mod households;

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::routing::get;
use serde::Deserialize;

use super::Site;
use super::refusal::{Answer, page};
use super::visit::{Reader, Signed, Visit};
use crate::register::{self, Household, Standing, Vehicle};

pub(super) use edit::{Car, address as car_address, provinces, retire, save};
pub(super) use exchange::{Pending, attachment};

/// The routes.
pub fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/cars", get(list))
        .merge(edit::routes())
        .merge(hints::routes())
        .merge(households::routes())
        .merge(exchange::routes())
}

/// How a car stands, in Chinese (the page translates), and its colour's class.
pub(super) fn standing_words(standing: Standing) -> (&'static str, &'static str) {
    match standing {
        Standing::Paid => ("已缴费", "good"),
        Standing::Exempt => ("免缴", "good"),
        Standing::Grace => ("宽限期内", "warn"),
        Standing::Unpaid => ("未缴费", "warn"),
        Standing::Blocked => ("已停用", "bad"),
    }
}

/// Orders flats as people do: building, then the unit's number.
pub(super) fn household_order(key: &str) -> (u32, u32, &str) {
    let (building, unit) = key.split_once('-').unwrap_or(("", key));
    let digits: String = unit.chars().take_while(char::is_ascii_digit).collect();
    (building.parse().unwrap_or(u32::MAX), digits.parse().unwrap_or(u32::MAX), key)
}

/// Entries of a list on one page.
pub(super) const PAGE: usize = 50;

/// A page of a longer list.
pub(super) struct Pages {
    /// From 1.
    pub page: usize,
    /// How many there are.
    pub pages: usize,
    /// Entries altogether.
    pub total: usize,
    /// What was asked for, ready to stand in an address before `page=`.
    pub query: String,
}

impl Pages {
    pub(super) fn new(page: Option<usize>, total: usize, query: String) -> Pages {
        let pages = total.div_ceil(PAGE).max(1);
        Pages { page: page.unwrap_or(1).clamp(1, pages), pages, total, query }
    }

    pub(super) fn range(&self) -> std::ops::Range<usize> {
        let from = (self.page - 1) * PAGE;
        from..(from + PAGE).min(self.total)
    }
}

#[derive(Deserialize)]
struct Find {
    #[serde(default)]
    q: String,
    building: Option<String>,
    standing: Option<String>,
    page: Option<usize>,
}

struct Line {
    plate: String,
    household: String,
    name: String,
    standing: String,
    class: &'static str,
    note: String,
}

#[derive(Template)]
#[template(path = "web/cars.html")]
struct CarsPage<'a> {
    v: &'a Visit,
    find: &'a Find,
    buildings: Vec<(u16, bool)>,
    lines: Vec<Line>,
    pages: Pages,
    registered: usize,
}

async fn list(State(site): State<Arc<Site>>, v: Signed<Reader>, Query(find): Query<Find>) -> Answer {
    let snapshot = site.gate.register.snapshot();
    let households = site.gate.register.households();
    let households: HashMap<String, &Household> = households.iter().map(|h| (h.key(), h)).collect();
    let today = register::today();
    let mut buildings: Vec<u16> = households.values().map(|h| h.building).collect();
    buildings.sort_unstable();
    buildings.dedup();
    let building: Option<u16> = find.building.as_deref().and_then(|b| b.parse().ok());
    let wanted = |car: &&Vehicle| {
        let household = households.get(&car.household).copied();
        let here = building.is_none_or(|b| car.household.strip_prefix(&format!("{b}-")).is_some());
        let unpaid = find.standing.as_deref() != Some("unpaid") || car.standing(today) == Standing::Unpaid;
        here && unpaid && is_found(car, household, &find.q)
    };
    let mut cars: Vec<&Vehicle> = snapshot.vehicles().iter().filter(wanted).collect();
    cars.sort_by_cached_key(|c| (household_order(&c.household), c.plate));
    let query = serde_html_form::to_string([
        ("q", find.q.as_str()),
        ("building", find.building.as_deref().unwrap_or_default()),
        ("standing", find.standing.as_deref().unwrap_or_default()),
    ])
    .unwrap_or_default();
    let pages = Pages::new(find.page, cars.len(), query);
    let line = |car: &&Vehicle| {
        let (standing, class) = standing_words(car.standing(today));
        Line {
            plate: car.plate.to_string(),
            household: car.household.clone(),
            name: households.get(&car.household).map(|h| h.name.clone()).unwrap_or_default(),
            standing: v.t(standing),
            class,
            note: car.note.clone(),
        }
    };
    let lines = cars[pages.range()].iter().map(line).collect();
    let buildings = buildings.into_iter().map(|b| (b, Some(b) == building)).collect();
    page(&CarsPage { v: &v, find: &find, buildings, lines, pages, registered: snapshot.vehicles().len() })
}

/// Does the car answer to what was typed: part of a plate, of a flat, or of a name?
fn is_found(car: &Vehicle, household: Option<&Household>, typed: &str) -> bool {
    let typed: String = typed.chars().map(crate::text::narrow).filter(|c| !c.is_whitespace() && *c != '·').collect();
    let typed = typed.to_uppercase();
    let named =
        |h: &Household| h.name.to_uppercase().contains(&typed) || h.phone.as_ref().is_some_and(|p| p.contains(&typed));
    typed.is_empty()
        || car.plate.to_string().contains(&typed)
        || car.household.to_uppercase().contains(&typed)
        || household.is_some_and(named)
        || car.note.to_uppercase().contains(&typed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_car_is_found_by_what_people_know_of_it() {
        let car = Vehicle::new("苏F12345".parse().unwrap(), "2-301");
        let household =
            Household { building: 2, unit: "301".into(), name: "王伟".into(), phone: Some("138123".into()) };
        for typed in ["", "f123", "345", "苏f·12345", "２-301", "王", " 8123 "] {
            assert!(is_found(&car, Some(&household), typed), "{typed}");
        }
        for typed in ["999", "李", "3-301"] {
            assert!(!is_found(&car, Some(&household), typed), "{typed}");
        }
    }

    #[test]
    fn flats_are_ordered_as_people_do() {
        let mut keys = ["10-101", "2-1001", "2-301", "1-B1"];
        keys.sort_by_key(|k| household_order(k));
        assert_eq!(keys, ["1-B1", "2-301", "2-1001", "10-101"]);
    }
}
