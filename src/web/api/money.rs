//! Money entered into the book by programs, with the same rights and rules as on the pages: what a token's user may enter.
//!
//! `once` makes a request safe to send again: of two with the same text one is entered, and both give its entry.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::json;
use utoipa::{IntoResponses, ToSchema};

use super::{Body, Problem, Program};
use crate::ledger::{Fen, Hash, Purpose, What};
use crate::web::Site;
use crate::web::book::{Common, Taken, enter, keep, offered, purse, taken};
use crate::web::refusal::{Answer, Refusal};
use crate::web::visit::{Cashier, Signed, Visit};

/// Why nothing was entered: for the description of every route here.
#[allow(dead_code)]
#[derive(IntoResponses)]
enum Refused {
    /// No token
    #[response(status = 401)]
    NoToken(Problem),
    /// Neither steward nor treasurer, or the bank and not the treasurer
    #[response(status = 403)]
    NotTheirs(Problem),
    /// More than is taken
    #[response(status = 413)]
    TooLarge(Problem),
    /// What cannot be: a wrong amount or day, no such car, campaign, offer or receipt, too little money there
    #[response(status = 422)]
    CannotBe(Problem),
}

/// Enters it; gives the entry.
async fn entered(site: &Arc<Site>, v: &Visit, common: Common, what: What) -> Answer {
    let sealed = enter(site, v, common.draft(v, what)?).await?;
    Ok((StatusCode::CREATED, Json(json!(*sealed))).into_response())
}

/// Whole fen, more than nothing.
fn fen(amount: i64) -> Result<Fen, Refusal> {
    let wrong = || Refusal::bad("金额应为大于 0 的分", "amount: whole fen are expected, more than 0");
    Some(Fen::of(amount)).filter(|fen| fen.is_payable()).ok_or_else(wrong)
}

/// Where money is: in the hands of the token's user, or in the bank, which is the treasurer's.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Purse {
    #[default]
    Cash,
    Bank,
}

impl Purse {
    fn word(self) -> &'static str {
        match self {
            Purse::Cash => "cash",
            Purse::Bank => "bank",
        }
    }
}

/// A contribution to a campaign.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewContribution {
    /// The car it is for; it must be registered. A household without a car may give too.
    plate: Option<String>,
    /// The household, such as `2-301`; not asked for with a plate.
    #[serde(default)]
    household: String,
    /// The campaign's name.
    campaign: String,
    /// Whole fen.
    #[schema(minimum = 1)]
    amount: i64,
    /// Who received it.
    #[serde(default)]
    into: Purse,
    /// When; today if not said.
    #[serde(default)]
    day: String,
    /// A remark for stewards.
    #[serde(default)]
    note: String,
    /// Sent again with the same text it is entered once.
    #[serde(default)]
    #[schema(max_length = 64)]
    once: String,
}

/// Takes a contribution.
#[utoipa::path(post, path = "/api/v1/book/contributions", request_body = NewContribution, responses(
    (status = 201, description = "The entry", body = serde_json::Value),
    Refused,
))]
pub(super) async fn contribute(
    State(site): State<Arc<Site>>,
    v: Signed<Cashier>,
    Body(new): Body<NewContribution>,
) -> Answer {
    let wanted = Taken {
        car: new.plate.unwrap_or_default(),
        household: new.household,
        purpose: new.campaign,
        amount: fen(new.amount)?.to_string(),
        into: new.into.word().into(),
        ..Taken::default()
    };
    let what = taken(&site, &v, &wanted)?;
    entered(&site, &v, Common { day: new.day, note: new.note, once: new.once }, what).await
}

/// A parking fee.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewFee {
    /// The car; it must be registered.
    plate: String,
    /// Whole fen; it pays as many days as it is of the year's fee.
    #[schema(minimum = 1)]
    amount: i64,
    /// The first day; the day after what is paid already if not said.
    #[serde(default)]
    from: String,
    /// Who received it.
    #[serde(default)]
    into: Purse,
    /// When; today if not said.
    #[serde(default)]
    day: String,
    /// A remark for stewards.
    #[serde(default)]
    note: String,
    /// Sent again with the same text it is entered once.
    #[serde(default)]
    #[schema(max_length = 64)]
    once: String,
}

/// Takes a fee.
#[utoipa::path(post, path = "/api/v1/book/fees", request_body = NewFee, responses(
    (status = 201, description = "The entry", body = serde_json::Value),
    Refused,
))]
pub(super) async fn pay_fee(State(site): State<Arc<Site>>, v: Signed<Cashier>, Body(new): Body<NewFee>) -> Answer {
    let wanted = Taken {
        car: new.plate,
        purpose: "fee:".into(),
        amount: fen(new.amount)?.to_string(),
        from: new.from,
        into: new.into.word().into(),
        ..Taken::default()
    };
    let what = taken(&site, &v, &wanted)?;
    entered(&site, &v, Common { day: new.day, note: new.note, once: new.once }, what).await
}

/// Something that was paid for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSpending {
    /// `barrier`, `camera`, `upkeep` or `other`.
    #[schema(value_type = String)]
    purpose: Purpose,
    /// What for; every neighbour may read it.
    #[schema(min_length = 1, max_length = 200)]
    title: String,
    /// To whom; stays with the stewards.
    #[serde(default)]
    payee: String,
    /// Whole fen.
    #[schema(minimum = 1)]
    amount: i64,
    /// Who paid.
    #[serde(default)]
    out_of: Purse,
    /// The receipt's photograph, as `POST /api/v1/book/receipts` named it.
    receipt: Option<String>,
    /// When; today if not said.
    #[serde(default)]
    day: String,
    /// A remark for stewards.
    #[serde(default)]
    note: String,
    /// Sent again with the same text it is entered once.
    #[serde(default)]
    #[schema(max_length = 64)]
    once: String,
}

/// Enters something that was paid for.
#[utoipa::path(post, path = "/api/v1/book/spendings", request_body = NewSpending, responses(
    (status = 201, description = "The entry", body = serde_json::Value),
    Refused,
))]
pub(super) async fn spend(State(site): State<Arc<Site>>, v: Signed<Cashier>, Body(new): Body<NewSpending>) -> Answer {
    let receipt = new.receipt.as_deref().map(|hash| known_receipt(&site, hash)).transpose()?;
    let (amount, out_of) = (fen(new.amount)?, purse(&v, new.out_of.word())?);
    let what = What::Spending { purpose: new.purpose, title: new.title, payee: new.payee, amount, out_of, receipt };
    entered(&site, &v, Common { day: new.day, note: new.note, once: new.once }, what).await
}

/// A receipt that is kept here.
fn known_receipt(site: &Site, hash: &str) -> Result<Hash, Refusal> {
    let hash = hash.parse::<Hash>().ok();
    let kept = |hash: &Hash| site.gate.register.ledger().receipts().path(hash).is_file();
    hash.filter(kept).ok_or_else(|| Refusal::bad("没有这张票据", "receipt: send its photograph first"))
}

/// Keeps a receipt's photograph; gives the name by which a spending refers to it.
#[utoipa::path(post, path = "/api/v1/book/receipts",
    request_body(content = Vec<u8>, content_type = "image/jpeg", description = "JPEG, PNG or WebP"), responses(
    (status = 201, description = "Its name", body = serde_json::Value),
    Refused,
))]
pub(super) async fn receipt(
    State(site): State<Arc<Site>>,
    v: Signed<Cashier>,
    _: Program,
    bytes: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Answer {
    let bytes = bytes.map_err(|_| Refusal::TooLarge)?;
    let kept = keep(&site, bytes.to_vec()).await?;
    let hash = kept.ok_or_else(|| Refusal::bad("没有照片", "a photograph is expected: JPEG, PNG or WebP"))?;
    site.accounts.audit.add_of(v.name(), "上传票据", &hash.to_string()[..12], "", Some(v.from))?;
    Ok((StatusCode::CREATED, Json(json!({"receipt": hash}))).into_response())
}

/// A contribution or a fee that is given back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRefund {
    /// The number of its entry.
    of: u64,
    /// Whole fen, no more than is left of it.
    #[schema(minimum = 1)]
    amount: i64,
    /// Who paid it back.
    #[serde(default)]
    out_of: Purse,
    /// Why.
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
    /// Sent again with the same text it is entered once.
    #[serde(default)]
    #[schema(max_length = 64)]
    once: String,
}

/// Gives money back.
#[utoipa::path(post, path = "/api/v1/book/refunds", request_body = NewRefund, responses(
    (status = 201, description = "The entry", body = serde_json::Value),
    Refused,
))]
pub(super) async fn refund(State(site): State<Arc<Site>>, v: Signed<Cashier>, Body(new): Body<NewRefund>) -> Answer {
    let (amount, out_of) = (fen(new.amount)?, purse(&v, new.out_of.word())?);
    let what = What::Refund { of: new.of, amount, out_of, reason: new.reason.trim().to_owned() };
    entered(&site, &v, Common { once: new.once, ..Common::default() }, what).await
}

/// Cash that is to be handed over.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOffer {
    /// To whom: a steward or the treasurer, who confirms it.
    to: String,
    /// Whole fen.
    #[schema(minimum = 1)]
    amount: i64,
    /// A remark for stewards.
    #[serde(default)]
    note: String,
    /// Sent again with the same text it is entered once.
    #[serde(default)]
    #[schema(max_length = 64)]
    once: String,
}

/// Offers cash to somebody; it moves when they confirm.
#[utoipa::path(post, path = "/api/v1/book/offers", request_body = NewOffer, responses(
    (status = 201, description = "The entry; its number is the offer's", body = serde_json::Value),
    Refused,
))]
pub(super) async fn offer(State(site): State<Arc<Site>>, v: Signed<Cashier>, Body(new): Body<NewOffer>) -> Answer {
    let what = offered(&site, &v, &new.to, fen(new.amount)?)?;
    entered(&site, &v, Common { note: new.note, once: new.once, ..Common::default() }, what).await
}

/// Confirms that the cash of an offer was received.
#[utoipa::path(post, path = "/api/v1/book/offers/{offer}/confirm",
    params(("offer" = u64, Path, description = "Its number")), responses(
    (status = 201, description = "The entry", body = serde_json::Value),
    (status = 400, description = "Not a number", body = Problem),
    Refused,
))]
pub(super) async fn confirm(
    State(site): State<Arc<Site>>,
    v: Signed<Cashier>,
    _: Program,
    Path(offer): Path<u64>,
) -> Answer {
    entered(&site, &v, Common::default(), What::Confirm { offer }).await
}

/// Takes an offer back, or declines it.
#[utoipa::path(post, path = "/api/v1/book/offers/{offer}/withdraw",
    params(("offer" = u64, Path, description = "Its number")), responses(
    (status = 201, description = "The entry", body = serde_json::Value),
    (status = 400, description = "Not a number", body = Problem),
    Refused,
))]
pub(super) async fn withdraw(
    State(site): State<Arc<Site>>,
    v: Signed<Cashier>,
    _: Program,
    Path(offer): Path<u64>,
) -> Answer {
    entered(&site, &v, Common::default(), What::Withdrawal { offer }).await
}
