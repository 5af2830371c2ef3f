//! MQTT: what Home Assistant sees, what it may ask for, and what nobody may.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::broker::{self, Broker, Listener};
use crate::receiver::{Mood, Receiver};
use crate::{Gate, QUICK, configure, plategate, until};

const BASE: &str = "plategate/gate";

fn at(rest: &str) -> String {
    format!("{BASE}/{rest}")
}

fn is_online(listener: &Listener) -> bool {
    listener.last(&at("availability")).as_deref() == Some("online")
}

fn commanding(folder: &Path, broker: &Broker, more: &str) -> PathBuf {
    let mqtt = broker.config(&format!("commands = true\ncommand_users = [\"home\", \"wang\"]\n{more}"));
    configure(folder, &format!("{QUICK}{mqtt}"))
}

/// The newest answer to a user's command, once there are `count` of them.
fn answer(listener: &Listener, user: &str, count: usize) -> Value {
    let topic = at(&format!("answer/{user}"));
    until("an answer", || listener.all(&topic).len() >= count);
    assert_eq!(listener.all(&topic).len(), count, "{}", listener.everything());
    listener.json(&topic)
}

#[test]
fn home_assistant_finds_the_gate_opens_it_and_sees_it_go() {
    if !broker::is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path(), false);
    let config = commanding(folder.path(), &broker, "");
    let listener = broker.listen();
    let mut gate = Gate::start(folder.path(), &config, &[]);
    until("the gate", || is_online(&listener));

    // A gate without end switches is a button, and no cover.
    let button = listener.json("homeassistant/button/plategate_gate/open/config");
    assert_eq!(button["command_topic"], at("command/home").as_str(), "{button}");
    assert_eq!(listener.last("homeassistant/cover/plategate_gate/gate/config").as_deref(), Some(""));
    assert_eq!(
        listener.json("homeassistant/sensor/plategate_gate/barrier/config")["state_topic"],
        at("state").as_str()
    );
    until("its state", || listener.json(&at("state"))["barrier"] == "idle");
    until("a lost camera", || listener.json(&at("state"))["problems"].to_string().contains("camera"));

    // Opened by a user of the broker: the arm moves, and the name is on record.
    broker.publish("home", &at("command/home"), button["payload_press"].as_str().unwrap(), false);
    assert_eq!(answer(&listener, "home", 1)["pulse"], "pressed");
    until("the relay's own word", || gate.presses() == 1);
    until("the arrival", || listener.json(&at("arrival"))["arrival"]["by_hand"] == true);
    until("the event", || listener.json(&at("event"))["event_type"] == "opened");
    assert!(gate.get("/api/v1/events")[0]["text"].as_str().unwrap().starts_with("MQTT: home"));
    assert!(gate.text("/api/v1/audit").contains("MQTT: home"));
    until("today's count", || listener.json(&at("state"))["today"]["opened"] == 1);

    // Held open, and by its rules again.
    broker.publish("wang", &at("command/wang"), r#"{"do":"mode","mode":"held_open"}"#, false);
    until("held open", || listener.json(&at("state"))["mode"] == "held_open");
    broker.publish("wang", &at("command/wang"), r#"{"do":"mode","mode":"normal"}"#, false);
    until("normal", || listener.json(&at("state"))["mode"] == "normal");
    assert_eq!(answer(&listener, "wang", 2)["ok"], true);

    // A user who may not: the broker does not pass it on. The next good one comes after it, and alone.
    let presses = gate.presses();
    broker.publish("mallory", &at("command/wang"), r#"{"do":"open"}"#, false);
    broker.publish("mallory", &at("command/mallory"), r#"{"do":"open"}"#, false);
    let mut asked = 0;
    while gate.presses() == presses {
        // The last press may not have been let go yet: then it is asked again.
        broker.publish("wang", &at("command/wang"), r#"{"do":"open"}"#, false);
        asked += 1;
        answer(&listener, "wang", 2 + asked);
    }
    assert!(listener.last(&at("answer/mallory")).is_none(), "{}", listener.everything());
    let opened = gate.get("/api/v1/events?count=200").as_array().unwrap().len();
    assert_eq!(opened, asked + 1, "each was asked by somebody who may");

    // Home Assistant starts anew and is told everything again.
    let topic = "homeassistant/button/plategate_gate/open/config";
    let told = listener.all(topic).len();
    broker.publish("home", "homeassistant/status", "online", false);
    until("the announcements", || listener.all(topic).len() > told);

    // What nobody says now is not obeyed: a message that the broker kept.
    broker.publish("wang", &at("command/wang"), r#"{"do":"open","why":"kept"}"#, true);
    gate.kill();
    until("the last will", || listener.last(&at("availability")).as_deref() == Some("offline"));
    let gate = Gate::start(folder.path(), &config, &[]);
    until("the gate again", || is_online(&listener));
    until("the refusal", || listener.json(&at("answer/wang"))["error"].to_string().contains("retained"));
    assert_eq!(gate.presses(), 0);
    assert!(gate.text("/api/v1/audit").contains("拒绝 MQTT 命令"));

    // Somebody who comes later sees how it is.
    let late = broker.listen();
    until("the retained state", || late.json(&at("state"))["barrier"] == "idle" && is_online(&late));
    assert!(late.is_retained(&at("arrival")) && late.last(&at("event")).is_none());
}

#[test]
fn with_a_key_a_command_is_good_once_and_a_replay_is_refused() {
    if !broker::is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path(), false);
    let key = folder.path().join("key");
    std::fs::write(&key, "fedcba9876543210fedcba9876543210\n").unwrap();
    let config = commanding(folder.path(), &broker, &format!("command_key_file = {key:?}\n"));
    let listener = broker.listen();
    let mut gate = Gate::start(folder.path(), &config, &[]);
    until("the gate", || is_online(&listener));
    assert_eq!(listener.last("homeassistant/button/plategate_gate/open/config").as_deref(), Some(""), "it cannot sign");

    broker.publish("wang", &at("command/wang"), r#"{"do":"open"}"#, false);
    assert!(answer(&listener, "wang", 1)["error"].to_string().contains("not signed"));
    let signed = plategate(&config, &["mqtt", "sign", "open", "--user", "wang", "--why", "快递"]);
    let signed = String::from_utf8(signed.stdout).unwrap().trim().to_owned();
    broker.publish("home", &at("command/home"), &signed, false);
    assert!(answer(&listener, "home", 1)["error"].to_string().contains("signature"), "signed by another");
    broker.publish("wang", &at("command/wang"), &signed.replace("快递", "别的"), false);
    assert!(answer(&listener, "wang", 2)["error"].to_string().contains("signature"), "changed on its way");
    assert_eq!(gate.presses(), 0);
    broker.publish("wang", &at("command/wang"), &signed, false);
    assert_eq!(answer(&listener, "wang", 3)["pulse"], "pressed");
    broker.publish("wang", &at("command/wang"), &signed, false);
    assert!(answer(&listener, "wang", 4)["error"].to_string().contains("sent before"));
    assert_eq!(gate.presses(), 1);

    // Nor does it help to wait until the gate has been started anew.
    gate.kill();
    until("the last will", || listener.last(&at("availability")).as_deref() == Some("offline"));
    let gate = Gate::start(folder.path(), &config, &[]);
    until("the gate again", || is_online(&listener));
    broker.publish("wang", &at("command/wang"), &signed, false);
    let told = answer(&listener, "wang", 5)["error"].to_string();
    // On a machine that took a minute for the start it is too old by now.
    assert!(told.contains("sent before") || told.contains("too old"), "{told}");
    assert_eq!(gate.presses(), 0);
}

#[test]
fn a_broker_that_goes_is_missed_by_nobody_and_found_again() {
    if !broker::is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut broker = Broker::start(folder.path(), true);
    let config = configure(folder.path(), &format!("{QUICK}{}", broker.config("")));
    let mut gate = Gate::start(folder.path(), &config, &[]);
    let link = |gate: &Gate| gate.get("/api/v1/status")["mqtt"].clone();
    until("a connection over TLS", || link(&gate)["connected"] == true);
    broker.kill();
    until("that it has gone", || link(&gate)["connected"] == false);
    let told = link(&gate);
    assert!(told["since"].is_string() && told["problem"].is_string(), "{told}");
    let away = format!("plategate_mqtt_connected{{broker=\"mqtts://localhost:{}\"}} 0", broker.port);
    assert!(gate.text("/metrics").contains(&away), "{away}");
    gate.press("nobody listens");
    broker.run();
    let listener = broker.listen();
    until("the gate", || is_online(&listener));
    until("what happened meanwhile", || listener.json(&at("state"))["presses"] == 1);
    assert_eq!(listener.json(&at("arrival"))["arrival"]["outcome"], "opened");
    assert!(listener.last("homeassistant/button/plategate_gate/open/config").is_some_and(|text| text.is_empty()));
    gate.stop();
    until("its goodbye", || listener.last(&at("availability")).as_deref() == Some("offline"));

    // An authority that does not vouch for the broker, and a wrong password: told in words, and the gate goes on.
    let other = tempfile::tempdir().unwrap();
    let stranger = Broker::start(other.path(), true);
    for (what, text, part) in [
        ("another authority", broker.config("").replace("ca.pem", "broker.pem"), "ertificate"),
        ("no such user", broker.config("").replace("\"plategate\"", "\"nobody\""), "NotAuthorized"),
    ] {
        let config = configure(folder.path(), &format!("{QUICK}{text}"));
        let gate = Gate::start(folder.path(), &config, &[]);
        until(what, || link(&gate)["problem"].as_str().is_some_and(|problem| problem.contains(part)));
        gate.press(what);
    }
    drop(stranger);
}

#[test]
fn a_painted_lane_with_a_slow_receiver_and_a_broker_opens_as_without_them() {
    if !broker::is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path(), false);
    let receiver = Receiver::start();
    receiver.feels(Mood::Slow(Duration::from_millis(1500)));
    let secret = folder.path().join("secret");
    std::fs::write(&secret, crate::receiver::SECRET).unwrap();
    let text = format!(
        "{}plates = true\n[[webhook]]\nname = \"house\"\nurl = \"http://{}/hook?token=t0p\"\nsecret_file = {secret:?}\n\
         events = [\"opened\", \"refused\"]\n",
        broker.config(""),
        receiver.address
    );
    let config = configure(folder.path(), &text);
    let listener = broker.listen();
    let gate = Gate::start(folder.path(), &config, &["--demo"]);
    let arrivals = || gate.get("/api/v1/events?count=200").as_array().unwrap().clone();
    until("a car", || arrivals().iter().any(|e| e["outcome"] == "opened"));
    for event in arrivals().iter().filter(|e| e["outcome"] == "opened") {
        assert!(event["pulse"]["pressed"]["after_ms"].is_number() || event["pulse"] == "just_pressed", "{event}");
    }
    // The residents voted for plates on the broker, and against them for the receiver.
    let first = arrivals().iter().rev().find(|e| e["outcome"] == "opened").unwrap().clone();
    let plate = first["plate"].as_str().unwrap();
    until("the plate", || listener.all(&at("event")).iter().any(|text| text.contains(plate)));
    until("the car on the receiver's side", || !receiver.taken("opened").is_empty());
    let told = receiver.taken("opened").remove(0).body;
    assert!(told["arrival"]["registered"] == true && told["arrival"]["rule"] == first["rule"], "{told}");
    assert!(
        !told.to_string().contains(plate)
            && !told.to_string().contains(first["vehicle"]["household"].as_str().unwrap())
    );
    // Every arrival reaches it, one after another.
    until("all of them", || {
        let wanted = arrivals().iter().filter(|e| e["outcome"] == "opened").count();
        receiver.taken("opened").len() >= wanted.min(2)
    });
}
