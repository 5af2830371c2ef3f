//! A broker of one's own, for as long as a simulation or a test lasts: Debian's `nats-server`, on this machine only.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running broker.
pub struct Broker {
    program: PathBuf,
    config: PathBuf,
    address: SocketAddr,
    child: Option<Child>,
}

/// How long it may take to start: a loaded machine with much to read.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the program lies, if it is installed.
pub fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/bin"].map(PathBuf::from));
    folders.map(|folder| folder.join("nats-server")).find(|program| program.is_file())
}

/// A port of this machine that nobody uses.
pub fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

impl Broker {
    /// Starts one with a configuration that listens on this port of this machine.
    pub fn start(program: &Path, config: &Path, port: u16) -> anyhow::Result<Broker> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut broker = Broker { program: program.into(), config: config.into(), address, child: None };
        broker.go_on()?;
        Ok(broker)
    }

    /// Starts one without any rights, that keeps its streams in this folder, at most so many bytes.
    pub fn open(program: &Path, folder: &Path, most_bytes: u64) -> anyhow::Result<Broker> {
        let port = free_port()?;
        let config = folder.join("broker.conf");
        let store = folder.join("streams");
        let text = format!(
            "listen: 127.0.0.1:{port}\nmax_payload: 1MB\njetstream {{ store_dir: {:?}, max_file_store: {most_bytes}, \
             max_memory_store: 16MB }}\n",
            store.display().to_string(),
        );
        std::fs::write(&config, text)?;
        Broker::start(program, &config, port)
    }

    /// Where gates find it.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Its process, for signals.
    pub fn process(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Ends it as a power cut does.
    pub fn cut(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again, with what it had on its disk; returns when it answers.
    pub fn go_on(&mut self) -> anyhow::Result<()> {
        let log = std::fs::File::create(self.config.with_extension("log"))?;
        let child = Command::new(&self.program)
            .arg("-c")
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        let begun = Instant::now();
        while TcpStream::connect_timeout(&self.address, Duration::from_millis(200)).is_err() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if ended.is_some() || begun.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(self.config.with_extension("log")).unwrap_or_default();
                let last = log.lines().last().unwrap_or("it says nothing").to_owned();
                anyhow::bail!("nats-server does not start: {last}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.cut();
    }
}
