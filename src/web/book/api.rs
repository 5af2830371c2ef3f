//! The book for programs: looking only, with the rights of whoever the token belongs to.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::IntoResponse;
use axum::routing::get;
use serde::Deserialize;
use serde_json::json;

use super::due;
use crate::ledger::{Period, Sealed, Statement};
use crate::register;
use crate::web::Site;
use crate::web::refusal::{Answer, Refusal};
use crate::web::visit::{Reader, Signed};

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/api/v1/book", get(sums))
        .route("/api/v1/book/entries", get(entries))
        .route("/api/v1/book/entries/{number}", get(entry))
        .route("/api/v1/book/statement", get(statement))
        .route("/api/v1/book/reminders", get(reminders))
}

/// Campaigns, balances, offers, whether the book is whole, and its last entry.
async fn sums(State(site): State<Arc<Site>>, _: Signed<Reader>) -> Answer {
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

#[derive(Deserialize)]
struct Window {
    /// Only entries with a smaller number.
    before: Option<u64>,
    /// How many, 1..1000.
    count: Option<usize>,
}

/// Entries, newest first.
async fn entries(State(site): State<Arc<Site>>, _: Signed<Reader>, Query(window): Query<Window>) -> Answer {
    let book = site.gate.register.ledger().book();
    let older = |e: &&Arc<Sealed>| window.before.is_none_or(|before| e.entry.number < before);
    let count = window.count.unwrap_or(100).clamp(1, 1000);
    let entries: Vec<&Sealed> = book.entries().iter().rev().filter(older).take(count).map(|e| &**e).collect();
    Ok(Json(json!(entries)).into_response())
}

async fn entry(State(site): State<Arc<Site>>, _: Signed<Reader>, Path(number): Path<u64>) -> Answer {
    let book = site.gate.register.ledger().book();
    let sealed = book.entry(number).ok_or(Refusal::NotFound)?;
    Ok(Json(json!(**sealed)).into_response())
}

#[derive(Deserialize)]
struct Asked {
    period: Option<String>,
}

async fn statement(State(site): State<Arc<Site>>, _: Signed<Reader>, Query(asked): Query<Asked>) -> Answer {
    let period: Period = match asked.period.as_deref() {
        Some(text) => text.parse().map_err(|e: &str| Refusal::bad("期间不对", format!("the period: {e}")))?,
        None => Period::month_of(register::today()),
    };
    Ok(Json(json!(Statement::of(&site.gate.register.ledger().book(), period))).into_response())
}

async fn reminders(State(site): State<Arc<Site>>, _: Signed<Reader>) -> Answer {
    Ok(Json(json!(due(&site)?)).into_response())
}
