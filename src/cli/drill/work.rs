//! The drill's work: what a gate and its stewards do, change after change, the same for the same seed.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::accounts::Accounts;
use crate::gate::event::{Arrival, Event};
use crate::ledger::{Account, BookError, Draft, Fen, What};
use crate::picture::Picture;
use crate::plate::Plate;
use crate::register::{Change, Register, Vehicle};
use crate::store::events::Events;
use crate::store::{Store, cut};

#[derive(clap::Args)]
pub(super) struct Args {
    #[arg(long)]
    data: PathBuf,
    #[arg(long)]
    seed: u64,
    /// The first change.
    #[arg(long)]
    from: u64,
    /// So many at most.
    #[arg(long, default_value = "120")]
    most: u64,
    /// Kill yourself at this place …
    #[arg(long)]
    place: Option<String>,
    /// … when you come by for this time.
    #[arg(long, default_value = "1")]
    pass: u64,
}

/// A journal is begun anew beyond this many bytes, so that a drill sees it happen.
const LONG: u64 = 16 << 10;

/// Everything that is worked on.
pub(super) struct Rooms {
    pub(super) register: Register,
    pub(super) events: Events,
    pub(super) accounts: Accounts,
}

impl Rooms {
    pub(super) fn open(folder: &Path, long: Option<u64>) -> anyhow::Result<Rooms> {
        let store = Arc::new(match long {
            Some(long) => Store::open_with(folder, long)?,
            None => Store::open(folder)?,
        });
        let (register, events) = (Register::open(store.clone())?, Events::open(store.clone())?);
        Ok(Rooms { register, events, accounts: Accounts::open(store)? })
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Op {
    /// A car is written, with the change's number as its note.
    Car(Plate),
    /// A car is taken out.
    Remove(Plate),
    /// A line of the audit log.
    Audit,
    /// An arrival with its picture.
    Arrival,
    /// Money is taken: so many fen.
    Money(i64),
    /// A car and money for it, together or not at all.
    CarAndMoney(Plate, i64),
    /// A car and money of an amount that the book refuses: neither may be there.
    Refused(Plate),
}

impl Op {
    /// The change of that number.
    pub(super) fn of(seed: u64, k: u64) -> Op {
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ k.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let number: u32 = random.random_range(10_000..10_060);
        let plate: Plate = format!("苏F{number}").parse().expect("five digits make a plate");
        let amount = random.random_range(1..20_000);
        match random.random_range(0..100) {
            0..45 => Op::Car(plate),
            45..55 => Op::Remove(plate),
            55..65 => Op::Audit,
            65..75 => Op::Arrival,
            75..85 => Op::Money(amount),
            85..95 => Op::CarAndMoney(plate, amount),
            _ => Op::Refused(plate),
        }
    }

    pub(super) fn is_refused(&self) -> bool {
        matches!(self, Op::Refused(_))
    }
}

/// What a change's number looks like where it is kept.
pub(super) fn mark(k: u64) -> String {
    format!("change {k}")
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(place) = &args.place {
        cut::arm(place, args.pass);
    }
    let rooms = Rooms::open(&args.data, Some(LONG))?;
    let mut out = std::io::stdout().lock();
    for k in args.from..args.from + args.most {
        change(&rooms, &Op::of(args.seed, k), k).with_context(|| mark(k))?;
        // Heard by whoever cuts the power: from here on it must be there.
        writeln!(out, "{k}").and_then(|()| out.flush())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn change(rooms: &Rooms, op: &Op, k: u64) -> anyhow::Result<()> {
    let car = |plate: &Plate| Change::Vehicle(Vehicle { note: mark(k), ..Vehicle::new(*plate, "2-301") });
    let money = |amount: i64| {
        let campaign = rooms.register.ledger().book().main_campaign().name;
        let (household, amount) = ("2-301".to_owned(), Fen::of(amount));
        let what = What::Contribution { campaign, plate: None, household, amount, into: Account::Bank };
        Draft::now("drill", what).noted(&mark(k))
    };
    match op {
        Op::Car(plate) => rooms.register.apply("drill", &[car(plate)])?,
        Op::Remove(plate) => rooms.register.apply("drill", &[Change::Remove(*plate)])?,
        Op::Audit => rooms.accounts.audit.add_of("drill", "演练", &mark(k), "", None)?,
        Op::Arrival => {
            let event = Event { text: mark(k), ..Event::blank("drill", jiff::Timestamp::now()) };
            rooms.events.append(Arrival { event, picture: Picture::filled(64, 48, [50, 90, 130]) })?;
        }
        Op::Money(amount) => drop(rooms.register.enter(&[money(*amount)])?),
        Op::CarAndMoney(plate, amount) => {
            rooms.register.apply_and_enter("drill", &[car(plate)], &[money(*amount)])?;
        }
        Op::Refused(plate) => match rooms.register.apply_and_enter("drill", &[car(plate)], &[money(0)]) {
            Err(BookError::Refused(_)) => {}
            other => bail!("nothing cannot be paid in, and was not refused: {other:?}"),
        },
    }
    Ok(())
}
