//! `[log]`: What the program says of itself.

use serde::Deserialize;

use super::Problem;

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For systemd's journal where it listens, otherwise for a person.
    #[default]
    Auto,
    /// For a person, with the time.
    Text,
    /// One JSON object a line, with the spans it stands in.
    Json,
    /// For systemd's journal.
    Journal,
}

/// `[log]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// What is said, in the words of tracing's filters.
    pub filter: String,
    /// A line for every span that ends, with the time it took.
    pub spans: bool,
}

impl Default for Log {
    fn default() -> Log {
        Log { format: LogFormat::Auto, filter: "warn,plategate=info".into(), spans: false }
    }
}

impl Log {
    pub(super) fn check(&self) -> Result<(), Problem> {
        match self.filter.parse::<tracing_subscriber::EnvFilter>() {
            Ok(_) => Ok(()),
            Err(_) => Err(Problem::new("log.filter", &self.filter, "such as \"warn,plategate=info\" or \"debug\"")),
        }
    }
}
