//! The book for programs, to look at; [`super::money`] enters what happened.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::IntoParams;

use super::Problem;
use crate::ledger::{Period, Sealed, Statement};
use crate::register;
use crate::web::Site;
use crate::web::asked;
use crate::web::book::due;
use crate::web::refusal::{Answer, Refusal};
use crate::web::visit::{Reader, Signed};

/// Campaigns, balances, open offers, whether the book is whole, and the number and hash of its last entry.
#[utoipa::path(get, path = "/api/v1/book", responses(
    (status = 200, description = "All money in whole fen", body = serde_json::Value),
    (status = 401, description = "No token", body = Problem),
    (status = 403, description = "Not in this role", body = Problem),
))]
pub(super) async fn sums(State(site): State<Arc<Site>>, _: Signed<Reader>) -> Answer {
    let ledger = site.gate.register.ledger();
    let book = ledger.book();
    let balances: serde_json::Map<String, _> = book.balances().map(|(a, fen)| (a.to_string(), json!(fen))).collect();
    let campaigns: Vec<_> = book
        .campaigns()
        .into_iter()
        .map(|(_, c)| {
            let raised = book.raised(&c.name);
            json!({"name": c.name, "title": c.title, "goal": c.goal, "share": c.share, "raised": raised})
        })
        .collect();
    let offers: Vec<_> = book
        .offers()
        .iter()
        .map(|(n, o)| json!({"offer": n, "from": o.from, "to": o.to, "amount": o.amount}))
        .collect();
    let (number, hash) = book.head();
    let fault = ledger.fault().map(|f| json!({"entry": f.number, "problem": f.problem}));
    Ok(Json(json!({"balances": balances, "campaigns": campaigns, "offers": offers, "head": number, "hash": hash,
        "fault": fault}))
    .into_response())
}

/// Which entries.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Window {
    /// Older than this number.
    #[serde(default, deserialize_with = "asked::before")]
    before: Option<u64>,
    /// At most so many; 100 if not said.
    #[param(minimum = 1, maximum = 1000)]
    #[serde(default, deserialize_with = "asked::count::<_, 1000>")]
    count: Option<usize>,
}

/// Entries, newest first, each with its hash.
#[utoipa::path(get, path = "/api/v1/book/entries", params(Window), responses(
    (status = 200, description = "The entries", body = Vec<serde_json::Value>),
    (status = 400, description = "A number is expected", body = Problem),
    (status = 401, description = "No token", body = Problem),
    (status = 403, description = "Not in this role", body = Problem),
))]
pub(super) async fn entries(State(site): State<Arc<Site>>, _: Signed<Reader>, Query(window): Query<Window>) -> Answer {
    let book = site.gate.register.ledger().book();
    let older = |e: &&Arc<Sealed>| window.before.is_none_or(|before| e.entry.number < before);
    let count = window.count.unwrap_or(100);
    let entries: Vec<&Sealed> = book.entries().iter().rev().filter(older).take(count).map(|e| &**e).collect();
    Ok(Json(json!(entries)).into_response())
}

/// One entry.
#[utoipa::path(get, path = "/api/v1/book/entries/{number}",
    params(("number" = u64, Path, description = "Its number")), responses(
    (status = 200, description = "The entry and its hash", body = serde_json::Value),
    (status = 400, description = "Not a number", body = Problem),
    (status = 401, description = "No token", body = Problem),
    (status = 403, description = "Not in this role", body = Problem),
    (status = 404, description = "There is none", body = Problem),
))]
pub(super) async fn entry(State(site): State<Arc<Site>>, _: Signed<Reader>, Path(number): Path<u64>) -> Answer {
    let book = site.gate.register.ledger().book();
    let sealed = book.entry(number).ok_or(Refusal::NotFound)?;
    Ok(Json(json!(**sealed)).into_response())
}

/// Which days, and which of their rows.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// 2026-11, 2026, or 2026-11-01..2026-11-15; this month if not said.
    period: Option<String>,
    /// Rows behind the one of this number: the `next` of the answer before.
    #[serde(default, deserialize_with = "asked::before")]
    after: Option<u64>,
    /// At most so many rows; 1000 if not said.
    #[param(minimum = 1, maximum = 1000)]
    #[serde(default, deserialize_with = "asked::count::<_, MOST_ROWS>")]
    count: Option<usize>,
}

/// Rows of a statement in one answer.
const MOST_ROWS: usize = 1000;

/// A statement with some of its rows.
#[derive(Serialize)]
struct Part {
    #[serde(flatten)]
    statement: Statement,
    /// Asked for with this as `after`, the statement goes on; none behind its last row.
    next: Option<u64>,
}

/// What was there, came in, went out and is there. The sums are those of all days; `rows` are the entries that moved money, by
/// day, at most `count` of them: `next`, unless it is null, is the `after` to ask for those behind them. `moves` counts them all.
#[utoipa::path(get, path = "/api/v1/book/statement", params(Asked), responses(
    (status = 200, description = "The statement, all money in whole fen", body = serde_json::Value),
    (status = 400, description = "A number is expected", body = Problem),
    (status = 401, description = "No token", body = Problem),
    (status = 403, description = "Not in this role", body = Problem),
    (status = 422, description = "Not a month, a year or days, or no such entry", body = Problem),
))]
pub(super) async fn statement(State(site): State<Arc<Site>>, _: Signed<Reader>, Query(asked): Query<Asked>) -> Answer {
    let period: Period = match asked.period.as_deref() {
        Some(text) => text.parse().map_err(|e: &str| Refusal::bad("期间不对", format!("the period: {e}")))?,
        None => Period::month_of(register::today()),
    };
    let book = site.gate.register.ledger().book();
    let no_entry = || Refusal::bad("没有这一笔", "after: there is no entry of this number");
    let behind = asked.after.map(|number| book.entry(number).ok_or_else(no_entry)).transpose()?;
    // One more than is told says whether there are more.
    let count = asked.count.unwrap_or(MOST_ROWS);
    let mut statement = Statement::with_rows(&book, period, behind.map(|sealed| &sealed.entry), count + 1);
    let more = statement.rows.len() > count;
    statement.rows.truncate(count);
    let next = statement.rows.last().map(|row| row.number).filter(|_| more);
    Ok(Json(Part { statement, next }).into_response())
}

/// Whose fee, days of grace or exemption ends soon, the most urgent first.
#[utoipa::path(get, path = "/api/v1/book/reminders", responses(
    (status = 200, description = "Within `ledger.remind_days` of the configuration", body = Vec<serde_json::Value>),
    (status = 401, description = "No token", body = Problem),
    (status = 403, description = "Not in this role", body = Problem),
))]
pub(super) async fn reminders(State(site): State<Arc<Site>>, _: Signed<Reader>) -> Answer {
    Ok(Json(json!(due(&site)?)).into_response())
}
