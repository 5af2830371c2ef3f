//! The book (账本): what stewards, the treasurer and auditors see and enter, and the neighbours' board.
//!
//! Everybody who signed in may look. Stewards and the treasurer take money, pay and hand over out of their own cash; the bank,
//! counts, votes, tariffs and corrections of others' entries are the treasurer's.

mod board;
mod car;
mod cash;
mod entry;
mod rules;
mod spend;
mod statement;
mod take;
pub mod words;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::routing::get;
use jiff::civil::Date;
use serde::Deserialize;

use super::Site;
use super::cars::{PAGE, Pages};
use super::refusal::{Answer, Refusal, page};
use super::visit::{Reader, Signed, Treasurer, Visit};
use crate::ledger::{Account, Book, BookError, Draft, Fen, Sealed, What};
use crate::register::{self, reminders};

pub(super) use cash::offered;
pub(super) use spend::{LARGEST as LARGEST_RECEIPT, keep};
pub(super) use take::{Taken, taken};

/// The routes.
pub fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/book", get(show))
        .merge(take::routes())
        .merge(spend::routes())
        .merge(entry::routes())
        .merge(cash::routes())
        .merge(rules::routes())
        .merge(car::routes())
        .merge(statement::routes())
        .merge(board::routes())
}

/// An entry in a list.
struct Line {
    number: u64,
    day: Date,
    by: String,
    kind: &'static str,
    about: String,
    amount: Fen,
    /// Came in (`good`), went out (`bad`), or neither.
    class: &'static str,
    undone: Option<u64>,
}

impl Line {
    fn of(book: &Book, sealed: &Sealed, v: &Visit) -> Line {
        let entry = &sealed.entry;
        let moved: Fen = entry.postings.iter().filter(|p| p.account.is_money()).map(|p| p.fen).sum();
        Line {
            number: entry.number,
            day: entry.day,
            by: entry.by.clone(),
            kind: words::kind(v, &entry.what),
            about: words::about(v, book, entry),
            amount: if moved == Fen::ZERO { entry.amount() } else { moved },
            class: if moved > Fen::ZERO {
                "good"
            } else if moved < Fen::ZERO {
                "bad"
            } else {
                "dim"
            },
            undone: book.undone_by(entry.number),
        }
    }
}

/// A campaign's progress.
struct Progress {
    title: String,
    raised: Fen,
    goal: Fen,
}

impl Progress {
    fn all(book: &Book) -> Vec<Progress> {
        let campaigns = book.campaigns().into_iter();
        campaigns.map(|(_, c)| Progress { raised: book.raised(&c.name), goal: c.goal, title: c.title }).collect()
    }
}

/// Cash that waits for its receiver.
struct OfferLine {
    number: u64,
    from: String,
    to: String,
    amount: Fen,
    /// The visitor is to confirm it.
    to_me: bool,
    /// The visitor has offered it.
    from_me: bool,
}

impl OfferLine {
    fn all(book: &Book, v: &Visit) -> Vec<OfferLine> {
        let line = |(number, o): (&u64, &crate::ledger::book::Offered)| OfferLine {
            number: *number,
            from: o.from.clone(),
            to: o.to.clone(),
            amount: o.amount,
            to_me: o.to == v.name(),
            from_me: o.from == v.name(),
        };
        book.offers().iter().map(line).collect()
    }
}

#[derive(Template)]
#[template(path = "web/book/book.html")]
struct BookPage<'a> {
    v: &'a Visit,
    fault: Option<String>,
    progress: Vec<Progress>,
    places: Vec<(String, Fen)>,
    total: Fen,
    offers: Vec<OfferLine>,
    due: usize,
    /// Places whose money was not counted at the month's end.
    uncounted: usize,
    /// May neighbours see the sunshine board?
    board: bool,
    lines: Vec<Line>,
    pages: Pages,
    head: String,
}

#[derive(Deserialize)]
struct Which {
    page: Option<usize>,
}

async fn show(State(site): State<Arc<Site>>, v: Signed<Reader>, Query(which): Query<Which>) -> Answer {
    let ledger = site.gate.register.ledger();
    let book = ledger.book();
    let pages = Pages::new(which.page, book.entries().len(), String::new());
    let newest = book.entries().iter().rev().skip((pages.page - 1) * PAGE).take(PAGE);
    let lines = newest.map(|sealed| Line::of(&book, sealed, &v)).collect();
    let (places, today) = (places(&book, &v), register::today());
    let (number, hash) = book.head();
    page(&BookPage {
        fault: ledger.fault().map(ToString::to_string),
        progress: Progress::all(&book),
        total: places.iter().map(|(_, fen)| *fen).sum(),
        places,
        offers: OfferLine::all(&book, &v),
        due: reminders::count(&site.gate.register.snapshot(), today, site.gate.config.ledger.remind_days),
        uncounted: book.balances().filter(|(account, _)| book.to_count(account, today).is_some()).count(),
        board: site.switches.now().board,
        lines,
        pages,
        head: format!("{number}:{hash}"),
        v: &v,
    })
}

/// Where money is: the bank, and whoever holds some.
fn places(book: &Book, v: &Visit) -> Vec<(String, Fen)> {
    let there =
        |(account, fen): &(&Account, Fen)| account.is_money() && (**account == Account::Bank || *fen != Fen::ZERO);
    book.balances().filter(there).map(|(account, fen)| (words::account(v, account), fen)).collect()
}

/// Whom to remind these days.
pub(super) fn due(site: &Site) -> Result<Vec<reminders::Reminder>, Refusal> {
    let days = site.gate.config.ledger.remind_days;
    let households = site.gate.register.households();
    Ok(reminders::reminders(&site.gate.register.snapshot(), &households, register::today(), days))
}

/// What every form of the book carries beside its own matter.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Common {
    /// The day it belongs to; today where it is empty.
    pub day: String,
    /// A remark for stewards.
    pub note: String,
    /// Sent twice with the same text, it is entered once.
    pub once: String,
}

impl Common {
    /// A draft of this visitor.
    pub(super) fn draft(&self, v: &Visit, what: What) -> Result<Draft, Refusal> {
        let draft = Draft::now(v.name(), what).noted(&self.note);
        let day = date(&self.day)?.unwrap_or(draft.day);
        let draft = draft.on(day);
        Ok(if self.once.is_empty() { draft } else { draft.once(&self.once) })
    }
}

/// Enters it, and writes a line of the audit log.
pub(super) async fn enter(site: &Arc<Site>, v: &Visit, draft: Draft) -> Result<Arc<Sealed>, Refusal> {
    let there = site.clone();
    // A flush to the disk takes its time: not on the pages' own thread.
    let entered = tokio::task::spawn_blocking(move || there.gate.register.enter(&[draft]));
    let sealed = entered.await.map_err(|_| Refusal::Broken)??.pop().ok_or(Refusal::Broken)?;
    let about = format!("#{}", sealed.entry.number);
    site.accounts.audit.add(v.name(), crate::ledger::words::kind_zh(&sealed.entry.what), &about, Some(v.from))?;
    Ok(sealed)
}

/// The visitor's own cash, or the bank, which is the treasurer's.
pub(super) fn purse(v: &Visit, choice: &str) -> Result<Account, Refusal> {
    match choice {
        "bank" if v.may::<Treasurer>() => Ok(Account::Bank),
        "bank" => Err(Refusal::Forbidden),
        _ => Ok(Account::Cash(v.name().to_owned())),
    }
}

fn yuan(text: &str) -> Result<Fen, Refusal> {
    text.parse().map_err(|e: crate::ledger::money::NotMoney| Refusal::bad("金额应如 100 或 99.50", e.to_string()))
}

fn date(text: &str) -> Result<Option<Date>, Refusal> {
    match text.trim() {
        "" => Ok(None),
        text => text
            .parse()
            .map(Some)
            .map_err(|_| Refusal::bad("日期应如 2026-12-31", "a day such as 2026-12-31 is expected")),
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, Refusal> {
    text.trim().trim_start_matches('#').parse().map_err(|_| Refusal::bad("应为数字", "a number is expected"))
}

impl From<BookError> for Refusal {
    fn from(error: BookError) -> Refusal {
        match &error {
            BookError::Refused(_) => {}
            other => tracing::error!(error = %other, "the book took no entry"),
        }
        let (zh, en) = words::book_error(&error);
        Refusal::bad(zh, en)
    }
}
