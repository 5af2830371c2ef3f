//! The statement of a month or a year: to print, as a workbook; and the whole book as a file.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use super::board::{InWords, in_words};
use super::words;
use crate::ledger::board::Board;
use crate::ledger::statement::{self, Row, months};
use crate::ledger::{Book, Fen, Period, Statement, export};
use crate::register::{self, exchange};
use crate::web::Site;
use crate::web::refusal::{Answer, Refusal, page};
use crate::web::visit::{Reader, Signed, Visit};

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/book/statement", get(show))
        .route("/book/statement.xlsx", get(xlsx))
        .route("/book/export.jsonl", get(jsonl))
        .route("/book/export.csv", get(csv))
}

#[derive(Deserialize)]
struct Asked {
    period: Option<String>,
    /// For the notice board, where everybody passes: no names, flats and plates.
    wall: Option<String>,
}

impl Asked {
    fn period(&self) -> Result<Period, Refusal> {
        let wrong =
            |e: &str| Refusal::bad("期间应如 2026-11、2026 或 2026-11-01..2026-11-15", format!("the period: {e}"));
        match self.period.as_deref().map(str::trim).filter(|p| !p.is_empty()) {
            Some(text) => text.parse().map_err(wrong),
            None => Ok(Period::month_of(register::today())),
        }
    }
}

/// Rows on the page: more is for a file, not for a telephone and not for a wall.
const MOST_ROWS: usize = 1000;

/// `2026-11-06..2027-11-05`, which is not torn on paper.
const TERM: usize = 22;

/// A row with its kind and its places in the visitor's language.
struct Line<'a> {
    row: &'a Row,
    kind: &'static str,
    about: String,
    places: String,
}

impl<'a> Line<'a> {
    fn of(row: &'a Row, book: &Book, v: &Visit) -> Line<'a> {
        let places: Vec<String> = row.places.iter().map(|account| words::account(v, account)).collect();
        let entry = book.entry(row.number).map(|sealed| &sealed.entry);
        Line {
            kind: entry.map_or("", |entry| words::kind(v, &entry.what)),
            about: entry.map_or_else(String::new, |entry| words::about(v, book, entry)),
            places: places.join(" → "),
            row,
        }
    }
}

/// A sum with its name.
type Sum = (String, Fen);

#[derive(Template)]
#[template(path = "web/book/statement.html")]
struct StatementPage<'a> {
    v: &'a Visit,
    s: &'a Statement,
    period: String,
    places: Vec<Place>,
    income: Vec<Sum>,
    spent: Vec<Sum>,
    /// Is it for the notice board?
    wall: bool,
    rows: Vec<Line<'a>>,
    /// What stands in the place of the rows on the notice board.
    entries: Vec<InWords<'a>>,
    /// Rows that only the file has.
    more: usize,
    months: Vec<String>,
    years: Vec<String>,
    head: String,
}

async fn show(State(site): State<Arc<Site>>, v: Signed<Reader>, Query(asked): Query<Asked>) -> Answer {
    let (book, period) = (site.gate.register.ledger().book(), asked.period()?);
    let wall = asked.wall.is_some();
    let s = Statement::with_rows(&book, period, None, MOST_ROWS);
    let compound = wall.then(|| site.gate.register.compound());
    let entries = compound.map_or_else(Vec::new, |compound| {
        Board::entries(&book, &compound, book.moves_of(period.from, period.until).take(MOST_ROWS))
    });
    let today = register::today();
    let first = book.first_day().unwrap_or(today);
    let sums = |lines: &[statement::Line]| -> Vec<Sum> {
        lines.iter().map(|l| (words::account(&v, &l.account), l.amount)).collect()
    };
    page(&StatementPage {
        period: period.to_string(),
        places: if wall { kinds_of_places(&s, &v) } else { places(&s, &v) },
        income: sums(&s.income),
        spent: sums(&s.spent),
        rows: s.rows.iter().map(|row| Line::of(row, &book, &v)).collect(),
        entries: entries.iter().map(|shown| in_words(shown, &v)).collect(),
        wall,
        more: s.moves - s.rows.len(),
        months: months(today, 24).iter().filter(|m| m.until >= first).map(ToString::to_string).collect(),
        years: (first.year()..=today.year()).rev().map(|y| format!("{y:04}")).collect(),
        head: format!("{}:{}", s.head.0, s.head.1),
        s: &s,
        v: &v,
    })
}

/// What a place had before, received, gave and has then.
type Place = (String, [Fen; 4]);

fn sums(place: &statement::Place) -> [Fen; 4] {
    [place.before, place.received, place.given, place.after]
}

/// Each place; whoever held nothing in all that time is left out.
fn places(s: &Statement, v: &Visit) -> Vec<Place> {
    let all = s.places.iter().map(|p| (words::account(v, &p.account), sums(p)));
    all.filter(|(_, sums)| *sums != [Fen::ZERO; 4]).collect()
}

/// The bank, and the cash of all stewards together.
fn kinds_of_places(s: &Statement, v: &Visit) -> Vec<Place> {
    let held = |cash: bool| s.places.iter().filter(move |p| p.account.holder().is_some() == cash).map(sums);
    let add = |all: [Fen; 4], one: [Fen; 4]| std::array::from_fn(|n| all[n] + one[n]);
    let kinds = [("银行账户", false), ("管家手中现金", true)];
    kinds.map(|(name, cash)| (v.t(name), held(cash).fold([Fen::ZERO; 4], add))).into()
}

async fn xlsx(State(site): State<Arc<Site>>, _: Signed<Reader>, Query(asked): Query<Asked>) -> Answer {
    let (book, period) = (site.gate.register.ledger().book(), asked.period()?);
    let made = tokio::task::spawn_blocking(move || export::statement_xlsx(&Statement::of(&book, period)));
    let bytes = made.await.map_err(|_| Refusal::Broken)?.map_err(|error| {
        tracing::error!(%error, "a statement could not be made");
        Refusal::Broken
    })?;
    let kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
    Ok(attachment(kind, &format!("book-{}.xlsx", period.to_string().replace("..", "-to-")), bytes))
}

async fn jsonl(State(site): State<Arc<Site>>, _: Signed<Reader>) -> Answer {
    Ok(attachment("application/jsonl", "book.jsonl", export::lines(&site.gate.register.ledger().book())))
}

async fn csv(State(site): State<Arc<Site>>, _: Signed<Reader>) -> Answer {
    let rows = export::rows(&site.gate.register.ledger().book());
    Ok(attachment("text/csv; charset=utf-8", "book.csv", exchange::to_csv(&rows)))
}

fn attachment(kind: &'static str, name: &str, bytes: Vec<u8>) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    ([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)], bytes).into_response()
}
