//! The audit log, to be read; nothing can be done to it.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::routing::get;
use serde::Deserialize;

use crate::accounts::audit::Line;
use crate::web::Site;
use crate::web::refusal::{Answer, page};
use crate::web::visit::{Inspector, Signed, Visit};

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/settings/audit", get(list))
}

#[derive(Deserialize)]
struct Before {
    before: Option<u64>,
}

#[derive(Template)]
#[template(path = "web/audit.html")]
struct AuditPage<'a> {
    v: &'a Visit,
    lines: Vec<Line>,
    older: Option<u64>,
}

const SHOWN: usize = 100;

async fn list(State(site): State<Arc<Site>>, v: Signed<Inspector>, Query(before): Query<Before>) -> Answer {
    let lines = site.accounts.audit.newest(SHOWN, before.before)?;
    let older = lines.last().filter(|_| lines.len() == SHOWN).map(|l| l.id);
    page(&AuditPage { v: &v, lines, older })
}
