//! Tables in and out: a file is shown as what it would change before anything is changed.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use parking_lot::Mutex;
use serde::Deserialize;

use crate::accounts::code;
use crate::register::exchange::{self, Told};
use crate::register::{Change, Vehicle, opening};
use crate::web::refusal::{Answer, Refusal, page};
use crate::web::sent::{Sent, Upload};
use crate::web::visit::{Reader, Signed, Steward, Visit};
use crate::web::{Auth, Site, say_next};

/// The largest table: 5,000 cars are well under a megabyte.
const LARGEST: usize = 5 << 20;

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/cars/import", get(form).post(preview).layer(DefaultBodyLimit::max(LARGEST)))
        .route("/cars/import/apply", post(apply))
        .route("/cars/export.csv", get(csv))
        .route("/cars/export.xlsx", get(xlsx))
}

/// Tables that were looked through and wait for a yes, one a person.
#[derive(Default)]
pub struct Pending(Mutex<HashMap<String, Waiting>>);

/// A table that waits: its number, the cars, and what it says about money.
type Waiting = (String, Vec<Change>, Vec<Told>);

/// A car that a table would change.
struct Altered {
    plate: String,
    household: String,
    /// What is different, as `field: before → after`.
    what: Vec<String>,
}

#[derive(Template)]
#[template(path = "web/cars_import.html")]
struct ImportPage<'a> {
    v: &'a Visit,
    looked: Option<Looked>,
}

/// What a table would do.
struct Looked {
    id: String,
    new: Vec<(String, String)>,
    altered: Vec<Altered>,
    same: usize,
    /// Entries of the book that follow from what it says was paid.
    opened: usize,
    untouched: usize,
    errors: Vec<String>,
    unreadable: Option<String>,
}

async fn form(v: Signed<Steward>) -> Answer {
    page(&ImportPage { v: &v, looked: None })
}

async fn preview(State(site): State<Arc<Site>>, v: Signed<Steward>, upload: Upload) -> Answer {
    if upload.file.is_empty() {
        return Err(Refusal::bad("请选择一个文件", "choose a file"));
    }
    // Parsing a workbook of a stranger's making takes its time: not on the pages' own thread.
    let read = tokio::task::spawn_blocking(move || exchange::import(&upload.file));
    let looked = match read.await.map_err(|_| Refusal::Broken)? {
        Ok(import) => {
            let mut looked = look(&site, &v, &import);
            looked.id = code::secret();
            site.pending.0.lock().insert(v.name().to_owned(), (looked.id.clone(), import.changes, import.told));
            looked
        }
        Err(problem) => Looked {
            id: String::new(),
            new: Vec::new(),
            altered: Vec::new(),
            same: 0,
            opened: 0,
            untouched: 0,
            errors: Vec::new(),
            unreadable: Some(v.say(&problem.zh, &problem.en).to_owned()),
        },
    };
    page(&ImportPage { v: &v, looked: Some(looked) })
}

fn look(site: &Site, v: &Visit, import: &exchange::Import) -> Looked {
    let snapshot = site.gate.register.snapshot();
    let (mut new, mut altered, mut same) = (Vec::new(), Vec::new(), 0);
    for change in &import.changes {
        let Change::Vehicle(car) = change else { continue };
        match snapshot.get(&car.plate) {
            None => new.push((car.plate.to_string(), car.household.clone())),
            Some(before) => {
                let what = differences(before, car, v);
                if what.is_empty() {
                    same += 1;
                } else {
                    altered.push(Altered { plate: car.plate.to_string(), household: car.household.clone(), what });
                }
            }
        }
    }
    // What the table says of money becomes entries where the book knows nothing yet, and is an error where it differs.
    let touched = altered.len() + same;
    let (opened, contradictions) = opening::drafts(v.name(), &import.told, &site.gate.register.ledger().book());
    let errors = import.errors.iter().chain(&contradictions);
    Looked {
        id: String::new(),
        untouched: snapshot.vehicles().len().saturating_sub(touched),
        new,
        altered,
        same,
        opened: opened.len(),
        errors: errors.map(|e| v.f2("第 {} 行：{}", e.row, v.say(&e.reason.zh, &e.reason.en))).collect(),
        unreadable: None,
    }
}

fn differences(before: &Vehicle, after: &Vehicle, v: &Visit) -> Vec<String> {
    let yes = |on: bool| v.t(if on { "是" } else { "否" });
    let day = |d: Option<jiff::civil::Date>| d.map_or_else(|| "–".to_owned(), |d| d.to_string());
    let pairs = [
        ("住户", before.household.clone(), after.household.clone()),
        ("停用", yes(before.blocked), yes(after.blocked)),
        ("宽限至", day(before.grace_until), day(after.grace_until)),
        ("备注", before.note.clone(), after.note.clone()),
    ];
    let changed = pairs.iter().filter(|(_, a, b)| a != b);
    changed.map(|(name, a, b)| format!("{} {a} → {b}", v.t(name))).collect()
}

#[derive(Deserialize)]
struct Yes {
    id: String,
}

async fn apply(
    State(site): State<Arc<Site>>,
    v: Signed<Steward>,
    Extension(auth): Extension<Auth>,
    Sent(yes): Sent<Yes>,
) -> Answer {
    let waiting = site.pending.0.lock().remove(v.name());
    let Some((_, changes, told)) = waiting.filter(|(id, ..)| *id == yes.id) else {
        return Err(Refusal::bad("这次预览已过期，请重新上传", "this preview has expired: upload the file again"));
    };
    let cars = changes.iter().filter(|c| matches!(c, Change::Vehicle(_))).count();
    let (there, by) = (site.clone(), v.name().to_owned());
    let applied = tokio::task::spawn_blocking(move || {
        let _changing = there.register_lock.lock();
        // What contradicts the book was shown, and is left out.
        let (drafts, _) = opening::drafts(&by, &told, &there.gate.register.ledger().book());
        there.gate.register.apply_and_enter(&by, &changes, &drafts)
    });
    applied.await.map_err(|_| Refusal::Broken)??;
    site.accounts.audit.add(v.name(), "导入车辆", &cars.to_string(), Some(v.from))?;
    say_next(&auth, v.f1("已导入 {} 辆车", cars)).await;
    Ok(Redirect::to("/cars").into_response())
}

async fn csv(State(site): State<Arc<Site>>, v: Signed<Reader>) -> Answer {
    let rows = rows(&site, &v)?;
    Ok(attachment("text/csv; charset=utf-8", "cars.csv", exchange::to_csv(&rows)))
}

async fn xlsx(State(site): State<Arc<Site>>, v: Signed<Reader>) -> Answer {
    let rows = rows(&site, &v)?;
    let bytes = tokio::task::spawn_blocking(move || exchange::to_xlsx(&rows)).await.map_err(|_| Refusal::Broken)?;
    let bytes = bytes.map_err(|error| {
        tracing::error!(error, "the workbook could not be written");
        Refusal::Broken
    })?;
    let kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
    Ok(attachment(kind, "cars.xlsx", bytes))
}

fn rows(site: &Site, v: &Visit) -> Result<Vec<Vec<String>>, Refusal> {
    site.accounts.audit.add(v.name(), "导出车辆", "", Some(v.from))?;
    Ok(exchange::export(&site.gate.register.households(), site.gate.register.snapshot().vehicles()))
}

/// A file to be kept, not shown.
pub(in crate::web) fn attachment(kind: &'static str, name: &str, bytes: impl Into<Bytes>) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    let bytes: Bytes = bytes.into();
    ([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)], bytes).into_response()
}
