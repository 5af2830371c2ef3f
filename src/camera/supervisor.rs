//! Keeps a camera open: starts a grabber, gives up on one that is stuck, opens anew with growing pauses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::mailbox::{Doing, Mailbox};
use super::{CameraError, Got, Opener};

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Opening.
    pub(super) open: Duration,
    /// The next frame.
    pub(super) read: Duration,
    /// The longest pause between two attempts.
    pub(super) longest_pause: Duration,
}

/// Grabbers left behind in a driver's call, at most. Each keeps a thread and its buffers.
const MOST_STUCK: usize = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// A name and password that a camera has never taken are tried quickly so often, and then rarely: most cameras lock up for
/// half an hour after some seven. Those that it took before are right, and it will take them again.
const QUICK_REFUSALS: u32 = 3;
const REFUSED_PAUSE: Duration = Duration::from_secs(60);

/// Starts the supervisor of one camera.
pub(super) fn start(mailbox: Mailbox, open: Opener, limits: Limits) -> JoinHandle<()> {
    let open = Arc::new(open);
    std::thread::Builder::new()
        .name("camera".into())
        .spawn(move || supervise(&mailbox, &open, limits))
        .expect("a thread can be started at program start")
}

fn supervise(mailbox: &Mailbox, open: &Arc<Opener>, limits: Limits) {
    let alive = Arc::new(AtomicUsize::new(0));
    let mut pause = FIRST_PAUSE;
    let mut told = String::new();
    let (mut worked, mut refusals) = (false, 0);
    loop {
        if alive.load(Ordering::Acquire) < MOST_STUCK {
            let begun = Instant::now();
            let generation = mailbox.new_generation();
            spawn_grabber(mailbox.clone(), open.clone(), generation, alive.clone());
            match attend(mailbox, limits) {
                Outcome::Stopped => return,
                Outcome::Ended => return mailbox.ended(),
                Outcome::Lost(error) => {
                    worked |= mailbox.is_live();
                    refusals = if error.is_refusal() && !worked { refusals + 1 } else { 0 };
                    let CameraError(reason) = error;
                    mailbox.lost(&reason);
                    // Once for each reason: a camera that is away all night must not fill the log.
                    if reason != told {
                        tracing::warn!(reason, "camera lost");
                        told = reason;
                    }
                }
            }
            // A camera that worked for a while deserves a quick retry.
            if begun.elapsed() > limits.longest_pause + limits.open {
                pause = FIRST_PAUSE;
            }
        } else {
            mailbox.hopeless();
            mailbox.lost("the camera's driver does not answer: unplug the camera or restart plategate");
        }
        let pause_now = if refusals > QUICK_REFUSALS { REFUSED_PAUSE.max(pause) } else { pause };
        if !mailbox.pause(pause_now) {
            return;
        }
        pause = (pause * 2).min(limits.longest_pause);
    }
}

enum Outcome {
    Stopped,
    Ended,
    Lost(CameraError),
}

/// Watches the grabber until it ends, fails, hangs or is told to stop.
fn attend(mailbox: &Mailbox, limits: Limits) -> Outcome {
    loop {
        let Some((doing, time)) = mailbox.watch(Duration::from_millis(100)) else { return Outcome::Stopped };
        match doing {
            Doing::Failed(error) => return Outcome::Lost(error),
            Doing::Ended => return Outcome::Ended,
            Doing::Opening if time > limits.open => {
                let seconds = time.as_secs_f64();
                return Outcome::Lost(CameraError(format!("the camera could not be opened within {seconds:.0} s")));
            }
            Doing::Reading if time > limits.read => {
                return Outcome::Lost(CameraError(format!("no frame for {:.0} s", time.as_secs_f64())));
            }
            Doing::Opening | Doing::Reading => {}
        }
    }
}

fn spawn_grabber(mailbox: Mailbox, open: Arc<Opener>, generation: u64, alive: Arc<AtomicUsize>) {
    alive.fetch_add(1, Ordering::AcqRel);
    let (theirs, counted) = (mailbox.clone(), alive.clone());
    let spawned = std::thread::Builder::new().name("grabber".into()).spawn(move || {
        let grab = std::panic::AssertUnwindSafe(|| grab(&theirs, &open, generation));
        let ended =
            std::panic::catch_unwind(grab).unwrap_or_else(|_| Err(CameraError("the camera's driver failed".into())));
        // One that is no longer in charge is not heard.
        theirs.report(generation, ended.map_or_else(Doing::Failed, |()| Doing::Ended));
        counted.fetch_sub(1, Ordering::AcqRel);
    });
    if let Err(error) = spawned {
        alive.fetch_sub(1, Ordering::AcqRel);
        mailbox.report(generation, Doing::Failed(CameraError(format!("no thread for the camera: {error}"))));
    }
}

/// The grabber: opens the camera and takes every frame as soon as it is there, until its end or until another grabber is
/// in charge.
fn grab(mailbox: &Mailbox, open: &Opener, generation: u64) -> Result<(), CameraError> {
    let mut source = open()?;
    let mut in_charge = mailbox.report(generation, Doing::Reading);
    while in_charge {
        let mut picture = mailbox.spare();
        if source.read(&mut picture)? == Got::End {
            break;
        }
        if picture.width == 0 || picture.height == 0 {
            return Err(CameraError("the camera sends empty frames".into()));
        }
        in_charge = mailbox.put(generation, picture, Instant::now());
    }
    Ok(())
}
