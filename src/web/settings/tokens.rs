//! Sessions of people and tokens of programs: listing and ending them, and making a token.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use axum::{Extension, Router};
use jiff::Timestamp;
use serde::Deserialize;

use crate::accounts::tokens::Token;
use crate::web::refusal::{Answer, Refusal, page};
use crate::web::sent::Sent;
use crate::web::sessions::Open;
use crate::web::visit::{Maintainer, Signed, Visit};
use crate::web::{Auth, Site, say_next};

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/settings/access", get(list).post(make))
        .route("/settings/access/tokens/{id}/revoke", post(revoke))
        .route("/settings/access/sessions/{label}/end", post(end))
}

#[derive(Template)]
#[template(path = "web/access.html")]
struct AccessPage<'a> {
    v: &'a Visit,
    sessions: Vec<Open>,
    tokens: Vec<Token>,
    users: Vec<String>,
    now: Timestamp,
}

async fn list(State(site): State<Arc<Site>>, v: Signed<Maintainer>) -> Answer {
    let users =
        site.accounts.users()?.into_iter().filter(|u| !u.disabled && !u.is_resident()).map(|u| u.name).collect();
    let (sessions, tokens) = (site.door.sessions.open(), site.accounts.tokens.all()?);
    page(&AccessPage { v: &v, sessions, tokens, users, now: Timestamp::now() })
}

#[derive(Deserialize)]
struct New {
    #[serde(default)]
    label: String,
    #[serde(default)]
    user: String,
    days: u32,
}

async fn make(
    State(site): State<Arc<Site>>,
    v: Signed<Maintainer>,
    Extension(auth): Extension<Auth>,
    Sent(new): Sent<New>,
) -> Answer {
    if new.label.trim().is_empty() || !(1..=730).contains(&new.days) {
        return Err(Refusal::bad("请写明用途，有效期 1 到 730 天", "say what it is for, and 1 to 730 days"));
    }
    let user = site.accounts.user(&new.user)?.filter(|u| !u.disabled && !u.is_resident()).ok_or(Refusal::NotFound)?;
    let (token, secret) = site.accounts.tokens.make(&user.name, &new.label, new.days)?;
    site.accounts.audit.add(v.name(), "发令牌", &format!("{} ({})", token.label, token.user), Some(v.from))?;
    say_next(&auth, v.f1("令牌（只显示这一次）：{}", secret)).await;
    Ok(Redirect::to("/settings/access").into_response())
}

#[derive(Deserialize)]
struct Nothing {}

async fn revoke(
    State(site): State<Arc<Site>>,
    v: Signed<Maintainer>,
    Path(id): Path<String>,
    Extension(auth): Extension<Auth>,
    Sent(Nothing {}): Sent<Nothing>,
) -> Answer {
    if !site.accounts.tokens.revoke(&id)? {
        return Err(Refusal::NotFound);
    }
    site.accounts.audit.add_of(v.name(), "收回令牌", &id[..12.min(id.len())], "", Some(v.from))?;
    say_next(&auth, v.t("令牌已收回")).await;
    Ok(Redirect::to("/settings/access").into_response())
}

async fn end(
    State(site): State<Arc<Site>>,
    v: Signed<Maintainer>,
    Path(label): Path<String>,
    Extension(auth): Extension<Auth>,
    Sent(Nothing {}): Sent<Nothing>,
) -> Answer {
    if !site.door.sessions.end(&label) {
        return Err(Refusal::NotFound);
    }
    site.accounts.audit.add(v.name(), "结束登录", &label, Some(v.from))?;
    say_next(&auth, v.t("已结束")).await;
    Ok(Redirect::to("/settings/access").into_response())
}
