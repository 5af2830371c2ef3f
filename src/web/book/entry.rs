//! One entry: everything that is known of it, refunding and correcting it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde::Deserialize;

use super::{Common, Line, enter, purse, words, yuan};
use crate::accounts::code;
use crate::ledger::entry::origin;
use crate::ledger::{Account, Fen, Hash, Sealed, What};
use crate::web::refusal::{Answer, Refusal, page};
use crate::web::sent::Sent;
use crate::web::visit::{Cashier, Reader, Signed, Treasurer, Visit};
use crate::web::{Auth, Site, say_next};

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/book/entries/{number}", get(show))
        .route("/book/entries/{number}/refund", post(refund))
        .route("/book/entries/{number}/correct", post(correct))
}

#[derive(Template)]
#[template(path = "web/book/entry.html")]
struct EntryPage<'a> {
    v: &'a Visit,
    line: Line,
    sealed: &'a Sealed,
    postings: Vec<(String, Fen)>,
    receipt: Option<Hash>,
    origin: Option<u64>,
    /// What can still be refunded of it by this visitor.
    refundable: Option<Fen>,
    correctable: bool,
    treasurer: bool,
    once: String,
}

async fn show(State(site): State<Arc<Site>>, v: Signed<Reader>, Path(number): Path<u64>) -> Answer {
    let book = site.gate.register.ledger().book();
    let sealed = book.entry(number).ok_or(Refusal::NotFound)?;
    let entry = &sealed.entry;
    let live = !book.is_undone(number);
    let refundable = match &entry.what {
        What::Contribution { amount, .. } | What::Fee { amount, .. } => Some(*amount - book.refunded(number).0),
        What::Opening { account: Account::Campaign(_), amount, .. } => Some(*amount - book.refunded(number).0),
        _ => None,
    };
    let receipt = match &entry.what {
        What::Spending { receipt, .. } | What::Transfer { receipt, .. } => *receipt,
        _ => None,
    };
    let kind = !matches!(
        entry.what,
        What::Campaign(_)
            | What::Tariff(_)
            | What::Offer { .. }
            | What::Withdrawal { .. }
            | What::Count { .. }
            | What::Correction { .. }
            | What::NewPlate { .. }
    );
    page(&EntryPage {
        line: Line::of(&book, sealed, &v),
        postings: entry.postings.iter().map(|p| (words::account(&v, &p.account), p.fen)).collect(),
        receipt,
        origin: origin(&entry.what),
        refundable: refundable.filter(|left| live && *left > Fen::ZERO && v.may::<Cashier>()),
        correctable: live && kind && may_correct(&v, sealed),
        treasurer: v.may::<Treasurer>(),
        once: code::secret(),
        sealed,
        v: &v,
    })
}

/// The treasurer corrects any entry, a steward his own.
fn may_correct(v: &Visit, sealed: &Sealed) -> bool {
    v.may::<Treasurer>() || (v.may::<Cashier>() && sealed.entry.by == v.name())
}

#[derive(Deserialize)]
struct Back {
    amount: String,
    reason: String,
    #[serde(default)]
    out_of: String,
    #[serde(default)]
    once: String,
}

async fn refund(
    State(site): State<Arc<Site>>,
    v: Signed<Cashier>,
    Path(of): Path<u64>,
    Extension(auth): Extension<Auth>,
    Sent(back): Sent<Back>,
) -> Answer {
    let (amount, out_of) = (yuan(&back.amount)?, purse(&v, &back.out_of)?);
    let what = What::Refund { of, amount, out_of, reason: back.reason.trim().to_owned() };
    let common = Common { once: back.once, ..Common::default() };
    let sealed = enter(&site, &v, common.draft(&v, what)?).await?;
    let told = v.f("已退 {} 元，记为第 {} 笔", &[&amount, &sealed.entry.number]);
    say_next(&auth, told).await;
    Ok(Redirect::to(&format!("/book/entries/{}", sealed.entry.number)).into_response())
}

#[derive(Deserialize)]
struct Wrong {
    reason: String,
    #[serde(default)]
    once: String,
}

async fn correct(
    State(site): State<Arc<Site>>,
    v: Signed<Cashier>,
    Path(of): Path<u64>,
    Extension(auth): Extension<Auth>,
    Sent(wrong): Sent<Wrong>,
) -> Answer {
    let book = site.gate.register.ledger().book();
    if !may_correct(&v, book.entry(of).ok_or(Refusal::NotFound)?) {
        return Err(Refusal::Forbidden);
    }
    let what = What::Correction { of, reason: wrong.reason.trim().to_owned() };
    let common = Common { once: wrong.once, ..Common::default() };
    let sealed = enter(&site, &v, common.draft(&v, what)?).await?;
    let told = v.f("第 {} 笔已由第 {} 笔更正", &[&of, &sealed.entry.number]);
    say_next(&auth, told).await;
    Ok(Redirect::to(&format!("/book/entries/{of}")).into_response())
}
