//! Those who read the wires and tell the barrier's [`Inputs`]: a thread for each GPIO line, and the Modbus board's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use gpiocdev::line::{EdgeDetection, EdgeKind, Value};
use gpiocdev::{Request, request};

use super::gpio::take;
use super::wires::{Input, Level};
use super::{ArmError, Inputs, LineReport, ModbusBoard};
use crate::config::{self, Bias, Line};

/// How long a reader waits for an edge before it looks whether it should stop, and at the line itself.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A line that cannot be had is tried again after this time.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// The threads that read the wires; they end when this is dropped.
pub struct Readers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    /// Its thread ends with the last handle; where only inputs are on it, this is the one.
    _board: Option<ModbusBoard>,
}

/// Which inputs are wired.
pub fn wired(settings: &config::Inputs) -> Vec<Input> {
    settings.wires().map(|(input, _)| input).collect()
}

impl Readers {
    /// Starts reading everything that is wired. A wire that cannot be read is told as broken, logged, and tried again and
    /// again: it does not keep the gate shut.
    pub fn start(config: &config::Config, inputs: &Inputs, board: Option<&ModbusBoard>) -> Readers {
        let stop = Arc::new(AtomicBool::new(false));
        let (mut threads, mut on_the_board) = (Vec::new(), Vec::new());
        for (input, wire) in config.inputs.wires() {
            match (&wire.line, wire.modbus) {
                (Some(line), _) => {
                    let reader = LineReader {
                        input,
                        chip: wire.chip.clone().unwrap_or_else(|| config.barrier.chip.clone()),
                        line: line.clone(),
                        active_low: wire.active_low,
                        bias: wire.bias,
                        debounce: Duration::from_millis(config.inputs.debounce_ms),
                        inputs: inputs.clone(),
                        stop: stop.clone(),
                    };
                    let name = format!("input-{input}");
                    match std::thread::Builder::new().name(name).spawn(move || reader.run()) {
                        Ok(thread) => threads.push(thread),
                        Err(error) => {
                            tracing::error!("no thread for the input {input}: {error}");
                            inputs.set(input, Level::Broken);
                        }
                    }
                }
                (None, Some(at)) => on_the_board.push((input, at, wire.active_low)),
                // The configuration refuses such a wire.
                (None, None) => {}
            }
        }
        if let Some(board) = board
            && !on_the_board.is_empty()
        {
            board.watch(on_the_board, inputs.clone());
        }
        Readers { stop, threads, _board: board.cloned() }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // One that panicked has been reported by the panic itself.
            let _ = thread.join();
        }
    }
}

/// Requests an input line; its level is then debounced by the kernel, and its edges wait to be read.
pub fn request_input(
    chip: &str,
    line: &Line,
    active_low: bool,
    bias: Bias,
    debounce: Duration,
) -> Result<(Request, LineReport), ArmError> {
    let mut config = request::Config::default();
    config.as_input().with_edge_detection(EdgeDetection::BothEdges);
    if active_low {
        config.as_active_low();
    }
    config.with_bias(match bias {
        Bias::AsIs => None,
        Bias::PullUp => Some(gpiocdev::line::Bias::PullUp),
        Bias::PullDown => Some(gpiocdev::line::Bias::PullDown),
        Bias::Disabled => Some(gpiocdev::line::Bias::Disabled),
    });
    if !debounce.is_zero() {
        config.with_debounce_period(debounce);
    }
    take(chip, line, config, "a debounced input with edges")
}

struct LineReader {
    input: Input,
    chip: String,
    line: Line,
    active_low: bool,
    bias: Bias,
    debounce: Duration,
    inputs: Inputs,
    stop: Arc<AtomicBool>,
}

impl LineReader {
    fn run(&self) {
        let mut told = String::new();
        while !self.stopped() {
            let Err(error) = self.read() else { return };
            self.inputs.set(self.input, Level::Broken);
            let error = error.to_string();
            if error != told {
                tracing::warn!("the input {}: {error}", self.input);
                told = error;
            }
            let mut waited = Duration::ZERO;
            while waited < TRY_AGAIN && !self.stopped() {
                std::thread::sleep(LOOK_EVERY);
                waited += LOOK_EVERY;
            }
        }
    }

    /// Reads the line until it is told to stop, or the line is gone.
    fn read(&self) -> Result<(), ArmError> {
        let (request, found) = request_input(&self.chip, &self.line, self.active_low, self.bias, self.debounce)?;
        let gone = |error: gpiocdev::Error| {
            ArmError::Output(format!("{} line {}: {error}", found.chip.display(), found.offset))
        };
        let tell = |active: bool| self.inputs.set(self.input, if active { Level::Active } else { Level::Clear });
        tell(request.value(found.offset).map_err(gone)? == Value::Active);
        while !self.stopped() {
            if request.wait_edge_event(LOOK_EVERY).map_err(gone)? {
                // Every edge in its order: a short one is not lost between two looks.
                let edge = request.read_edge_event().map_err(gone)?;
                tell(edge.kind == EdgeKind::Rising);
            } else {
                // Nothing waits, so the line itself says how things are, should the kernel's queue have run over.
                tell(request.value(found.offset).map_err(gone)? == Value::Active);
            }
        }
        Ok(())
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
