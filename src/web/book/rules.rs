//! What the neighbours agreed on: votes, yearly fees, exemptions, campaigns; and what was there before the book.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde::Deserialize;

use super::{Common, date, enter, number, yuan};
use crate::accounts::code;
use crate::ledger::{Account, Campaign, Exemption, Fen, Tariff, Vote, What, Who};
use crate::plate::Plate;
use crate::register;
use crate::web::refusal::{Answer, Refusal, page};
use crate::web::sent::Sent;
use crate::web::visit::{Reader, Signed, Treasurer, Visit};
use crate::web::{Auth, Site, say_next};

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/book/rules", get(show))
        .route("/book/rules/vote", post(vote))
        .route("/book/rules/tariff", post(tariff))
        .route("/book/rules/exempt", post(exempt))
        .route("/book/rules/campaign", post(campaign))
        .route("/book/rules/opening", post(opening))
}

/// An exemption in a list.
struct Exempted {
    number: u64,
    who: String,
    from: String,
    until: String,
    vote: Option<u64>,
    reason: String,
}

#[derive(Template)]
#[template(path = "web/book/rules.html")]
struct RulesPage<'a> {
    v: &'a Visit,
    votes: Vec<(u64, &'a Vote)>,
    tariffs: &'a [Tariff],
    exemptions: Vec<Exempted>,
    campaigns: Vec<Campaign>,
    /// Money from before the book that is not explained yet.
    unexplained: Fen,
    treasurer: bool,
    today: String,
    once: String,
}

async fn show(State(site): State<Arc<Site>>, v: Signed<Reader>) -> Answer {
    let book = site.gate.register.ledger().book();
    let exempted = |(number, e): (u64, &Exemption)| Exempted {
        number,
        who: match &e.who {
            Who::Plate(plate) => book.exempted_plate(number).unwrap_or(*plate).to_string(),
            Who::Household(key) => key.clone(),
        },
        from: e.from.to_string(),
        until: e.until.map(|d| d.to_string()).unwrap_or_default(),
        vote: e.vote,
        reason: e.reason.clone(),
    };
    page(&RulesPage {
        votes: book.votes(),
        tariffs: book.tariffs(),
        exemptions: book.exemptions().into_iter().map(exempted).collect(),
        campaigns: book.campaigns().into_iter().map(|(_, c)| c).collect(),
        unexplained: book.balance(&Account::Opening),
        treasurer: v.may::<Treasurer>(),
        today: register::today().to_string(),
        once: code::secret(),
        v: &v,
    })
}

/// Every form of this page; each uses the fields that it has.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Rule {
    question: String,
    yes: String,
    no: String,
    of: String,
    held: String,
    amount: String,
    from: String,
    until: String,
    grace_days: String,
    vote: String,
    who: String,
    reason: String,
    name: String,
    title: String,
    goal: String,
    share: String,
    account: String,
    note: String,
    once: String,
}

impl Rule {
    fn vote(&self) -> Result<Option<u64>, Refusal> {
        if self.vote.trim().is_empty() { Ok(None) } else { number(&self.vote).map(Some) }
    }
}

async fn done(site: &Arc<Site>, v: &Visit, auth: &Auth, rule: &Rule, what: What) -> Result<Response, Refusal> {
    let common = Common { note: rule.note.clone(), once: rule.once.clone(), ..Common::default() };
    let sealed = enter(site, v, common.draft(v, what)?).await?;
    say_next(auth, v.f1("已登记为第 {} 笔", sealed.entry.number)).await;
    Ok(Redirect::to("/book/rules").into_response())
}

async fn vote(
    State(site): State<Arc<Site>>,
    v: Signed<Treasurer>,
    Extension(auth): Extension<Auth>,
    Sent(rule): Sent<Rule>,
) -> Answer {
    let held = date(&rule.held)?.unwrap_or_else(register::today);
    let (yes, no, of) = (number(&rule.yes)?, number(&rule.no)?, number(&rule.of)?);
    let vote = Vote { held, question: rule.question.trim().to_owned(), yes, no, of };
    done(&site, &v, &auth, &rule, What::Vote(vote)).await
}

async fn tariff(
    State(site): State<Arc<Site>>,
    v: Signed<Treasurer>,
    Extension(auth): Extension<Auth>,
    Sent(rule): Sent<Rule>,
) -> Answer {
    let (from, vote) = (date(&rule.from)?.unwrap_or_else(register::today), rule.vote()?);
    let tariff = Tariff { from, yearly: yuan(&rule.amount)?, grace_days: number(&rule.grace_days)?, vote };
    done(&site, &v, &auth, &rule, What::Tariff(tariff)).await
}

async fn exempt(
    State(site): State<Arc<Site>>,
    v: Signed<Treasurer>,
    Extension(auth): Extension<Auth>,
    Sent(rule): Sent<Rule>,
) -> Answer {
    let who = match rule.who.parse::<Plate>() {
        Ok(plate) => Who::Plate(plate),
        Err(_) => Who::Household(rule.who.trim().to_owned()),
    };
    let (from, until) = (date(&rule.from)?.unwrap_or_else(register::today), date(&rule.until)?);
    let (vote, reason) = (rule.vote()?, rule.reason.trim().to_owned());
    done(&site, &v, &auth, &rule, What::Exemption(Exemption { who, from, until, vote, reason })).await
}

async fn campaign(
    State(site): State<Arc<Site>>,
    v: Signed<Treasurer>,
    Extension(auth): Extension<Auth>,
    Sent(rule): Sent<Rule>,
) -> Answer {
    let (goal, share) = (yuan(&rule.goal)?, yuan(&rule.share)?);
    let (name, title) = (rule.name.trim().to_owned(), rule.title.trim().to_owned());
    done(&site, &v, &auth, &rule, What::Campaign(Campaign { name, title, goal, share })).await
}

async fn opening(
    State(site): State<Arc<Site>>,
    v: Signed<Treasurer>,
    Extension(auth): Extension<Auth>,
    Sent(rule): Sent<Rule>,
) -> Answer {
    let wrong = |e: crate::ledger::account::NoAccount| Refusal::bad("没有这个账户", e.to_string());
    let account: Account = rule.account.parse().map_err(wrong)?;
    let what = What::Opening { account, amount: yuan(&rule.amount)?, plate: None, household: None };
    done(&site, &v, &auth, &rule, what).await
}
