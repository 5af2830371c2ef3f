//! The checks that move or show something: a guided press, the inputs as they change, the sign's greetings.

use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::barrier::{self, Barrier, Input, Levels, Outputs, Pulse, Readers, Reason, Rules, SimulatedArm, State};
use crate::config::{Config, Output};
use crate::display::{self, Greeting, Message};

/// How often the inputs are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The readers have told every level within this time, unless a wire is broken.
const SETTLES_WITHIN: Duration = Duration::from_millis(1500);

/// Presses "open" once, after having asked, and tells what the inputs say to it.
pub(super) fn pulse(config: &Config, input: &mut impl BufRead, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let (barrier, readers) = barrier::start(config, &SimulatedArm::new())?;
    let inputs = barrier.inputs();
    if config.barrier.output == Output::Simulated {
        writeln!(out, "The output is simulated: nothing will move.")?;
    }
    settle(|| inputs.levels());
    for (name, level) in inputs.levels().iter_wired() {
        writeln!(out, "{:9} {level:?}", name.key())?;
    }
    let (pulse_ms, arm) = (config.barrier.pulse_ms, barrier.state().arm);
    write!(out, "\"Open\" ({arm}) will be pressed for {pulse_ms} ms. Is nobody near the arm? Type yes: ")?;
    out.flush()?;
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    if answer.trim() != "yes" {
        writeln!(out, "Nothing was pressed.")?;
        return Ok(ExitCode::FAILURE);
    }
    let begun = Instant::now();
    let after = |at: Instant| at.saturating_duration_since(begun).as_millis();
    let pressed = match barrier.open(Reason::person("doctor", "a test of the wires")) {
        Pulse::Pressed(at) => {
            writeln!(out, "{:>6} ms  pressed", after(at))?;
            at
        }
        Pulse::JustPressed => anyhow::bail!("it was pressed a moment ago: try again in some seconds"),
        Pulse::Failed(error) => anyhow::bail!("it could not be pressed: {error}"),
    };
    let went_up = tell_changes(config, &barrier, begun, out)?;
    barrier.stop();
    drop(readers);
    let held = Duration::from_millis(pulse_ms);
    if barrier.state().stuck || barrier.state().pressed {
        anyhow::bail!("\"open\" could not be let go after {held:?}: {:?}", barrier.state().last_failure);
    }
    let switches = config.inputs.arm_up.is_some() || config.inputs.arm_down.is_some();
    writeln!(out, "Let go after {} ms.", after(pressed).max(u128::from(pulse_ms)))?;
    match (switches, went_up) {
        (true, true) => writeln!(out, "The end switch says that the arm went up.")?,
        (true, false) => anyhow::bail!(
            "the end switch does not say that the arm went up: look at the relay, the controller's input, and the switch"
        ),
        (false, _) => writeln!(out, "No end switch is wired: look yourself whether the arm went up.")?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells every change until the arm is up, or should be. Did it go up?
fn tell_changes(config: &Config, barrier: &Barrier, begun: Instant, out: &mut impl Write) -> anyhow::Result<bool> {
    let wait = Duration::from_millis(config.barrier.opens_within_ms.max(config.barrier.pulse_ms) + 200);
    let switches = config.inputs.arm_up.is_some() || config.inputs.arm_down.is_some();
    let wait = if switches { wait } else { Duration::from_millis(config.barrier.pulse_ms + 200) };
    let (mut before, mut pressed) = (barrier.state().inputs, true);
    while begun.elapsed() < wait {
        let state = barrier.state();
        let ms = begun.elapsed().as_millis();
        for (input, level) in state.inputs.iter_wired().filter(|(input, level)| before.get(*input) != *level) {
            writeln!(out, "{ms:>6} ms  {} is {level:?}", input.key())?;
        }
        if pressed && !state.pressed {
            writeln!(out, "{ms:>6} ms  let go")?;
        }
        (before, pressed) = (state.inputs, state.pressed);
        if !pressed && matches!(state.state, State::Open | State::Passing) && switches {
            return Ok(true);
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(false)
}

fn settle(levels: impl Fn() -> Levels) {
    let begun = Instant::now();
    while begun.elapsed() < SETTLES_WITHIN
        && levels().iter_wired().any(|(_, level)| level == crate::barrier::Level::Unknown)
    {
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Shows the inputs as they change. The outputs are left alone.
pub(super) fn watch(config: &Config, time: Duration, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let wired = barrier::wired(&config.inputs);
    if wired.is_empty() {
        anyhow::bail!("no input is wired: see [inputs] in the configuration");
    }
    let board = barrier::board(config)?;
    let outputs = Outputs { open: Box::new(SimulatedArm::new()), close: None };
    let nothing_moves = Rules { fire_opens: false, power_opens: false, ..Rules::from_config(&config.barrier) };
    let barrier = Barrier::start_with(outputs, nothing_moves, wired);
    let inputs = barrier.inputs();
    let readers = Readers::start(config, &inputs, board.as_ref());
    settle(|| inputs.levels());
    let begun = Instant::now();
    let mut before = Levels::default();
    loop {
        let levels = inputs.levels();
        for (input, level) in levels.iter_wired().filter(|(input, level)| before.get(*input) != *level) {
            let at = begun.elapsed().as_secs_f64();
            writeln!(out, "{at:>7.2} s  {:9} {}", Input::key(input), format!("{level:?}").to_lowercase())?;
            out.flush()?;
        }
        before = levels;
        if begun.elapsed() >= time {
            drop(readers);
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Shows and says every greeting.
pub(super) fn sign(config: &Config, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let Some(mut sign) = display::sign(&config.display) else {
        anyhow::bail!("no sign is configured: set display.sign");
    };
    for greeting in Greeting::ALL {
        writeln!(out, "{}: {}", sign.describe(), greeting.text())?;
        let voice = config.display.voice.then_some(greeting.text());
        sign.show(&Message { lines: &[greeting.text(), ""], colour: greeting.colour(), voice })?;
        std::thread::sleep(Duration::from_secs(3));
    }
    sign.show(&Message { lines: &[&config.display.idle, ""], colour: display::Colour::Yellow, voice: None })?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        Config::parse(text, std::path::Path::new("x")).unwrap()
    }

    #[test]
    fn nothing_is_pressed_without_a_yes() {
        let mut out = Vec::new();
        let code = pulse(&config("[barrier]\npulse_ms = 50\n"), &mut &b"no\n"[..], &mut out).unwrap();
        let told = String::from_utf8(out).unwrap();
        assert!(told.contains("Nothing was pressed") && !told.contains("let go"), "{told}");
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::FAILURE));
    }

    #[test]
    fn a_press_is_told_with_its_end() {
        let mut out = Vec::new();
        pulse(&config("[barrier]\npulse_ms = 60\n"), &mut &b"yes\n"[..], &mut out).unwrap();
        let told = String::from_utf8(out).unwrap();
        for part in ["nothing will move", "pressed", "let go", "look yourself"] {
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn an_arm_whose_switch_says_nothing_is_a_fault() {
        let text = "[barrier]\npulse_ms = 50\nopens_within_ms = 500\n[inputs]\narm_up = { line = 1, chip = \"/dev/gpiochip99\" }\n";
        let error = pulse(&config(text), &mut &b"yes\n"[..], &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("end switch"), "{error}");
    }

    #[test]
    fn broken_wires_are_shown_as_broken() {
        let mut out = Vec::new();
        let text = "[inputs]\nfire = { line = 1, chip = \"/dev/gpiochip99\" }\n";
        watch(&config(text), Duration::from_millis(100), &mut out).unwrap();
        let told = String::from_utf8(out).unwrap();
        assert!(told.contains("fire") && told.contains("broken"), "{told}");
        assert!(watch(&config(""), Duration::ZERO, &mut Vec::new()).is_err());
    }
}
