//! Cheap USB relays on a serial port, of the kind sold as LCUS-1, LCUS-2, and so on.
//!
//! 9600 bits a second, eight bits, no parity, one stop bit. A command is four bytes and is not answered:
//!
//! | byte | what |
//! |---|---|
//! | 0 | `A0` |
//! | 1 | the relay, counted from 1 |
//! | 2 | `01` on, `00` off |
//! | 3 | the sum of the three before, modulo 256 |
//!
//! So `A0 01 01 A2` switches the first relay on and `A0 01 00 A1` off. The relay falls off when the USB power goes, but not
//! when the program dies: see [`Arm`] and `docs/relay.md`.

use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serialport::TTYPort;

use super::{Arm, ArmError};

const BAUD: u32 = 9600;
/// Four bytes take four milliseconds; a port that is stuck for longer has lost its board.
const TIMEOUT: Duration = Duration::from_millis(200);

/// The command for one relay.
pub fn frame(relay: u8, on: bool) -> [u8; 4] {
    let (start, state) = (0xA0u8, u8::from(on));
    [start, relay, state, start.wrapping_add(relay).wrapping_add(state)]
}

/// The serial port of a board. Clones are the same one.
#[derive(Clone)]
pub struct RelayBoard {
    path: String,
    port: Arc<Mutex<Option<TTYPort>>>,
}

impl RelayBoard {
    /// Opens the port.
    pub fn open(path: &str) -> Result<RelayBoard, ArmError> {
        let port = open(path)?;
        Ok(RelayBoard { path: path.to_owned(), port: Arc::new(Mutex::new(Some(port))) })
    }

    /// One of its relays, counted from 1, let go.
    pub fn relay(&self, relay: u8) -> Result<RelayArm, ArmError> {
        let mut arm = RelayArm { board: self.clone(), relay };
        // A crash may have left it on.
        arm.release()?;
        Ok(arm)
    }

    fn send(&self, bytes: [u8; 4]) -> Result<(), ArmError> {
        let mut guard = self.port.lock();
        let port = match &mut *guard {
            Some(port) => port,
            none => none.insert(open(&self.path)?),
        };
        port.write_all(&bytes).map_err(|error| {
            // Opened anew the next time: a board that was unplugged comes back as another device.
            *guard = None;
            let text = format!("{}: {error}: is the USB relay plugged in?", self.path);
            if error.kind() == ErrorKind::TimedOut { ArmError::Uncertain(text) } else { ArmError::Output(text) }
        })
    }
}

fn open(path: &str) -> Result<TTYPort, ArmError> {
    let opened = serialport::new(path, BAUD).timeout(TIMEOUT).open_native();
    let mut port = opened.map_err(|error| ArmError::Unavailable(refusal(path, &error)))?;
    // Nobody else may talk to the relay while we do.
    port.set_exclusive(true).map_err(|error| ArmError::Unavailable(refusal(path, &error)))?;
    Ok(port)
}

/// Why a serial port cannot be had, and what to do.
pub(crate) fn refusal(path: &str, error: &serialport::Error) -> String {
    match error.kind() {
        serialport::ErrorKind::NoDevice if error.to_string().contains("ermission") => denied(path),
        serialport::ErrorKind::Io(ErrorKind::PermissionDenied) => denied(path),
        serialport::ErrorKind::NoDevice | serialport::ErrorKind::Io(ErrorKind::NotFound) => {
            format!("{path} is not there, or another program has it: `ls /dev/serial/by-id` shows what is plugged in")
        }
        _ => format!("{path} cannot be used as a serial port: {error}"),
    }
}

fn denied(path: &str) -> String {
    format!("no permission for {path}: add the user to the group dialout (`usermod -aG dialout USER`) and sign in anew")
}

/// A relay of a board with a button behind it.
pub struct RelayArm {
    board: RelayBoard,
    relay: u8,
}

impl Arm for RelayArm {
    fn press(&mut self) -> Result<(), ArmError> {
        self.board.send(frame(self.relay, true))
    }

    fn release(&mut self) -> Result<(), ArmError> {
        self.board.send(frame(self.relay, false))
    }

    fn describe(&self) -> String {
        format!("serial {} relay {}", self.board.path, self.relay)
    }
}

impl Drop for RelayArm {
    fn drop(&mut self) {
        if let Err(error) = self.release() {
            tracing::error!("{error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use serialport::SerialPort;

    use super::*;

    #[test]
    fn frames_are_as_the_board_expects_them() {
        assert_eq!(frame(1, true), [0xA0, 0x01, 0x01, 0xA2]);
        assert_eq!(frame(1, false), [0xA0, 0x01, 0x00, 0xA1]);
        assert_eq!(frame(2, true), [0xA0, 0x02, 0x01, 0xA3]);
    }

    fn board() -> (TTYPort, String, std::fs::File) {
        let (mut board, path, kept) = super::super::pty::pair();
        board.set_timeout(Duration::from_secs(5)).unwrap();
        (board, path, kept)
    }

    fn received(board: &mut TTYPort) -> [u8; 4] {
        let mut bytes = [0; 4];
        board.read_exact(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_relay_is_let_go_first_pressed_and_let_go_when_dropped() {
        let (mut board, path, _kept) = board();
        let mut arm = RelayBoard::open(&path).unwrap().relay(1).unwrap();
        assert_eq!(received(&mut board), frame(1, false));
        arm.press().unwrap();
        assert_eq!(received(&mut board), frame(1, true));
        assert_eq!(arm.describe(), format!("serial {path} relay 1"));
        drop(arm);
        assert_eq!(received(&mut board), frame(1, false));
    }

    #[test]
    fn a_board_that_was_unplugged_is_an_error_and_no_panic() {
        let (board, path, kept) = board();
        let mut arm = RelayBoard::open(&path).unwrap().relay(1).unwrap();
        drop(board);
        drop(kept);
        let error = arm.press().unwrap_err();
        assert!(matches!(error, ArmError::Output(_) | ArmError::Unavailable(_)), "{error:?}");
        assert!(error.to_string().contains(&path), "{error}");
    }

    #[test]
    fn what_is_no_serial_port_says_what_to_do() {
        let error = RelayBoard::open("/dev/ttyUSB-not-there").err().unwrap().to_string();
        assert!(error.contains("/dev/ttyUSB-not-there") && error.contains("by-id"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = RelayBoard::open(&file.display().to_string()).err().unwrap().to_string();
        assert!(!error.contains('\n') && error.contains("serial port"), "{error}");
    }
}
