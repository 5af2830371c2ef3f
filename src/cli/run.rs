//! `plategate run`: the gate itself.
//!
//! Puts the rooms together, waits for a signal or the end of the frames, and takes them apart again: lane, relay,
//! recorder, page, in that order, in under two seconds.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::demo;
use super::eyes::{DrawnLane, Eyes};
use super::house::{self, House};
use super::recorder::Recorder;
use crate::barrier::{self, Barrier, Inputs, Pulse, Reason, SimulatedArm};
use crate::camera::{Camera, CameraState, Frame, Source, Watcher, rendered};
use crate::clock::SystemClock;
use crate::config::{Config, Output};
use crate::cores;
use crate::display::{self, Display};
use crate::fleet::disk::{self, Disk};
use crate::fleet::identity::Identity;
use crate::fleet::{Fleet, join, sync};
use crate::fleet::{mqtt, webhook};
use crate::gate::event::Event;
use crate::gate::inside::Inside;
use crate::gate::lane::{Button, Frames, Lane, Parts};
use crate::gate::liveness::Presence;
use crate::gate::mode::{Hand, Mode};
use crate::gate::viewfinder::Viewfinder;
use crate::register::Register;
use crate::store::Store;
use crate::store::events::Events;
use crate::store::notes::Notes;
use crate::store::signals::Signals;
use crate::telemetry::{Telemetry, log};
use crate::vision::lookout::Lookout;
use crate::watchdog::{Heart, Part, Watchdog};
use crate::web;
use crate::web::settings::Switches;

/// Run the gate: camera, reading, register, barrier and the stewards' page.
#[derive(clap::Args)]
pub struct Args {
    /// A painted lane, a simulated arm and an invented compound.
    #[arg(long)]
    demo: bool,
    /// With --demo: let a handful of cars come, and say whether each got the right answer (exit status 0 or 1).
    #[arg(long, requires = "demo")]
    once: bool,
    /// The data folder (default: the configured one; with --demo data/demo).
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The camera (default: the configured one), such as rtsp://host/path or v4l2:/dev/video0.
    #[arg(long, value_name = "SOURCE")]
    camera: Option<Source>,
    /// Address and port of the page.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

/// Arrivals that may wait for the recorder. Each holds a frame of six megabytes.
const QUEUE: usize = 16;
/// Events that are gone through at the start, to know who is inside.
const REPLAYED: usize = 5000;

/// Runs the command.
pub fn run(args: Args, mut config: Config) -> anyhow::Result<ExitCode> {
    log::start(&config.log);
    apply(&args, &mut config);
    let gate = Gate::start(&args, &config)?;
    let runtime = runtime()?;
    let page = &gate.page;
    let demo = args.demo.then(|| demo::sign_in(&page.accounts, &page.gate.register)).transpose()?;
    runtime.block_on(web::start(&gate.page, args.once, demo))?;
    let fleet = gate.fleet(&config)?;
    if let Some((link, disk)) = fleet {
        runtime.spawn(link.run());
        runtime.spawn(disk::watch_roster(disk));
    }
    runtime.block_on(gate.wait());
    let stopped = gate.stop();
    runtime.shutdown_timeout(Duration::from_millis(300));
    let events = stopped?;
    if args.once { Ok(demo::judge(&events)) } else { Ok(ExitCode::SUCCESS) }
}

/// What the page, the other gates and the houses' engines run on. Where the lane wants the core, they wait.
pub(super) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .on_thread_start(|| {
            // Only this thread's: that is what Linux does, whatever POSIX says. Without it all is as before.
            let _ = rustix::process::nice(BEHIND_THE_LANE);
        })
        .build()
}

/// How far those threads stand back.
const BEHIND_THE_LANE: i32 = 5;

fn apply(args: &Args, config: &mut Config) {
    if args.demo {
        config.camera.source = Source::Rendered;
        config.barrier.output = Output::Simulated;
        config.barrier.min_gap_ms = config.barrier.min_gap_ms.min(1000).max(config.barrier.pulse_ms);
        config.data.folder = if args.once { demo::fresh_folder() } else { PathBuf::from("data/demo") };
    }
    if let Some(folder) = &args.data {
        config.data.folder = folder.clone();
    }
    if let Some(source) = &args.camera {
        config.camera.source = source.clone();
    }
    if let Some(listen) = args.listen {
        config.web.listen = listen;
    }
}

/// Everything that runs.
struct Gate {
    stop: Arc<AtomicBool>,
    lane: std::thread::JoinHandle<anyhow::Result<()>>,
    recorder: std::thread::JoinHandle<Vec<Event>>,
    barrier: Arc<Barrier>,
    readers: barrier::Readers,
    watchdog: Watchdog,
    page: Arc<web::Site>,
    house: House,
    inside: Inside,
}

impl Gate {
    fn start(args: &Args, config: &Config) -> anyhow::Result<Gate> {
        let store = Arc::new(Store::open_for_gate(&config.data.folder)?);
        let register = Arc::new(Register::open(store.clone())?);
        let events = Arc::new(Events::open(store.clone())?);
        let notes = Arc::new(Notes::open(store.clone())?);
        let signals = Arc::new(Signals::open(store.clone())?);
        if args.demo && register.snapshot().vehicles().is_empty() {
            crate::register::demo::load(&register)?;
        }
        tracing::info!(cars = register.snapshot().vehicles().len(), arrivals = events.newest_number(), "register open");
        let switches = Arc::new(Switches::open(store.clone())?);
        let eyes = Eyes::open(config)?;
        let mut identity = Identity::load(store.folder())?;
        if let (Some(identity), false) = (&mut identity, config.fleet.servers.is_empty()) {
            identity.servers.clone_from(&config.fleet.servers);
        }
        let fleet = identity.map(|identity| Arc::new(Fleet::new(identity)));
        let simulated = SimulatedArm::staying_up(Duration::from_secs(6));
        let (barrier, readers) = barrier::start(config, &simulated)?;
        let barrier = Arc::new(barrier);
        let arm_up: rendered::ArmUp = Arc::new(move || simulated.is_up());
        let camera = Camera::start(&config.camera, demo::script(args.once, &register, arm_up));
        let watcher = camera.watcher();
        tracing::info!(camera = watcher.describe(), "camera started");
        let (hand, inside) = (Hand::default(), Inside::default());
        let mut journal_so_far = events.newest(REPLAYED, None)?;
        journal_so_far.reverse();
        inside.replay(&journal_so_far, config.gate.direction);
        let (viewfinder, telemetry) = (Arc::<Viewfinder>::default(), Arc::<Telemetry>::default());

        let (sender, arrivals) = crossbeam_channel::bounded(QUEUE);
        let snapshots = register.clone();
        let stop = Arc::new(AtomicBool::new(false));
        let lane = {
            let (config, stop, telemetry, inside) = (config.clone(), stop.clone(), telemetry.clone(), inside.clone());
            let (switches, button, hand, viewfinder) =
                (switches.clone(), barrier.clone(), hand.clone(), viewfinder.clone());
            move || -> anyhow::Result<()> {
                cores::settle(&config.runtime).iter().for_each(|refused| tracing::warn!("{refused}"));
                let vision = eyes.load(&config.vision, &telemetry)?;
                let parts = Parts {
                    frames: Box::new(camera),
                    lookout: Lookout::new(&config.vision),
                    sight: Box::new(DrawnLane { vision, switches, configured: config.vision.lane }),
                    register: Box::new(move || snapshots.snapshot()),
                    presence: Box::new(Loop(button.inputs())),
                    button: Box::new(button),
                    clock: Box::new(SystemClock),
                    hand,
                    inside,
                    arrivals: sender,
                    viewfinder,
                    telemetry,
                    rules: config.gate,
                    schedule: config.schedule,
                    photo_check: config.photo_check,
                };
                Lane::new(parts).run(&stop);
                Ok(())
            }
        };
        let lane = std::thread::Builder::new().name("lane".into()).spawn(lane)?;
        let heart = Heart::default();
        let recorder = Recorder {
            arrivals,
            noted: barrier.listen(),
            events: events.clone(),
            register: register.clone(),
            notes: notes.clone(),
            inputs: barrier.inputs(),
            display: display::sign(&config.display).map(|sign| Display::start(sign, &config.display)),
            heart: heart.clone(),
            telemetry: telemetry.clone(),
            print: args.demo,
            keep: args.once,
        };
        let recorder = std::thread::Builder::new().name("recorder".into()).spawn(move || recorder.run())?;
        let watchdog = watch(config, &watcher, &telemetry, &barrier, heart)?;
        web::hand::restore(&switches, &hand, &barrier);
        let rounds = house::back_up(&store, config, stop.clone())?;
        let (config, barrier_too) = (config.clone(), barrier.clone());
        let page = web::Parts {
            hand,
            watcher,
            barrier: barrier_too,
            register,
            events,
            notes,
            signals,
            board: webhook::Board::default(),
            link: mqtt::Link::default(),
            viewfinder,
            telemetry,
            store,
            rounds,
            switches,
            fleet,
            config,
        };
        let page = Arc::new(web::Site::open(page)?);
        let house = House::start(&page)?;
        Ok(Gate { stop, lane, recorder, barrier, readers, watchdog, page, house, inside })
    }

    /// The way to the other gates; none where this one belongs to no fleet, and no connection is tried.
    fn fleet(&self, config: &Config) -> anyhow::Result<Option<FleetLink>> {
        let Some(fleet) = &self.page.gate.fleet else { return Ok(None) };
        let page = &self.page.gate;
        let parts = disk::Parts {
            store: page.store.clone(),
            register: page.register.clone(),
            events: page.events.clone(),
            gates: fleet.gates.clone(),
            inside: self.inside.clone(),
            direction: config.gate.direction,
            hands: self.page.clone(),
        };
        let home = Arc::new(Disk::open(parts, fleet.identity.clone())?);
        let link = sync::Link {
            home: home.clone(),
            identity: fleet.identity.clone(),
            status: fleet.status.clone(),
            client: fleet.client(),
            keep_days: config.fleet.keep_events_days,
            authority: join::authority_file(page.store.folder(), fleet.identity.authority.as_deref())?,
        };
        Ok(Some((Arc::new(link), home)))
    }

    /// Until a signal comes, or the lane has nothing more to do.
    async fn wait(&self) {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut term), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            tracing::error!("signals cannot be caught: stop with kill -9");
            return std::future::pending().await;
        };
        let mut tick = tokio::time::interval(Duration::from_millis(250));
        // The gate serves its page from here on, with or without a camera; /readyz tells whether frames come.
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        let mut mode = Mode::Normal;
        loop {
            tokio::select! {
                _ = term.recv() => return,
                _ = interrupt.recv() => return,
                _ = tick.tick() => {
                    if self.lane.is_finished() {
                        return;
                    }
                    mode = self.carry_mode(mode);
                }
            }
        }
    }

    /// Asks of the barrier what the schedule, or a hand's time running out, asks of the gate; gives the mode there is now.
    fn carry_mode(&self, before: Mode) -> Mode {
        let (hand, schedule) = (&self.page.gate.hand, &self.page.gate.config.schedule);
        let now = jiff::Zoned::now();
        let mode = hand.mode(&now, schedule);
        // What a hand sets is carried by whoever sets it, with the person's name.
        if mode != before && hand.get(now.timestamp()).is_none() {
            self.barrier.set_mode(mode.into(), Reason::schedule());
        }
        mode
    }

    /// Takes everything apart; gives what was recorded, if that was to be kept, or what the lane ended with.
    fn stop(self) -> anyhow::Result<Vec<Event>> {
        let begun = Instant::now();
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
        self.stop.store(true, Ordering::Relaxed);
        self.barrier.stop();
        self.house.stop();
        drop(self.readers);
        // The lane owns the camera, which stops with it, and the sending end of the recorder's channel: when it has ended,
        // the recorder writes the rest.
        let lane = self.lane.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the lane panicked")));
        let events = self.recorder.join().unwrap_or_else(|_| {
            tracing::error!("the recorder panicked");
            Vec::new()
        });
        // Last: what hangs while it stops is started anew as well.
        self.watchdog.stop();
        tracing::info!(ms = begun.elapsed().as_millis() as u64, "stopped");
        lane.map(|()| events)
    }
}

/// The way to the other gates, and what it finds here.
type FleetLink = (Arc<sync::Link<Disk>>, Arc<Disk>);

/// A store that has not answered for so long hangs.
const STORE_HANGS_AFTER: Duration = Duration::from_secs(30);

/// What must be alive for the watchdog to be fed. A camera that is away is no reason to start anew: it is opened again and
/// again, and the page tells.
fn watch(
    config: &Config,
    watcher: &Watcher,
    telemetry: &Arc<Telemetry>,
    barrier: &Arc<Barrier>,
    store: Heart,
) -> anyhow::Result<Watchdog> {
    let (watcher, telemetry, barrier) = (watcher.clone(), telemetry.clone(), barrier.clone());
    let parts: Vec<Part> = vec![
        ("camera", Box::new(move || watcher.is_tended())),
        ("lane", Box::new(move || telemetry.lane_is_alive())),
        ("barrier", Box::new(move || barrier.is_alive())),
        ("store", Box::new(move || store.beat_within(STORE_HANGS_AFTER))),
    ];
    Ok(Watchdog::start(&config.watchdog, parts)?)
}

impl Frames for Camera {
    fn next(&mut self, frame: &mut Option<Frame>, timeout: Duration) -> bool {
        Camera::next(self, frame, timeout)
    }

    fn ended(&self) -> bool {
        self.state() == CameraState::Ended
    }
}

/// The loop before the arm, for the lane.
struct Loop(Inputs);

impl Presence for Loop {
    fn is_on(&self) -> Option<bool> {
        self.0.approach().presence.known()
    }
}

impl Button for Arc<Barrier> {
    fn press(&self, service: bool) -> Pulse {
        self.open(if service { Reason::service() } else { Reason::car() })
    }
}
