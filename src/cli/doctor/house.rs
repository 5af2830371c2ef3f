//! The house around the gate: the webhooks' secrets and addresses, the broker.

use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use super::Check;
use crate::config::Config;
use crate::fleet::secret::{Secrets, is_open_to_all};
use crate::fleet::webhook;

const TIMEOUT: Duration = Duration::from_secs(3);

/// One finding a receiver. Nothing is sent: `plategate webhook test` does that.
pub(super) fn webhooks(config: &Config) -> Vec<Check> {
    let look = |receiver: &crate::config::Webhook| {
        let name = format!("webhook {}", receiver.name);
        if let Err(error) = webhook::secrets(receiver) {
            return Check::fault(name, error.to_string(), "a receiver without its secret is told nothing");
        }
        if let Some(file) = receiver.secret_file.as_deref().filter(|file| is_open_to_all(file)) {
            return open_to_all(name, file);
        }
        let told = format!("{}, {} kinds of events", receiver.url, receiver.events.len());
        if receiver.url.is_plain() && !receiver.url.is_loopback() {
            let what = if receiver.plates { "plates go over the network unencrypted" } else { "it goes unencrypted" };
            return Check::warning(name, format!("{told}: {what}"), "use https:// unless the network is the box's own");
        }
        Check::ok(name, format!("{told}; `plategate webhook test {}` tries it", receiver.name))
    };
    config.webhook.iter().map(look).collect()
}

fn open_to_all(name: impl Into<String>, file: &Path) -> Check {
    let told = format!("{}: everybody on this box may read it", file.display());
    Check::warning(name, told, format!("chmod 640 {0}, and chgrp plategate {0}", file.display()))
}

/// The broker, where one is configured: its files, and whether it answers at all.
pub(super) fn broker(config: &Config) -> Option<Check> {
    let settings = &config.mqtt;
    let broker = settings.broker.as_ref()?;
    for file in [&settings.password_file, &settings.ca_file].into_iter().flatten() {
        if let Err(error) = std::fs::read(file) {
            return Some(Check::fault("mqtt", format!("{}: {error}", file.display()), "let the gate's user read it"));
        }
    }
    if let Some(Err(error)) = settings.command_key_file.as_deref().map(Secrets::of_file) {
        return Some(Check::fault("mqtt", error.to_string(), "without its key no command is obeyed"));
    }
    let secret = [&settings.password_file, &settings.command_key_file].into_iter().flatten();
    if let Some(file) = secret.into_iter().find(|file| is_open_to_all(file)) {
        return Some(open_to_all("mqtt", file));
    }
    let answers = (broker.host.as_str(), broker.port).to_socket_addrs().and_then(|mut all| {
        let address = all.next().ok_or_else(|| std::io::Error::other("it has no address"))?;
        TcpStream::connect_timeout(&address, TIMEOUT)
    });
    if let Err(error) = answers {
        let told = format!("{broker}: {error}");
        return Some(Check::fault(
            "mqtt",
            told,
            "is the broker running, and mqtt.broker right? The gate goes on without",
        ));
    }
    let plain = !broker.tls && !broker.is_loopback();
    let unsigned = settings.commands && settings.command_key_file.is_none();
    Some(match (plain && unsigned, plain && settings.plates) {
        (true, _) => Check::warning(
            "mqtt",
            format!("{broker}: commands come unencrypted and unsigned: who listens on the network can send them"),
            "use mqtts://, or mqtt.command_key_file",
        ),
        (_, true) => {
            Check::warning("mqtt", format!("{broker}: plates go over the network unencrypted"), "use mqtts://")
        }
        _ => Check::ok("mqtt", format!("{broker}: it answers")),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::Status;
    use super::*;

    fn config(text: &str) -> Config {
        Config::parse(text, Path::new("x")).unwrap()
    }

    #[test]
    fn a_receiver_is_looked_at_and_nothing_is_sent() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let text = |url: &str| format!("[[webhook]]\nname = \"house\"\nurl = \"{url}\"\nsecret_file = {file:?}\n");
        let look = |url: &str| webhooks(&config(&text(url))).remove(0);
        assert_eq!(look("https://h.example/").status, Status::Fault);
        std::fs::write(&file, "0123456789abcdef").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(look("https://h.example/").detail.contains("everybody"));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(look("http://10.0.0.2/").status, Status::Warning);
        assert_eq!((look("http://127.0.0.1:9/").status, look("https://h.example/").status), (Status::Ok, Status::Ok));
    }

    #[test]
    fn a_broker_is_looked_at() {
        assert!(broker(&Config::default()).is_none());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let look =
            |more: &str| broker(&config(&format!("[mqtt]\nbroker = \"mqtt://127.0.0.1:{port}\"\n{more}"))).unwrap();
        assert_eq!(look("").status, Status::Ok);
        assert!(look("username = \"u\"\npassword_file = \"/nonexistent/p\"\n").detail.contains("/nonexistent/p"));
        assert!(look("command_key_file = \"/nonexistent/k\"\n").detail.contains("/nonexistent/k"));
        drop(listener);
        assert_eq!(look("").status, Status::Fault);
    }
}
