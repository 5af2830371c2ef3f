//! Pins of the kernel's simulated GPIO chip (gpio-sim), seen and driven from the outside, as a relay board would.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A chip that is there until it is dropped.
pub struct Chip {
    /// `/dev/gpiochipN`.
    pub device: PathBuf,
    config: PathBuf,
    pins: PathBuf,
}

impl Chip {
    /// Plugs in a chip with lines of these names.
    pub fn new(label: &str, names: &[&str]) -> Chip {
        let config = PathBuf::from("/sys/kernel/config/gpio-sim").join(label);
        let bank = config.join("bank0");
        fs::create_dir(&config).unwrap();
        fs::create_dir(&bank).unwrap();
        fs::write(bank.join("num_lines"), names.len().to_string()).unwrap();
        fs::write(bank.join("label"), label).unwrap();
        for (n, name) in names.iter().enumerate() {
            let line = bank.join(format!("line{n}"));
            fs::create_dir(&line).unwrap();
            fs::write(line.join("name"), name).unwrap();
        }
        fs::write(config.join("live"), "1").unwrap();
        let read = |path: PathBuf| fs::read_to_string(path).unwrap().trim().to_owned();
        let (device, chip) = (read(config.join("dev_name")), read(bank.join("chip_name")));
        let pins = PathBuf::from("/sys/devices/platform").join(device).join(&chip);
        Chip { device: PathBuf::from("/dev").join(chip), config, pins }
    }

    /// The pin's level, whoever drives it.
    pub fn level(&self, line: u32) -> bool {
        level(&self.pin(line, "value"))
    }

    /// Pulls the pin up or down, as a switch would. An output is not moved by it, but falls back to it when its holder
    /// lets the line go.
    pub fn pull(&self, line: u32, up: bool) {
        let word = if up { "pull-up" } else { "pull-down" };
        fs::write(self.pin(line, "pull"), word).unwrap();
    }

    /// Starts to write down every change of the pin's level.
    pub fn watch(&self, line: u32) -> Watch {
        Watch::start(self.pin(line, "value"))
    }

    fn pin(&self, line: u32, what: &str) -> PathBuf {
        self.pins.join(format!("sim_gpio{line}")).join(what)
    }
}

impl Drop for Chip {
    fn drop(&mut self) {
        let _ = fs::write(self.config.join("live"), "0");
        let bank = self.config.join("bank0");
        for line in fs::read_dir(&bank).into_iter().flatten().flatten().filter(|e| e.path().is_dir()) {
            let _ = fs::remove_dir(line.path());
        }
        let _ = fs::remove_dir(bank);
        let _ = fs::remove_dir(&self.config);
    }
}

fn level(value: &PathBuf) -> bool {
    fs::read_to_string(value).unwrap().trim() == "1"
}

/// Looks at one pin every millisecond until it is asked what it saw.
pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<bool>>,
}

impl Watch {
    fn start(value: PathBuf) -> Watch {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let mut was = level(&value);
        let thread = std::thread::spawn(move || {
            let mut edges = Vec::new();
            loop {
                // Asked first, so that the last look is after the question.
                let last = stopped.load(Ordering::Relaxed);
                let high = level(&value);
                if high != was {
                    edges.push(high);
                    was = high;
                }
                if last {
                    break edges;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Watch { stop, thread }
    }

    /// The levels that it changed to since the start.
    pub fn edges(self) -> Vec<bool> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// What an output was told, by the kernel's own account.
#[derive(Clone, Copy, Debug)]
pub struct Set {
    /// The kernel's time.
    pub at: Duration,
    /// The level at the pin.
    pub high: bool,
}

/// The kernel's own record of what its GPIO lines were told; nothing is too short for it.
pub struct Trace;

const TRACING: &str = "/sys/kernel/tracing";

impl Trace {
    /// Starts a new record.
    pub fn start() -> Trace {
        let put = |file: &str, text: &str| fs::write(PathBuf::from(TRACING).join(file), text).unwrap();
        put("trace_clock", "mono");
        put("events/gpio/gpio_value/enable", "1");
        put("trace", "");
        Trace
    }

    /// What outputs were set to since the start, the value at the request included.
    pub fn sets(&self) -> Vec<Set> {
        let text = fs::read_to_string(PathBuf::from(TRACING).join("trace")).unwrap();
        text.lines().filter_map(set).collect()
    }
}

/// A line such as `barrier-166 [000] ..... 32.342727: gpio_value: 1020 set 0`.
fn set(line: &str) -> Option<Set> {
    let (before, after) = line.split_once(": gpio_value: ")?;
    let seconds: f64 = before.split_whitespace().last()?.parse().ok()?;
    let (_, value) = after.split_once(" set ")?;
    Some(Set { at: Duration::from_secs_f64(seconds), high: value.trim() == "1" })
}
