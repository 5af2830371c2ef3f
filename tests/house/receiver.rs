//! A receiver of webhooks that behaves as it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;

pub const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// What it answers.
#[derive(Clone, Debug)]
pub enum Mood {
    /// This status, and with 3xx an address to go to.
    Says(u16, String),
    /// 200, after so long.
    Slow(Duration),
    /// Nothing, ever.
    Hangs,
}

/// One request that came.
#[derive(Clone, Debug)]
pub struct Got {
    pub id: String,
    pub event: String,
    pub attempt: u32,
    pub body: Value,
    /// It was answered with 200.
    pub taken: bool,
}

pub struct Receiver {
    pub address: SocketAddr,
    mood: Arc<Mutex<Mood>>,
    got: Arc<Mutex<Vec<Got>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    pub fn start() -> Receiver {
        Receiver::at("127.0.0.1:0".parse().unwrap())
    }

    pub fn at(address: SocketAddr) -> Receiver {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let mood = Arc::new(Mutex::new(Mood::Says(200, String::new())));
        let (got, stop) = (Arc::<Mutex<Vec<Got>>>::default(), Arc::<AtomicBool>::default());
        let (moods, taken, stopped) = (mood.clone(), got.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (mood, got) = (moods.lock().unwrap().clone(), taken.clone());
                std::thread::spawn(move || answer(stream.unwrap(), mood, &got));
            }
        });
        Receiver { address, mood, got, stop, thread: Some(thread) }
    }

    pub fn feels(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub fn says(&self, status: u16) {
        self.feels(Mood::Says(status, String::new()));
    }

    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// The events that it took, by the reason they were opened for.
    pub fn taken(&self, event: &str) -> Vec<Got> {
        self.got().into_iter().filter(|got| got.taken && got.event == event).collect()
    }
}

/// It dies: nobody listens any more.
impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().unwrap().join();
    }
}

fn answer(mut stream: TcpStream, mood: Mood, got: &Mutex<Vec<Got>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut headers = Vec::new();
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
        headers.push(line.trim_end().to_owned());
        line.clear();
    }
    let header = |name: &str| {
        let found = headers.iter().filter_map(|h| h.split_once(": ")).find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_owned())
    };
    // Somebody who only knocks.
    let Some(length) = header("content-length").and_then(|n| n.parse().ok()) else { return };
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    assert!(headers[0].starts_with("POST /hook?token=t0p "), "{headers:?}");
    verify(&header("plategate-signature").unwrap(), &body);
    let taken = !matches!(mood, Mood::Hangs | Mood::Says(201.. | ..=199, _));
    got.lock().unwrap().push(Got {
        id: header("plategate-id").unwrap(),
        event: header("plategate-event").unwrap(),
        attempt: header("plategate-attempt").unwrap().parse().unwrap(),
        body: serde_json::from_slice(&body).unwrap(),
        taken,
    });
    let (status, location) = match mood {
        Mood::Says(status, location) => (status, location),
        Mood::Slow(time) => {
            std::thread::sleep(time);
            (200, String::new())
        }
        Mood::Hangs => {
            // Until the gate has had enough.
            let _ = stream.read(&mut [0]);
            return;
        }
    };
    let more = if location.is_empty() { String::new() } else { format!("Location: {location}\r\n") };
    let _ = write!(stream, "HTTP/1.1 {status} x\r\n{more}Content-Length: 0\r\nConnection: close\r\n\r\n");
}

/// As the guide tells a receiver to do it.
fn verify(header: &str, body: &[u8]) {
    let field = |name: &str| header.split(',').find_map(|part| part.strip_prefix(name)).unwrap().to_owned();
    let (at, signature) = (field("t="), field("v1="));
    let now = jiff::Timestamp::now().as_second();
    assert!((now - at.parse::<i64>().unwrap()).abs() < 300, "an old signature is a replayed one");
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{at}.").as_bytes());
    mac.update(body);
    let want: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(signature, want);
}
