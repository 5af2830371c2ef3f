//! The kernel's software watchdog (softdog): it resets the machine when it is not fed.

use std::time::Duration;

use super::camera::modprobe;
use super::checks::{LANE, LINE, NAMES, config};
use super::gate::Gate;
use super::machine;
use super::pins::Chip;

/// Seconds without food until the reset.
const MARGIN: u64 = 8;
/// The check's last words before the machine must be reset.
const LAST_WORDS: &str = "the loop stands still, the relay is pressed";

/// The last check: it ends the machine.
pub fn check() -> String {
    modprobe(&["softdog", &format!("soft_margin={MARGIN}")]);
    let chip = Chip::new("gate", &NAMES);
    let config = config(LANE, &chip, 10_000) + "watchdog.device = \"/dev/watchdog\"\n";
    let longer = Duration::from_secs(MARGIN + 4);

    // Fed: the machine outlives the margin. Stopped cleanly: nobody feeds it, and it outlives that too.
    let mut gate = Gate::start(&config);
    gate.wait_for("the watchdog", |gate| gate.log().contains("hardware watchdog started"));
    std::thread::sleep(longer);
    gate.signal("-TERM");
    assert!(gate.end().success());
    std::thread::sleep(longer);
    println!("\ncheck watchdog-fed: ok fed and stopped cleanly, the machine goes on for {} s", longer.as_secs());

    gate.again();
    gate.wait_for("the press", |_| chip.level(LINE));
    gate.signal("-STOP");
    println!("{LAST_WORDS}");
    std::thread::sleep(longer * 3);
    panic!("nothing reset the machine");
}

/// What the machine's end was, as the host saw it.
pub fn look_at_the_end() {
    let Some(report) = machine::report() else { return };
    report.expect("watchdog-fed");
    let end = format!("the machine told:\n{}\n\nits kernel:\n{}", report.told, report.console);
    assert!(report.told.contains(LAST_WORDS), "{end}");
    assert!(report.console.contains("softdog: Initiating system reboot"), "{end}");
    assert!(!report.told.contains("nothing reset the machine"), "{end}");
}
