//! The JSON interface `/api/v1`, with the same rights as the pages: a program's token may do what its user may.
//!
//! Described at `/api/v1/openapi.json`, from the same attributes that stand on the handlers. What changes anything needs a
//! token: a browser's session alone is not enough, so that no page of another site can use it.

mod book;
mod events;
mod gate;
mod gates;
mod money;
mod notices;
mod register;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::response::IntoResponse;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};

use super::Site;
use super::book::LARGEST_RECEIPT;
use super::refusal::{Answer, Refusal};
use super::visit::{Reader, Signed, Visit};

/// The routes.
pub fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/api/v1/openapi.json", get(description))
        .route("/api/v1/status", get(gate::status))
        .route("/api/v1/open", post(gate::open))
        .route("/api/v1/audit", get(gate::audit))
        .route("/api/v1/book", get(book::sums))
        .route("/api/v1/book/entries", get(book::entries))
        .route("/api/v1/book/entries/{number}", get(book::entry))
        .route("/api/v1/book/statement", get(book::statement))
        .route("/api/v1/book/contributions", post(money::contribute))
        .route("/api/v1/book/fees", post(money::pay_fee))
        .route("/api/v1/book/spendings", post(money::spend))
        .route("/api/v1/book/receipts", post(money::receipt).layer(DefaultBodyLimit::max(LARGEST_RECEIPT)))
        .route("/api/v1/book/refunds", post(money::refund))
        .route("/api/v1/book/offers", post(money::offer))
        .route("/api/v1/book/offers/{offer}/confirm", post(money::confirm))
        .route("/api/v1/book/offers/{offer}/withdraw", post(money::withdraw))
        .route("/api/v1/book/reminders", get(book::reminders))
        .route("/api/v1/events", get(events::list))
        .route("/api/v1/events/{id}", get(events::one))
        .route("/api/v1/events/{id}/picture", get(events::picture))
        .route("/api/v1/notices", get(notices::list))
        .route("/api/v1/households", get(register::households))
        .route("/api/v1/vehicles", get(register::vehicles))
        .route(
            "/api/v1/vehicles/{plate}",
            get(register::vehicle).put(register::put_vehicle).delete(register::delete_vehicle),
        )
        .route("/api/v1/passes", get(register::passes).post(register::give_pass))
        .route("/api/v1/passes/present", post(gates::present))
        .route("/api/v1/passes/{id}/code", get(gates::code))
        .route("/api/v1/gates", get(gates::list))
        .route("/api/v1/gates/{gate}/do", post(gates::order))
        .route("/api/v1/passes/{id}", delete(register::take_pass_back))
}

/// What went wrong.
#[derive(Serialize, ToSchema)]
struct Problem {
    /// In one line.
    #[allow(dead_code)]
    error: String,
}

#[derive(OpenApi)]
#[openapi(
    info(title = "plategate", description = "A licence-plate gate: how it is, who came, who may come in."),
    paths(
        gate::status, gate::open, gate::audit, book::sums, book::entries, book::entry, book::statement, book::reminders,
        money::contribute, money::pay_fee, money::spend, money::receipt, money::refund, money::offer, money::confirm,
        money::withdraw, events::list, events::one, events::picture, notices::list, register::households,
        register::vehicles, register::vehicle, register::put_vehicle, register::delete_vehicle, register::passes,
        register::give_pass, register::take_pass_back, gates::list, gates::order, gates::present, gates::code,
    ),
    components(schemas(Problem)),
    modifiers(&Bearer),
    security(("token" = []))
)]
struct Description;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        openapi.components.get_or_insert_with(Default::default).add_security_scheme("token", scheme);
    }
}

async fn description(_: Signed<Reader>) -> Answer {
    Ok(Json(Description::openapi()).into_response())
}

/// Asked by a program with a token, not by a browser with a session.
struct Program;

impl Program {
    fn check(visit: &Visit) -> Result<(), Refusal> {
        if visit.is_program { Ok(()) } else { Err(Refusal::Forged) }
    }
}

impl FromRequestParts<Arc<Site>> for Program {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Site>) -> Result<Program, Refusal> {
        Program::check(parts.extensions.get::<Arc<Visit>>().ok_or(Refusal::SignIn)?)?;
        Ok(Program)
    }
}

/// A JSON body of a program.
struct Body<T>(T);

impl<T: DeserializeOwned> FromRequest<Arc<Site>> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Body<T>, Refusal> {
        Program::check(request.extensions().get::<Arc<Visit>>().ok_or(Refusal::SignIn)?)?;
        let bytes = Bytes::from_request(request, site).await.map_err(|_| Refusal::TooLarge)?;
        serde_json::from_slice(&bytes).map(Body).map_err(|e| {
            let why: String = e.to_string().chars().take(160).collect();
            Refusal::bad(format!("JSON 有误：{why}"), format!("the body is not right: {why}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The routes as they stand above: each path with its methods.
    fn routed() -> BTreeSet<(String, &'static str)> {
        let source = include_str!("mod.rs");
        let source = &source[..source.find("#[cfg(test)]").unwrap()];
        let routes = source.split(".route(").skip(1).filter_map(|route| {
            let path = route.split('"').nth(1)?;
            let methods = ["get", "post", "put", "delete"].into_iter();
            Some(methods.filter(|m| route.contains(&format!("{m}("))).map(|m| (path.to_owned(), m)).collect::<Vec<_>>())
        });
        routes.flatten().filter(|(path, _)| path != "/api/v1/openapi.json").collect()
    }

    #[test]
    fn every_route_is_described_and_every_description_has_its_route() {
        let described = serde_json::to_value(Description::openapi()).unwrap();
        let paths = described["paths"].as_object().unwrap().iter();
        let methods = |(path, of): (&String, &serde_json::Value)| {
            let method = |m: &String| ["get", "post", "put", "delete"].into_iter().find(|known| known == m).unwrap();
            of.as_object().unwrap().keys().map(|m| (path.clone(), method(m))).collect::<Vec<_>>()
        };
        let described_routes: BTreeSet<_> = paths.flat_map(methods).collect();
        assert_eq!(described_routes, routed());
        assert!(described_routes.len() > 30);
        assert_eq!(described["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    }
}
