//! One entry of the book: what happened, who wrote it, what moved, and the hash of the entry before.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::account::{Account, Purpose};
use super::hash::{Hash, canonical};
use super::money::Fen;
use crate::plate::Plate;

/// What happened. Everything that the book knows, it knows from these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum What {
    /// Money is collected for something; a later entry with the same name changes goal and share.
    Campaign(Campaign),
    /// What a year costs from a day on. Nothing (0) ends the fees.
    Tariff(Tariff),
    /// The neighbours voted.
    Vote(Vote),
    /// A car or a household need not pay.
    Exemption(Exemption),
    /// From before the book: put in for a car, money there, or money spent.
    Opening {
        /// A campaign, a place where money is, or what it was spent on.
        account: Account,
        /// How much.
        amount: Fen,
        /// For which car it was put in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plate: Option<Plate>,
        /// Of which household, such as `2-301`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        household: Option<String>,
    },
    /// Somebody puts in money for a campaign.
    Contribution {
        /// The campaign's name.
        campaign: String,
        /// The car it is for; a household without a car may give too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plate: Option<Plate>,
        /// The household, such as `2-301`.
        household: String,
        /// How much.
        amount: Fen,
        /// Who or what received it.
        into: Account,
    },
    /// A parking fee for a term.
    Fee {
        /// The car.
        plate: Plate,
        /// The household, such as `2-301`.
        household: String,
        /// The first day.
        from: Date,
        /// The last day.
        until: Date,
        /// How much.
        amount: Fen,
        /// Who or what received it.
        into: Account,
    },
    /// Something was paid for.
    Spending {
        /// On what account.
        purpose: Purpose,
        /// What for, in words that every neighbour may read.
        title: String,
        /// To whom; stays with the stewards.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        payee: String,
        /// How much.
        amount: Fen,
        /// Who or what paid.
        out_of: Account,
        /// The SHA-256 of the receipt's photograph.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        receipt: Option<Hash>,
    },
    /// A contribution or a fee is given back. A fee's term then ends the day before.
    Refund {
        /// The number of its entry.
        of: u64,
        /// How much of it.
        amount: Fen,
        /// Who or what paid it back.
        out_of: Account,
        /// Why.
        reason: String,
    },
    /// Cash is brought to the bank or fetched there.
    Transfer {
        /// From.
        from: Account,
        /// To.
        to: Account,
        /// How much.
        amount: Fen,
        /// The SHA-256 of the slip's photograph.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        receipt: Option<Hash>,
    },
    /// Cash is offered to somebody; it moves when he confirms.
    Offer {
        /// Who holds it.
        from: String,
        /// Who is to have it.
        to: String,
        /// How much.
        amount: Fen,
    },
    /// The receiver confirms that he has the cash.
    Confirm {
        /// The number of the offer.
        offer: u64,
    },
    /// An offer is taken back or declined.
    Withdrawal {
        /// The number of the offer.
        offer: u64,
    },
    /// Money was counted; the difference is booked. Nothing is booked into the counted days afterwards.
    Count {
        /// What was counted, as it was at the end of the entry's day.
        held: Account,
        /// What was found.
        counted: Fen,
    },
    /// An entry was wrong: this one undoes it.
    Correction {
        /// The number of the wrong one.
        of: u64,
        /// Why.
        reason: String,
    },
    /// A household drives another car: what was paid for the old plate, and what it need not pay, counts for the new one.
    NewPlate {
        /// The old plate.
        old: Plate,
        /// The new one.
        new: Plate,
    },
}

/// What an entry for a refund or a correction goes back to.
pub fn origin(what: &What) -> Option<u64> {
    match what {
        What::Refund { of, .. } | What::Correction { of, .. } => Some(*of),
        What::Confirm { offer } | What::Withdrawal { offer } => Some(*offer),
        _ => None,
    }
}

/// Money collected for something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Campaign {
    /// Its short name, which the account bears.
    pub name: String,
    /// What neighbours read.
    pub title: String,
    /// How much is wanted; 0 if there is no goal.
    pub goal: Fen,
    /// How much is asked for each car before the gate opens for it; 0 if it is voluntary.
    pub share: Fen,
}

/// What a year costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tariff {
    /// The first day.
    pub from: Date,
    /// A year's fee for a car.
    pub yearly: Fen,
    /// Days after a term's end in which the gate still opens.
    pub grace_days: u16,
    /// The number of the vote that it follows from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vote: Option<u64>,
}

/// A vote of the neighbours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// When.
    pub held: Date,
    /// What on.
    pub question: String,
    /// For it.
    pub yes: u32,
    /// Against it.
    pub no: u32,
    /// Who could have voted.
    pub of: u32,
}

impl Vote {
    /// Was it carried? More for it than against it.
    pub fn is_carried(&self) -> bool {
        self.yes > self.no
    }
}

/// A car or a household that need not pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exemption {
    /// Who.
    pub who: Who,
    /// The first day.
    pub from: Date,
    /// The last day, if it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// The number of the vote; none for what was taken over from an older list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vote: Option<u64>,
    /// Why.
    pub reason: String,
}

/// Whom an exemption is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// One car.
    Plate(Plate),
    /// Every car of a household.
    Household(String),
}

/// What an account receives (positive) or gives (negative).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Posting {
    /// The account.
    pub account: Account,
    /// How much.
    pub fen: Fen,
}

/// An entry that is not in the book yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// When it is written.
    pub at: Timestamp,
    /// The day it belongs to; not in the future.
    pub day: Date,
    /// Who writes it: a user's name.
    pub by: String,
    /// What happened.
    pub what: What,
    /// A remark for stewards.
    pub note: String,
    /// Given by a form, so that sending it twice books it once.
    pub token: Option<String>,
}

impl Draft {
    /// Of now and today.
    pub fn now(by: &str, what: What) -> Draft {
        let now = Timestamp::now().to_zoned(jiff::tz::TimeZone::system());
        Draft { at: now.timestamp(), day: now.date(), by: by.to_owned(), what, note: String::new(), token: None }
    }

    /// The same, of that day.
    pub fn on(self, day: Date) -> Draft {
        Draft { day, ..self }
    }

    /// The same with a remark.
    pub fn noted(self, note: &str) -> Draft {
        Draft { note: note.trim().to_owned(), ..self }
    }

    /// The same with a form's token.
    pub fn once(self, token: &str) -> Draft {
        Draft { token: Some(token.to_owned()), ..self }
    }
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Counts up from 1 without gaps.
    pub number: u64,
    /// When it was written, to the second.
    pub at: Timestamp,
    /// The day it belongs to.
    pub day: Date,
    /// Who wrote it.
    pub by: String,
    /// What happened.
    pub what: What,
    /// What moved; adds up to nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub postings: Vec<Posting>,
    /// A remark for stewards.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// A form's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The hash of the entry before.
    pub previous: Hash,
}

impl Entry {
    /// What moved in all: the sum of what was received.
    pub fn amount(&self) -> Fen {
        self.postings.iter().map(|p| p.fen).filter(|fen| *fen > Fen::ZERO).sum()
    }
}

/// An entry with its hash, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sealed {
    /// The entry.
    pub entry: Entry,
    /// The SHA-256 of its canonical bytes.
    pub hash: Hash,
}

impl Sealed {
    /// Gives an entry its hash.
    pub fn new(entry: Entry) -> Sealed {
        let hash = Hash::of(&canonical(&serde_json::to_value(&entry).expect("an entry is plain data")));
        Sealed { entry, hash }
    }
}
