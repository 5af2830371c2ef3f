//! The binary at its wires: relay boards on a network and on serial ports, and the signs of life it gives to systemd and to
//! the hardware's watchdog.

use std::future::{Ready, ready};
use std::io::{Read, Write};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serialport::{SerialPort, TTYPort};
use tokio_modbus::server::{Service, tcp};
use tokio_modbus::{ExceptionCode, Request, Response};

fn config(folder: &Path, text: &str) -> String {
    let file = folder.join("gate.toml");
    let data = folder.join("data");
    std::fs::write(&file, format!("[data]\nfolder = {data:?}\n{text}")).unwrap();
    file.display().to_string()
}

fn doctor(config: &str, arguments: &[&str], typed: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_plategate"))
        .args(["doctor", "--config", config])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// A relay board whose third input follows its first coil, as an arm's end switch does.
#[derive(Default)]
struct Board(Mutex<Vec<(u16, bool)>>);

impl Service for Board {
    type Request = Request<'static>;
    type Response = Response;
    type Exception = ExceptionCode;
    type Future = Ready<Result<Response, ExceptionCode>>;

    fn call(&self, asked: Request<'static>) -> Self::Future {
        let was_pressed = || self.0.lock().unwrap().iter().any(|(_, on)| *on);
        ready(match asked {
            Request::WriteSingleCoil(coil, on) => {
                self.0.lock().unwrap().push((coil, on));
                Ok(Response::WriteSingleCoil(coil, on))
            }
            Request::ReadCoils(_, 1) => Ok(Response::ReadCoils(vec![false])),
            Request::ReadDiscreteInputs(2, 1) => Ok(Response::ReadDiscreteInputs(vec![was_pressed()])),
            _ => Err(ExceptionCode::IllegalDataAddress),
        })
    }
}

fn serve(runtime: &tokio::runtime::Runtime) -> (Arc<Board>, std::net::SocketAddr) {
    let board = Arc::new(Board::default());
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let (address, theirs) = (listener.local_addr().unwrap(), board.clone());
    runtime.spawn(async move {
        let connected = |stream, from| {
            let board = theirs.clone();
            async move { tcp::accept_tcp_connection(stream, from, move |_| Ok(Some(board.clone()))) }
        };
        tcp::Server::new(listener).serve(&connected, |_| {}).await
    });
    (board, address)
}

#[test]
fn a_guided_press_on_a_network_board_moves_one_coil_and_sees_the_arm_go_up() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (board, address) = serve(&runtime);
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[barrier]\noutput = \"modbus\"\ncoil = 0\npulse_ms = 100\n[modbus]\nboard = \"tcp:{address}\"\ntimeout_ms = 2000\n\
         [inputs]\narm_up = {{ modbus = 2 }}\n"
    );
    let config = config(folder.path(), &text);
    let looked: serde_json::Value = serde_json::from_slice(&doctor(&config, &["--json"], "").stdout).unwrap();
    let checks = looked["checks"].as_array().unwrap();
    let detail = |name: &str| {
        let check = checks.iter().find(|c| c["name"] == name).unwrap_or_else(|| panic!("no {name}: {looked}"));
        (check["status"].as_str().unwrap().to_owned(), check["detail"].as_str().unwrap().to_owned())
    };
    assert!(detail("open").0 == "ok" && detail("open").1.contains("coil 0: released"), "{looked}");
    assert!(detail("arm_up").0 == "ok" && detail("arm_up").1.contains("input 2: clear"), "{looked}");
    // Looking moves nothing, and neither does a "no".
    assert!(!doctor(&config, &["--pulse"], "no\n").status.success());
    assert!(board.0.lock().unwrap().iter().all(|(coil, on)| *coil == 0 && !on));

    board.0.lock().unwrap().clear();
    let pressed = doctor(&config, &["--pulse"], "yes\n");
    let told = String::from_utf8_lossy(&pressed.stdout).into_owned();
    assert!(pressed.status.success(), "{told}{}", String::from_utf8_lossy(&pressed.stderr));
    assert!(told.contains("the arm went up"), "{told}");
    let switched = board.0.lock().unwrap().clone();
    assert_eq!(switched.iter().filter(|(_, on)| *on).count(), 1, "{switched:?}");
    assert_eq!((switched.first(), switched.last()), (Some(&(0, false)), Some(&(0, false))));
}

#[test]
fn a_guided_press_on_a_usb_relay_sends_its_frames() {
    let (mut board, mut ours) = TTYPort::pair().unwrap();
    board.set_timeout(Duration::from_millis(200)).unwrap();
    ours.set_exclusive(false).unwrap();
    let path = ours.name().unwrap();
    // A plain handle keeps the far end alive; the crate's own would keep the program out.
    let _kept = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    drop(ours);
    let folder = tempfile::tempdir().unwrap();
    let text = format!("[barrier]\noutput = \"serial\"\nport = \"{path}\"\nrelay = 2\npulse_ms = 100\n");
    let config = config(folder.path(), &text);
    let pressed = doctor(&config, &["--pulse"], "yes\n");
    let told = String::from_utf8_lossy(&pressed.stdout).into_owned();
    assert!(pressed.status.success(), "{told}{}", String::from_utf8_lossy(&pressed.stderr));
    let mut sent = Vec::new();
    let _ = board.read_to_end(&mut sent);
    let (on, off) = ([0xA0, 0x02, 0x01, 0xA3], [0xA0, 0x02, 0x00, 0xA2]);
    let frames: Vec<&[u8]> = sent.chunks(4).collect();
    assert_eq!(frames.iter().filter(|f| ***f == on).count(), 1, "{frames:?}");
    assert!(frames.len() >= 3 && frames[0] == off && frames[1] == on && frames[2] == off, "{frames:?}");
    assert!(frames.iter().skip(2).all(|f| **f == off), "{frames:?}");
}

struct Gate(std::process::Child);

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn signs_of_life_come_while_the_gate_is_alive_and_only_then() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, device) = (folder.path().join("notify"), folder.path().join("watchdog9"));
    std::fs::write(&device, "").unwrap();
    let systemd = UnixDatagram::bind(&socket).unwrap();
    let config = config(
        folder.path(),
        &format!(
            "[camera]\nsource = \"rendered\"\nfps = 5\n[watchdog]\ndevice = {device:?}\n[web]\nlisten = \"127.0.0.1:0\"\n"
        ),
    );
    let child = Command::new(env!("CARGO_BIN_EXE_plategate"))
        .args(["run", "--config", &config])
        .env("NOTIFY_SOCKET", &socket)
        .env("WATCHDOG_USEC", "2000000")
        .env_remove("WATCHDOG_PID")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut gate = Gate(child);
    let heard = |what: &str, within: Duration| {
        let (begun, mut buffer) = (Instant::now(), [0; 256]);
        while begun.elapsed() < within {
            systemd.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            if let Ok(n) = systemd.recv(&mut buffer)
                && String::from_utf8_lossy(&buffer[..n]).lines().any(|line| line == what)
            {
                return true;
            }
        }
        false
    };
    let long = Duration::from_secs(60);
    assert!(heard("READY=1", long));
    assert!(heard("WATCHDOG=1", long) && heard("WATCHDOG=1", long));
    assert!(std::fs::read(&device).unwrap().starts_with(b"\0"));

    // One that stands still says nothing, and goes on where it was.
    let signal = |name: &str| {
        assert!(Command::new("kill").args([name, &gate.0.id().to_string()]).status().unwrap().success());
    };
    signal("-STOP");
    while heard("WATCHDOG=1", Duration::from_millis(300)) {}
    assert!(!heard("WATCHDOG=1", Duration::from_secs(3)));
    signal("-CONT");
    assert!(heard("WATCHDOG=1", long));

    // A clean stop closes the hardware's watchdog; it does not restart the box.
    assert!(!std::fs::read(&device).unwrap().ends_with(b"V"));
    signal("-TERM");
    assert!(heard("STOPPING=1", long));
    assert!(gate.0.wait().unwrap().success());
    assert!(std::fs::read(&device).unwrap().ends_with(b"V"));
}
