//! What plays: the gates, their ways to the broker, the cars that come, the stewards that write, and the cut.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::task::JoinHandle;

use super::broker::Broker;
use super::gate::{SimGate, World};
use super::report::{Report, rss};
use super::{Plan, Progress};
use crate::fleet::home::Home;
use crate::fleet::identity::Identity;
use crate::fleet::status::Status;
use crate::fleet::sync::Link;
use crate::plate::Plate;
use crate::register::Vehicle;

/// Nothing has moved for so long: it will not any more.
const STALLED: Duration = Duration::from_secs(180);
/// Changes whose way is timed: in the flood, and apart by this.
const TIMED: usize = 200;
const TIMED_EVERY: Duration = Duration::from_millis(25);
/// A timed change that takes longer is told as what it took.
const LONGEST_TIMED: Duration = Duration::from_secs(20);
/// Cars of each compound that two stewards change while they are cut off from each other.
const CONFLICTS: usize = 8;

pub(super) struct Compound {
    pub(super) name: String,
    cars: Arc<Vec<Plate>>,
    pub(super) gates: Vec<Arc<SimGate>>,
}

/// Everything that plays.
pub(super) struct Stage {
    pub(super) compounds: Vec<Compound>,
    pub(super) links: Vec<Arc<Link<SimGate>>>,
    running: Vec<JoinHandle<()>>,
    pub(super) world: Arc<World>,
    pub(super) url: String,
    pub(super) rss_before: u64,
    random: ChaCha8Rng,
    /// Cars that come to all gates together.
    events: u64,
    /// Arrivals of timed changes that are to come.
    expected: usize,
}

impl Stage {
    pub(super) fn build(plan: &Plan, url: &str) -> anyhow::Result<Stage> {
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
        Ok(Stage {
            compounds,
            links,
            running: Vec::new(),
            world,
            url: url.to_owned(),
            rss_before,
            random,
            events: plan.events,
            expected: 0,
        })
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

    /// All of it, from the first connection to the report.
    pub(super) async fn play(
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
        let coming = Instant::now();
        let cars = self.cars_come(plan.per_second);
        self.timed_changes(progress).await;
        // Some have come that the broker has not been told of: it goes in the middle.
        let before = plan.events * 2 / 5;
        self.wait("arrivals before the cut", progress, |stage| (stage.acknowledged().min(before), before)).await?;
        let events_per_s = self.acknowledged() as f64 / coming.elapsed().as_secs_f64();
        match &mut own {
            Some(broker) => broker.cut(),
            None => self.disconnect(),
        }
        let conflicts = self.conflicts();
        self.sit_out(plan.cut, progress).await;
        match &mut own {
            Some(broker) => broker.go_on()?,
            None => self.connect(),
        }
        let (back, missed) = (Instant::now(), self.happened());
        self.wait("catching up", progress, |stage| stage.caught_up(&missed)).await?;
        let catch_up_s = back.elapsed().as_secs_f64();
        self.timed_changes(progress).await;
        self.wait("the last arrivals", progress, |stage| stage.done()).await?;
        cars.abort();
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

    /// Lets cars come to all gates, one after the other, so many in a second.
    fn cars_come(&self, per_second: u64) -> JoinHandle<()> {
        let (gates, events): (Vec<Arc<SimGate>>, u64) = (self.gates().cloned().collect(), self.events);
        tokio::spawn(async move {
            let (begun, mut come) = (Instant::now(), 0);
            while come < events {
                let due = match per_second {
                    0 => events,
                    n => events.min((begun.elapsed().as_secs_f64() * n as f64) as u64),
                };
                for n in come..due {
                    gates[n as usize % gates.len()].happened.fetch_add(1, Ordering::AcqRel);
                }
                come = due;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
    }

    /// Arrivals so far at each gate.
    fn happened(&self) -> Vec<u64> {
        self.gates().map(|gate| gate.happened.load(Ordering::Acquire)).collect()
    }

    /// Of what had come at each gate by some moment: how much of it is told and heard everywhere.
    fn caught_up(&self, had: &[u64]) -> (u64, u64) {
        let (mut done, mut all, mut rest) = (0, 0, had);
        for (compound, links) in self.compounds.iter().zip(self.links_by_compound()) {
            let (here, others) = rest.split_at(compound.gates.len());
            rest = others;
            let of_all = here.iter().sum::<u64>();
            for ((gate, link), own) in compound.gates.iter().zip(links).zip(here) {
                done += gate.shown().0.min(of_all) + gate.acknowledged().min(*own);
                all += of_all + own + link.home.unsent_count() as u64;
            }
        }
        (done, all)
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
        // What has not come yet is to be told, and to be heard.
        let mut all = 2 * (self.events - self.happened().iter().sum::<u64>());
        let mut done = 0;
        for (compound, links) in self.compounds.iter().zip(self.links_by_compound()) {
            let happened: u64 = compound.gates.iter().map(|gate| gate.happened.load(Ordering::Acquire)).sum();
            for (gate, link) in compound.gates.iter().zip(links) {
                let unsent = link.home.unsent_count() as u64;
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
}
/// A plate for each number.
fn plate(n: usize) -> Plate {
    const CITIES: &[u8] = b"FABCDEGHJKLMNPQRSTUVWXYZ";
    let city = CITIES[n / 100_000 % CITIES.len()] as char;
    format!("苏{city}{:05}", n % 100_000).parse().expect("a city and five digits are a plate")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plates_differ() {
        let all: std::collections::HashSet<Plate> = (0..250_000).step_by(997).map(plate).collect();
        assert_eq!(all.len(), 251);
    }
}
