//! The display's twin for a terminal: for the demo, and for trying texts without a board.

use std::io::Write;

use super::{Colour, Message, Sign, SignError};

/// Prints what a board would show.
pub struct Terminal<W> {
    out: W,
}

impl<W: Write + Send> Terminal<W> {
    /// Prints to `out`.
    pub fn new(out: W) -> Terminal<W> {
        Terminal { out }
    }
}

impl<W: Write + Send> Sign for Terminal<W> {
    fn show(&mut self, message: &Message<'_>) -> Result<(), SignError> {
        let colour = match message.colour {
            Colour::Red => "red",
            Colour::Green => "green",
            Colour::Yellow => "yellow",
        };
        let mut text = format!("[sign, {colour}] {}", message.lines.join(" | "));
        if let Some(voice) = message.voice {
            text.push_str(&format!("  (aloud: {voice})"));
        }
        writeln!(self.out, "{text}").map_err(|error| SignError(error.to_string()))
    }

    fn describe(&self) -> String {
        "terminal".into()
    }
}
