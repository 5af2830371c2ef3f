//! Looking at the book, and checking it.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use serde_json::json;

use crate::cli::{Usage, print_bytes};
use crate::ledger::board::Board;
use crate::ledger::{Account, Book, Fault, Fen, Hash, Ledger, Period, Purpose, Sealed, Statement, export, words};
use crate::plate::Plate;
use crate::register::{self, Register, exchange, reminders};
use crate::store::Store;

pub(super) fn list(
    register: &Register,
    period: Option<Period>,
    car: Option<&str>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let plate = car.map(|text| text.parse::<Plate>().map_err(|e| Usage(e.to_string()))).transpose()?;
    let book = register.ledger().book();
    let inside = |e: &Sealed| period.is_none_or(|p| p.from <= e.entry.day && e.entry.day <= p.until);
    let of_car = |e: &Sealed| plate.is_none_or(|p| book.of_car(&p).any(|c| c.entry.number == e.entry.number));
    let mut out = String::new();
    for sealed in book.entries().iter().filter(|e| inside(e) && of_car(e)) {
        out += &if json { serde_json::to_string(&**sealed)? } else { line(&book, sealed) };
        out.push('\n');
    }
    print_bytes(out.as_bytes())
}

/// One entry in one line.
pub(super) fn line(book: &Book, sealed: &Sealed) -> String {
    let entry = &sealed.entry;
    let moved: Fen = entry.postings.iter().filter(|p| p.account.is_money()).map(|p| p.fen).sum();
    // What only changes places moves nothing in all; then the amount itself is told.
    let amount = if moved == Fen::ZERO { entry.amount() } else { moved };
    let undone = book.undone_by(entry.number).map(|n| format!("\tundone by {n}")).unwrap_or_default();
    let (kind, about) = (words::kind(&entry.what), words::about(book, entry, words::account));
    format!("{}\t{}\t{}\t{kind}\t{about}\t{amount}{undone}", entry.number, entry.day, entry.by)
}

pub(super) fn show(register: &Register, number: u64, json: bool) -> anyhow::Result<ExitCode> {
    let book = register.ledger().book();
    let Some(sealed) = book.entry(number) else { anyhow::bail!("there is no entry {number}") };
    if json {
        return print_bytes(format!("{}\n", serde_json::to_string_pretty(&**sealed)?).as_bytes());
    }
    let entry = &sealed.entry;
    let mut out = format!("{}\nwritten   {}\n", line(&book, sealed), entry.at);
    for posting in &entry.postings {
        out += &format!("  {:>14}  {}\n", posting.fen.to_string(), words::account(&posting.account));
    }
    if !entry.note.is_empty() {
        out += &format!("note      {}\n", entry.note);
    }
    out += &format!("hash      {}\nprevious  {}\n", sealed.hash, entry.previous);
    print_bytes(out.as_bytes())
}

pub(super) fn balance(register: &Register, json: bool) -> anyhow::Result<ExitCode> {
    let book = register.ledger().book();
    let campaigns: Vec<_> = book.campaigns().into_iter().map(|(_, c)| (book.raised(&c.name), c)).collect();
    if json {
        let balances: serde_json::Map<String, _> =
            book.balances().map(|(a, fen)| (a.to_string(), json!(fen))).collect();
        let campaigns: Vec<_> = campaigns
            .iter()
            .map(|(raised, c)| json!({"name": c.name, "title": c.title, "goal": c.goal, "share": c.share, "raised": raised}))
            .collect();
        let offers: Vec<_> = book
            .offers()
            .iter()
            .map(|(n, o)| json!({"offer": n, "from": o.from, "to": o.to, "amount": o.amount}))
            .collect();
        let told = json!({"balances": balances, "campaigns": campaigns, "offers": offers});
        return print_bytes(format!("{told}\n").as_bytes());
    }
    let mut out = String::new();
    for (raised, campaign) in campaigns {
        let goal = if campaign.goal == Fen::ZERO { String::new() } else { format!(" of {}", campaign.goal) };
        out += &format!("{}: raised {raised}{goal} (share {})\n", campaign.title, campaign.share);
    }
    for (account, fen) in book.balances().filter(|(a, _)| a.is_money()) {
        out += &format!("{:>14}  {}\n", fen.to_string(), words::account(account));
    }
    for (number, offer) in book.offers() {
        out += &format!("offer {number}: {} from {} to {}, to be confirmed\n", offer.amount, offer.from, offer.to);
    }
    print_bytes(out.as_bytes())
}

pub(super) fn statement(
    register: &Register,
    period: Option<Period>,
    xlsx: Option<&Path>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let period = period.unwrap_or_else(|| Period::month_of(register::today()));
    let statement = Statement::of(&register.ledger().book(), period);
    if let Some(file) = xlsx {
        std::fs::write(file, export::statement_xlsx(&statement)?).with_context(|| file.display().to_string())?;
        println!("{}: {} entries", file.display(), statement.rows.len());
        return Ok(ExitCode::SUCCESS);
    }
    if json {
        return print_bytes(format!("{}\n", serde_json::to_string(&statement)?).as_bytes());
    }
    let mut out = format!("{} ({} to {})\n\n", period, period.from, period.until);
    out += &format!("{:>12} {:>12} {:>12} {:>12}\n", "before", "in", "out", "after");
    for p in &statement.places {
        let [before, received, given, after] = [p.before, p.received, p.given, p.after].map(|fen| fen.to_string());
        out += &format!("{before:>12} {received:>12} {given:>12} {after:>12}  {}\n", words::account(&p.account));
    }
    let sums = [
        ("income", statement.income()),
        ("spent", statement.spent()),
        ("refunds", statement.refunds),
        ("missing at counts", statement.differences),
        ("from before the book", statement.opening),
    ];
    for line in statement.income.iter().chain(&statement.spent) {
        out += &format!("{:>12}  {}\n", line.amount.to_string(), words::account(&line.account));
    }
    for (name, fen) in sums {
        out += &format!("{:>12}  {name}\n", fen.to_string());
    }
    out += &format!("{:>12}  before, {} after\n", statement.before().to_string(), statement.after());
    let (number, hash) = statement.head;
    out += &format!("book: {number}:{hash}\n");
    print_bytes(out.as_bytes())
}

pub(super) fn verify(file: Option<&Path>, head: Option<&str>, folder: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let head = head.map(parse_head).transpose()?;
    let (book, mut fault, receipts) = match file {
        Some(file) => {
            let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
            let (book, fault) = export::read_lines(&bytes);
            (std::sync::Arc::new(book), fault, 0)
        }
        None => {
            anyhow::ensure!(folder.is_dir(), "{}: no data folder there", folder.display());
            let ledger = Ledger::open(&Store::open(folder)?)?;
            let book = ledger.book();
            match (ledger.fault().cloned(), ledger.receipts().check(&book)) {
                (None, Ok(receipts)) => (book, None, receipts),
                (None, Err(fault)) => (book, Some(fault), 0),
                (fault, _) => (book, fault, 0),
            }
        }
    };
    if let (None, Some((number, hash))) = (&fault, head)
        && book.entry(number).map(|e| e.hash) != Some(hash)
    {
        let problem = "does not have the hash that was noted: it, or one before it, was altered".to_owned();
        fault = Some(Fault { number, problem });
    }
    let (number, hash) = book.head();
    if json {
        let entry = fault.as_ref().map(|f| f.number);
        let problem = fault.as_ref().map(|f| &f.problem);
        let told = json!({"whole": fault.is_none(), "entries": book.entries().len(), "head": number, "hash": hash,
            "receipts": receipts, "entry": entry, "problem": problem});
        println!("{told}");
    } else if fault.is_none() {
        println!("whole: {} entries, {receipts} receipts; the last is {number}:{hash}", book.entries().len());
    }
    match fault {
        None => Ok(ExitCode::SUCCESS),
        Some(fault) if json => {
            let _ = fault;
            Ok(ExitCode::FAILURE)
        }
        Some(fault) => Err(fault.into()),
    }
}

/// `NUMBER:HASH`.
fn parse_head(text: &str) -> Result<(u64, Hash), Usage> {
    let wrong = || Usage(format!("--head '{text}': NUMBER:HASH is expected, as a statement says it"));
    let (number, hash) = text.split_once(':').ok_or_else(wrong)?;
    Ok((number.parse().map_err(|_| wrong())?, hash.parse().map_err(|_| wrong())?))
}

pub(super) fn export(register: &Register, file: &Path) -> anyhow::Result<ExitCode> {
    let book = register.ledger().book();
    if file.as_os_str() == "-" {
        return print_bytes(&export::lines(&book));
    }
    let kind = file.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
    let bytes = match kind.as_str() {
        "jsonl" => export::lines(&book),
        "csv" => exchange::to_csv(&export::rows(&book)),
        "xlsx" => exchange::to_xlsx(&export::rows(&book)).map_err(anyhow::Error::msg)?,
        _ => return Err(Usage(format!("{}: .jsonl, .csv or .xlsx is expected", file.display())).into()),
    };
    std::fs::write(file, bytes).with_context(|| file.display().to_string())?;
    println!("{}: {} entries", file.display(), book.entries().len());
    Ok(ExitCode::SUCCESS)
}

pub(super) fn reminders(register: &Register, days: u16, json: bool) -> anyhow::Result<ExitCode> {
    let households = register.households();
    let mut out = String::new();
    for reminder in reminders::reminders(&register.snapshot(), &households, register::today(), days) {
        if json {
            out += &format!("{}\n", serde_json::to_string(&reminder)?);
        } else {
            let standing = serde_json::to_value(reminder.stand.standing)?;
            let until = reminder.stand.until.map(|d| d.to_string()).unwrap_or_default();
            let phone = reminder.phone.unwrap_or_default();
            out += &format!(
                "{}\t{}\t{}\t{phone}\t{} until {until}\t{} days left\n",
                reminder.plate,
                reminder.household,
                reminder.name,
                standing.as_str().unwrap_or_default(),
                reminder.days_left
            );
        }
    }
    print_bytes(out.as_bytes())
}

pub(super) fn board(register: &Register, json: bool) -> anyhow::Result<ExitCode> {
    let board = Board::of(&register.ledger().book(), &register.compound());
    if json {
        return print_bytes(format!("{}\n", serde_json::to_string(&board)?).as_bytes());
    }
    let mut out = String::new();
    for c in &board.campaigns {
        out += &format!("{}: {} / {}\n", c.title, c.raised, c.goal);
    }
    for b in &board.buildings {
        out += &format!("building {}: {} of {} households joined\n", b.building, b.joined, b.households);
    }
    for (purpose, fen) in board.spent.iter().filter(|(_, fen)| *fen != Fen::ZERO) {
        out += &format!("{:>12}  spent: {}\n", fen.to_string(), purpose_name(*purpose));
    }
    let (cash, holders) = board.cash;
    out += &format!("{:>12}  {}\n", board.bank.to_string(), words::account(&Account::Bank));
    out += &format!("{:>12}  cash with {holders} people\n", cash.to_string());
    for shown in &board.entries {
        let building = shown.building.map(|b| format!("building {b}")).unwrap_or_default();
        let [_, kind] = shown.kind;
        out += &format!("{}\t{}\t{kind}\t{building}\t{}\t{}\n", shown.number, shown.day, shown.title, shown.amount);
    }
    print_bytes(out.as_bytes())
}

fn purpose_name(purpose: Purpose) -> &'static str {
    words::purpose_en(purpose)
}
