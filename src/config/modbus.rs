//! `[modbus]`: The relay board on a network or a serial bus.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::{Problem, within};

/// `[modbus]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Modbus {
    /// Where the board is. Used only where an output or input asks for it.
    pub board: Board,
    /// Its unit number (slave address).
    pub unit: u8,
    /// The serial bus's speed, bits a second.
    pub baud: u32,
    /// The serial bus's parity.
    pub parity: Parity,
    /// An answer that does not come within this time is lost, milliseconds.
    pub timeout_ms: u64,
    /// How often the board's inputs are read, milliseconds.
    pub poll_ms: u64,
}

impl Default for Modbus {
    fn default() -> Modbus {
        Modbus {
            board: Board::Rtu("/dev/ttyUSB0".into()),
            unit: 1,
            baud: 9600,
            parity: Parity::None,
            timeout_ms: 300,
            poll_ms: 50,
        }
    }
}

impl Modbus {
    pub(super) fn check(&self) -> Result<(), Problem> {
        within("modbus.unit", self.unit, 1..=247, "1..247")?;
        within("modbus.baud", self.baud, 1200..=1_000_000, "1200..1000000 bits a second")?;
        within("modbus.timeout_ms", self.timeout_ms, 20..=5000, "20..5000 milliseconds")?;
        within("modbus.poll_ms", self.poll_ms, 10..=5000, "10..5000 milliseconds")
    }
}

/// The parity of a serial bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Parity {
    /// None.
    None,
    /// Even.
    Even,
    /// Odd.
    Odd,
}

/// Where a Modbus board is, as one text: `tcp:192.168.1.20`, `tcp:192.168.1.20:502`, or `rtu:/dev/ttyUSB0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Board {
    /// Modbus TCP at this address.
    Tcp(SocketAddr),
    /// Modbus RTU on this serial port.
    Rtu(String),
}

/// A text that names no board.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' names no Modbus board: expected tcp:ADDRESS, tcp:ADDRESS:PORT (numbers, no name) or rtu:/dev/ttyUSB0")]
pub struct BoardError(String);

/// The port of Modbus TCP.
const PORT: u16 = 502;

impl FromStr for Board {
    type Err = BoardError;

    fn from_str(text: &str) -> Result<Board, BoardError> {
        let text = text.trim();
        let refused = || BoardError(text.chars().take(80).collect());
        let (scheme, rest) = text.split_once(':').ok_or_else(refused)?;
        match scheme {
            "tcp" => {
                let address: Result<SocketAddr, _> = rest.parse();
                let or_bare = || rest.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT));
                address.or_else(|_| or_bare()).map(Board::Tcp).map_err(|_| refused())
            }
            "rtu" if rest.starts_with('/') && !rest.contains('\0') => Ok(Board::Rtu(rest.to_owned())),
            _ => Err(refused()),
        }
    }
}

impl fmt::Display for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Board::Tcp(address) => write!(f, "tcp:{address}"),
            Board::Rtu(port) => write!(f, "rtu:{port}"),
        }
    }
}

impl<'de> Deserialize<'de> for Board {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Board, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn boards_are_named_in_one_text() {
        for (text, again) in [
            ("tcp:192.168.1.20", "tcp:192.168.1.20:502"),
            ("tcp:[fe80::1]:1502", "tcp:[fe80::1]:1502"),
            (" rtu:/dev/ttyUSB0 ", "rtu:/dev/ttyUSB0"),
        ] {
            assert_eq!(text.parse::<Board>().unwrap().to_string(), again);
        }
        for text in ["", "tcp", "tcp:", "tcp:relay.lan", "rtu:ttyUSB0", "udp:1.2.3.4", "rtu:"] {
            let error = text.parse::<Board>().unwrap_err().to_string();
            assert!(error.contains("expected tcp:"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_board_or_one_line(text in "(tcp|rtu)?:?\\PC{0,30}") {
            match text.parse::<Board>() {
                Ok(board) => prop_assert_eq!(board.to_string().parse::<Board>(), Ok(board)),
                Err(error) => prop_assert!(!error.to_string().contains('\n')),
            }
        }
    }
}
