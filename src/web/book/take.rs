//! Taking money: a contribution or a year's fee.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use axum::{Extension, Router};
use serde::Deserialize;

use super::{Common, date, enter, purse, yuan};
use crate::accounts::code;
use crate::ledger::rules::paid_term;
use crate::ledger::{Book, Campaign, Fen, What, dues};
use crate::plate::Plate;
use crate::register;
use crate::web::cars::standing_words;
use crate::web::refusal::{Answer, Refusal, page};
use crate::web::sent::Sent;
use crate::web::visit::{Cashier, Signed, Visit};
use crate::web::{Auth, Site, say_next};

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/book/take", get(form).post(take))
}

#[derive(Deserialize)]
struct For {
    #[serde(default)]
    car: String,
    #[serde(default)]
    household: String,
}

#[derive(Template)]
#[template(path = "web/book/take.html")]
struct TakePage<'a> {
    v: &'a Visit,
    car: String,
    household: String,
    /// How the car stands, in words, with a colour's class; none without a registered car.
    stand: Option<(String, &'static str)>,
    campaigns: Vec<Campaign>,
    /// What is still asked of this car, or the usual share.
    share: Fen,
    /// A year's fee, if one is in force, and from which day it would be paid.
    yearly: Option<(Fen, String)>,
    /// The fee is what this car owes, not the share.
    fee_first: bool,
    today: String,
    once: String,
}

async fn form(State(site): State<Arc<Site>>, v: Signed<Cashier>, Query(of): Query<For>) -> Answer {
    let (snapshot, book, today) =
        (site.gate.register.snapshot(), site.gate.register.ledger().book(), register::today());
    let vehicle = of.car.parse::<Plate>().ok().and_then(|plate| snapshot.get(&plate));
    let left = vehicle.map(|c| c.dues.share - c.dues.paid).filter(|left| *left > Fen::ZERO);
    let from = vehicle.map_or(today, |c| c.dues.next_term(today));
    let yearly = dues::in_force(book.tariffs(), from).map(|t| t.yearly).filter(|y| *y > Fen::ZERO);
    let stand = vehicle.map(|c| {
        let stand = c.stand(today);
        let (word, class) = standing_words(stand.standing);
        let until = stand.until.map(|day| v.f1("，至 {}", day)).unwrap_or_default();
        (format!("{}{until}", v.t(word)), class)
    });
    page(&TakePage {
        share: left.unwrap_or(book.main_campaign().share),
        fee_first: vehicle.is_some() && left.is_none() && yearly.is_some(),
        household: vehicle.map_or(of.household, |c| c.household.clone()),
        car: of.car,
        stand,
        campaigns: book.campaigns().into_iter().map(|(_, c)| c).collect(),
        yearly: yearly.map(|y| (y, from.to_string())),
        today: today.to_string(),
        once: code::secret(),
        v: &v,
    })
}

/// What was sent.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::web) struct Taken {
    /// The car's plate; empty for a household without one.
    pub car: String,
    /// The household; not asked for with a car.
    pub household: String,
    /// A campaign's name, or `fee:`.
    pub purpose: String,
    /// How much, in yuan.
    pub amount: String,
    /// A fee's first day.
    pub from: String,
    /// `cash` or `bank`.
    pub into: String,
    pub day: String,
    pub note: String,
    pub once: String,
}

async fn take(
    State(site): State<Arc<Site>>,
    v: Signed<Cashier>,
    Extension(auth): Extension<Auth>,
    Sent(taken): Sent<Taken>,
) -> Answer {
    let what = self::taken(&site, &v, &taken)?;
    let common = Common { day: taken.day, note: taken.note, once: taken.once };
    let sealed = enter(&site, &v, common.draft(&v, what)?).await?;
    let told = v.f("已收 {} 元，记为第 {} 笔", &[&sealed.entry.amount(), &sealed.entry.number]);
    say_next(&auth, told).await;
    Ok(Redirect::to(&format!("/book/entries/{}", sealed.entry.number)).into_response())
}

/// What happened, as it is entered: a contribution or a fee.
pub(in crate::web) fn taken(site: &Site, v: &Visit, taken: &Taken) -> Result<What, Refusal> {
    let (amount, into) = (yuan(&taken.amount)?, purse(v, &taken.into)?);
    let plate = match taken.car.trim() {
        "" => None,
        text => Some(text.parse::<Plate>().map_err(|e| Refusal::bad("车牌不对", e.to_string()))?),
    };
    let snapshot = site.gate.register.snapshot();
    let household = match &plate {
        Some(plate) => snapshot
            .get(plate)
            .map(|c| c.household.clone())
            .ok_or_else(|| Refusal::bad("这辆车还没有登记，请先登记", "this car is not registered: add it first"))?,
        None => taken.household.trim().to_owned(),
    };
    if taken.purpose != "fee:" {
        return Ok(What::Contribution { campaign: taken.purpose.clone(), plate, household, amount, into });
    }
    let plate = plate.ok_or_else(|| Refusal::bad("年费要写车牌", "a fee is for a car: its plate is needed"))?;
    fee(&site.gate.register.ledger().book(), taken, plate, household, amount, into)
}

fn fee(
    book: &Book,
    taken: &Taken,
    plate: Plate,
    household: String,
    amount: Fen,
    into: crate::ledger::Account,
) -> Result<What, Refusal> {
    let from = date(&taken.from)?.unwrap_or_else(|| book.dues(&plate, &household).next_term(register::today()));
    let yearly = dues::in_force(book.tariffs(), from).map_or(Fen::ZERO, |t| t.yearly);
    let until = if yearly > Fen::ZERO { paid_term(from, amount, yearly) } else { Some(from) };
    let until = until.ok_or_else(|| Refusal::bad("金额太大", "so much pays for more than a century"))?;
    Ok(What::Fee { plate, household, from, until, amount, into })
}
