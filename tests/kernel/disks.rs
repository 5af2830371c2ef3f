//! Disks that fail under the store: the kernel's own faulty one (dm-flakey) with an ext4 on it.
//!
//! A power cut is: at one moment the program stands still and nothing more reaches the disk, neither what it had written and
//! not flushed nor what the file system had. Then the disk is looked at anew, as after a start.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::camera::modprobe;
use super::checks::{LINE, NAMES, config};
use super::gate::Gate;
use super::pins::Chip;

const SEED: u64 = 9;
const CUTS: u64 = 6;
const PATIENCE: Duration = Duration::from_secs(120);
const NODE: &str = "/dev/mapper/flaky";
const LOOP: &str = "/dev/loop7";
const IMAGE: &str = "/run/disk.img";
const PLACE: &str = "/mnt/flaky";

/// What the disk does.
#[derive(Clone, Copy)]
enum Kind {
    /// As it should.
    Whole,
    /// Takes every write and keeps none.
    Deaf,
    /// Refuses every write.
    Broken,
}

/// A small disk in memory, with a file system; dropping it takes it away.
struct Disk {
    sectors: u64,
}

impl Disk {
    fn new(megabytes: u64) -> Disk {
        for module in ["crc32c_generic", "loop", "dm-mod", "dm-flakey", "ext4"] {
            modprobe(&[module]);
        }
        File::create(IMAGE).unwrap().set_len(megabytes << 20).unwrap();
        std::fs::create_dir_all(PLACE).unwrap();
        let disk = Disk { sectors: megabytes << 11 };
        sh(&["losetup", LOOP, IMAGE]);
        sh(&["dmsetup", "create", "flaky", "--table", &disk.table(Kind::Whole)]);
        sh(&["mke2fs", "-q", "-t", "ext4", NODE]);
        disk.mount();
        disk
    }

    fn table(&self, kind: Kind) -> String {
        let sectors = self.sectors;
        match kind {
            Kind::Whole => format!("0 {sectors} linear {LOOP} 0"),
            Kind::Deaf => format!("0 {sectors} flakey {LOOP} 0 0 36000 1 drop_writes"),
            Kind::Broken => format!("0 {sectors} flakey {LOOP} 0 0 36000 1 error_writes"),
        }
    }

    fn becomes(&self, kind: Kind) {
        // Nothing is written for the sake of the change: that would be a kind power cut.
        sh(&["dmsetup", "suspend", "--noflush", "--nolockfs", "flaky"]);
        sh(&["dmsetup", "load", "flaky", "--table", &self.table(kind)]);
        sh(&["dmsetup", "resume", "flaky"]);
    }

    fn mount(&self) {
        sh(&["mount", "-t", "ext4", "-o", "errors=remount-ro", NODE, PLACE]);
    }

    /// Whole again, and mounted as after a start.
    fn start_anew(&self) {
        sh(&["umount", PLACE]);
        self.becomes(Kind::Whole);
        self.mount();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        for command in [&["umount", PLACE][..], &["dmsetup", "remove", "--force", "flaky"], &["losetup", "-d", LOOP]] {
            let _ = run(command);
        }
        let _ = std::fs::remove_file(IMAGE);
    }
}

fn run(command: &[&str]) -> Output {
    // There is no udev here that would make the nodes.
    Command::new(command[0]).args(&command[1..]).env("DM_DISABLE_UDEV", "1").output().unwrap()
}

fn sh(command: &[&str]) {
    let output = run(command);
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The drill's work on that disk, and what it has acknowledged so far.
struct Work {
    child: Child,
    said: PathBuf,
}

impl Work {
    fn start(from: u64, most: u64) -> Work {
        let said = PathBuf::from("/run/acknowledged");
        let child = Command::new(env!("CARGO_BIN_EXE_plategate"))
            .args(["drill", "work", "--seed", &SEED.to_string(), "--from", &from.to_string()])
            .args(["--most", &most.to_string(), "--data", &format!("{PLACE}/data")])
            .stdout(File::create(&said).unwrap())
            .stderr(File::create("/run/complaint").unwrap())
            .spawn()
            .unwrap();
        Work { child, said }
    }

    fn acknowledged(&self) -> Vec<u64> {
        let text = std::fs::read_to_string(&self.said).unwrap();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| line.parse().unwrap()).collect()
    }

    fn wait_for(&mut self, count: usize) {
        let begun = Instant::now();
        while self.acknowledged().len() < count {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the work ended ({status}): {}", complaint());
            }
            assert!(begun.elapsed() < PATIENCE, "{:?} acknowledged", self.acknowledged());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn end(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the work does not end");
    }

    fn signal(&self, name: &str) {
        sh(&["kill", name, &self.child.id().to_string()]);
    }
}

fn complaint() -> String {
    std::fs::read_to_string("/run/complaint").unwrap().trim().to_owned()
}

/// Opens what is on the disk and compares; gives the last change that is there.
fn prove(acknowledged: u64) -> u64 {
    let output = Command::new(env!("CARGO_BIN_EXE_plategate"))
        .args(["drill", "prove", "--seed", &SEED.to_string(), "--acknowledged", &acknowledged.to_string()])
        .args(["--data", &format!("{PLACE}/data")])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let told: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e} after {acknowledged}: {}", String::from_utf8_lossy(&output.stdout)));
    assert!(output.status.success() && told["lost"] == 0, "after {acknowledged}: {told}");
    told["there"].as_u64().unwrap()
}

/// The power goes while the program works.
pub fn cuts() -> String {
    let disk = Disk::new(48);
    let (mut there, mut unheard) = (0, 0);
    for n in 0..CUTS {
        let mut work = Work::start(there + 1, 500);
        work.wait_for(2 + 3 * (n as usize % 4));
        // At some moment of whatever it is doing now.
        std::thread::sleep(Duration::from_millis(7 * n));
        work.signal("-STOP");
        let acknowledged = work.acknowledged().last().copied().unwrap_or(there);
        disk.becomes(Kind::Deaf);
        work.signal("-KILL");
        work.end();
        disk.start_anew();
        let found = prove(acknowledged);
        unheard += found - acknowledged;
        there = found;
    }
    format!(
        "{CUTS} cuts with everything unflushed lost: {there} changes acknowledged or there, {unheard} of them unheard, none lost"
    )
}

/// The disk refuses to write in the middle of the work, and the file system becomes read-only.
pub fn errors() -> String {
    let disk = Disk::new(48);
    let mut work = Work::start(1, 500);
    work.wait_for(5);
    disk.becomes(Kind::Broken);
    assert!(!work.end(), "it went on without a disk");
    let told = complaint();
    let last = told.lines().last().unwrap_or_default().to_owned();
    assert!(last.starts_with("plategate: "), "{told}");
    let acknowledged = *work.acknowledged().last().unwrap();
    // Read-only by now, or still refusing: one line, and nothing pretends to be saved.
    let add = Command::new(env!("CARGO_BIN_EXE_plategate"))
        .args(["plates", "add", "苏F12345", "--household", "2-301", "--data", &format!("{PLACE}/data")])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&add.stderr).into_owned();
    assert!(add.status.code() == Some(1) && error.lines().any(|line| line.starts_with("plategate: ")), "{error}");
    disk.start_anew();
    let there = prove(acknowledged);
    assert!(Work::start(there + 1, 3).end(), "{}", complaint());
    format!(
        "after {acknowledged} changes: '{last}'; then '{}'; afterwards all there",
        error.lines().last().unwrap_or_default()
    )
}

/// The disk is full.
pub fn full() -> String {
    let disk = Disk::new(24);
    assert!(Work::start(1, 20).end(), "{}", complaint());
    let filler = Path::new(PLACE).join("filler");
    // dd ends with an error when the disk is full, as it should.
    let _ = run(&["dd", "if=/dev/zero", &format!("of={}", filler.display()), "bs=64k"]);
    sh(&["sync"]);
    let mut work = Work::start(21, 2000);
    assert!(!work.end(), "it went on on a full disk");
    let told = complaint();
    let last = told.lines().last().unwrap_or_default().to_owned();
    assert!(last.contains("full"), "{told}");
    let acknowledged = work.acknowledged().last().copied().unwrap_or(20);
    std::fs::remove_file(filler).unwrap();
    let there = prove(acknowledged);
    assert!(Work::start(there + 1, 10).end(), "{}", complaint());
    prove(there + 10);
    drop(disk);
    format!("after {acknowledged} changes: '{last}'; with room again it goes on")
}

/// A car comes while nothing can be written: the gate opens all the same.
pub fn sick() -> String {
    let disk = Disk::new(48);
    let chip = Chip::new("gate", &NAMES);
    let lane = "camera.source = \"folder:/run/lane\"\ncamera.fps = 3\n";
    let mut gate = Gate::start_in(Some(&Path::new(PLACE).join("data")), &config(lane, &chip, 500));
    gate.wait_for("the page", |gate| gate.log().contains("camera lost"));
    disk.becomes(Kind::Broken);
    sh(&["cp", "-r", "/job/lane", "/run/lane.part"]);
    std::fs::rename("/run/lane.part", "/run/lane").unwrap();
    gate.wait_for("the press", |_| chip.level(LINE));
    gate.wait_for("the release", |_| !chip.level(LINE));
    gate.wait_for("the complaint", |gate| gate.log().contains("could not be put on record"));
    gate.signal("-KILL");
    gate.end();
    disk.start_anew();
    // The card has become read-only, and the box starts anew.
    sh(&["umount", PLACE]);
    sh(&["mount", "-t", "ext4", "-o", "ro", NODE, PLACE]);
    gate.again();
    gate.wait_for("the press on a read-only disk", |_| chip.level(LINE));
    assert!(gate.log().contains("the gate runs from memory"), "{}", gate.log());
    gate.signal("-TERM");
    assert!(gate.end().success());
    std::fs::remove_dir_all("/run/lane").unwrap();
    "the disk refuses every write, and is read-only at the next start: a registered car was let in both times".into()
}
