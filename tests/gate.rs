//! The whole gate as a process: frames in, a press out, a clean stop, and nothing acknowledged lost.

#[allow(dead_code)]
#[path = "attackers/attacker.rs"]
mod attacker;
mod support;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// A demo gate, and a program's token for it.
struct Gate {
    inner: support::Gate,
    token: String,
}

impl Gate {
    fn start(data: &Path) -> Gate {
        let token = support::token(data, "tester", "auditor");
        let inner = support::Gate::start(&["--demo", "--data", &data.display().to_string()]);
        Gate { inner, token }
    }

    fn get(&self, path: &str) -> Option<(u16, String)> {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build().into();
        let request = agent.get(format!("http://{}{path}", self.inner.address));
        let request = match path.starts_with("/api/") {
            true => request.header("Authorization", format!("Bearer {}", self.token)),
            false => request,
        };
        let mut answer = request.call().ok()?;
        let body = answer.body_mut().read_to_vec().ok()?;
        Some((answer.status().as_u16(), String::from_utf8_lossy(&body).into_owned()))
    }

    fn json(&self, path: &str) -> serde_json::Value {
        serde_json::from_str(&self.get(path).unwrap().1).unwrap()
    }

    /// Asks until the answer pleases.
    fn wait_for(&self, what: &str, path: &str, pleases: impl Fn(u16, &str) -> bool) {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(90) {
            if self.get(path).is_some_and(|(status, body)| pleases(status, &body)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        panic!("{what} did not come: {:?}", self.get("/api/v1/status"));
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.inner.child.id().to_string()]).status().unwrap().success());
    }
}

#[test]
fn a_car_is_let_in_it_is_on_record_and_the_gate_stops_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut gate = Gate::start(&data);
    gate.wait_for("the first frame", "/readyz", |status, _| status == 200);
    gate.wait_for("the first arrival", "/api/v1/events", |_, body| body.contains("\"opened\""));
    let event = gate.json("/api/v1/events")[0].clone();
    assert_eq!((event["plate"].as_str(), event["rule"].as_str()), (Some("苏F8K291"), Some("paid")), "{event}");
    assert!(event["pulse"]["pressed"]["after_ms"].as_f64().unwrap() > 0.0);
    assert!(gate.json("/api/v1/status")["barrier"]["presses"].as_u64().unwrap() >= 1);
    let (status, metrics) = gate.get("/metrics").unwrap();
    assert!(status == 200 && metrics.contains("plategate_frames_total") && !metrics.contains("8K291"), "{metrics}");
    assert_eq!(gate.get("/api/v1/events/999999").unwrap().0, 404);
    assert_eq!(gate.get("/").unwrap().0, 303, "nobody looks without signing in");
    let page = gate.get("/sign-in").unwrap().1;
    assert!(page.contains("登录") && !page.contains("http://") && !page.contains("https://"));

    // A second one on the same folder is told so, and the first goes on.
    let second =
        Command::new(env!("CARGO_BIN_EXE_plategate")).args(["plates", "--data"]).arg(&data).arg("list").output();
    let told = String::from_utf8(second.unwrap().stderr).unwrap();
    assert!(told.contains(&format!("process {}", gate.inner.child.id())), "{told}");

    gate.signal("-TERM");
    let begun = Instant::now();
    let status = gate.inner.child.wait().unwrap();
    assert!(status.success(), "{status}");
    assert!(begun.elapsed() < Duration::from_secs(2), "stopping took {:?}", begun.elapsed());

    // What was on record before is on record now, with its picture.
    let again = Gate::start(&data);
    let (_, body) = again.get("/api/v1/events/1").unwrap();
    assert!(body.contains("苏F8K291"), "{body}");
    assert_eq!(again.get("/api/v1/events/1/picture").unwrap().0, 200);
}

#[test]
fn kill_9_loses_no_recorded_arrival() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut gate = Gate::start(&data);
    gate.wait_for("the first arrival", "/api/v1/events", |_, body| body.contains("苏F8K291"));
    let seen = gate.json("/api/v1/status")["events"].as_u64().unwrap();
    gate.signal("-KILL");
    gate.inner.child.wait().unwrap();
    // As after a power cut in the middle of a snapshot.
    std::fs::write(data.join("register.sled/snap.00000000000FFFFF.generating"), "torn").unwrap();
    let again = Gate::start(&data);
    let status = again.json("/api/v1/status");
    assert!(status["events"].as_u64().unwrap() >= seen, "{status}");
    assert_eq!(status["register"]["vehicles"], 103);
    assert!(data.join("set-aside").is_dir());
}

#[test]
fn a_gate_that_was_held_by_hand_is_held_after_a_restart_until_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    support::token(&data, "steward", "steward");
    let token = support::token(&data, "auditor", "auditor");
    let start = || {
        let inner = support::Gate::start(&["--camera", "folder:/nonexistent", "--data", &data.display().to_string()]);
        Gate { inner, token: token.clone() }
    };
    let mode = |gate: &Gate| gate.json("/api/v1/status")["barrier"]["mode"].as_str().unwrap().to_owned();
    let gate = start();
    let steward = attacker::Attacker::signed_in(&gate.inner, "steward");
    assert_eq!(mode(&gate), "normal");
    assert_eq!(steward.form("/mode", &[("mode", "held_open"), ("lasts", "3")]).status, 422, "no such choice");
    assert_eq!(steward.form("/mode", &[("mode", "held_open"), ("lasts", "4")]).status, 303);
    assert_eq!(mode(&gate), "held_open");
    // As a power cut does it.
    drop(gate);
    let gate = start();
    gate.wait_for("the mode", "/api/v1/status", |_, body| body.contains("\"mode\":\"held_open\""));
    let steward = attacker::Attacker::signed_in(&gate.inner, "steward");
    let page = steward.get("/").body;
    assert!(page.contains("常开：所有车放行（steward），至"), "who, and until when: {page}");
    assert_eq!(steward.form("/mode", &[("mode", "normal")]).status, 303);
    drop(gate);
    assert_eq!(mode(&start()), "normal", "let go, it stays so");
}
