//! `plategate drill`: does the box keep what it acknowledged?
//!
//! A child process does what a gate and its stewards do all day, and says after each change that it was acknowledged. It is
//! killed: after a random time, or by itself at a place between a write and its flush. What a power cut may leave besides is
//! added: half a snapshot, half a line. Then the folder is opened anew, and everything must be there that was acknowledged,
//! and nothing that was refused.

mod proof;
mod soak;
mod work;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use super::print_bytes;
use crate::store::cut;

/// Prove that nothing that was acknowledged is lost.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Cut the power of a working gate again and again (kill -9), in a folder of its own.
    Power(Power),
    /// Live through weeks in minutes, in a folder of its own: nothing may be missing, nothing may grow without end.
    Soak(soak::Args),
    /// The work that is cut off.
    #[command(hide = true)]
    Work(work::Args),
    /// Compare a folder with what was acknowledged.
    #[command(hide = true)]
    Prove(proof::Args),
}

#[derive(clap::Args)]
struct Power {
    /// How often.
    #[arg(long, default_value = "50", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    cuts: u32,
    /// Where the random choices begin (default: another one each time).
    #[arg(long)]
    seed: Option<u64>,
    /// A new folder to work in, which is kept (default: one that is thrown away).
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// One JSON object instead of a page.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.what {
        What::Power(power) => run_power(&power),
        What::Soak(args) => soak::run(&args),
        What::Work(args) => work::run(&args),
        What::Prove(args) => proof::run(&args),
    }
}

/// What the cuts came to.
#[derive(Default)]
struct Tally {
    cuts: u32,
    /// Of them at a chosen place in the code.
    placed: u32,
    torn_snapshots: u32,
    torn_lines: u32,
    acknowledged: u64,
    refused: u64,
    reopened: u32,
    /// Cut between the change and its acknowledgement: it may be there or not, and it was.
    unheard: u32,
    lost: u64,
    /// What was found wrong, in words.
    faults: Vec<String>,
}

fn run_power(args: &Power) -> anyhow::Result<ExitCode> {
    let own = std::env::temp_dir().join(format!("plategate-drill-{}", std::process::id()));
    let folder = args.data.clone().unwrap_or_else(|| own.clone());
    if std::fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("{} is not empty: a drill needs a folder of its own", folder.display());
    }
    let seed = args.seed.unwrap_or_else(rand::random);
    let begun = Instant::now();
    let tally = cut_again_and_again(&folder, args.cuts, seed);
    let _ = std::fs::remove_dir_all(&own);
    let tally = tally?;
    let report = json!({
        "cuts": tally.cuts, "placed": tally.placed, "torn_snapshots": tally.torn_snapshots, "torn_lines": tally.torn_lines,
        "acknowledged": tally.acknowledged, "refused": tally.refused, "unheard": tally.unheard, "reopened": tally.reopened,
        "lost": tally.lost, "faults": tally.faults, "seed": seed, "seconds": begun.elapsed().as_secs(),
    });
    let good = tally.lost == 0 && tally.faults.is_empty() && tally.reopened == args.cuts;
    let text = if args.json { format!("{report}\n") } else { page(&tally, seed) };
    print_bytes(text.as_bytes())?;
    Ok(ExitCode::from(u8::from(!good)))
}

fn page(tally: &Tally, seed: u64) -> String {
    let mut out = format!(
        "power cut {} times (seed {seed}): {} between a write and its acknowledgement at a chosen place, the rest at random\n\
         half a snapshot was left {} times, half a line of the journal {} times\n\
         acknowledged changes: {}   lost: {}\n\
         refused changes: {}   there all the same: {}\n\
         opened again: {} of {}\n",
        tally.cuts,
        tally.placed,
        tally.torn_snapshots,
        tally.torn_lines,
        tally.acknowledged,
        tally.lost,
        tally.refused,
        tally.faults.len(),
        tally.reopened,
        tally.cuts,
    );
    for fault in &tally.faults {
        out += &format!("FAULT {fault}\n");
    }
    out
}

fn cut_again_and_again(folder: &Path, cuts: u32, seed: u64) -> anyhow::Result<Tally> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut tally = Tally::default();
    // The last change that is known to be in the folder.
    let mut done = 0;
    while tally.cuts < cuts {
        let place = random.random_bool(0.6).then(|| *cut::PLACES.choose(&mut random).expect("there are some"));
        let (heard, cut) = work_until_cut(folder, seed, done + 1, place, &mut random)?;
        tally.cuts += u32::from(cut);
        tally.placed += u32::from(cut && place.is_some());
        let acknowledged = heard.unwrap_or(done);
        for k in done + 1..=acknowledged {
            *(if work::Op::of(seed, k).is_refused() { &mut tally.refused } else { &mut tally.acknowledged }) += 1;
        }
        leave_torn_files(folder, &mut random, &mut tally)?;
        match proof::compare(folder, seed, acknowledged) {
            Ok(found) => {
                tally.reopened += u32::from(cut);
                tally.lost += found.lost;
                tally.faults.extend(found.faults);
                tally.unheard += u32::from(found.there > acknowledged);
                done = found.there;
            }
            Err(error) => tally.faults.push(format!("{error:#}")),
        }
        if !tally.faults.is_empty() {
            // What follows would only repeat it.
            break;
        }
    }
    Ok(tally)
}

/// Lets a child work from that change on until the power goes; gives the last change that it acknowledged, and whether it
/// was cut off: one that never came by its place ends by itself.
fn work_until_cut(
    folder: &Path,
    seed: u64,
    from: u64,
    place: Option<&str>,
    random: &mut ChaCha8Rng,
) -> anyhow::Result<(Option<u64>, bool)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["drill", "work", "--seed", &seed.to_string(), "--from", &from.to_string(), "--data"]).arg(folder);
    if let Some(place) = place {
        // A start comes by the last place at most once.
        let pass = if Some(&place) == cut::PLACES.last() { 1 } else { random.random_range(1..=12) };
        command.args(["--place", place, "--pass", &pass.to_string()]);
    }
    let mut child = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().context("the drill's worker")?;
    let lines = BufReader::new(child.stdout.take().context("a pipe was asked for")?).lines();
    let after = Duration::from_micros(random.random_range(0..150_000));
    let (mut heard, mut kill_at) = (None, None);
    // A reader of its own, so that the time of the kill does not depend on when the next line comes.
    let (sender, said) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(sender.send(line))));
    loop {
        match said.recv_timeout(Duration::from_millis(1)) {
            Ok(line) => {
                heard = Some(line.parse::<u64>().with_context(|| format!("the worker said '{line}'"))?);
                kill_at.get_or_insert_with(|| Instant::now() + after);
            }
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
        }
        if place.is_none() && kill_at.is_some_and(|at| Instant::now() >= at) {
            let _ = child.kill();
        }
    }
    let _ = reader.join();
    let status = child.wait()?;
    let cut = std::os::unix::process::ExitStatusExt::signal(&status).is_some();
    if !cut && !status.success() {
        bail!("the drill's worker failed ({status}): see above");
    }
    Ok((heard, cut))
}

/// What a cut may leave besides, and kill -9 does not.
fn leave_torn_files(folder: &Path, random: &mut ChaCha8Rng, tally: &mut Tally) -> anyhow::Result<()> {
    let inside = folder.join("register.sled");
    if random.random_bool(0.25) && inside.is_dir() {
        let half: Vec<u8> = (0..random.random_range(0..4000)).map(|_| random.random()).collect();
        std::fs::write(inside.join("snap.0000000000FFFFFF.generating"), half)?;
        tally.torn_snapshots += 1;
    }
    let journals = std::fs::read_dir(folder.join("journal")).into_iter().flatten().flatten().map(|e| e.path());
    let newest = journals.filter(|p| p.extension().is_some_and(|e| e == "log")).max();
    if random.random_bool(0.25)
        && let Some(path) = newest
    {
        let line = b"5bd1e995 {\"n\":1000000,\"writes\":[{\"tree\":\"vehicles\",\"key\":\"";
        let half = &line[..random.random_range(1..line.len())];
        std::fs::File::options().append(true).open(path)?.write_all(half)?;
        tally.torn_lines += 1;
    }
    Ok(())
}
