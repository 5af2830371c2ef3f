//! What the pages look at and act on: handles to the running gate, the people, and the page's own settings.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::arrivals::Corrections;
use super::cars::Pending;
use super::forgetting::Forgetting;
use super::settings::Switches;
use super::sign_in::Door;
use super::visitors::Digits;
use crate::accounts::Accounts;
use crate::barrier::Barrier;
use crate::camera::{CameraState, Watcher};
use crate::config::Config;
use crate::fleet::{Fleet, mqtt, webhook};
use crate::gate::mode::Hand;
use crate::gate::viewfinder::Viewfinder;
use crate::register::Register;
use crate::store::events::Events;
use crate::store::notes::Notes;
use crate::store::rounds::Rounds;
use crate::store::signals::Signals;
use crate::store::{Store, StoreError};
use crate::telemetry::{Telemetry, Vitals};

/// The running gate, as far as the pages need it.
pub struct Parts {
    /// The mode that stewards set by hand: held open, closed, or by the rules.
    pub hand: Hand,
    /// The camera's state.
    pub watcher: Watcher,
    /// The barrier.
    pub barrier: Arc<Barrier>,
    /// The register.
    pub register: Arc<Register>,
    /// The journal.
    pub events: Arc<Events>,
    /// The barrier's notes.
    pub notes: Arc<Notes>,
    /// What happened to the box itself.
    pub signals: Arc<Signals>,
    /// How the webhooks' receivers are doing.
    pub board: webhook::Board,
    /// How the house's broker is doing.
    pub link: mqtt::Link,
    /// What the lane sees.
    pub viewfinder: Arc<Viewfinder>,
    /// Counters.
    pub telemetry: Arc<Telemetry>,
    /// The data folder.
    pub store: Arc<Store>,
    /// The backups that the box makes by itself.
    pub rounds: Arc<Rounds>,
    /// What is switched on the page.
    pub switches: Arc<Switches>,
    /// The other gates, where this one belongs to a fleet.
    pub fleet: Option<Arc<Fleet>>,
    /// As the gate was started.
    pub config: Config,
}

/// Everything that a handler may reach.
pub struct Site {
    /// The running gate.
    pub gate: Parts,
    /// Who may sign in, and what they did.
    pub accounts: Arc<Accounts>,
    /// What can be switched on the page.
    pub switches: Arc<Switches>,
    pub(super) door: Door,
    /// Held while the register is changed, so that a check and the change that it allows are one.
    pub(super) register_lock: Mutex<()>,
    pub(super) pending: Pending,
    pub(super) corrections: Corrections,
    pub(super) digits: Digits,
    pub(super) forgetting: Forgetting,
}

/// A gate whose newest frame is older than this is not ready.
const FRESH: Duration = Duration::from_secs(5);

impl Site {
    /// Opens what the pages keep for themselves.
    pub fn open(gate: Parts) -> Result<Site, StoreError> {
        let accounts = Arc::new(Accounts::open(gate.store.clone())?);
        let door = Door::new(&gate.config.web, accounts.is_empty());
        let (corrections, digits) = (Corrections::open(gate.store.clone())?, Digits::open(gate.store.clone())?);
        Ok(Site {
            accounts,
            switches: gate.switches.clone(),
            door,
            register_lock: Mutex::default(),
            pending: Pending::default(),
            corrections,
            digits,
            forgetting: Forgetting::default(),
            gate,
        })
    }

    /// The one-time code for the first sign-in; none once somebody is let in.
    pub fn setup_code(&self) -> Option<String> {
        self.door.setup_code().filter(|_| self.accounts.is_empty())
    }

    /// Do frames come?
    pub fn is_live(&self) -> bool {
        matches!(self.gate.watcher.state(), CameraState::Live { .. })
    }

    /// One look at the box, for `/metrics`.
    pub fn vitals(&self) -> Vitals {
        let (gate, state, barrier) = (&self.gate, self.gate.rounds.state(), self.gate.barrier.state());
        let run = self.forgetting.last();
        let free = rustix::fs::statvfs(gate.store.folder()).map_or(0, |s| s.f_bavail.saturating_mul(s.f_frsize));
        Vitals {
            camera_live: self.is_live(),
            camera_fps: gate.watcher.fps().unwrap_or_default(),
            camera_losses: gate.watcher.losses(),
            presses: barrier.presses,
            failed_presses: barrier.failures,
            stuck: barrier.stuck,
            cars: gate.register.snapshot().vehicles().len() as u64,
            arrivals: gate.events.newest_number(),
            put_right: gate.store.told().len() as u64,
            store_sick: gate.store.is_broken() || gate.store.is_frozen(),
            store_bytes: gate.store.size(),
            pictures_bytes: gate.events.pictures_bytes(),
            disk_free_bytes: free,
            last_backup: state.last_good.map(|good| good.at),
            backup_trouble: state.trouble.is_some(),
            last_retention: run.map(|run| run.at),
            thinned: run.map_or(0, |run| run.thinned.pictures as u64),
            lane_alive: gate.telemetry.lane_is_alive(),
        }
    }

    /// Do frames come, and does the lane read them?
    pub fn is_ready(&self) -> bool {
        self.is_live() && self.gate.telemetry.newest_frame_age().is_some_and(|age| age < FRESH)
    }
}
