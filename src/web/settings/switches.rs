//! What is switched on the page and stays so: kept beside the register, in memory for whoever asks.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

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
}

impl Default for State {
    fn default() -> State {
        State { board: true, lane: None }
    }
}

/// The switches, as they stand and on the disk.
pub struct Switches {
    store: Arc<Store>,
    tree: Tree,
    now: ArcSwap<State>,
}

const KEY: &[u8] = b"page";

impl Switches {
    /// Opens them; everything stands at its default where nothing was switched.
    pub fn open(store: Arc<Store>) -> Result<Switches, StoreError> {
        let tree = store.tree("switches")?;
        let now: State = tree.get(KEY)?.unwrap_or_default();
        Ok(Switches { store, tree, now: ArcSwap::from_pointee(now) })
    }

    /// How they stand.
    pub fn now(&self) -> Arc<State> {
        self.now.load_full()
    }

    /// Sets them; on the disk when this returns.
    pub fn set(&self, state: State) -> Result<(), StoreError> {
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

    #[test]
    fn what_was_switched_stays_so() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Switches::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap();
        assert!(open().now().board);
        let state = State { board: false, lane: Some([0.1, 0.2, 0.5, 0.5]) };
        open().set(state.clone()).unwrap();
        assert_eq!(*open().now(), state);
    }
}
