//! What can be entered into the book on the command line.

use std::path::PathBuf;

use clap::Subcommand;
use jiff::civil::Date;

use crate::ledger::{Account, Purpose};

/// Who enters it, and for which day.
#[derive(clap::Args)]
pub struct Entered {
    /// Who enters it.
    #[arg(long, value_name = "NAME")]
    pub(super) by: String,
    /// The day it belongs to (default: today).
    #[arg(long, value_name = "DATE")]
    pub(super) day: Option<Date>,
    /// A remark for stewards.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) note: String,
}

/// A car, or a household without one.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub struct For {
    /// The registered car.
    #[arg(long, value_name = "PLATE")]
    pub(super) car: Option<String>,
    /// The household, such as 2-301.
    #[arg(long, value_name = "HOUSEHOLD")]
    pub(super) household: Option<String>,
}

/// What to enter.
#[derive(Subcommand)]
pub enum Write {
    /// Take a contribution.
    Take {
        /// How much, yuan.
        amount: String,
        #[command(flatten)]
        of: For,
        /// For which campaign (default: the one that asks a share of each car).
        #[arg(long)]
        campaign: Option<String>,
        /// Into the bank, or into the cash of somebody: bank, cash (of the one who enters it), cash:NAME.
        #[arg(long, default_value = "cash")]
        into: String,
        #[command(flatten)]
        entered: Entered,
    },
    /// Take a parking fee.
    Fee {
        /// How much, yuan.
        amount: String,
        /// The registered car.
        #[arg(long, value_name = "PLATE")]
        car: String,
        /// The term's first day (default: the day after what is paid, or today).
        #[arg(long, value_name = "DATE")]
        from: Option<Date>,
        /// The term's last day (default: as long as the amount pays for).
        #[arg(long, value_name = "DATE")]
        until: Option<Date>,
        /// bank, cash (of the one who enters it), cash:NAME.
        #[arg(long, default_value = "cash")]
        into: String,
        #[command(flatten)]
        entered: Entered,
    },
    /// Something was paid for.
    Spend {
        /// On what.
        purpose: Purpose,
        /// How much, yuan.
        amount: String,
        /// What for, in words that every neighbour may read.
        title: String,
        /// To whom; stays with the stewards.
        #[arg(long, default_value = "", hide_default_value = true)]
        payee: String,
        /// bank, cash (of the one who enters it), cash:NAME.
        #[arg(long, default_value = "cash")]
        out_of: String,
        /// A photograph of the receipt.
        #[arg(long, value_name = "FILE")]
        receipt: Option<PathBuf>,
        #[command(flatten)]
        entered: Entered,
    },
    /// Give a contribution or a fee back, wholly or in part.
    Refund {
        /// The entry's number.
        of: u64,
        /// How much, yuan.
        amount: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// bank, cash (of the one who enters it), cash:NAME.
        #[arg(long, default_value = "cash")]
        out_of: String,
        #[command(flatten)]
        entered: Entered,
    },
    /// Cash is brought to the bank, or fetched there.
    Bank {
        /// How much, yuan.
        amount: String,
        /// Fetched.
        #[arg(long)]
        fetch: bool,
        /// A photograph of the slip.
        #[arg(long, value_name = "FILE")]
        receipt: Option<PathBuf>,
        #[command(flatten)]
        entered: Entered,
    },
    /// Offer cash to somebody; it moves when he confirms.
    Offer {
        /// How much, yuan.
        amount: String,
        /// Who is to have it.
        #[arg(long, value_name = "NAME")]
        to: String,
        #[command(flatten)]
        entered: Entered,
    },
    /// Confirm that offered cash was received.
    Confirm {
        /// The offer's number.
        offer: u64,
        #[command(flatten)]
        entered: Entered,
    },
    /// Take an offer back, or decline it.
    Withdraw {
        /// The offer's number.
        offer: u64,
        #[command(flatten)]
        entered: Entered,
    },
    /// Count what is there; the difference is booked, and the days before are closed.
    Count {
        /// What was found, yuan.
        amount: String,
        /// bank, cash (of the one who enters it), cash:NAME.
        #[arg(long, default_value = "cash")]
        of: String,
        #[command(flatten)]
        entered: Entered,
    },
    /// Undo a wrong entry by a counter-entry.
    Correct {
        /// The wrong entry's number.
        of: u64,
        /// What was wrong.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        entered: Entered,
    },
    /// Put a vote on record.
    Vote {
        /// What was voted on.
        question: String,
        /// For it.
        #[arg(long)]
        yes: u32,
        /// Against it.
        #[arg(long)]
        no: u32,
        /// How many could have voted.
        #[arg(long)]
        of: u32,
        /// When (default: today).
        #[arg(long, value_name = "DATE")]
        held: Option<Date>,
        #[command(flatten)]
        entered: Entered,
    },
    /// A car or a household need not pay.
    Exempt {
        #[command(flatten)]
        of: For,
        /// Why.
        #[arg(long)]
        reason: String,
        /// The vote's number.
        #[arg(long, value_name = "NUMBER")]
        vote: Option<u64>,
        /// The first day (default: today).
        #[arg(long, value_name = "DATE")]
        from: Option<Date>,
        /// The last day.
        #[arg(long, value_name = "DATE")]
        until: Option<Date>,
        #[command(flatten)]
        entered: Entered,
    },
    /// What a year costs from a day on; 0 ends the fees.
    Tariff {
        /// A year's fee for a car, yuan.
        amount: String,
        /// The first day.
        #[arg(long, value_name = "DATE")]
        from: Date,
        /// Days after a term's end in which the gate still opens.
        #[arg(long, value_name = "N", default_value_t = 30)]
        grace_days: u16,
        /// The vote's number.
        #[arg(long, value_name = "NUMBER")]
        vote: Option<u64>,
        #[command(flatten)]
        entered: Entered,
    },
    /// Begin a campaign, or change its goal and share.
    Campaign {
        /// Its short name, such as barrier.
        name: String,
        /// What neighbours read.
        title: String,
        /// How much is wanted, yuan.
        #[arg(long, default_value = "0")]
        goal: String,
        /// How much is asked for each car before the gate opens for it, yuan.
        #[arg(long, default_value = "0")]
        share: String,
        #[command(flatten)]
        entered: Entered,
    },
    /// Money that was there, or was spent, before the book began.
    Opening {
        /// bank, cash:NAME, spent:barrier, spent:camera, spent:upkeep, spent:other, campaign:NAME.
        account: Account,
        /// How much, yuan.
        amount: String,
        #[command(flatten)]
        entered: Entered,
    },
    /// A household drives another car: what was paid for the old plate counts for the new one.
    NewPlate {
        /// The old plate.
        old: String,
        /// The new plate.
        new: String,
        #[command(flatten)]
        entered: Entered,
    },
}
