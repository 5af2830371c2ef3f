//! Entering into the book: what the command line says, made a draft.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use jiff::civil::Date;

use super::args::{Entered, Write};
use super::look::line;
use crate::cli::{Usage, print_bytes};
use crate::ledger::rules::paid_term;
use crate::ledger::{Account, Book, Campaign, Draft, Exemption, Fen, Tariff, Vote, What, Who, dues};
use crate::plate::Plate;
use crate::register::{self, Register};

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
