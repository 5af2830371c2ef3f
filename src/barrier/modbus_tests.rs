//! The board against a real Modbus server: over TCP on loopback, and over a pseudo-terminal as RTU.

use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio_modbus::server::{Service, rtu::Server as RtuServer, tcp as tcp_server};
use tokio_modbus::{ExceptionCode, SlaveRequest};
use tokio_serial::SerialStream;

use super::super::{Barrier, Outputs, Pulse, Rules};
use super::*;

/// A relay board with four coils and eight inputs.
#[derive(Default)]
struct Relays {
    switched: Mutex<Vec<(u16, bool)>>,
    inputs: Mutex<[bool; 8]>,
    /// It switches as it is told and does not answer that; readings it answers, so that no heartbeat notices before.
    mute: AtomicBool,
}

impl Service for Relays {
    type Request = SlaveRequest<'static>;
    type Response = Option<Response>;
    type Exception = ExceptionCode;
    type Future = Ready<Result<Option<Response>, ExceptionCode>>;

    fn call(&self, asked: SlaveRequest<'static>) -> Self::Future {
        let unanswered = matches!(asked.request, Request::WriteSingleCoil(..)) && self.mute.load(Ordering::Relaxed);
        let answer = match asked.request {
            _ if asked.slave != 1 => return ready(Ok(None)),
            Request::WriteSingleCoil(coil, on) if coil < 4 => {
                self.switched.lock().push((coil, on));
                Ok(Response::WriteSingleCoil(coil, on))
            }
            Request::ReadCoils(0..4, 1) => Ok(Response::ReadCoils(vec![false])),
            Request::ReadDiscreteInputs(first, count) if first + count <= 8 => {
                let range = usize::from(first)..usize::from(first + count);
                Ok(Response::ReadDiscreteInputs(self.inputs.lock()[range].to_vec()))
            }
            _ => Err(ExceptionCode::IllegalDataAddress),
        };
        if unanswered { ready(Ok(None)) } else { ready(answer.map(Some)) }
    }
}

/// A server that runs until it is dropped.
struct Served {
    relays: Arc<Relays>,
    runtime: Option<Runtime>,
    /// Our end of the pseudo-terminal must stay open.
    _ours: Option<std::fs::File>,
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn serve_tcp(at: SocketAddr) -> (Served, config::Modbus) {
    let (relays, runtime) = (Arc::new(Relays::default()), runtime());
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(at).unwrap();
    let listener = {
        let _entered = runtime.enter();
        socket.listen(8).unwrap()
    };
    let address = listener.local_addr().unwrap();
    let theirs = relays.clone();
    runtime.spawn(async move {
        let server = tcp_server::Server::new(listener);
        let connected = |stream, from| {
            let relays = theirs.clone();
            async move { tcp_server::accept_tcp_connection(stream, from, move |_| Ok(Some(relays.clone()))) }
        };
        server.serve(&connected, |_| {}).await
    });
    let settings = config::Modbus { board: Board::Tcp(address), timeout_ms: 400, poll_ms: 10, ..Default::default() };
    (Served { relays, runtime: Some(runtime), _ours: None }, settings)
}

fn serve_rtu() -> (Served, config::Modbus) {
    let (relays, runtime) = (Arc::new(Relays::default()), runtime());
    let (theirs, path, kept) = {
        let _entered = runtime.enter();
        let (theirs, mut ours) = SerialStream::pair().unwrap();
        // The pair opens its end for itself alone.
        ours.set_exclusive(false).unwrap();
        let (path, kept) = super::super::pty::unlocked(&mut ours);
        (theirs, path, kept)
    };
    let service = relays.clone();
    runtime.spawn(async move { RtuServer::new(theirs).serve_forever(service).await });
    let settings = config::Modbus { board: Board::Rtu(path), timeout_ms: 400, poll_ms: 10, ..Default::default() };
    (Served { relays, runtime: Some(runtime), _ours: Some(kept) }, settings)
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn wait_for(what: &str, mut pleases: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !pleases() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn presses_and_inputs(served: Served, settings: config::Modbus) {
    let board = ModbusBoard::start(&settings).unwrap();
    let mut arm = board.coil(2);
    arm.press().unwrap();
    arm.release().unwrap();
    assert_eq!(*served.relays.switched.lock(), [(2, false), (2, true), (2, false)]);
    assert_eq!((board.read_coil(2), board.read_input(3)), (Ok(false), Ok(false)));
    assert!(board.read_input(9).unwrap_err().to_string().contains("is the number right"));
    let refused = board.coil(9).press().unwrap_err();
    assert!(matches!(&refused, ArmError::Output(text) if text.contains("refuses coil 9")), "{refused:?}");

    let outputs = Outputs { open: Box::new(arm), close: None };
    let rules = Rules::from_config(&config::Barrier::default());
    let barrier = Barrier::start_with(outputs, rules, [Input::Presence, Input::Passage, Input::Fire]);
    let inputs = barrier.inputs();
    served.relays.inputs.lock()[5] = true;
    board.watch(vec![(Input::Presence, 5, false), (Input::Passage, 3, true)], inputs.clone());
    wait_for("the level of a wire", || inputs.level(Input::Presence) == Level::Active);
    wait_for("the next wire's level", || inputs.level(Input::Passage) == Level::Active);
    assert_eq!(inputs.level(Input::Fire), Level::Unknown);
    served.relays.inputs.lock()[5] = false;
    wait_for("the other level", || inputs.level(Input::Presence) == Level::Clear);
    assert!(matches!(barrier.pulse(), Pulse::Pressed(_)));
    barrier.stop();
    assert_eq!(served.relays.switched.lock().last(), Some(&(2, false)));
}

#[test]
fn presses_and_inputs_over_tcp() {
    let (served, settings) = serve_tcp(loopback());
    presses_and_inputs(served, settings);
}

#[test]
fn presses_and_inputs_over_a_serial_bus() {
    let (served, settings) = serve_rtu();
    presses_and_inputs(served, settings);
}

fn lost_answer(served: Served, settings: config::Modbus) {
    let board = ModbusBoard::start(&settings).unwrap();
    let rules = Rules::from_config(&config::Barrier { pulse_ms: 50, min_gap_ms: 60_000, ..Default::default() });
    let barrier = Barrier::start_with(Outputs { open: Box::new(board.coil(0)), close: None }, rules, []);
    served.relays.mute.store(true, Ordering::Relaxed);
    // The board has heard it, and nobody knows: it counts as a press.
    let lost = barrier.pulse();
    assert!(matches!(&lost, Pulse::Failed(ArmError::Uncertain(text)) if text.contains("lost")), "{lost:?}");
    assert!(served.relays.switched.lock().contains(&(0, true)));
    assert!(matches!(barrier.pulse(), Pulse::JustPressed));
    // When the board answers again it is let go.
    served.relays.mute.store(false, Ordering::Relaxed);
    wait_for("the release", || !barrier.state().stuck && served.relays.switched.lock().last() == Some(&(0, false)));
    assert_eq!(served.relays.switched.lock().iter().filter(|(_, on)| *on).count(), 1);
}

#[test]
fn an_answer_that_is_lost_counts_as_a_press_over_tcp() {
    let (served, settings) = serve_tcp(loopback());
    lost_answer(served, settings);
}

#[test]
fn an_answer_that_is_lost_counts_as_a_press_over_a_serial_bus() {
    let (served, settings) = serve_rtu();
    lost_answer(served, settings);
}

#[test]
fn a_board_that_goes_and_comes_back_is_let_go_and_read_again() {
    let (served, settings) = serve_tcp(loopback());
    let Board::Tcp(address) = settings.board else { unreachable!() };
    let board = ModbusBoard::start(&settings).unwrap();
    let rules = Rules::from_config(&config::Barrier { pulse_ms: 10_000, min_gap_ms: 10_000, ..Default::default() });
    let barrier = Barrier::start_with(Outputs { open: Box::new(board.coil(0)), close: None }, rules, [Input::Fire]);
    let inputs = barrier.inputs();
    board.watch(vec![(Input::Fire, 0, false)], inputs.clone());
    wait_for("the level", || inputs.level(Input::Fire) == Level::Clear);
    drop(served);
    wait_for("the broken wire", || inputs.level(Input::Fire) == Level::Broken);
    // It is known to be gone: the answer is there at once and says so.
    let refused = barrier.pulse();
    assert!(
        matches!(&refused, Pulse::Failed(ArmError::Output(text)) if text.contains("power and cable")),
        "{refused:?}"
    );
    let (again, _) = serve_tcp(address);
    wait_for("the level after the return", || inputs.level(Input::Fire) == Level::Clear);
    wait_for("the release after the return", || again.relays.switched.lock().last() == Some(&(0, false)));
    wait_for("a press after the return", || matches!(barrier.pulse(), Pulse::Pressed(_)));
    barrier.stop();
}
