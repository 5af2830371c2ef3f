//! The kernel's simulated camera (vivid): frames come, it is unplugged and back, it stalls and goes on.

use std::fs::{File, write};
use std::path::Path;
use std::process::Command;

use rustix::ioctl::{Updater, ioctl, opcode};

use super::checks::{LINE, NAMES, config};
use super::gate::Gate;
use super::pins::Chip;

const DEVICE: &str = "/dev/video0";
const DRIVER: &str = "/sys/bus/platform/drivers/vivid";

/// The check.
pub fn check() -> String {
    modprobe(&["vivid", "node_types=0x1"]);
    let chip = Chip::new("gate", &NAMES);
    let camera = format!(
        "camera.source = \"v4l2:{DEVICE}\"\ncamera.width = 640\ncamera.height = 360\ncamera.fps = 15\n\
         camera.retry_at_most_s = 2\n"
    );
    let mut gate = Gate::start(&config(&camera, &chip, 500));
    let first = gate.wait_for("the first frame", Gate::is_ready);

    write(Path::new(DRIVER).join("unbind"), "vivid.0").unwrap();
    assert!(!Path::new(DEVICE).exists());
    let unplugged = gate.wait_for("the news of the loss", |gate| gate.log().contains("camera lost"));
    gate.wait_for("not ready", |gate| !gate.is_ready());
    write(Path::new(DRIVER).join("bind"), "vivid.0").unwrap();
    let back = gate.wait_for("frames after it is plugged in", Gate::is_ready);

    // Every frame is dropped: the driver answers, and nothing comes.
    set_control("Percentage of Dropped Buffers", 100);
    let stalled = gate.wait_for("the news of the stall", |gate| gate.log().contains("no frame for"));
    gate.wait_for("not ready", |gate| !gate.is_ready());
    set_control("Percentage of Dropped Buffers", 0);
    let on = gate.wait_for("frames after the stall", Gate::is_ready);
    assert!(!chip.level(LINE));
    gate.signal("-TERM");
    assert!(gate.end().success());
    let s = |time: std::time::Duration| time.as_secs_f64();
    format!(
        "live after {:.1} s; unplugged: told after {:.1} s, live {:.1} s after it was back; stalled: told after {:.1} s, live \
         {:.1} s after it went on",
        s(first),
        s(unplugged),
        s(back),
        s(stalled),
        s(on)
    )
}

/// Loads a module.
pub fn modprobe(arguments: &[&str]) {
    assert!(Command::new("busybox").arg("modprobe").args(arguments).status().unwrap().success(), "{arguments:?}");
}

/// `struct v4l2_queryctrl` of linux/videodev2.h.
#[repr(C)]
#[derive(Default)]
struct Query {
    id: u32,
    kind: u32,
    name: [u8; 32],
    range: [i32; 4],
    flags: u32,
    reserved: [u32; 2],
}

/// `struct v4l2_control`.
#[repr(C)]
struct Control {
    id: u32,
    value: i32,
}

const QUERY: rustix::ioctl::Opcode = opcode::read_write::<Query>(b'V', 36);
const SET: rustix::ioctl::Opcode = opcode::read_write::<Control>(b'V', 28);
/// Asks for the next one.
const NEXT: u32 = 0x8000_0000;

/// Sets one of the camera's controls, found by its name.
fn set_control(name: &str, value: i32) {
    let device = File::options().read(true).write(true).open(DEVICE).unwrap();
    let mut query = Query::default();
    loop {
        query.id |= NEXT;
        // SAFETY: the structure is the one that the kernel expects for this number.
        unsafe { ioctl(&device, Updater::<QUERY, Query>::new(&mut query)) }
            .unwrap_or_else(|e| panic!("no control {name}: {e}"));
        if query.name.starts_with(name.as_bytes()) {
            break;
        }
    }
    let mut control = Control { id: query.id, value };
    // SAFETY: as above.
    unsafe { ioctl(&device, Updater::<SET, Control>::new(&mut control)) }.unwrap();
}
