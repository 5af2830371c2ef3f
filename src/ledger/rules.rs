//! May this be entered, and what does it move?
//!
//! In: the book as it is and a draft. Out: the postings, or a [`Refusal`] that says what to do. Nothing is changed here.

use jiff::ToSpan;
use jiff::civil::Date;

use super::account::{Account, is_name};
use super::book::Book;
use super::dues::in_force;
use super::entry::{Draft, Posting, What};
use super::money::Fen;
use super::refusal::Refusal;

/// What an entry moves, whether it may be made or not. `None` where it refers to something that is not in the book.
pub(super) fn postings(book: &Book, day: Date, what: &What) -> Option<Vec<Posting>> {
    let pair = |into: Account, out_of: Account, amount: Fen| {
        vec![Posting { account: into, fen: amount }, Posting { account: out_of, fen: -amount }]
    };
    Some(match what {
        What::Opening { account: Account::Campaign(name), amount, .. } => {
            pair(Account::Opening, Account::Campaign(name.clone()), *amount)
        }
        What::Opening { account, amount, .. } => pair(account.clone(), Account::Opening, *amount),
        What::Contribution { campaign, amount, into, .. } => {
            pair(into.clone(), Account::Campaign(campaign.clone()), *amount)
        }
        What::Fee { amount, into, .. } => pair(into.clone(), Account::Fees, *amount),
        What::Spending { purpose, amount, out_of, .. } => pair(Account::Spent(*purpose), out_of.clone(), *amount),
        What::Refund { amount, out_of, .. } => pair(Account::Refunds, out_of.clone(), *amount),
        What::Transfer { from, to, amount, .. } => pair(to.clone(), from.clone(), *amount),
        What::Confirm { offer } => {
            let What::Offer { from, to, amount } = &book.entry(*offer)?.entry.what else { return None };
            pair(Account::Cash(to.clone()), Account::Cash(from.clone()), *amount)
        }
        What::Count { held, counted } => match *counted - book.balance_on(held, day) {
            Fen::ZERO => Vec::new(),
            more => pair(held.clone(), Account::Differences, more),
        },
        What::Correction { of, .. } => {
            let undone = book.entry(*of)?.entry.postings.iter();
            undone.map(|p| Posting { account: p.account.clone(), fen: -p.fen }).collect()
        }
        What::Campaign(_)
        | What::Tariff(_)
        | What::Vote(_)
        | What::Exemption(_)
        | What::Offer { .. }
        | What::Withdrawal { .. }
        | What::NewPlate { .. } => Vec::new(),
    })
}

/// The postings of a draft, or why it may not be entered. `today` is the day at the gate.
pub(super) fn check(book: &Book, draft: &Draft, today: Date) -> Result<Vec<Posting>, Refusal> {
    name(&draft.by)?;
    text("note", &draft.note, 0)?;
    if draft.token.as_ref().is_some_and(|t| t.is_empty() || t.len() > 64) {
        return Err(Refusal::Text { field: "token", longest: 64 });
    }
    if draft.day > today {
        return Err(Refusal::Ahead(draft.day));
    }
    check_what(book, draft)?;
    let postings = postings(book, draft.day, &draft.what).ok_or(Refusal::Nothing)?;
    // What is offered to somebody goes by its confirmation only; a count finds what there is.
    let offered = |holder: &str| match draft.what {
        What::Confirm { .. } | What::Count { .. } => Fen::ZERO,
        _ => book.offered_by(holder),
    };
    for posting in postings.iter().filter(|p| p.account.is_money()) {
        let account = &posting.account;
        let already = book.counted(account).filter(|last| draft.day <= *last);
        if let Some(last) = already.filter(|_| !matches!(draft.what, What::Count { .. })) {
            return Err(Refusal::Counted { account: account.clone(), last });
        }
        let kept = account.holder().map_or(Fen::ZERO, offered);
        let has = (book.balance(account) - kept).min(book.least_from(account, draft.day));
        if posting.fen < Fen::ZERO && has + posting.fen < Fen::ZERO {
            return Err(Refusal::Short { account: account.clone(), has, needed: -posting.fen, offered: kept });
        }
    }
    Ok(postings)
}

fn check_what(book: &Book, draft: &Draft) -> Result<(), Refusal> {
    let (by, day) = (draft.by.as_str(), draft.day);
    match &draft.what {
        What::Campaign(campaign) => {
            name(&campaign.name)?;
            text("title", &campaign.title, 1)?;
            let fits = |fen: Fen| fen == Fen::ZERO || fen.is_payable();
            if fits(campaign.goal) && fits(campaign.share) { Ok(()) } else { Err(Refusal::Amount) }
        }
        What::Tariff(tariff) => {
            if tariff.yearly != Fen::ZERO {
                payable(tariff.yearly)?;
            }
            tariff.vote.map_or(Ok(()), |vote| carried(book, vote))
        }
        What::Vote(vote) => {
            text("question", &vote.question, 1)?;
            let cast = u64::from(vote.yes) + u64::from(vote.no);
            let possible = vote.held <= day && cast > 0 && cast <= u64::from(vote.of);
            if possible { Ok(()) } else { Err(Refusal::Vote) }
        }
        What::Exemption(exemption) => {
            text("reason", &exemption.reason, 1)?;
            if exemption.until.is_some_and(|last| last < exemption.from) {
                return Err(Refusal::Term);
            }
            if let super::entry::Who::Household(key) = &exemption.who {
                household(key)?;
            }
            exemption.vote.map_or(Ok(()), |vote| carried(book, vote))
        }
        What::Opening { account, amount, household: of, .. } => {
            payable(*amount)?;
            if let Some(of) = of {
                household(of)?;
            }
            match account {
                Account::Campaign(name) => campaign(book, name),
                Account::Bank | Account::Cash(_) | Account::Spent(_) => Ok(()),
                _ => Err(Refusal::Account(account.clone())),
            }
        }
        What::Contribution { campaign: to, household: of, amount, into, .. } => {
            payable(*amount)?;
            household(of)?;
            campaign(book, to)?;
            money(into)
        }
        What::Fee { plate, household: of, from, until, amount, into } => {
            payable(*amount)?;
            household(of)?;
            money(into)?;
            fee_term(book, *from, *until, *amount)?;
            let dues = book.dues(plate, of);
            let overlaps = dues.terms.iter().any(|(f, u)| from <= u && f <= until);
            if overlaps { Err(Refusal::Overlap { until: dues.terms.last().map_or(*until, |t| t.1) }) } else { Ok(()) }
        }
        What::Spending { title, payee, amount, out_of, .. } => {
            payable(*amount)?;
            text("title", title, 1)?;
            text("payee", payee, 0)?;
            money(out_of)
        }
        What::Refund { of, amount, out_of, reason } => {
            payable(*amount)?;
            text("reason", reason, 1)?;
            money(out_of)?;
            let given = match &live(book, *of)?.what {
                What::Contribution { amount, .. } | What::Fee { amount, .. } => *amount,
                What::Opening { account: Account::Campaign(_), amount, .. } => *amount,
                _ => return Err(Refusal::NotRefundable(*of)),
            };
            let left = given - book.refunded(*of).0;
            if *amount > left { Err(Refusal::Left { of: *of, left }) } else { Ok(()) }
        }
        What::Transfer { from, to, amount, .. } => {
            payable(*amount)?;
            match (from, to) {
                (Account::Bank, Account::Cash(_)) | (Account::Cash(_), Account::Bank) => Ok(()),
                // Between two people it takes both: an offer and its confirmation.
                _ => Err(Refusal::Account(to.clone())),
            }
        }
        What::Offer { from, to, amount } => offer(book, by, from, to, *amount),
        What::Confirm { offer } => match book.offers().get(offer) {
            None => Err(Refusal::NoOffer(*offer)),
            Some(offered) if offered.to != by => Err(Refusal::NotYours { who: offered.to.clone() }),
            Some(_) => Ok(()),
        },
        What::Withdrawal { offer } => match book.offers().get(offer) {
            None => Err(Refusal::NoOffer(*offer)),
            Some(offered) if offered.to != by && offered.from != by => {
                Err(Refusal::NotYours { who: offered.from.clone() })
            }
            Some(_) => Ok(()),
        },
        What::Count { held, counted } => {
            money(held)?;
            if *counted != Fen::ZERO {
                payable(*counted)?;
            }
            // A difference on an earlier day would change days that were counted since.
            match book.counted(held).filter(|last| day <= *last) {
                Some(last) => Err(Refusal::Counted { account: held.clone(), last }),
                None => Ok(()),
            }
        }
        What::Correction { of, reason } => {
            text("reason", reason, 1)?;
            correction(book, *of)
        }
        What::NewPlate { old, new } => {
            if old == new || !book.knows(old) {
                Err(Refusal::NewPlate)
            } else {
                Ok(())
            }
        }
    }
}

fn offer(book: &Book, by: &str, from: &str, to: &str, amount: Fen) -> Result<(), Refusal> {
    payable(amount)?;
    name(to)?;
    if from != by {
        return Err(Refusal::NotYours { who: from.to_owned() });
    }
    if from == to {
        return Err(Refusal::Itself);
    }
    let (account, offered) = (Account::Cash(from.to_owned()), book.offered_by(from));
    let has = book.balance(&account) - offered;
    if amount > has { Err(Refusal::Short { account, has, needed: amount, offered }) } else { Ok(()) }
}

/// What can be undone: money that moved once, votes and exemptions. An offer is withdrawn, a count is counted again, a
/// campaign or tariff is entered anew.
fn correction(book: &Book, of: u64) -> Result<(), Refusal> {
    match &live(book, of)?.what {
        What::Contribution { .. } | What::Fee { .. } | What::Opening { .. } if book.refunded(of).0 > Fen::ZERO => {
            Err(Refusal::Refunded(of))
        }
        What::Contribution { .. }
        | What::Fee { .. }
        | What::Opening { .. }
        | What::Spending { .. }
        | What::Refund { .. }
        | What::Transfer { .. }
        | What::Confirm { .. }
        | What::Vote(_)
        | What::Exemption(_) => Ok(()),
        _ => Err(Refusal::NotCorrectable(of)),
    }
}

/// No longer a term than the money pays for: a year for each yearly fee, and a part of it by days, in the payer's favour.
fn fee_term(book: &Book, from: Date, until: Date, amount: Fen) -> Result<(), Refusal> {
    let tariff = in_force(book.tariffs(), from).filter(|t| t.yearly > Fen::ZERO).ok_or(Refusal::NoTariff(from))?;
    if until < from {
        return Err(Refusal::Term);
    }
    let longest = paid_term(from, amount, tariff.yearly).ok_or(Refusal::Term)?;
    if until > longest { Err(Refusal::TooLong { longest }) } else { Ok(()) }
}

/// The last day that an amount pays for.
pub fn paid_term(from: Date, amount: Fen, yearly: Fen) -> Option<Date> {
    let (years, rest) = (amount.fen() / yearly.fen(), amount.fen() % yearly.fen());
    let days = (rest * 366 + yearly.fen() - 1) / yearly.fen();
    // Nobody pays for a century, and the calendar ends somewhere.
    let years = i16::try_from(years).ok().filter(|y| *y <= 100)?;
    from.checked_add(years.years().days(days)).ok()?.yesterday().ok()
}

/// The entry, if it is there and was not undone.
fn live(book: &Book, number: u64) -> Result<&super::entry::Entry, Refusal> {
    let sealed = book.entry(number).ok_or(Refusal::NoEntry(number))?;
    match book.undone_by(number) {
        Some(by) => Err(Refusal::Undone { number, by }),
        None => Ok(&sealed.entry),
    }
}

fn carried(book: &Book, number: u64) -> Result<(), Refusal> {
    match &live(book, number)?.what {
        What::Vote(vote) if vote.is_carried() => Ok(()),
        _ => Err(Refusal::NotCarried(number)),
    }
}

fn campaign(book: &Book, name: &str) -> Result<(), Refusal> {
    let known = book.campaigns().iter().any(|(_, c)| c.name == name);
    if known { Ok(()) } else { Err(Refusal::NoCampaign(name.chars().take(40).collect())) }
}

fn payable(amount: Fen) -> Result<(), Refusal> {
    if amount.is_payable() { Ok(()) } else { Err(Refusal::Amount) }
}

fn money(account: &Account) -> Result<(), Refusal> {
    if account.is_money() { Ok(()) } else { Err(Refusal::Account(account.clone())) }
}

fn name(text: &str) -> Result<(), Refusal> {
    if is_name(text) { Ok(()) } else { Err(Refusal::Name) }
}

/// A household's key: a building's number from 1, a hyphen, a flat.
fn household(key: &str) -> Result<(), Refusal> {
    let parts = key.split_once('-').filter(|(building, _)| building.parse::<u16>().is_ok_and(|n| n > 0));
    let fits = parts.is_some_and(|(_, unit)| is_name(unit) && unit.chars().count() <= 16);
    if fits { Ok(()) } else { Err(Refusal::Household(key.chars().take(24).collect())) }
}

/// A line of at most 200 characters without control characters.
fn text(field: &'static str, text: &str, shortest: usize) -> Result<(), Refusal> {
    const LONGEST: usize = 200;
    let n = text.trim().chars().count();
    let fits = (shortest..=LONGEST).contains(&n) && !text.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(Refusal::Text { field, longest: LONGEST }) }
}
