//! `plategate fleet simulate`.

use std::cell::Cell;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::{Usage, print_bytes};
use crate::fleet::simulate::{Plan, Report, run as simulate};

/// Let hundreds of gates talk through a real broker, cut it off in the middle, and count what is lost.
#[derive(clap::Args)]
pub struct Args {
    /// Gates.
    #[arg(long, value_name = "N", default_value_t = 20)]
    gates: usize,
    /// Gates of one compound, which share a register.
    #[arg(long, value_name = "N", default_value_t = 4)]
    per_compound: usize,
    /// Cars in all.
    #[arg(long, value_name = "M", default_value_t = 2_000)]
    cars: usize,
    /// Arrivals in all.
    #[arg(long, value_name = "K", default_value_t = 20_000)]
    events: u64,
    /// Arrivals in a second, of all gates together; 0: all of them at once.
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    per_second: u64,
    /// Seconds that the broker is away in the middle.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    cut: u64,
    /// A running broker without rights (default: one is started here, and killed for the cut).
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Draws the same cars and conflicts again.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// JSON on standard output.
    #[arg(long)]
    json: bool,
}

/// Runs the command: exit status 1 if anything was lost, shown twice, or did not end the same.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.gates == 0 || args.gates > 5_000 || args.per_compound == 0 || args.per_compound > 1_000 {
        return Err(Usage("gates: 1 to 5000, and 1 to 1000 a compound".into()).into());
    }
    if args.cars > 2_000_000 || args.events > 100_000_000 {
        return Err(Usage("at most 2000000 cars and 100000000 arrivals".into()).into());
    }
    let plan = Plan {
        gates: args.gates,
        per_compound: args.per_compound,
        cars: args.cars,
        events: args.events,
        per_second: args.per_second,
        cut: Duration::from_secs(args.cut),
        server: args.server.clone(),
        seed: args.seed,
    };
    let progress = Progress::new();
    let report = simulate(&plan, &|what, done, of| progress.tell(what, done, of));
    progress.bar.finish_and_clear();
    let report = report?;
    let text = if args.json { format!("{}\n", serde_json::to_string(&report)?) } else { in_words(&report) };
    print_bytes(text.as_bytes())?;
    let good = report.lost == 0 && report.duplicated == 0 && report.register_converged;
    Ok(ExitCode::from(u8::from(!good)))
}

/// A bar, or where nobody looks at one a line now and then.
struct Progress {
    bar: ProgressBar,
    last: Cell<Option<Instant>>,
}

/// How often a line is written.
const LINE_EVERY: Duration = Duration::from_secs(10);

impl Progress {
    fn new() -> Progress {
        let bar = ProgressBar::new(1);
        let style = "{elapsed_precise} {msg:24} {bar:30} {human_pos}/{human_len}";
        bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Progress { bar, last: Cell::default() }
    }

    fn tell(&self, what: &str, done: u64, of: u64) {
        self.bar.set_message(what.to_owned());
        self.bar.set_length(of.max(1));
        self.bar.set_position(done);
        if !std::io::stderr().is_terminal() && self.last.get().is_none_or(|at| at.elapsed() > LINE_EVERY) {
            self.last.set(Some(Instant::now()));
            eprintln!("{:>4} s  {what} {done}/{of}", self.bar.elapsed().as_secs());
        }
    }
}

fn in_words(r: &Report) -> String {
    let same = if r.register_converged { "the same everywhere" } else { "NOT the same everywhere" };
    format!(
        "{} gates of {} compounds, {} cars\n\
         arrivals  {} sent, {} received everywhere, {} lost, {} shown twice ({} repetitions dropped)\n\
         cut       caught up {:.1} s after the broker's return; {} conflicting changes; registers {same}\n\
         changes   half within {:.0} ms, 99 % within {:.0} ms, the longest {:.0} ms ({} measured)\n\
         costs     {:.2} MB of memory a gate, {:.0} bytes an arrival and {:.0} bytes a car at the broker\n\
         speed     {:.0} arrivals a second; the first sync took {:.1} s; {:.0} s in all\n",
        r.gates,
        r.compounds,
        r.cars,
        r.events_sent,
        r.events_received,
        r.lost,
        r.duplicated,
        r.repeated,
        r.catch_up_s,
        r.conflicts,
        r.change_ms.p50,
        r.change_ms.p99,
        r.change_ms.max,
        r.change_ms.n,
        r.rss_mb_per_gate,
        r.bytes_per_event,
        r.bytes_per_car,
        r.events_per_s,
        r.first_sync_s,
        r.took_s,
    )
}
