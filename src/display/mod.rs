//! The sign beside the barrier: what it shows and says to the driver.
//!
//! In: a [`Greeting`]. Out: lines on an LED board and a voice over RS-485 ([`board`]), or on a terminal ([`terminal`]). It
//! has a thread of its own; nobody waits for it, and a greeting that comes while another is being sent replaces the one
//! before. At quiet hours it shows and does not speak. It never shows a plate, and knows nothing of registers and rules.

pub mod board;
pub mod terminal;

use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use jiff::civil::Time;

use crate::config;

/// What the driver is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// Come in.
    Welcome,
    /// Being looked at, or looked at again.
    Wait,
    /// Nobody's registered car.
    Unregistered,
    /// Registered, and something is to be settled with the stewards. What it is, is nobody else's business.
    AskSteward,
    /// The gate is closed at this hour.
    Closed,
}

impl Greeting {
    /// All of them.
    pub const ALL: [Greeting; 5] =
        [Greeting::Welcome, Greeting::Wait, Greeting::Unregistered, Greeting::AskSteward, Greeting::Closed];

    /// The text, shown and spoken.
    pub fn text(self) -> &'static str {
        match self {
            Greeting::Welcome => "欢迎回家",
            Greeting::Wait => "请稍候",
            Greeting::Unregistered => "未登记车辆",
            Greeting::AskSteward => "请联系管家",
            Greeting::Closed => "夜间关闭",
        }
    }

    /// The colour of the text.
    pub fn colour(self) -> Colour {
        match self {
            Greeting::Welcome => Colour::Green,
            Greeting::Wait => Colour::Yellow,
            Greeting::Unregistered | Greeting::AskSteward | Greeting::Closed => Colour::Red,
        }
    }
}

/// A colour that every board has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Stay out.
    Red,
    /// Come in.
    Green,
    /// Wait; also when nobody is there.
    Yellow,
}

/// What a sign is told to show and say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// One text a line, from the top.
    pub lines: &'a [&'a str],
    /// Their colour.
    pub colour: Colour,
    /// What is said aloud, if anything.
    pub voice: Option<&'a str>,
}

/// Something that shows and says.
pub trait Sign: Send {
    /// Shows and says this, until something else comes.
    fn show(&mut self, message: &Message<'_>) -> Result<(), SignError>;
    /// What it is, for `doctor` and the log.
    fn describe(&self) -> String;
}

/// Why a sign could not be told, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SignError(pub String);

/// The configured sign; none where there is none.
pub fn sign(settings: &config::Display) -> Option<Box<dyn Sign>> {
    match settings.sign {
        config::Sign::None => None,
        config::Sign::Terminal => Some(Box::new(terminal::Terminal::new(std::io::stdout()))),
        config::Sign::Board => {
            Some(Box::new(board::Board::new(&settings.port, settings.baud, usize::from(settings.columns))))
        }
    }
}

/// The sign's thread. Clones of its handle tell it what to show.
pub struct Display {
    greetings: Option<Sender<Greeting>>,
    thread: Option<JoinHandle<()>>,
}

/// Greetings that may wait. More than one only happens to a board that hangs.
const WAITING: usize = 4;

impl Display {
    /// Starts the thread of this sign.
    pub fn start(sign: Box<dyn Sign>, settings: &config::Display) -> Display {
        let (send, greetings) = crossbeam_channel::bounded(WAITING);
        let settings = settings.clone();
        let now = || jiff::Zoned::now().time();
        let spawned = std::thread::Builder::new()
            .name("display".into())
            .spawn(move || Shower { sign, settings, failed: false }.run(&greetings, &now));
        if let Err(error) = &spawned {
            tracing::error!("the display's thread could not be started: {error}");
        }
        Display { greetings: Some(send), thread: spawned.ok() }
    }

    /// Shows and says this; never waits. Passed over while the board hangs.
    pub fn greet(&self, greeting: Greeting) {
        if let Some(greetings) = &self.greetings
            && let Err(TrySendError::Full(_)) = greetings.try_send(greeting)
        {
            tracing::debug!("the sign does not keep up");
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.greetings = None;
        if let Some(thread) = self.thread.take() {
            // One that panicked has been reported by the panic itself.
            let _ = thread.join();
        }
    }
}

struct Shower {
    sign: Box<dyn Sign>,
    settings: config::Display,
    failed: bool,
}

impl Shower {
    fn run(mut self, greetings: &Receiver<Greeting>, now: &dyn Fn() -> Time) {
        let stays = Duration::from_secs(self.settings.stays_s);
        self.idle();
        loop {
            let Ok(mut greeting) = greetings.recv() else { return };
            loop {
                // Only the newest counts: the car before has driven on.
                greeting = greetings.try_iter().last().unwrap_or(greeting);
                self.greet(greeting, now());
                match greetings.recv_timeout(stays) {
                    Ok(next) => greeting = next,
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return self.idle(),
                }
            }
            self.idle();
        }
    }

    fn greet(&mut self, greeting: Greeting, now: Time) {
        let quiet = self.settings.quiet.is_some_and(|hours| hours.contains(now));
        let voice = (self.settings.voice && !quiet).then_some(greeting.text());
        self.show(&Message { lines: &[greeting.text(), ""], colour: greeting.colour(), voice });
    }

    fn idle(&mut self) {
        let text = self.settings.idle.clone();
        self.show(&Message { lines: &[&text, ""], colour: Colour::Yellow, voice: None });
    }

    fn show(&mut self, message: &Message<'_>) {
        let shown = self.sign.show(message);
        if let Err(error) = &shown
            && !self.failed
        {
            // Once: a board that is unplugged must not fill the log.
            tracing::warn!("the sign: {error}");
        }
        self.failed = shown.is_err();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    /// The first line shown, and what was said.
    type Shown = Vec<(String, Option<String>)>;

    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Shown>>);

    impl Sign for Seen {
        fn show(&mut self, message: &Message<'_>) -> Result<(), SignError> {
            self.0.lock().push((message.lines[0].to_owned(), message.voice.map(str::to_owned)));
            Ok(())
        }

        fn describe(&self) -> String {
            "seen".into()
        }
    }

    fn settings() -> config::Display {
        config::Display { idle: "南门".into(), quiet: "22:00-07:00".parse().ok(), ..Default::default() }
    }

    fn greeted(at: Time, greetings: &[Greeting]) -> Shown {
        let (seen, (send, receive)) = (Seen::default(), crossbeam_channel::bounded(WAITING));
        let shower = Shower { sign: Box::new(seen.clone()), settings: settings(), failed: false };
        for greeting in greetings {
            send.send(*greeting).unwrap();
        }
        drop(send);
        shower.run(&receive, &|| at);
        std::mem::take(&mut *seen.0.lock())
    }

    #[test]
    fn it_speaks_by_day_and_only_shows_by_night() {
        let text = |text: &str, voice: Option<&str>| (text.to_owned(), voice.map(str::to_owned));
        let (idle, day, night) = (text("南门", None), jiff::civil::time(12, 0, 0, 0), jiff::civil::time(23, 30, 0, 0));
        let welcome = greeted(day, &[Greeting::Welcome]);
        assert_eq!(welcome, [idle.clone(), text("欢迎回家", Some("欢迎回家")), idle.clone()]);
        assert_eq!(greeted(night, &[Greeting::Unregistered])[1], text("未登记车辆", None));
        // Only the newest of those that wait.
        assert_eq!(greeted(night, &[Greeting::Wait, Greeting::Welcome]).len(), 3);
    }

    #[test]
    fn the_thread_greets_and_ends() {
        let seen = Seen::default();
        let display = Display::start(Box::new(seen.clone()), &settings());
        display.greet(Greeting::Wait);
        drop(display);
        assert!(seen.0.lock().iter().any(|(text, _)| text == "请稍候"));
    }

    #[test]
    fn the_twin_prints_what_a_board_shows() {
        let mut out = Vec::new();
        let lines = [Greeting::Wait.text()];
        terminal::Terminal::new(&mut out)
            .show(&Message { lines: &lines, colour: Colour::Yellow, voice: Some("请稍候") })
            .unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "[sign, yellow] 请稍候  (aloud: 请稍候)\n");
    }
}
