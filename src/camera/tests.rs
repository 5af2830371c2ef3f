//! The camera room with scripted drivers: what is live, what is lost, what hangs.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use super::*;

const QUICK: supervisor::Limits = supervisor::Limits {
    open: Duration::from_millis(300),
    read: Duration::from_millis(300),
    longest_pause: Duration::from_secs(1),
};

/// A driver that does what its function says.
struct Scripted<F>(F);

impl<F: FnMut(&mut Picture) -> Result<Got, CameraError>> FrameSource for Scripted<F> {
    fn read(&mut self, into: &mut Picture) -> Result<Got, CameraError> {
        (self.0)(into)
    }
}

fn fill(into: &mut Picture, width: usize, value: u8) {
    (into.width, into.height) = (width, 2);
    into.bgr.clear();
    into.bgr.resize(width * 6, value);
}

fn wait_for(camera: &Camera, wanted: impl Fn(&CameraState) -> bool) -> CameraState {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20) {
        let state = camera.state();
        if wanted(&state) {
            return state;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("still {:?}", camera.state());
}

#[test]
fn only_the_newest_frame_is_handed_out_and_its_memory_is_used_again() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Arc::new(parking_lot::Mutex::new(wait));
    let count = Arc::new(AtomicU32::new(0));
    let counted = count.clone();
    let open: Opener = Box::new(move || {
        let (wait, count) = (wait.clone(), counted.clone());
        Ok(Box::new(Scripted(move |into: &mut Picture| {
            if count.load(Ordering::SeqCst) >= 10 {
                let _ = wait.lock().recv_timeout(Duration::from_millis(200));
            }
            fill(into, 4, count.fetch_add(1, Ordering::SeqCst) as u8);
            Ok(Got::Frame)
        })))
    });
    let camera = Camera::with(open, QUICK, "scripted".into());
    while count.load(Ordering::SeqCst) < 10 {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(50));
    let mut frame = None;
    assert!(camera.next(&mut frame, Duration::from_secs(2)));
    let first = frame.as_ref().unwrap();
    assert!(first.picture.bgr[0] >= 9, "an old frame: {}", first.picture.bgr[0]);
    let sequence = first.sequence;
    go.send(()).unwrap();
    assert!(camera.next(&mut frame, Duration::from_secs(2)));
    assert!(frame.as_ref().unwrap().sequence > sequence);
}

#[test]
fn a_driver_that_hangs_is_left_behind_and_the_camera_opened_anew() {
    let opened = Arc::new(AtomicU32::new(0));
    let counted = opened.clone();
    let open: Opener = Box::new(move || {
        let hangs = counted.fetch_add(1, Ordering::SeqCst) == 0;
        Ok(Box::new(Scripted(move |into: &mut Picture| {
            std::thread::sleep(if hangs { Duration::from_secs(30) } else { Duration::from_millis(10) });
            fill(into, 4, 1);
            Ok(Got::Frame)
        })))
    });
    let mut camera = Camera::with(open, QUICK, "scripted".into());
    let lost = wait_for(&camera, |s| matches!(s, CameraState::Lost { .. }));
    assert!(matches!(lost, CameraState::Lost { reason, .. } if reason.contains("no frame")));
    wait_for(&camera, |s| matches!(s, CameraState::Live { width: 4, height: 2 }));
    let begun = Instant::now();
    camera.stop();
    assert!(begun.elapsed() < Duration::from_secs(2), "stopping waited for the driver");
}

#[test]
fn errors_empty_frames_panics_and_changing_sizes_are_states() {
    // Each goes on until it was seen: a loaded machine looks seldom.
    let step = Arc::new(AtomicU32::new(0));
    let stepped = step.clone();
    let open: Opener = Box::new(move || {
        let (step, mut frames) = (stepped.clone(), 0);
        Ok(Box::new(Scripted(move |into: &mut Picture| match step.load(Ordering::SeqCst) {
            0 => Err(CameraError("unplugged".into())),
            1 => {
                fill(into, 0, 0);
                Ok(Got::Frame)
            }
            2 => panic!("a driver that panics"),
            _ => {
                std::thread::sleep(Duration::from_millis(20));
                frames += 1;
                fill(into, 4 + frames / 20 % 2, 0);
                Ok(Got::Frame)
            }
        })))
    });
    let camera = Camera::with(open, QUICK, "scripted".into());
    for reason in ["unplugged", "empty frames", "driver failed"] {
        wait_for(&camera, |s| matches!(s, CameraState::Lost { reason: r, .. } if r.contains(reason)));
        step.fetch_add(1, Ordering::SeqCst);
    }
    for width in [4, 5] {
        wait_for(&camera, |s| matches!(s, CameraState::Live { width: w, .. } if *w == width));
    }
}

#[test]
fn no_frame_from_before_a_loss_is_handed_out() {
    let open: Opener = Box::new(|| {
        let mut frames = 0;
        Ok(Box::new(Scripted(move |into: &mut Picture| {
            frames += 1;
            fill(into, 4, 0);
            if frames < 3 { Ok(Got::Frame) } else { Err(CameraError("gone".into())) }
        })))
    });
    let camera = Camera::with(open, QUICK, "scripted".into());
    wait_for(&camera, |s| matches!(s, CameraState::Lost { .. }));
    assert!(!camera.next(&mut None, Duration::from_millis(1)));
}

#[test]
fn a_folder_passes_over_what_is_no_picture() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.jpg"), "").unwrap();
    std::fs::write(folder.path().join("b.jpg"), b"\xff\xd8\xff\xe0 broken").unwrap();
    std::fs::write(folder.path().join("c.jpg"), Picture::filled(32, 16, [1, 2, 3]).to_jpeg(80).unwrap()).unwrap();
    let mut source = folder::Folder::open(folder.path(), 200, 1).unwrap();
    let mut picture = Picture::default();
    for _ in 0..3 {
        assert_eq!(source.read(&mut picture).unwrap(), Got::Frame);
        assert_eq!((picture.width, picture.height), (32, 16));
    }
    std::fs::remove_file(folder.path().join("c.jpg")).unwrap();
    assert!(source.read(&mut picture).unwrap_err().to_string().contains("readable"));
    assert!(folder::Folder::open(&folder.path().join("none"), 25, 1).is_err());
}

#[test]
fn cameras_that_are_not_there_are_lost_with_a_reason() {
    for (source, reason) in [
        ("v4l2:/dev/video99", "no such camera"),
        ("file:/nonexistent.mp4", "No such file"),
        ("rtsp://127.0.0.1:1/live", "refused"),
        ("folder:/nonexistent", "No such file"),
        ("gstreamer:nosuchelement ! appsink", "gst-launch"),
    ] {
        let settings = config::Camera { source: source.parse().unwrap(), ..Default::default() };
        let camera = Camera::start(&settings, rendered::Script::empty());
        let state = wait_for(&camera, |s| matches!(s, CameraState::Lost { .. }));
        assert!(matches!(&state, CameraState::Lost { reason: r, .. } if r.contains(reason)), "{source}: {state:?}");
    }
}

#[test]
fn a_video_file_is_played_to_its_end_and_a_broken_one_is_lost() {
    use opencv::prelude::*;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lane.avi");
    let fourcc = opencv::videoio::VideoWriter::fourcc('M', 'J', 'P', 'G').unwrap();
    let size = opencv::core::Size::new(64, 48);
    let mut writer = opencv::videoio::VideoWriter::new(path.to_str().unwrap(), fourcc, 50.0, size, true).unwrap();
    let grey = opencv::core::Scalar::all(90.0);
    let mat = opencv::core::Mat::new_rows_cols_with_default(48, 64, opencv::core::CV_8UC3, grey).unwrap();
    for _ in 0..12 {
        writer.write(&mat).unwrap();
    }
    writer.release().unwrap();
    assert_eq!(video_frames(&path).unwrap().filter(Result::is_ok).count(), 12);

    let source = |path: &std::path::Path| Source::File(path.to_path_buf());
    let settings = config::Camera { source: source(&path), ..Default::default() };
    let camera = Camera::start(&settings, rendered::Script::empty());
    let mut frame = None;
    assert!(camera.next(&mut frame, Duration::from_secs(10)));
    assert_eq!((frame.as_ref().unwrap().picture.width, frame.as_ref().unwrap().picture.height), (64, 48));
    while camera.next(&mut frame, Duration::from_millis(500)) {}
    assert_eq!(camera.state(), CameraState::Ended);

    let broken = folder.path().join("broken.mp4");
    std::fs::write(&broken, b"\0\0\0\x18ftypmp42 and nothing more").unwrap();
    let settings = config::Camera { source: source(&broken), ..Default::default() };
    let camera = Camera::start(&settings, rendered::Script::empty());
    wait_for(&camera, |s| matches!(s, CameraState::Lost { .. }));
}

/// A short video whose frames are JPEG.
fn motion_jpeg(path: &std::path::Path) {
    use opencv::core::{CV_8UC3, Mat, Scalar, Size};
    use opencv::videoio::{CAP_OPENCV_MJPEG, VideoWriter, VideoWriterTrait};
    let fourcc = VideoWriter::fourcc('M', 'J', 'P', 'G').unwrap();
    let name = path.to_str().unwrap();
    let mut video =
        VideoWriter::new_with_backend(name, CAP_OPENCV_MJPEG, fourcc, 25.0, Size::new(640, 352), true).unwrap();
    for grey in [60.0, 120.0, 180.0] {
        let frame = Mat::new_rows_cols_with_default(352, 640, CV_8UC3, Scalar::all(grey)).unwrap();
        video.write(&frame).unwrap();
    }
    video.release().unwrap();
}

#[test]
fn jpeg_frames_are_decoded_at_a_fraction_where_asked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lane.avi");
    motion_jpeg(&file);
    for (scale, size) in [(1, (640, 352)), (2, (320, 176)), (4, (160, 88))] {
        let settings = config::Camera { source: Source::File(file.clone()), decode_scale: scale, ..Default::default() };
        let mut capture = capture::Capture::open(&settings).unwrap();
        let mut picture = Picture::default();
        for grey in [60u8, 120, 180] {
            assert_eq!(capture.read(&mut picture).unwrap(), Got::Frame);
            assert_eq!((picture.width, picture.height, picture.bgr.len()), (size.0, size.1, size.0 * size.1 * 3));
            assert!(picture.bgr.iter().all(|byte| byte.abs_diff(grey) < 4), "1/{scale}: {}", picture.bgr[0]);
        }
        assert_eq!(capture.read(&mut picture).unwrap(), Got::End);
    }
}
