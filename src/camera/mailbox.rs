//! One place for the newest frame, between the grabber and the lane.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::{Condvar, Mutex};

use super::{CameraError, CameraState, Frame};
use crate::picture::Picture;

/// A supervisor that has not looked for so long hangs.
const LOST_SUPERVISOR: Duration = Duration::from_secs(10);

/// The mailbox; clones are handles to the same one.
#[derive(Clone, Default)]
pub(super) struct Mailbox {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    inner: Mutex<Inner>,
    changed: Condvar,
}

struct Inner {
    newest: Option<Frame>,
    /// Pictures whose memory is to be used again.
    spare: Vec<Picture>,
    state: CameraState,
    sequence: u64,
    /// Seconds from frame to frame, averaged over the last few; none before the second.
    pace: Option<f64>,
    /// When the newest frame of this opening came.
    last: Option<Instant>,
    losses: u64,
    /// The grabber that may write; those of earlier openings may not.
    generation: u64,
    /// What that grabber is doing, and since when.
    doing: Doing,
    since: Instant,
    /// The supervisor looks again at this moment, at the latest.
    tended_until: Instant,
    /// The driver has swallowed one grabber after the other.
    hopeless: bool,
    stopped: bool,
}

impl Default for Inner {
    fn default() -> Inner {
        Inner {
            newest: None,
            spare: Vec::new(),
            state: CameraState::Opening,
            sequence: 0,
            pace: None,
            last: None,
            losses: 0,
            generation: 0,
            doing: Doing::Opening,
            since: Instant::now(),
            tended_until: Instant::now(),
            hopeless: false,
            stopped: false,
        }
    }
}

impl Inner {
    fn keep_pace(&mut self, captured: Instant) {
        const NEW: f64 = 0.2;
        if let Some(last) = self.last.replace(captured) {
            let gap = captured.saturating_duration_since(last).as_secs_f64();
            self.pace = Some(self.pace.map_or(gap, |pace| pace + NEW * (gap - pace)));
        }
    }
}

/// What the grabber in charge is doing.
#[derive(Clone, Debug)]
pub(super) enum Doing {
    /// Opening the camera.
    Opening,
    /// Waiting for the next frame.
    Reading,
    /// It gave up.
    Failed(CameraError),
    /// The camera is at its end.
    Ended,
}

impl Mailbox {
    /// A new grabber takes charge; earlier ones lose their right to write.
    pub(super) fn new_generation(&self) -> u64 {
        let mut inner = self.shared.inner.lock();
        inner.generation += 1;
        (inner.doing, inner.since) = (Doing::Opening, Instant::now());
        inner.hopeless = false;
        inner.generation
    }

    /// The grabber reports; `false` if it is no longer in charge and must end.
    pub(super) fn report(&self, generation: u64, doing: Doing) -> bool {
        let mut inner = self.shared.inner.lock();
        if inner.generation != generation || inner.stopped {
            return false;
        }
        (inner.doing, inner.since) = (doing, Instant::now());
        self.shared.changed.notify_all();
        true
    }

    /// A picture to fill.
    pub(super) fn spare(&self) -> Picture {
        self.shared.inner.lock().spare.pop().unwrap_or_default()
    }

    /// Puts the newest frame in place of the one before; `false` if the grabber must end.
    pub(super) fn put(&self, generation: u64, picture: Picture, captured: Instant) -> bool {
        let mut inner = self.shared.inner.lock();
        if inner.generation != generation || inner.stopped {
            return false;
        }
        inner.sequence += 1;
        inner.keep_pace(captured);
        if let CameraState::Live { width, height } = inner.state
            && (width, height) != (picture.width, picture.height)
        {
            let (now, before) = ((picture.width, picture.height), (width, height));
            tracing::warn!(?before, ?now, "the camera's picture has another size");
        }
        inner.state = CameraState::Live { width: picture.width, height: picture.height };
        (inner.doing, inner.since) = (Doing::Reading, Instant::now());
        let frame = Frame { picture, captured, taken_at: Timestamp::now(), sequence: inner.sequence };
        if let Some(missed) = inner.newest.replace(frame) {
            inner.spare.push(missed.picture);
        }
        self.shared.changed.notify_all();
        true
    }

    /// The lane's side; see [`super::Camera::next`].
    pub(super) fn take(&self, frame: &mut Option<Frame>, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut inner = self.shared.inner.lock();
        while inner.newest.is_none() {
            if inner.stopped || self.shared.changed.wait_until(&mut inner, deadline).timed_out() {
                return false;
            }
        }
        let newest = inner.newest.take();
        if let Some(old) = std::mem::replace(frame, newest)
            && inner.spare.len() < 3
        {
            inner.spare.push(old.picture);
        }
        true
    }

    /// The supervisor's side: what the grabber does and for how long, after a change or `timeout`; none once stopped.
    pub(super) fn watch(&self, timeout: Duration) -> Option<(Doing, Duration)> {
        let mut inner = self.shared.inner.lock();
        inner.tended_until = Instant::now() + timeout;
        if !inner.stopped {
            self.shared.changed.wait_for(&mut inner, timeout);
        }
        (!inner.stopped).then(|| (inner.doing.clone(), inner.since.elapsed()))
    }

    /// Waits, unless stopped; `false` once stopped.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        let mut inner = self.shared.inner.lock();
        inner.tended_until = deadline;
        while !inner.stopped && !self.shared.changed.wait_until(&mut inner, deadline).timed_out() {}
        !inner.stopped
    }

    /// The camera is lost (again): no old frame may be handed out any more.
    pub(super) fn lost(&self, reason: &str) {
        let mut inner = self.shared.inner.lock();
        inner.newest = None;
        (inner.pace, inner.last) = (None, None);
        inner.losses += u64::from(!matches!(inner.state, CameraState::Lost { .. }));
        let (since, attempts) = match &inner.state {
            CameraState::Lost { since, attempts, .. } => (*since, attempts + 1),
            _ => (Timestamp::now(), 1),
        };
        inner.state = CameraState::Lost { reason: reason.to_owned(), since, attempts };
    }

    /// Frames a second, lately. A frame that has not come counts as soon as it is late.
    pub(super) fn fps(&self) -> Option<f64> {
        let inner = self.shared.inner.lock();
        let waiting = inner.last?.elapsed().as_secs_f64();
        inner.pace.map(|pace| 1.0 / pace.max(waiting).max(1e-3))
    }

    pub(super) fn losses(&self) -> u64 {
        self.shared.inner.lock().losses
    }

    /// Did frames come until now?
    pub(super) fn is_live(&self) -> bool {
        matches!(self.shared.inner.lock().state, CameraState::Live { .. })
    }

    /// The driver does not give its threads back: only a new process helps.
    pub(super) fn hopeless(&self) {
        self.shared.inner.lock().hopeless = true;
    }

    /// Is the camera looked after? A camera that is away is, as long as it is opened again and again.
    pub(super) fn is_tended(&self) -> bool {
        let inner = self.shared.inner.lock();
        let lately = inner.tended_until + LOST_SUPERVISOR > Instant::now();
        inner.state == CameraState::Ended || (lately && !inner.hopeless)
    }

    pub(super) fn ended(&self) {
        self.shared.inner.lock().state = CameraState::Ended;
    }

    pub(super) fn state(&self) -> CameraState {
        let inner = self.shared.inner.lock();
        // The last frame of a file is still to be taken.
        match (&inner.state, &inner.newest) {
            (CameraState::Ended, Some(frame)) => {
                CameraState::Live { width: frame.picture.width, height: frame.picture.height }
            }
            (state, _) => state.clone(),
        }
    }

    pub(super) fn stop(&self) {
        self.shared.inner.lock().stopped = true;
        self.shared.changed.notify_all();
    }
}
