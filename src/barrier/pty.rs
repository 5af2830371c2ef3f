//! For tests: a pseudo-terminal whose far end a program may open by its path, as it opens a serial port.

use std::fs::File;

use serialport::{SerialPort, TTYPort};

/// The board's end, the path of ours, and what keeps ours alive until it is opened.
pub(crate) fn pair() -> (TTYPort, String, File) {
    let (board, mut ours) = TTYPort::pair().unwrap();
    ours.set_exclusive(false).unwrap();
    let (path, kept) = unlocked(&mut ours);
    (board, path, kept)
}

/// The path of this end, held by a plain file: the crate's own handle keeps others out.
pub(crate) fn unlocked(ours: &mut dyn SerialPort) -> (String, File) {
    let path = ours.name().unwrap();
    (path.clone(), File::options().read(true).write(true).open(path).unwrap())
}
