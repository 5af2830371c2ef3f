//! A Modbus relay board on a network or a serial bus: coils out, discrete inputs in.
//!
//! One thread owns the connection. It carries out presses before anything else, reads the inputs, and connects anew when the
//! board is gone; while it is, a press fails at once instead of waiting. A press whose answer is lost may have happened, and
//! says so ([`ArmError::Uncertain`]).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use tokio::runtime::Runtime;
use tokio_modbus::client::{Client, Context, rtu, tcp};
use tokio_modbus::{Request, Response, Slave};
use tokio_serial::SerialPortBuilderExt;

use super::wires::{Input, Level};
use super::{Arm, ArmError, Inputs};
use crate::config::{self, Board, Parity};

/// Without inputs to read, a connection is tried so often: a board that was switched off and on again must not be noticed
/// only by a car.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// The first and the longest pause before connecting again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// The longest name of a thing that the bus carries: one read covers so many inputs.
const MOST_INPUTS: u16 = 2000;

/// What the thread is asked to do.
enum Ask {
    /// Switch a coil, and say what became of it.
    Write { coil: u16, on: bool, answer: Sender<Result<(), ArmError>> },
    /// Read a coil or a discrete input once.
    Read { request: Request<'static>, answer: Sender<Result<bool, ArmError>> },
    /// Read these discrete inputs from now on: where, and active when off?
    Watch { wires: Vec<(Input, u16, bool)>, tell: Inputs },
}

/// The board. Clones are handles to the same one; its thread ends with the last.
#[derive(Clone)]
pub struct ModbusBoard {
    asks: Sender<Ask>,
    describe: String,
    timeout: Duration,
}

impl ModbusBoard {
    /// Starts the thread. A board that does not answer yet is no error: it may be starting, as after a power cut.
    pub fn start(settings: &config::Modbus) -> Result<ModbusBoard, ArmError> {
        let (asks, theirs) = bounded(16);
        let describe = format!("modbus {} unit {}", settings.board, settings.unit);
        let mut link = Link::new(settings.clone(), describe.clone())?;
        // Tried once before anybody presses, so that the first press is not the one that connects.
        link.connect();
        std::thread::Builder::new()
            .name("modbus".into())
            .spawn(move || link.run(&theirs))
            .map_err(|error| ArmError::Unavailable(format!("no thread for the relay board: {error}")))?;
        Ok(ModbusBoard { asks, describe, timeout: Duration::from_millis(settings.timeout_ms) })
    }

    /// One of its coils, let go as soon as the board answers.
    pub fn coil(&self, coil: u16) -> ModbusArm {
        let mut arm = ModbusArm { board: self.clone(), coil };
        // A crash may have left it on. Without a board the thread does so when it has connected.
        if let Err(error) = arm.release() {
            tracing::warn!("{error}");
        }
        arm
    }

    /// Reads these discrete inputs from now on: which, where, and active when off?
    pub fn watch(&self, wires: Vec<(Input, u16, bool)>, tell: Inputs) {
        // A thread that has ended cannot be told; then every press says so too.
        let _ = self.asks.send(Ask::Watch { wires, tell });
    }

    /// Is this coil on?
    pub fn read_coil(&self, coil: u16) -> Result<bool, ArmError> {
        self.ask(|answer| Ask::Read { request: Request::ReadCoils(coil, 1), answer })
    }

    /// Is this discrete input on?
    pub fn read_input(&self, at: u16) -> Result<bool, ArmError> {
        self.ask(|answer| Ask::Read { request: Request::ReadDiscreteInputs(at, 1), answer })
    }

    fn write(&self, coil: u16, on: bool) -> Result<(), ArmError> {
        self.ask(|answer| Ask::Write { coil, on, answer })
    }

    fn ask<T>(&self, ask: impl FnOnce(Sender<Result<T, ArmError>>) -> Ask) -> Result<T, ArmError> {
        let (answer, result) = bounded(1);
        let gone = || ArmError::Unavailable(format!("{}: the board's thread has ended", self.describe));
        self.asks.send(ask(answer)).map_err(|_| gone())?;
        // The thread answers within one timeout, or two if it was just reading inputs.
        match result.recv_timeout(self.timeout * 2 + Duration::from_millis(100)) {
            Ok(result) => result,
            Err(RecvTimeoutError::Disconnected) => Err(gone()),
            Err(RecvTimeoutError::Timeout) => Err(ArmError::Uncertain(format!("{}: no answer", self.describe))),
        }
    }
}

/// A coil of a board with a button behind it.
pub struct ModbusArm {
    board: ModbusBoard,
    coil: u16,
}

impl Arm for ModbusArm {
    fn press(&mut self) -> Result<(), ArmError> {
        self.board.write(self.coil, true)
    }

    fn release(&mut self) -> Result<(), ArmError> {
        self.board.write(self.coil, false)
    }

    fn describe(&self) -> String {
        format!("{} coil {}", self.board.describe, self.coil)
    }
}

impl Drop for ModbusArm {
    fn drop(&mut self) {
        if let Err(error) = self.release() {
            tracing::error!("{error}");
        }
    }
}

/// The thread's side.
struct Link {
    settings: config::Modbus,
    describe: String,
    runtime: Runtime,
    context: Option<Context>,
    connect_at: Instant,
    pause: Duration,
    /// Why there is no connection; told once.
    problem: Option<String>,
    /// How each coil should be: written again when the board is back.
    wanted: BTreeMap<u16, bool>,
    watched: Option<Watched>,
}

struct Watched {
    wires: Vec<(Input, u16, bool)>,
    tell: Inputs,
    first: u16,
    count: u16,
    /// The reading before: two that agree count, so that a bouncing contact does not.
    before: Vec<bool>,
}

impl Link {
    fn new(settings: config::Modbus, describe: String) -> Result<Link, ArmError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| ArmError::Unavailable(format!("{describe}: {error}")))?;
        Ok(Link {
            settings,
            describe,
            runtime,
            context: None,
            connect_at: Instant::now(),
            pause: PAUSES.0,
            problem: None,
            wanted: BTreeMap::new(),
            watched: None,
        })
    }

    fn run(mut self, asks: &Receiver<Ask>) {
        let mut poll_at = Instant::now();
        loop {
            match asks.recv_deadline(poll_at) {
                Ok(Ask::Write { coil, on, answer }) => {
                    // Noted first: if the board is gone, this is what it is told when it is back.
                    self.wanted.insert(coil, on);
                    // One who has given up waiting is not told.
                    let _ = answer.send(self.write(coil, on));
                }
                Ok(Ask::Read { request, answer }) => {
                    let _ = answer.send(self.read_one(request));
                }
                Ok(Ask::Watch { wires, tell }) => self.watched = Watched::new(wires, tell),
                Err(RecvTimeoutError::Timeout) => {
                    self.poll();
                    let every =
                        if self.watched.is_some() { Duration::from_millis(self.settings.poll_ms) } else { HEARTBEAT };
                    poll_at = Instant::now() + every.min(if self.context.is_some() { every } else { PAUSES.0 });
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Connects if it is time to, and brings the coils to how they should be.
    fn connect(&mut self) {
        if self.context.is_some() || Instant::now() < self.connect_at {
            return;
        }
        match self.open() {
            Ok(context) => {
                self.context = Some(context);
                let all_written = self.wanted.clone().into_iter().all(|(coil, on)| self.write(coil, on).is_ok());
                if all_written {
                    self.pause = PAUSES.0;
                    if self.problem.take().is_some() {
                        tracing::info!("{}: it answers again", self.describe);
                    }
                }
            }
            Err(error) => self.lost(error),
        }
    }

    fn open(&self) -> Result<Context, String> {
        let (slave, timeout) = (Slave(self.settings.unit), Duration::from_millis(self.settings.timeout_ms));
        match &self.settings.board {
            Board::Tcp(address) => {
                let connecting = async { tokio::time::timeout(timeout, tokio::net::TcpStream::connect(address)).await };
                let stream = match self.runtime.block_on(connecting) {
                    Ok(Ok(stream)) => stream,
                    Ok(Err(error)) => return Err(error.to_string()),
                    Err(_) => return Err("it does not answer".into()),
                };
                // A press must not wait for a fuller packet.
                stream.set_nodelay(true).map_err(|error| error.to_string())?;
                Ok(tcp::attach_slave(stream, slave))
            }
            Board::Rtu(path) => {
                let parity = match self.settings.parity {
                    Parity::None => tokio_serial::Parity::None,
                    Parity::Even => tokio_serial::Parity::Even,
                    Parity::Odd => tokio_serial::Parity::Odd,
                };
                let builder = tokio_serial::new(path, self.settings.baud).parity(parity);
                let _entered = self.runtime.enter();
                let port = builder.open_native_async().map_err(|error| super::relay::refusal(path, &error))?;
                Ok(rtu::attach_slave(port, slave))
            }
        }
    }

    fn lost(&mut self, problem: String) {
        self.context = None;
        self.connect_at = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(PAUSES.1);
        // Once for each reason: a board that is off all night must not fill the log.
        if self.problem.as_ref() != Some(&problem) {
            tracing::warn!("{}: {problem}", self.describe);
        }
        self.problem = Some(problem);
        if let Some(watched) = &mut self.watched {
            watched.broken();
        }
    }

    /// One request and its answer. The outer error says that the answer was lost, the inner one that the board refused.
    fn call(&mut self, request: Request<'_>) -> Result<Result<Response, String>, String> {
        let timeout = Duration::from_millis(self.settings.timeout_ms);
        let Some(context) = &mut self.context else { return Err("not connected".into()) };
        let call = async { tokio::time::timeout(timeout, context.call(request)).await };
        let lost = match self.runtime.block_on(call) {
            Ok(Ok(answer)) => return Ok(answer.map_err(|exception| exception.to_string())),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} ms", timeout.as_millis()),
        };
        // A late answer must not be taken for that of the next request: the connection is given up.
        self.lost(lost.clone());
        Err(lost)
    }

    /// Why nothing can be asked now, if it cannot.
    fn absence(&self) -> Option<ArmError> {
        let problem = self.problem.as_deref().unwrap_or("not connected yet");
        self.context.is_none().then(|| {
            ArmError::Output(format!("{}: {problem}: check the board's power and cable, and [modbus]", self.describe))
        })
    }

    fn read_one(&mut self, request: Request<'static>) -> Result<bool, ArmError> {
        if let Some(absence) = self.absence() {
            return Err(absence);
        }
        let describe = self.describe.clone();
        match self.call(request) {
            Ok(Ok(Response::ReadCoils(bits) | Response::ReadDiscreteInputs(bits))) if !bits.is_empty() => Ok(bits[0]),
            Ok(Ok(other)) => Err(ArmError::Output(format!("{describe}: it answered something else: {other:?}"))),
            Ok(Err(refused)) => {
                Err(ArmError::Output(format!("{describe}: it refuses: {refused}: is the number right?")))
            }
            Err(lost) => Err(ArmError::Output(format!("{describe}: {lost}: check its power and cable, and [modbus]"))),
        }
    }

    fn write(&mut self, coil: u16, on: bool) -> Result<(), ArmError> {
        if let Some(absence) = self.absence() {
            return Err(absence);
        }
        let describe = self.describe.clone();
        match self.call(Request::WriteSingleCoil(coil, on)) {
            Ok(Ok(Response::WriteSingleCoil(at, state))) if (at, state) == (coil, on) => Ok(()),
            Ok(Ok(other)) => Err(ArmError::Uncertain(format!("{describe}: it answered something else: {other:?}"))),
            Ok(Err(refused)) => Err(ArmError::Output(format!("{describe}: it refuses coil {coil}: {refused}"))),
            Err(lost) => Err(ArmError::Uncertain(format!("{describe}: the answer was lost: {lost}"))),
        }
    }

    /// Reads the inputs, or only looks whether the board is there.
    fn poll(&mut self) {
        self.connect();
        if self.context.is_none() {
            return;
        }
        let Some(watched) = &self.watched else {
            let coil = self.wanted.keys().next().copied().unwrap_or(0);
            let _ = self.call(Request::ReadCoils(coil, 1));
            return;
        };
        match self.call(Request::ReadDiscreteInputs(watched.first, watched.count)) {
            Ok(Ok(Response::ReadDiscreteInputs(bits))) => {
                if let Some(watched) = &mut self.watched {
                    watched.read(bits);
                }
            }
            Ok(Ok(other)) => self.lost(format!("it answered something else: {other:?}")),
            Ok(Err(refused)) => {
                if let Some(watched) = &mut self.watched {
                    watched.broken();
                }
                let problem = format!("it refuses to read its inputs ({refused}): see [inputs] modbus = …");
                if self.problem.as_ref() != Some(&problem) {
                    tracing::warn!("{}: {problem}", self.describe);
                    self.problem = Some(problem);
                }
            }
            // Told by `lost`.
            Err(_) => {}
        }
    }
}

impl Watched {
    fn new(wires: Vec<(Input, u16, bool)>, tell: Inputs) -> Option<Watched> {
        let first = wires.iter().map(|(_, at, _)| *at).min()?;
        let last = wires.iter().map(|(_, at, _)| *at).max()?;
        let count = (last - first).saturating_add(1).min(MOST_INPUTS);
        Some(Watched { wires, tell, first, count, before: Vec::new() })
    }

    fn read(&mut self, bits: Vec<bool>) {
        for &(input, at, active_low) in &self.wires {
            let index = usize::from(at - self.first);
            let Some(&bit) = bits.get(index) else {
                self.tell.set(input, Level::Broken);
                continue;
            };
            if self.before.get(index) == Some(&bit) {
                self.tell.set(input, if bit != active_low { Level::Active } else { Level::Clear });
            }
        }
        self.before = bits;
    }

    fn broken(&mut self) {
        self.before.clear();
        for (input, ..) in &self.wires {
            self.tell.set(*input, Level::Broken);
        }
    }
}

#[cfg(test)]
#[path = "modbus_tests.rs"]
mod tests;
