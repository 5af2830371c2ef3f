//! Visitors: passes with their six digits, to be sent to the guest and looked up at the gate.
//!
//! A pass lets its plate in by itself. The six digits (or the square code, which leads a steward's telephone to the same
//! page) are for when the camera cannot read it: whoever is at the gate tells them, a steward looks them up and opens.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use axum::{Extension, Router};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use qrcode::QrCode;
use qrcode::render::svg;
use serde::{Deserialize, Serialize};

use super::cars::provinces;
use super::refusal::{Answer, Refusal, page};
use super::residents::limits::{self, Asked};
use super::sent::Sent;
use super::visit::{Reader, Signed, Steward, Visit};
use super::{Auth, Site, say_next};
use crate::accounts::code;
use crate::fleet::pass_code;
use crate::plate::{Plate, PlateError};
use crate::register::{self, Change, Pass, Validity};
use crate::store::{Batch, Store, StoreError, Tree};

/// The routes.
pub fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/visitors", get(list))
        .route("/visitors/new", get(blank).post(give))
        .route("/visitors/{id}", get(show))
        .route("/visitors/{id}/take-back", post(take_back))
}

/// The six digits of each pass, by its number.
pub struct Digits {
    store: Arc<Store>,
    tree: Tree,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    id: u64,
    digits: String,
}

impl Digits {
    /// Opens them.
    pub fn open(store: Arc<Store>) -> Result<Digits, StoreError> {
        Ok(Digits { tree: store.tree("pass_codes")?, store })
    }

    /// The digits of a pass.
    pub fn of(&self, id: u64) -> Result<Option<String>, StoreError> {
        Ok(self.tree.get::<Kept>(&id.to_be_bytes())?.map(|k| k.digits))
    }

    /// The pass of these digits.
    pub fn find(&self, digits: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.tree.all::<Kept>()?.into_iter().rev().find(|k| k.digits == digits).map(|k| k.id))
    }

    /// New ones for a pass, which no other pass has.
    fn make(&self, id: u64) -> Result<String, StoreError> {
        let taken: Vec<Kept> = self.tree.all()?;
        let free = |digits: &String| !taken.iter().any(|k| k.digits == *digits);
        let digits = std::iter::repeat_with(code::six_digits).find(free).unwrap_or_default();
        let mut batch = Batch::default();
        batch.put(&self.tree, id.to_be_bytes(), &Kept { id, digits: digits.clone() });
        self.store.write(batch)?;
        Ok(digits)
    }

    /// Forgets the digits of passes that are not among these.
    pub fn keep_only(&self, passes: &[Pass]) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for kept in self.tree.all::<Kept>()? {
            if !passes.iter().any(|p| p.id == kept.id) {
                batch.remove(&self.tree, kept.id.to_be_bytes());
            }
        }
        self.store.write(batch)
    }
}

/// What a pass is worth, in Chinese (the page translates), and its colour's class.
fn validity_words(validity: Validity) -> (&'static str, &'static str) {
    match validity {
        Validity::Good => ("有效", "good"),
        Validity::TooEarly => ("未到时间", "warn"),
        Validity::Over => ("已过期", "dim"),
        Validity::UsedUp => ("次数已用完", "dim"),
    }
}

/// A pass in a list.
pub(super) struct Line {
    pub id: u64,
    pub plate: String,
    pub household: String,
    pub when: String,
    pub used: String,
    pub word: String,
    pub class: &'static str,
}

impl Line {
    pub(super) fn of(pass: &Pass, v: &Visit) -> Line {
        let (word, class) = validity_words(pass.validity(Timestamp::now()));
        let used = match pass.entries {
            Some(most) => v.f2("{} / {} 次", pass.used, most),
            None => v.f1("{} 次，不限", pass.used),
        };
        let when = format!("{} – {}", v.short_time(&pass.from), v.short_time(&pass.to));
        Line {
            id: pass.id,
            plate: pass.plate.to_string(),
            household: pass.household.clone(),
            when,
            used,
            word: v.t(word),
            class,
        }
    }
}

#[derive(Template)]
#[template(path = "web/visitors.html")]
struct VisitorsPage<'a> {
    v: &'a Visit,
    live: Vec<Line>,
    over: Vec<Line>,
    wrong: Option<String>,
}

#[derive(Deserialize)]
struct Code {
    #[serde(default)]
    code: String,
}

/// Passes that are over and shown all the same.
const OVER_SHOWN: usize = 30;

async fn list(State(site): State<Arc<Site>>, v: Signed<Reader>, Query(asked): Query<Code>) -> Answer {
    if asked.code.trim().starts_with(pass_code::PREFIX) {
        let id = present(&site, &v, &asked.code)?;
        return Ok(Redirect::to(&format!("/visitors/{id}")).into_response());
    }
    let digits: String = asked.code.chars().map(crate::text::narrow).filter(char::is_ascii_digit).collect();
    let mut wrong = None;
    if !asked.code.is_empty() {
        // Whoever may look may list them all; trying through all digits would still be a nuisance.
        match site.digits.find(&digits)? {
            Some(id) => return Ok(Redirect::to(&format!("/visitors/{id}")).into_response()),
            None => wrong = Some(v.t("没有这个通行码，可能已过期或被收回")),
        }
    }
    let now = Timestamp::now();
    let passes = site.gate.register.passes()?;
    let (live, over): (Vec<&Pass>, Vec<&Pass>) =
        passes.iter().rev().partition(|p| matches!(p.validity(now), Validity::Good | Validity::TooEarly));
    let live = live.into_iter().map(|p| Line::of(p, &v)).collect();
    let over = over.into_iter().take(OVER_SHOWN).map(|p| Line::of(p, &v)).collect();
    page(&VisitorsPage { v: &v, live, over, wrong })
}

/// A pass as a form or a program asks for it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Wanted {
    /// The visitor's plate.
    #[serde(default)]
    pub plate: String,
    /// The household that is visited.
    #[serde(default)]
    pub household: String,
    /// From then on, such as `2026-11-25T18:00`, at the gate's clock; empty for now.
    #[serde(default)]
    pub from: String,
    /// Until then; empty for a day.
    #[serde(default)]
    pub to: String,
    /// So many times; empty for any number.
    #[serde(default)]
    pub entries: String,
    /// A remark.
    #[serde(default)]
    pub note: String,
}

impl Wanted {
    /// What a blank form begins with: a day from now on, one entry.
    pub(super) fn fill(&mut self) {
        let now = Timestamp::now().to_zoned(TimeZone::system());
        let minute = |z: &jiff::Zoned| z.strftime("%Y-%m-%dT%H:%M").to_string();
        if self.from.is_empty() {
            self.from = minute(&now);
        }
        if self.to.is_empty() {
            self.to = minute(&(&now + SignedDuration::from_hours(24)));
        }
        if self.entries.is_empty() {
            self.entries = "1".into();
        }
    }
}

/// A pass that lasts longer is a resident's.
const LONGEST_DAYS: i64 = 92;

/// Gives the pass, with a line of the audit log. `Err` says in both languages what cannot be.
pub fn give_pass(site: &Site, v: &Visit, wanted: &Wanted) -> Result<Pass, Refusal> {
    let plate: Plate = wanted.plate.parse().map_err(|e: PlateError| Refusal::bad(e.zh(), e.to_string()))?;
    let typed = || wanted.household.trim().chars().map(crate::text::narrow).collect::<String>();
    // A resident's visitors are visitors of their household, whatever was sent.
    let household = v.household().map_or_else(typed, str::to_owned);
    if !site.gate.register.households()?.iter().any(|h| h.key() == household) {
        return Err(Refusal::bad(
            "没有这一户，应如 2-301",
            "household: one of the compound is expected, such as 2-301",
        ));
    }
    let now = Timestamp::now();
    let from = moment(&wanted.from)?.unwrap_or(now);
    let a_day = SignedDuration::from_hours(24);
    let to = moment(&wanted.to)?.or(from.checked_add(a_day).ok()).unwrap_or(from);
    if to <= from || to < now || to.duration_since(from) > SignedDuration::from_hours(24 * LONGEST_DAYS) {
        return Err(Refusal::bad(
            "结束时间要在开始之后，且不超过 92 天",
            "to: after from, not yet over, and at most 92 days later",
        ));
    }
    let entries = match wanted.entries.trim() {
        "" => None,
        text => Some(
            text.parse()
                .ok()
                .filter(|n| (1..=999).contains(n))
                .ok_or_else(|| Refusal::bad("次数应为 1 到 999，或留空", "entries: 1 to 999, or nothing"))?,
        ),
    };
    let note: String = wanted.note.trim().chars().take(100).collect();
    let given_by = v.name().to_owned();
    let pass = {
        let _changing = site.register_lock.lock();
        if v.household().is_some() {
            limits::check(site, &Asked { household: &household, plate, from, to, entries })?;
        }
        let id = site.gate.register.next_pass()?;
        let pass = Pass { id, plate, from, to, entries, used: 0, household, note, given_by };
        site.gate.register.apply(v.name(), &[Change::Pass(pass.clone())])?;
        let digits = site.digits.make(id)?;
        site.gate.register.apply(v.name(), &[Change::Digits(register::Digits { id, digits })])?;
        pass
    };
    site.accounts.audit.add(v.name(), "发访客通行证", &format!("{plate} {}", pass.household), Some(v.from))?;
    Ok(pass)
}

/// Takes over a pass whose signed code a visitor shows: one that this gate may never have heard of. Gives its number.
pub(super) fn present(site: &Site, v: &Visit, code: &str) -> Result<u64, Refusal> {
    if !v.may::<Steward>() {
        return Err(Refusal::Forbidden);
    }
    let fleet = site.gate.fleet.as_ref().ok_or(Refusal::NotFound)?;
    let members = site.gate.register.members()?;
    let pass = pass_code::check(&fleet.identity, &members, code)
        .map_err(|error| Refusal::bad(error.zh(), error.to_string()))?;
    let _changing = site.register_lock.lock();
    site.accounts.audit.add(v.name(), "扫到通行码", &format!("{} {}", pass.plate, pass.id), Some(v.from))?;
    if !site.gate.register.present(&pass, v.name())? {
        return Err(Refusal::bad("这个通行证已被收回", "this pass was taken back"));
    }
    Ok(pass.id)
}

/// What the square leads a steward's telephone to: the signed code where there are other gates, else the six digits.
fn in_square(site: &Site, pass: &Pass, digits: &str) -> String {
    let signed = site.gate.fleet.as_ref().map(|fleet| pass_code::issue(&fleet.identity, pass));
    match signed {
        Some(Ok(code)) => code,
        Some(Err(error)) => {
            tracing::error!(error, "a pass code could not be signed");
            digits.to_owned()
        }
        None => digits.to_owned(),
    }
}

/// Takes a pass back; `false` if there is none.
pub fn take_pass_back(site: &Site, v: &Visit, id: u64) -> Result<bool, Refusal> {
    let _changing = site.register_lock.lock();
    let own = |p: &Pass| v.household().is_none_or(|own| own == p.household);
    let found = site.gate.register.passes()?.into_iter().find(|p| p.id == id && own(p));
    let Some(pass) = found else { return Ok(false) };
    // One that let somebody in counts for a household's month: it ends, and stays.
    let ends = v.household().is_some() && pass.used > 0;
    let change = if ends { Change::Pass(Pass { to: Timestamp::now(), ..pass.clone() }) } else { Change::TakeBack(id) };
    site.gate.register.apply(v.name(), &[change])?;
    site.digits.keep_only(&site.gate.register.passes()?)?;
    site.accounts.audit.add(v.name(), "收回通行证", &pass.plate.to_string(), Some(v.from))?;
    Ok(true)
}

/// A time as browsers send it (`2026-11-25T18:00`), on the gate's clock, or a moment with its zone.
fn moment(text: &str) -> Result<Option<Timestamp>, Refusal> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let local = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::system()).ok().map(|z| z.timestamp());
    let moment = text.parse::<Timestamp>().ok().or_else(local);
    moment
        .map(Some)
        .ok_or_else(|| Refusal::bad("时间应如 2026-11-25T18:00", "a time such as 2026-11-25T18:00 is expected"))
}

#[derive(Template)]
#[template(path = "web/visitor_new.html")]
struct NewPage<'a> {
    v: &'a Visit,
    wanted: &'a Wanted,
    wrong: Option<String>,
    provinces: String,
}

async fn blank(State(site): State<Arc<Site>>, v: Signed<Steward>, Query(mut wanted): Query<Wanted>) -> Answer {
    wanted.fill();
    page(&NewPage { v: &v, wanted: &wanted, wrong: None, provinces: provinces(&site) })
}

async fn give(
    State(site): State<Arc<Site>>,
    v: Signed<Steward>,
    Extension(auth): Extension<Auth>,
    Sent(wanted): Sent<Wanted>,
) -> Answer {
    match give_pass(&site, &v, &wanted) {
        Ok(pass) => {
            say_next(&auth, v.t("通行证已生效")).await;
            Ok(Redirect::to(&format!("/visitors/{}", pass.id)).into_response())
        }
        Err(Refusal::Bad(zh, en)) => {
            let wrong = Some(v.say(&zh, &en).to_owned());
            let mut response = page(&NewPage { v: &v, wanted: &wanted, wrong, provinces: provinces(&site) })?;
            *response.status_mut() = axum::http::StatusCode::UNPROCESSABLE_ENTITY;
            Ok(response)
        }
        Err(other) => Err(other),
    }
}

#[derive(Template)]
#[template(path = "web/visitor.html")]
struct PassPage<'a> {
    v: &'a Visit,
    line: Line,
    pass: &'a Pass,
    digits: String,
    qr: String,
    message: String,
}

async fn show(State(site): State<Arc<Site>>, v: Signed<Reader>, Path(id): Path<u64>) -> Answer {
    let pass = site.gate.register.passes()?.into_iter().find(|p| p.id == id).ok_or(Refusal::NotFound)?;
    let Sending { digits, qr, message } = Sending::of(&site, &v, &pass)?;
    page(&PassPage { v: &v, line: Line::of(&pass, &v), pass: &pass, digits, qr, message })
}

/// What is sent to a visitor.
pub(super) struct Sending {
    /// The six digits.
    pub digits: String,
    /// The square code, which leads a steward's telephone to the pass.
    pub qr: String,
    /// The words.
    pub message: String,
}

impl Sending {
    pub(super) fn of(site: &Site, v: &Visit, pass: &Pass) -> Result<Sending, StoreError> {
        let digits = site.digits.of(pass.id)?.unwrap_or_default();
        let qr = square(&format!("{}/visitors?code={}", v.base, in_square(site, pass, &digits)));
        let message = v.f(
            "访客通行证：车牌 {}，{} 至 {}，到 {} 户。车牌识别不了时，请向管家报通行码 {}。",
            &[&pass.plate, &v.short_time(&pass.from), &v.short_time(&pass.to), &pass.household, &digits],
        );
        Ok(Sending { digits, qr, message })
    }
}

/// A text as a square code, as SVG without any style of its own.
pub(super) fn square(text: &str) -> String {
    let Ok(code) = QrCode::new(text.as_bytes()) else { return String::new() };
    let drawn = code.render::<svg::Color<'_>>().min_dimensions(200, 200).build();
    // The XML declaration has no place inside a page.
    drawn.split_once("?>").map_or(drawn.clone(), |(_, svg)| svg.to_owned())
}

#[derive(Deserialize)]
struct Nothing {}

async fn take_back(
    State(site): State<Arc<Site>>,
    v: Signed<Steward>,
    Path(id): Path<u64>,
    Extension(auth): Extension<Auth>,
    Sent(Nothing {}): Sent<Nothing>,
) -> Answer {
    if !take_pass_back(&site, &v, id)? {
        return Err(Refusal::NotFound);
    }
    say_next(&auth, v.t("通行证已收回")).await;
    Ok(Redirect::to("/visitors").into_response())
}
