//! Arrivals for programs.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

use super::Problem;
use crate::gate::event::Event;
use crate::web::arrivals::{Find, picture_of};
use crate::web::asked;
use crate::web::refusal::{Answer, Refusal};
use crate::web::visit::{Reader, Signed};
use crate::web::{Site, words};

/// Which arrivals, and how many.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Window {
    /// Of this day, such as 2026-11-25.
    day: Option<String>,
    /// Whose plate begins or ends like this.
    plate: Option<String>,
    /// `opened`, `refused`, `failed` or `seen`.
    outcome: Option<String>,
    /// Older than this number.
    #[serde(default, deserialize_with = "asked::before")]
    before: Option<u64>,
    /// At most so many, and never more than 200; 20 if not said.
    #[param(minimum = 1, maximum = 200)]
    #[serde(default, deserialize_with = "asked::count::<_, 200>")]
    count: Option<usize>,
}

/// The newest arrivals that answer to the query, newest first.
#[utoipa::path(get, path = "/api/v1/events", params(Window), responses(
    (status = 200, description = "The arrivals", body = Vec<serde_json::Value>),
    (status = 400, description = "A number is expected", body = Problem),
    (status = 401, description = "No token", body = Problem),
    (status = 403, description = "Not in this role", body = Problem),
    (status = 422, description = "Not a day or an outcome", body = Problem),
))]
pub(super) async fn list(State(site): State<Arc<Site>>, _: Signed<Reader>, Query(window): Query<Window>) -> Answer {
    let Window { day, plate, outcome, before, count } = window;
    let query = Find { day, plate, outcome, before }.parse()?;
    let events = site.gate.events.find(&query, count.unwrap_or(20))?;
    Ok(Json(events.iter().map(explained).collect::<Vec<_>>()).into_response())
}

/// One arrival.
#[utoipa::path(get, path = "/api/v1/events/{id}", params(("id" = u64, Path, description = "Its number")), responses(
    (status = 200, description = "The arrival", body = serde_json::Value),
    (status = 400, description = "Not a number", body = Problem),
    (status = 401, description = "No token", body = Problem),
    (status = 403, description = "Not in this role", body = Problem),
    (status = 404, description = "There is none", body = Problem),
))]
pub(super) async fn one(State(site): State<Arc<Site>>, _: Signed<Reader>, Path(id): Path<u64>) -> Answer {
    let event = site.gate.events.get(id)?.ok_or(Refusal::NotFound)?;
    Ok(Json(explained(&event)).into_response())
}

/// Its picture. Every look is in the audit log.
#[utoipa::path(get, path = "/api/v1/events/{id}/picture",
    params(("id" = u64, Path, description = "Its number")), responses(
    (status = 200, description = "The picture", body = Vec<u8>, content_type = "image/jpeg"),
    (status = 400, description = "Not a number", body = Problem),
    (status = 401, description = "No token", body = Problem),
    (status = 403, description = "Not in this role", body = Problem),
    (status = 404, description = "There is none", body = Problem),
))]
pub(super) async fn picture(
    State(site): State<Arc<Site>>,
    v: Signed<Reader>,
    Path(id): Path<u64>,
) -> Result<Response, Refusal> {
    picture_of(&site, &v, id).await
}

/// An event with its rule in words.
fn explained(event: &Event) -> serde_json::Value {
    let mut value = serde_json::to_value(event).unwrap_or_default();
    value["rule_zh"] = json!(words::rule_zh(event.rule));
    value["rule_en"] = json!(words::rule(event.rule));
    value
}
