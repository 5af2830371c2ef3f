//! People: letting them in, their roles, a new password for who forgot it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde::Deserialize;

use crate::accounts::{Role, User, code};
use crate::web::account::role_words;
use crate::web::refusal::{Answer, Refusal, again, page};
use crate::web::sent::Sent;
use crate::web::visit::{Maintainer, Signed, Visit};
use crate::web::{Auth, Site, say_next};

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/settings/users", get(list).post(add))
        .route("/settings/users/{name}", post(change))
        .route("/settings/users/{name}/password", post(password))
        .route("/settings/users/{name}/second", post(second))
}

struct Line {
    user: User,
    roles: Vec<(&'static str, String, bool)>,
}

#[derive(Template)]
#[template(path = "web/users.html")]
struct UsersPage<'a> {
    v: &'a Visit,
    lines: Vec<Line>,
    roles: Vec<(&'static str, String, bool)>,
    wrong: Option<String>,
    name: &'a str,
}

impl<'a> UsersPage<'a> {
    fn new(site: &Site, v: &'a Visit, name: &'a str, wrong: Option<String>) -> Result<UsersPage<'a>, Refusal> {
        let ticks = |user: Option<&User>| {
            let has = |r: Role| user.is_some_and(|u| u.roles.contains(&r));
            Role::STAFF.map(|r| (r.word(), role_words(r, v), has(r))).to_vec()
        };
        // Residents are on their household's page.
        let staff = site.accounts.users()?.into_iter().filter(|u| !u.is_resident());
        let lines = staff.map(|user| Line { roles: ticks(Some(&user)), user }).collect();
        Ok(UsersPage { v, lines, roles: ticks(None), wrong, name })
    }
}

async fn list(State(site): State<Arc<Site>>, v: Signed<Maintainer>) -> Answer {
    page(&UsersPage::new(&site, &v, "", None)?)
}

#[derive(Deserialize)]
struct New {
    #[serde(default)]
    name: String,
    #[serde(default)]
    roles: Vec<Role>,
}

/// Lets somebody in, with a password by chance that is shown once.
async fn add(
    State(site): State<Arc<Site>>,
    v: Signed<Maintainer>,
    Extension(auth): Extension<Auth>,
    Sent(new): Sent<New>,
) -> Answer {
    let password = code::for_people();
    let (accounts, name, roles, given) = (site.accounts.clone(), new.name.clone(), new.roles, password.clone());
    match site.door.hash(move || accounts.add(&name, &given, &roles)).await? {
        Ok(user) => {
            site.accounts.audit.add_of(v.name(), "添加用户", &user.name, "", Some(v.from))?;
            say_next(&auth, told(&v, &user.name, &password)).await;
            Ok(Redirect::to("/settings/users").into_response())
        }
        Err(error) => {
            let wrong = v.say(error.zh(), &error.to_string()).to_owned();
            again(&UsersPage::new(&site, &v, &new.name, Some(wrong))?)
        }
    }
}

fn told(v: &Visit, name: &str, password: &str) -> String {
    v.f2("{} 的初始密码是 {} （只显示这一次，请当面告知，并让其登录后修改）", name, password)
}

#[derive(Deserialize)]
struct Changed {
    #[serde(default)]
    roles: Vec<Role>,
    disabled: Option<String>,
}

async fn change(
    State(site): State<Arc<Site>>,
    v: Signed<Maintainer>,
    Path(name): Path<String>,
    Extension(auth): Extension<Auth>,
    Sent(sent): Sent<Changed>,
) -> Answer {
    let user = site.accounts.set_roles(&name, &sent.roles, sent.disabled.is_some())?;
    let roles: Vec<&str> = user.roles.iter().map(|r| r.zh()).collect();
    let about = format!("{name}: {}{}", roles.join(" "), if user.disabled { " 停用" } else { "" });
    site.accounts.audit.add_of(v.name(), "修改用户", &about, "", Some(v.from))?;
    say_next(&auth, v.t("已保存")).await;
    Ok(Redirect::to("/settings/users").into_response())
}

#[derive(Deserialize)]
struct Nothing {}

async fn password(
    State(site): State<Arc<Site>>,
    v: Signed<Maintainer>,
    Path(name): Path<String>,
    Extension(auth): Extension<Auth>,
    Sent(Nothing {}): Sent<Nothing>,
) -> Answer {
    let password = code::for_people();
    let (accounts, whose, given) = (site.accounts.clone(), name.clone(), password.clone());
    site.door.hash(move || accounts.set_password(&whose, &given)).await??;
    site.accounts.audit.add_of(v.name(), "重设密码", &name, "", Some(v.from))?;
    say_next(&auth, told(&v, &name, &password)).await;
    Ok(Redirect::to("/settings/users").into_response())
}

async fn second(
    State(site): State<Arc<Site>>,
    v: Signed<Maintainer>,
    Path(name): Path<String>,
    Extension(auth): Extension<Auth>,
    Sent(Nothing {}): Sent<Nothing>,
) -> Answer {
    site.accounts.clear_second(&name)?;
    site.accounts.audit.add_of(v.name(), "取消他人两步验证", &name, "", Some(v.from))?;
    say_next(&auth, v.t("已保存")).await;
    Ok(Redirect::to("/settings/users").into_response())
}
