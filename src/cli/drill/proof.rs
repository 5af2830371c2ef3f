//! The drill's proof: what a folder holds, compared with what it must hold.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use super::super::print_bytes;
use super::work::{Op, Rooms, mark};

#[derive(clap::Args)]
pub(super) struct Args {
    #[arg(long)]
    data: PathBuf,
    #[arg(long)]
    seed: u64,
    /// The last change that was acknowledged.
    #[arg(long)]
    acknowledged: u64,
}

/// Everything that the changes leave behind, in plain words.
#[derive(Clone, Debug, Default, PartialEq)]
struct Held {
    /// Each car with its note.
    cars: BTreeMap<String, String>,
    /// Lines of the audit log, arrivals and entries of the book, in their order.
    audit: Vec<String>,
    arrivals: Vec<String>,
    book: Vec<(String, i64)>,
}

impl Held {
    /// After the changes up to that one.
    fn after(seed: u64, last: u64) -> Held {
        let mut held = Held::default();
        for k in 1..=last {
            match Op::of(seed, k) {
                Op::Car(plate) => drop(held.cars.insert(plate.to_string(), mark(k))),
                Op::Remove(plate) => drop(held.cars.remove(&plate.to_string())),
                Op::Audit => held.audit.push(mark(k)),
                Op::Arrival => held.arrivals.push(mark(k)),
                Op::Money(amount) => held.book.push((mark(k), amount)),
                Op::CarAndMoney(plate, amount) => {
                    held.cars.insert(plate.to_string(), mark(k));
                    held.book.push((mark(k), amount));
                }
                Op::Refused(_) => {}
            }
        }
        held
    }

    fn found(rooms: &Rooms) -> anyhow::Result<Held> {
        let snapshot = rooms.register.snapshot();
        let mut arrivals: Vec<String> = rooms.events.newest(usize::MAX, None)?.into_iter().map(|e| e.text).collect();
        let mut audit: Vec<String> =
            rooms.accounts.audit.newest(usize::MAX, None)?.into_iter().map(|line| line.about).collect();
        arrivals.reverse();
        audit.reverse();
        let book = rooms.register.ledger().book();
        let entry = |e: &crate::ledger::Entry| match &e.what {
            crate::ledger::What::Contribution { amount, .. } => (e.note.clone(), amount.fen()),
            other => (format!("{other:?}"), 0),
        };
        Ok(Held {
            cars: snapshot.vehicles().iter().map(|v| (v.plate.to_string(), v.note.clone())).collect(),
            audit,
            arrivals,
            book: book.entries().iter().map(|sealed| entry(&sealed.entry)).collect(),
        })
    }

    /// How many of the wanted things are not there as they should be, and how many are there that should not be.
    fn differences(&self, wanted: &Held) -> (u64, u64) {
        let items = |held: &Held| {
            let cars = held.cars.iter().map(|(plate, note)| format!("{plate} {note}"));
            let lists = [("audit", &held.audit), ("arrival", &held.arrivals)];
            let lists =
                lists.into_iter().flat_map(|(what, list)| list.iter().map(move |mark| format!("{what} {mark}")));
            let book = held.book.iter().map(|(mark, fen)| format!("entry {mark} {fen}"));
            cars.chain(lists).chain(book).collect::<std::collections::BTreeSet<_>>()
        };
        let (here, there) = (items(self), items(wanted));
        (there.difference(&here).count() as u64, here.difference(&there).count() as u64)
    }
}

/// What a comparison found.
pub(super) struct Found {
    /// The last change that is there.
    pub(super) there: u64,
    pub(super) lost: u64,
    pub(super) faults: Vec<String>,
}

/// Opens the folder and compares. The change after the last acknowledged one may be there, whole, or not at all; a refused
/// one never.
pub(super) fn compare(folder: &Path, seed: u64, acknowledged: u64) -> anyhow::Result<Found> {
    let rooms = Rooms::open(folder, None)?;
    let found = Held::found(&rooms)?;
    let mut faults = Vec::new();
    if let Some(fault) = rooms.register.ledger().fault() {
        faults.push(format!("the book: {fault}"));
    }
    let wanted = Held::after(seed, acknowledged);
    // Where the next change leaves no trace, there is nothing to tell the two apart by, and nothing is done twice.
    if found == wanted {
        return Ok(Found { there: acknowledged, lost: 0, faults });
    }
    if found == Held::after(seed, acknowledged + 1) {
        return Ok(Found { there: acknowledged + 1, lost: 0, faults });
    }
    let (lost, strange) = found.differences(&wanted);
    faults.push(format!(
        "after change {acknowledged}: {lost} not there as acknowledged, {strange} there that should not be"
    ));
    Ok(Found { there: acknowledged, lost, faults })
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let found = compare(&args.data, args.seed, args.acknowledged)?;
    let report = json!({"there": found.there, "lost": found.lost, "faults": found.faults});
    print_bytes(format!("{report}\n").as_bytes())?;
    Ok(ExitCode::from(u8::from(!found.faults.is_empty())))
}
