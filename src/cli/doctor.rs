//! `plategate doctor`: what is missing before the gate can run?

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use crate::barrier;
use crate::camera::{Camera, CameraState, Source, rendered};
use crate::config::{Config, Output};
use crate::ledger::Ledger;
use crate::picture::Picture;
use crate::store::{Store, StoreError};
use crate::vision::Vision;

/// Check everything the gate needs, one line each.
#[derive(clap::Args)]
pub struct Args {
    /// One JSON object instead of lines.
    #[arg(long)]
    json: bool,
    /// The data folder (default: the configured one).
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

/// How something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Works, but somebody should know.
    Warning,
    /// Does not work.
    Fault,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// How it is.
    pub status: Status,
    /// What was found; with a fault also what to do.
    pub detail: String,
}

/// What can be looked at while the gate runs: nothing is opened that it holds, and nothing clicks.
pub fn while_running(config: &Config) -> Vec<Check> {
    vec![check("data", data(config)), check("barrier", barrier_output(config)), check("clock", clock())]
}

/// Runs the command.
pub fn run(args: Args, mut config: Config) -> anyhow::Result<ExitCode> {
    if let Some(folder) = args.data {
        config.data.folder = folder;
    }
    let checks = [
        check("data", data(&config)),
        check("book", book(&config)),
        check("reading", reading(&config)),
        check("camera", camera(&config)),
        check("barrier", barrier_output(&config)),
        check("page", page(&config)),
        check("clock", clock()),
    ];
    let ok = checks.iter().all(|c| c.status != Status::Fault);
    if args.json {
        println!("{}", serde_json::json!({"ok": ok, "checks": checks}));
    } else {
        for check in &checks {
            let word = match check.status {
                Status::Ok => "ok     ",
                Status::Warning => "warning",
                Status::Fault => "FAULT  ",
            };
            println!("{word} {:8} {}", check.name, check.detail);
        }
    }
    Ok(ExitCode::from(u8::from(!ok)))
}

type Found = Result<(Status, String), String>;

fn check(name: &'static str, found: Found) -> Check {
    let (status, detail) = found.unwrap_or_else(|fault| (Status::Fault, fault));
    Check { name, status, detail }
}

/// Below this the journal's pictures soon have no room.
const LOW_SPACE: u64 = 500 << 20;

fn data(config: &Config) -> Found {
    let folder = &config.data.folder;
    let running = match Store::open(folder) {
        Ok(_) => "",
        Err(StoreError::InUse { .. }) => ", in use by a running plategate",
        Err(error) => return Err(error.to_string()),
    };
    let space = rustix::fs::statvfs(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let free = space.f_bavail * space.f_frsize;
    let detail = format!("{}, {} MB free{running}", folder.display(), free >> 20);
    Ok((if free < LOW_SPACE { Status::Warning } else { Status::Ok }, detail))
}

fn book(config: &Config) -> Found {
    let store = match Store::open(&config.data.folder) {
        Ok(store) => store,
        Err(StoreError::InUse { .. }) => {
            return Ok((Status::Ok, "checked by the running plategate when it started".into()));
        }
        Err(error) => return Err(error.to_string()),
    };
    let ledger = Ledger::open(&store).map_err(|e| e.to_string())?;
    let book = ledger.book();
    let receipts = match ledger.fault().cloned().map_or_else(|| ledger.receipts().check(&book), Err) {
        Ok(receipts) => receipts,
        Err(fault) => {
            return Err(format!("{fault}: keep the data folder, and restore the newest backup whose book is whole"));
        }
    };
    Ok((Status::Ok, format!("whole: {} entries, {receipts} receipts", book.entries().len())))
}

fn reading(config: &Config) -> Found {
    let mut vision = Vision::load(&config.vision).map_err(|e| e.to_string())?;
    let grey = Picture::filled(1920, 1080, [110, 110, 110]);
    for _ in 0..3 {
        vision.read(&grey).map_err(|e| e.to_string())?;
    }
    let ms = vision.timings().detect.as_secs_f64() * 1e3;
    Ok((Status::Ok, format!("{}; an empty 1080p frame takes {ms:.1} ms", vision.describe(&config.vision))))
}

fn camera(config: &Config) -> Found {
    if config.camera.source == Source::Rendered {
        return Ok((Status::Warning, "rendered: a painted lane, no camera (set camera.source)".into()));
    }
    let mut camera = Camera::start(&config.camera, rendered::Script::empty());
    let wait = Duration::from_millis(config.camera.open_timeout_ms + config.camera.read_timeout_ms + 3000);
    let begun = std::time::Instant::now();
    let mut frame = None;
    let got = loop {
        if camera.next(&mut frame, Duration::from_millis(100)) {
            break true;
        }
        let lost = matches!(camera.state(), CameraState::Lost { .. } | CameraState::Ended);
        if lost || begun.elapsed() > wait {
            break false;
        }
    };
    let state = camera.state();
    camera.stop();
    let source = &config.camera.source;
    match (got, frame, state) {
        (true, Some(frame), _) => {
            let (w, h) = (frame.picture.width, frame.picture.height);
            // GA/T 1742-2020 asks for pictures of at least 1280 x 720.
            let small = w < 1280 || h < 720;
            let detail = format!("{source}, {w}x{h}{}", if small { ": at least 1280x720 is better" } else { "" });
            Ok((if small { Status::Warning } else { Status::Ok }, detail))
        }
        (_, _, CameraState::Lost { reason, .. }) => Err(reason),
        _ => Err(format!("{source}: no frame within {:.0} s", wait.as_secs_f64())),
    }
}

/// Looks at the line without taking it: nothing clicks.
fn barrier_output(config: &Config) -> Found {
    let b = &config.barrier;
    match b.output {
        Output::Simulated => {
            Ok((Status::Warning, "simulated: no relay will move (set barrier.output to \"gpio\")".into()))
        }
        Output::Modbus | Output::Serial => Ok((Status::Ok, format!("{:?}", b.output))),
        Output::Gpio => {
            let report = barrier::look(&b.chip, &b.line).map_err(|e| e.to_string())?;
            let line = format!("{} ({}) line {} {}", report.chip.display(), report.label, report.offset, report.name);
            match report.used_by.as_deref() {
                None => Ok((Status::Ok, format!("{line}: free"))),
                Some(barrier::CONSUMER) => Ok((Status::Ok, format!("{line}: held by a running plategate"))),
                Some(other) => Err(barrier::busy(&report.chip, report.offset, other).to_string()),
            }
        }
    }
}

fn page(config: &Config) -> Found {
    let listen = config.web.listen;
    match std::net::TcpListener::bind(listen) {
        Ok(_) if listen.ip().is_loopback() => Ok((Status::Ok, format!("http://{listen}, for this machine only"))),
        Ok(_) => Ok((Status::Warning, format!("http://{listen} can be seen from other machines, without sign-in"))),
        Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => {
            Ok((Status::Warning, format!("{listen} is in use: by a running plategate, or by another program")))
        }
        Err(e) => Err(format!("web.listen {listen}: {e}")),
    }
}

fn clock() -> Found {
    let now = jiff::Timestamp::now();
    if now < jiff::civil::date(2026, 1, 1).to_zoned(jiff::tz::TimeZone::UTC).map_err(|e| e.to_string())?.timestamp() {
        return Err(format!("the clock says {now}: set it, records need the right time"));
    }
    let synchronised = std::path::Path::new("/run/systemd/timesync/synchronized").exists();
    let detail = format!("{}", now.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %Z"));
    if synchronised {
        Ok((Status::Ok, format!("{detail}, synchronised")))
    } else {
        Ok((
            Status::Warning,
            format!("{detail}; not known to be synchronised (systemd-timesyncd or chrony keeps it right)"),
        ))
    }
}
