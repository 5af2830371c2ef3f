//! The door: signing in and out, the first sign-in with the one-time code, and keeping those out who try too often.
//!
//! Sessions live in memory: a restart of the box signs everybody out.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use axum_login::{AuthSession, AuthUser, AuthnBackend};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tower_sessions::Session;

use super::Site;
use super::refusal::{Answer, Refusal, again, page};
use super::sent::{Early, Sent};
use super::sessions::Sessions;
use super::visit::{Anyone, Guest, Signed, Visit};
use crate::accounts::{AccountError, Accounts, Role, User, code};
use crate::config;

/// A user, as a session knows them.
#[derive(Clone, Debug)]
pub struct Member(pub User);

impl AuthUser for Member {
    type Id = String;

    fn id(&self) -> String {
        self.0.name.clone()
    }

    fn session_auth_hash(&self) -> &[u8] {
        self.0.stamp().as_bytes()
    }
}

/// Finds the user of a session. Passwords are checked by [`sign_in`], where waiting is limited.
#[derive(Clone)]
pub struct Backend(pub Arc<Accounts>);

impl AuthnBackend for Backend {
    type User = Member;
    type Credentials = ();
    type Error = crate::store::StoreError;

    async fn authenticate(&self, (): ()) -> Result<Option<Member>, Self::Error> {
        Ok(None)
    }

    async fn get_user(&self, name: &String) -> Result<Option<Member>, Self::Error> {
        Ok(self.0.user(name)?.filter(|u| !u.disabled).map(Member))
    }
}

/// A request's session and its user.
pub type Auth = AuthSession<Backend>;

/// What limits tries, and the one-time code.
pub struct Door {
    /// Sessions, to be listed and ended.
    pub(super) sessions: Sessions,
    by_address: DefaultKeyedRateLimiter<IpAddr>,
    by_name: DefaultKeyedRateLimiter<u64>,
    names: RandomState,
    /// Hashing takes 19 MiB and a core for a while: one at a time, so that the lane has the rest.
    hashing: Arc<Semaphore>,
    setup: Mutex<Option<String>>,
}

/// Tries from one address at once, and how long until there is another one.
const TRIES: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Tries at one name from anywhere: more, so that a stranger cannot keep a steward out for long.
const TRIES_AT_NAME: NonZeroU32 = NonZeroU32::new(30).unwrap();
const ANOTHER_AFTER: Duration = Duration::from_secs(6);
/// Remembered addresses and names, before those that are free to try again are forgotten.
const MOST_REMEMBERED: usize = 4096;

impl Door {
    pub(super) fn new(settings: &config::Web, nobody_yet: bool) -> Door {
        let quota = |burst| Quota::with_period(ANOTHER_AFTER).map(|q| q.allow_burst(burst));
        let every_six_seconds = "six seconds are a period";
        Door {
            sessions: Sessions::new(settings.session_hours),
            by_address: RateLimiter::keyed(quota(TRIES).expect(every_six_seconds)),
            by_name: RateLimiter::keyed(quota(TRIES_AT_NAME).expect(every_six_seconds)),
            names: RandomState::new(),
            hashing: Arc::new(Semaphore::new(1)),
            setup: Mutex::new(nobody_yet.then(code::for_people)),
        }
    }

    /// The code of the first sign-in; none once somebody is let in.
    pub fn setup_code(&self) -> Option<String> {
        self.setup.lock().clone()
    }

    /// May this address try again, and is this name free to be tried?
    pub(super) fn may_try(&self, from: IpAddr, name: &str) -> Result<(), Refusal> {
        if self.by_address.len() > MOST_REMEMBERED || self.by_name.len() > MOST_REMEMBERED {
            self.by_address.retain_recent();
            self.by_name.retain_recent();
        }
        let now = DefaultClock::default().now();
        let wait = |until: governor::NotUntil<_>| Refusal::Slowly(until.wait_time_from(now).as_secs() + 1);
        self.by_address.check_key(&from).map_err(wait)?;
        self.by_name.check_key(&self.names.hash_one(name)).map_err(wait)
    }

    /// Does the work of hashing, one at a time and beside the pages.
    pub(super) async fn hash<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let _turn = self.hashing.acquire().await.map_err(|_| Refusal::Broken)?;
        tokio::task::spawn_blocking(work).await.map_err(|_| Refusal::Broken)
    }
}

/// The token of the forms of this session.
pub(super) async fn csrf(session: &Session) -> String {
    session.get("csrf").await.ok().flatten().unwrap_or_default()
}

/// Was it begun less than so many hours ago?
pub(super) async fn is_young(session: &Session, hours: u32) -> bool {
    let since: Option<jiff::Timestamp> = session.get("since").await.ok().flatten();
    let longest = jiff::SignedDuration::from_hours(i64::from(hours));
    since.is_some_and(|since| jiff::Timestamp::now().duration_since(since) < longest)
}

/// What is to be said once, taken out of the session.
pub(super) async fn take_notice(session: &Session) -> Option<String> {
    session.remove("notice").await.ok().flatten()
}

/// Says something on the next page, in the visitor's language.
pub async fn say_next(auth: &Auth, text: String) {
    if let Err(error) = auth.session.insert("notice", text).await {
        tracing::warn!(%error, "a notice could not be kept");
    }
}

/// The routes.
pub fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/sign-in", get(form).post(sign_in))
        .route("/sign-out", post(sign_out))
        .route("/setup", get(setup_form).post(set_up))
}

#[derive(Template)]
#[template(path = "web/sign_in.html")]
struct SignInPage<'a> {
    v: &'a Visit,
    name: &'a str,
    wrong: bool,
    /// May neighbours see the sunshine board?
    board: bool,
}

async fn form(State(site): State<Arc<Site>>, v: Guest) -> Answer {
    if v.who.is_some() {
        return Ok(Redirect::to(v.home()).into_response());
    }
    if site.setup_code().is_some() {
        return Ok(Redirect::to("/setup").into_response());
    }
    page(&SignInPage { v: &v, name: "", wrong: false, board: site.switches.now().board })
}

#[derive(Deserialize)]
struct Credentials {
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    digits: String,
}

async fn sign_in(
    State(site): State<Arc<Site>>,
    v: Guest,
    Extension(auth): Extension<Auth>,
    Early(sent): Early<Credentials>,
) -> Answer {
    site.door.may_try(v.from, sent.name.trim())?;
    let accounts = site.accounts.clone();
    let name = sent.name.clone();
    let found = site.door.hash(move || accounts.sign_in(&sent.name, &sent.password, &sent.digits)).await??;
    let Some(user) = found else {
        site.accounts.audit.add("-", "登录失败", &name, Some(v.from))?;
        return again(&SignInPage { v: &v, name: &name, wrong: true, board: site.switches.now().board });
    };
    begin(&site, &v, auth, user).await
}

/// Begins a session.
pub(super) async fn begin(site: &Site, v: &Visit, mut auth: Auth, user: User) -> Answer {
    let (name, first) = (user.name.clone(), if user.is_resident() { "/home" } else { "/" });
    let session_failed = |error: String| {
        tracing::error!(error, "a session could not be begun");
        Refusal::Broken
    };
    auth.login(&Member(user)).await.map_err(|e| session_failed(format!("{e:?}")))?;
    auth.session.insert("csrf", code::secret()).await.map_err(|e| session_failed(e.to_string()))?;
    auth.session.insert("from", v.from).await.map_err(|e| session_failed(e.to_string()))?;
    auth.session.insert("since", jiff::Timestamp::now()).await.map_err(|e| session_failed(e.to_string()))?;
    site.accounts.audit.add(&name, "登录", "", Some(v.from))?;
    Ok(Redirect::to(first).into_response())
}

#[derive(Deserialize)]
struct Nothing {}

async fn sign_out(
    State(site): State<Arc<Site>>,
    v: Signed<Anyone>,
    Extension(mut auth): Extension<Auth>,
    Sent(Nothing {}): Sent<Nothing>,
) -> Answer {
    site.accounts.audit.add(v.name(), "退出", "", Some(v.from))?;
    auth.logout().await.map_err(|_| Refusal::Broken)?;
    Ok(Redirect::to("/sign-in").into_response())
}

#[derive(Template)]
#[template(path = "web/setup.html")]
struct SetupPage<'a> {
    v: &'a Visit,
    name: &'a str,
    code: &'a str,
    wrong: Option<&'a str>,
}

async fn setup_form(State(site): State<Arc<Site>>, v: Guest) -> Answer {
    if site.setup_code().is_none() {
        return Ok(Redirect::to("/sign-in").into_response());
    }
    page(&SetupPage { v: &v, name: "", code: "", wrong: None })
}

/// Somebody new, with the code that lets them in and the name and password that they choose.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Newcomer {
    pub code: String,
    pub name: String,
    pub password: String,
}

/// The first person: steward and maintainer at once, who lets the others in.
async fn set_up(
    State(site): State<Arc<Site>>,
    v: Guest,
    Extension(auth): Extension<Auth>,
    Early(sent): Early<Newcomer>,
) -> Answer {
    site.door.may_try(v.from, "first sign-in")?;
    let again = |wrong: &str| again(&SetupPage { v: &v, name: &sent.name, code: &sent.code, wrong: Some(wrong) });
    let Some(wanted) = site.setup_code() else { return Ok(Redirect::to("/sign-in").into_response()) };
    if !code::same(&wanted, &sent.code.trim().to_lowercase()) {
        site.accounts.audit.add("-", "首次设置码错误", "", Some(v.from))?;
        return again(&v.t("设置码不对，请看主机控制台上打印的那一组"));
    }
    let (accounts, name, password) = (site.accounts.clone(), sent.name.clone(), sent.password.clone());
    let roles = [Role::Steward, Role::Maintainer];
    // One at a time: whoever comes second finds that somebody is let in already.
    let added = site.door.hash(move || {
        if accounts.is_empty() { accounts.add(&name, &password, &roles) } else { Err(AccountError::Taken) }
    });
    match added.await? {
        Ok(user) => {
            *site.door.setup.lock() = None;
            site.accounts.audit.add(&user.name, "首次设置", "", Some(v.from))?;
            begin(&site, &v, auth, user).await
        }
        Err(AccountError::Store(error)) => Err(error.into()),
        Err(error) => again(v.say(error.zh(), &error.to_string())),
    }
}
