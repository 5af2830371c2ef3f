//! What the lane sees, for those who want to look: a small copy of a frame now and then.
//!
//! The lane offers every frame and never waits; a copy is made only while somebody is watching, at most twice a second.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::picture::Picture;

/// The longest side of a view, pixels.
pub const LONGEST: usize = 960;
const EVERY: Duration = Duration::from_millis(450);
/// Without a look for so long, nobody is watching any more.
const WATCHED_FOR: Duration = Duration::from_secs(5);

/// Between the lane, which offers frames, and the watchers.
#[derive(Default)]
pub struct Viewfinder {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    view: Picture,
    made: Option<Instant>,
    watched: Option<Instant>,
}

impl Viewfinder {
    /// The lane's side: copies the frame if it is wanted. Skips it if a watcher holds the lock.
    pub fn offer(&self, picture: &Picture) {
        let Some(mut inner) = self.inner.try_lock() else { return };
        let wanted = inner.made.is_none() || inner.watched.is_some_and(|at| at.elapsed() < WATCHED_FOR);
        if !wanted || inner.made.is_some_and(|at| at.elapsed() < EVERY) {
            return;
        }
        let step = picture.width.max(picture.height).div_ceil(LONGEST).max(1);
        subsample(picture, step, &mut inner.view);
        inner.made = Some(Instant::now());
    }

    /// A watcher's side: the newest view, at most [`LONGEST`] pixels a side; none before the first frame.
    pub fn look(&self) -> Option<Picture> {
        let mut inner = self.inner.lock();
        inner.watched = Some(Instant::now());
        inner.made.map(|_| inner.view.clone())
    }
}

/// Every `step`-th pixel of every `step`-th row, into a buffer that is kept.
fn subsample(from: &Picture, step: usize, to: &mut Picture) {
    (to.width, to.height) = (from.width / step, from.height / step);
    to.bgr.clear();
    for y in 0..to.height {
        let row = &from.bgr[y * step * from.width * 3..];
        for x in 0..to.width {
            to.bgr.extend_from_slice(&row[x * step * 3..x * step * 3 + 3]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_small_and_made_once_until_somebody_watches() {
        let finder = Viewfinder::default();
        assert!(finder.look().is_none());
        finder.offer(&Picture::filled(1920, 1080, [1, 2, 3]));
        let view = finder.look().unwrap();
        assert_eq!((view.width, view.height), (960, 540));
        finder.offer(&Picture::filled(64, 64, [9, 9, 9]));
        assert_eq!(finder.look().unwrap().width, 960, "too soon for another one");
    }
}
