//! The hand: a steward holds the gate open or closes it, for a while or until somebody sets it otherwise. What was set is
//! kept, so that it outlasts a restart of the box.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use axum::routing::post;
use axum::{Extension, Router};
use jiff::{SignedDuration, Timestamp, Zoned};
use serde::Deserialize;

use super::refusal::{Answer, Refusal};
use super::sent::Sent;
use super::settings::Switches;
use super::visit::{Signed, Steward, Visit};
use super::{Auth, Site, by_hand, say_next};
use crate::barrier::{self, Barrier, Reason};
use crate::gate::mode::{ByHand, Hand, Mode};

/// The route.
pub fn routes() -> Router<Arc<Site>> {
    Router::new().route("/mode", post(set))
}

/// The gate's modes, as a form writes them, and in Chinese.
pub(super) const MODES: [(&str, Mode, &str); 3] = [
    ("normal", Mode::Normal, "按规则放行"),
    ("held_open", Mode::HeldOpen, "常开：所有车放行"),
    ("closed", Mode::Closed, "关闭：只放行急救、消防、警车"),
];

/// For how long, as a form writes it, and in Chinese.
pub(super) const LASTS: [(&str, &str); 5] =
    [("", "直到有人改"), ("1", "1 小时"), ("2", "2 小时"), ("4", "4 小时"), ("today", "到今天 24 点")];

/// Until when, for a choice of [`LASTS`].
fn until(lasts: &str, now: &Zoned) -> Option<Option<Timestamp>> {
    Some(match lasts {
        "" => None,
        "today" => Some(now.tomorrow().ok()?.start_of_day().ok()?.timestamp()),
        hours => {
            let hours = hours.parse().ok().filter(|_| LASTS.iter().any(|(name, _)| *name == hours))?;
            Some(now.timestamp() + SignedDuration::from_hours(hours))
        }
    })
}

/// What is asked of the gate by hand, in the visitor's language: by whom, until when. None while it goes by its rules.
pub(super) fn words(site: &Site, v: &Visit) -> Option<String> {
    let barrier = site.gate.barrier.state();
    let of = |mode: &Mode| barrier::Mode::from(*mode) == barrier.mode;
    let (_, _, word) = MODES.into_iter().find(|(_, mode, _)| *mode != Mode::Normal && of(mode))?;
    let hand = site.gate.hand.get(Timestamp::now());
    let by = match (&hand, barrier.mode_reason.map(|r| r.by)) {
        (Some(hand), _) => format!("（{}）", hand.by),
        (None, Some(barrier::By::Person(name))) => format!("（{name}）"),
        (None, _) => String::new(),
    };
    let until = hand.and_then(|hand| hand.until).map(|at| v.f1("，至 {}", v.short_time(&at)));
    Some(v.t(word) + &by + &until.unwrap_or_default())
}

#[derive(Deserialize)]
struct Wanted {
    mode: String,
    #[serde(default)]
    lasts: String,
}

async fn set(
    State(site): State<Arc<Site>>,
    v: Signed<Steward>,
    Extension(auth): Extension<Auth>,
    Sent(wanted): Sent<Wanted>,
) -> Answer {
    let found = MODES.into_iter().find(|(name, ..)| *name == wanted.mode);
    let (_, mode, word) = found.ok_or_else(|| Refusal::bad("请选一种方式", "choose a mode"))?;
    let now = Zoned::now();
    let until =
        until(&wanted.lasts, &now).ok_or_else(|| Refusal::bad("请选择持续多久", "choose how long it is to last"))?;
    let last = until.map(|at| v.f1("，至 {}", v.short_time(&at))).filter(|_| mode != Mode::Normal).unwrap_or_default();
    let asked = ByHand { mode, by: v.name().into(), since: now.timestamp(), until };
    by_hand::set_mode(&site, Some(v.from), asked, &last)?;
    say_next(&auth, v.t(word)).await;
    Ok(Redirect::to("/").into_response())
}

/// At the start: what a steward set before the box went down, and what still lasts of it, is set again.
pub fn restore(switches: &Switches, hand: &Hand, barrier: &Barrier) {
    let Some(asked) = switches.now().hand.clone() else { return };
    let (mode, by) = (asked.mode, asked.by.clone());
    hand.set(asked);
    if hand.get(Timestamp::now()).is_some() {
        tracing::info!(?mode, "the gate is held as it was by hand before the restart");
        barrier.set_mode(mode.into(), Reason::person(by, "by hand on the page, before the restart"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hand_lasts_as_long_as_was_chosen() {
        let now: Zoned = "2026-11-26T21:30:00+08:00[Asia/Shanghai]".parse().unwrap();
        let at = |text: &str| Some(Some(text.parse::<Timestamp>().unwrap()));
        assert_eq!(until("", &now), Some(None));
        assert_eq!(until("4", &now), at("2026-11-27T01:30:00+08:00"));
        assert_eq!(until("today", &now), at("2026-11-27T00:00:00+08:00"));
        for wrong in ["3", "-1", "x", "999999999999999999999"] {
            assert_eq!(until(wrong, &now), None, "{wrong}");
        }
    }
}
