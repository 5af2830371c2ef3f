//! One arrival: its picture, what was read slot by slot, and the rule that decided.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde::Deserialize;

use crate::gate::event::{Event, Finding, Heading, PulseReport, SlotRead};
use crate::plate::Plate;
use crate::web::cars::car_address;
use crate::web::now::Row;
use crate::web::refusal::{Answer, Refusal, again, page};
use crate::web::sent::Sent;
use crate::web::visit::{Reader, Signed, Steward, Visit};
use crate::web::{Auth, Site, say_next};

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/arrivals/{id}", get(show))
        .route("/arrivals/{id}/picture", get(picture))
        .route("/arrivals/{id}/correct", post(correct))
}

/// One place of the plate.
struct Slot {
    char: char,
    percent: String,
    weak: bool,
    others: String,
}

impl Slot {
    fn of(read: &SlotRead) -> Slot {
        let percent = |p: f32| format!("{:.0}%", (p * 100.0).floor());
        let others: Vec<String> = read.or.iter().map(|(c, p)| format!("{c} {}", percent(*p))).collect();
        Slot { char: read.char, percent: percent(read.p), weak: read.p < 0.9, others: others.join(" ") }
    }
}

#[derive(Template)]
#[template(path = "web/arrival.html")]
struct ArrivalPage<'a> {
    v: &'a Visit,
    event: &'a Event,
    row: Row,
    slots: Vec<Slot>,
    facts: Vec<(String, String)>,
    candidates: Vec<(String, String, String)>,
    picture: bool,
    car: Option<String>,
    correction: Option<(String, String)>,
    wrong: Option<String>,
}

impl<'a> ArrivalPage<'a> {
    fn new(site: &Site, v: &'a Visit, event: &'a Event) -> Result<ArrivalPage<'a>, Refusal> {
        let percent = |p: f64| format!("{:.2}%", p * 100.0);
        let correction = site.corrections.get(event.id)?;
        let mut facts = facts(event, v);
        if let Some(plate) = &event.plate
            && let Some(seen) = site.gate.events.seen_before(plate, event.id)?
        {
            facts.push((v.t("以前来过"), v.f2("{} 次，最近 {}", seen.times, v.short_time(&seen.last))));
        }
        let known = event.plate.filter(|p| site.gate.register.snapshot().get(p).is_some());
        Ok(ArrivalPage {
            v,
            row: Row::new(event, v),
            slots: event.slots.iter().filter(|s| s.char != '_' || s.p < 0.99).map(Slot::of).collect(),
            facts,
            candidates: event
                .candidates
                .iter()
                .map(|c| (c.plate.to_string(), c.household.clone(), percent(c.posterior)))
                .collect(),
            picture: site.gate.events.picture_path(event).is_some_and(|p| p.exists()),
            car: known.map(car_address),
            correction: correction.map(|c| (c.plate.to_string(), c.by)),
            wrong: None,
            event,
        })
    }
}

/// What else is on record, as name and value.
fn facts(event: &Event, v: &Visit) -> Vec<(String, String)> {
    let mut facts = vec![(v.t("看了几帧"), event.frames.to_string())];
    if event.vehicle.is_some() || event.posterior > 0.0 {
        facts.push((v.t("是登记车辆的把握"), format!("{:.4}%", event.posterior * 100.0)));
    }
    if event.needed > 0.0 {
        // A stranger explains the pictures so many times worse, and the best plate outside of the register so many times.
        let odds = |of: f64, needed: f64| format!("{:.0} ({needed:.0})", of.min(1e12));
        facts.push((v.t("比陌生车可信多少倍（要求）"), odds(event.ratio, event.needed)));
        if event.margin_needed > 0.0 {
            facts.push((v.t("比最像的外来车牌可信多少倍（要求）"), odds(event.margin, event.margin_needed)));
        }
    }
    if event.already_inside {
        facts.push((v.t("注意"), v.t("此车进来后没有看到出去，又来了一次：可能有两辆车挂同一车牌")));
    }
    let heading = match event.heading {
        Heading::Coming => Some("驶来"),
        Heading::Going => Some("驶离"),
        Heading::Standing => None,
    };
    facts.extend(heading.map(|h| (v.t("方向"), v.t(h))));
    let l = &event.liveness;
    for (name, finding) in [
        ("由远及近", l.growth),
        ("大小合理", l.size),
        ("车身同动", l.body),
        ("两侧挡住车道", l.hides.unwrap_or_default()),
        ("底色相符", l.colour),
        ("地感有车", l.presence),
    ] {
        let word = match finding {
            Finding::Car => "是",
            Finding::Picture => "否",
            Finding::Unknown => continue,
        };
        facts.push((v.t(name), v.t(word)));
    }
    match &event.pulse {
        Some(PulseReport::Pressed { after_ms }) => {
            facts.push((v.t("从拍到到抬杆"), v.f1("{} 毫秒", after_ms.round() as u64)));
        }
        Some(PulseReport::JustPressed) => facts.push((v.t("抬杆"), v.t("刚刚已经抬过"))),
        Some(PulseReport::Failed { reason }) => facts.push((v.t("抬杆失败"), reason.clone())),
        None => {}
    }
    facts
}

fn find(site: &Site, id: u64) -> Result<Event, Refusal> {
    site.gate.events.get(id)?.ok_or(Refusal::NotFound)
}

async fn show(State(site): State<Arc<Site>>, v: Signed<Reader>, Path(id): Path<u64>) -> Answer {
    let event = find(&site, id)?;
    page(&ArrivalPage::new(&site, &v, &event)?)
}

async fn picture(State(site): State<Arc<Site>>, v: Signed<Reader>, Path(id): Path<u64>) -> Answer {
    picture_of(&site, &v, id).await
}

/// An arrival's picture. Every look is on record before it is shown.
pub(in crate::web) async fn picture_of(site: &Site, v: &Visit, id: u64) -> Result<Response, Refusal> {
    let path = site.gate.events.picture_path(&find(site, id)?).ok_or(Refusal::NotFound)?;
    let jpeg = tokio::fs::read(path).await.map_err(|_| Refusal::NotFound)?;
    site.accounts.audit.add(v.name(), "查看照片", &id.to_string(), Some(v.from))?;
    Ok(([(header::CONTENT_TYPE, "image/jpeg")], jpeg).into_response())
}

#[derive(Deserialize)]
struct Right {
    plate: String,
}

async fn correct(
    State(site): State<Arc<Site>>,
    v: Signed<Steward>,
    Path(id): Path<u64>,
    Extension(auth): Extension<Auth>,
    Sent(right): Sent<Right>,
) -> Answer {
    let event = find(&site, id)?;
    let plate: Plate = match right.plate.parse() {
        Ok(plate) => plate,
        Err(error) => {
            let wrong = Some(v.say(error.zh(), &error.to_string()).to_owned());
            return again(&ArrivalPage { wrong, ..ArrivalPage::new(&site, &v, &event)? });
        }
    };
    site.corrections.keep(&site.gate.events, &event, plate, v.name())?;
    // By its number: the log is kept for good, and the plate may be a stranger's.
    site.accounts.audit.add(v.name(), "更正识别", &id.to_string(), Some(v.from))?;
    say_next(&auth, v.t("已更正，这张照片会留作本地测试数据")).await;
    Ok(Redirect::to(&format!("/arrivals/{id}")).into_response())
}
