//! `[web]`: The stewards' page.

use std::net::SocketAddr;

use serde::Deserialize;

/// `[web]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Web {
    /// Address and port of the page. Only this machine sees it unless it is set otherwise.
    pub listen: SocketAddr,
}

impl Default for Web {
    fn default() -> Web {
        Web { listen: SocketAddr::from(([127, 0, 0, 1], 8460)) }
    }
}
