//! Text as people type it and as systems say it.

/// Full-width forms lie at a fixed distance from ASCII (Unicode, Halfwidth and Fullwidth Forms); the ideographic space is a
/// space.
pub(crate) fn narrow(c: char) -> char {
    match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(c as u32 - 0xFEE0).unwrap_or(c),
        '\u{3000}' => ' ',
        _ => c,
    }
}

/// Somebody else's words in one line, without what moves a terminal's cursor.
pub(crate) fn one_line(text: &str) -> String {
    let shown = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if shown.contains(char::is_control) { shown.replace(char::is_control, "\u{FFFD}") } else { shown }
}
