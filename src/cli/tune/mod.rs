//! `plategate tune`: which way of reading is the best for this box, this lane and this budget?

mod measure;
mod page;
mod pick;
mod write;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};

use super::bench::machine::Machine;
use super::bench::{name, thread_counts};
use super::{Usage, again};
use crate::config::{Config, Precision, Provider};
use measure::{Grid, Labelled, Measured};
use pick::{Budget, Choice};

/// Measure the ways of reading on this box with what each costs in accuracy, and write the best within a budget into the
/// configuration.
#[derive(clap::Args)]
pub struct Args {
    /// Labelled pictures, best of this very lane: a TSV as for `eval`.
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    /// The p99 of a frame may be so many milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 8.0)]
    budget_ms: f64,
    /// A lane with a car in it may keep so many cores busy: power is what the processor takes.
    #[arg(long, value_name = "CORES")]
    max_cores: Option<f64>,
    /// Say what would be written, and write only the report.
    #[arg(long)]
    dry_run: bool,
    /// Where tune-report.html and tune-report.json go (default: beside the configuration).
    #[arg(long, value_name = "FOLDER")]
    report: Option<PathBuf>,
    /// At most so many pictures, evenly taken from the manifest.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pictures: u32,
    /// Providers to try (default: all that this box offers).
    #[arg(long, value_name = "P,…", value_delimiter = ',')]
    providers: Vec<Provider>,
    /// Precisions to try.
    #[arg(long, value_name = "P,…", value_delimiter = ',', default_values = ["fp32", "int8", "auto"])]
    precisions: Vec<Precision>,
    /// Numbers of threads to try (default: one, two, four, … up to the cores).
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: Vec<u16>,
    /// Search sizes to try, pixels.
    #[arg(long, value_name = "PX,…", value_delimiter = ',', default_values = ["256", "320", "384", "448", "512", "608"], value_parser = super::search_px)]
    search_px: Vec<usize>,
    /// The JSON of the result on standard output.
    #[arg(long)]
    json: bool,
    /// Measure this provider and print what was found; how `tune` calls itself.
    #[arg(long, hide = true, value_name = "P")]
    measure: Option<Provider>,
}

/// The whole result.
#[derive(Serialize, Deserialize)]
pub struct Tuned {
    /// Where.
    machine: Machine,
    /// When.
    at: jiff::Timestamp,
    /// On what pictures.
    manifest: String,
    /// What may be spent.
    budget: Budget,
    /// The best first.
    choices: Vec<Choice>,
    /// Providers that cannot be had here, and why.
    missing: Vec<(String, String)>,
}

/// Runs the command; `file` is the configuration to write, if there is one.
pub fn run(args: Args, config: Config, file: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    if let Some(provider) = args.measure {
        let found = measure_one(&args, &config, provider)?;
        println!("{}", serde_json::to_string(&found)?);
        return Ok(ExitCode::SUCCESS);
    }
    if file.is_none() && !args.dry_run {
        return Err(Usage("say which configuration to tune (--config FILE), or --dry-run".into()).into());
    }
    // Also where it is no number.
    let above_zero = |number: f64| number.is_finite() && number > 0.0;
    if !above_zero(args.budget_ms) || args.max_cores.is_some_and(|cores| !above_zero(cores)) {
        return Err(Usage("--budget-ms and --max-cores: a number above 0 is expected".into()).into());
    }
    // A wrong manifest is found before anything is measured.
    Labelled::open(&args.manifest, 1)?;
    let tuned = measure_all(&args, &config)?;
    let folder = args.report.clone().or_else(|| Some(file.as_ref()?.parent()?.to_path_buf())).unwrap_or_default();
    save(&folder.join("tune-report.json"), &serde_json::to_string_pretty(&tuned)?)?;
    save(&folder.join("tune-report.html"), &page::render(&tuned)?)?;
    if args.json {
        println!("{}", serde_json::to_string(&tuned)?);
    } else {
        tuned.print();
    }
    let Some(picked) = tuned.choices.iter().find(|c| c.picked) else {
        eprintln!(
            "plategate: no way of reading keeps to the budget: allow more, or a larger machine is needed; nothing was changed"
        );
        return Ok(ExitCode::from(1));
    };
    finish(&args, &tuned, picked, file.as_deref())
}

/// Writes the picked way into the configuration, or says what that would be.
fn finish(args: &Args, tuned: &Tuned, picked: &Choice, file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let m = &picked.measured;
    let evidence = format!(
        "{}: p99 {:.1} ms, {} of {} plates exact, {:.2} cores at {} frames a second; see tune-report.html",
        tuned.at.strftime("%Y-%m-%d"),
        m.p99_ms,
        m.exact,
        m.pictures,
        picked.cores,
        tuned.budget.fps
    );
    let old = file.map(std::fs::read_to_string).transpose()?.unwrap_or_default();
    let name = file.map_or_else(|| "the configuration".to_owned(), |path| path.display().to_string());
    let new = write::tuned(&old, picked, &evidence).context(name.clone())?;
    // What is written must be a configuration that the gate starts with.
    Config::parse(&new, file.unwrap_or(Path::new("tuned")))?;
    if !args.json {
        println!("{name}{}", if args.dry_run { " would become" } else { "" });
        write::difference(&old, &new).iter().for_each(|line| println!("  {line}"));
    }
    if let Some(path) = file.filter(|_| !args.dry_run) {
        write::replace(path, &new)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn save(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("{}", path.display()))
}

/// Every provider in a process of its own: a library is loaded once a process.
fn measure_all(args: &Args, config: &Config) -> anyhow::Result<Tuned> {
    let providers = if args.providers.is_empty() { Provider::value_variants() } else { &args.providers };
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    let (mut measured, mut missing) = (Vec::<Measured>::new(), Vec::new());
    for &provider in providers {
        bar.set_message(format!("{provider}"));
        match again::result::<Vec<Measured>>(&mut same(args, provider)?) {
            Ok(found) => measured.extend(found),
            Err(error) => missing.push((provider.to_string(), format!("{error:#}"))),
        }
    }
    bar.finish_and_clear();
    if measured.is_empty() {
        let reasons: Vec<String> = missing.iter().map(|(provider, why)| format!("{provider}: {why}")).collect();
        anyhow::bail!("nothing could be measured: {}", reasons.join("; "));
    }
    let budget = Budget { ms: args.budget_ms, cores: args.max_cores, fps: config.camera.fps };
    Ok(Tuned {
        machine: Machine::here(),
        at: jiff::Timestamp::now(),
        manifest: args.manifest.display().to_string(),
        budget,
        choices: pick::choices(&measured, budget),
        missing,
    })
}

/// This command for one provider.
fn same(args: &Args, provider: Provider) -> anyhow::Result<std::process::Command> {
    fn list<T>(values: &[T], text: impl Fn(&T) -> String) -> String {
        values.iter().map(text).collect::<Vec<_>>().join(",")
    }
    let mut command = again::command("tune")?;
    command.arg("--manifest").arg(&args.manifest);
    command.args(["--measure", provider.name(), "--pictures", &args.pictures.to_string()]);
    command.args(["--precisions", &list(&args.precisions, name)]);
    command.args(["--search-px", &list(&args.search_px, usize::to_string)]);
    if !args.threads.is_empty() {
        command.args(["--threads", &list(&args.threads, u16::to_string)]);
    }
    Ok(command)
}

fn measure_one(args: &Args, config: &Config, provider: Provider) -> anyhow::Result<Vec<Measured>> {
    // A provider that is not there is told before any picture is looked at.
    let vision = crate::config::Vision { provider, fallback: Vec::new(), ..config.vision.clone() };
    crate::vision::Vision::load(&vision)?;
    let labelled = Labelled::open(&args.manifest, args.pictures as usize)?;
    let mut lanes = vec![None];
    lanes.extend(config.vision.lane.map(Some));
    lanes.extend(labelled.lane()?.map(Some));
    lanes.dedup();
    let threads = match args.threads.as_slice() {
        [] => thread_counts(Machine::here().cores),
        given => given.to_vec(),
    };
    let grid = Grid {
        precisions: args.precisions.clone(),
        threads: threads.into_iter().map(usize::from).collect(),
        search_px: args.search_px.clone(),
        lanes,
    };
    let tell = |m: &Measured| eprintln!("{:?}: p99 {:.2} ms, {} of {} exact", m.way, m.p99_ms, m.exact, m.pictures);
    measure::provider(config, &labelled, provider.name(), &grid, tell)
}

impl Tuned {
    fn print(&self) {
        println!("{}", self.machine);
        println!(
            "budget: p99 {} ms{}, {} frames a second",
            self.budget.ms,
            self.budget.cores.map(|c| format!(", {c} cores")).unwrap_or_default(),
            self.budget.fps
        );
        println!("{:60} {:>8} {:>8} {:>8} {:>7} {:>8}", "", "p50 ms", "p99 ms", "exact", "cores", "later ms");
        for choice in self.choices.iter().filter(|c| c.read_every == 1 || c.picked) {
            let m = &choice.measured;
            let exact = format!("{:.1} %", 100.0 * m.exact_share());
            let mark = if choice.picked { " <-" } else { "" };
            println!(
                "{:60} {:>8.2} {:>8.2} {exact:>8} {:>7.3} {:>8}{mark}",
                choice.title(),
                m.p50_ms,
                m.p99_ms,
                choice.cores,
                choice.later_ms
            );
        }
        for (provider, reason) in &self.missing {
            println!("{provider}: {reason}");
        }
    }
}

impl Choice {
    /// In words.
    fn title(&self) -> String {
        let way = &self.measured.way;
        let lane = way.lane.map(|l| format!(", lane {l:?}")).unwrap_or_default();
        let every = if self.read_every > 1 { format!(", every {}th", self.read_every) } else { String::new() };
        format!("{} {} x{}, {} px{lane}{every}", way.provider, way.precision, way.threads, way.search_px)
    }
}
