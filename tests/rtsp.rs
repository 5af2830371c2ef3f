//! A real RTSP server on loopback (GStreamer's), killed, stalled and restarted under the camera.
//!
//! `make test` installs what it needs: python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-{base,good,bad,ugly}.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
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
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Server {
    fn start(frames: &Path, codec: &str, port: u16) -> Server {
        Server::with(frames, [codec, &WIDTH.to_string(), &HEIGHT.to_string()], port, None)
    }

    fn with(frames: &Path, [codec, width, height]: [&str; 3], port: u16, sign_in: Option<&str>) -> Server {
        let mut child = Command::new("/usr/bin/python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rtsp/server.py"))
            .args([&port.to_string(), codec, width, height, &FPS.to_string()])
            .arg(frames)
            .args(sign_in)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is needed: run `make test`, which installs it");
        let mut line = String::new();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        answers.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "ready", "the RTSP server did not start: run `make test`, which installs its packages");
        let commands = child.stdin.take().unwrap();
        Server { child, port, commands, answers }
    }

    /// See server.py.
    fn command(&mut self, line: &str) {
        writeln!(self.commands, "{line}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert_eq!(answer.trim(), "done", "{line}");
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
    camera_at(&format!("rtsp://127.0.0.1:{port}/lane"))
}

/// As it is configured by default.
fn camera_at(address: &str) -> Camera {
    // As the program does it; no test has started a thread of its own before.
    static PREPARED: std::sync::Once = std::sync::Once::new();
    PREPARED.call_once(plategate::camera::prepare_environment);
    let settings = config::Camera { source: address.parse().unwrap(), ..Default::default() };
    Camera::start(&settings, Script::empty())
}

/// Waits until frames come again, and prints how long that took: figures for a person, on a machine that is not loaded.
fn recover(camera: &Camera, frame: &mut Option<Frame>, from: &str) {
    let begun = Instant::now();
    wait_for(camera, &format!("live after {from}"), live);
    assert!(camera.next(frame, Duration::from_secs(20)), "no frame after {from}");
    println!("{from}: frames {} ms after it was over", begun.elapsed().as_millis());
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
    recover(&camera, &mut frame, "a kill");

    server.signal("-STOP");
    wait_for(&camera, "lost while the server stalls", lost);
    server.signal("-CONT");
    recover(&camera, &mut frame, "a stall");

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

fn reason(state: &CameraState) -> &str {
    match state {
        CameraState::Lost { reason, .. } => reason,
        other => panic!("not lost: {other:?}"),
    }
}

#[test]
fn a_stream_that_slows_down_is_spoilt_or_taken_away_is_told_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(&frames(folder.path()), "h264", free_port());
    let camera = camera(server.port);
    let mut frame = None;
    wait_for(&camera, "live", live);

    // One frame in ten seconds is no camera any more.
    server.command("fps 0.1");
    wait_for(&camera, "lost at 0.1 frames a second", lost);
    server.command("fps 10");
    recover(&camera, &mut frame, "0.1 frames a second");
    // A slow one still is, and its pace is known.
    server.command("fps 1");
    let begun = Instant::now();
    while !camera.watcher().fps().is_some_and(|fps| fps < 2.5) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", camera.watcher().fps());
        let _ = camera.next(&mut frame, Duration::from_millis(200));
    }
    server.command("fps 10");

    // Spoilt bytes: whatever the decoder makes of them, no crash, and the right numbers come again.
    server.command("garble 0.02");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        let _ = camera.next(&mut frame, Duration::from_millis(200));
    }
    server.command("garble 0");
    recover(&camera, &mut frame, "garbage");
    in_step(&camera, &mut frame);

    server.command("stop");
    let state = wait_for(&camera, "lost without a stream", |s| lost(s) && reason(s).contains("no such stream"));
    assert!(reason(&state).contains("check the path"), "{state:?}");
    server.command("go");
    recover(&camera, &mut frame, "a stream that was taken away");
    assert!(camera.watcher().losses() >= 2);
}

/// Frames are the ones of this moment again: of two looks, as many frames have passed as the time between them has room for.
fn in_step(camera: &Camera, frame: &mut Option<Frame>) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        assert!(camera.next(frame, Duration::from_secs(20)));
        let (before, at) = (number(frame.as_ref().unwrap()), frame.as_ref().unwrap().captured);
        std::thread::sleep(Duration::from_millis(500));
        assert!(camera.next(frame, Duration::from_secs(20)));
        let passed = (number(frame.as_ref().unwrap()) + FRAMES - before) % FRAMES;
        let time = frame.as_ref().unwrap().captured.duration_since(at).as_secs_f64();
        if (passed as f64 - time * FPS as f64).abs() < 4.0 {
            return;
        }
    }
    panic!("the frames are not the ones of the moment");
}

#[test]
fn a_camera_of_another_size_and_one_whose_clock_is_a_century_off_are_used_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let (frames, port) = (frames(folder.path()), free_port());
    let camera = camera(port);
    let mut server = Server::start(&frames, "h264", port);
    let is = |w: usize, h: usize| move |s: &CameraState| *s == CameraState::Live { width: w, height: h };
    wait_for(&camera, "live", is(WIDTH, HEIGHT));
    server.command("century");
    let mut frame = None;
    wait_for(&camera, "lost", lost);
    recover(&camera, &mut frame, "a clock of the year 1900");
    // When a frame was taken is this box's business.
    let taken = frame.as_ref().unwrap().taken_at;
    assert!(jiff::Timestamp::now().duration_since(taken).abs() < jiff::SignedDuration::from_secs(30), "{taken}");
    assert!(frame.as_ref().unwrap().captured.elapsed() < Duration::from_secs(30));
    drop(server);
    wait_for(&camera, "lost", lost);
    let _server = Server::with(&frames, ["h264", "160", "120"], port, None);
    wait_for(&camera, "live in another size", is(160, 120));
}

#[test]
fn a_refused_sign_in_is_named_without_the_password_and_works_again_once_it_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (frames, port) = (frames(folder.path()), free_port());
    let size = [WIDTH.to_string(), HEIGHT.to_string()];
    let mut server = Server::with(&frames, ["h264", &size[0], &size[1]], port, Some("gate:s3cret"));
    let (right, wrong, none) = (
        camera_at(&format!("rtsp://gate:s3cret@127.0.0.1:{port}/lane")),
        camera_at(&format!("rtsp://gate:guessed@127.0.0.1:{port}/lane")),
        camera_at(&format!("rtsp://127.0.0.1:{port}/lane")),
    );
    let told = wait_for(&wrong, "refused", |s| lost(s) && reason(s).contains("refuses the sign-in"));
    assert!(reason(&told).contains("password") && !reason(&told).contains("guessed"), "{told:?}");
    let told = wait_for(&none, "refused", |s| lost(s) && reason(s).contains("wants a user name"));
    assert!(!reason(&told).contains("s3cret"), "{told:?}");
    // The password in a file of its own.
    let file = folder.path().join("password");
    std::fs::write(&file, "s3cret\n").unwrap();
    let source = format!("rtsp://gate@127.0.0.1:{port}/lane").parse().unwrap();
    let settings = config::Camera { source, password_file: Some(file), ..Default::default() };
    let by_file = Camera::start(&settings, Script::empty());
    wait_for(&by_file, "live with the password of a file", live);
    drop(by_file);
    let mut frame = None;
    wait_for(&right, "live", live);
    server.command("refuse");
    wait_for(&right, "refused", |s| lost(s) && reason(s).contains("refuses the sign-in"));
    server.command("admit");
    recover(&right, &mut frame, "a refused sign-in");
}

#[test]
fn what_is_no_camera_is_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 2048]);
            let _ = stream.write_all(&[0x00, 0xff, b'\n', 0x24, 0x00].repeat(4000));
        }
    });
    let camera = camera(port);
    let state = wait_for(&camera, "lost", |s| lost(s) && reason(s).contains("speaks no RTSP"));
    assert!(reason(&state).contains("the right port"), "{state:?}");
}
