//! The book in memory: every entry, and what follows from them.
//!
//! In: entries, in their order. Out: balances, the campaigns, the tariffs, what each car has paid, who has offered cash to
//! whom. A book is never changed, only replaced by one with more entries. Whether something may be entered is decided in
//! [`super::rules`].

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::civil::Date;

use super::account::Account;
use super::dues::{Dues, Exempted, SHARE};
use super::entry::{Campaign, Entry, Exemption, Sealed, Tariff, Vote, What, Who, origin};
use super::hash::Hash;
use super::money::Fen;
use super::sums::{Sums, Turnover};
use crate::plate::Plate;

/// Every entry, and what follows from them.
#[derive(Clone, Debug, Default)]
pub struct Book {
    entries: Vec<Arc<Sealed>>,
    sums: Sums,
    campaigns: BTreeMap<String, (Date, Campaign)>,
    tariffs: Arc<[Tariff]>,
    /// The entries that concern a car.
    of_car: HashMap<Plate, Vec<u64>>,
    votes: Vec<u64>,
    exemptions: Vec<u64>,
    /// The plate that a car's exemption counts for now, by its number, where the car has got another one since.
    moved_exemptions: HashMap<u64, Plate>,
    offers: BTreeMap<u64, Offered>,
    counted: BTreeMap<Account, Date>,
    /// The number of the correction, by that of the entry it undoes.
    undone: HashMap<u64, u64>,
    refunds: HashMap<u64, Vec<u64>>,
    tokens: HashMap<String, u64>,
}

/// Cash that was offered and is neither confirmed nor withdrawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// Who holds it.
    pub from: String,
    /// Who is to have it.
    pub to: String,
    /// How much.
    pub amount: Fen,
}

impl Book {
    /// All entries, oldest first.
    pub fn entries(&self) -> &[Arc<Sealed>] {
        &self.entries
    }

    /// The entry with this number.
    pub fn entry(&self, number: u64) -> Option<&Arc<Sealed>> {
        let at = usize::try_from(number.checked_sub(1)?).ok()?;
        // Where entries were lost, the numbers are not the places.
        let there = self.entries.get(at).filter(|e| e.entry.number == number);
        there.or_else(|| self.entries.iter().find(|e| e.entry.number == number))
    }

    /// The number and the hash of the last entry: whoever has noted them can tell later that nothing before was changed.
    pub fn head(&self) -> (u64, Hash) {
        self.entries.last().map_or((0, Hash::default()), |last| (last.entry.number, last.hash))
    }

    /// What stands on an account now.
    pub fn balance(&self, account: &Account) -> Fen {
        self.sums.balance(account)
    }

    /// What stood on an account at the end of a day.
    pub fn balance_on(&self, account: &Account, day: Date) -> Fen {
        self.sums.balance_on(account, day)
    }

    /// The least that stood on an account at the end of this day or of any later one.
    pub fn least_from(&self, account: &Account, day: Date) -> Fen {
        self.sums.least_from(account, day)
    }

    /// What an account received and gave on these days, both included.
    pub fn turnover(&self, account: &Account, from: Date, until: Date) -> Turnover {
        self.sums.turnover(account, from, until)
    }

    /// Every account that was ever used, with what stands on it now.
    pub fn balances(&self) -> impl Iterator<Item = (&Account, Fen)> {
        self.sums.accounts().map(|account| (account, self.balance(account)))
    }

    /// The entries that moved money, in the order in which they were made.
    pub fn moves(&self) -> impl ExactSizeIterator<Item = &Arc<Sealed>> + DoubleEndedIterator {
        self.sums.moves.iter().map(|at| &self.entries[*at])
    }

    /// How many entries moved money on these days, both included.
    pub fn count_moves(&self, from: Date, until: Date) -> usize {
        self.sums.moves_of(from, until).map(Vec::len).sum()
    }

    /// The entries that moved money on these days, both included: by day, then as they were made.
    pub fn moves_of(&self, from: Date, until: Date) -> impl Iterator<Item = &Arc<Sealed>> {
        self.sums.moves_of(from, until).flatten().map(|at| &self.entries[*at])
    }

    /// The first day on which money moved.
    pub fn first_day(&self) -> Option<Date> {
        self.sums.first_day()
    }

    /// What a household put in for campaigns, less what was given back of it.
    pub fn gave(&self, household: &str) -> Fen {
        self.sums.gave(household)
    }

    /// The campaigns by name, each with the day it began; where none was entered, the usual one.
    pub fn campaigns(&self) -> Vec<(Option<Date>, Campaign)> {
        if self.campaigns.is_empty() {
            return vec![(None, usual_campaign())];
        }
        self.campaigns.values().map(|(day, campaign)| (Some(*day), campaign.clone())).collect()
    }

    /// The campaign that the gate is about: the first one that asks a share of each car, or else the first.
    pub fn main_campaign(&self) -> Campaign {
        let mut campaigns = self.campaigns();
        campaigns.sort_by_key(|(began, campaign)| (campaign.share == Fen::ZERO, *began));
        campaigns.into_iter().next().map_or_else(usual_campaign, |(_, campaign)| campaign)
    }

    /// What was put in for a campaign, less what was given back of it.
    pub fn raised(&self, campaign: &str) -> Fen {
        let income = -self.balance(&Account::Campaign(campaign.to_owned()));
        let of = |sealed: &Sealed| match &sealed.entry.what {
            What::Contribution { campaign: of, .. } => of == campaign,
            What::Opening { account: Account::Campaign(of), .. } => of == campaign,
            _ => false,
        };
        let refunded: Fen =
            self.refunds.keys().filter(|n| self.entry(**n).is_some_and(|e| of(e))).map(|n| self.refunded(*n).0).sum();
        income - refunded
    }

    /// The yearly fees, in the order of their first days.
    pub fn tariffs(&self) -> &[Tariff] {
        &self.tariffs
    }

    /// The carried and other votes that were not withdrawn, each with its number.
    pub fn votes(&self) -> Vec<(u64, &Vote)> {
        let live = self.votes.iter().filter(|n| !self.is_undone(**n));
        let of = |n: &u64| if let What::Vote(vote) = &self.entry(*n)?.entry.what { Some((*n, vote)) } else { None };
        live.filter_map(of).collect()
    }

    /// The exemptions in force or to come, each with its number.
    pub fn exemptions(&self) -> Vec<(u64, &Exemption)> {
        let live = self.exemptions.iter().filter(|n| !self.is_undone(**n));
        let of = |n: &u64| match &self.entry(*n)?.entry.what {
            // With its vote withdrawn an exemption has no ground any more.
            What::Exemption(e) if e.vote.is_none_or(|vote| !self.is_undone(vote)) => Some((*n, e)),
            _ => None,
        };
        live.filter_map(of).collect()
    }

    /// The plate that an exemption of a car counts for now: the car may have got another one since.
    pub fn exempted_plate(&self, number: u64) -> Option<Plate> {
        let granted = || match &self.entry(number)?.entry.what {
            What::Exemption(Exemption { who: Who::Plate(plate), .. }) => Some(*plate),
            _ => None,
        };
        self.moved_exemptions.get(&number).copied().or_else(granted)
    }

    /// Does the book say anything of this plate: money, or that it need not pay?
    pub fn knows(&self, plate: &Plate) -> bool {
        let exempted = |(number, _): &(u64, &Exemption)| self.exempted_plate(*number) == Some(*plate);
        self.of_car(plate).next().is_some() || self.exemptions().iter().any(exempted)
    }

    /// Cash that is offered and not yet confirmed, by the number of the offer.
    pub fn offers(&self) -> &BTreeMap<u64, Offered> {
        &self.offers
    }

    /// What this person has offered to others.
    pub fn offered_by(&self, name: &str) -> Fen {
        self.offers.values().filter(|o| o.from == name).map(|o| o.amount).sum()
    }

    /// The last day that was counted for this account.
    pub fn counted(&self, account: &Account) -> Option<Date> {
        self.counted.get(account).copied()
    }

    /// The last day of the month that is over, if money was there and nobody has counted it since.
    pub fn to_count(&self, account: &Account, today: Date) -> Option<Date> {
        let last = today.first_of_month().yesterday().ok().filter(|_| account.is_money())?;
        let is_counted = self.counted(account).is_some_and(|day| day >= last);
        (!is_counted && self.balance_on(account, last) != Fen::ZERO).then_some(last)
    }

    /// Was this entry undone by a correction?
    pub fn is_undone(&self, number: u64) -> bool {
        self.undone.contains_key(&number)
    }

    /// The number of the correction that undid this entry.
    pub fn undone_by(&self, number: u64) -> Option<u64> {
        self.undone.get(&number).copied()
    }

    /// How much of an entry was given back, and the last day on which that happened.
    pub fn refunded(&self, number: u64) -> (Fen, Option<Date>) {
        let live = self.refunds.get(&number).into_iter().flatten().filter(|n| !self.is_undone(**n));
        live.filter_map(|n| self.entry(*n)).fold((Fen::ZERO, None), |(sum, last), refund| match refund.entry.what {
            What::Refund { amount, .. } => (sum + amount, last.max(Some(refund.entry.day))),
            _ => (sum, last),
        })
    }

    /// The entry that a form with this token has already made.
    pub fn by_token(&self, token: &str) -> Option<&Arc<Sealed>> {
        self.entry(*self.tokens.get(token)?)
    }

    /// The entries that concern a car, oldest first.
    pub fn of_car(&self, plate: &Plate) -> impl Iterator<Item = &Arc<Sealed>> {
        self.of_car.get(plate).into_iter().flatten().filter_map(|n| self.entry(*n))
    }

    /// How a car of that household stands with the book.
    pub fn dues(&self, plate: &Plate, household: &str) -> Dues {
        self.dues_among(plate, household, &self.exempted())
    }

    /// The same of many cars, each with its household.
    pub fn all_dues<'a>(&self, cars: impl Iterator<Item = (&'a Plate, &'a str)>) -> Vec<Dues> {
        let exempted = self.exempted();
        cars.map(|(plate, household)| self.dues_among(plate, household, &exempted)).collect()
    }

    /// Whom the exemptions are for now, and their days.
    fn exempted(&self) -> Vec<(Who, Exempted)> {
        let now = |(number, e): (u64, &Exemption)| {
            let who = self.exempted_plate(number).map_or_else(|| e.who.clone(), Who::Plate);
            (who, Exempted { from: e.from, until: e.until, vote: e.vote })
        };
        self.exemptions().into_iter().map(now).collect()
    }

    fn dues_among(&self, plate: &Plate, household: &str, exempted: &[(Who, Exempted)]) -> Dues {
        let tariffs = self.tariffs.clone();
        let mut dues = Dues { share: self.share(), asked: self.asked(), tariffs, ..Dues::default() };
        for sealed in self.of_car(plate).filter(|e| !self.is_undone(e.entry.number)) {
            let (refunded, ended) = self.refunded(sealed.entry.number);
            match &sealed.entry.what {
                What::Contribution { amount, .. } | What::Opening { amount, .. } => dues.paid += *amount - refunded,
                What::Fee { from, until, .. } => {
                    let last = ended.and_then(|day| day.yesterday().ok()).map_or(*until, |day| day.min(*until));
                    if *from <= last {
                        dues.terms.push((*from, last));
                    }
                }
                _ => {}
            }
        }
        dues.terms.sort();
        let concerns = |who: &Who| match who {
            Who::Plate(of) => of == plate,
            Who::Household(of) => of == household,
        };
        dues.exemptions = exempted.iter().filter(|(who, _)| concerns(who)).map(|(_, days)| *days).collect();
        dues
    }

    /// What all campaigns together ask of a car.
    pub fn share(&self) -> Fen {
        if self.campaigns.is_empty() { SHARE } else { self.campaigns.values().map(|(_, c)| c.share).sum() }
    }

    /// When the newest share was asked for.
    fn asked(&self) -> Option<Date> {
        self.campaigns.values().filter(|(_, c)| c.share > Fen::ZERO).map(|(day, _)| *day).max()
    }

    /// Puts an entry in, as it is.
    pub(super) fn take(&mut self, sealed: Arc<Sealed>) {
        let entry = &sealed.entry;
        let of = |entry: &Entry| origin(&entry.what).and_then(|number| self.entry(number)).cloned();
        let undone = of(entry);
        let of_that = undone.as_ref().and_then(|undone| of(&undone.entry));
        self.sums.take(
            self.entries.len(),
            entry,
            undone.as_deref().map(|s| &s.entry),
            of_that.as_deref().map(|s| &s.entry),
        );
        if let Some(token) = &entry.token {
            self.tokens.insert(token.clone(), entry.number);
        }
        self.follow(entry.number, entry.day, &entry.what);
        self.entries.push(sealed);
    }

    fn follow(&mut self, number: u64, day: Date, what: &What) {
        match what {
            What::Campaign(campaign) => {
                // A later one changes goal and share; it began when the first one did.
                let began = self.campaigns.get(&campaign.name).map_or(day, |(began, _)| *began);
                self.campaigns.insert(campaign.name.clone(), (began, campaign.clone()));
            }
            What::Tariff(tariff) => {
                let mut tariffs: Vec<Tariff> = self.tariffs.iter().filter(|t| t.from != tariff.from).cloned().collect();
                tariffs.push(tariff.clone());
                tariffs.sort_by_key(|t| t.from);
                self.tariffs = tariffs.into();
            }
            What::Exemption(_) => self.exemptions.push(number),
            What::Opening { plate, .. } | What::Contribution { plate, .. } => {
                if let Some(plate) = plate {
                    self.of_car.entry(*plate).or_default().push(number);
                }
            }
            What::Fee { plate, .. } => self.of_car.entry(*plate).or_default().push(number),
            What::Refund { of, .. } => self.refunds.entry(*of).or_default().push(number),
            What::Offer { from, to, amount } => {
                self.offers.insert(number, Offered { from: from.clone(), to: to.clone(), amount: *amount });
            }
            What::Confirm { offer } | What::Withdrawal { offer } => {
                self.offers.remove(offer);
            }
            What::Count { held, .. } => {
                let last = self.counted.entry(held.clone()).or_insert(day);
                *last = day.max(*last);
            }
            What::Correction { of, .. } => {
                self.undone.insert(*of, number);
            }
            What::NewPlate { old, new } => {
                let moved = self.of_car.remove(old).unwrap_or_default();
                let there = self.of_car.entry(*new).or_default();
                there.extend(moved);
                there.push(number);
                there.sort_unstable();
                let of_old = |number: &&u64| self.exempted_plate(**number) == Some(*old);
                let exempted: Vec<u64> = self.exemptions.iter().filter(of_old).copied().collect();
                self.moved_exemptions.extend(exempted.into_iter().map(|number| (number, *new)));
            }
            What::Vote(_) => self.votes.push(number),
            What::Spending { .. } | What::Transfer { .. } => {}
        }
    }
}

/// The campaign where none was entered: the barrier, 100 yuan a car.
pub fn usual_campaign() -> Campaign {
    Campaign { name: "barrier".into(), title: "众筹道闸".into(), goal: Fen::ZERO, share: SHARE }
}
