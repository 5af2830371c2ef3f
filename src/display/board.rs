//! The LED boards with a voice that are built into most barriers, over RS-485.
//!
//! Nearly all of them carry a control card that speaks the protocol which its maker calls 显示屏通信协议 ("FK", 方控; versions
//! 1.00 of 2017 to 2.6 of 2023): 9600 bits a second, eight bits, no parity, one stop bit. A frame:
//!
//! | bytes | field | here |
//! |---|---|---|
//! | 1 | DA, the board's address | `00`: any |
//! | 1 | VR, the protocol's version | `64`: one byte of length |
//! | 2 | PN, the packet's number | `FF FF`: no sequence |
//! | 1 | CMD, the command | `62` show a line, `30` speak |
//! | 1 | DL, the length of the data | |
//! | DL | DATA | |
//! | 2 | CRC-16 of everything before (as Modbus: polynomial `A001`, start `FFFF`), low byte first | |
//!
//! `30`, speak: one byte `01` (at once), then the text in GBK. `62`, show a line: 19 bytes, then the text in GBK:
//!
//! | byte | field | here |
//! |---|---|---|
//! | 0 | TWID, the line, counted from 0 | |
//! | 1, 2 | ETM, ETS: how it comes in, how fast | `00` at once if it fits, else `15` running to the left; `01` |
//! | 3, 4 | DM, DT: how it stays, for how many seconds | `00`, `02` |
//! | 5, 6 | EXM, EXS: how it goes, how fast | as ETM, ETS |
//! | 7 | FINDEX, the font | `03`: 16 dots |
//! | 8 | DRS, how often it is shown | `00`: until something else is |
//! | 9–12 | TC, the colour: red, green, blue, 0 | |
//! | 13–16 | BC, the ground's colour | `00 00 00 00` |
//! | 17, 18 | TL, the length of the text, low byte first | |
//!
//! The card answers; an answer is not waited for, because a greeting that is lost is no harm. The frames were compared with
//! published examples of the protocol (see the tests), not with every card: try yours with `plategate doctor --sign`.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use encoding_rs::GBK;
use serialport::{SerialPort, TTYPort};

use super::{Colour, Message, Sign, SignError};

const SHOW: u8 = 0x62;
const SPEAK: u8 = 0x30;
/// The longest text that a frame with one byte of length carries beside the 19 bytes of `62`.
const LONGEST: usize = 255 - 19;
/// A port that is stuck for so long has lost its board.
const TIMEOUT: Duration = Duration::from_millis(500);

/// The board.
pub struct Board {
    path: String,
    baud: u32,
    /// Characters of GBK bytes that fit into a line without running: eight for a board of 64 dots.
    columns: usize,
    port: Option<TTYPort>,
}

impl Board {
    /// A board on this port. It is opened when it is first needed, and again when it was gone.
    pub fn new(path: &str, baud: u32, columns: usize) -> Board {
        Board { path: path.to_owned(), baud, columns, port: None }
    }

    fn send(&mut self, frame: &[u8]) -> Result<(), SignError> {
        let told = |path: &str, error: &dyn std::fmt::Display| SignError(format!("{path}: {error}"));
        let port = match &mut self.port {
            Some(port) => port,
            none => {
                let opened = serialport::new(&self.path, self.baud).timeout(TIMEOUT).open_native();
                none.insert(opened.map_err(|error| SignError(crate::barrier::relay::refusal(&self.path, &error)))?)
            }
        };
        // Old answers must not fill the system's buffer.
        let _ = port.clear(serialport::ClearBuffer::Input);
        let sent = port.write_all(frame);
        if let Err(error) = &sent
            && error.kind() != ErrorKind::TimedOut
        {
            self.port = None;
        }
        sent.map_err(|error| told(&self.path, &error))
    }
}

impl Sign for Board {
    fn show(&mut self, message: &Message<'_>) -> Result<(), SignError> {
        for (number, line) in (0u8..).zip(message.lines) {
            self.send(&show_line(number, line, message.colour, self.columns))?;
        }
        match message.voice {
            Some(text) => self.send(&speak(text)),
            None => Ok(()),
        }
    }

    fn describe(&self) -> String {
        format!("board {}", self.path)
    }
}

/// The text in GBK, cut where a frame ends, never inside a character. What GBK lacks becomes a question mark.
fn gbk(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for character in text.chars() {
        let mut utf8 = [0; 4];
        let (encoded, _, unmappable) = GBK.encode(character.encode_utf8(&mut utf8));
        let encoded = if unmappable { b"?" } else { encoded.as_ref() };
        if bytes.len() + encoded.len() > LONGEST {
            break;
        }
        bytes.extend_from_slice(encoded);
    }
    bytes
}

fn show_line(number: u8, text: &str, colour: Colour, columns: usize) -> Vec<u8> {
    let text = gbk(text);
    let way = if text.len() <= columns { 0x00 } else { 0x15 };
    let [red, green, blue] = match colour {
        Colour::Red => [0xFF, 0, 0],
        Colour::Green => [0, 0xFF, 0],
        Colour::Yellow => [0xFF, 0xFF, 0],
    };
    // `gbk` keeps it under 256.
    let length = text.len() as u8;
    let head = [number, way, 0x01, 0x00, 0x02, way, 0x01, 0x03, 0x00, red, green, blue, 0, 0, 0, 0, 0, length, 0];
    frame(SHOW, &[&head[..], &text[..]].concat())
}

fn speak(text: &str) -> Vec<u8> {
    frame(SPEAK, &[&[0x01][..], &gbk(text)[..]].concat())
}

fn frame(command: u8, data: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x00, 0x64, 0xFF, 0xFF, command, data.len() as u8];
    frame.extend_from_slice(data);
    frame.extend_from_slice(&crc(&frame).to_le_bytes());
    frame
}

/// CRC-16 as Modbus has it.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xA001 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02X}")).collect()
    }

    #[test]
    fn frames_are_those_of_published_examples() {
        assert_eq!(hex(&speak("欢迎光临")), "0064FFFF300901BBB6D3ADB9E2C1D93258");
        assert_eq!(hex(&speak("欢迎回家")), "0064FFFF300901BBB6D3ADBBD8BCD2737A");
        assert_eq!(hex(&speak("一路顺风")), "0064FFFF300901D2BBC2B7CBB3B7E79F40");
        assert_eq!(
            hex(&show_line(0, "欢迎光临请入场停车", Colour::Red, 8)),
            "0064FFFF6225001501000215010300FF000000000000001200BBB6D3ADB9E2C1D9C7EBC8EBB3A1CDA3B3B5F4F5"
        );
    }

    #[test]
    fn a_greeting_goes_out_line_by_line_and_then_aloud() {
        let (mut board, path, _kept) = crate::barrier::pty::pair();
        board.set_timeout(Duration::from_secs(5)).unwrap();
        let mut sign = Board::new(&path, 9600, 8);
        let lines = ["欢迎回家", "请慢行"];
        let message = Message { lines: &lines, colour: Colour::Green, voice: Some("欢迎回家") };
        sign.show(&message).unwrap();
        let wanted: Vec<u8> =
            [show_line(0, "欢迎回家", Colour::Green, 8), show_line(1, "请慢行", Colour::Green, 8), speak("欢迎回家")]
                .concat();
        let mut got = vec![0; wanted.len()];
        board.read_exact(&mut got).unwrap();
        assert_eq!(hex(&got), hex(&wanted));
    }

    #[test]
    fn a_board_that_is_not_there_is_an_error() {
        let mut sign = Board::new("/dev/ttyUSB-not-there", 9600, 8);
        let error = sign.show(&Message { lines: &["x"], colour: Colour::Red, voice: None }).unwrap_err().to_string();
        assert!(error.contains("/dev/ttyUSB-not-there"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_makes_a_whole_frame(text in "\\PC{0,300}", number in 0u8..4) {
            let frame = show_line(number, &text, Colour::Red, 8);
            prop_assert_eq!(frame.len(), 6 + usize::from(frame[5]) + 2);
            prop_assert_eq!(usize::from(frame[23]) + 19, usize::from(frame[5]));
            prop_assert_eq!(crc(&frame), 0, "a frame with its own CRC leaves nothing");
            let (shown, _, broken) = GBK.decode(&frame[25..frame.len() - 2]);
            prop_assert!(!broken && shown.chars().count() <= text.chars().count(), "{shown}");
        }
    }
}
