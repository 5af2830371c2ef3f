//! The real `plategate` on the test machine: started with a configuration, asked over HTTP, signalled, awaited.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Everything takes twenty times as long on an emulated machine.
const PATIENCE: Duration = Duration::from_secs(120);
const LISTEN: &str = "127.0.0.1:8460";

/// The car that is let in.
pub const PLATE: &str = plategate::register::demo::PAID;

/// A running gate; dropping it kills it.
pub struct Gate {
    child: Child,
    folder: TempDir,
}

impl Gate {
    /// Starts a gate that knows one car, with these lines of configuration besides its data folder and the page.
    pub fn start(config: &str) -> Gate {
        Gate::start_in(None, config)
    }

    /// The same with a data folder elsewhere.
    pub fn start_in(data: Option<&Path>, config: &str) -> Gate {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gate.toml");
        let data = data.map_or_else(|| folder.path().join("data"), Path::to_path_buf);
        // A few painted frames over and over, on a lane that is never empty: not what the check for photographs can judge.
        let head = format!("data.folder = {data:?}\nweb.listen = \"{LISTEN}\"\nphoto_check.strength = \"watch\"\n");
        std::fs::write(&file, head + config).unwrap();
        let copied = Command::new("cp").arg("-r").arg(register()).arg(&data).status().unwrap();
        assert!(copied.success());
        Gate { child: spawn(&file, folder.path()), folder }
    }

    /// Starts it again on the same data, after it has ended.
    pub fn again(&mut self) {
        self.end();
        self.child = spawn(&self.config(), self.folder.path());
    }

    /// Its configuration, for other commands.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("gate.toml")
    }

    /// Do frames come, and is everything else in order?
    pub fn is_ready(&self) -> bool {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        agent.get(format!("http://{LISTEN}/readyz")).call().is_ok_and(|answer| answer.status() == 200)
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Waits until this is so; gives how long that took.
    pub fn wait_for(&mut self, what: &str, mut is_so: impl FnMut(&Gate) -> bool) -> Duration {
        let begun = Instant::now();
        while !is_so(self) {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("waiting for {what}: plategate ended ({status})\n{}", self.log());
            }
            assert!(begun.elapsed() < PATIENCE, "{what} did not come\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        begun.elapsed()
    }

    /// Sends a signal, such as `-KILL`.
    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Waits for its end.
    pub fn end(&mut self) -> ExitStatus {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("plategate does not end\n{}", self.log());
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A data folder with the one car, made once: a command of an emulated machine takes seconds.
fn register() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let mut add = Command::new(env!("CARGO_BIN_EXE_plategate"));
            add.args(["plates", "add", PLATE, "--household", "2-301", "--data"]).arg(folder.path());
            let added = add.output().unwrap();
            assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
            folder
        })
        .path()
}

fn spawn(config: &Path, folder: &Path) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
    plategate(config).arg("run").stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

/// A command of plategate with this configuration.
pub fn plategate(config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plategate"));
    command.arg("--config").arg(config);
    command
}
