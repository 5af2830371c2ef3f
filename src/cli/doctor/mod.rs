//! `plategate doctor`: what is missing before the gate can run?
//!
//! One line for each thing that was looked at, and what to do where something is wrong. Nothing moves: lines are looked at,
//! inputs are read, the watchdog is not opened. Only `--pulse` presses "open", and asks first.

mod backups;
mod hands_on;
mod house;
mod machine;
mod running;
mod wires;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::camera::{Camera, CameraState, Source, rendered};
use crate::config::Config;
use crate::ledger::Ledger;
use crate::picture::Picture;
use crate::store::{Store, StoreError};
use crate::vision::{Vision, runtime};
use running::Running;

/// Check everything the gate needs, one line each.
#[derive(clap::Args)]
pub struct Args {
    /// One JSON object instead of lines.
    #[arg(long)]
    json: bool,
    /// The data folder (default: the configured one).
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Press "open" once and watch what the inputs tell. Asks first.
    #[arg(long, conflicts_with_all = ["json", "watch", "sign"])]
    pulse: bool,
    /// Show the levels of the inputs as they change, for so many seconds.
    #[arg(long, value_name = "SECONDS", conflicts_with_all = ["json", "sign"], num_args = 0..=1, default_missing_value = "60")]
    watch: Option<u64>,
    /// Show and say every greeting on the sign.
    #[arg(long, conflicts_with = "json")]
    sign: bool,
}

/// How a thing was found.
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
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Which thing.
    pub name: String,
    /// How it was found.
    pub status: Status,
    /// What was found.
    pub detail: String,
    /// What to do about it, where something is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// Both in Chinese, for the page of a running gate; none for what is looked at from the command line only.
    #[serde(skip)]
    pub zh: Option<String>,
}

impl Check {
    fn ok(name: impl Into<String>, detail: impl Into<String>) -> Check {
        Check { name: name.into(), status: Status::Ok, detail: detail.into(), advice: None, zh: None }
    }

    /// The same, with its words in Chinese.
    fn zh(self, words: impl Into<String>) -> Check {
        Check { zh: Some(words.into()), ..self }
    }

    fn warning(name: impl Into<String>, detail: impl Into<String>, advice: impl Into<String>) -> Check {
        Check { status: Status::Warning, advice: Some(advice.into()), ..Check::ok(name, detail) }
    }

    fn fault(name: impl Into<String>, detail: impl Into<String>, advice: impl Into<String>) -> Check {
        Check { status: Status::Fault, ..Check::warning(name, detail, advice) }
    }

    /// A fault in the words of an error that says itself what to do.
    fn error(name: impl Into<String>, error: impl std::fmt::Display) -> Check {
        Check { status: Status::Fault, ..Check::ok(name, error.to_string()) }
    }
}

/// Runs the command.
pub fn run(args: Args, mut config: Config) -> anyhow::Result<ExitCode> {
    if let Some(folder) = args.data {
        config.data.folder = folder;
    }
    if args.pulse {
        return hands_on::pulse(&config, &mut std::io::stdin().lock(), &mut std::io::stdout());
    }
    if let Some(seconds) = args.watch {
        return hands_on::watch(&config, Duration::from_secs(seconds), &mut std::io::stdout());
    }
    if args.sign {
        return hands_on::sign(&config, &mut std::io::stdout());
    }
    let checks = everything(&config);
    let ok = checks.iter().all(|c| c.status != Status::Fault);
    if args.json {
        println!("{}", serde_json::json!({"ok": ok, "checks": checks}));
    } else {
        for check in &checks {
            println!("{}", line(check));
        }
    }
    Ok(ExitCode::from(u8::from(!ok)))
}

fn line(check: &Check) -> String {
    let word = match check.status {
        Status::Ok => "ok     ",
        Status::Warning => "warning",
        Status::Fault => "FAULT  ",
    };
    let advice = check.advice.as_ref().map(|advice| format!(": {advice}")).unwrap_or_default();
    format!("{word} {:9} {}{advice}", check.name, check.detail)
}

/// Looks at everything, the machine first.
fn everything(config: &Config) -> Vec<Check> {
    let (data, running) = data(config);
    let mut checks = vec![data];
    checks.extend(around(config));
    checks.push(book(config));
    checks.push(library(config));
    checks.push(reading(config));
    checks.push(camera(config, running.as_ref()));
    checks.extend(wires::outputs(config));
    checks.extend(wires::inputs(config));
    checks.push(page(config, running.as_ref()));
    checks.extend(house::webhooks(config));
    checks.extend(house::broker(config));
    checks
}

/// The names of what is amiss around a running gate: disk, clock, temperature, backups, watchdog, sign.
pub fn ailments(config: &Config) -> Vec<String> {
    around(config).into_iter().filter(|check| check.status == Status::Fault).map(|check| check.name).collect()
}

/// What can also be looked at from inside a running gate: disk, clock, temperature, backups, watchdog, sign.
pub fn around(config: &Config) -> Vec<Check> {
    let mut checks = vec![machine::disk(&config.data.folder), machine::clock(), machine::temperature()];
    checks.push(backups::look(config, jiff::Timestamp::now()));
    checks.extend(wires::watchdog(config));
    checks.extend(wires::sign(config));
    checks
}

fn data(config: &Config) -> (Check, Option<Running>) {
    let folder = &config.data.folder;
    match Store::open(folder) {
        Ok(_) => (Check::ok("store", format!("{}: it opens, and nobody uses it", folder.display())), None),
        Err(StoreError::InUse { by, .. }) => {
            let told = format!("{}: in use by a running plategate{by}", folder.display());
            (Check::ok("store", told), Some(Running::ask(config)))
        }
        Err(error) => (Check::error("store", error), None),
    }
}

fn book(config: &Config) -> Check {
    let store = match Store::open(&config.data.folder) {
        Ok(store) => store,
        Err(StoreError::InUse { .. }) => return Check::ok("book", "checked by the running plategate when it started"),
        Err(error) => return Check::error("book", error),
    };
    let ledger = match Ledger::open(&store) {
        Ok(ledger) => ledger,
        Err(error) => return Check::error("book", error),
    };
    let book = ledger.book();
    match ledger.fault().cloned().map_or_else(|| ledger.receipts().check(&book), Err) {
        Ok(receipts) => Check::ok("book", format!("whole: {} entries, {receipts} receipts", book.entries().len())),
        Err(fault) => Check::fault(
            "book",
            fault.to_string(),
            "keep the data folder, and restore the newest backup whose book is whole",
        ),
    }
}

fn library(config: &Config) -> Check {
    match runtime::library(&config.vision) {
        Ok(found) => Check::ok("library", format!("ONNX Runtime {} ({})", found.version, found.path.display())),
        Err(error) => Check::error("library", error),
    }
}

/// A picture without a plate that takes longer than this leaves no room for a plate within a frame's time.
const SLOW: Duration = Duration::from_millis(40);

fn reading(config: &Config) -> Check {
    let read = || {
        let mut vision = Vision::load(&config.vision)?;
        let grey = Picture::filled(1920, 1080, [110, 110, 110]);
        for _ in 0..3 {
            vision.read(&grey)?;
        }
        Ok::<_, crate::vision::VisionError>((vision.describe(&config.vision), vision.timings().detect))
    };
    match read() {
        Ok((describe, took)) => {
            let told = format!("{describe}; an empty 1080p frame takes {:.1} ms", took.as_secs_f64() * 1e3);
            if took > SLOW && !cfg!(debug_assertions) {
                return Check::warning("models", told, "set vision.lane to the lane's part of the picture");
            }
            Check::ok("models", told)
        }
        Err(error) => Check::error("models", error),
    }
}

/// A frame older than this is not what is before the gate now.
const OLD: Duration = Duration::from_secs(2);

fn camera(config: &Config, running: Option<&Running>) -> Check {
    if let Some(running) = running {
        return running.camera();
    }
    let source = &config.camera.source;
    if *source == Source::Rendered {
        return Check::warning("camera", "rendered: a painted lane, no camera", "set camera.source");
    }
    let mut camera = Camera::start(&config.camera, rendered::Script::empty());
    let wait = Duration::from_millis(config.camera.open_timeout_ms + config.camera.read_timeout_ms + 3000);
    let begun = Instant::now();
    let mut frame = None;
    let mut taken = 0;
    // The first frame says that it works; a few more, how old they are when they come.
    while taken < 5 {
        if camera.next(&mut frame, Duration::from_millis(100)) {
            taken += 1;
        }
        let lost = matches!(camera.state(), CameraState::Lost { .. } | CameraState::Ended);
        if lost || begun.elapsed() > wait {
            break;
        }
    }
    let state = camera.state();
    camera.stop();
    match (frame, state) {
        (Some(frame), _) => {
            let (w, h, age) = (frame.picture.width, frame.picture.height, frame.captured.elapsed());
            let decoded = match config.camera.decode_scale {
                1 => String::new(),
                scale => format!(" (decoded at 1/{scale} of its size)"),
            };
            let told = format!("{source}, {w}x{h}{decoded}, the newest frame {} ms old", age.as_millis());
            if w < 1280 || h < 720 {
                return Check::warning("camera", told, "at least 1280x720 is better (GA/T 1742-2020)");
            }
            if age > OLD {
                return Check::warning("camera", told, "lower its bit rate, or use the sub-stream");
            }
            Check::ok("camera", told)
        }
        (None, CameraState::Lost { reason, .. }) => Check::error("camera", reason),
        (None, _) => Check::fault(
            "camera",
            format!("{source}: no frame within {:.0} s", wait.as_secs_f64()),
            "is it switched on, and does another program use it?",
        ),
    }
}

fn page(config: &Config, running: Option<&Running>) -> Check {
    let listen = config.web.listen;
    if let Some(running) = running {
        return running.page();
    }
    match std::net::TcpListener::bind(listen) {
        Ok(_) if listen.ip().is_loopback() => Check::ok("page", format!("http://{listen}, for this machine only")),
        Ok(_) => Check::ok("page", format!("https://{listen}, for other machines too, after signing in")),
        Err(error) => Check::fault("page", format!("web.listen {listen}: {error}"), "choose another address or port"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finding_that_is_not_well_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "[data]\nfolder = {:?}\n[camera]\nsource = \"file:/nonexistent.mp4\"\n[barrier]\noutput = \"gpio\"\nchip = \"/dev/gpiochip99\"\n\
             [inputs]\npresence = {{ line = 3, chip = \"/dev/gpiochip98\" }}\n[watchdog]\ndevice = \"/nonexistent\"\n\
             [display]\nsign = \"board\"\nport = \"/nonexistent-port\"\n[web]\nlisten = \"127.0.0.1:0\"\n",
            folder.path().join("data")
        );
        let config = Config::parse(&text, std::path::Path::new("x")).unwrap();
        let checks = everything(&config);
        let found = |name: &str| checks.iter().find(|c| c.name == name).unwrap_or_else(|| panic!("no {name}"));
        for (name, status, part) in [
            ("store", Status::Ok, "opens"),
            ("camera", Status::Fault, "nonexistent.mp4"),
            ("open", Status::Fault, "gpiochip99"),
            ("presence", Status::Fault, "gpiochip98"),
            ("watchdog", Status::Fault, "/nonexistent"),
            ("sign", Status::Fault, "/nonexistent-port"),
            ("page", Status::Ok, "127.0.0.1"),
        ] {
            let check = found(name);
            assert_eq!(check.status, status, "{check:?}");
            assert!(check.detail.contains(part), "{check:?}");
        }
        for name in ["disk", "clock", "heat", "library", "models"] {
            assert!(!found(name).detail.is_empty());
        }
        // What the page shows to stewards, it shows in their language.
        for check in around(&config) {
            let zh = check.zh.clone().unwrap_or_default();
            assert!(zh.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)), "{check:?}");
        }
        for check in &checks {
            assert!(!line(check).contains('\n'), "{check:?}");
            // An error says itself what to do; everything else has advice of its own.
            let says = check.status == Status::Ok || check.advice.is_some() || check.detail.contains([':', ';']);
            assert!(says, "{check:?}");
        }
    }
}
