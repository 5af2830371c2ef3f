//! Arrivals: who came when, and why it did or did not open.

mod corrections;
mod show;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::routing::get;
use serde::Deserialize;

use super::Site;
use super::asked::{self, given};
use super::cars::attachment;
use super::now::Row;
use super::refusal::{Answer, Refusal, page};
use super::visit::{Reader, Signed, Visit};
use super::words;
use crate::gate::event::{Event, Outcome};
use crate::plate::Plate;
use crate::register::exchange;
use crate::store::index;

pub use corrections::Corrections;
pub(super) use show::picture_of;

/// The routes.
pub fn routes() -> Router<Arc<Site>> {
    Router::new().route("/arrivals", get(list)).route("/arrivals.csv", get(csv)).merge(show::routes())
}

/// What is looked for, as forms and programs write it.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Find {
    /// Of this day, such as 2026-11-25.
    #[serde(default)]
    pub day: Option<String>,
    /// Whose plate begins or ends like this.
    #[serde(default)]
    pub plate: Option<String>,
    /// `opened`, `refused`, `failed` or `seen`.
    #[serde(default)]
    pub outcome: Option<String>,
    /// Older than this number.
    #[serde(default)]
    pub before: Option<u64>,
}

impl Find {
    /// The query, or what is wrong with it.
    pub(super) fn parse(&self) -> Result<index::Query, Refusal> {
        let day = asked::day(&self.day)?;
        let outcome = given(&self.outcome).map(|text| outcome_of(text).ok_or(text)).transpose().map_err(|_| {
            Refusal::bad("结果只能是 opened、refused、failed 或 seen", "outcome: opened, refused, failed or seen")
        })?;
        let plate = given(&self.plate).map(|text| {
            let narrow = text.chars().map(crate::text::narrow).filter(|c| !c.is_whitespace() && *c != '·');
            narrow.take(12).collect::<String>().to_uppercase()
        });
        Ok(index::Query { day, plate: plate.filter(|p| !p.is_empty()), outcome, before: self.before })
    }
}

fn outcome_of(text: &str) -> Option<Outcome> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).ok()
}

/// Arrivals on one page.
const SHOWN: usize = 50;

#[derive(Template)]
#[template(path = "web/arrivals.html")]
struct ArrivalsPage<'a> {
    v: &'a Visit,
    find: &'a Find,
    rows: Vec<Row>,
    outcomes: Vec<(&'static str, String)>,
    /// The address of the older ones, if there are any.
    older: Option<String>,
    query: String,
    any: bool,
}

async fn list(State(site): State<Arc<Site>>, v: Signed<Reader>, Query(find): Query<Find>) -> Answer {
    let events = site.gate.events.find(&find.parse()?, SHOWN + 1)?;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let pairs = [("day", text(&find.day)), ("plate", text(&find.plate)), ("outcome", text(&find.outcome))];
    let query = serde_html_form::to_string(pairs).unwrap_or_default();
    let older = (events.len() > SHOWN).then(|| format!("/arrivals?{query}&before={}", events[SHOWN - 1].id));
    let rows = events.iter().take(SHOWN).map(|e| Row::new(e, &v)).collect();
    let outcomes = ["opened", "refused", "failed", "seen"]
        .map(|o| (o, outcome_of(o).map(|o| v.t(words::outcome_words(o).0)).unwrap_or_default()));
    let any = site.gate.events.has_any();
    page(&ArrivalsPage { v: &v, find: &find, rows, outcomes: outcomes.into(), older, query, any })
}

/// Arrivals in one file; ten thousand are more than a year of a small compound's strangers.
const EXPORTED: usize = 10_000;

async fn csv(State(site): State<Arc<Site>>, v: Signed<Reader>, Query(find): Query<Find>) -> Answer {
    let query = find.parse()?;
    site.accounts.audit.add_of(v.name(), "导出来车记录", &in_log(&site, &query), "", Some(v.from))?;
    let (there, visit) = (site.clone(), Visit::clone(&v));
    let bytes = tokio::task::spawn_blocking(move || {
        let events = there.gate.events.find(&query, EXPORTED)?;
        let header = ["编号", "时间", "车牌", "结果", "原因", "住户"].map(|h| visit.t(h)).to_vec();
        let rows = std::iter::once(header).chain(events.iter().map(|e| cells(e, &visit))).collect::<Vec<_>>();
        Ok::<_, crate::store::StoreError>(exchange::to_csv(&rows))
    });
    let bytes = bytes.await.map_err(|_| Refusal::Broken)??;
    Ok(attachment("text/csv; charset=utf-8", "arrivals.csv", bytes))
}

/// What was looked for, in the audit log, which is kept for good: a registered car by its plate, any other text by the mark
/// that forgotten cars have, so that who looks for one car again and again is seen and no stranger's plate stays.
fn in_log(site: &Site, query: &index::Query) -> String {
    let snapshot = site.gate.register.snapshot();
    let registered = |text: &str| text.parse().ok().filter(|plate: &Plate| snapshot.get(plate).is_some());
    let looked_for = query.plate.as_deref().map(|text| match registered(text) {
        Some(plate) => plate.to_string(),
        None => format!("~{}", site.gate.events.mark(text)),
    });
    let outcome = query.outcome.map(|outcome| words::outcome_words(outcome).0.to_owned());
    let parts = [looked_for, query.day.map(|day| day.to_string()), outcome];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn cells(event: &Event, v: &Visit) -> Vec<String> {
    let row = Row::new(event, v);
    let rule = v.say(words::rule_zh(event.rule), words::rule(event.rule)).to_owned();
    let household = event.vehicle.as_ref().map(|c| c.household.clone()).unwrap_or_default();
    vec![event.id.to_string(), row.time, row.plate, row.outcome, rule, household]
}
