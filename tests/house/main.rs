//! The house around the gate: a real MQTT broker with a real subscriber, and an HTTP receiver that is slow, fails, hangs, dies and
//! comes back. The gate is the real program.
//!
//! The broker's tests need `mosquitto` and `mosquitto-clients` (`scripts/setup test` installs them); without them they say so and
//! do nothing.

mod broker;
mod mqtt;
mod notices;
mod receiver;
#[path = "../support/mod.rs"]
mod support;
mod webhook;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A gate with a configuration of its own, and a steward's and an auditor's token for it.
struct Gate {
    inner: support::Gate,
    steward: String,
    auditor: String,
}

/// Keys that make a gate quick, and blind: nothing comes but what is asked for.
const QUICK: &str =
    "[camera]\nsource = \"file:/nonexistent.mp4\"\n[barrier]\npulse_ms = 50\nmin_gap_ms = 50\nmost_per_minute = 60\n";

/// Writes the configuration; gives its path.
fn configure(folder: &Path, text: &str) -> PathBuf {
    let file = folder.join("gate.toml");
    std::fs::write(&file, text).unwrap();
    file
}

impl Gate {
    /// Starts it on the folder's data.
    fn start(folder: &Path, config: &Path, more: &[&str]) -> Gate {
        let data = folder.join("data");
        let steward = support::token(&data, "steward", "steward");
        let auditor = support::token(&data, "auditor", "auditor");
        let (data, config) = (data.display().to_string(), config.display().to_string());
        let inner = support::Gate::start(&[&["--data", &data, "--config", &config], more].concat());
        Gate { inner, steward, auditor }
    }

    fn agent() -> ureq::Agent {
        let timeout = Some(Duration::from_secs(60));
        ureq::Agent::config_builder().http_status_as_error(false).timeout_global(timeout).build().into()
    }

    fn text(&self, path: &str) -> String {
        let request = Gate::agent().get(format!("http://{}{path}", self.inner.address));
        // A token is for the API alone.
        let request = match path.starts_with("/api/") {
            true => request.header("Authorization", format!("Bearer {}", self.auditor)),
            false => request,
        };
        request.call().unwrap().body_mut().read_to_string().unwrap()
    }

    fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.text(path)).unwrap()
    }

    /// Opens by hand; gives what the gate answered.
    fn open(&self, reason: &str) -> Value {
        let url = format!("http://{}/api/v1/open", self.inner.address);
        let request = Gate::agent().post(url).header("Authorization", format!("Bearer {}", self.steward));
        let body = json!({"reason": reason}).to_string();
        let mut answer = request.send(&body).unwrap();
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    }

    /// Opens, once: after the last press has been let go, when the next one may come.
    fn press(&self, reason: &str) {
        until("the release", || self.get("/api/v1/status")["barrier"]["pressed"] == false);
        let told = self.open(reason);
        assert_eq!(told["pulse"], "pressed", "{told}");
    }

    fn presses(&self) -> u64 {
        self.get("/api/v1/status")["barrier"]["presses"].as_u64().unwrap()
    }

    fn kill(&mut self) {
        self.inner.child.kill().unwrap();
        self.inner.child.wait().unwrap();
    }

    fn stop(&mut self) {
        let id = self.inner.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert!(self.inner.child.wait().unwrap().success());
    }
}

/// Runs another command of the program.
fn plategate(config: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_plategate")).arg("--config").arg(config).args(arguments).output().unwrap()
}

/// Asks until it is so. The time is for a machine that has much else to do.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(240), "{what} did not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}
