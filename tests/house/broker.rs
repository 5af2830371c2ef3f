//! A real broker with users and what each may do, and a real subscriber that sees everything.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::until;

/// Everybody's password; who is who is told by the name.
pub const PASSWORD: &str = "correct horse";

pub struct Broker {
    folder: PathBuf,
    pub port: u16,
    child: Option<Child>,
    authority: Option<PathBuf>,
}

/// Is there one on this machine? Says so where there is none.
pub fn is_there() -> bool {
    let found = ["mosquitto", "mosquitto_sub", "mosquitto_pub", "mosquitto_passwd"]
        .iter()
        .all(|name| Command::new(name).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok());
    if !found {
        eprintln!("skipped: mosquitto and mosquitto-clients are not installed (scripts/setup test)");
    }
    found
}

const ALLOWED: &str = "user plategate\ntopic readwrite plategate/#\ntopic readwrite homeassistant/#\n\
    user watcher\ntopic read #\n\
    user home\ntopic write homeassistant/status\ntopic write plategate/gate/command/home\n\
    user wang\ntopic write plategate/gate/command/wang\n\
    user mallory\ntopic read plategate/#\ntopic write plategate/gate/command/mallory\n";

impl Broker {
    /// A broker on a free port of this machine; `authority` speaks TLS with a certificate of its own.
    pub fn start(folder: &Path, tls: bool) -> Broker {
        let passwords = folder.join("passwords");
        std::fs::write(&passwords, "").unwrap();
        for user in ["plategate", "watcher", "home", "wang", "mallory"] {
            let set =
                Command::new("mosquitto_passwd").arg("-b").arg(&passwords).args([user, PASSWORD]).status().unwrap();
            assert!(set.success());
        }
        std::fs::write(folder.join("acl"), ALLOWED).unwrap();
        std::fs::write(folder.join("plategate.password"), format!("{PASSWORD}\n")).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let authority = tls.then(|| certificates(folder));
        let mut broker = Broker { folder: folder.to_owned(), port, child: None, authority };
        broker.run();
        broker
    }

    /// Starts it, also after it was killed.
    pub fn run(&mut self) {
        let at = |name: &str| self.folder.join(name).display().to_string();
        let tls = match &self.authority {
            Some(_) => format!("certfile {}\nkeyfile {}\n", at("broker.pem"), at("broker.key")),
            None => String::new(),
        };
        // Not as its own user: the files of the test are ours.
        let text = format!(
            "listener {} 127.0.0.1\n{tls}allow_anonymous false\npassword_file {}\nacl_file {}\npersistence false\nuser root\n",
            self.port,
            at("passwords"),
            at("acl")
        );
        let file = self.folder.join("mosquitto.conf");
        std::fs::write(&file, text).unwrap();
        let child = Command::new("mosquitto").arg("-c").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(child.unwrap());
        until("the broker", || std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// `[mqtt]` for a gate that signs in as itself.
    pub fn config(&self, more: &str) -> String {
        let password = self.folder.join("plategate.password");
        let (scheme, ca) = match &self.authority {
            Some(file) => ("mqtts", format!("ca_file = {file:?}\n")),
            None => ("mqtt", String::new()),
        };
        format!(
            "[mqtt]\nbroker = \"{scheme}://localhost:{}\"\nusername = \"plategate\"\npassword_file = {password:?}\n{ca}{more}",
            self.port
        )
    }

    fn client(&self, program: &str, user: &str) -> Command {
        let mut client = Command::new(program);
        client.args(["-h", "localhost", "-p", &self.port.to_string(), "-u", user, "-P", PASSWORD, "-q", "1"]);
        if let Some(file) = &self.authority {
            client.arg("--cafile").arg(file);
        }
        client
    }

    /// Publishes as a user; whether the broker passes it on is the broker's business.
    pub fn publish(&self, user: &str, topic: &str, message: &str, retain: bool) {
        let mut client = self.client("mosquitto_pub", user);
        if retain {
            client.arg("-r");
        }
        assert!(client.args(["-t", topic, "-m", message]).status().unwrap().success());
    }

    /// Listens to everything from now on; what is retained comes first.
    pub fn listen(&self) -> Listener {
        let mut client = self.client("mosquitto_sub", "watcher");
        let child = client.args(["-t", "#", "-F", "%r\t%t\t%p"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = child.unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let heard = Arc::<Mutex<Vec<Message>>>::default();
        let into = heard.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut parts = line.splitn(3, '\t').map(str::to_owned);
                let mut next = || parts.next().unwrap_or_default();
                let message = Message { retained: next() == "1", topic: next(), payload: next() };
                into.lock().unwrap().push(message);
            }
        });
        Listener { child, heard }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An authority and the broker's certificate, which it vouches for.
fn certificates(folder: &Path) -> PathBuf {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Another name than the broker's, or OpenSSL takes that one for its own authority.
    params.distinguished_name.push(DnType::CommonName, "the house's authority");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    std::fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    std::fs::write(folder.join("broker.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("broker.key"), key.serialize_pem()).unwrap();
    folder.join("ca.pem")
}

#[derive(Clone, Debug)]
pub struct Message {
    pub retained: bool,
    pub topic: String,
    pub payload: String,
}

pub struct Listener {
    child: Child,
    heard: Arc<Mutex<Vec<Message>>>,
}

impl Listener {
    pub fn all(&self, topic: &str) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        heard.iter().filter(|m| m.topic == topic).map(|m| m.payload.clone()).collect()
    }

    pub fn last(&self, topic: &str) -> Option<String> {
        self.all(topic).pop()
    }

    /// The last one as JSON; null where there is none.
    pub fn json(&self, topic: &str) -> Value {
        self.last(topic).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    pub fn everything(&self) -> String {
        format!("{:?}", self.heard.lock().unwrap())
    }

    /// Was the last one of the topic kept by the broker from before?
    pub fn is_retained(&self, topic: &str) -> bool {
        let heard = self.heard.lock().unwrap();
        heard.iter().rev().find(|m| m.topic == topic).is_some_and(|m| m.retained)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
