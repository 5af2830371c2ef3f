//! What the lane sees, for those who want to look: a small copy of a frame now and then.
//!
//! The lane offers every frame and never waits; a copy is made only while somebody is watching, at most twice a second.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::picture::Picture;
use crate::vision::Reading;

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

/// A small copy of a frame, and the plates that were read on it.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Counts the views since the start.
    pub number: u64,
    /// At most [`LONGEST`] pixels a side.
    pub picture: Picture,
    /// The plates.
    pub marks: Vec<Mark>,
}

/// A plate on a view.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Mark {
    /// Its corners as shares 0..1 of the picture's width and height, clockwise from the top left.
    pub corners: [[f32; 2]; 4],
    /// What was read in this frame, well-formed or not.
    pub text: String,
}

#[derive(Default)]
struct Inner {
    view: View,
    made: Option<Instant>,
    watched: Option<Instant>,
}

impl Viewfinder {
    /// The lane's side: copies the frame and its plates if it is wanted. Skips it if a watcher holds the lock.
    pub fn offer(&self, picture: &Picture, readings: &[Reading]) {
        let Some(mut inner) = self.inner.try_lock() else { return };
        if inner.show(picture) {
            inner.view.marks.clear();
            inner.view.marks.extend(readings.iter().map(|r| mark(r, picture)));
        }
    }

    /// The same for a frame that was not read, because nothing has changed: the plates are those of the frame before.
    pub fn offer_unread(&self, picture: &Picture) {
        let Some(mut inner) = self.inner.try_lock() else { return };
        inner.show(picture);
    }

    /// A watcher's side: the newest view; none before the first frame.
    pub fn look(&self) -> Option<View> {
        let mut inner = self.inner.lock();
        inner.watched = Some(Instant::now());
        inner.made.map(|_| inner.view.clone())
    }

    /// The same without the picture: the newest view's number and plates.
    pub fn glance(&self) -> Option<(u64, Vec<Mark>)> {
        let mut inner = self.inner.lock();
        inner.watched = Some(Instant::now());
        inner.made.map(|_| (inner.view.number, inner.view.marks.clone()))
    }
}

impl Inner {
    /// Copies the frame if a view is wanted; `false` if none is.
    fn show(&mut self, picture: &Picture) -> bool {
        let wanted = self.made.is_none() || self.watched.is_some_and(|at| at.elapsed() < WATCHED_FOR);
        if !wanted || self.made.is_some_and(|at| at.elapsed() < EVERY) {
            return false;
        }
        let step = picture.width.max(picture.height).div_ceil(LONGEST).max(1);
        subsample(picture, step, &mut self.view.picture);
        self.view.number += 1;
        self.made = Some(Instant::now());
        true
    }
}

fn mark(reading: &Reading, picture: &Picture) -> Mark {
    let (width, height) = (picture.width.max(1) as f32, picture.height.max(1) as f32);
    Mark { corners: reading.quad.0.map(|[x, y]| [x / width, y / height]), text: reading.slots.text() }
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
        finder.offer(&Picture::filled(1920, 1080, [1, 2, 3]), &[]);
        let view = finder.look().unwrap();
        assert_eq!((view.number, view.picture.width, view.picture.height), (1, 960, 540));
        finder.offer(&Picture::filled(64, 64, [9, 9, 9]), &[]);
        assert_eq!(finder.look().unwrap().picture.width, 960, "too soon for another one");
        assert_eq!(finder.glance().unwrap(), (1, vec![]));
    }

    #[test]
    fn plates_stay_marked_while_nothing_changes() {
        let (finder, picture) = (Viewfinder::default(), Picture::filled(64, 64, [9, 9, 9]));
        finder.offer(&picture, &[crate::vision::track::tests::reading("苏F12345", 10.0, 40.0, 0.99)]);
        let marks = finder.glance().unwrap().1;
        finder.inner.lock().made = Instant::now().checked_sub(EVERY);
        finder.offer_unread(&picture);
        assert_eq!((finder.glance().unwrap(), marks[0].text.as_str()), ((2, marks.clone()), "苏F12345"));
        finder.inner.lock().made = Instant::now().checked_sub(EVERY);
        finder.offer(&picture, &[]);
        assert_eq!(finder.glance().unwrap(), (3, vec![]));
    }
}
