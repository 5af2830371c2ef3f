//! What a gate that is running says of itself: its camera cannot be opened twice.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::{Check, OLD};
use crate::config::Config;

const TIMEOUT: Duration = Duration::from_secs(3);
/// Longer than its metrics ever are.
const LONGEST: u64 = 4 << 20;

/// The answers of the running gate.
pub(super) struct Running {
    listen: SocketAddr,
    metrics: Result<String, String>,
}

impl Running {
    pub(super) fn ask(config: &Config) -> Running {
        let listen = config.web.listen;
        // Other machines are served over TLS only; this one is asked through the loopback, and plainly.
        let metrics = if listen.ip().is_loopback() {
            get(listen, "/metrics").map_err(|error| error.to_string())
        } else {
            Err("it serves other machines: look at its page".into())
        };
        Running { listen, metrics }
    }

    pub(super) fn camera(&self) -> Check {
        match &self.metrics {
            Ok(text) => camera(text),
            Err(_) => Check::ok("camera", "in use by the running plategate: its page tells how it is doing"),
        }
    }

    pub(super) fn page(&self) -> Check {
        match &self.metrics {
            Ok(_) => Check::ok("page", format!("http://{}: the running plategate answers", self.listen)),
            Err(error) if self.listen.ip().is_loopback() => Check::fault(
                "page",
                format!("http://{}: the running plategate does not answer ({error})", self.listen),
                "was it started with another --listen? else `systemctl restart plategate`",
            ),
            Err(_) => Check::ok("page", format!("https://{}: served by the running plategate", self.listen)),
        }
    }
}

fn camera(metrics: &str) -> Check {
    let value = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.trim().parse::<f64>().ok())
    };
    let age = value("plategate_frame_age_seconds ").filter(|age| age.is_finite());
    let advice = "look at its page or `journalctl -u plategate` for the reason";
    match (value("plategate_camera_live "), age) {
        (Some(1.0), Some(age)) if age < OLD.as_secs_f64() => {
            Check::ok("camera", format!("live in the running plategate, the newest frame {:.0} ms old", age * 1e3))
        }
        (_, Some(age)) => {
            Check::fault("camera", format!("the running plategate's newest frame is {age:.0} s old"), advice)
        }
        (_, None) => Check::fault("camera", "the running plategate has had no frame yet", advice),
    }
}

fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(LONGEST).read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.") && answer.split(' ').nth(1) == Some("200") {
        Ok(answer)
    } else {
        let first = answer.lines().next().unwrap_or("nothing").to_owned();
        Err(std::io::Error::other(format!("it answered {first}")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn the_age_of_the_newest_frame_is_read_from_the_metrics() {
        for (text, status, part) in [
            ("plategate_camera_live 1\nplategate_frame_age_seconds 0.02\n", Status::Ok, "20 ms"),
            ("plategate_camera_live 0\nplategate_frame_age_seconds 75.5\n", Status::Fault, "76 s"),
            ("plategate_camera_live 0\nplategate_frame_age_seconds inf\n", Status::Fault, "no frame"),
            ("", Status::Fault, "no frame"),
        ] {
            let check = camera(text);
            assert!(check.status == status && check.detail.contains(part), "{check:?}");
        }
    }
}
