//! A compound for a test: its broker, and gates that are processes.

// Each test uses what it needs of this.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::{Command as Process, Output};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use plategate::fleet::identity::Identity;
use plategate::fleet::simulate::broker::{self, Broker};
use plategate::fleet::sync;
use serde_json::{Value, json};

use crate::support;

/// The machine is small: one compound at a time.
pub static ONE: Mutex<()> = Mutex::new(());
/// How long anything may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);

pub fn plategate(arguments: &[&str], data: &Path) -> Output {
    Process::new(env!("CARGO_BIN_EXE_plategate")).args(arguments).arg("--data").arg(data).output().unwrap()
}

pub fn succeeds(arguments: &[&str], data: &Path) -> String {
    let out = plategate(arguments, data);
    assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if begun.elapsed() > PATIENCE => panic!("{what} did not come: {seen}"),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// A running gate with a program's token.
pub struct Gate {
    pub inner: support::Gate,
    pub token: String,
    pub data: PathBuf,
}

impl Gate {
    pub fn start(data: &Path) -> Gate {
        Gate::with_camera(data, "folder:/nonexistent")
    }

    pub fn with_camera(data: &Path, camera: &str) -> Gate {
        let token = support::token(data, "王芳", "steward");
        let inner = support::Gate::start(&["--camera", camera, "--data", &data.display().to_string()]);
        Gate { inner, token, data: data.to_owned() }
    }

    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.inner.address))
            .header("Authorization", format!("Bearer {}", self.token));
        let mut answer = match body {
            Some(body) => agent.run(
                request.header("Content-Type", "application/json").body(serde_json::to_vec(body).unwrap()).unwrap(),
            ),
            None => agent.run(request.body(()).unwrap()),
        }
        .unwrap();
        let text = answer.body_mut().read_to_vec().unwrap();
        (answer.status().as_u16(), serde_json::from_slice(&text).unwrap_or(Value::Null))
    }

    pub fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, None);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    pub fn put_car(&self, plate: &str, note: &str, blocked: bool) {
        let car = json!({"building": 1, "unit": "101", "name": "王伟", "note": note, "blocked": blocked});
        let (status, body) = self.ask("PUT", &format!("/api/v1/vehicles/{}", encoded(plate)), Some(&car));
        assert_eq!(status, 200, "{body}");
    }

    pub fn car(&self, plate: &str) -> Option<Value> {
        let (status, body) = self.ask("GET", &format!("/api/v1/vehicles/{}", encoded(plate)), None);
        (status == 200).then_some(body)
    }

    pub fn state(&self) -> String {
        self.get("/api/v1/gates")["connection"]["state"].as_str().unwrap().to_owned()
    }

    pub fn wait_state(&self, wanted: &str) {
        wait_for(wanted, || {
            let now = self.get("/api/v1/gates");
            if now["connection"]["state"] == wanted { Ok(()) } else { Err(now.to_string()) }
        });
    }

    pub fn open_here(&self, why: &str) {
        assert_eq!(self.ask("POST", "/api/v1/open", Some(&json!({"reason": why}))).0, 200);
    }

    pub fn kill(mut self) -> PathBuf {
        self.inner.child.kill().unwrap();
        self.inner.child.wait().unwrap();
        self.data.clone()
    }

    /// What it has refused so far.
    pub fn refused(&self) -> u64 {
        self.get("/api/v1/gates")["refused"].as_u64().unwrap()
    }
}

pub fn encoded(plate: &str) -> String {
    plate.bytes().map(|b| if b.is_ascii() { (b as char).to_string() } else { format!("%{b:02X}") }).collect()
}

/// A founded fleet with its broker; the founder's gate is not started yet.
pub struct Compound {
    pub broker: Broker,
    pub main: PathBuf,
    pub folder: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

/// How a compound is spoken to, where it is not in the clear: the URL's scheme, and more arguments.
#[derive(Clone, Copy)]
pub struct Wire<'a> {
    pub scheme: &'a str,
    /// For `fleet found`.
    pub found: &'a [&'a str],
    /// For `fleet server-config`.
    pub server: &'a [&'a str],
}

impl Compound {
    /// None where there is no broker to be had.
    pub fn found(most: &str) -> Option<Compound> {
        let wire = Wire { scheme: "nats", found: &[], server: &[] };
        Compound::found_in(tempfile::tempdir().unwrap(), wire, most)
    }

    /// In this folder, with what lies there.
    pub fn found_in(folder: tempfile::TempDir, wire: Wire<'_>, most: &str) -> Option<Compound> {
        let Some(program) = broker::program() else {
            eprintln!("skipped: nats-server is not installed (apt install nats-server)");
            return None;
        };
        let alone = ONE.lock().unwrap_or_else(|broken| broken.into_inner());
        let (main, port) = (folder.path().join("main"), broker::free_port().unwrap());
        let url = format!("{}://127.0.0.1:{port}", wire.scheme);
        let found = ["fleet", "found", "--compound", "garden", "--gate", "main", "--server", &url];
        succeeds(&[found.as_slice(), wire.found].concat(), &main);
        let config = folder.path().join("broker.conf");
        configure(folder.path(), &main, port, most, wire.server);
        let broker = Broker::start(&program, &config, port).unwrap();
        Some(Compound { broker, main, folder, _alone: alone })
    }

    /// Lets a box in, for this gate. The founder's gate has to run.
    pub fn join(&self, gate: &str) -> PathBuf {
        let token = succeeds(&["fleet", "invite", gate], &self.main);
        let data = self.folder.path().join(gate);
        // The broker has been told of the token by a signal, and takes a moment.
        wait_for("joining", || {
            let out = plategate(&["fleet", "join", &token], &data);
            if out.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
        });
        let again = plategate(&["fleet", "join", &token], &self.folder.path().join("thief"));
        assert!(!again.status.success(), "a token lets one box in");
        data
    }

    /// Writes the broker's configuration anew, with this much that it may keep.
    pub fn configure(&self, most: &str) {
        let port = self.broker.url().rsplit_once(':').unwrap().1.parse().unwrap();
        configure(self.folder.path(), &self.main, port, most, &[]);
    }

    /// Two gates that know each other.
    pub fn two(&self) -> (Gate, Gate) {
        let main = Gate::start(&self.main);
        main.wait_state("connected");
        let north = Gate::start(&self.join("north"));
        north.wait_state("connected");
        (main, north)
    }
}

fn configure(folder: &Path, main: &Path, port: u16, most: &str, more: &[&str]) {
    let at = |name: &str| folder.join(name).display().to_string();
    let (config, listen) = (at("broker.conf"), format!("127.0.0.1:{port}"));
    let (store, pid) = (at("streams"), at("broker.pid"));
    let server = ["fleet", "server-config", "--file", &config, "--listen", &listen, "--store", &store];
    let limits = ["--pid-file", &pid, "--most", most];
    succeeds(&[server.as_slice(), limits.as_slice(), more].concat(), main);
}

/// Speaks to the broker as a box, past its gate.
pub fn as_box<T>(data: &Path, speak: impl AsyncFnOnce(&Identity, &async_nats::Client) -> T) -> T {
    let identity = Identity::load(data).unwrap().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = sync::connect(&identity, None, Arc::new(tokio::sync::Notify::new())).await.unwrap();
        speak(&identity, &client).await
    })
}

/// The same car on both gates.
pub fn same_car(one: &Gate, other: &Gate, plate: &str) -> Value {
    wait_for("the same car on both gates", || match (one.car(plate), other.car(plate)) {
        (Some(a), Some(b)) if a == b => Ok(a),
        seen => Err(format!("{seen:?}")),
    })
}
