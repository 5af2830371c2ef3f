//! A steward's side: inviting a household, and looking after its residents' sign-ins.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use axum::{Extension, Router};
use serde::Deserialize;

use crate::accounts::invitations::Invitation;
use crate::accounts::{User, code};
use crate::store::StoreError;
use crate::web::refusal::{Answer, Refusal, page};
use crate::web::sent::Sent;
use crate::web::visit::{Signed, Steward, Visit};
use crate::web::visitors::square;
use crate::web::{Auth, Site, say_next};

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/households/{key}/invite", post(invite))
        .route("/households/{key}/invitations/{id}/revoke", post(revoke))
        .route("/households/{key}/residents/{name}", post(change))
        .route("/households/{key}/residents/{name}/password", post(password))
}

/// Who of a household may sign in, and who is invited.
pub(in crate::web) struct Members {
    pub residents: Vec<User>,
    pub invitations: Vec<Invitation>,
}

impl Members {
    pub(in crate::web) fn of(site: &Site, household: &str) -> Result<Members, StoreError> {
        let (residents, invitations) = (site.accounts.residents(household)?, site.accounts.invitations.of(household)?);
        Ok(Members { residents, invitations })
    }
}

#[derive(Template)]
#[template(path = "web/residents/invitation.html")]
struct InvitationPage<'a> {
    v: &'a Visit,
    household: &'a str,
    code: &'a str,
    qr: String,
    message: String,
}

#[derive(Deserialize)]
struct Nothing {}

/// Makes an invitation and shows it, this once.
async fn invite(
    State(site): State<Arc<Site>>,
    v: Signed<Steward>,
    Path(key): Path<String>,
    Sent(Nothing {}): Sent<Nothing>,
) -> Answer {
    if site.gate.register.household(&key)?.is_none() {
        return Err(Refusal::NotFound);
    }
    let days = site.gate.config.residents.invitation_days;
    let (invitation, code) = site.accounts.invitations.make(&key, v.name(), days)?;
    site.accounts.audit.add_of(v.name(), "邀请住户", &key, "", Some(v.from))?;
    let address = format!("{}/join?code={code}", v.base);
    let message = v.f(
        "{} 户：打开 {} （邀请码 {}），设置名字和密码，就可以自己给访客发通行证。{} 前有效，只能用一次，请勿转发。",
        &[&key, &address, &code, &v.short_time(&invitation.until)],
    );
    page(&InvitationPage { v: &v, household: &key, code: &code, qr: square(&address), message })
}

fn back(key: &str) -> Response {
    // A household's key may have letters of any script: it goes into the address with percent signs.
    let encoded: String = key
        .bytes()
        .map(|b| match b {
            b'-' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => char::from(b).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    Redirect::to(&format!("/households/{encoded}")).into_response()
}

async fn revoke(
    State(site): State<Arc<Site>>,
    v: Signed<Steward>,
    Path((key, id)): Path<(String, String)>,
    Extension(auth): Extension<Auth>,
    Sent(Nothing {}): Sent<Nothing>,
) -> Answer {
    if !site.accounts.invitations.revoke(&key, &id)? {
        return Err(Refusal::NotFound);
    }
    site.accounts.audit.add_of(v.name(), "收回邀请", &key, "", Some(v.from))?;
    say_next(&auth, v.t("邀请已收回")).await;
    Ok(back(&key))
}

#[derive(Deserialize)]
struct Changed {
    disabled: Option<String>,
}

async fn change(
    State(site): State<Arc<Site>>,
    v: Signed<Steward>,
    Path((key, name)): Path<(String, String)>,
    Extension(auth): Extension<Auth>,
    Sent(sent): Sent<Changed>,
) -> Answer {
    let user = site.accounts.set_resident(&key, &name, sent.disabled.is_some())?;
    let about = format!("{key} {name}{}", if user.disabled { " 停用" } else { "" });
    site.accounts.audit.add_of(v.name(), "修改用户", &about, "", Some(v.from))?;
    say_next(&auth, v.t("已保存")).await;
    Ok(back(&key))
}

async fn password(
    State(site): State<Arc<Site>>,
    v: Signed<Steward>,
    Path((key, name)): Path<(String, String)>,
    Extension(auth): Extension<Auth>,
    Sent(Nothing {}): Sent<Nothing>,
) -> Answer {
    let password = code::for_people();
    let (accounts, household, whose, given) = (site.accounts.clone(), key.clone(), name.clone(), password.clone());
    site.door.hash(move || accounts.readmit(&household, &whose, &given)).await??;
    site.accounts.audit.add_of(v.name(), "重设密码", &format!("{key} {name}"), "", Some(v.from))?;
    let told = v.f2("{} 的初始密码是 {} （只显示这一次，请当面告知，并让其登录后修改）", &name, &password);
    say_next(&auth, told).await;
    Ok(back(&key))
}
