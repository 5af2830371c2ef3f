//! A real RTSP server on loopback (GStreamer's), killed, stalled and restarted under the camera.
//!
//! `make test` installs what it needs: python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-{base,good,bad,ugly}.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use plategate::camera::rendered::Script;
use plategate::camera::{Camera, CameraState, Frame};
use plategate::config;

const WIDTH: usize = 320;
const HEIGHT: usize = 240;
const FPS: u64 = 10;
/// Frames until the stream begins anew; each carries its number in eight big black or white blocks.
const FRAMES: usize = 200;

struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(frames: &Path, codec: &str, port: u16) -> Server {
        let mut child = Command::new("/usr/bin/python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rtsp/server.py"))
            .args([port.to_string(), codec.to_owned(), WIDTH.to_string(), HEIGHT.to_string(), FPS.to_string()])
            .arg(frames)
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is needed: run `make test`, which installs it");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "ready", "the RTSP server did not start: run `make test`, which installs its packages");
        Server { child, port }
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Frames with their number written in blocks, into a file.
fn frames(folder: &Path) -> PathBuf {
    let mut bytes = Vec::with_capacity(FRAMES * WIDTH * HEIGHT * 3);
    for n in 0..FRAMES {
        for _y in 0..HEIGHT {
            for x in 0..WIDTH {
                let bit = n >> (x / (WIDTH / 8)) & 1;
                bytes.extend([if bit == 1 { 235u8 } else { 20 }; 3]);
            }
        }
    }
    let path = folder.join("frames.bgr");
    std::fs::write(&path, bytes).unwrap();
    path
}

fn number(frame: &Frame) -> usize {
    let at = |bit: usize| {
        let x = bit * (WIDTH / 8) + WIDTH / 16;
        frame.picture.bgr[((HEIGHT / 2) * WIDTH + x) * 3]
    };
    (0..8).map(|bit| usize::from(at(bit) > 128) << bit).sum()
}

fn camera(port: u16) -> Camera {
    let settings = config::Camera {
        source: format!("rtsp://127.0.0.1:{port}/lane").parse().unwrap(),
        open_timeout_ms: 5000,
        read_timeout_ms: 2000,
        retry_at_most_s: 1,
        ..Default::default()
    };
    Camera::start(&settings, Script::empty())
}

fn wait_for(camera: &Camera, what: &str, wanted: impl Fn(&CameraState) -> bool) -> CameraState {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        let state = camera.state();
        if wanted(&state) {
            return state;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("not {what} within a minute: {:?}", camera.state());
}

fn live(state: &CameraState) -> bool {
    matches!(state, CameraState::Live { .. })
}

fn lost(state: &CameraState) -> bool {
    matches!(state, CameraState::Lost { .. })
}

#[test]
fn the_newest_frame_is_handed_out_and_a_killed_or_stalled_server_is_survived() {
    let folder = tempfile::tempdir().unwrap();
    let (frames, port) = (frames(folder.path()), free_port());
    let server = Server::start(&frames, "h264", port);
    let mut camera = camera(server.port);
    let mut frame = None;
    wait_for(&camera, "live", live);
    assert!(camera.next(&mut frame, Duration::from_secs(20)));
    assert_eq!((frame.as_ref().unwrap().picture.width, frame.as_ref().unwrap().picture.height), (WIDTH, HEIGHT));

    // A reader that was away for two seconds gets what is on the lane now, not what was buffered meanwhile.
    assert!(camera.next(&mut frame, Duration::from_secs(20)));
    let (before, begun) = (number(frame.as_ref().unwrap()), Instant::now());
    std::thread::sleep(Duration::from_secs(2));
    assert!(camera.next(&mut frame, Duration::from_secs(20)));
    let passed = (number(frame.as_ref().unwrap()) + FRAMES - before) % FRAMES;
    let expected = begun.elapsed().as_millis() as usize * FPS as usize / 1000;
    assert!(passed + 10 >= expected, "{passed} frames on after {expected} frames' time: old frames are handed out");
    assert!(frame.as_ref().unwrap().captured.elapsed() < Duration::from_secs(1));

    drop(server);
    let state = wait_for(&camera, "lost after the kill", lost);
    assert!(matches!(state, CameraState::Lost { reason, .. } if !reason.is_empty()));
    // What had arrived before the loss is not handed out after it.
    assert!(!camera.next(&mut frame, Duration::from_millis(50)) || live(&camera.state()));

    let server = Server::start(&frames, "h264", port);
    wait_for(&camera, "live after the restart", live);
    assert!(camera.next(&mut frame, Duration::from_secs(20)));

    server.signal("-STOP");
    wait_for(&camera, "lost while the server stalls", lost);
    server.signal("-CONT");
    wait_for(&camera, "live after the stall", live);
    assert!(camera.next(&mut frame, Duration::from_secs(20)));

    let begun = Instant::now();
    camera.stop();
    assert!(begun.elapsed() < Duration::from_secs(2), "stopping took {:?}", begun.elapsed());
}

#[test]
fn h265_is_read_too() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&frames(folder.path()), "h265", free_port());
    let camera = camera(server.port);
    wait_for(&camera, "live", live);
    let mut frame = None;
    assert!(camera.next(&mut frame, Duration::from_secs(20)));
    let first = number(frame.as_ref().unwrap());
    std::thread::sleep(Duration::from_millis(700));
    assert!(camera.next(&mut frame, Duration::from_secs(20)));
    assert_ne!(first, number(frame.as_ref().unwrap()));
}
