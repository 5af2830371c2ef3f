//! Disks with faults: one that loses every write that was not flushed (dm-flakey), a full one, one that can only be read.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use super::camera::modprobe;

const FILE: &str = "/tmp/disk";
const LOOP: &str = "/dev/loop0";
const DISK: &str = "/dev/mapper/flaky";
const PLACE: &str = "/tmp/mounted";
const SEED: &str = "96";
/// Sectors of 512 bytes.
const SECTORS: u64 = 192 << 11;
const POWER_CUTS: u64 = 3;

/// The check.
pub fn check() -> String {
    for module in ["loop", "crc32c_generic", "ext4", "dm-mod", "dm-flakey"] {
        modprobe(&[module]);
    }
    std::fs::File::create(FILE).unwrap().set_len(SECTORS * 512).unwrap();
    sh(&format!("busybox losetup {LOOP} {FILE}"));
    sh(&format!("dmsetup create flaky --noudevsync --noudevrules --table '{}'", table(true)));
    sh(&format!("mkfs.ext4 -q {DISK}; mkdir -p {PLACE}; mount {DISK} {PLACE}"));

    let mut there = 0;
    for cut in 1..=POWER_CUTS {
        let acknowledged = work_until_the_power_goes(there, 20 * cut);
        there = prove(acknowledged);
    }
    let after_cuts = there;

    // Full: the change that finds no room is refused, and everything before it is there.
    sh(&format!("busybox dd if=/dev/zero of={PLACE}/filler bs=64k 2>/dev/null; true"));
    let output = work(there + 1).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && told.contains("full") && told.lines().count() <= 2, "{told}");
    let heard = String::from_utf8_lossy(&output.stdout).lines().last().map_or(there, |line| line.parse().unwrap());
    std::fs::remove_file(Path::new(PLACE).join("filler")).unwrap();
    there = prove(heard);

    // Read-only: one line, and nothing is harmed.
    sh(&format!("mount -o remount,ro {PLACE}"));
    let output = work(there + 1).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && told.contains("can only be read"), "{told}");
    sh(&format!("mount -o remount,rw {PLACE}"));
    there = prove(there);
    sh(&format!("umount {PLACE}; dmsetup remove flaky --noudevsync --noudevrules; busybox losetup -d {LOOP}"));
    format!(
        "{POWER_CUTS} cuts that lose all unflushed writes: {after_cuts} changes there, none lost; full and read-only disk: \
         refused in one line, {there} there"
    )
}

fn table(writes_arrive: bool) -> String {
    match writes_arrive {
        true => format!("0 {SECTORS} linear {LOOP} 0"),
        false => format!("0 {SECTORS} flakey {LOOP} 0 0 3600 1 drop_writes"),
    }
}

/// The disk as it will be from now on; what the system has not written yet is not written for it.
fn set_table(writes_arrive: bool) {
    let options = "--noudevsync --noudevrules";
    sh(&format!(
        "dmsetup suspend --noflush --nolockfs flaky {options} && dmsetup load flaky --table '{}' && \
         dmsetup resume flaky {options}",
        table(writes_arrive)
    ));
}

fn data() -> std::path::PathBuf {
    Path::new(PLACE).join("data")
}

fn work(from: u64) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plategate"));
    command.args(["drill", "work", "--seed", SEED, "--from", &from.to_string(), "--data"]).arg(data());
    command
}

/// Works, and loses the power after so many more changes; gives the last that was acknowledged.
fn work_until_the_power_goes(there: u64, more: u64) -> u64 {
    let mut child = work(there + 1).stdout(Stdio::piped()).spawn().unwrap();
    let lines = listen(&mut child);
    let mut heard = there;
    while heard < there + more {
        heard = lines.recv_timeout(Duration::from_secs(120)).expect("the drill works").parse().unwrap();
    }
    let signal = |name: &str| sh(&format!("kill {name} {}", child.id()));
    // It stands still in the middle of whatever it does; what it has said by then counts, and nothing is written after it.
    signal("-STOP");
    std::thread::sleep(Duration::from_millis(300));
    heard = lines.try_iter().last().map_or(heard, |line| line.parse().unwrap());
    set_table(false);
    signal("-KILL");
    child.wait().unwrap();
    sh(&format!("umount {PLACE}"));
    set_table(true);
    sh(&format!("mount {DISK} {PLACE}"));
    heard
}

fn listen(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = channel();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(sender.send(line))));
    receiver
}

/// Everything that was acknowledged is there; gives the last change that is.
fn prove(acknowledged: u64) -> u64 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plategate"));
    command.args(["drill", "prove", "--seed", SEED, "--acknowledged", &acknowledged.to_string(), "--data"]).arg(data());
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {told}"));
    assert!(output.status.success() && report["lost"] == 0, "{report} {told}");
    report["there"].as_u64().unwrap()
}

fn sh(command: &str) {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}
