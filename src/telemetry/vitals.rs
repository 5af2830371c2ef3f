//! How the box is: asked when `/metrics` is, because nobody has to keep count of it.

use jiff::Timestamp;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// One look at the box.
#[derive(Clone, Debug, Default)]
pub struct Vitals {
    /// Do frames come?
    pub camera_live: bool,
    /// Frames a second, as they come.
    pub camera_fps: f64,
    /// How often they stayed away since the start.
    pub camera_losses: u64,
    /// Presses of "open" since the start, and those that failed.
    pub presses: u64,
    /// See `presses`.
    pub failed_presses: u64,
    /// The relay does not let go.
    pub stuck: bool,
    /// Cars in the register.
    pub cars: u64,
    /// Arrivals ever recorded.
    pub arrivals: u64,
    /// Things that had to be put right when the store was opened.
    pub put_right: u64,
    /// The store takes no changes: it gave up, or runs from memory.
    pub store_sick: bool,
    /// Bytes of the store's own files.
    pub store_bytes: u64,
    /// Bytes of the pictures of arrivals.
    pub pictures_bytes: u64,
    /// Bytes free on the data folder's disk.
    pub disk_free_bytes: u64,
    /// When the last good backup was made by the box itself.
    pub last_backup: Option<Timestamp>,
    /// Is a backup due that could not be made?
    pub backup_trouble: bool,
    /// When what has been kept long enough was last deleted.
    pub last_retention: Option<Timestamp>,
    /// Retention had to delete pictures before their time at its last round.
    pub thinned: u64,
    /// Does the lane move?
    pub lane_alive: bool,
}

type Measure = fn(&Vitals) -> f64;

/// The gauges: name, what it is, in which unit, and where it is found.
const GAUGES: [(&str, &str, Option<Unit>, Measure); 14] = [
    ("store_sick", "1 while the store takes no changes", None, |v| flag(v.store_sick)),
    ("camera_fps", "Frames a second, as they come", None, |v| v.camera_fps),
    ("lane_alive", "1 while the lane moves", None, |v| flag(v.lane_alive)),
    ("barrier_stuck", "1 if the relay does not let go", None, |v| flag(v.stuck)),
    ("registered_cars", "Cars in the register", None, |v| v.cars as f64),
    ("store_put_right", "Things that had to be put right when the store was opened", None, |v| v.put_right as f64),
    ("store_size", "The store's own files", Some(Unit::Bytes), |v| v.store_bytes as f64),
    ("pictures_size", "Pictures of arrivals", Some(Unit::Bytes), |v| v.pictures_bytes as f64),
    ("disk_free", "Free on the data folder's disk", Some(Unit::Bytes), |v| v.disk_free_bytes as f64),
    ("last_backup_time", "When the box last made a good backup, Unix time; 0: never", Some(Unit::Seconds), |v| {
        v.last_backup.map_or(0.0, |at| at.as_second() as f64)
    }),
    ("backup_trouble", "1 while a backup is due that could not be made", None, |v| flag(v.backup_trouble)),
    ("last_retention_time", "When retention last made its round, Unix time; 0: never", Some(Unit::Seconds), |v| {
        v.last_retention.map_or(0.0, |at| at.as_second() as f64)
    }),
    ("pictures_thinned", "Pictures deleted before their time at the last round of retention", None, |v| {
        v.thinned as f64
    }),
    ("memory", "Resident memory of the gate", Some(Unit::Bytes), |_| memory()),
];

type Count = fn(&Vitals) -> u64;

/// What only ever grows.
const COUNTERS: [(&str, &str, Count); 4] = [
    ("camera_losses", "How often frames stayed away", |v| v.camera_losses),
    ("presses", "Presses of open", |v| v.presses),
    ("failed_presses", "Presses of open that failed", |v| v.failed_presses),
    ("recorded_arrivals", "Arrivals ever recorded", |v| v.arrivals),
];

/// Puts one look into a registry of its own.
pub(super) fn registry(vitals: &Vitals, started: Timestamp) -> Registry {
    let mut registry = Registry::with_prefix("plategate");
    for (name, help, unit, measure) in GAUGES {
        let gauge = ConstGauge::new(measure(vitals));
        match unit {
            Some(unit) => registry.register_with_unit(name, help, unit, gauge),
            None => registry.register(name, help, gauge),
        }
    }
    for (name, help, count) in COUNTERS {
        registry.register(name, help, ConstCounter::new(count(vitals)));
    }
    let start = ConstGauge::new(started.as_second() as f64);
    registry.register_with_unit("start_time", "When the gate was started, Unix time", Unit::Seconds, start);
    registry.register("build", "Which plategate this is", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
    registry
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

/// Resident memory of this process, bytes.
fn memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = resident.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    kilobytes.unwrap_or_default() * 1024.0
}
