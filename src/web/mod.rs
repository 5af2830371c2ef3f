//! The stewards' page: what the gate sees, how it is doing, who came.
//!
//! In: handles to the running gate. Out: HTTP on the configured address, by default for this machine only. It looks, and
//! changes nothing; signing in and editing the register are to come.

pub mod words;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;

use crate::barrier::Barrier;
use crate::camera::{CameraState, Watcher};
use crate::gate::event::Event;
use crate::gate::viewfinder::Viewfinder;
use crate::register::{self, Register, Standing};
use crate::store::events::Events;
use crate::telemetry::Telemetry;

/// What the page looks at.
pub struct Page {
    /// The camera's state.
    pub watcher: Watcher,
    /// The barrier's state.
    pub barrier: Arc<Barrier>,
    /// The register.
    pub register: Arc<Register>,
    /// The journal.
    pub events: Arc<Events>,
    /// What the lane sees.
    pub viewfinder: Arc<Viewfinder>,
    /// Counters.
    pub telemetry: Arc<Telemetry>,
}

/// A gate whose newest frame is older than this is not ready.
const FRESH: Duration = Duration::from_secs(5);

impl Page {
    fn is_live(&self) -> bool {
        matches!(self.watcher.state(), CameraState::Live { .. })
    }

    /// Do frames come, and does the lane read them?
    fn is_ready(&self) -> bool {
        self.is_live() && self.telemetry.newest_frame_age().is_some_and(|age| age < FRESH)
    }
}

/// Takes the address; if it is taken and `any_port` is allowed, another port.
pub async fn bind(listen: SocketAddr, any_port: bool) -> std::io::Result<TcpListener> {
    match TcpListener::bind(listen).await {
        Err(e) if any_port && e.kind() == std::io::ErrorKind::AddrInUse => {
            TcpListener::bind(SocketAddr::new(listen.ip(), 0)).await
        }
        other => other,
    }
}

/// Serves until the runtime is shut down.
pub async fn serve(listener: TcpListener, page: Arc<Page>) {
    if let Err(error) = axum::serve(listener, router(page)).await {
        tracing::error!(%error, "the page stopped");
    }
}

/// All routes.
pub fn router(page: Arc<Page>) -> Router {
    Router::new()
        .route("/", get(|| asset("text/html; charset=utf-8", include_str!("assets/index.html"))))
        .route("/assets/page.css", get(|| asset("text/css; charset=utf-8", include_str!("assets/page.css"))))
        .route("/assets/page.js", get(|| asset("text/javascript; charset=utf-8", include_str!("assets/page.js"))))
        .route("/live.jpg", get(live))
        .route("/api/v1/status", get(status))
        .route("/api/v1/events", get(events))
        .route("/api/v1/events/{id}", get(event))
        .route("/api/v1/events/{id}/picture", get(picture))
        .route("/api/v1/openapi.json", get(|| asset("application/json", include_str!("assets/openapi.json"))))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .layer(middleware::from_fn(guard))
        .with_state(page)
}

/// Refuses requests that a foreign page sends under a name of its own (DNS rebinding), and tells browsers to load nothing
/// from elsewhere.
async fn guard(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    if !is_own_name(host) {
        return (StatusCode::MISDIRECTED_REQUEST, "use the gate's address, or localhost\n").into_response();
    }
    let mut response = next.run(request).await;
    let policy =
        "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// An IP address, `localhost`, or a name without a dot (a machine of this network).
fn is_own_name(host: &str) -> bool {
    if host.parse::<SocketAddr>().is_ok() || host.parse::<std::net::IpAddr>().is_ok() {
        return true;
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    let local = name.ends_with(".local") || name.ends_with(".lan") || !name.contains('.');
    !name.is_empty() && (local || name.parse::<std::net::IpAddr>().is_ok())
}

async fn asset(kind: &'static str, body: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind)], body)
}

async fn live(State(page): State<Arc<Page>>) -> Response {
    let Some(view) = page.viewfinder.look() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "no frame yet\n").into_response();
    };
    let jpeg = tokio::task::spawn_blocking(move || view.to_jpeg(70)).await;
    match jpeg {
        Ok(Ok(jpeg)) => ([(header::CONTENT_TYPE, "image/jpeg")], jpeg).into_response(),
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn status(State(page): State<Arc<Page>>) -> Json<serde_json::Value> {
    let camera = match page.watcher.state() {
        CameraState::Opening => json!({"state": "opening"}),
        CameraState::Live { width, height } => json!({"state": "live", "width": width, "height": height}),
        CameraState::Lost { reason, since, attempts } => {
            json!({"state": "lost", "reason": reason, "since": since, "attempts": attempts})
        }
        CameraState::Ended => json!({"state": "ended"}),
    };
    let barrier = page.barrier.state();
    let today = register::today();
    let snapshot = page.register.snapshot();
    let unpaid = snapshot.vehicles().iter().filter(|v| v.standing(today) == Standing::Unpaid).count();
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "ready": page.is_ready(),
        "camera": camera,
        "source": page.watcher.describe(),
        "frame_age_ms": page.telemetry.newest_frame_age().map(|a| a.as_millis() as u64),
        "frames": page.telemetry.frames(),
        "barrier": {
            "arm": barrier.arm, "pressed": barrier.pressed, "stuck": barrier.stuck, "presses": barrier.presses,
            "last_press": barrier.last_press, "failures": barrier.failures,
            "last_failure": barrier.last_failure.map(|f| json!({"at": f.at, "reason": f.reason})),
        },
        "register": {"vehicles": snapshot.vehicles().len(), "unpaid": unpaid},
        "events": page.events.count(),
    }))
}

#[derive(Deserialize)]
struct Window {
    before: Option<u64>,
    count: Option<usize>,
}

async fn events(State(page): State<Arc<Page>>, Query(window): Query<Window>) -> Response {
    let count = window.count.unwrap_or(20).clamp(1, 200);
    match page.events.newest(count, window.before) {
        Ok(events) => Json(events.iter().map(explained).collect::<Vec<_>>()).into_response(),
        Err(error) => failed(&error),
    }
}

async fn event(State(page): State<Arc<Page>>, Path(id): Path<u64>) -> Response {
    match page.events.get(id) {
        Ok(Some(event)) => Json(explained(&event)).into_response(),
        Ok(None) => (StatusCode::NOT_FOUND, Json(json!({"error": "no such event"}))).into_response(),
        Err(error) => failed(&error),
    }
}

async fn picture(State(page): State<Arc<Page>>, Path(id): Path<u64>) -> Response {
    let path = match page.events.get(id) {
        Ok(event) => event.and_then(|e| page.events.picture_path(&e)),
        Err(error) => return failed(&error),
    };
    // Who looked is part of the record (personal data).
    tracing::info!(event = id, "a picture was looked at");
    match path.map(tokio::fs::read) {
        Some(read) => match read.await {
            Ok(jpeg) => ([(header::CONTENT_TYPE, "image/jpeg")], jpeg).into_response(),
            Err(_) => (StatusCode::NOT_FOUND, "the picture is gone\n").into_response(),
        },
        None => (StatusCode::NOT_FOUND, "no picture\n").into_response(),
    }
}

/// An event with its rule in words.
fn explained(event: &Event) -> serde_json::Value {
    let mut value = serde_json::to_value(event).unwrap_or_default();
    value["rule_zh"] = json!(words::rule_zh(event.rule));
    value["rule_en"] = json!(words::rule(event.rule));
    value
}

fn failed(error: &crate::store::StoreError) -> Response {
    tracing::error!(%error, "the page could not read the journal");
    (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"error": "the journal could not be read"}))).into_response()
}

async fn healthz(State(page): State<Arc<Page>>) -> Response {
    if page.telemetry.lane_is_alive() {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the lane stands still\n").into_response()
    }
}

async fn readyz(State(page): State<Arc<Page>>) -> Response {
    if page.is_ready() {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no frames\n").into_response()
    }
}

async fn metrics(State(page): State<Arc<Page>>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], page.telemetry.text(page.is_live()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_names_are_refused() {
        for host in ["127.0.0.1:8460", "localhost:8460", "192.168.1.9", "[::1]:8460", "gate", "gate.local:8460"] {
            assert!(is_own_name(host), "{host}");
        }
        for host in ["", "evil.example", "evil.example:8460", "127.0.0.1.evil.example"] {
            assert!(!is_own_name(host), "{host}");
        }
    }

    #[test]
    fn the_description_of_the_interface_is_json_and_whole() {
        let described: serde_json::Value = serde_json::from_str(include_str!("assets/openapi.json")).unwrap();
        for path in ["/api/v1/status", "/api/v1/events", "/api/v1/events/{id}", "/api/v1/events/{id}/picture"] {
            assert!(described["paths"][path]["get"].is_object(), "{path}");
        }
    }
}
