//! `[web]`: The stewards' page.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::{Problem, within};

/// `[web]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Web {
    /// Address and port of the page. Only this machine sees it unless it is set otherwise.
    pub listen: SocketAddr,
    /// Names with a dot by which browsers may call the box, such as `gate.example.org`.
    pub names: Vec<String>,
    /// The certificate chain, PEM; one is made where none is given.
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
    /// How long a sign-in lasts, hours.
    pub session_hours: u32,
}

impl Default for Web {
    fn default() -> Web {
        Web {
            listen: SocketAddr::from(([127, 0, 0, 1], 8460)),
            names: Vec::new(),
            certificate: None,
            key: None,
            session_hours: 12,
        }
    }
}

impl Web {
    pub(super) fn check(&self) -> Result<(), Problem> {
        if self.certificate.is_some() != self.key.is_some() {
            let found = if self.key.is_some() { "not set, but web.key is" } else { "set, but web.key is not" };
            return Err(Problem::new("web.certificate", found, "both web.certificate and web.key, or neither"));
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        if let Some(name) = self.names.iter().find(|n| n.is_empty() || !n.chars().all(fits)) {
            return Err(Problem::new("web.names", name, "host names without port, such as gate.example.org"));
        }
        within("web.session_hours", self.session_hours, 1..=720, "1..720 hours")
    }
}
