//! The sunshine board (阳光账本): what every neighbour may see.
//!
//! In: the book and the compound's households and cars. Out: raised of goal, joined of households by building, spent by
//! purpose, where the money is, and each entry without names, plates or flats: only the building.

use std::ops::Range;
use std::sync::Arc;

use jiff::civil::Date;
use serde::Serialize;

use super::account::{Account, Purpose};
use super::book::Book;
use super::entry::{Entry, Sealed, What};
use super::hash::Hash;
use super::money::Fen;
use crate::plate;

/// What the board needs to know of the compound.
#[derive(Clone, Debug, Default)]
pub struct Compound {
    /// The households' keys, such as `2-301`.
    pub households: Vec<String>,
    /// What was put in for each registered car, less what was given back of it.
    pub cars: Vec<Fen>,
    /// Names that must not be shown: of contacts and stewards.
    pub names: Vec<String>,
}

/// One campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CampaignLine {
    /// What it is for.
    pub title: String,
    /// How much is wanted; 0 if there is no goal.
    pub goal: Fen,
    /// How much came in, less what was given back.
    pub raised: Fen,
}

/// One building.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Building {
    /// Its number.
    pub building: u16,
    /// Its households.
    pub households: usize,
    /// Those that put something in.
    pub joined: usize,
}

/// One entry, as neighbours see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Its number.
    pub number: u64,
    /// Its day.
    pub day: Date,
    /// What it was, in Chinese and in English.
    pub kind: [&'static str; 2],
    /// The building it came from or went to.
    pub building: Option<u16>,
    /// What it was spent on.
    pub purpose: Option<Purpose>,
    /// What for, without plates and names.
    pub title: String,
    /// What came in (positive) or went out; 0 where money only changed places.
    pub amount: Fen,
    /// Was it undone?
    pub undone: bool,
}

/// A vote, as neighbours see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownVote {
    /// When.
    pub held: Date,
    /// What on, without plates and names.
    pub question: String,
    /// For it, against it, of how many.
    pub counts: [u32; 3],
}

/// The board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Board {
    /// The campaigns.
    pub campaigns: Vec<CampaignLine>,
    /// The buildings.
    pub buildings: Vec<Building>,
    /// Cars whose share is paid, and all cars.
    pub cars: [usize; 2],
    /// Yearly fees that came in, less what was given back of them.
    pub fees: Fen,
    /// What went for what.
    pub spent: Vec<(Purpose, Fen)>,
    /// What was given back.
    pub refunds: Fen,
    /// What counts found missing (positive) or too much.
    pub differences: Fen,
    /// Put in before the book began, and neither there nor known to be spent.
    pub unexplained: Fen,
    /// In the bank.
    pub bank: Fen,
    /// In cash, with how many people.
    pub cash: (Fen, usize),
    /// The votes, newest first.
    pub votes: Vec<ShownVote>,
    /// How many entries moved money.
    pub moves: usize,
    /// Those of them that were asked for, newest first.
    pub entries: Vec<Shown>,
    /// The number and hash of the last entry.
    pub head: (u64, Hash),
}

impl Board {
    /// The board of a book, with every entry that moved money.
    pub fn of(book: &Book, compound: &Compound) -> Board {
        Board::page(book, compound, 0..usize::MAX)
    }

    /// The board of a book, with these of the entries that moved money, counted from the newest.
    pub fn page(book: &Book, compound: &Compound, shown: Range<usize>) -> Board {
        let hide = |text: &str| without_names(text, &compound.names);
        let line = |(_, c): (Option<Date>, super::Campaign)| CampaignLine {
            raised: book.raised(&c.name),
            goal: c.goal,
            title: hide(&c.title),
        };
        let share = book.share();
        let paid = |paid: &&Fen| **paid >= share && **paid > Fen::ZERO;
        let campaigns: Vec<CampaignLine> = book.campaigns().into_iter().map(line).collect();
        let income = |a: &Account| matches!(a, Account::Campaign(_) | Account::Fees);
        let came: Fen = book.balances().filter(|(a, _)| income(a)).map(|(_, fen)| -fen).sum();
        let raised: Fen = campaigns.iter().map(|c| c.raised).sum();
        let cash: Vec<Fen> =
            book.balances().filter(|(a, fen)| a.holder().is_some() && *fen != Fen::ZERO).map(|(_, fen)| fen).collect();
        let shown = book.moves().rev().skip(shown.start).take(shown.len());
        let votes = book.votes().into_iter().rev();
        Board {
            buildings: buildings(book, compound),
            cars: [compound.cars.iter().filter(paid).count(), compound.cars.len()],
            fees: came - raised - book.balance(&Account::Refunds),
            campaigns,
            spent: Purpose::ALL.map(|p| (p, book.balance(&Account::Spent(p)))).to_vec(),
            refunds: book.balance(&Account::Refunds),
            differences: book.balance(&Account::Differences),
            unexplained: book.balance(&Account::Opening),
            bank: book.balance(&Account::Bank),
            cash: (cash.iter().copied().sum(), cash.len()),
            votes: votes
                .map(|(_, v)| ShownVote { held: v.held, question: hide(&v.question), counts: [v.yes, v.no, v.of] })
                .collect(),
            moves: book.moves().len(),
            entries: Board::entries(book, compound, shown),
            head: book.head(),
        }
    }

    /// These entries, as neighbours see them.
    pub fn entries<'a>(book: &Book, compound: &Compound, entries: impl Iterator<Item = &'a Arc<Sealed>>) -> Vec<Shown> {
        let hide = |text: &str| without_names(text, &compound.names);
        entries.map(|sealed| show(book, &sealed.entry, &hide)).collect()
    }

    /// What is there.
    pub fn balance(&self) -> Fen {
        self.bank + self.cash.0
    }
}

fn buildings(book: &Book, compound: &Compound) -> Vec<Building> {
    let mut buildings: Vec<Building> = Vec::new();
    for key in &compound.households {
        let Some(number) = building_of(key) else { continue };
        let joined = usize::from(book.gave(key) > Fen::ZERO);
        match buildings.iter_mut().find(|b| b.building == number) {
            Some(b) => (b.households, b.joined) = (b.households + 1, b.joined + joined),
            None => buildings.push(Building { building: number, households: 1, joined }),
        }
    }
    buildings.sort_by_key(|b| b.building);
    buildings
}

fn building_of(key: &str) -> Option<u16> {
    key.split_once('-')?.0.parse().ok()
}

fn show(book: &Book, entry: &Entry, hide: &impl Fn(&str) -> String) -> Shown {
    let (mut building, mut purpose, mut title) = (None, None, String::new());
    match &entry.what {
        What::Contribution { household, .. } | What::Fee { household, .. } => building = building_of(household),
        What::Opening { household: Some(household), .. } => building = building_of(household),
        What::Opening { account: Account::Spent(p), .. } => purpose = Some(*p),
        What::Spending { purpose: p, title: t, .. } => (purpose, title) = (Some(*p), hide(t)),
        What::Refund { of, .. } | What::Correction { of, .. } => {
            title = format!("#{of}");
            building = book.entry(*of).and_then(|e| match &e.entry.what {
                What::Contribution { household, .. } | What::Fee { household, .. } => building_of(household),
                _ => None,
            });
        }
        _ => {}
    }
    Shown {
        number: entry.number,
        day: entry.day,
        kind: [super::words::kind_zh(&entry.what), super::words::kind(&entry.what)],
        building,
        purpose,
        title,
        amount: entry.postings.iter().filter(|p| p.account.is_money()).map(|p| p.fen).sum(),
        undone: book.is_undone(entry.number),
    }
}

/// A text without what looks like a plate, and without these names.
fn without_names(text: &str, names: &[String]) -> String {
    let mut out = plate::strike(text);
    // One character is a surname at most, and stands in too many words.
    for name in names.iter().filter(|n| n.chars().count() > 1) {
        if out.contains(name.as_str()) {
            out = out.replace(name.as_str(), "某");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plates_and_names_do_not_come_onto_the_board() {
        let names = ["王芳".to_owned(), "伟".to_owned()];
        for (text, want) in
            [("给苏F8K291补漆", "给［车牌］补漆"), ("王芳垫付", "某垫付"), ("道闸机一套，含安装", "道闸机一套，含安装")]
        {
            assert_eq!(without_names(text, &names), want);
        }
    }
}
