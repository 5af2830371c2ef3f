//! Visitors: passes with their six digits, to be sent to the guest and looked up at the gate.
//!
//! A pass lets its plate in by itself. The six digits (or the square code, which leads a steward's telephone to the same
//! page) are for when the camera cannot read it: whoever is at the gate tells them, a steward looks them up and opens.

mod digits;
mod give;
mod sending;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use axum::{Extension, Router};
use jiff::Timestamp;
use serde::Deserialize;

use super::cars::provinces;
use super::refusal::{Answer, Refusal, again, page};
use super::sent::Sent;
use super::visit::{Reader, Signed, Steward, Visit};
use super::{Auth, Site, say_next};
use crate::fleet::pass_code;
use crate::register::{Pass, Validity};

pub use digits::Digits;
pub(super) use give::present;
pub use give::{Wanted, give_pass, take_pass_back};
pub(super) use sending::{Sending, square};

/// The routes.
pub fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/visitors", get(list))
        .route("/visitors/new", get(blank).post(give))
        .route("/visitors/{id}", get(show))
        .route("/visitors/{id}/take-back", post(take_back))
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
            again(&NewPage { v: &v, wanted: &wanted, wrong, provinces: provinces(&site) })
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
    let pass = site.gate.register.pass(id)?.ok_or(Refusal::NotFound)?;
    let Sending { digits, qr, message } = Sending::of(&site, &v, &pass)?;
    page(&PassPage { v: &v, line: Line::of(&pass, &v), pass: &pass, digits, qr, message })
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
