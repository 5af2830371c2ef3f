//! The pages and the API as a whole, in this process: any address, any body, from somebody who signed in.
//!
//! A text is a line `METHOD /address`, and a body: JSON for the API, a form for the pages. Its token, the session and the form's
//! token are put to it, so that it gets as far as a steward's own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response, Uri, header};
use tower::ServiceExt;

use crate::accounts::Role;
use crate::barrier::{self, SimulatedArm};
use crate::camera::{Camera, Source, rendered};
use crate::config::Config;
use crate::register::{Register, demo};
use crate::store::Store;
use crate::store::events::Events;
use crate::store::notes::Notes;
use crate::store::rounds::Rounds;
use crate::store::signals::Signals;
use crate::web::settings::Switches;
use crate::web::{Parts, Site, router};

/// Whose the requests are.
const NAME: &str = "wang";
const PASSWORD: &str = "correct horse battery";
/// What ends the session, hashes passwords for seconds, packs all pictures or never ends. Tests of their own try these.
const SPARED: [&str; 9] = [
    "/sign-in",
    "/sign-out",
    "/setup",
    "/join",
    "/account",
    "/settings/users",
    "/settings/access",
    "/settings/backup",
    "/live",
];

/// A gate with nobody at it: its register, its book and its pages, without a lane.
struct House {
    runtime: tokio::runtime::Runtime,
    router: Router,
    token: String,
    cookie: String,
    csrf: String,
}

static HOUSE: LazyLock<House> =
    LazyLock::new(|| House::open().unwrap_or_else(|error| panic!("no gate to send requests to: {error:#}")));

impl House {
    fn open() -> anyhow::Result<House> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let site = site(&folder()?)?;
        let roles = [Role::Steward, Role::Treasurer, Role::Maintainer];
        site.accounts.add(NAME, PASSWORD, &roles)?;
        let (_, token) = site.accounts.tokens.make(NAME, "test", 30)?;
        let router = router(Arc::new(site), false);
        let mut house = House { runtime, router, token, cookie: String::new(), csrf: String::new() };
        house.sign_in()?;
        Ok(house)
    }

    fn sign_in(&mut self) -> anyhow::Result<()> {
        let form = format!("name={NAME}&password={}", PASSWORD.replace(' ', "+"));
        let answer = self.send(Method::POST, "/sign-in".parse()?, form.into_bytes());
        let cookie = answer.headers().get(header::SET_COOKIE).and_then(|c| c.to_str().ok());
        self.cookie = cookie.and_then(|c| c.split(';').next()).unwrap_or_default().to_owned();
        let page = self.send(Method::GET, "/cars/new".parse()?, Vec::new());
        let bytes = self.runtime.block_on(axum::body::to_bytes(page.into_body(), 1 << 20))?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let token = text.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        self.csrf = token.filter(|token| !token.is_empty()).ok_or_else(|| anyhow::anyhow!("no sign-in"))?.to_owned();
        Ok(())
    }

    fn send(&self, method: Method, address: Uri, body: Vec<u8>) -> Response<Body> {
        let mut request = Request::builder().method(method).header(header::HOST, "localhost");
        if address.path().starts_with("/api/") {
            request = request
                .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
                .header(header::CONTENT_TYPE, "application/json");
        } else {
            request = request
                .header(header::ORIGIN, "http://localhost")
                .header(header::COOKIE, &self.cookie)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let request = request.uri(address).body(Body::from(body)).expect("an address and plain headers");
        let Ok(answer) = self.runtime.block_on(self.router.clone().oneshot(request));
        answer
    }
}

/// A folder in memory; what earlier runs left there goes.
fn folder() -> anyhow::Result<PathBuf> {
    const NAME: &str = "plategate-fuzz-pages-";
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    for entry in std::fs::read_dir(&parent)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.strip_prefix(NAME).is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    Ok(parent.join(format!("{NAME}{}", std::process::id())))
}

fn site(folder: &Path) -> anyhow::Result<Site> {
    let mut config = Config::default();
    config.data.folder = folder.to_path_buf();
    config.camera.source = Source::Folder(folder.join("no-pictures"));
    let store = Arc::new(Store::open(folder)?);
    let register = Arc::new(Register::open(store.clone())?);
    demo::load(&register)?;
    let (barrier, _) = barrier::start(&config, &SimulatedArm::new())?;
    let camera = Camera::start(&config.camera, rendered::Script::empty());
    let parts = Parts {
        hand: Default::default(),
        watcher: camera.watcher(),
        barrier: Arc::new(barrier),
        register,
        events: Arc::new(Events::open(store.clone())?),
        notes: Arc::new(Notes::open(store.clone())?),
        signals: Arc::new(Signals::open(store.clone())?),
        board: Default::default(),
        link: Default::default(),
        viewfinder: Default::default(),
        telemetry: Default::default(),
        rounds: Arc::new(Rounds::new(store.clone(), &config)),
        switches: Arc::new(Switches::open(store.clone())?),
        fleet: None,
        store,
        config,
    };
    Ok(Site::open(parts)?)
}

pub(super) fn request(bytes: &[u8]) {
    let Some((address, answer)) = answer(bytes) else { return };
    let status = answer.status().as_u16();
    // 503: the barrier refuses, or too much at once; 500 and others: something of ours broke.
    assert!(status < 500 || status == 503, "{status} to {address}");
}

/// What the gate says to it; nothing where it is no request, or one that is spared.
fn answer(bytes: &[u8]) -> Option<(Uri, Response<Body>)> {
    let (head, body) = bytes.split_at(bytes.iter().position(|b| *b == b'\n').unwrap_or(bytes.len()));
    let (method, address) = std::str::from_utf8(head).ok()?.split_once(' ')?;
    let (method, address) = (method.parse::<Method>().ok()?, address.parse::<Uri>().ok()?);
    let path = address.path();
    if !path.starts_with('/') || address.authority().is_some() || SPARED.iter().any(|spared| path.starts_with(spared)) {
        return None;
    }
    let mut sent = Vec::new();
    if !path.starts_with("/api/") {
        sent.extend(format!("csrf={}&", HOUSE.csrf).into_bytes());
    }
    sent.extend(body.get(1..).unwrap_or_default());
    Some((address.clone(), HOUSE.send(method, address, sent)))
}

pub(super) fn requests() -> Vec<Vec<u8>> {
    [
        "PUT /api/v1/vehicles/%E8%8B%8FF12345\n{\"building\":2,\"unit\":\"301\",\"name\":\"王伟\",\"phone\":\"138\",\"grace_until\":\"2026-12-31\",\"note\":\"x\"}",
        "POST /api/v1/passes\n{\"plate\":\"皖A6P42Z\",\"household\":\"2-301\",\"from\":\"2026-11-25T18:00:00Z\",\"to\":\"2026-11-26T18:00:00Z\",\"entries\":2,\"note\":\"x\"}",
        "POST /api/v1/open\n{\"reason\":\"访客\"}",
        "GET /api/v1/events?day=2026-11-25&plate=F12&outcome=opened&before=7\n",
        "GET /api/v1/book/statement?month=2026-11\n",
        "POST /api/v1/book/spendings\n{\"purpose\":\"upkeep\",\"title\":\"x\",\"payee\":\"y\",\"amount\":1250}",
        "POST /cars/%E8%8B%8FF8K291\nplate=%E8%8B%8FF8K291&building=2&unit=301&name=x&phone=138&note=&grace_until=2026-12-31",
        "POST /book/rules/tariff\nof=&amount=100&from=2026-01&until=2026-12&grace_days=30&vote=1&reason=x",
        "POST /visitors/new\nplate=%E7%9A%96A6P42Z&household=2-301&from=2026-11-25T18:00&to=2026-11-26T18:00&entries=2",
        "POST /settings/lane\nleft=10&top=10&width=50&height=50",
        "GET /arrivals?day=2026-11-25&before=7&lang=en\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise the doorman alone would be tried.
    #[test]
    fn good_requests_get_to_their_handlers() {
        let mut done = 0;
        for seed in requests() {
            let (address, answer) = answer(&seed).unwrap();
            let to = answer.headers().get(header::LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
            let status = answer.status().as_u16();
            assert!(![401, 403, 404, 405].contains(&status) && to != "/sign-in", "{status} {to} to {address}");
            done += u32::from(status < 400);
        }
        assert!(done >= 6, "{done} were done");
    }
}
