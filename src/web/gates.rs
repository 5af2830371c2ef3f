//! All gates of the compound at a glance, for the stewards; opening another one; a car that is inside at two gates at once.
//!
//! Also the hands by which another gate's steward opens this one ([`Hands`]): with the same lines on record as a press here.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use jiff::Timestamp;
use serde::Deserialize;

use super::refusal::{Answer, Refusal, page};
use super::sent::Sent;
use super::visit::{Reader, Signed, Steward, Treasurer, Visit};
use super::{Auth, Site, by_hand, say_next, words};
use crate::fleet::command::Act;
use crate::fleet::disk::Hands;
use crate::fleet::gates::{CLOCK_TOLERANCE_S, Glance};
use crate::fleet::mqtt::Pressed;
use crate::fleet::status::Connection;
use crate::fleet::wire::Upward;
use crate::fleet::{AskError, Fleet};
use crate::gate::mode as hand;
use crate::register::{Change, Keeper};

/// The routes.
pub fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/gates", get(show))
        .route("/gates/{gate}/do", post(act))
        .route("/gates/{gate}/pictures/{event}", get(picture))
        .route("/gates/{gate}/book", post(hand_over))
}

/// How the connection with the other gates is, in words, and its colour's class.
pub(super) fn connection_words(connection: &Connection, v: &Visit) -> (String, &'static str) {
    match connection {
        Connection::Connected { since } => (v.f1("已连接（{} 起）", v.short_time(since)), "good"),
        Connection::Connecting { since, reason } if reason.is_empty() => {
            (v.f1("正在连接（{} 起）", v.short_time(since)), "warn")
        }
        Connection::Connecting { since, .. } => (v.f1("连不上（{} 起），原因见设置", v.short_time(since)), "warn"),
        Connection::Full { since, .. } => {
            (v.f1("服务器已满（{} 起）。本门照常放行，腾出空间后自动补齐", v.short_time(since)), "warn")
        }
        Connection::Lost { since, .. } => (v.f1("断开（{} 起）。本门照常放行", v.short_time(since)), "warn"),
    }
}

fn fleet(site: &Site) -> Result<Arc<Fleet>, Refusal> {
    site.gate.fleet.clone().ok_or(Refusal::NotFound)
}

/// A gate in a line of the table.
struct Line {
    gate: String,
    own: bool,
    word: String,
    class: &'static str,
    detail: String,
    last: String,
}

impl Line {
    fn of(glance: &Glance, own: bool, v: &Visit) -> Line {
        let mut details = Vec::new();
        let (word, class) = match &glance.health {
            _ if glance.silent => (v.t("没有消息"), "bad"),
            None => (v.t("还没有消息"), "warn"),
            Some(health) if !health.trouble.is_empty() => (health.trouble.clone(), "bad"),
            Some(health) if !health.ready => (v.t("没有画面"), "bad"),
            Some(_) => (v.t("正常"), "good"),
        };
        if let (true, Some(heard)) = (glance.silent, &glance.heard) {
            details.push(v.f1("{} 起没有消息", v.short_time(heard)));
        }
        if let Some(health) = &glance.health {
            match health.mode.as_str() {
                "held_open" => details.push(v.t("常开：所有车放行")),
                "closed" => details.push(v.t("关闭：只放行急救、消防、警车")),
                _ => {}
            }
            details.push(v.f1("{} 辆车", health.cars));
        }
        if glance.clock_ahead_s.abs() > CLOCK_TOLERANCE_S {
            details.push(v.f1("时钟差 {} 秒", glance.clock_ahead_s));
        }
        let last = glance.last.as_ref().map(|event| arrival(event, v)).unwrap_or_default();
        Line { gate: glance.gate.clone(), own, word, class, detail: details.join(v.say("，", ", ")), last }
    }
}

/// An arrival at some gate, in a line.
fn arrival(event: &Upward, v: &Visit) -> String {
    let plate = event.plate.map_or_else(|| v.t("外来车"), |plate| plate.to_string());
    let (outcome, _) = words::outcome_words(event.outcome);
    format!("{} {plate} {}", v.short_time(&event.at), v.t(outcome))
}

/// A car that is inside at two gates: each with its arrival, and where the picture is.
struct Double {
    plate: String,
    gates: [(String, String, String); 2],
}

#[derive(Template)]
#[template(path = "web/gates.html")]
struct GatesPage<'a> {
    v: &'a Visit,
    compound: &'a str,
    connection: (String, &'static str),
    lines: Vec<Line>,
    doubles: Vec<Double>,
    overspent: Vec<String>,
    arrivals: Vec<(String, String, String)>,
    keeper: String,
    keeps: bool,
}

/// Arrivals that the page shows.
const SHOWN: usize = 30;

/// Where an arrival is looked at: this gate's own have a page, another one's a picture.
fn place(event: &Upward, own: &str) -> String {
    match event.gate == own {
        true => format!("/arrivals/{}", event.id),
        false => photograph(event, own),
    }
}

/// The picture of an arrival, at whichever gate.
fn photograph(event: &Upward, own: &str) -> String {
    match event.gate == own {
        true => format!("/arrivals/{}/picture", event.id),
        false => format!("/gates/{}/pictures/{}", event.gate, event.id),
    }
}

async fn show(State(site): State<Arc<Site>>, v: Signed<Reader>) -> Answer {
    let fleet = fleet(&site)?;
    let own = fleet.identity.gate.as_str();
    let of = |event: &Upward| (event.gate.clone(), arrival(event, &v), place(event, own));
    let seen = |event: &Upward| (event.gate.clone(), arrival(event, &v), photograph(event, own));
    let keeper = site.gate.register.keeper()?.station;
    let members = site.gate.register.members()?;
    let overspent = site.gate.register.passes()?.into_iter().filter(|p| p.entries.is_some_and(|most| p.used > most));
    page(&GatesPage {
        v: &v,
        compound: &fleet.identity.compound,
        connection: connection_words(&fleet.status.connection(), &v),
        lines: fleet.gates.glance().iter().map(|glance| Line::of(glance, glance.gate == own, &v)).collect(),
        doubles: fleet
            .gates
            .alerts()
            .iter()
            .map(|twice| Double { plate: twice.plate.to_string(), gates: [seen(&twice.first), seen(&twice.second)] })
            .collect(),
        overspent: overspent
            .map(|p| v.f("{}：允许 {} 次，各门共进 {} 次", &[&p.plate, &p.entries.unwrap_or_default(), &p.used]))
            .collect(),
        arrivals: fleet.gates.arrivals(SHOWN).iter().map(of).collect(),
        keeps: keeper == fleet.identity.number,
        keeper: members.into_iter().find(|m| m.number == keeper).map(|m| m.gate).unwrap_or_default(),
    })
}

impl From<AskError> for Refusal {
    fn from(error: AskError) -> Refusal {
        let zh = match &error {
            AskError::Away => "与服务器断开，现在不能操作别的门".to_owned(),
            AskError::Silent(gate) => format!("{gate} 门没有回答：可能断网或关机"),
            AskError::Refused(why) => format!("对方没有执行：{why}"),
        };
        Refusal::bad(zh, error.to_string())
    }
}

/// What is to be done at another gate.
#[derive(Deserialize)]
pub(super) struct Wanted {
    /// `open`, `hold_open` for an hour, or `normal`.
    pub act: String,
    /// Why.
    #[serde(default)]
    pub why: String,
}

/// How long another gate is held open from here, minutes: whoever is there can do it for longer.
const HELD_MINUTES: i64 = 60;

/// Tells a gate to do something, in this visitor's name; gives what it says.
pub(super) async fn tell(site: &Site, v: &Visit, gate: &str, wanted: &Wanted) -> Result<String, Refusal> {
    let fleet = fleet(site)?;
    let why = wanted.why.trim();
    if why.is_empty() || why.chars().count() > 80 {
        return Err(Refusal::bad("请写明原因", "why: 1 to 80 characters are expected"));
    }
    let until = Timestamp::now() + jiff::SignedDuration::from_mins(HELD_MINUTES);
    let act = match wanted.act.as_str() {
        "open" => Act::Open,
        "hold_open" => Act::HoldOpen { until: Some(until) },
        "normal" => Act::Normal,
        _ => return Err(Refusal::bad("请选一种操作", "act: open, hold_open or normal is expected")),
    };
    // On record here before the other gate moves, as it is there.
    site.accounts.audit.add(v.name(), "操作别的门", &format!("{gate} {} {why}", wanted.act), Some(v.from))?;
    let answer = fleet.command(gate, act, v.name(), why).await?;
    if answer.done { Ok(answer.told) } else { Err(AskError::Refused(answer.told).into()) }
}

async fn act(
    State(site): State<Arc<Site>>,
    v: Signed<Steward>,
    Path(gate): Path<String>,
    Extension(auth): Extension<Auth>,
    Sent(wanted): Sent<Wanted>,
) -> Answer {
    let told = tell(&site, &v, &gate, &wanted).await?;
    say_next(&auth, format!("{gate}: {told}")).await;
    Ok(Redirect::to("/gates").into_response())
}

async fn picture(
    State(site): State<Arc<Site>>,
    v: Signed<Reader>,
    Path((gate, event)): Path<(String, u64)>,
) -> Result<Response, Refusal> {
    let fleet = fleet(&site)?;
    if gate == fleet.identity.gate {
        return Ok(Redirect::to(&format!("/arrivals/{event}/picture")).into_response());
    }
    site.accounts.audit.add_of(v.name(), "查看照片", &format!("{gate} {event}"), "", Some(v.from))?;
    let jpeg = fleet.picture(&gate, event, v.name()).await?;
    Ok(([(header::CONTENT_TYPE, "image/jpeg")], jpeg).into_response())
}

#[derive(Deserialize)]
struct Sure {
    sure: Option<String>,
}

/// Hands the book over to another gate's box.
async fn hand_over(
    State(site): State<Arc<Site>>,
    v: Signed<Treasurer>,
    Path(gate): Path<String>,
    Extension(auth): Extension<Auth>,
    Sent(sent): Sent<Sure>,
) -> Answer {
    fleet(&site)?;
    if sent.sure.is_none() {
        return Err(Refusal::bad("请先勾选确认", "tick the box first"));
    }
    let member =
        site.gate.register.members()?.into_iter().find(|m| m.gate == gate && !m.out).ok_or(Refusal::NotFound)?;
    if !site.gate.register.is_keeper()? {
        return Err(Refusal::bad(
            "账本不在本机，请在账本所在的门移交",
            "the book is not kept here: hand it over where it is",
        ));
    }
    let entries = site.gate.register.ledger().book().head().0;
    site.gate.register.apply(v.name(), &[Change::Keeper(Keeper { station: member.number, entries })])?;
    site.accounts.audit.add_of(v.name(), "移交账本", &gate, "", Some(v.from))?;
    say_next(&auth, v.f1("账本已移交给 {}", gate)).await;
    Ok(Redirect::to("/gates").into_response())
}

impl Hands for Site {
    fn open(&self, by: &str, why: &str) -> Result<String, String> {
        match by_hand::open(self, by, None, why) {
            Ok(Pressed::Pressed) => Ok("opened".into()),
            Ok(Pressed::JustPressed) => Ok("had been opened a moment ago".into()),
            Err(refusal) => Err(refusal.english()),
        }
    }

    fn hold_open(&self, by: &str, until: Option<Timestamp>) -> Result<String, String> {
        let asked = hand::ByHand { mode: hand::Mode::HeldOpen, by: by.into(), since: Timestamp::now(), until };
        by_hand::set_mode(self, None, asked, "").map(|()| "held open".to_owned()).map_err(|refusal| refusal.english())
    }

    fn normal(&self, by: &str) -> Result<String, String> {
        let asked = hand::ByHand { mode: hand::Mode::Normal, by: by.into(), since: Timestamp::now(), until: None };
        by_hand::set_mode(self, None, asked, "")
            .map(|()| "by its rules".to_owned())
            .map_err(|refusal| refusal.english())
    }

    fn picture(&self, event: u64, by: &str) -> Result<Vec<u8>, String> {
        let found = self.gate.events.get(event).map_err(|error| error.to_string())?;
        let path = found.and_then(|event| self.gate.events.picture_path(&event)).ok_or("there is no such picture")?;
        self.accounts.audit.add(by, "查看照片", &event.to_string(), None).map_err(|error| error.to_string())?;
        std::fs::read(path).map_err(|_| "the picture is not kept any more".to_owned())
    }

    fn note(&self, by: &str, what: &str, of: &str, about: &str) {
        if let Err(error) = self.accounts.audit.add_of(by, what, of, about, None) {
            tracing::error!(%error, what, "a line of the audit log could not be written");
        }
    }

    fn how_it_is(&self) -> (bool, String, String) {
        let mode = match self.gate.hand.mode(&jiff::Zoned::now(), &self.gate.config.schedule) {
            hand::Mode::Normal => "normal",
            hand::Mode::HeldOpen => "held_open",
            hand::Mode::Closed => "closed",
        };
        let barrier = self.gate.barrier.state();
        let trouble = if barrier.stuck {
            "继电器未松开"
        } else if barrier.stopped {
            "道闸已停止"
        } else {
            ""
        };
        (self.is_ready(), mode.to_owned(), trouble.to_owned())
    }
}
