//! Cash: who holds what, handing it over, the bank, and counting.

use std::sync::Arc;

use askama::Template;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde::Deserialize;

use super::spend::{LARGEST, keep};
use super::{Common, OfferLine, enter, words, yuan};
use crate::accounts::{Role, code};
use crate::ledger::{Account, Fen, What};
use crate::register;
use crate::web::refusal::{Answer, Refusal, page};
use crate::web::sent::{Sent, Upload};
use crate::web::visit::{Cashier, Reader, Right, Signed, Treasurer, Visit};
use crate::web::{Auth, Site, say_next};

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/book/cash", get(show))
        .route("/book/cash/offer", post(offer))
        .route("/book/cash/{offer}/confirm", post(confirm))
        .route("/book/cash/{offer}/withdraw", post(withdraw))
        .route("/book/cash/bank", post(bank).layer(DefaultBodyLimit::max(LARGEST)))
        .route("/book/cash/count", post(count))
}

/// A place with money.
struct Place {
    account: String,
    name: String,
    balance: Fen,
    counted: Option<String>,
    /// The month's end that is to be counted.
    to_count: Option<String>,
}

#[derive(Template)]
#[template(path = "web/book/cash.html")]
struct CashPage<'a> {
    v: &'a Visit,
    places: Vec<Place>,
    mine: Fen,
    /// What of it is offered to somebody.
    offered: Fen,
    offers: Vec<OfferLine>,
    /// Who could receive cash: everybody who keeps money, but the visitor.
    others: Vec<String>,
    treasurer: bool,
    today: String,
    once: String,
}

async fn show(State(site): State<Arc<Site>>, v: Signed<Reader>) -> Answer {
    let book = site.gate.register.ledger().book();
    let today = register::today();
    let money = book.balances().filter(|(account, _)| account.is_money());
    let places = money.map(|(account, balance)| Place {
        account: account.to_string(),
        name: words::account(&v, account),
        balance,
        counted: book.counted(account).map(|day| day.to_string()),
        to_count: book.to_count(account, today).map(|day| day.to_string()),
    });
    let keeps_money = |u: &crate::accounts::User| !u.disabled && u.is_any(Cashier::ROLES);
    let mut users = site.accounts.users()?;
    users.retain(|u| keeps_money(u) && u.name != v.name());
    // The treasurer is the usual receiver.
    users.sort_by_key(|u| (!u.is_any(&[Role::Treasurer]), u.name.clone()));
    page(&CashPage {
        places: places.collect(),
        mine: book.balance(&Account::Cash(v.name().to_owned())),
        offered: book.offered_by(v.name()),
        offers: OfferLine::all(&book, &v),
        others: users.into_iter().map(|u| u.name).collect(),
        treasurer: v.may::<Treasurer>(),
        today: today.to_string(),
        once: code::secret(),
        v: &v,
    })
}

fn back() -> axum::response::Response {
    Redirect::to("/book/cash").into_response()
}

#[derive(Deserialize)]
struct Offered {
    to: String,
    amount: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    once: String,
}

async fn offer(
    State(site): State<Arc<Site>>,
    v: Signed<Cashier>,
    Extension(auth): Extension<Auth>,
    Sent(offered): Sent<Offered>,
) -> Answer {
    let amount = yuan(&offered.amount)?;
    let what = self::offered(&site, &v, &offered.to, amount)?;
    let common = Common { note: offered.note, once: offered.once, ..Common::default() };
    enter(&site, &v, common.draft(&v, what)?).await?;
    let told = v.f("{} 元等 {} 确认", &[&amount, &offered.to]);
    say_next(&auth, told).await;
    Ok(back())
}

/// An offer, as it is entered. Only somebody who can confirm it may be offered cash.
pub(in crate::web) fn offered(site: &Site, v: &Visit, to: &str, amount: Fen) -> Result<What, Refusal> {
    let known = site.accounts.user(to)?.is_some_and(|u| !u.disabled && u.is_any(Cashier::ROLES));
    if !known {
        return Err(Refusal::bad("没有这位管家", "there is nobody of that name"));
    }
    Ok(What::Offer { from: v.name().to_owned(), to: to.to_owned(), amount })
}

#[derive(Deserialize)]
struct Nothing {}

async fn confirm(
    State(site): State<Arc<Site>>,
    v: Signed<Cashier>,
    Path(offer): Path<u64>,
    Extension(auth): Extension<Auth>,
    Sent(Nothing {}): Sent<Nothing>,
) -> Answer {
    settle(&site, &v, &auth, What::Confirm { offer }, "已确认收到").await
}

async fn withdraw(
    State(site): State<Arc<Site>>,
    v: Signed<Cashier>,
    Path(offer): Path<u64>,
    Extension(auth): Extension<Auth>,
    Sent(Nothing {}): Sent<Nothing>,
) -> Answer {
    settle(&site, &v, &auth, What::Withdrawal { offer }, "这次移交已撤回").await
}

/// Ends an offer, and says so on the next page.
async fn settle(site: &Arc<Site>, v: &Signed<Cashier>, auth: &Auth, what: What, told: &str) -> Answer {
    enter(site, v, Common::default().draft(v, what)?).await?;
    say_next(auth, v.t(told)).await;
    Ok(back())
}

async fn bank(
    State(site): State<Arc<Site>>,
    v: Signed<Treasurer>,
    Extension(auth): Extension<Auth>,
    upload: Upload,
) -> Answer {
    let amount = yuan(upload.field("amount"))?;
    let cash = Account::Cash(v.name().to_owned());
    let (from, to) = if upload.field("way") == "fetch" { (Account::Bank, cash) } else { (cash, Account::Bank) };
    let [note, once, day] = ["note", "once", "day"].map(|f| upload.field(f).to_owned());
    let receipt = keep(&site, upload.file).await?;
    let what = What::Transfer { from, to, amount, receipt };
    enter(&site, &v, Common { day, note, once }.draft(&v, what)?).await?;
    say_next(&auth, v.t("已保存")).await;
    Ok(back())
}

#[derive(Deserialize)]
struct Counted {
    held: String,
    amount: String,
    #[serde(default)]
    day: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    once: String,
}

async fn count(
    State(site): State<Arc<Site>>,
    v: Signed<Treasurer>,
    Extension(auth): Extension<Auth>,
    Sent(sent): Sent<Counted>,
) -> Answer {
    let wrong = |e: crate::ledger::account::NoAccount| Refusal::bad("没有这个账户", e.to_string());
    let (held, counted) = (sent.held.parse::<Account>().map_err(wrong)?, yuan(&sent.amount)?);
    let common = Common { day: sent.day, note: sent.note, once: sent.once };
    let sealed = enter(&site, &v, common.draft(&v, What::Count { held: held.clone(), counted })?).await?;
    let more: Fen = sealed.entry.postings.iter().filter(|p| p.account == held).map(|p| p.fen).sum();
    let told = match more {
        Fen::ZERO => v.t("盘点相符"),
        more => v.f1("盘点差额 {} 元，已公开记账", more),
    };
    say_next(&auth, told).await;
    Ok(back())
}
