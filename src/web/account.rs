//! One's own account: a new password, and the second factor.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde::Deserialize;

use super::refusal::{Answer, Refusal, again, page};
use super::sent::Sent;
use super::sign_in::Member;
use super::visit::{Anyone, Signed, Visit};
use super::visitors::square;
use super::{Auth, Site, say_next};
use crate::accounts::{AccountError, Enrolment, Role, User};

/// The routes.
pub fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/account", get(show))
        .route("/account/password", post(password))
        .route("/account/second", get(second_form).post(second))
        .route("/account/second/off", post(second_off))
}

#[derive(Template)]
#[template(path = "web/account.html")]
struct AccountPage<'a> {
    v: &'a Visit,
    user: &'a User,
    roles: Vec<String>,
}

async fn show(v: Signed<Anyone>) -> Answer {
    let user = v.who.as_ref().ok_or(Refusal::SignIn)?;
    let roles = user.roles.iter().map(|r| role_words(*r, &v)).collect();
    page(&AccountPage { v: &v, user, roles })
}

/// A role in the visitor's language.
pub(super) fn role_words(role: Role, v: &Visit) -> String {
    v.say(role.zh(), role.word()).to_owned()
}

/// Goes on in this session under the changed account; all others of this person have ended.
async fn go_on(auth: &mut Auth, user: User) -> Result<(), Refusal> {
    auth.login(&Member(user)).await.map_err(|_| Refusal::Broken)
}

#[derive(Deserialize)]
struct Passwords {
    #[serde(default)]
    old: String,
    #[serde(default)]
    digits: String,
    #[serde(default)]
    new: String,
}

/// Asks for the password again, as often as a sign-in may be tried.
async fn confirm(site: &Arc<Site>, v: &Visit, password: String, digits: String) -> Result<(), Refusal> {
    site.door.may_try(v.from, v.name())?;
    let (accounts, name) = (site.accounts.clone(), v.name().to_owned());
    let found = site.door.hash(move || accounts.sign_in(&name, &password, &digits)).await??;
    found.map(|_| ()).ok_or_else(|| Refusal::bad("现在的密码或验证码不对", "the present password or code is wrong"))
}

async fn password(
    State(site): State<Arc<Site>>,
    v: Signed<Anyone>,
    Extension(mut auth): Extension<Auth>,
    Sent(sent): Sent<Passwords>,
) -> Answer {
    confirm(&site, &v, sent.old, sent.digits).await?;
    let (accounts, name) = (site.accounts.clone(), v.name().to_owned());
    let user = site.door.hash(move || accounts.set_password(&name, &sent.new)).await??;
    site.accounts.audit.add(v.name(), "修改自己的密码", "", Some(v.from))?;
    go_on(&mut auth, user).await?;
    say_next(&auth, v.t("密码已修改，其他设备需要重新登录")).await;
    Ok(Redirect::to("/account").into_response())
}

#[derive(Template)]
#[template(path = "web/second.html")]
struct SecondPage<'a> {
    v: &'a Visit,
    qr: String,
    secret: &'a str,
    wrong: Option<String>,
}

/// Where a secret waits until its first digits were right.
const WAITING: &str = "second";

async fn second_form(v: Signed<Anyone>, Extension(auth): Extension<Auth>) -> Answer {
    let enrolment = Enrolment::new(v.name());
    auth.session.insert(WAITING, enrolment.secret()).await.map_err(|_| Refusal::Broken)?;
    page(&SecondPage { v: &v, qr: square(&enrolment.url()), secret: enrolment.secret(), wrong: None })
}

#[derive(Deserialize)]
struct Digits {
    #[serde(default)]
    digits: String,
}

async fn second(
    State(site): State<Arc<Site>>,
    v: Signed<Anyone>,
    Extension(mut auth): Extension<Auth>,
    Sent(sent): Sent<Digits>,
) -> Answer {
    site.door.may_try(v.from, v.name())?;
    let secret: Option<String> = auth.session.get(WAITING).await.map_err(|_| Refusal::Broken)?;
    let enrolment = secret.and_then(|s| Enrolment::of(v.name(), &s)).ok_or(Refusal::Forged)?;
    match site.accounts.set_second(v.name(), &enrolment, &sent.digits) {
        Ok(user) => {
            let _ = auth.session.remove::<String>(WAITING).await;
            site.accounts.audit.add(v.name(), "开启两步验证", "", Some(v.from))?;
            go_on(&mut auth, user).await?;
            say_next(&auth, v.t("两步验证已开启")).await;
            Ok(Redirect::to("/account").into_response())
        }
        Err(error @ AccountError::Second) => {
            let wrong = Some(v.say(error.zh(), &error.to_string()).to_owned());
            again(&SecondPage { v: &v, qr: square(&enrolment.url()), secret: enrolment.secret(), wrong })
        }
        Err(other) => Err(other.into()),
    }
}

async fn second_off(
    State(site): State<Arc<Site>>,
    v: Signed<Anyone>,
    Extension(mut auth): Extension<Auth>,
    Sent(sent): Sent<Passwords>,
) -> Answer {
    confirm(&site, &v, sent.old, sent.digits).await?;
    let user = site.accounts.clear_second(v.name())?;
    site.accounts.audit.add(v.name(), "关闭两步验证", "", Some(v.from))?;
    go_on(&mut auth, user).await?;
    say_next(&auth, v.t("两步验证已关闭")).await;
    Ok(Redirect::to("/account").into_response())
}
