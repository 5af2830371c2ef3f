//! Opening and setting the mode for a person, on the page, through the API or over MQTT: on record before anything moves.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use jiff::{Timestamp, Zoned};

use super::Site;
use super::hand::MODES;
use super::refusal::Refusal;
use crate::barrier::{Pulse, Reason};
use crate::fleet::mqtt::{Commands, Pressed};
use crate::gate::event::{Arrival, Event, Outcome, PulseReport, Rule};
use crate::gate::mode::{ByHand, Mode};

/// Presses "open" for a person, with a line of the audit log and an arrival in the journal.
pub(super) fn open(site: &Site, who: &str, from: Option<IpAddr>, why: &str) -> Result<Pressed, Refusal> {
    // On record before the relay moves: nobody opens unseen. But a disk that fails must not keep an ambulance out: then it
    // opens, and whoever opened is told that it is not on record.
    let noted = site.accounts.audit.add(who, "手动开闸", why, from);
    let (asked, at) = (Instant::now(), Timestamp::now());
    let pulse = site.gate.barrier.open(Reason::person(who, how(who)));
    let report = match &pulse {
        Pulse::Pressed(moved) => {
            PulseReport::Pressed { after_ms: moved.saturating_duration_since(asked).as_secs_f64() * 1e3 }
        }
        Pulse::JustPressed => PulseReport::JustPressed,
        Pulse::Failed(error) => PulseReport::Failed { reason: error.to_string() },
    };
    let outcome = if matches!(pulse, Pulse::Failed(_)) { Outcome::Failed } else { Outcome::Opened };
    let name = &site.gate.config.gate.name;
    let text = format!("{who} {why}");
    let event = Event { rule: Rule::ByHand, outcome, text, pulse: Some(report), ..Event::blank(name, at) };
    let picture = site.gate.viewfinder.look().map(|view| view.picture).unwrap_or_default();
    let kept = site.gate.events.append(Arrival { event, picture });
    let sick = [noted.err(), kept.err()].into_iter().flatten().next();
    if let Some(error) = &sick {
        tracing::error!(%error, by = who, "the gate was opened by hand, and the disk did not take it down");
    }
    match pulse {
        Pulse::Pressed(_) | Pulse::JustPressed if sick.is_some() => Err(Refusal::Unrecorded),
        Pulse::Pressed(_) => Ok(Pressed::Pressed),
        Pulse::JustPressed => Ok(Pressed::JustPressed),
        Pulse::Failed(error) => {
            tracing::error!(%error, "the barrier could not be opened by hand");
            Err(Refusal::bad(format!("没有抬起来：{error}"), format!("it did not open: {error}")))
        }
    }
}

/// Sets how the gate is run, for a person; `last` is what the audit log adds to it. By its rules means that the schedule has its
/// say again. What is set is kept over a restart.
pub(super) fn set_mode(site: &Site, from: Option<IpAddr>, asked: ByHand, last: &str) -> Result<(), Refusal> {
    let who = asked.by.clone();
    let word = MODES.into_iter().find(|(_, known, _)| *known == asked.mode).map_or("", |(_, _, word)| word);
    site.accounts.audit.add(&who, "设定方式", &format!("{word}{last}"), from)?;
    let asked = (asked.mode != Mode::Normal).then_some(asked);
    site.switches.change(|state| state.hand = asked.clone())?;
    // The lane's rules and the barrier both follow the hand; the barrier at once, so that the page shows it.
    match asked {
        None => site.gate.hand.let_go(),
        Some(asked) => site.gate.hand.set(asked),
    }
    let effective = site.gate.hand.mode(&Zoned::now(), &site.gate.config.schedule);
    if !site.gate.barrier.set_mode(effective.into(), Reason::person(who.clone(), how(&who))) {
        return Err(Refusal::bad("道闸已停止", "the barrier has been stopped"));
    }
    Ok(())
}

/// By which way, for the barrier's own record.
fn how(who: &str) -> &'static str {
    if who.starts_with("MQTT: ") { "by hand over MQTT" } else { "by hand on the page" }
}

/// The page's hands for the house's broker.
pub struct Hands(pub Arc<Site>);

impl Commands for Hands {
    fn open(&self, who: &str, why: &str) -> Result<Pressed, String> {
        open(&self.0, who, None, why).map_err(|refusal| refusal.english())
    }

    fn set_mode(&self, who: &str, mode: Mode) -> Result<(), String> {
        let asked = ByHand { mode, by: who.into(), since: Timestamp::now(), until: None };
        set_mode(&self.0, None, asked, "").map_err(|refusal| refusal.english())
    }

    fn refused(&self, who: &str, why: &str) {
        if let Err(error) = self.0.accounts.audit.add(who, "拒绝 MQTT 命令", why, None) {
            tracing::error!(%error, "a refused command is not in the audit log");
        }
    }
}
