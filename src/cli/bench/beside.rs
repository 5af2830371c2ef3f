//! The lane beside the other gates: from the frame to the relay with the broker there, gone, and flooding, turn by turn in one run.
//!
//! Everything but the arm is as `plategate run` has it: the gate's own store, register and record of arrivals, and the sync with
//! Debian's nats-server on this machine. The flood is another gate's: its arrivals come as fast as is asked for, and are heard
//! and looked through here. Broker and flood take their share of the same cores, which on a real box they do not.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::Sender;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::harness::Harness;
use super::stages::{Samples, Stage};
use crate::config::Direction;
use crate::fleet::disk::{Disk, Hands, Parts};
use crate::fleet::identity::Identity;
use crate::fleet::simulate::TemporaryFolder;
use crate::fleet::simulate::broker::{self, Broker};
use crate::fleet::sync::{self, Link};
use crate::fleet::wire::{self, Upward};
use crate::fleet::{Fleet, status::Status};
use crate::gate::event::{Arrival, Event};
use crate::gate::inside::Inside;
use crate::picture::Picture;
use crate::register::Register;
use crate::store::Store;
use crate::store::events::Events;

/// How often the states change.
const TURNS: u32 = 5;
/// How long the way to the broker may take to come up again.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the broker may keep.
const MOST_BYTES: u64 = 4 << 30;

/// From a frame's capture to the relay's edge in each state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Beside {
    /// No broker configured: nothing of the sync runs.
    pub alone: Option<Stage>,
    /// The broker is there, and is told of each arrival.
    pub up: Option<Stage>,
    /// It was killed; it is tried again and again.
    pub down: Option<Stage>,
    /// Another gate's arrivals come in a flood.
    pub flood: Option<Stage>,
    /// How many came in a second.
    pub flood_per_s: f64,
    /// Arrivals of this gate that the broker was told of.
    pub told: u64,
}

/// Lets cars come in each state by turns, `rounds` in each, with a flood of so many arrivals a second.
pub fn measure(harness: &mut Harness, picture: &Picture, rounds: u32, flood: u32) -> anyhow::Result<Beside> {
    let program = broker::program().context("nats-server is not installed: apt install nats-server")?;
    let folder = TemporaryFolder::new()?;
    let mut broker = Broker::open(&program, folder.path(), MOST_BYTES)?;
    let gate = Gate::open(&folder.path().join("gate"), &broker.url(), picture)?;
    let [mut alone, mut up, mut down, mut flooded] = std::array::from_fn(|_| Samples::default());
    let each = rounds.div_ceil(TURNS);
    let mut come = |samples: &mut Samples| {
        for _ in 0..each {
            harness.arrival(picture, samples);
            gate.came();
        }
    };
    let (mut floods, mut flooding) = (0, Duration::ZERO);
    for _ in 0..TURNS {
        come(&mut alone);
        let link = gate.connect()?;
        come(&mut up);
        let (flood, begun) = (Flood::start(&gate, flood)?, Instant::now());
        come(&mut flooded);
        flooding += begun.elapsed();
        floods += flood.stop();
        broker.cut();
        come(&mut down);
        broker.go_on()?;
        link.abort();
    }
    Ok(Beside {
        alone: alone.pulse.summary(),
        up: up.pulse.summary(),
        down: down.pulse.summary(),
        flood: flooded.pulse.summary(),
        flood_per_s: (floods as f64 / flooding.as_secs_f64().max(1e-9)).round(),
        told: gate.link.status.events_told.load(Ordering::Relaxed),
    })
}

/// This gate, without a lane: the harness has that.
struct Gate {
    link: Arc<Link<Disk>>,
    runtime: tokio::runtime::Runtime,
    /// To the thread that writes arrivals down.
    record: Sender<()>,
}

impl Gate {
    fn open(data: &Path, url: &str, picture: &Picture) -> anyhow::Result<Gate> {
        std::fs::create_dir_all(data)?;
        let store = Arc::new(Store::open(data)?);
        let register = Arc::new(Register::open(store.clone())?);
        let events = Arc::new(Events::open(store.clone())?);
        let identity = Identity::found("bench", "lane", vec![url.to_owned()], None).map_err(anyhow::Error::msg)?;
        let fleet = Fleet::new(identity);
        let parts = Parts {
            store,
            register,
            events: events.clone(),
            gates: fleet.gates.clone(),
            inside: Inside::default(),
            direction: Direction::In,
            hands: Arc::new(Bound),
        };
        let link = Link {
            home: Arc::new(Disk::open(parts, fleet.identity.clone())?),
            identity: fleet.identity.clone(),
            status: Arc::<Status>::default(),
            client: fleet.client(),
            keep_days: 1,
            authority: None,
        };
        let (record, records) = crossbeam_channel::unbounded();
        let picture = picture.clone();
        std::thread::Builder::new().name("recorder".into()).spawn(move || {
            for () in records {
                let event = Event::blank("lane", Timestamp::now());
                if let Err(error) = events.append(Arrival { event, picture: picture.clone() }) {
                    tracing::error!(%error, "an arrival could not be written down");
                }
            }
        })?;
        Ok(Gate { link: Arc::new(link), runtime: crate::cli::run::runtime()?, record })
    }

    /// A car came: it is written down with its picture, beside the lane.
    fn came(&self) {
        // The thread lives as long as this does.
        let _ = self.record.send(());
    }

    /// Connects, as `plategate run` does.
    fn connect(&self) -> anyhow::Result<tokio::task::JoinHandle<()>> {
        let (link, begun) = (self.runtime.spawn(self.link.clone().run()), Instant::now());
        while self.link.client.load().is_none() {
            anyhow::ensure!(
                begun.elapsed() < PATIENCE,
                "the broker is not reached: {:?}",
                self.link.status.connection()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(link)
    }
}

/// Another gate of the compound, which does not stop telling.
struct Flood {
    stop: Arc<AtomicBool>,
    told: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<()>,
}

impl Flood {
    fn start(gate: &Gate, per_second: u32) -> anyhow::Result<Flood> {
        let url = gate.link.identity.servers.clone();
        let identity = Identity::found("bench", "other", url, None).map_err(anyhow::Error::msg)?;
        let (stop, told) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (ends, counts) = (stop.clone(), told.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("flood".into()).spawn(move || {
            if let Err(error) = runtime.block_on(flood(&identity, per_second, &ends, &counts)) {
                tracing::error!(%error, "the flood has ended early");
            }
        })?;
        Ok(Flood { stop, told, thread })
    }

    /// Ends it; gives how many arrivals came.
    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Release);
        let _ = self.thread.join();
        self.told.load(Ordering::Acquire)
    }
}

/// Messages between two looks at the clock.
const HANDFUL: u32 = 20;

async fn flood(identity: &Identity, per_second: u32, stop: &AtomicBool, told: &AtomicU64) -> anyhow::Result<()> {
    let client = sync::connect(identity, None, Arc::default()).await?;
    let subject = wire::events(&identity.compound, &identity.gate);
    let (epoch, begun) = (rand::random::<u32>(), Instant::now());
    while !stop.load(Ordering::Acquire) {
        for _ in 0..HANDFUL {
            let id = told.fetch_add(1, Ordering::AcqRel) + 1;
            let event = Event { id, ..Event::blank("other", Timestamp::now()) };
            let body = serde_json::to_vec(&Upward::of(&event, 2, epoch, &identity.gate, None))?;
            client.publish(subject.clone(), body.into()).await?;
        }
        client.flush().await?;
        let due = Duration::from_secs_f64(told.load(Ordering::Acquire) as f64 / f64::from(per_second));
        tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
    }
    Ok(())
}

/// A bench moves nothing and shows nobody a picture.
struct Bound;

const REFUSED: &str = "a bench does nothing that it is told from elsewhere";

impl Hands for Bound {
    fn open(&self, _: &str, _: &str) -> Result<String, String> {
        Err(REFUSED.into())
    }

    fn hold_open(&self, _: &str, _: Option<Timestamp>) -> Result<String, String> {
        Err(REFUSED.into())
    }

    fn normal(&self, _: &str) -> Result<String, String> {
        Err(REFUSED.into())
    }

    fn picture(&self, _: u64, _: &str) -> Result<Vec<u8>, String> {
        Err(REFUSED.into())
    }

    fn note(&self, _: &str, _: &str, _: &str, _: &str) {}

    fn how_it_is(&self) -> (bool, String, String) {
        (true, "normal".into(), String::new())
    }
}

impl Beside {
    /// In words.
    pub fn line(&self) -> String {
        let states = [("alone", &self.alone), ("broker up", &self.up), ("down", &self.down), ("flooding", &self.flood)];
        let of = |(name, stage): (&str, &Option<Stage>)| match stage {
            Some(s) => format!("{name} {:.1} / {:.1} ms", s.p50_ms, s.p99_ms),
            None => format!("{name} nothing opened"),
        };
        format!(
            "frame to relay, p50 / p99: {}; the flood {} arrivals a second",
            states.map(of).join(", "),
            self.flood_per_s
        )
    }
}
