//! A running gate for the tests that meet it over HTTP.

// Each test uses what it needs of this.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// `plategate run` with everything that it printed first.
pub struct Gate {
    pub child: Child,
    pub address: SocketAddr,
    /// The one-time code, if it printed one.
    #[allow(dead_code)]
    pub code: Option<String>,
}

impl Gate {
    /// Starts it with these arguments, for this machine only; waits for its address.
    pub fn start(arguments: &[&str]) -> Gate {
        Gate::start_at("127.0.0.1:0", arguments)
    }

    /// Starts it at this address with these arguments; waits for the address that it took.
    pub fn start_at(listen: &str, arguments: &[&str]) -> Gate {
        let mut child = Command::new(program())
            .arg("run")
            .args(["--listen", listen])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, printed) = std::sync::mpsc::channel();
        // Everything is read, so that the gate never writes into a closed pipe.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let first = printed.recv().expect("the gate says where its page is");
        let address = first.rsplit_once("://").unwrap().1.parse().unwrap();
        // It prints a code only if nobody may sign in yet, and at once.
        let second = printed.recv_timeout(Duration::from_millis(500)).unwrap_or_default();
        let code = second.split_once("enter the code ").map(|(_, code)| code.to_owned());
        Gate { child, address, code }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program under test; another build of it where the environment names one.
fn program() -> String {
    std::env::var("PLATEGATE_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_plategate").to_owned())
}

/// Lets a user in, if they are not in yet, and gives a token that acts for them. The gate must not run.
#[allow(dead_code)]
pub fn token(data: &Path, name: &str, role: &str) -> String {
    let users = |arguments: &[&str], input: &str| {
        let mut child = Command::new(program())
            .args(["users", "--data"])
            .arg(data)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    };
    users(&["add", name, "--role", role, "--password-stdin"], "correct horse battery\n");
    let token = users(&["token", name, "--label", "test"], "").trim().to_owned();
    assert!(token.starts_with("plategate_"), "{token}");
    token
}
