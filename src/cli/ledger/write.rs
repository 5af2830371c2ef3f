//! Entering into the book.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use jiff::civil::Date;

use super::look::line;
use crate::cli::{Usage, print_bytes};
use crate::ledger::rules::paid_term;
use crate::ledger::{Account, Book, Campaign, Draft, Exemption, Fen, Purpose, Tariff, Vote, What, Who, dues};
use crate::plate::Plate;
use crate::register::{self, Register};

/// Who enters it, and for which day.
#[derive(clap::Args)]
pub struct Entered {
    /// Who enters it.
    #[arg(long, value_name = "NAME")]
    by: String,
    /// The day it belongs to (default: today).
    #[arg(long, value_name = "DATE")]
    day: Option<Date>,
    /// A remark for stewards.
    #[arg(long, default_value = "", hide_default_value = true)]
    note: String,
}

/// A car, or a household without one.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub struct For {
    /// The registered car.
    #[arg(long, value_name = "PLATE")]
    car: Option<String>,
    /// The household, such as 2-301.
    #[arg(long, value_name = "HOUSEHOLD")]
    household: Option<String>,
}

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

/// What is to be entered, as far as it is known without the book.
pub(super) struct Order {
    write: Write,
    amount: Fen,
    plates: Vec<Plate>,
}

impl Write {
    /// Reads what can be read without the book.
    pub(super) fn order(self) -> Result<Order, Usage> {
        let amount = match &self {
            Write::Take { amount, .. }
            | Write::Fee { amount, .. }
            | Write::Spend { amount, .. }
            | Write::Refund { amount, .. }
            | Write::Bank { amount, .. }
            | Write::Offer { amount, .. }
            | Write::Count { amount, .. }
            | Write::Tariff { amount, .. }
            | Write::Opening { amount, .. } => yuan(amount)?,
            _ => Fen::ZERO,
        };
        let plates: Vec<&String> = match &self {
            Write::Take { of, .. } | Write::Exempt { of, .. } => of.car.iter().collect(),
            Write::Fee { car, .. } => vec![car],
            Write::NewPlate { old, new, .. } => vec![old, new],
            _ => Vec::new(),
        };
        let plate = |text: &String| text.parse::<Plate>().map_err(|e| Usage(e.to_string()));
        let plates = plates.into_iter().map(plate).collect::<Result<_, _>>()?;
        Ok(Order { write: self, amount, plates })
    }
}

fn yuan(text: &str) -> Result<Fen, Usage> {
    text.parse::<Fen>().map_err(|e| Usage(e.to_string()))
}

/// Enters it, and says what was entered.
pub(super) fn run(order: Order, register: &Register, json: bool) -> anyhow::Result<ExitCode> {
    let (entered, what) = what(order, register)?;
    let mut draft = Draft::now(&entered.by, what).noted(&entered.note);
    draft.day = entered.day.unwrap_or(draft.day);
    let sealed = register.enter(&[draft])?;
    let book = register.ledger().book();
    for entry in &sealed {
        let told = if json { serde_json::to_string(&**entry)? } else { line(&book, entry) };
        print_bytes(format!("{told}\n").as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn what(order: Order, register: &Register) -> anyhow::Result<(Entered, What)> {
    let book = register.ledger().book();
    let (amount, plate, today) = (order.amount, order.plates.first().copied(), register::today());
    Ok(match order.write {
        Write::Take { of, campaign, into, entered, .. } => {
            let household = household(register, plate, of.household)?;
            let campaign = campaign.unwrap_or_else(|| book.main_campaign().name);
            let into = money(&into, &entered.by)?;
            (entered, What::Contribution { campaign, plate, household, amount, into })
        }
        Write::Fee { from, until, into, entered, .. } => {
            let into = money(&into, &entered.by)?;
            let household = household(register, plate, None)?;
            let plate = plate.context("a fee is for a car")?;
            let (from, until) = term(&book, &plate, &household, amount, [from, until], today)?;
            (entered, What::Fee { plate, household, from, until, amount, into })
        }
        Write::Spend { purpose, title, payee, out_of, receipt, entered, .. } => {
            let out_of = money(&out_of, &entered.by)?;
            let receipt = photograph(register, receipt)?;
            (entered, What::Spending { purpose, title, payee, amount, out_of, receipt })
        }
        Write::Refund { of, reason, out_of, entered, .. } => {
            let out_of = money(&out_of, &entered.by)?;
            (entered, What::Refund { of, amount, out_of, reason })
        }
        Write::Bank { fetch, receipt, entered, .. } => {
            let cash = Account::Cash(entered.by.clone());
            let (from, to) = if fetch { (Account::Bank, cash) } else { (cash, Account::Bank) };
            let receipt = photograph(register, receipt)?;
            (entered, What::Transfer { from, to, amount, receipt })
        }
        Write::Offer { to, entered, .. } => {
            let from = entered.by.clone();
            (entered, What::Offer { from, to, amount })
        }
        Write::Confirm { offer, entered } => (entered, What::Confirm { offer }),
        Write::Withdraw { offer, entered } => (entered, What::Withdrawal { offer }),
        Write::Count { of, entered, .. } => {
            let held = money(&of, &entered.by)?;
            (entered, What::Count { held, counted: amount })
        }
        Write::Correct { of, reason, entered } => (entered, What::Correction { of, reason }),
        Write::Vote { question, yes, no, of, held, entered } => {
            let held = held.unwrap_or(today);
            (entered, What::Vote(Vote { held, question, yes, no, of }))
        }
        Write::Exempt { of, reason, vote, from, until, entered } => {
            let who = match (plate, of.household) {
                (Some(plate), _) => Who::Plate(plate),
                (None, household) => Who::Household(household.unwrap_or_default()),
            };
            let from = from.unwrap_or(today);
            (entered, What::Exemption(Exemption { who, from, until, vote, reason }))
        }
        Write::Tariff { from, grace_days, vote, entered, .. } => {
            (entered, What::Tariff(Tariff { from, yearly: amount, grace_days, vote }))
        }
        Write::Campaign { name, title, goal, share, entered } => {
            let (goal, share) = (yuan(&goal)?, yuan(&share)?);
            (entered, What::Campaign(Campaign { name, title, goal, share }))
        }
        Write::Opening { account, entered, .. } => {
            (entered, What::Opening { account, amount, plate: None, household: None })
        }
        Write::NewPlate { entered, .. } => {
            let [old, new] = order.plates.as_slice() else { anyhow::bail!("two plates are expected") };
            (entered, What::NewPlate { old: *old, new: *new })
        }
    })
}

/// The household of a registered car, or the one that was named.
fn household(register: &Register, plate: Option<Plate>, named: Option<String>) -> anyhow::Result<String> {
    let Some(plate) = plate else { return Ok(named.unwrap_or_default()) };
    let snapshot = register.snapshot();
    let vehicle = snapshot.get(&plate);
    vehicle.map(|v| v.household.clone()).with_context(|| {
        format!("{plate} is not registered: add it first (plategate plates add {plate} --household BUILDING-UNIT)")
    })
}

/// `bank`, `cash` (of the one who enters it) or `cash:NAME`.
fn money(text: &str, by: &str) -> Result<Account, Usage> {
    match text {
        "cash" => Ok(Account::Cash(by.to_owned())),
        other => match other.parse::<Account>() {
            Ok(account) if account.is_money() => Ok(account),
            _ => Err(Usage(format!("'{other}': bank, cash or cash:NAME is expected"))),
        },
    }
}

/// The days that a fee pays for, where they were not named.
fn term(
    book: &Book,
    plate: &Plate,
    household: &str,
    amount: Fen,
    [from, until]: [Option<Date>; 2],
    today: Date,
) -> anyhow::Result<(Date, Date)> {
    let from = from.unwrap_or_else(|| book.dues(plate, household).next_term(today));
    let yearly = dues::in_force(book.tariffs(), from).map_or(Fen::ZERO, |tariff| tariff.yearly);
    anyhow::ensure!(
        yearly > Fen::ZERO,
        "no yearly fee is set for {from}: set it first (plategate ledger tariff YUAN --from DATE --by NAME)"
    );
    let longest = paid_term(from, amount, yearly).context("so much pays for more than a century")?;
    Ok((from, until.unwrap_or(longest)))
}

fn photograph(register: &Register, file: Option<PathBuf>) -> anyhow::Result<Option<crate::ledger::Hash>> {
    let Some(file) = file else { return Ok(None) };
    let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
    let hash = register.ledger().receipts().keep(&bytes).with_context(|| file.display().to_string())?;
    Ok(Some(hash))
}
