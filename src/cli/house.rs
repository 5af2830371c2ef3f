//! What runs around the gate and is no part of letting cars in: the lookout, webhooks, the house's broker, the backups.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::config::Config;
use crate::fleet::happening::Logs;
use crate::fleet::lookout;
use crate::fleet::mqtt::{self, Mqtt};
use crate::fleet::webhook::{self, Webhooks};
use crate::store::Store;
use crate::store::rounds::Rounds;
use crate::web;

/// The house around the gate: whoever is told what happens there, and may ask for something.
pub(super) struct House {
    lookout: lookout::Lookout,
    webhooks: Webhooks,
    mqtt: Option<Mqtt>,
}

impl House {
    /// Starts them.
    pub(super) fn start(page: &Arc<web::Site>) -> anyhow::Result<House> {
        let gate = &page.gate;
        let (events, notes, signals) = (gate.events.clone(), gate.notes.clone(), gate.signals.clone());
        let logs = Logs { events, notes, signals: signals.clone() };
        let (name, telemetry) = (gate.config.gate.name.clone(), gate.telemetry.clone());
        let (store, board) = (gate.store.clone(), gate.board.clone());
        let parts = webhook::Parts { store, logs: logs.clone(), telemetry, board, gate: name.clone() };
        let webhooks = Webhooks::start(&gate.config.webhook, &parts)?;
        let (watcher, barrier, telemetry) = (gate.watcher.clone(), gate.barrier.clone(), gate.telemetry.clone());
        let config = gate.config.clone();
        let view = mqtt::View {
            barrier: barrier.clone(),
            watcher: watcher.clone(),
            telemetry: telemetry.clone(),
            logs,
            health: Arc::new(move || super::doctor::ailments(&config)),
        };
        let mqtt = Mqtt::start(mqtt::Parts {
            settings: gate.config.mqtt.clone(),
            gate: name,
            view,
            commands: Arc::new(web::by_hand::Hands(page.clone())),
            store: gate.store.clone(),
            link: gate.link.clone(),
        })?;
        // Last: its first signal is for those who have just been started.
        let lookout = lookout::Lookout::start(lookout::Parts { watcher, barrier, telemetry, signals });
        Ok(House { lookout, webhooks, mqtt })
    }

    /// Stops them.
    pub(super) fn stop(self) {
        self.lookout.stop();
        self.webhooks.stop();
        if let Some(mqtt) = self.mqtt {
            mqtt.stop();
        }
    }
}

/// Looks whether a backup is due, every so often.
const LOOK_FOR_BACKUPS: Duration = Duration::from_secs(30);

/// The thread that makes backups. It is not waited for at the end: what it has half-written goes with the next one.
pub(super) fn back_up(store: &Arc<Store>, config: &Config, stop: Arc<AtomicBool>) -> anyhow::Result<Arc<Rounds>> {
    let rounds = Arc::new(Rounds::new(store.clone(), config));
    if config.backup.folder.is_some() {
        let theirs = Arc::downgrade(&rounds);
        std::thread::Builder::new().name("backup".into()).spawn(move || {
            while !stop.load(Ordering::Relaxed)
                && let Some(rounds) = theirs.upgrade()
            {
                rounds.look(jiff::Timestamp::now());
                std::thread::park_timeout(LOOK_FOR_BACKUPS);
            }
        })?;
    }
    Ok(rounds)
}
