//! Why something was not entered, in a sentence that says what to do.

use jiff::civil::Date;

use super::account::Account;
use super::money::Fen;

/// Why something was not entered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No amount.
    #[error("the amount must be more than nothing and less than a billion yuan")]
    Amount,
    /// No name.
    #[error("a name has 1 to 40 characters, no blanks around it")]
    Name,
    /// A text that is missing or too long.
    #[error("{field}: one line of at most {longest} characters is expected")]
    Text {
        /// Which text.
        field: &'static str,
        /// How long it may be, characters.
        longest: usize,
    },
    /// A household's key that is none.
    #[error("household '{0}': building-unit is expected, such as 2-301")]
    Household(String),
    /// An account that does not fit here.
    #[error("{0} does not fit here")]
    Account(Account),
    /// The day is in the future.
    #[error("{0} is in the future: an entry is made when it has happened")]
    Ahead(Date),
    /// The account was counted up to and including a later day.
    #[error("{account} was counted up to {last}: enter it with a later day and say so in the note")]
    Counted {
        /// Which account.
        account: Account,
        /// The last counted day.
        last: Date,
    },
    /// There is not enough.
    #[error(
        "{account} has {has} yuan for this, {needed} are needed{hint}",
        hint = if *.offered > Fen::ZERO { format!(" ({offered} are offered to somebody: withdraw that first)") } else { String::new() }
    )]
    Short {
        /// Which account.
        account: Account,
        /// What it has at the end of that day or of a later one, whichever is less.
        has: Fen,
        /// What would be needed.
        needed: Fen,
        /// What of it is offered to others.
        offered: Fen,
    },
    /// No such entry.
    #[error("there is no entry {0}")]
    NoEntry(u64),
    /// It refers to something that is not in the book.
    #[error("it refers to an entry that is not in the book")]
    Nothing,
    /// Already undone.
    #[error("entry {number} was already undone by entry {by}")]
    Undone {
        /// The entry.
        number: u64,
        /// Its correction.
        by: u64,
    },
    /// It cannot be undone by a correction.
    #[error(
        "entry {0} cannot be corrected: withdraw an offer, count again, or enter the campaign, the fee or the plate anew"
    )]
    NotCorrectable(u64),
    /// A part of it was given back.
    #[error("a part of entry {0} was refunded: correct the refund first")]
    Refunded(u64),
    /// Nothing was paid in there.
    #[error("entry {0} is no contribution and no fee: nothing can be refunded of it")]
    NotRefundable(u64),
    /// More than is left of it.
    #[error("only {left} yuan are left of entry {of}")]
    Left {
        /// The entry.
        of: u64,
        /// What is left.
        left: Fen,
    },
    /// No such campaign.
    #[error("there is no campaign '{0}': see `plategate ledger campaigns`")]
    NoCampaign(String),
    /// No fee is asked for then.
    #[error("no yearly fee is set for {0}: set it first (`plategate ledger tariff`)")]
    NoTariff(Date),
    /// A term that ends before it begins.
    #[error("the term ends before it begins, or is longer than a century")]
    Term,
    /// More time than the money pays for.
    #[error("that much pays until {longest} at most")]
    TooLong {
        /// The last day that the money pays for.
        longest: Date,
    },
    /// A part of the term is paid already.
    #[error("a part of that term is paid already: the car is paid until {until}")]
    Overlap {
        /// The last day that is paid.
        until: Date,
    },
    /// Numbers of votes that cannot be.
    #[error("a vote has been held, at least one voted, and no more than could")]
    Vote,
    /// No carried vote.
    #[error("entry {0} is no carried vote")]
    NotCarried(u64),
    /// Somebody else's.
    #[error("only {who} can do that")]
    NotYours {
        /// Who could.
        who: String,
    },
    /// Offered to oneself.
    #[error("cash is handed over to somebody else")]
    Itself,
    /// No open offer.
    #[error("there is no open offer {0}: it was confirmed or withdrawn")]
    NoOffer(u64),
    /// A new plate where there is nothing to carry over.
    #[error("the book knows nothing of the old plate, or the new one is the same")]
    NewPlate,
}
