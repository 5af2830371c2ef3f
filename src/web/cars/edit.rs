//! One car: adding, changing, retiring it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use axum::{Extension, Router};
use jiff::civil::Date;
use serde::Deserialize;

use super::hints::Hint;
use super::standing_words;
use crate::accounts::code;
use crate::ledger::{Draft, What};
use crate::plate::{PROVINCES, Plate, PlateError};
use crate::register::{self, Change, Household, Vehicle};
use crate::store::events::Events;
use crate::web::book::words::book_error;
use crate::web::refusal::{self, Answer, Refusal, page};
use crate::web::sent::Sent;
use crate::web::visit::{Reader, Signed, Steward, Visit};
use crate::web::{Auth, Site, say_next};

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/cars/new", get(blank).post(add))
        .route("/cars/{plate}", get(show).post(change))
        .route("/cars/{plate}/retire", post(retire_car))
}

/// A car as a form or a program gives it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Car {
    /// The plate, as typed.
    #[serde(default)]
    pub plate: String,
    /// The building's number.
    #[serde(default)]
    pub building: String,
    /// The flat.
    #[serde(default)]
    pub unit: String,
    /// The contact; empty keeps what is known.
    #[serde(default)]
    pub name: String,
    /// A telephone; empty keeps what is known.
    #[serde(default)]
    pub phone: String,
    /// Not to be let in.
    pub blocked: Option<String>,
    /// Let in without payment until; empty for not at all.
    #[serde(default)]
    pub grace_until: String,
    /// A remark.
    #[serde(default)]
    pub note: String,
    /// The record that was shown, so that two people do not undo each other's work.
    #[serde(default)]
    pub shown: String,
    /// It looks like another one, and that is known.
    pub sure: Option<String>,
}

/// What cannot be, in both languages.
type Wrong = (String, String);

fn wrong(zh: &str, en: &str) -> Wrong {
    (zh.to_owned(), en.to_owned())
}

impl Car {
    fn of(vehicle: &Vehicle, household: Option<&Household>) -> Car {
        let (building, unit) = vehicle.household.split_once('-').unwrap_or(("", &vehicle.household));
        let tick = |on: bool| on.then(|| "on".to_owned());
        Car {
            plate: vehicle.plate.to_string(),
            building: building.to_owned(),
            unit: unit.to_owned(),
            name: household.map(|h| h.name.clone()).unwrap_or_default(),
            phone: household.and_then(|h| h.phone.clone()).unwrap_or_default(),
            blocked: tick(vehicle.blocked),
            grace_until: vehicle.grace_until.map(|d| d.to_string()).unwrap_or_default(),
            note: vehicle.note.clone(),
            shown: fingerprint(vehicle),
            sure: None,
        }
    }

    fn parse(&self) -> Result<(Plate, Household, Option<Date>), Wrong> {
        let plate: Plate = self.plate.parse().map_err(|e: PlateError| (e.zh().to_owned(), e.to_string()))?;
        let building: u16 = narrow(&self.building)
            .parse()
            .ok()
            .filter(|b| *b > 0)
            .ok_or_else(|| wrong("楼栋应为数字，如 2", "building: a number from 1 is expected"))?;
        let unit = narrow(&self.unit);
        let fits = |c: char| c.is_alphanumeric() || c == '-';
        if unit.is_empty() || unit.chars().count() > 16 || !unit.chars().all(fits) {
            return Err(wrong("房号应为数字或字母，如 301", "unit: a flat's number is expected, such as 301"));
        }
        if self.name.chars().count() > 40 || self.phone.chars().count() > 40 || self.note.chars().count() > 200 {
            return Err(wrong("姓名、电话或备注太长", "the name, telephone or remark is too long"));
        }
        let grace = match self.grace_until.trim() {
            "" => None,
            text => {
                Some(text.parse().map_err(|_| wrong("宽限日期应如 2026-12-31", "grace: a day such as 2026-12-31"))?)
            }
        };
        let phone = Some(self.phone.trim()).filter(|p| !p.is_empty()).map(str::to_owned);
        Ok((plate, Household { building, unit, name: self.name.trim().to_owned(), phone }, grace))
    }
}

fn narrow(text: &str) -> String {
    text.trim().chars().map(crate::text::narrow).collect()
}

/// Stands for a record as it was shown.
fn fingerprint(vehicle: &Vehicle) -> String {
    code::fingerprint(&serde_json::to_string(vehicle).unwrap_or_default())[..16].to_owned()
}

/// Writes the car and its household, with a line of the audit log. `old` is the plate of the car that is changed.
pub fn save(site: &Site, v: &Visit, car: &Car, old: Option<Plate>) -> Result<Plate, Wrong> {
    let (plate, mut household, grace_until) = car.parse()?;
    let failed = |error: crate::store::StoreError| {
        tracing::error!(%error, "a car could not be saved");
        wrong("没有保存：磁盘写不进去", "not saved: the disk refuses")
    };
    let _changing = site.register_lock.lock();
    let snapshot = site.gate.register.snapshot();
    let before = old.and_then(|p| snapshot.get(&p));
    if old.is_some() && before.is_none_or(|b| !car.shown.is_empty() && fingerprint(b) != car.shown) {
        return Err(wrong(
            "这辆车刚被别人改过，请重新打开再改",
            "somebody else has just changed this car: open it again",
        ));
    }
    if old != Some(plate)
        && let Some(taken) = snapshot.get(&plate)
    {
        let (zh, en) = ("已经登记在", "is registered already, for");
        return Err((format!("{plate} {zh} {}", taken.household), format!("{plate} {en} {}", taken.household)));
    }
    let known = site.gate.register.household(&household.key()).map_err(failed)?;
    if let Some(known) = known {
        // An empty field of the form means "as it was": the household has a page of its own.
        household.name = if household.name.is_empty() { known.name } else { household.name };
        household.phone = household.phone.or(known.phone);
    }
    let vehicle = Vehicle {
        plate,
        household: household.key(),
        blocked: car.blocked.is_some(),
        grace_until,
        note: car.note.trim().to_owned(),
        ..before.cloned().unwrap_or_else(|| Vehicle::new(plate, &household.key()))
    };
    let mut changes = vec![Change::Household(household), Change::Vehicle(vehicle)];
    changes.extend(old.filter(|p| *p != plate).map(Change::Remove));
    // What the book says of the old plate holds for the new one: the household drives another car.
    let moved = old.filter(|p| *p != plate && site.gate.register.ledger().book().knows(p));
    let drafts: Vec<Draft> =
        moved.map(|old| Draft::now(v.name(), What::NewPlate { old, new: plate })).into_iter().collect();
    let entered = site.gate.register.apply_and_enter(v.name(), &changes, &drafts).map_err(|error| {
        tracing::error!(%error, "a car could not be saved");
        book_error(&error)
    })?;
    let (what, car) = match old {
        None => ("登记车辆", plate.to_string()),
        Some(old) if old == plate => ("修改车辆", plate.to_string()),
        Some(old) => ("换车牌", format!("{old} → {plate}")),
    };
    let entry = entered.first().map(|sealed| format!(" #{}", sealed.entry.number)).unwrap_or_default();
    site.accounts.audit.add_of(v.name(), what, &car, &entry, Some(v.from)).map_err(failed)?;
    Ok(plate)
}

/// Takes a car out of the register; `false` if it is not in it.
pub fn retire(site: &Site, v: &Visit, plate: Plate) -> Result<bool, crate::store::StoreError> {
    let _changing = site.register_lock.lock();
    if site.gate.register.snapshot().get(&plate).is_none() {
        return Ok(false);
    }
    site.gate.register.apply(v.name(), &[Change::Remove(plate)])?;
    site.accounts.audit.add_of(v.name(), "注销车辆", &plate.to_string(), "", Some(v.from))?;
    Ok(true)
}

#[derive(Template)]
#[template(path = "web/car.html")]
struct CarPage<'a> {
    v: &'a Visit,
    /// The car that is changed; none for a new one.
    old: Option<Plate>,
    car: &'a Car,
    standing: Option<(String, &'static str)>,
    hint: Hint,
    wrong: Option<String>,
    just_stood: Vec<(String, String)>,
    provinces: String,
}

impl<'a> CarPage<'a> {
    fn new(site: &Site, v: &'a Visit, car: &'a Car, old: Option<Plate>) -> Result<CarPage<'a>, Refusal> {
        let snapshot = site.gate.register.snapshot();
        let standing = old.and_then(|p| snapshot.get(&p)).map(|c| standing_words(c.standing(register::today())));
        let mut hint = Hint::of(&car.plate, &snapshot, v);
        if old.is_some() {
            hint.known = None;
        }
        let just_stood = if old.is_none() { just_stood(&site.gate.events, &snapshot, v)? } else { Vec::new() };
        let provinces = provinces(site);
        let standing = standing.map(|(word, class)| (v.t(word), class));
        Ok(CarPage { v, old, car, standing, hint, wrong: None, just_stood, provinces })
    }
}

/// The provinces in the order of the pad: the gate's own first.
pub(in crate::web) fn provinces(site: &Site) -> String {
    let home = site.gate.config.gate.home_province;
    std::iter::once(&home).chain(PROVINCES.iter().filter(|p| **p != home)).collect()
}

/// How far back the cars go that "just stood there".
const LOOKED_THROUGH: usize = 60;

/// Cars that were not let in lately and are in nobody's name: plate and time.
fn just_stood(
    events: &Events,
    snapshot: &register::Snapshot,
    v: &Visit,
) -> Result<Vec<(String, String)>, crate::store::StoreError> {
    let mut out: Vec<(String, String)> = Vec::new();
    for event in events.newest(LOOKED_THROUGH, None)? {
        let Some(plate) = event.plate.filter(|p| snapshot.get(p).is_none()) else { continue };
        let text = plate.to_string();
        if out.len() < 6 && !out.iter().any(|(p, _)| *p == text) {
            out.push((text, v.short_time(&event.at)));
        }
    }
    Ok(out)
}

async fn blank(State(site): State<Arc<Site>>, v: Signed<Steward>, Query(car): Query<Car>) -> Answer {
    page(&CarPage::new(&site, &v, &car, None)?)
}

fn again(site: &Site, v: &Visit, car: &Car, old: Option<Plate>, (zh, en): &Wrong) -> Answer {
    let wrong = Some(v.say(zh, en).to_owned());
    refusal::again(&CarPage { wrong, ..CarPage::new(site, v, car, old)? })
}

async fn add(
    State(site): State<Arc<Site>>,
    v: Signed<Steward>,
    Extension(auth): Extension<Auth>,
    Sent(car): Sent<Car>,
) -> Answer {
    let hint = Hint::of(&car.plate, &site.gate.register.snapshot(), &v);
    if hint.known.is_none() && !hint.lookalikes.is_empty() && car.sure.is_none() {
        let (zh, en) =
            ("与已登记的车牌很像，请核对后勾选确认", "it looks like a registered plate: check it and tick the box");
        return again(&site, &v, &car, None, &wrong(zh, en));
    }
    match save(&site, &v, &car, None) {
        Ok(plate) => {
            say_next(&auth, v.f1("{} 已登记", plate)).await;
            Ok(Redirect::to(&address(plate)).into_response())
        }
        Err(wrong) => again(&site, &v, &car, None, &wrong),
    }
}

/// A car's page. Plates hold letters, digits and Chinese only: the address needs percent signs for the latter.
pub(in crate::web) fn address(plate: Plate) -> String {
    let encoded: String = plate
        .to_string()
        .bytes()
        .map(|b| if b.is_ascii() { (b as char).to_string() } else { format!("%{b:02X}") })
        .collect();
    format!("/cars/{encoded}")
}

async fn show(State(site): State<Arc<Site>>, v: Signed<Reader>, Path(plate): Path<String>) -> Answer {
    let plate: Plate = plate.parse().map_err(|_| Refusal::NotFound)?;
    let snapshot = site.gate.register.snapshot();
    let vehicle = snapshot.get(&plate).ok_or(Refusal::NotFound)?;
    let household = site.gate.register.household(&vehicle.household)?;
    page(&CarPage::new(&site, &v, &Car::of(vehicle, household.as_ref()), Some(plate))?)
}

async fn change(
    State(site): State<Arc<Site>>,
    v: Signed<Steward>,
    Path(old): Path<String>,
    Extension(auth): Extension<Auth>,
    Sent(car): Sent<Car>,
) -> Answer {
    let old: Plate = old.parse().map_err(|_| Refusal::NotFound)?;
    if site.gate.register.snapshot().get(&old).is_none() {
        return Err(Refusal::NotFound);
    }
    match save(&site, &v, &car, Some(old)) {
        Ok(plate) => {
            say_next(&auth, v.t("已保存")).await;
            Ok(Redirect::to(&address(plate)).into_response())
        }
        Err(wrong) => again(&site, &v, &car, Some(old), &wrong),
    }
}

#[derive(Deserialize)]
struct Confirmed {
    sure: Option<String>,
}

async fn retire_car(
    State(site): State<Arc<Site>>,
    v: Signed<Steward>,
    Path(plate): Path<String>,
    Extension(auth): Extension<Auth>,
    Sent(sent): Sent<Confirmed>,
) -> Answer {
    let plate: Plate = plate.parse().map_err(|_| Refusal::NotFound)?;
    if sent.sure.is_none() {
        return Err(Refusal::bad("请先勾选确认", "tick the box first"));
    }
    if !retire(&site, &v, plate)? {
        return Err(Refusal::NotFound);
    }
    say_next(&auth, v.f1("{} 已注销", plate)).await;
    Ok(Redirect::to("/cars").into_response())
}
