//! One car in the book, and whom to remind.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::routing::get;

use super::{Line, Which, due};
use crate::plate::Plate;
use crate::register;
use crate::web::Site;
use crate::web::cars::{Pages, standing_words};
use crate::web::refusal::{Answer, Refusal, page};
use crate::web::visit::{Reader, Signed, Visit};

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/book/car/{plate}", get(show)).route("/book/reminders", get(remind))
}

#[derive(Template)]
#[template(path = "web/book/car.html")]
struct CarPage<'a> {
    v: &'a Visit,
    plate: Plate,
    household: String,
    registered: bool,
    paid: String,
    share: String,
    stand: (String, &'static str),
    since: String,
    until: String,
    vote: Option<u64>,
    lines: Vec<Line>,
}

async fn show(State(site): State<Arc<Site>>, v: Signed<Reader>, Path(plate): Path<String>) -> Answer {
    let plate: Plate = plate.parse().map_err(|_| Refusal::NotFound)?;
    let (snapshot, book) = (site.gate.register.snapshot(), site.gate.register.ledger().book());
    let vehicle = snapshot.get(&plate);
    // A car that was taken out of the register keeps its entries.
    if vehicle.is_none() && book.of_car(&plate).next().is_none() {
        return Err(Refusal::NotFound);
    }
    let household = vehicle.map(|c| c.household.clone()).unwrap_or_default();
    let dues = book.dues(&plate, &household);
    let stand = vehicle.map_or_else(|| dues.on(register::today()), |c| c.stand(register::today()));
    let (word, class) = standing_words(stand.standing);
    page(&CarPage {
        plate,
        registered: vehicle.is_some(),
        household,
        paid: dues.paid.to_string(),
        share: dues.share.to_string(),
        stand: (v.t(word), class),
        since: stand.since.map(|d| d.to_string()).unwrap_or_default(),
        until: stand.until.map(|d| d.to_string()).unwrap_or_default(),
        vote: stand.vote,
        lines: book.of_car(&plate).map(|sealed| Line::of(&book, sealed, &v)).collect(),
        v: &v,
    })
}

/// Somebody to remind.
struct Due {
    plate: Plate,
    household: String,
    name: String,
    phone: String,
    word: String,
    class: &'static str,
    until: String,
    days: i32,
}

#[derive(Template)]
#[template(path = "web/book/reminders.html")]
struct RemindersPage<'a> {
    v: &'a Visit,
    days: u16,
    due: Vec<Due>,
    pages: Pages,
}

async fn remind(State(site): State<Arc<Site>>, v: Signed<Reader>, Query(which): Query<Which>) -> Answer {
    let line = |r: register::reminders::Reminder| {
        let (word, class) = standing_words(r.stand.standing);
        Due {
            plate: r.plate,
            household: r.household,
            name: r.name,
            phone: r.phone.unwrap_or_default(),
            word: v.t(word),
            class,
            until: r.stand.until.map(|d| d.to_string()).unwrap_or_default(),
            days: r.days_left,
        }
    };
    let due = due(&site)?;
    let pages = Pages::new(which.page, due.len(), String::new());
    let shown = due.into_iter().skip(pages.range().start).take(pages.range().len()).map(line).collect();
    page(&RemindersPage { days: site.gate.config.ledger.remind_days, due: shown, pages, v: &v })
}
