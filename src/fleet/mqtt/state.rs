//! How the gate is, as the broker's JSON. No plate is in it.

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::View;
use crate::barrier::{BarrierState, Input, Level, Levels, State};
use crate::camera::CameraState;

/// The arm's position, where both end switches are wired and tell it.
pub(super) fn position(barrier: &BarrierState) -> Option<&'static str> {
    let known = |input| barrier.inputs.get(input).known();
    match (known(Input::ArmUp)?, known(Input::ArmDown)?) {
        (true, true) => None,
        (true, false) => Some("open"),
        (false, true) => Some("closed"),
        (false, false) if matches!(barrier.state, State::Asked) => Some("opening"),
        (false, false) => Some("closing"),
    }
}

/// Do end switches tell the position at all?
pub(super) fn knows_position(levels: &Levels) -> bool {
    [Input::ArmUp, Input::ArmDown].into_iter().all(|input| levels.get(input).is_wired())
}

fn camera(state: &CameraState) -> &'static str {
    match state {
        CameraState::Opening => "opening",
        CameraState::Live { .. } => "live",
        CameraState::Lost { .. } => "lost",
        CameraState::Ended => "ended",
    }
}

/// A frame older than this is no sight of the lane.
const FRESH_S: u64 = 5;

/// Everything but the last arrival; `ailments` is what is amiss with the box.
pub(super) fn state(view: &View, ailments: &[String]) -> Value {
    let barrier = view.barrier.state();
    let watched = view.watcher.state();
    let sees = view.telemetry.newest_frame_age().is_some_and(|age| age.as_secs() < FRESH_S);
    let live = matches!(watched, CameraState::Live { .. });
    let mut problems: Vec<String> = Vec::new();
    if matches!(watched, CameraState::Lost { .. }) {
        problems.push("camera".into());
    }
    if !view.telemetry.lane_is_alive() {
        problems.push("lane".into());
    }
    problems.extend(barrier.faults.iter().filter_map(word));
    problems
        .extend(barrier.inputs.iter_wired().filter(|(_, level)| *level == Level::Broken).map(|(i, _)| i.to_string()));
    problems.extend(ailments.iter().cloned());
    let on = |is: bool| if is { "ON" } else { "OFF" };
    json!({
        "barrier": barrier.state,
        "mode": barrier.mode,
        "hold": barrier.hold,
        "position": position(&barrier),
        "faults": barrier.faults,
        "presence": barrier.inputs.get(Input::Presence).known().map(on),
        "presses": barrier.presses,
        "last_press": barrier.last_press,
        "camera": camera(&watched),
        "ready": on(live && sees),
        "problem": on(!problems.is_empty()),
        "problems": problems,
        "today": today(view),
        "version": env!("CARGO_PKG_VERSION"),
    })
}

fn word(value: &impl serde::Serialize) -> Option<String> {
    serde_json::to_value(value).ok()?.as_str().map(str::to_owned)
}

fn today(view: &View) -> Value {
    let day = jiff::Timestamp::now().to_zoned(TimeZone::system()).date();
    let tally = view.logs.events.tally(day).unwrap_or_default();
    let of = |outcome: &str| tally.outcomes.get(outcome).copied().unwrap_or_default();
    json!({
        "day": day.to_string(),
        "arrivals": tally.hours.iter().sum::<u32>(),
        "opened": of("opened"), "refused": of("refused"), "failed": of("failed"), "seen": of("seen"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_told_only_where_it_is_known() {
        let with = |up: Level, down: Level, state: State| {
            let mut inputs = Levels::wired([Input::ArmUp, Input::ArmDown]);
            inputs.set(Input::ArmUp, up);
            inputs.set(Input::ArmDown, down);
            position(&BarrierState { inputs, state, ..BarrierState::default() })
        };
        use Level::{Active, Broken, Clear, NotWired};
        assert_eq!(with(Active, Clear, State::Open), Some("open"));
        assert_eq!(with(Clear, Active, State::Idle), Some("closed"));
        assert_eq!(with(Clear, Clear, State::Asked), Some("opening"));
        assert_eq!(with(Clear, Clear, State::Idle), Some("closing"));
        for (up, down) in [(Active, Active), (Active, Broken), (Clear, NotWired)] {
            assert_eq!(with(up, down, State::Open), None);
        }
        assert!(knows_position(&Levels::wired([Input::ArmUp, Input::ArmDown])));
        assert!(!knows_position(&Levels::wired([Input::ArmUp])));
    }
}
