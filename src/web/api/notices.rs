//! The barrier's notices for programs.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

use super::Problem;
use crate::store::notes::Entry;
use crate::web::Site;
use crate::web::asked;
use crate::web::refusal::{Answer, Refusal};
use crate::web::settings::notices::{Find, words};
use crate::web::visit::{Reader, Signed};

/// Which notices, and how many.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Window {
    /// Of this day, such as 2026-11-25.
    day: Option<String>,
    /// `alerts` (what somebody should look at), or one kind such as `did_not_open`.
    kind: Option<String>,
    /// Older than this number.
    #[serde(default, deserialize_with = "asked::before")]
    before: Option<u64>,
    /// At most so many, and never more than 500; 50 if not said.
    #[param(minimum = 1, maximum = 500)]
    #[serde(default, deserialize_with = "asked::count::<_, 500>")]
    count: Option<usize>,
}

/// What happened at the barrier, newest first: when, what, what to do about it, and who asked for it.
#[utoipa::path(get, path = "/api/v1/notices", params(Window), responses(
    (status = 200, description = "The notices", body = Vec<serde_json::Value>),
    (status = 400, description = "A number is expected", body = Problem),
    (status = 401, description = "No token", body = Problem),
    (status = 403, description = "Not in this role", body = Problem),
    (status = 422, description = "Not a day or a kind", body = Problem),
))]
pub(super) async fn list(State(site): State<Arc<Site>>, _: Signed<Reader>, Query(window): Query<Window>) -> Answer {
    let Window { day, kind, before, count } = window;
    let query = Find { day, kind, before }.parse()?;
    let count = count.unwrap_or(50);
    let found = tokio::task::spawn_blocking(move || site.gate.notes.find(&query, count));
    let found = found.await.map_err(|_| Refusal::Broken)??;
    Ok(Json(found.iter().map(explained).collect::<Vec<_>>()).into_response())
}

/// A notice with its words.
fn explained(entry: &Entry) -> serde_json::Value {
    let mut value = serde_json::to_value(entry).unwrap_or_default();
    let words = words(entry.noted.note);
    value["alert"] = json!(entry.noted.note.is_alert());
    (value["zh"], value["en"]) = (json!(words.zh), json!(words.en));
    if let Some((zh, en)) = words.advice {
        (value["advice_zh"], value["advice_en"]) = (json!(zh), json!(en));
    }
    value
}
