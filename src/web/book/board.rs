//! The sunshine board (阳光账本), for every neighbour, without sign-in: no names, plates or flats.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::routing::get;

use super::{Which, words};
use crate::ledger::board::{Board, Shown};
use crate::web::Site;
use crate::web::cars::Pages;
use crate::web::refusal::{Answer, Refusal, page};
use crate::web::visit::{Guest, Visit};

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/board", get(show))
}

/// An entry as neighbours see it, with its kind and its purpose in the visitor's language.
pub(super) type InWords<'a> = (&'a Shown, &'static str, &'static str);

pub(super) fn in_words<'a>(shown: &'a Shown, v: &Visit) -> InWords<'a> {
    let [zh, en] = shown.kind;
    (shown, v.say(zh, en), shown.purpose.map_or("", |p| words::purpose(v, p)))
}

#[derive(Template)]
#[template(path = "web/book/board.html")]
struct BoardPage<'a> {
    v: &'a Visit,
    board: &'a Board,
    spent: Vec<(&'static str, String)>,
    entries: Vec<InWords<'a>>,
    pages: Pages,
    damaged: bool,
    head: String,
}

async fn show(State(site): State<Arc<Site>>, v: Guest, Query(which): Query<Which>) -> Answer {
    if !site.switches.now().board {
        return Err(Refusal::NotFound);
    }
    let ledger = site.gate.register.ledger();
    let book = ledger.book();
    let pages = Pages::new(which.page, book.moves().len(), String::new());
    let board = Board::page(&book, &site.gate.register.compound(), pages.range());
    let spent = board.spent.iter().filter(|(_, fen)| *fen != crate::ledger::Fen::ZERO);
    page(&BoardPage {
        spent: spent.map(|(p, fen)| (words::purpose(&v, *p), fen.to_string())).collect(),
        entries: board.entries.iter().map(|e| in_words(e, &v)).collect(),
        damaged: ledger.fault().is_some(),
        head: format!("{}:{}", board.head.0, board.head.1),
        pages,
        board: &board,
        v: &v,
    })
}
