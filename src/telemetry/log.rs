//! What the program says of itself, on standard error: for a person, as JSON a line, or for systemd's journal.
//!
//! Each arrival is a tree of spans: `arrival` from the first frame of a car to its record, and in it what was done and how
//! long it took. No plate is in any of them at `info` and above.

use std::fmt;
use std::io::IsTerminal;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{self, FmtSpan, Format, FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, fmt as lines};

use crate::config::{Log, LogFormat};

/// Starts it; a second call, in a test, changes nothing.
pub fn start(settings: &Log) {
    // Whoever looks for something at the console goes before the configuration.
    let filter = EnvFilter::try_from_env("PLATEGATE_LOG").unwrap_or_else(|_| EnvFilter::new(&settings.filter));
    let spans = if settings.spans { FmtSpan::CLOSE } else { FmtSpan::NONE };
    let builder = lines().with_env_filter(filter).with_writer(std::io::stderr).with_span_events(spans);
    let _ = match format_of(settings.format) {
        LogFormat::Json => builder.json().with_current_span(settings.spans).with_span_list(true).try_init(),
        LogFormat::Journal => builder.with_ansi(false).event_format(Journal::default()).try_init(),
        LogFormat::Auto | LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
}

/// Under systemd, standard error is the journal.
fn format_of(wanted: LogFormat) -> LogFormat {
    match wanted {
        LogFormat::Auto if std::env::var_os("JOURNAL_STREAM").is_some() => LogFormat::Journal,
        other => other,
    }
}

/// A line for systemd's journal: it has the time and the program already, and takes the level from the number in front
/// (sd-daemon(3)).
struct Journal(Format<format::Full, ()>);

impl Default for Journal {
    fn default() -> Journal {
        Journal(Format::default().without_time().with_level(false).with_target(false).with_ansi(false))
    }
}

impl<S, N> FormatEvent<S, N> for Journal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        write!(writer, "<{}>", priority(*event.metadata().level()))?;
        self.0.format_event(context, writer, event)
    }
}

/// syslog's number.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_journal_gets_the_level_in_front_and_no_time() {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber =
            lines().with_writer(move || writer.clone()).with_ansi(false).event_format(Journal::default()).finish();
        tracing::subscriber::with_default(subscriber, || {
            let _arrival = tracing::info_span!("arrival", id = 7).entered();
            tracing::error!(path = "x", "the disk is full");
        });
        let text = String::from_utf8(kept.0.lock().clone()).unwrap();
        assert_eq!(text, "<3>arrival{id=7}: the disk is full path=\"x\"\n");
    }
}
