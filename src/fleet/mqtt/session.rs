//! The connection: made again and again, with longer and longer pauses; everything is told anew each time it comes up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use jiff::Timestamp;
use rumqttc::{AsyncClient, Event, EventLoop, LastWill, MqttOptions, Outgoing, Packet, Publish, QoS, Transport};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::announce::{self, Has};
use super::command::{Command, Judge, Refused, Used};
use super::topics::Topics;
use super::{Parts, state};
use crate::barrier::Input;
use crate::config::{Broker, Topic};
use crate::fleet::happening::{Follower, Logs, What};
use crate::fleet::secret::Secrets;
use crate::gate::event::Event as Arrived;
use crate::store::StoreError;
use crate::store::signals::Signal;
use crate::text::one_line;

/// How often it looks for something new.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often the box's health is asked.
const HEALTH_EVERY: Duration = Duration::from_secs(300);
/// Messages that may be on their way to the connection; with the broker gone there is none.
const ON_THEIR_WAY: usize = 256;
/// The shortest and the longest pause before the next try.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// A connection that held so long was a good one: the next try comes soon.
const GOOD: Duration = Duration::from_secs(30);
/// Where a Debian keeps the authorities that it trusts.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Commands within a minute, refused ones among them; the barrier has its own bounds.
const COMMANDS_A_MINUTE: std::num::NonZeroU32 = std::num::NonZeroU32::new(30).unwrap();

/// What comes from the connection.
enum Heard {
    Up,
    Said(Publish),
    Down(String),
}

/// Why a connection is no more.
enum Ended {
    Stopped,
    Lost(String),
}

pub(super) struct Session {
    parts: Parts,
    broker: Broker,
    topics: Topics,
    judge: Judge,
    limit: DefaultDirectRateLimiter,
    ailments: Vec<String>,
    asking: Option<JoinHandle<Vec<String>>>,
    asked: Option<Instant>,
    /// What was last told; none: everything has to be told anew.
    told: Option<Value>,
}

impl Session {
    pub(super) fn new(parts: Parts, broker: Broker) -> Result<Session, StoreError> {
        let topics = Topics::new(&parts.settings, &parts.gate);
        let judge = Judge {
            gate: topics.id.clone(),
            users: parts.settings.command_users.clone(),
            must_be_signed: parts.settings.command_key_file.is_some(),
            used: Used::open(parts.store.clone())?,
        };
        let limit = RateLimiter::direct(Quota::per_minute(COMMANDS_A_MINUTE));
        Ok(Session { parts, broker, topics, judge, limit, ailments: Vec::new(), asking: None, asked: None, told: None })
    }

    /// Until it is told to stop.
    pub(super) async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let mut pause = PAUSES.0;
        loop {
            let begun = Instant::now();
            let why = match self.options() {
                Err(why) => why,
                Ok(options) => match self.connected(options, &mut stopped).await {
                    Ended::Stopped => return,
                    Ended::Lost(why) => why,
                },
            };
            let was_up = self.parts.link.status().is_some_and(|status| status.connected);
            if was_up || begun.elapsed() >= GOOD {
                pause = PAUSES.0;
            }
            if was_up || self.parts.link.status().is_some_and(|status| status.problem.as_ref() != Some(&why)) {
                tracing::warn!(broker = %self.broker, why, "the broker is not there: it is tried again and again");
            }
            self.parts.view.telemetry.house.connected(&self.broker.to_string(), false);
            self.parts.link.set(&self.broker, false, Some(why));
            tokio::select! {
                _ = stopped.changed() => return,
                () = tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..=1.0))) => {}
            }
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Everything is read anew for each try: a password or a certificate may have been exchanged.
    fn options(&self) -> Result<MqttOptions, String> {
        let settings = &self.parts.settings;
        let client = format!("plategate-{}", self.topics.id);
        let mut options = MqttOptions::new(client, self.broker.host.clone(), self.broker.port);
        options.set_keep_alive(Duration::from_secs(settings.keep_alive_s.into()));
        // Nothing that was said while we were away is told later: an old "open" is no "open".
        options.set_clean_session(true);
        options.set_max_packet_size(256 << 10, 256 << 10);
        options.set_last_will(LastWill::new(self.topics.availability(), "offline", QoS::AtLeastOnce, true));
        if let Some(user) = &settings.username {
            let password = match &settings.password_file {
                Some(file) => std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?,
                None => String::new(),
            };
            options.set_credentials(user, password.trim_end_matches(['\r', '\n']));
        }
        if self.broker.tls {
            options.set_transport(Transport::tls_with_config(self.tls()?.into()));
        }
        Ok(options)
    }

    fn tls(&self) -> Result<rustls::ClientConfig, String> {
        let file = self.parts.settings.ca_file.clone().unwrap_or_else(|| SYSTEM_AUTHORITIES.into());
        let told = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        let mut roots = rustls::RootCertStore::empty();
        let certificates = CertificateDer::pem_file_iter(&file).map_err(|error| told(&error))?;
        let (added, _) = roots.add_parsable_certificates(certificates.filter_map(Result::ok));
        if added == 0 {
            return Err(told(&"no certificate (PEM) is in it"));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        Ok(builder.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth())
    }

    async fn connected(&mut self, options: MqttOptions, stopped: &mut watch::Receiver<bool>) -> Ended {
        let (client, events) = AsyncClient::new(options, ON_THEIR_WAY);
        let (tell, mut heard) = mpsc::channel(64);
        let mut connection = tokio::spawn(poll(events, tell));
        let mut follower = None;
        let mut tick = tokio::time::interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let ended = loop {
            tokio::select! {
                heard = heard.recv() => match heard {
                    Some(Heard::Up) => {
                        self.greet(&client);
                        follower = Some(Follower::new(self.parts.view.logs.clone(), self.parts.view.logs.end()));
                    }
                    Some(Heard::Said(message)) => self.hear(&client, &message).await,
                    Some(Heard::Down(why)) => break Ended::Lost(why),
                    None => break Ended::Lost("the connection ended".into()),
                },
                _ = tick.tick() => {
                    self.ask_health().await;
                    if let Some(follower) = &mut follower {
                        self.news(&client, follower);
                    }
                }
                _ = stopped.changed() => {
                    if follower.is_some() {
                        self.say(&client, self.topics.availability(), true, "offline".into());
                        // A full channel: the last will says the same.
                        let _ = client.try_disconnect();
                        let _ = tokio::time::timeout(super::LAST_WORDS / 2, &mut connection).await;
                    }
                    break Ended::Stopped;
                }
            }
        };
        connection.abort();
        ended
    }

    /// The connection is up: whom to listen to, what there is, how it is.
    fn greet(&mut self, client: &AsyncClient) {
        tracing::info!(broker = %self.broker, "the broker is there");
        self.parts.view.telemetry.house.connected(&self.broker.to_string(), true);
        self.parts.link.set(&self.broker, true, None);
        let settings = &self.parts.settings;
        let mut topics: Vec<String> = self.topics.birth().into_iter().collect();
        if settings.commands {
            topics.extend(settings.command_users.iter().map(|user| self.topics.command(user)));
        }
        for topic in topics {
            if let Err(error) = client.try_subscribe(&topic, QoS::AtLeastOnce) {
                tracing::error!(topic, %error, "the topic could not be listened to");
            }
        }
        self.tell_everything(client);
    }

    fn tell_everything(&mut self, client: &AsyncClient) {
        let levels = self.parts.view.barrier.inputs().levels();
        let has = Has {
            position: state::knows_position(&levels),
            presence: levels.get(Input::Presence).is_wired(),
            plain_commands: self.parts.settings.commands && !self.judge.must_be_signed,
        };
        for (topic, payload) in announce::all(&self.topics, &self.parts.settings, &self.parts.gate, has) {
            self.say(client, topic, true, payload);
        }
        self.say(client, self.topics.availability(), true, "online".into());
        self.told = None;
        self.tell_state(client);
        match self.parts.view.logs.events.newest(1, None) {
            Ok(newest) => {
                for event in newest {
                    self.tell_arrival(client, event);
                }
            }
            Err(error) => tracing::error!(%error, "the last arrival could not be told"),
        }
    }

    fn tell_state(&mut self, client: &AsyncClient) {
        let now = state::state(&self.parts.view, &self.ailments);
        if self.told.as_ref() != Some(&now) && self.say(client, self.topics.state(), true, now.to_string()) {
            self.told = Some(now);
        }
    }

    fn tell_arrival(&self, client: &AsyncClient, event: Arrived) -> bool {
        let told = What::Arrival(Box::new(event)).tell(&self.parts.gate, self.parts.settings.plates);
        self.say(client, self.topics.arrival(), true, told.to_string())
    }

    /// Tells what is new.
    fn news(&mut self, client: &AsyncClient, follower: &mut Follower) {
        match follower.more() {
            Ok(more) => more.into_iter().for_each(|what| self.tell_happening(client, what)),
            Err(error) => tracing::error!(%error, "what happened could not be told to the broker"),
        }
        self.tell_state(client);
    }

    fn tell_happening(&self, client: &AsyncClient, what: What) {
        let mut told = what.tell(&self.parts.gate, self.parts.settings.plates);
        let topic = match (&what, what.topic()) {
            (What::Arrival(_), topic) => {
                told["event_type"] = json!(topic.word());
                self.topics.event()
            }
            (What::Barrier(entry), Topic::BarrierAlert) => {
                told["event_type"] = json!(entry.noted.note.kind());
                self.topics.alert()
            }
            (What::Box(entry), Topic::Camera) => {
                let back = entry.signal == Signal::CameraBack;
                told["event_type"] = json!(if back { "camera_back" } else { "camera_lost" });
                self.topics.alert()
            }
            _ => return,
        };
        self.say(client, topic, false, told.to_string());
        if let What::Arrival(event) = what {
            self.tell_arrival(client, *event);
        }
    }

    async fn ask_health(&mut self) {
        if let Some(asking) = self.asking.take_if(|asking| asking.is_finished()) {
            self.ailments = asking.await.unwrap_or_default();
        }
        if self.asking.is_none() && self.asked.is_none_or(|asked| asked.elapsed() >= HEALTH_EVERY) {
            let health = self.parts.view.health.clone();
            self.asking = Some(tokio::task::spawn_blocking(move || health()));
            self.asked = Some(Instant::now());
        }
    }

    /// `true` if it is on its way.
    fn say(&self, client: &AsyncClient, topic: String, retain: bool, payload: String) -> bool {
        let on_its_way = client.try_publish(topic, QoS::AtLeastOnce, retain, payload).is_ok();
        self.parts.view.telemetry.house.published(on_its_way);
        on_its_way
    }

    async fn hear(&mut self, client: &AsyncClient, message: &Publish) {
        if self.topics.birth().as_deref() == Some(message.topic.as_str()) {
            // A retained one is from before; everything has been told when the connection came up.
            if !message.retain && message.payload.as_ref() == b"online" {
                self.tell_everything(client);
            }
            return;
        }
        let Some(user) = self.topics.user_of(&message.topic).map(str::to_owned) else { return };
        let who = format!("MQTT: {user}");
        let answer = match self.judge(&user, message) {
            Ok(command) => {
                let told = self.obey(who, command).await;
                self.parts.view.telemetry.house.command(if told["ok"] == true { "obeyed" } else { "failed" });
                told
            }
            Err(refused) => {
                tracing::warn!(user, %refused, "a command over MQTT was refused");
                self.parts.view.telemetry.house.command("refused");
                if refused != Refused::TooOften {
                    self.put_on_record(who, user.clone(), &refused).await;
                }
                json!({"ok": false, "error": refused.to_string()})
            }
        };
        self.say(client, self.topics.answer(&user), false, answer.to_string());
    }

    fn judge(&mut self, user: &str, message: &Publish) -> Result<Command, Refused> {
        if self.limit.check().is_err() {
            return Err(Refused::TooOften);
        }
        let secrets = self.parts.settings.command_key_file.as_deref().map(Secrets::of_file).transpose();
        let secrets = secrets.unwrap_or_else(|error| {
            tracing::error!(%error, "mqtt.command_key_file");
            None
        });
        self.judge.judge(user, &message.payload, message.retain, secrets.as_ref(), Timestamp::now())
    }

    async fn obey(&self, who: String, command: Command) -> Value {
        let commands = self.parts.commands.clone();
        let done = tokio::task::spawn_blocking(move || match command {
            Command::Open { why } => commands.open(&who, &why).map(|pressed| json!({"ok": true, "pulse": pressed})),
            Command::Mode(mode) => commands.set_mode(&who, mode).map(|()| json!({"ok": true, "mode": mode})),
        });
        match done.await {
            Ok(Ok(told)) => told,
            Ok(Err(error)) => json!({"ok": false, "error": error}),
            Err(_) => json!({"ok": false, "error": "it failed here: the log says what"}),
        }
    }

    async fn put_on_record(&self, who: String, user: String, refused: &Refused) {
        let (commands, logs, why) = (self.parts.commands.clone(), self.parts.view.logs.clone(), refused.to_string());
        let written = tokio::task::spawn_blocking(move || {
            commands.refused(&who, &why);
            refused_on_record(&logs, user, why);
        });
        // A panic in there has been reported by itself.
        let _ = written.await;
    }
}

fn refused_on_record(logs: &Logs, user: String, why: String) {
    if let Err(error) = logs.signals.append(Signal::CommandRefused { user, why }) {
        tracing::error!(%error, "a refused command could not be put on record");
    }
}

/// Keeps the connection going and passes on what it says, until it ends.
async fn poll(mut events: EventLoop, tell: mpsc::Sender<Heard>) {
    loop {
        let heard = match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => Heard::Up,
            Ok(Event::Incoming(Packet::Publish(message))) => Heard::Said(message),
            Ok(Event::Outgoing(Outgoing::Disconnect)) => return,
            Ok(_) => continue,
            Err(error) => Heard::Down(one_line(&error.to_string())),
        };
        let is_last = matches!(heard, Heard::Down(_));
        if tell.send(heard).await.is_err() || is_last {
            return;
        }
    }
}
