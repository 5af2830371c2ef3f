//! The checks, as they run in the machine. Each prints one line that [`super::machine`] reads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use gpiocdev::line::Offset;
use serde_json::Value;

use super::gate::{Gate, plategate};
use super::pins::{Chip, Set, Trace};
use super::{camera, disks, inputs, watchdog};

/// The relay's line.
pub const LINE: Offset = 4;
pub const NAMES: [&str; 8] = ["", "", "", "", "OPEN", "LOOP", "FIRE", ""];

/// All checks, one after the other; the watchdog's ends the machine. By hand: `PLATEGATE_CHECKS=disk-full,power-cuts`, in the
/// environment of the tests, makes these alone.
pub fn run() {
    let wanted = std::fs::read_to_string("/job/checks").unwrap_or_default();
    for (name, check) in [
        ("pulse", pulse as fn() -> String),
        ("killed", killed),
        ("active-low", active_low),
        ("inputs", inputs::check),
        ("camera", camera::check),
        ("power-cuts", disks::cuts),
        ("disk-errors", disks::errors),
        ("disk-full", disks::full),
        ("disk-sick", disks::sick),
        ("watchdog", watchdog::check),
    ] {
        if !wanted.is_empty() && !wanted.split(',').any(|one| one == name) {
            continue;
        }
        let begun = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(check));
        let took = begun.elapsed().as_secs_f64();
        match outcome {
            Ok(told) => println!("\ncheck {name}: ok {told} ({took:.0} s)"),
            Err(panic) => {
                let why = panic.downcast_ref::<String>().cloned();
                let why = why.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default();
                println!("\ncheck {name}: failed {}", why.replace('\n', " | "));
            }
        }
    }
}

/// A lane with one car that drives up, over and over.
pub const LANE: &str = "camera.source = \"folder:/job/lane\"\ncamera.fps = 3\n";

/// A gate that presses the chip's line once, and the camera's lines.
pub fn config(camera: &str, chip: &Chip, pulse_ms: u64) -> String {
    format!(
        "{camera}gate.max_frame_age_ms = 10000\ngate.refuse_after_ms = 60000\n\
         gate.frames_to_open = 1\ngate.unpaid = \"open\"\n\
         barrier.output = \"gpio\"\nbarrier.chip = {:?}\nbarrier.line = {LINE}\n\
         barrier.pulse_ms = {pulse_ms}\nbarrier.min_gap_ms = 600000\n",
        chip.device
    )
}

/// Is the line free again?
fn is_free(chip: &Chip) -> bool {
    !gpiocdev::Chip::from_path(&chip.device).unwrap().line_info(LINE).unwrap().used
}

/// Waits for a level that must come without anything more being done.
fn wait_for(chip: &Chip, high: bool, what: &str) -> Duration {
    let begun = Instant::now();
    while chip.level(LINE) != high {
        assert!(begun.elapsed() < Duration::from_secs(5), "{what}: the pin does not move");
        std::thread::sleep(Duration::from_millis(1));
    }
    begun.elapsed()
}

fn levels(sets: &[Set]) -> Vec<bool> {
    sets.iter().map(|set| set.high).collect()
}

fn pulse() -> String {
    let chip = Chip::new("gate", &NAMES);
    let (trace, watch) = (Trace::start(), chip.watch(LINE));
    let mut gate = Gate::start(&config(LANE, &chip, 500));
    gate.wait_for("the press", |_| chip.level(LINE));
    gate.wait_for("the release", |_| !chip.level(LINE));
    gate.wait_for("the record", |gate| gate.log().contains("outcome=Opened"));
    // It keeps the line while it stands still, and leaves the machine's one processor to the others.
    gate.signal("-STOP");
    let held = held(&gate);
    gate.signal("-CONT");
    gate.signal("-TERM");
    assert!(gate.end().success());
    assert!(!chip.level(LINE) && is_free(&chip));

    assert_eq!(watch.edges(), [true, false], "the pin moved otherwise than once up, once down");
    let sets = trace.sets();
    // Low at the request, up, down; and low once more where the line is given back.
    let levels = levels(&sets);
    assert!(levels.starts_with(&[false, true, false]) && levels[3..].iter().all(|high| !high), "{levels:?}");
    let length = sets[2].at - sets[1].at;
    // What the emulated machine adds is its own; shorter than set it may never be.
    assert!(length >= Duration::from_millis(500) && length < Duration::from_millis(2500), "{length:?}");
    format!("low, one pulse of {} ms (500 set), low, line free after the stop; meanwhile: {held}", length.as_millis())
}

/// The doctor and a second gate, while the first has the line.
fn held(gate: &Gate) -> String {
    let output = plategate(&gate.config()).args(["doctor", "--json"]).output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).expect("doctor --json prints JSON");
    let is_it = |c: &&Value| c["detail"].as_str().is_some_and(|d| d.contains("held by a running plategate"));
    let line = told["checks"].as_array().unwrap().iter().find(is_it).unwrap_or_else(|| panic!("{told}"));
    assert!(line["status"] == "ok" && line["detail"].as_str().unwrap().contains("OPEN"), "{line}");

    let data = tempfile::tempdir().unwrap();
    let second = plategate(&gate.config()).arg("run").arg("--data").arg(data.path()).output().unwrap();
    let error = String::from_utf8_lossy(&second.stderr);
    let last = error.lines().last().unwrap_or_default();
    assert!(second.status.code() == Some(1) && last.contains("held by another plategate"), "{error}");
    last.to_owned()
}

fn killed() -> String {
    let chip = Chip::new("gate", &NAMES);
    let mut gate = Gate::start(&config(LANE, &chip, 10_000));
    gate.wait_for("the press", |_| chip.level(LINE));
    gate.signal("-KILL");
    let killed = wait_for(&chip, false, "after SIGKILL");
    assert!(is_free(&chip));

    // The next start asks for the line low, and presses only when it has seen the car again.
    let trace = Trace::start();
    gate.again();
    gate.wait_for("the next press", |_| chip.level(LINE));
    assert_eq!(levels(&trace.sets()), [false, true], "the new start clicked");
    gate.signal("-TERM");
    let stopped = wait_for(&chip, false, "after SIGTERM");
    assert!(gate.end().success() && !chip.level(LINE) && is_free(&chip));
    let ms = |time: Duration| time.as_millis();
    format!(
        "in a pulse of 10 s: low {} ms after SIGKILL, {} ms after SIGTERM; no click at the next start",
        ms(killed),
        ms(stopped)
    )
}

fn active_low() -> String {
    let chip = Chip::new("gate", &NAMES);
    // A board that switches on at low level pulls its input up: off while it floats.
    chip.pull(LINE, true);
    assert!(chip.level(LINE));
    let (trace, watch) = (Trace::start(), chip.watch(LINE));
    let mut gate = Gate::start(&(config(LANE, &chip, 10_000) + "barrier.active_low = true\n"));
    gate.wait_for("the press", |_| !chip.level(LINE));
    gate.signal("-KILL");
    wait_for(&chip, true, "after SIGKILL");
    assert_eq!(levels(&trace.sets()), [true, false], "the line was not asked for high, then low once");
    assert_eq!(watch.edges(), [false, true], "the pin moved otherwise than once down, once up");
    "high before, at the start and after SIGKILL; low only while pressed".to_owned()
}
