//! The stewards' page: what the gate sees, how it is doing, who came; the register, passes, settings; and the API.
//!
//! In: handles to the running gate ([`Parts`]). Out: HTTP on the configured address, by default for this machine only. One
//! file or folder an area, each with its `routes()`; templates in `templates/web`, English texts in `locales`.
//!
//! # Who may
//!
//! [`guard`] lets nobody without a sign-in (or, on the API, a token) past the few public paths. A handler then says who may
//! use it by its argument: [`visit::Signed`] with a right, such as `Signed<Steward>`. What changes anything also takes its
//! form through [`sent::Sent`] (or [`sent::Upload`]), which checks the session's token, and writes a line of the audit log.

mod account;
mod api;
mod arrivals;
mod asked;
pub mod book;
pub mod by_hand;
pub mod cars;
pub mod certificate;
mod forgetting;
mod gates;
mod guard;
pub mod hand;
mod live;
mod now;
mod numbers;
pub mod refusal;
mod residents;
pub mod sent;
pub mod serve;
mod sessions;
pub mod settings;
mod sign_in;
mod site;
pub mod visit;
mod visitors;
pub mod words;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum_login::AuthManagerLayerBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use tower_sessions::SessionManagerLayer;
use tower_sessions::cookie::SameSite;

pub use arrivals::Corrections;
pub use serve::{bind, serve};
pub use sign_in::{Auth, say_next};
pub use site::{Parts, Site};

use refusal::Refusal;

/// The largest form; files have limits of their own.
const LARGEST_FORM: usize = 64 << 10;
/// No page takes longer; a handler that does has failed.
const LONGEST_ANSWER: Duration = Duration::from_secs(60);

/// All routes. `secure` asks browsers to send the session over HTTPS only.
pub fn router(site: Arc<Site>, secure: bool) -> Router {
    let sessions = SessionManagerLayer::new(site.door.sessions.clone())
        .with_name("plategate")
        .with_same_site(SameSite::Strict)
        .with_http_only(true)
        .with_secure(secure)
        .with_expiry(site.door.sessions.expiry());
    let auth = AuthManagerLayerBuilder::new(sign_in::Backend(site.accounts.clone()), sessions).build();
    Router::new()
        .merge(sign_in::routes())
        .merge(now::routes())
        .merge(hand::routes())
        .merge(cars::routes())
        .merge(book::routes())
        .merge(visitors::routes())
        .merge(arrivals::routes())
        .merge(gates::routes())
        .merge(numbers::routes())
        .merge(settings::routes())
        .merge(account::routes())
        .merge(residents::routes())
        .merge(api::routes())
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, LONGEST_ANSWER))
        // A stream of live events has no end, and a backup takes its time: these are not timed.
        .merge(live::routes())
        .merge(settings::slow_routes())
        .merge(watched())
        .merge(assets())
        .fallback(async || Refusal::NotFound)
        .layer(DefaultBodyLimit::max(LARGEST_FORM))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(site.clone(), guard::identify))
        .layer(auth)
        .layer(middleware::from_fn_with_state(site.clone(), guard::guard))
        .layer(middleware::from_fn(serve::only_encrypted))
        .with_state(site)
}

/// Takes the address, says on the console how to get in, and serves from a task of its own.
///
/// `greeting` is what the console says about a ready-made sign-in; it is printed for this machine only.
pub async fn start(site: &Arc<Site>, any_port: bool, greeting: Option<String>) -> anyhow::Result<()> {
    let settings = &site.gate.config.web;
    let listener = bind(settings.listen, any_port).await.with_context(|| format!("the page at {}", settings.listen))?;
    let address = listener.local_addr()?;
    let far = !address.ip().is_loopback();
    anyhow::ensure!(
        !(far && greeting.is_some()),
        "the demo's page, with its ready-made sign-in, is for this machine only: leave --listen at 127.0.0.1"
    );
    let tls = if far { Some(certificate::load(settings, site.gate.store.folder()).await?) } else { None };
    let scheme = if far { "https" } else { "http" };
    println!("The page: {scheme}://{address}");
    if let Some(code) = site.setup_code() {
        println!("First sign-in: open {scheme}://{address}/setup and enter the code {code}");
    }
    if let Some(greeting) = greeting {
        println!("{greeting}");
    }
    tokio::spawn(forgetting::keep_forgetting(site.clone()));
    tokio::spawn(serve(listener, router(site.clone(), far), tls));
    Ok(())
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a page panicked");
    Refusal::Broken.into_response()
}

/// For programs that watch the box.
fn watched() -> Router<Arc<Site>> {
    async fn healthz(State(site): State<Arc<Site>>) -> Response {
        if site.gate.telemetry.lane_is_alive() {
            "ok\n".into_response()
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "the lane stands still\n").into_response()
        }
    }
    async fn readyz(State(site): State<Arc<Site>>) -> Response {
        if site.is_ready() {
            "ready\n".into_response()
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "no frames\n").into_response()
        }
    }
    async fn metrics(State(site): State<Arc<Site>>) -> impl IntoResponse {
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        if let Some(fleet) = &site.gate.fleet {
            site.gate.telemetry.fleet(&fleet.status);
        }
        ([(header::CONTENT_TYPE, kind)], site.gate.telemetry.page(&site.vitals()))
    }
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz)).route("/metrics", get(metrics))
}

/// Style, scripts and signs, from the program itself.
fn assets() -> Router<Arc<Site>> {
    let asset = |kind: &'static str, body: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "max-age=600")], body) })
    };
    let script = "text/javascript; charset=utf-8";
    Router::new()
        .route("/assets/page.css", asset("text/css; charset=utf-8", include_str!("assets/page.css")))
        .route("/assets/live.js", asset(script, include_str!("assets/live.js")))
        .route("/assets/pad.js", asset(script, include_str!("assets/pad.js")))
        .route("/assets/lane.js", asset(script, include_str!("assets/lane.js")))
        .route("/assets/icon.svg", asset("image/svg+xml", include_str!("assets/icon.svg")))
}
