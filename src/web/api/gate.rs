//! How the gate is, opening it, and what was done.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::{Body, Problem};
use crate::camera::CameraState;
use crate::register::{self, Standing};
use crate::web::asked;
use crate::web::refusal::{Answer, Refusal};
use crate::web::visit::{Inspector, Reader, Signed, Steward};
use crate::web::{Site, by_hand};

/// How camera, arm and reading are.
#[utoipa::path(get, path = "/api/v1/status", responses(
    (status = 200, description = "How the gate is", body = serde_json::Value),
    (status = 401, description = "No token", body = Problem),
    (status = 403, description = "Not in this role", body = Problem),
))]
pub(super) async fn status(State(site): State<Arc<Site>>, _: Signed<Reader>) -> Answer {
    let gate = &site.gate;
    let camera = match gate.watcher.state() {
        CameraState::Opening => json!({"state": "opening"}),
        CameraState::Live { width, height } => json!({"state": "live", "width": width, "height": height}),
        CameraState::Lost { reason, since, attempts } => {
            json!({"state": "lost", "reason": reason, "since": since, "attempts": attempts})
        }
        CameraState::Ended => json!({"state": "ended"}),
    };
    let barrier = gate.barrier.state();
    let today = register::today();
    let snapshot = gate.register.snapshot();
    let unpaid = snapshot.vehicles().iter().filter(|v| v.standing(today) == Standing::Unpaid).count();
    let body = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "ready": site.is_ready(),
        "camera": camera,
        "source": gate.watcher.describe(),
        "frame_age_ms": gate.telemetry.newest_frame_age().map(|a| a.as_millis() as u64),
        "frames": gate.telemetry.frames(),
        "barrier": {
            "arm": barrier.arm, "state": barrier.state, "mode": barrier.mode, "pressed": barrier.pressed,
            "stuck": barrier.stuck, "presses": barrier.presses, "last_press": barrier.last_press,
            "failures": barrier.failures,
            "last_failure": barrier.last_failure.map(|f| json!({"at": f.at, "reason": f.reason})),
        },
        "register": {"vehicles": snapshot.vehicles().len(), "unpaid": unpaid},
        "events": gate.events.newest_number(),
        "webhooks": gate.board.all(),
        "mqtt": gate.link.status(),
    });
    Ok(Json(body).into_response())
}

/// Why to open.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Opening {
    /// In a few words, for the audit log.
    #[schema(min_length = 1, max_length = 80)]
    reason: String,
}

/// Presses "open", with the reason and who asked on record.
#[utoipa::path(post, path = "/api/v1/open", request_body = Opening, responses(
    (status = 200, description = "The relay moved, or had moved a moment ago", body = serde_json::Value),
    (status = 401, description = "No token", body = Problem),
    (status = 403, description = "Not a steward", body = Problem),
    (status = 413, description = "More than is taken", body = Problem),
    (status = 422, description = "No reason was given, or the relay failed", body = Problem),
))]
pub(super) async fn open(State(site): State<Arc<Site>>, v: Signed<Steward>, Body(asked): Body<Opening>) -> Answer {
    let reason = asked.reason.trim();
    if reason.is_empty() || reason.chars().count() > 80 {
        return Err(Refusal::bad("请写明原因", "reason: 1 to 80 characters are expected"));
    }
    let pressed = by_hand::open(&site, v.name(), Some(v.from), reason)?;
    Ok(Json(json!({"pulse": pressed})).into_response())
}

/// Which lines.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Lines {
    /// Older than this number.
    #[serde(default, deserialize_with = "asked::before")]
    before: Option<u64>,
    /// At most so many, and never more than 1000; 100 if not said.
    #[param(minimum = 1, maximum = 1000)]
    #[serde(default, deserialize_with = "asked::count::<_, 1000>")]
    count: Option<usize>,
}

/// The audit log, newest first.
#[utoipa::path(get, path = "/api/v1/audit", params(Lines), responses(
    (status = 200, description = "Who did what", body = Vec<serde_json::Value>),
    (status = 400, description = "A number is expected", body = Problem),
    (status = 401, description = "No token", body = Problem),
    (status = 403, description = "Neither auditor, treasurer nor maintainer", body = Problem),
))]
pub(super) async fn audit(State(site): State<Arc<Site>>, _: Signed<Inspector>, Query(lines): Query<Lines>) -> Answer {
    let lines = site.accounts.audit.newest(lines.count.unwrap_or(100), lines.before)?;
    Ok(Json(lines).into_response())
}
