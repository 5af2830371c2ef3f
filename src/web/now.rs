//! Now: the lane, how the gate is doing, who came last, and the big button.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde::Deserialize;

use super::refusal::{Answer, Refusal, page};
use super::sent::Sent;
use super::sign_in::{Auth, say_next};
use super::visit::{Anyone, Signed, Steward, Visit};
use super::{Site, by_hand, hand, words};
use crate::barrier;
use crate::camera::CameraState;
use crate::fleet::mqtt::Pressed;
use crate::gate::event::{Event, PulseReport, Rule};
use crate::register::{self, Standing};

/// The routes.
pub fn routes() -> Router<Arc<Site>> {
    Router::new().route("/", get(show)).route("/open", post(open))
}

/// Why a steward opens by hand, in Chinese; the page translates.
const REASONS: [&str; 6] = ["访客", "快递或送货", "救护、消防或急事", "本小区车辆未识别", "搬家或维修", "测试"];

#[derive(Template)]
#[template(path = "web/now.html")]
struct NowPage<'a> {
    v: &'a Visit,
    states: String,
    arrivals: String,
    reasons: &'a [&'a str],
    modes: Vec<(&'static str, &'static str, bool)>,
    lasts: [(&'static str, &'static str); 5],
    fleet: bool,
}

async fn show(State(site): State<Arc<Site>>, v: Signed<Anyone>) -> Answer {
    if !v.is_staff() {
        return Ok(Redirect::to(v.home()).into_response());
    }
    let now = site.gate.barrier.state().mode;
    let modes = hand::MODES.map(|(name, mode, word)| (name, word, barrier::Mode::from(mode) == now)).to_vec();
    let (states, arrivals) = (states(&site, &v)?, arrivals(&site, &v)?);
    let fleet = site.gate.fleet.is_some();
    page(&NowPage { v: &v, states, arrivals, reasons: &REASONS, modes, lasts: hand::LASTS, fleet })
}

/// One thing that is well or not: its name, a word, and a colour's class.
struct State1 {
    name: String,
    word: String,
    class: &'static str,
}

#[derive(Template)]
#[template(path = "web/now_states.html")]
struct States<'a> {
    overall: &'a State1,
    states: &'a [State1],
}

/// How the gate is doing, as HTML.
pub(super) fn states(site: &Site, v: &Visit) -> Result<String, Refusal> {
    let camera = camera(site, v);
    let arm = arm(site, v);
    let reading = reading(site, v);
    let mut states = vec![camera, arm, reading, register(site, v)];
    states.extend(mode(site, v));
    states.extend(gates(site, v));
    let word = |zh: &str, class| State1 { name: String::new(), word: v.t(zh), class };
    let overall = if states.iter().any(|s| s.class == "bad") {
        word("需要处理", "bad")
    } else if site.is_ready() {
        word("运行正常", "good")
    } else {
        word("正在启动", "warn")
    };
    Ok(States { overall: &overall, states: &states }.render()?)
}

fn camera(site: &Site, v: &Visit) -> State1 {
    let (word, class) = match site.gate.watcher.state() {
        CameraState::Opening => (v.t("正在打开"), "warn"),
        CameraState::Live { width, height } => (v.f("正常 {}×{}", &[&width, &height]), "good"),
        CameraState::Lost { since, attempts, .. } => {
            let told = "断开（{} 起，已重试 {} 次），原因见设置";
            (v.f2(told, v.short_time(&since), attempts), "bad")
        }
        CameraState::Ended => (v.t("画面已结束"), "warn"),
    };
    State1 { name: v.t("摄像头"), word, class }
}

fn arm(site: &Site, v: &Visit) -> State1 {
    let barrier = site.gate.barrier.state();
    let (word, class) = if barrier.stuck {
        (v.t("继电器未松开，请到现场查看"), "bad")
    } else if barrier.stopped {
        (v.t("已停止"), "bad")
    } else if barrier.pressed {
        (v.t("正在抬杆"), "good")
    } else {
        match barrier.last_press {
            Some(at) => (v.f("待命，上次抬杆 {}", &[&v.short_time(&at)]), "good"),
            None => (v.t("待命"), "good"),
        }
    };
    State1 { name: v.t("道闸"), word, class }
}

/// What the gate is asked to be, if it is not by its rules.
fn mode(site: &Site, v: &Visit) -> Option<State1> {
    Some(State1 { name: v.t("方式"), word: hand::words(site, v)?, class: "warn" })
}

/// How the connection with the other gates is, where there are any.
fn gates(site: &Site, v: &Visit) -> Option<State1> {
    let (word, class) = super::gates::connection_words(&site.gate.fleet.as_ref()?.status.connection(), v);
    Some(State1 { name: v.t("其他门"), word, class })
}

fn reading(site: &Site, v: &Visit) -> State1 {
    let (word, class) = match site.gate.telemetry.newest_frame_age() {
        _ if !site.gate.telemetry.lane_is_alive() => (v.t("停止，请重启主机"), "bad"),
        None => (v.t("还没有画面"), "warn"),
        Some(age) if age.as_secs() >= 5 => (v.f("{} 秒没有新画面", &[&age.as_secs()]), "warn"),
        Some(_) => (v.t("正常"), "good"),
    };
    State1 { name: v.t("识别"), word, class }
}

fn register(site: &Site, v: &Visit) -> State1 {
    let snapshot = site.gate.register.snapshot();
    let today = register::today();
    let unpaid = snapshot.vehicles().iter().filter(|c| c.standing(today) == Standing::Unpaid).count();
    let cars = snapshot.vehicles().len();
    State1 { name: v.t("登记"), word: v.f("{} 辆，未缴费 {} 辆", &[&cars, &unpaid]), class: "" }
}

/// An arrival in one line of a list.
pub struct Row {
    /// Its number.
    pub id: u64,
    /// When.
    pub time: String,
    /// The plate, or what there was to read.
    pub plate: String,
    /// What happened, in words.
    pub outcome: String,
    /// Its colour's class.
    pub class: &'static str,
    /// Why, in words, with the household and the time to the relay.
    pub why: String,
}

impl Row {
    /// Of an event, for this visitor.
    pub fn new(event: &Event, v: &Visit) -> Row {
        let (outcome, class) = words::outcome_words(event.outcome);
        let mut why = v.say(words::rule_zh(event.rule), words::rule(event.rule)).to_owned();
        if let Some(car) = &event.vehicle {
            if Some(car.plate) == event.plate {
                why += &v.f("，{} 户", &[&car.household]);
            } else {
                why += &v.f("（登记的是 {}）", &[&car.plate]);
            }
        }
        if let Some(PulseReport::Pressed { after_ms }) = &event.pulse {
            why += &v.f("，{} 毫秒抬杆", &[&(after_ms.round() as u64)]);
        }
        let forgotten = event.is_anonymous() && !matches!(event.rule, Rule::Unreadable | Rule::ByHand);
        let text = match (event.text.is_empty(), forgotten) {
            (true, true) => v.t("已遗忘"),
            (true, false) => v.t("看不清"),
            (false, _) => event.text.clone(),
        };
        let plate = event.plate.map_or(text, |p| p.to_string());
        Row { id: event.id, time: v.time(&event.at), plate, outcome: v.t(outcome), class, why }
    }
}

#[derive(Template)]
#[template(path = "web/now_arrivals.html")]
struct Arrivals<'a> {
    v: &'a Visit,
    rows: &'a [Row],
}

/// Arrivals that the page shows.
const SHOWN: usize = 6;

/// Who came last, as HTML.
pub(super) fn arrivals(site: &Site, v: &Visit) -> Result<String, Refusal> {
    let rows: Vec<Row> = site.gate.events.newest(SHOWN, None)?.iter().map(|e| Row::new(e, v)).collect();
    Ok(Arrivals { v, rows: &rows }.render()?)
}

#[derive(Deserialize)]
struct Opening {
    reason: String,
    #[serde(default)]
    note: String,
}

async fn open(
    State(site): State<Arc<Site>>,
    v: Signed<Steward>,
    Extension(auth): Extension<Auth>,
    Sent(sent): Sent<Opening>,
) -> Answer {
    if !REASONS.contains(&sent.reason.as_str()) {
        return Err(Refusal::bad("请选一个原因", "choose a reason"));
    }
    let note: String = sent.note.trim().chars().take(80).collect();
    let about = if note.is_empty() { sent.reason.clone() } else { format!("{}：{note}", sent.reason) };
    let told = match by_hand::open(&site, v.name(), Some(v.from), &about)? {
        Pressed::Pressed => v.t("已抬杆"),
        Pressed::JustPressed => v.t("刚刚已经抬杆，没有再按"),
    };
    say_next(&auth, told).await;
    Ok(Redirect::to("/").into_response())
}
