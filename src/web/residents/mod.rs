//! Residents: what a household does for itself. A steward invites ([`invite`]), a resident joins ([`join`]), sees how the
//! household's own cars stand, and gives passes to its own visitors within the [`limits`] of the configuration.

mod invite;
mod join;
pub mod limits;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use axum::{Extension, Router};
use jiff::Timestamp;
use serde::Deserialize;

use super::cars::{provinces, standing_words};
use super::refusal::{Answer, Refusal, again, page};
use super::sent::Sent;
use super::visit::{Resident, Signed, Visit};
use super::visitors::{Line, Sending, Wanted, give_pass, take_pass_back};
use super::{Auth, Site, say_next};
use crate::register::{self, Pass, Validity};

pub(super) use invite::Members;

/// The routes.
pub fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/home", get(show))
        .route("/home/passes/new", get(blank).post(give))
        .route("/home/passes/{id}", get(one))
        .route("/home/passes/{id}/take-back", post(take_back))
        .merge(invite::routes())
        .merge(join::routes())
}

/// One of the household's cars, with what its people would ask: does it come in, since when, until when, what is paid?
struct Car {
    plate: String,
    word: String,
    class: &'static str,
    since: String,
    until: String,
    paid: String,
    share: String,
}

#[derive(Template)]
#[template(path = "web/residents/home.html")]
struct HomePage<'a> {
    v: &'a Visit,
    household: &'a str,
    cars: Vec<Car>,
    live: Vec<Line>,
    over: Vec<Line>,
    left: u32,
    /// May residents give passes at all?
    gives: bool,
    board: bool,
}

/// The household of the resident who asks. Nobody else gets as far as here.
fn own(v: &Signed<Resident>) -> Result<&str, Refusal> {
    v.household().filter(|key| !key.is_empty()).ok_or(Refusal::Forbidden)
}

async fn show(State(site): State<Arc<Site>>, v: Signed<Resident>) -> Answer {
    let household = own(&v)?;
    let now = Timestamp::now();
    let (snapshot, passes) = (site.gate.register.snapshot(), site.gate.register.passes()?);
    let cars = snapshot.vehicles().iter().filter(|c| c.household == household).map(|c| car(c, &v)).collect();
    let mine = passes.iter().rev().filter(|p| p.household == household);
    let (live, over): (Vec<&Pass>, Vec<&Pass>) = mine.partition(|p| is_open(p, now));
    let left = limits::left(&site, household, &passes)?;
    page(&HomePage {
        v: &v,
        household,
        cars,
        live: live.into_iter().map(|p| Line::of(p, &v)).collect(),
        over: over.into_iter().take(OVER_SHOWN).map(|p| Line::of(p, &v)).collect(),
        left,
        gives: site.gate.config.residents.passes > 0,
        board: site.switches.now().board,
    })
}

/// Passes that are over and shown all the same.
const OVER_SHOWN: usize = 20;

/// Does it let in, or will it?
fn is_open(pass: &Pass, now: Timestamp) -> bool {
    matches!(pass.validity(now), Validity::Good | Validity::TooEarly)
}

fn car(vehicle: &register::Vehicle, v: &Visit) -> Car {
    let stand = vehicle.stand(register::today());
    let (word, class) = standing_words(stand.standing);
    Car {
        plate: vehicle.plate.to_string(),
        word: v.t(word),
        class,
        since: stand.since.map(|d| d.to_string()).unwrap_or_default(),
        until: stand.until.map(|d| d.to_string()).unwrap_or_default(),
        paid: vehicle.dues.paid.to_string(),
        share: vehicle.dues.share.to_string(),
    }
}

#[derive(Template)]
#[template(path = "web/residents/new_pass.html")]
struct NewPage<'a> {
    v: &'a Visit,
    wanted: &'a Wanted,
    wrong: Option<String>,
    provinces: String,
    days: u32,
    entries: u32,
}

impl<'a> NewPage<'a> {
    fn new(site: &Site, v: &'a Visit, wanted: &'a Wanted, wrong: Option<String>) -> NewPage<'a> {
        let may = &site.gate.config.residents;
        NewPage { v, wanted, wrong, provinces: provinces(site), days: may.pass_days, entries: may.pass_entries }
    }
}

async fn blank(State(site): State<Arc<Site>>, v: Signed<Resident>, Query(mut wanted): Query<Wanted>) -> Answer {
    wanted.fill();
    page(&NewPage::new(&site, &v, &wanted, None))
}

async fn give(
    State(site): State<Arc<Site>>,
    v: Signed<Resident>,
    Extension(auth): Extension<Auth>,
    Sent(wanted): Sent<Wanted>,
) -> Answer {
    own(&v)?;
    match give_pass(&site, &v, &wanted) {
        Ok(pass) => {
            say_next(&auth, v.t("通行证已生效")).await;
            Ok(Redirect::to(&format!("/home/passes/{}", pass.id)).into_response())
        }
        Err(Refusal::Bad(zh, en)) => {
            let wrong = Some(v.say(&zh, &en).to_owned());
            again(&NewPage::new(&site, &v, &wanted, wrong))
        }
        Err(other) => Err(other),
    }
}

#[derive(Template)]
#[template(path = "web/residents/pass.html")]
struct PassPage<'a> {
    v: &'a Visit,
    line: Line,
    pass: &'a Pass,
    open: bool,
    sending: Sending,
}

async fn one(State(site): State<Arc<Site>>, v: Signed<Resident>, Path(id): Path<u64>) -> Answer {
    let household = own(&v)?;
    let found = site.gate.register.pass(id)?.filter(|p| p.household == household);
    // Another household's pass is as if it were not there.
    let pass = found.ok_or(Refusal::NotFound)?;
    let (line, sending) = (Line::of(&pass, &v), Sending::of(&site, &v, &pass)?);
    page(&PassPage { v: &v, line, open: is_open(&pass, Timestamp::now()), pass: &pass, sending })
}

#[derive(Deserialize)]
struct Nothing {}

async fn take_back(
    State(site): State<Arc<Site>>,
    v: Signed<Resident>,
    Path(id): Path<u64>,
    Extension(auth): Extension<Auth>,
    Sent(Nothing {}): Sent<Nothing>,
) -> Answer {
    own(&v)?;
    if !take_pass_back(&site, &v, id)? {
        return Err(Refusal::NotFound);
    }
    say_next(&auth, v.t("通行证已收回")).await;
    Ok(Redirect::to("/home").into_response())
}
