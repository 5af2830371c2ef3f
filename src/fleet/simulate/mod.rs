//! Hundreds of gates in one process against a real broker: the sync of `plategate run`, word for word, with gates in memory.
//!
//! In: how many gates, cars and arrivals, and for how long the broker is away in the middle. Out: what was lost, what was shown
//! twice, whether all registers are the same afterwards, how long it took, and what it cost.

pub mod broker;
pub mod gate;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use parking_lot::Mutex;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use tokio::task::JoinHandle;

use super::identity::Identity;
use super::status::Status;
use super::sync::Link;
use super::wire::Stream;
use crate::plate::Plate;
use crate::register::Vehicle;
use broker::Broker;
use gate::{SimGate, World};

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Gates in all.
    pub gates: usize,
    /// Gates of one compound: they share a register, and hear each other's arrivals.
    pub per_compound: usize,
    /// Cars in all.
    pub cars: usize,
    /// Arrivals in all.
    pub events: u64,
    /// How long the broker is away in the middle.
    pub cut: Duration,
    /// A running broker without rights; none: one of our own is started, and killed for the cut.
    pub server: Option<String>,
    /// Draws the same gates, cars and conflicts again.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Gates.
    pub gates: usize,
    /// Compounds that they belong to.
    pub compounds: usize,
    /// Cars in all registers together.
    pub cars: usize,
    /// Arrivals that happened.
    pub events_sent: u64,
    /// Arrivals that every gate of their compound has shown.
    pub events_received: u64,
    /// The others.
    pub lost: u64,
    /// Arrivals that some gate has shown twice.
    pub duplicated: u64,
    /// Deliveries of the broker that were repetitions, and were not shown.
    pub repeated: u64,
    /// Seconds from the broker's return until everybody had everything.
    pub catch_up_s: f64,
    /// Are all registers of each compound the same?
    pub register_converged: bool,
    /// Two stewards' changes of one car, on gates that were cut off from each other.
    pub conflicts: usize,
    /// From a change at a gate until another one of its compound had it, while arrivals flood: milliseconds.
    pub change_ms: Percentiles,
    /// Until every gate had its compound's cars, at the start: seconds.
    pub first_sync_s: f64,
    /// Arrivals that the broker acknowledged in a second, in the flood before the cut.
    pub events_per_s: f64,
    /// Memory of this process for each gate, MB.
    pub rss_mb_per_gate: f64,
    /// Bytes that the broker keeps of an arrival.
    pub bytes_per_event: f64,
    /// Bytes that the broker keeps of a car.
    pub bytes_per_car: f64,
    /// All of it, seconds.
    pub took_s: f64,
}

/// Of measured times.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Percentiles {
    /// Half of them took no longer.
    pub p50: f32,
    /// Of a hundred one took longer.
    pub p99: f32,
    /// The longest.
    pub max: f32,
    /// How many.
    pub n: usize,
}

/// Told while it goes on: what is done, how much of how much.
pub type Progress<'a> = dyn Fn(&str, u64, u64) + 'a;

/// Nothing has moved for so long: it will not any more.
const STALLED: Duration = Duration::from_secs(180);
/// Changes whose way is timed: in the flood, and apart by this.
const TIMED: usize = 200;
const TIMED_EVERY: Duration = Duration::from_millis(25);
/// A timed change that takes longer is told as what it took.
const LONGEST_TIMED: Duration = Duration::from_secs(20);
/// Cars of each compound that two stewards change while they are cut off from each other.
const CONFLICTS: usize = 8;

/// Runs it.
pub fn run(plan: &Plan, progress: &Progress<'_>) -> anyhow::Result<Report> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let folder = TemporaryFolder::new()?;
    let mut own = match plan.server {
        Some(_) => None,
        None => {
            let program = broker::program()
                .context("nats-server is not installed: apt install nats-server, or name a broker with --server")?;
            Some(Broker::open(&program, &folder.0, 64 << 30)?)
        }
    };
    let url = plan.server.clone().or_else(|| own.as_ref().map(Broker::url)).unwrap_or_default();
    let report = runtime.block_on(async {
        let mut stage = Stage::build(plan, &url)?;
        stage.play(plan, own.as_mut(), progress).await
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    report
}

/// A folder that goes when the simulation ends.
struct TemporaryFolder(std::path::PathBuf);

impl TemporaryFolder {
    fn new() -> std::io::Result<TemporaryFolder> {
        let name = format!("plategate-fleet-{}-{:08x}", std::process::id(), rand::random::<u32>());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)?;
        Ok(TemporaryFolder(path))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // A leftover is in the temporary folder, where it goes at the next start.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Compound {
    name: String,
    cars: Arc<Vec<Plate>>,
    gates: Vec<Arc<SimGate>>,
}

/// Everything that plays.
struct Stage {
    compounds: Vec<Compound>,
    links: Vec<Arc<Link<SimGate>>>,
    running: Vec<JoinHandle<()>>,
    world: Arc<World>,
    url: String,
    rss_before: u64,
    random: ChaCha8Rng,
    /// Arrivals of timed changes that are to come.
    expected: usize,
}

impl Stage {
    fn build(plan: &Plan, url: &str) -> anyhow::Result<Stage> {
        let rss_before = rss()?;
        let world = Arc::new(World { begun: Instant::now(), latencies: Mutex::default() });
        let count = plan.gates.div_ceil(plan.per_compound);
        // A broker that others use, too, has their streams.
        let run = format!("{:06x}", rand::random::<u32>() & 0x00ff_ffff);
        let (mut compounds, mut links) = (Vec::new(), Vec::new());
        for n in 0..count {
            let name = format!("sim-{run}-{n}");
            let cars: Vec<Plate> = (n * plan.cars / count..(n + 1) * plan.cars / count).map(plate).collect();
            let cars = Arc::new(cars);
            let here = plan.per_compound.min(plan.gates - n * plan.per_compound);
            let gates: Vec<Arc<SimGate>> =
                (1..=here as u16).map(|number| Arc::new(SimGate::new(number, cars.clone(), world.clone()))).collect();
            for gate in &gates {
                let mut identity =
                    Identity::found(&name, &gate.gate, vec![url.to_owned()], None).map_err(anyhow::Error::msg)?;
                identity.number = gate.number;
                links.push(Arc::new(Link {
                    home: gate.clone(),
                    identity: Arc::new(identity),
                    status: Arc::<Status>::default(),
                    client: Arc::default(),
                    keep_days: 7,
                    authority: None,
                }));
            }
            compounds.push(Compound { name, cars, gates });
        }
        let random = ChaCha8Rng::seed_from_u64(plan.seed);
        Ok(Stage { compounds, links, running: Vec::new(), world, url: url.to_owned(), rss_before, random, expected: 0 })
    }

    fn gates(&self) -> impl Iterator<Item = &Arc<SimGate>> {
        self.compounds.iter().flat_map(|compound| &compound.gates)
    }

    fn connect(&mut self) {
        self.running = self.links.iter().map(|link| tokio::spawn(link.clone().run())).collect();
    }

    fn disconnect(&mut self) {
        self.running.drain(..).for_each(|task| task.abort());
        for link in &self.links {
            link.client.store(None);
        }
    }

    async fn play(
        &mut self,
        plan: &Plan,
        mut own: Option<&mut Broker>,
        progress: &Progress<'_>,
    ) -> anyhow::Result<Report> {
        let begun = Instant::now();
        self.connect();
        self.wait("connecting", progress, |stage| {
            let up = stage.links.iter().filter(|link| link.status.is_connected()).count() as u64;
            (up, stage.links.len() as u64)
        })
        .await?;
        let first_sync_s = self.import(progress).await?;
        let flood = Instant::now();
        self.happen(plan.events / 2);
        self.timed_changes(progress).await;
        // In the middle of the flood, where it is not over by now.
        let half = plan.events / 2;
        self.wait("arrivals before the cut", progress, |stage| (stage.acknowledged().min(half * 4 / 5), half * 4 / 5))
            .await?;
        let events_per_s = self.acknowledged() as f64 / flood.elapsed().as_secs_f64();
        match &mut own {
            Some(broker) => broker.cut(),
            None => self.disconnect(),
        }
        self.happen(plan.events - half);
        let conflicts = self.conflicts();
        self.sit_out(plan.cut, progress).await;
        match own {
            Some(broker) => broker.go_on()?,
            None => self.connect(),
        }
        let back = Instant::now();
        self.wait("catching up", progress, |stage| stage.done()).await?;
        let catch_up_s = back.elapsed().as_secs_f64();
        self.timed_changes(progress).await;
        self.wait("the last changes", progress, |stage| stage.done()).await?;
        let (bytes_per_event, bytes_per_car) = self.bytes().await?;
        Ok(self.report(plan, begun, |report| Report {
            first_sync_s,
            events_per_s,
            conflicts,
            catch_up_s,
            bytes_per_event,
            bytes_per_car,
            ..report
        }))
    }

    /// A steward of each compound brings the list of cars; gives how long it took until every gate had it.
    async fn import(&mut self, progress: &Progress<'_>) -> anyhow::Result<f64> {
        let begun = Instant::now();
        for compound in &self.compounds {
            let cars: Vec<Vehicle> = compound.cars.iter().map(|plate| Vehicle::new(*plate, "1-101")).collect();
            compound.gates[0].write("import", &cars);
        }
        self.wait("the first sync", progress, |stage| {
            let known = stage.gates().map(|gate| gate.known() as u64).sum();
            let all = stage.compounds.iter().map(|c| (c.cars.len() * c.gates.len()) as u64).sum();
            (known, all)
        })
        .await?;
        Ok(begun.elapsed().as_secs_f64())
    }

    /// So many cars more come to all gates together.
    fn happen(&self, events: u64) {
        let gates = self.links.len() as u64;
        for (n, gate) in (0..).zip(self.gates()) {
            let here = events / gates + u64::from(n < events % gates);
            gate.happened.fetch_add(here, Ordering::AcqRel);
        }
    }

    /// Stewards change cars here and there.
    async fn timed_changes(&mut self, progress: &Progress<'_>) {
        for n in 0..TIMED {
            progress("changes on their way", n as u64, TIMED as u64);
            let compound = &self.compounds[self.random.random_range(0..self.compounds.len())];
            if compound.cars.is_empty() {
                return;
            }
            let gate = self.random.random_range(0..compound.gates.len());
            let plate = compound.cars[self.random.random_range(0..compound.cars.len())];
            compound.gates[gate].write_timed(plate);
            self.expected += compound.gates.len() - 1;
            tokio::time::sleep(TIMED_EVERY).await;
        }
        // All of them arrive, or it is told: the broker is not to be cut off in the middle of what is timed.
        let begun = Instant::now();
        while self.world.latencies.lock().len() < self.expected && begun.elapsed() < LONGEST_TIMED {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Two stewards change the same cars at two gates that are cut off from each other.
    fn conflicts(&mut self) -> usize {
        let mut conflicts = 0;
        for compound in self.compounds.iter().filter(|c| c.gates.len() > 1 && !c.cars.is_empty()) {
            for _ in 0..CONFLICTS {
                let plate = compound.cars[self.random.random_range(0..compound.cars.len())];
                let one = self.random.random_range(0..compound.gates.len());
                let other = (one + self.random.random_range(1..compound.gates.len())) % compound.gates.len();
                let car = |note: &str, blocked| Vehicle { note: note.into(), blocked, ..Vehicle::new(plate, "1-101") };
                compound.gates[one].write("王芳", &[car("a", true)]);
                compound.gates[other].write("李强", &[car("b", false)]);
                conflicts += 1;
            }
        }
        conflicts
    }

    async fn sit_out(&self, cut: Duration, progress: &Progress<'_>) {
        let begun = Instant::now();
        while begun.elapsed() < cut {
            progress("cut off", begun.elapsed().as_secs(), cut.as_secs());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn acknowledged(&self) -> u64 {
        self.gates().map(|gate| gate.acknowledged()).sum()
    }

    /// How much of everything is everywhere.
    fn done(&self) -> (u64, u64) {
        let (mut done, mut all) = (0, 0);
        for (compound, links) in self.compounds.iter().zip(self.links_by_compound()) {
            let happened: u64 = compound.gates.iter().map(|gate| gate.happened.load(Ordering::Acquire)).sum();
            for (gate, link) in compound.gates.iter().zip(links) {
                let unsent = crate::fleet::home::Home::unsent_count(&*link.home) as u64;
                done += gate.shown().0 + gate.acknowledged();
                all += happened + gate.happened.load(Ordering::Acquire) + unsent;
            }
            let prints: Vec<(usize, u64)> =
                if done == all { compound.gates.iter().map(|g| g.fingerprint()).collect() } else { Vec::new() };
            all += u64::from(prints.windows(2).any(|pair| pair[0] != pair[1]));
        }
        (done, all)
    }

    fn links_by_compound(&self) -> impl Iterator<Item = &[Arc<Link<SimGate>>]> {
        let mut rest = self.links.as_slice();
        self.compounds.iter().map(move |compound| {
            let (here, others) = rest.split_at(compound.gates.len());
            rest = others;
            here
        })
    }

    /// Waits until all is done, or until nothing moves any more: the report tells then.
    async fn wait(
        &self,
        what: &str,
        progress: &Progress<'_>,
        measure: impl Fn(&Stage) -> (u64, u64),
    ) -> anyhow::Result<()> {
        let (mut last, mut moved) = ((0, 0), Instant::now());
        loop {
            let now = measure(self);
            progress(what, now.0, now.1);
            if now.0 >= now.1 {
                return Ok(());
            }
            if now != last {
                (last, moved) = (now, Instant::now());
            }
            if moved.elapsed() > STALLED {
                tracing::error!(what, done = now.0, of = now.1, "nothing moves any more");
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Bytes that the broker keeps of an arrival and of a car.
    async fn bytes(&self) -> anyhow::Result<(f64, f64)> {
        let client = async_nats::connect(&self.url).await?;
        let js = async_nats::jetstream::new(client);
        let mut sums = [(0u64, 0u64); 2];
        for compound in &self.compounds {
            for (sum, stream) in sums.iter_mut().zip([Stream::Events, Stream::Register]) {
                let name = stream.name(&compound.name);
                let state = js.get_stream(&name).await?.cached_info().state.clone();
                *sum = (sum.0 + state.bytes, sum.1 + state.messages);
                if js.delete_stream(&name).await.is_err() {
                    tracing::warn!(name, "a stream of the simulation stays at the broker");
                }
            }
            // Empty, but it is there.
            let _ = js.delete_stream(Stream::Book.name(&compound.name)).await;
        }
        let [events, cars] = sums.map(|(bytes, n)| bytes as f64 / n.max(1) as f64);
        Ok((events, cars))
    }

    fn report(&self, plan: &Plan, begun: Instant, fill: impl Fn(Report) -> Report) -> Report {
        let (mut received, mut duplicated, mut repeated, mut converged) = (0, 0, 0, true);
        for compound in &self.compounds {
            let shown: Vec<(u64, u64, u64)> = compound.gates.iter().map(|gate| gate.shown()).collect();
            received += shown.iter().map(|s| s.0).min().unwrap_or(0);
            duplicated += shown.iter().map(|s| s.1).sum::<u64>();
            repeated += shown.iter().map(|s| s.2 - s.0 - s.1).sum::<u64>();
            let prints: Vec<(usize, u64)> = compound.gates.iter().map(|gate| gate.fingerprint()).collect();
            converged &= prints.windows(2).all(|pair| pair[0] == pair[1]);
        }
        let grown = rss().unwrap_or(0).saturating_sub(self.rss_before);
        let round = |value: f64, places: i32| (value * 10f64.powi(places)).round() / 10f64.powi(places);
        let report = fill(Report {
            gates: self.links.len(),
            compounds: self.compounds.len(),
            cars: plan.cars,
            events_sent: plan.events,
            events_received: received,
            lost: plan.events - received.min(plan.events),
            duplicated,
            repeated,
            catch_up_s: 0.0,
            register_converged: converged,
            conflicts: 0,
            change_ms: percentiles(&self.world.latencies.lock()),
            first_sync_s: 0.0,
            events_per_s: 0.0,
            rss_mb_per_gate: round(grown as f64 / 1e6 / self.links.len() as f64, 3),
            bytes_per_event: 0.0,
            bytes_per_car: 0.0,
            took_s: begun.elapsed().as_secs_f64(),
        });
        Report {
            catch_up_s: round(report.catch_up_s, 2),
            first_sync_s: round(report.first_sync_s, 2),
            events_per_s: report.events_per_s.round(),
            bytes_per_event: round(report.bytes_per_event, 1),
            bytes_per_car: round(report.bytes_per_car, 1),
            took_s: round(report.took_s, 1),
            ..report
        }
    }
}

fn percentiles(values: &[f32]) -> Percentiles {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    let at = |share: f64| sorted.get(((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1)));
    let of = |share| at(share).copied().unwrap_or_default();
    Percentiles { p50: of(0.5), p99: of(0.99), max: of(1.0), n: sorted.len() }
}

/// A plate for each number.
fn plate(n: usize) -> Plate {
    const CITIES: &[u8] = b"FABCDEGHJKLMNPQRSTUVWXYZ";
    let city = CITIES[n / 100_000 % CITIES.len()] as char;
    format!("苏{city}{:05}", n % 100_000).parse().expect("a city and five digits are a plate")
}

/// Memory that this process has, bytes.
fn rss() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line =
        text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("/proc/self/status has another form")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_measured() {
        let values: Vec<f32> = (1..=100).map(|n| n as f32).collect();
        let told = percentiles(&values);
        assert_eq!((told.p50, told.p99, told.max, told.n), (51.0, 100.0, 100.0, 100));
        assert_eq!(percentiles(&[]).max, 0.0);
    }

    #[test]
    fn plates_differ() {
        let all: std::collections::HashSet<Plate> = (0..250_000).step_by(997).map(plate).collect();
        assert_eq!(all.len(), 251);
    }
}
