//! Joining: a resident with an invitation's code chooses a name and a password, and is in.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Extension, Router};
use serde::Deserialize;

use crate::accounts::AccountError;
use crate::ledger::Account;
use crate::web::refusal::{Answer, again, page};
use crate::web::sent::Early;
use crate::web::sign_in::{Newcomer, begin};
use crate::web::visit::{Guest, Visit};
use crate::web::{Auth, Site};

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/join", get(form).post(join))
}

#[derive(Template)]
#[template(path = "web/residents/join.html")]
struct JoinPage<'a> {
    v: &'a Visit,
    name: &'a str,
    code: &'a str,
    wrong: Option<&'a str>,
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    code: String,
}

/// The form. Looking at it uses nothing up: messengers fetch the addresses that people send.
async fn form(v: Guest, Query(told): Query<Told>) -> Answer {
    page(&JoinPage { v: &v, name: "", code: &told.code, wrong: None })
}

async fn join(
    State(site): State<Arc<Site>>,
    v: Guest,
    Extension(auth): Extension<Auth>,
    Early(sent): Early<Newcomer>,
) -> Answer {
    site.door.may_try(v.from, sent.code.trim())?;
    let again = |wrong: &str| again(&JoinPage { v: &v, name: &sent.name, code: &sent.code, wrong: Some(wrong) });
    // Looked up before the work of hashing is done for a stranger.
    if site.accounts.invitations.find(&sent.code)?.is_none() {
        site.accounts.audit.add("-", "邀请码错误", "", Some(v.from))?;
        let error = AccountError::Invitation;
        return again(v.say(error.zh(), &error.to_string()));
    }
    // A name in the book is somebody's who kept money, be it long ago.
    let kept_money = Account::Cash(sent.name.trim().to_owned());
    if site.gate.register.ledger().book().balances().any(|(account, _)| *account == kept_money) {
        let error = AccountError::Taken;
        return again(v.say(error.zh(), &error.to_string()));
    }
    let (accounts, code, name, password) =
        (site.accounts.clone(), sent.code.clone(), sent.name.clone(), sent.password.clone());
    match site.door.hash(move || accounts.join(&code, &name, &password)).await? {
        Ok(user) => {
            let household = user.household.clone().unwrap_or_default();
            site.accounts.audit.add_of(&user.name, "住户加入", &household, "", Some(v.from))?;
            begin(&site, &v, auth, user).await
        }
        Err(AccountError::Store(error)) => Err(error.into()),
        Err(error) => again(v.say(error.zh(), &error.to_string())),
    }
}
