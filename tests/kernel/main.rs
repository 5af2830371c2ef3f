//! plategate on a real kernel: Debian's own, in QEMU, with the kernel's simulated pins (gpio-sim), camera (vivid), watchdog
//! (softdog) and faulty disks (dm-flakey).
//!
//! `make test` makes the machine ready (`scripts/kernel`). One boot serves all tests here: this very program runs again in
//! the machine, over the host's files, as [`inside_the_machine`]; it makes one check after the other against the real
//! `plategate`, and each test outside looks up what became of its check. `PLATEGATE_TEST_TALK=1` shows the machine's words
//! as they come.

mod camera;
mod checks;
mod disks;
mod gate;
mod inputs;
mod machine;
mod pins;
mod watchdog;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use plategate::camera::rendered::{Arrival, Scene};
use plategate::picture::Picture;
use plategate::plate::Colour;

/// What the machine is to do: run this program again, with the pictures of a car at the gate.
fn job(folder: &Path) {
    let run = folder.join("run");
    let program = std::env::current_exe().unwrap();
    let arguments = "--ignored --exact inside_the_machine --nocapture --test-threads 1";
    std::fs::write(&run, format!("#!/bin/sh\nexec '{}' {arguments}\n", program.display())).unwrap();
    std::fs::set_permissions(&run, std::fs::Permissions::from_mode(0o755)).unwrap();
    if let Ok(checks) = std::env::var("PLATEGATE_CHECKS") {
        std::fs::write(folder.join("checks"), checks).unwrap();
    }
    lane(&folder.join("lane"));
}

/// Half-size pictures of a registered car that waits: an emulated machine reads them in a moment.
fn lane(folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    let plate = gate::PLATE.parse().unwrap();
    let car = Arrival { plate, colour: Colour::Blue, night: false, hold: Duration::ZERO };
    let (mut scene, mut picture) = (Scene::new(7), Picture::default());
    for n in 0..8u8 {
        // It rolls to and fro a little: however few of the pictures are looked at, they are of one car.
        let metres = 4.4 + 0.04 * f32::from(n.abs_diff(4));
        scene.paint(Some((&car, metres)), false, false, &mut picture);
        std::fs::write(folder.join(format!("{n:02}.jpg")), picture.shrunk_to(960).to_jpeg(90).unwrap()).unwrap();
    }
}

/// Looks up one check of the machine.
fn look_up(name: &str) {
    if let Some(report) = machine::report() {
        report.expect(name);
    }
}

#[test]
fn one_pulse_of_the_set_length_from_a_line_that_is_named_and_given_back() {
    look_up("pulse");
}

#[test]
fn kill_9_and_a_stop_in_the_middle_of_a_pulse_let_go_and_a_start_does_not_click() {
    look_up("killed");
}

#[test]
fn an_active_low_relay_is_off_at_start_and_after_kill_9() {
    look_up("active-low");
}

#[test]
fn a_camera_that_is_unplugged_or_stalls_is_told_and_comes_back() {
    look_up("camera");
}

#[test]
fn the_button_and_the_fire_alarm_open_and_a_glitch_does_not() {
    look_up("inputs");
}

#[test]
fn a_power_cut_that_takes_everything_unflushed_loses_nothing_acknowledged() {
    look_up("power-cuts");
}

#[test]
fn a_disk_that_refuses_to_write_is_one_line_and_loses_nothing() {
    look_up("disk-errors");
}

#[test]
fn a_full_disk_is_one_line_and_loses_nothing() {
    look_up("disk-full");
}

#[test]
fn the_gate_opens_while_its_disk_is_sick() {
    look_up("disk-sick");
}

#[test]
fn the_watchdog_is_fed_and_resets_a_gate_that_stands_still() {
    watchdog::look_at_the_end();
}

/// The checks themselves; elsewhere than in the machine there is nothing to check.
#[test]
#[ignore = "runs in the test machine"]
fn inside_the_machine() {
    if std::env::var_os("PLATEGATE_TEST_MACHINE").is_some() {
        checks::run();
    }
}
