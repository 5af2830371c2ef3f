//! Settings and health: what is amiss and what to do, the rules, people, tokens, sessions, the lane, backups, the audit log.

mod audit;
mod backup;
mod forget;
mod health;
mod kept_out;
mod lane;
pub mod notices;
pub mod switches;
mod tokens;
mod users;

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde::Deserialize;

use super::forgetting::keep_passes_days;
use super::refusal::{Answer, page};
use super::sent::Sent;
use super::visit::{Maintainer, Reader, Signed, Visit};
use super::{Auth, Site, say_next, words};
use crate::config;
use health::Finding;
pub use switches::Switches;

/// The routes that take as long as a page does.
pub fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/settings", get(show))
        .route("/settings/board", post(board))
        .merge(users::routes())
        .merge(tokens::routes())
        .merge(lane::routes())
        .merge(audit::routes())
        .merge(forget::routes())
        .merge(notices::routes())
}

/// The routes that may take minutes.
pub fn slow_routes() -> Router<Arc<Site>> {
    backup::routes()
}

#[derive(Template)]
#[template(path = "web/settings.html")]
struct SettingsPage<'a> {
    v: &'a Visit,
    findings: Vec<Finding>,
    rules: Vec<(String, String)>,
    retention: Vec<(String, String)>,
    board: bool,
}

async fn show(State(site): State<Arc<Site>>, v: Signed<Reader>) -> Answer {
    let there = site.clone();
    let visit = Visit::clone(&v);
    // The disk is asked; it may be slow.
    let findings = tokio::task::spawn_blocking(move || health::look(&there, &visit)).await.unwrap_or_default();
    let rules = rules(&site.gate.config.gate, &v);
    let board = site.switches.now().board;
    page(&SettingsPage { v: &v, findings, rules, retention: retention(&site, &v)?, board })
}

/// The rules as the residents voted them, as name and value.
fn rules(rules: &config::Gate, v: &Visit) -> Vec<(String, String)> {
    let unpaid = match rules.unpaid {
        config::Unpaid::Refuse => "不放行，并记录原因",
        config::Unpaid::Open => "放行，并提醒管家",
    };
    let always: Vec<String> = rules.always_open.iter().map(|k| v.t(words::kind_zh(*k))).collect();
    vec![
        (v.t("最多误放陌生车"), v.f1("每 {} 辆一辆", rules.false_open_one_in)),
        (v.t("未缴费的登记车辆"), v.t(unpaid)),
        (v.t("始终放行"), always.join("、")),
        (v.t("至少看几帧才放行"), rules.frames_to_open.to_string()),
        (v.t("站多久没放行算拒绝"), v.f1("{} 毫秒", rules.refuse_after_ms)),
    ]
}

fn retention(site: &Site, v: &Visit) -> Result<Vec<(String, String)>, crate::store::StoreError> {
    let data = &site.gate.config.data;
    let oldest = site.gate.events.oldest_day()?.map_or_else(|| "–".into(), |d| d.to_string());
    let last = site.forgetting.last();
    let run = last.map_or_else(|| v.t("还没有运行"), |run| v.f2("{}，删除 {} 条", v.short_time(&run.at), run.gone));
    Ok(vec![
        (v.t("陌生车的车牌和照片保留"), v.f1("{} 天", data.keep_strangers_days)),
        (v.t("访客通行证到期后保留"), v.f1("{} 天", keep_passes_days(data))),
        (v.t("登记车辆的记录保留"), v.f1("{} 天", data.keep_events_days)),
        (v.t("现存最早的一天"), oldest),
        (v.t("上次清理"), run),
        (v.t("更正识别留下的照片"), site.corrections.count().to_string()),
    ])
}

#[derive(Deserialize)]
struct Board {
    on: Option<String>,
}

async fn board(
    State(site): State<Arc<Site>>,
    v: Signed<Maintainer>,
    Extension(auth): Extension<Auth>,
    Sent(sent): Sent<Board>,
) -> Answer {
    let on = sent.on.is_some();
    let what = if on { "打开阳光账本" } else { "关闭阳光账本" };
    site.switches.change(|state| state.board = on)?;
    site.accounts.audit.add(v.name(), what, "", Some(v.from))?;
    say_next(&auth, v.t("已保存")).await;
    Ok(Redirect::to("/settings").into_response())
}
