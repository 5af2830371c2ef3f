//! The watchdog: systemd and, where asked for, the hardware's are told that the gate is alive, only while it is.
//!
//! In: one question for each part that must be alive. Out: a sign of life to systemd's watchdog and to `/dev/watchdog`. A
//! part that is not alive any more is named in the log once, and nothing is fed until it is: systemd then starts the program
//! anew, and the hardware the whole box. This room knows nothing of what the parts do.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::config;

/// How often the parts are asked where nobody wants to know more often.
const EVERY: Duration = Duration::from_secs(5);
/// The thread looks so often whether it should stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A part's sign of life: it beats, and others see how long ago that was.
#[derive(Clone, Debug)]
pub struct Heart {
    begun: Instant,
    /// Milliseconds after `begun`.
    beat: Arc<AtomicU64>,
}

impl Default for Heart {
    fn default() -> Heart {
        Heart { begun: Instant::now(), beat: Arc::default() }
    }
}

impl Heart {
    /// It is alive at this moment.
    pub fn beat(&self) {
        self.beat.store(self.begun.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// Was it alive less than `time` ago?
    pub fn beat_within(&self, time: Duration) -> bool {
        let beat = Duration::from_millis(self.beat.load(Ordering::Relaxed));
        self.begun.elapsed().saturating_sub(beat) < time
    }
}

/// A part that must be alive: its name, and the question.
pub type Part = (&'static str, Box<dyn Fn() -> bool + Send>);

/// The thread that asks and feeds. Stop it with [`Watchdog::stop`]: dropped without, it leaves the hardware's watchdog
/// running, as a crash must.
pub struct Watchdog {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The hardware's watchdog could not be had; the text says what to do.
#[derive(Debug, thiserror::Error)]
#[error(
    "{path}: {error}: let the group of the service write there (deploy/99-plategate.rules), or leave watchdog.device out"
)]
pub struct WatchdogError {
    path: PathBuf,
    error: std::io::Error,
}

impl Watchdog {
    /// Starts asking and feeding. Opening the hardware's watchdog starts its clock.
    pub fn start(settings: &config::Watchdog, parts: Vec<Part>) -> Result<Watchdog, WatchdogError> {
        let hardware = settings.device.as_deref().map(Hardware::open).transpose()?;
        let wanted = [
            hardware.as_ref().map(|hardware| hardware.timeout / 4),
            sd_notify::watchdog_enabled().map(|timeout| timeout / 4),
        ];
        let every = wanted.into_iter().flatten().fold(EVERY, Duration::min).max(LOOK_EVERY);
        let stop = Arc::new(AtomicBool::new(false));
        let mut feeder = Feeder { hardware, parts, told: Vec::new() };
        let stopped = stop.clone();
        let thread = std::thread::Builder::new().name("watchdog".into()).spawn(move || {
            let mut feed_at = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                if Instant::now() >= feed_at {
                    feeder.feed();
                    feed_at = Instant::now() + every;
                }
                std::thread::sleep(LOOK_EVERY);
            }
            if let Some(hardware) = feeder.hardware {
                hardware.close();
            }
        });
        if let Err(error) = &thread {
            tracing::error!("the watchdog's thread could not be started: {error}");
        }
        Ok(Watchdog { stop, thread: thread.ok() })
    }

    /// A clean stop: the hardware's watchdog is told that this is no crash.
    pub fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // One that panicked has been reported by the panic itself.
            let _ = thread.join();
        }
    }
}

struct Feeder {
    hardware: Option<Hardware>,
    parts: Vec<Part>,
    /// The parts that were told to be dead.
    told: Vec<&'static str>,
}

impl Feeder {
    /// Feeds if everything is alive.
    fn feed(&mut self) {
        let dead: Vec<&'static str> =
            self.parts.iter().filter(|(_, is_alive)| !is_alive()).map(|(name, _)| *name).collect();
        if dead != self.told {
            if dead.is_empty() {
                tracing::warn!("the gate is alive again");
            } else {
                tracing::error!(?dead, "a part of the gate stands still: the watchdog is not fed");
            }
            self.told.clone_from(&dead);
        }
        if dead.is_empty() {
            // Without systemd there is nobody to tell.
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
            if let Some(hardware) = &mut self.hardware {
                hardware.feed();
            }
        }
    }
}

/// The kernel's watchdog device. Anything written feeds it; a `V` right before closing stops it ("magic close"), unless the
/// kernel was told `nowayout`.
struct Hardware {
    path: PathBuf,
    device: File,
    timeout: Duration,
    failed: bool,
}

/// Assumed where the kernel does not say: most drivers' default is at least twice as long.
const SHORT: Duration = Duration::from_secs(8);

impl Hardware {
    fn open(path: &Path) -> Result<Hardware, WatchdogError> {
        let device = File::options()
            .write(true)
            .open(path)
            .map_err(|error| WatchdogError { path: path.to_path_buf(), error })?;
        let timeout = timeout_of(path).unwrap_or(SHORT);
        tracing::info!(device = %path.display(), seconds = timeout.as_secs(), "hardware watchdog started");
        Ok(Hardware { path: path.to_path_buf(), device, timeout, failed: false })
    }

    fn feed(&mut self) {
        let fed = self.device.write_all(b"\0");
        if let Err(error) = &fed
            && !self.failed
        {
            tracing::error!("{}: it cannot be fed: {error}", self.path.display());
        }
        self.failed = fed.is_err();
    }

    fn close(mut self) {
        if let Err(error) = self.device.write_all(b"V") {
            tracing::error!("{}: it cannot be stopped: {error}", self.path.display());
        }
    }
}

/// The timeout that the kernel tells in `/sys/class/watchdog/watchdogN/timeout`; `/dev/watchdog` is number 0.
fn timeout_of(path: &Path) -> Option<Duration> {
    let name = path.file_name()?.to_str()?;
    let name = if name == "watchdog" { "watchdog0" } else { name };
    let text = std::fs::read_to_string(format!("/sys/class/watchdog/{name}/timeout")).ok()?;
    text.trim().parse().ok().filter(|&seconds| seconds > 0).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> (tempfile::TempDir, config::Watchdog) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("watchdog9");
        std::fs::write(&path, "").unwrap();
        (folder, config::Watchdog { device: Some(path) })
    }

    fn fed(settings: &config::Watchdog) -> Vec<u8> {
        std::fs::read(settings.device.as_ref().unwrap()).unwrap()
    }

    fn wait_for(what: &str, pleases: impl Fn() -> bool) {
        let begun = Instant::now();
        while !pleases() {
            assert!(begun.elapsed() < Duration::from_secs(20), "{what} did not come");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn it_is_fed_while_all_parts_are_alive_and_closed_by_magic() {
        let (_folder, settings) = device();
        let lane = Heart::default();
        let alive = lane.clone();
        let parts: Vec<Part> = vec![("lane", Box::new(move || alive.beat_within(Duration::from_secs(3600))))];
        let watchdog = Watchdog::start(&settings, parts).unwrap();
        wait_for("food", || fed(&settings) == b"\0");
        wait_for("more food", || fed(&settings).starts_with(b"\0\0"));
        watchdog.stop();
        assert!(fed(&settings).ends_with(b"\0V"));
    }

    #[test]
    fn a_dead_part_starves_it() {
        let (_folder, settings) = device();
        let asked = Arc::new(AtomicU64::new(0));
        let counts = asked.clone();
        let dead: Part = ("lane", Box::new(move || counts.fetch_add(1, Ordering::Relaxed) > u64::MAX - 1));
        let watchdog = Watchdog::start(&settings, vec![("camera", Box::new(|| true)), dead]).unwrap();
        wait_for("the second question", || asked.load(Ordering::Relaxed) >= 2);
        assert_eq!(fed(&settings), b"");
        watchdog.stop();
        assert_eq!(fed(&settings), b"V");
    }

    #[test]
    fn a_program_that_dies_leaves_it_running() {
        let (_folder, settings) = device();
        let mut hardware = Hardware::open(settings.device.as_ref().unwrap()).unwrap();
        hardware.feed();
        drop(hardware);
        assert_eq!(fed(&settings), b"\0");
    }

    #[test]
    fn a_device_that_is_not_there_says_what_to_do() {
        let settings = config::Watchdog { device: Some("/dev/watchdog-not-there".into()) };
        let error = Watchdog::start(&settings, Vec::new()).err().unwrap().to_string();
        assert!(error.contains("/dev/watchdog-not-there") && error.contains("99-plategate.rules"), "{error}");
    }

    #[test]
    fn a_heart_that_never_beats_dies() {
        let heart = Heart::default();
        assert!(heart.beat_within(Duration::from_secs(3600)));
        std::thread::sleep(Duration::from_millis(20));
        assert!(!heart.beat_within(Duration::from_millis(10)));
        heart.beat();
        assert!(heart.beat_within(Duration::from_secs(3600)));
    }
}
