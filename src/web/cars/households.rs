//! Households: by building, and each with its cars.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use axum::{Extension, Router};
use serde::Deserialize;

use super::{household_order, standing_words};
use crate::register::{self, Change, Household};
use crate::web::refusal::{Answer, Refusal, page};
use crate::web::residents::Members;
use crate::web::sent::Sent;
use crate::web::visit::{Reader, Signed, Steward, Visit};
use crate::web::{Auth, Site, say_next};

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/households", get(list)).route("/households/{key}", get(show).post(change))
}

struct Line {
    key: String,
    unit: String,
    name: String,
    cars: usize,
}

#[derive(Template)]
#[template(path = "web/households.html")]
struct HouseholdsPage<'a> {
    v: &'a Visit,
    buildings: BTreeMap<u16, Vec<Line>>,
}

async fn list(State(site): State<Arc<Site>>, v: Signed<Reader>) -> Answer {
    let snapshot = site.gate.register.snapshot();
    let mut cars: BTreeMap<&str, usize> = BTreeMap::new();
    for car in snapshot.vehicles() {
        *cars.entry(&car.household).or_default() += 1;
    }
    let households = site.gate.register.households();
    let mut households: Vec<&Household> = households.iter().collect();
    households.sort_by_cached_key(|h| {
        let key = h.key();
        let (building, unit, _) = household_order(&key);
        (building, unit, key)
    });
    let mut buildings: BTreeMap<u16, Vec<Line>> = BTreeMap::new();
    for h in households {
        let key = h.key();
        let count = cars.get(key.as_str()).copied().unwrap_or_default();
        buildings.entry(h.building).or_default().push(Line {
            key,
            unit: h.unit.clone(),
            name: h.name.clone(),
            cars: count,
        });
    }
    page(&HouseholdsPage { v: &v, buildings })
}

#[derive(Template)]
#[template(path = "web/household.html")]
struct HouseholdPage<'a> {
    v: &'a Visit,
    household: &'a Household,
    cars: Vec<(String, String, &'static str)>,
    members: Members,
}

fn find(site: &Site, key: &str) -> Result<Household, Refusal> {
    site.gate.register.household(key)?.ok_or(Refusal::NotFound)
}

async fn show(State(site): State<Arc<Site>>, v: Signed<Reader>, Path(key): Path<String>) -> Answer {
    let household = find(&site, &key)?;
    let today = register::today();
    let snapshot = site.gate.register.snapshot();
    let mine = snapshot.vehicles().iter().filter(|c| c.household == key);
    let cars = mine.map(|c| {
        let (word, class) = standing_words(c.standing(today));
        (c.plate.to_string(), v.t(word), class)
    });
    let members = Members::of(&site, &key)?;
    page(&HouseholdPage { v: &v, household: &household, cars: cars.collect(), members })
}

#[derive(Deserialize)]
struct Contact {
    #[serde(default)]
    name: String,
    #[serde(default)]
    phone: String,
}

async fn change(
    State(site): State<Arc<Site>>,
    v: Signed<Steward>,
    Path(key): Path<String>,
    Extension(auth): Extension<Auth>,
    Sent(sent): Sent<Contact>,
) -> Answer {
    let (name, phone) = (sent.name.trim(), sent.phone.trim());
    if name.chars().count() > 40 || phone.chars().count() > 40 {
        return Err(Refusal::bad("姓名或电话太长", "the name or telephone is too long"));
    }
    {
        let _changing = site.register_lock.lock();
        let household = Household {
            name: name.to_owned(),
            phone: Some(phone).filter(|p| !p.is_empty()).map(str::to_owned),
            ..find(&site, &key)?
        };
        site.gate.register.apply(v.name(), &[Change::Household(household)])?;
        site.accounts.audit.add_of(v.name(), "修改住户", &key, "", Some(v.from))?;
    }
    say_next(&auth, v.t("已保存")).await;
    Ok(Redirect::to(&format!("/households/{key}")).into_response())
}
