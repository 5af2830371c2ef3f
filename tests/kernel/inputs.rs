//! Wires that come in: a push button and the fire alarm's contact, driven at the pins.

use std::time::Duration;

use super::checks::{LANE, LINE, NAMES, config};
use super::gate::Gate;
use super::pins::Chip;

const FIRE: u32 = 6;
const BUTTON: u32 = 7;

/// The check.
pub fn check() -> String {
    let chip = Chip::new("gate", &NAMES);
    // No car is let in here: what presses are the wires.
    let config = config(LANE, &chip, 500)
        .replace("unpaid = \"open\"", "unpaid = \"refuse\"")
        .replace("min_gap_ms = 600000", "min_gap_ms = 500")
        + &format!(
            "barrier.fire_opens = true\ninputs.button = {{ line = {BUTTON} }}\ninputs.fire = {{ line = {FIRE} }}\n"
        );
    let mut gate = Gate::start(&config);
    gate.wait_for("the first frame", Gate::is_ready);

    // Shorter than the time that the kernel wants a level to stay.
    let watch = chip.watch(LINE);
    for _ in 0..3 {
        chip.pull(BUTTON, true);
        chip.pull(BUTTON, false);
    }
    std::thread::sleep(Duration::from_secs(2));
    assert!(watch.edges().is_empty(), "a glitch on the button's wire pressed \"open\"\n{}", gate.log());

    chip.pull(BUTTON, true);
    let pushed = gate.wait_for("the button's press", |_| chip.level(LINE));
    chip.pull(BUTTON, false);
    gate.wait_for("its release", |_| !chip.level(LINE));

    chip.pull(FIRE, true);
    let alarmed = gate.wait_for("the fire alarm's press", |_| chip.level(LINE));
    gate.signal("-TERM");
    assert!(gate.end().success() && !chip.level(LINE));
    let ms = |time: Duration| time.as_millis();
    format!(
        "three glitches press nothing; the button presses after {} ms, the fire alarm after {} ms",
        ms(pushed),
        ms(alarmed)
    )
}
