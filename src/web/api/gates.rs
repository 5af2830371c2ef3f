//! The other gates of the compound, for programs.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{Body, Problem};
use crate::web::Site;
use crate::web::gates::{self, Wanted};
use crate::web::refusal::{Answer, Refusal};
use crate::web::visit::{Reader, Signed, Steward};
use crate::web::visitors;

/// All gates: how each is, its last arrival, since when it is silent; alerts; how the connection is.
#[utoipa::path(get, path = "/api/v1/gates", responses(
    (status = 200, description = "The gates", body = serde_json::Value),
    (status = 401, description = "No token", body = Problem),
    (status = 403, description = "Not in this role", body = Problem),
    (status = 404, description = "This gate belongs to no fleet", body = Problem),
))]
pub(super) async fn list(State(site): State<Arc<Site>>, _: Signed<Reader>) -> Answer {
    let fleet = site.gate.fleet.as_ref().ok_or(Refusal::NotFound)?;
    let status = &fleet.status;
    let of = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
    let keeper = site.gate.register.keeper()?.station;
    let body = json!({
        "compound": fleet.identity.compound,
        "gate": fleet.identity.gate,
        "number": fleet.identity.number,
        "keeps_book": keeper == fleet.identity.number,
        "connection": status.connection(),
        "events_told": of(&status.events_told),
        "events_waiting": of(&status.events_waiting),
        "events_missed": of(&status.events_missed),
        "records_waiting": site.gate.register.unsent_count(),
        "refused": of(&status.refused),
        "last_refused": status.last_refused().map(|(at, why)| json!({"at": at, "why": why})),
        "gates": fleet.gates.glance(),
        "twice": fleet.gates.alerts(),
        "arrivals": fleet.gates.arrivals(50),
    });
    Ok(Json(body).into_response())
}

/// What another gate is to do.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    /// `open`, `hold_open` (for an hour) or `normal`.
    act: String,
    /// Why, in a few words, for the audit logs of both.
    #[schema(min_length = 1, max_length = 80)]
    why: String,
}

/// Tells another gate to open, to stay open for an hour, or to be run by its rules again.
#[utoipa::path(post, path = "/api/v1/gates/{gate}/do", request_body = Order,
    params(("gate" = String, Path, description = "Its name")), responses(
    (status = 200, description = "It was done", body = serde_json::Value),
    (status = 400, description = "Not text", body = Problem),
    (status = 401, description = "No token", body = Problem),
    (status = 403, description = "Not a steward", body = Problem),
    (status = 404, description = "This gate belongs to no fleet", body = Problem),
    (status = 413, description = "More than is taken", body = Problem),
    (status = 422, description = "It was refused, or that gate does not answer", body = Problem),
))]
pub(super) async fn order(
    State(site): State<Arc<Site>>,
    v: Signed<Steward>,
    Path(gate): Path<String>,
    Body(order): Body<Order>,
) -> Answer {
    let told = gates::tell(&site, &v, &gate, &Wanted { act: order.act, why: order.why }).await?;
    Ok(Json(json!({"told": told})).into_response())
}

/// A signed pass code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Shown {
    /// What the visitor's square says: `PG1.…`
    code: String,
}

/// A visitor shows a signed pass code: its plate is let in from now on, though this gate may never have heard of it.
#[utoipa::path(post, path = "/api/v1/passes/present", request_body = Shown, responses(
    (status = 200, description = "The pass", body = serde_json::Value),
    (status = 401, description = "No token", body = Problem),
    (status = 403, description = "Not a steward", body = Problem),
    (status = 404, description = "This gate belongs to no fleet", body = Problem),
    (status = 413, description = "More than is taken", body = Problem),
    (status = 422, description = "It is no pass of this compound, or was taken back", body = Problem),
))]
pub(super) async fn present(State(site): State<Arc<Site>>, v: Signed<Steward>, Body(shown): Body<Shown>) -> Answer {
    let id = visitors::present(&site, &v, &shown.code)?;
    let pass = site.gate.register.pass(id)?.ok_or(Refusal::NotFound)?;
    Ok(Json(super::register::pass_json(&pass, site.digits.of(id)?)).into_response())
}

/// The signed code of a pass, to be shown as a square.
#[utoipa::path(get, path = "/api/v1/passes/{id}/code",
    params(("id" = u64, Path, description = "Its number")), responses(
    (status = 200, description = "The code", body = serde_json::Value),
    (status = 400, description = "Not a number", body = Problem),
    (status = 401, description = "No token", body = Problem),
    (status = 403, description = "Not in this role", body = Problem),
    (status = 404, description = "There is none, or this gate belongs to no fleet", body = Problem),
))]
pub(super) async fn code(State(site): State<Arc<Site>>, _: Signed<Reader>, Path(id): Path<u64>) -> Answer {
    let fleet = site.gate.fleet.as_ref().ok_or(Refusal::NotFound)?;
    let pass = site.gate.register.pass(id)?.ok_or(Refusal::NotFound)?;
    let code = crate::fleet::pass_code::issue(&fleet.identity, &pass).map_err(|error| {
        tracing::error!(error, "a pass code could not be signed");
        Refusal::Broken
    })?;
    Ok(Json(json!({"code": code})).into_response())
}
