//! What is switched on the page and stays so: kept beside the register, in memory for whoever asks.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::gate::mode::ByHand;
use crate::store::{Batch, Store, StoreError, Tree};

/// The switches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// Every neighbour may look at the sunshine board without sign-in.
    pub board: bool,
    /// The lane in the picture, drawn on the page: left, top, width, height as shares 0..1. It goes before the
    /// configured one.
    pub lane: Option<[f32; 4]>,
    /// The mode that a steward set by hand, if one is set: it outlasts a restart.
    pub hand: Option<ByHand>,
}

impl Default for State {
    fn default() -> State {
        State { board: true, lane: None, hand: None }
    }
}

/// The switches, as they stand and on the disk.
pub struct Switches {
    store: Arc<Store>,
    tree: Tree,
    now: ArcSwap<State>,
    /// Held while they are changed, so that two people do not undo each other's switch.
    changing: Mutex<()>,
}

const KEY: &[u8] = b"page";

impl Switches {
    /// Opens them; everything stands at its default where nothing was switched.
    pub fn open(store: Arc<Store>) -> Result<Switches, StoreError> {
        let tree = store.tree("switches")?;
        let now: State = tree.get(KEY)?.unwrap_or_default();
        Ok(Switches { store, tree, now: ArcSwap::from_pointee(now), changing: Mutex::default() })
    }

    /// How they stand.
    pub fn now(&self) -> Arc<State> {
        self.now.load_full()
    }

    /// Changes them; on the disk when this returns.
    pub fn change(&self, change: impl FnOnce(&mut State)) -> Result<(), StoreError> {
        let _changing = self.changing.lock();
        let mut state = State::clone(&self.now.load());
        change(&mut state);
        let mut batch = Batch::default();
        batch.put(&self.tree, KEY, &state);
        self.store.write(batch)?;
        self.now.store(Arc::new(state));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::mode::Mode;

    #[test]
    fn what_was_switched_stays_so() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Switches::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap();
        assert!(open().now().board);
        let (by, since) = ("王芳".to_owned(), "2026-11-26T12:00:00Z".parse().unwrap());
        let hand = ByHand { mode: Mode::HeldOpen, by, since, until: None };
        open().change(|state| state.board = false).unwrap();
        open().change(|state| state.lane = Some([0.1, 0.2, 0.5, 0.5])).unwrap();
        open().change(|state| state.hand = Some(hand.clone())).unwrap();
        assert_eq!(*open().now(), State { board: false, lane: Some([0.1, 0.2, 0.5, 0.5]), hand: Some(hand) });
    }
}
