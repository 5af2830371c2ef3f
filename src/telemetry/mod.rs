//! Counters and latencies, in the text format that Prometheus reads.
//!
//! In: what the lane and the recorder report. Out: the page `/metrics`. No plate ever becomes a label.

mod house;
pub mod log;
mod vitals;

use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram};
use prometheus_client::registry::{Registry, Unit};

use crate::gate::event::{Outcome, Rule};
pub use house::{House, Waiting};
pub use vitals::Vitals;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Decision {
    outcome: String,
    rule: String,
}

/// Everything that is counted.
pub struct Telemetry {
    registry: Registry,
    frames: Counter,
    still_frames: Counter,
    failed_frames: Counter,
    stale: Counter,
    lost_events: Counter,
    decisions: Family<Decision, Counter>,
    reading: Histogram,
    pulse: Histogram,
    camera_live: Gauge,
    age: Gauge<f64, AtomicU64>,
    recording: Histogram,
    started: Timestamp,
    fleet: FleetGauges,
    newest: Mutex<Option<Instant>>,
    beat: Mutex<Instant>,
    /// The barrier's notes, the webhooks, the broker.
    pub house: House,
    computing: Mutex<Computing>,
    provider: Family<Computes, Gauge>,
    building: Gauge,
}

/// What computes.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Computes {
    provider: &'static str,
}

/// What the networks run on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Computing {
    /// They have not been loaded yet.
    #[default]
    NotYet,
    /// A provider builds its engines, which may take minutes; since when.
    Building {
        /// Such as `tensorrt`.
        provider: &'static str,
        /// When it began.
        since: Instant,
    },
    /// They run.
    On {
        /// Such as `cpu`.
        provider: &'static str,
        /// What was wanted instead, and why it cannot be had.
        instead_of: Option<String>,
    },
}

/// Engines that are built for longer than this will not come to an end.
const BUILDING_AT_MOST: Duration = Duration::from_secs(45 * 60);

/// How the sync with other gates is.
#[derive(Default)]
struct FleetGauges {
    connected: Gauge,
    waiting_events: Gauge,
    waiting_records: Gauge,
    refused: Gauge,
}

/// A lane that has not moved for so long is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(10);

/// Bounds of the latency histograms, seconds.
const BOUNDS: [f64; 12] = [0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 1.0];

impl Default for Telemetry {
    fn default() -> Telemetry {
        let mut registry = Registry::with_prefix("plategate");
        let mut telemetry = Telemetry {
            frames: Counter::default(),
            still_frames: Counter::default(),
            failed_frames: Counter::default(),
            stale: Counter::default(),
            lost_events: Counter::default(),
            decisions: Family::default(),
            reading: Histogram::new(BOUNDS),
            pulse: Histogram::new(BOUNDS),
            camera_live: Gauge::default(),
            age: Gauge::default(),
            recording: Histogram::new(BOUNDS),
            started: Timestamp::now(),
            fleet: FleetGauges::default(),
            newest: Mutex::new(None),
            beat: Mutex::new(Instant::now()),
            house: House::default(),
            computing: Mutex::default(),
            provider: Family::default(),
            building: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register("frames", "Frames read", telemetry.frames.clone());
        registry.register(
            "still_frames",
            "Frames left unread because nothing had changed",
            telemetry.still_frames.clone(),
        );
        registry.register("failed_frames", "Frames that could not be read", telemetry.failed_frames.clone());
        registry.register("stale_frames", "Frames too old to open for", telemetry.stale.clone());
        registry.register("lost_events", "Arrivals that could not be put on record", telemetry.lost_events.clone());
        registry.register("decisions", "Arrivals by outcome and rule", telemetry.decisions.clone());
        let seconds = Unit::Seconds;
        registry.register_with_unit("frame", "Frame in memory to decision", seconds.clone(), telemetry.reading.clone());
        registry.register_with_unit("pulse", "Capture to the relay's edge", seconds.clone(), telemetry.pulse.clone());
        let recording = telemetry.recording.clone();
        registry.register_with_unit("record", "Arrival handed over to record on the disk", seconds.clone(), recording);
        registry.register("provider", "1 for what the networks run on", telemetry.provider.clone());
        registry.register("building_engines", "1 while a provider builds its engines", telemetry.building.clone());
        registry.register("camera_live", "1 while frames come", telemetry.camera_live.clone());
        registry.register_with_unit("frame_age", "Age of the newest frame read", seconds, telemetry.age.clone());
        telemetry.house.register(&mut registry);
        let fleet = &telemetry.fleet;
        for (name, help, gauge) in [
            ("fleet_connected", "1 while the broker is connected", &fleet.connected),
            ("fleet_waiting_events", "Arrivals that the broker has not yet", &fleet.waiting_events),
            ("fleet_waiting_records", "Records that other gates were not told yet", &fleet.waiting_records),
            ("fleet_refused_messages", "Messages that were refused", &fleet.refused),
        ] {
            registry.register(name, help, gauge.clone());
        }
        telemetry.registry = registry;
        telemetry
    }
}

impl Telemetry {
    /// A frame went through the corridor in `took`.
    pub fn frame_read(&self, took: Duration, captured: Instant) {
        self.frames.inc();
        self.reading.observe(took.as_secs_f64());
        *self.newest.lock() = Some(captured);
    }

    /// A frame showed the same lane as before, and was left unread.
    pub fn frame_was_still(&self, captured: Instant) {
        self.still_frames.inc();
        *self.newest.lock() = Some(captured);
    }

    /// The lane moved, with or without a frame.
    pub fn beat(&self) {
        *self.beat.lock() = Instant::now();
    }

    /// Did the lane move lately, or is it waiting for engines that are being built?
    pub fn lane_is_alive(&self) -> bool {
        let builds =
            matches!(*self.computing.lock(), Computing::Building { since, .. } if since.elapsed() < BUILDING_AT_MOST);
        builds || self.beat.lock().elapsed() < STUCK_AFTER
    }

    /// The networks are being loaded, or have been.
    pub fn computes(&self, computing: Computing) {
        self.building.set(i64::from(matches!(computing, Computing::Building { .. })));
        if let Computing::On { provider, .. } = computing {
            self.provider.clear();
            self.provider.get_or_create(&Computes { provider }).set(1);
        }
        self.beat();
        *self.computing.lock() = computing;
    }

    /// What the networks run on.
    pub fn computing(&self) -> Computing {
        self.computing.lock().clone()
    }

    /// A frame could not be read.
    pub fn frame_failed(&self) {
        self.failed_frames.inc();
    }

    /// A frame was too old to open for.
    pub fn stale(&self) {
        self.stale.inc();
    }

    /// "Open" was pressed so long after the deciding frame's capture.
    pub fn pulse(&self, after: Duration) {
        self.pulse.observe(after.as_secs_f64());
    }

    /// An arrival was decided.
    pub fn decided(&self, outcome: Outcome, rule: Rule) {
        let label = |value: serde_json::Result<serde_json::Value>| {
            value.ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
        };
        let decision =
            Decision { outcome: label(serde_json::to_value(outcome)), rule: label(serde_json::to_value(rule)) };
        self.decisions.get_or_create(&decision).inc();
    }

    /// An arrival could not be put on record.
    pub fn event_lost(&self) {
        self.lost_events.inc();
    }

    /// Takes over how the sync with other gates is.
    pub fn fleet(&self, status: &crate::fleet::status::Status) {
        let of = |counter: &AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed) as i64;
        self.fleet.connected.set(i64::from(status.is_connected()));
        self.fleet.waiting_events.set(of(&status.events_waiting));
        self.fleet.waiting_records.set(of(&status.records_waiting));
        self.fleet.refused.set(of(&status.refused));
    }

    /// Frames looked at so far, those included that were left unread because nothing had changed.
    pub fn frames(&self) -> u64 {
        self.frames.get() + self.still_frames.get()
    }

    /// Frames left unread so far because nothing had changed.
    pub fn still_frames(&self) -> u64 {
        self.still_frames.get()
    }

    /// The age of the newest frame that was read.
    pub fn newest_frame_age(&self) -> Option<Duration> {
        self.newest.lock().map(|at| at.elapsed())
    }

    /// An arrival was put on record in `took`.
    pub fn recorded(&self, took: Duration) {
        self.recording.observe(took.as_secs_f64());
    }

    /// The page `/metrics` with one look at the box.
    pub fn page(&self, vitals: &Vitals) -> String {
        let counted = self.text(vitals.camera_live);
        let mut out = counted.strip_suffix("# EOF\n").unwrap_or(&counted).to_owned();
        // Writing into a String cannot fail.
        let _ = encode(&mut out, &vitals::registry(vitals, self.started));
        out
    }

    /// The page `/metrics`, in the OpenMetrics text format; `live` tells whether frames come.
    pub fn text(&self, live: bool) -> String {
        self.camera_live.set(i64::from(live));
        self.age.set(self.newest_frame_age().map_or(f64::INFINITY, |age| age.as_secs_f64()));
        let mut out = String::new();
        // Writing into a String cannot fail.
        let _ = encode(&mut out, &self.registry);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_that_are_built_are_told_and_no_lane_is_stuck_meanwhile() {
        let telemetry = Telemetry::default();
        *telemetry.beat.lock() = Instant::now().checked_sub(STUCK_AFTER * 2).unwrap();
        assert!(!telemetry.lane_is_alive());
        telemetry.computes(Computing::Building { provider: "tensorrt", since: Instant::now() });
        *telemetry.beat.lock() = Instant::now().checked_sub(STUCK_AFTER * 2).unwrap();
        assert!(telemetry.lane_is_alive() && telemetry.text(true).contains("plategate_building_engines 1"));
        telemetry.computes(Computing::On { provider: "cuda", instead_of: None });
        let text = telemetry.text(true);
        assert!(text.contains("plategate_building_engines 0"), "{text}");
        assert!(text.contains(r#"plategate_provider{provider="cuda"} 1"#), "{text}");
    }

    #[test]
    fn what_was_counted_is_on_the_page() {
        let telemetry = Telemetry::default();
        telemetry.frame_read(Duration::from_millis(4), Instant::now());
        telemetry.decided(Outcome::Opened, Rule::Paid);
        telemetry.frame_was_still(Instant::now());
        let text = telemetry.text(true);
        assert!(text.contains("plategate_still_frames_total 1"), "{text}");
        assert_eq!((telemetry.frames(), telemetry.still_frames()), (2, 1));
        assert!(text.contains("plategate_frames_total 1"), "{text}");
        assert!(text.contains(r#"plategate_decisions_total{outcome="opened",rule="paid"} 1"#), "{text}");
        assert!(text.contains("plategate_frame_seconds_bucket"), "{text}");
        let vitals = Vitals { camera_live: true, presses: 3, store_bytes: 5 << 20, ..Vitals::default() };
        let text = telemetry.page(&vitals);
        assert!(text.contains("plategate_presses_total 3\n") && text.contains("plategate_camera_live 1\n"), "{text}");
        assert!(text.contains("plategate_store_size_bytes 5242880.0\n"), "{text}");
        assert_eq!((text.matches("# EOF").count(), text.ends_with("# EOF\n")), (1, true), "{text}");
    }
}
