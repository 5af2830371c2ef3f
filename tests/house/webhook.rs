//! Webhooks: at least once, with the same id, in order, whatever the receiver does; and the gate never waits for it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::receiver::{Mood, Receiver, SECRET};
use crate::{Gate, QUICK, configure, plategate, until};

pub fn webhook(folder: &Path, name: &str, address: &str, more: &str) -> String {
    let secret = folder.join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    format!(
        "[[webhook]]\nname = \"{name}\"\nurl = \"http://{address}/hook?token=t0p\"\nsecret_file = {secret:?}\ntimeout_s = 2\n\
         retry_at_most_s = 1\n{more}"
    )
}

fn config(folder: &Path, receiver: &Receiver) -> PathBuf {
    // Bound and let go again: nobody listens there.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let house = webhook(folder, "house", &receiver.address.to_string(), "");
    let dead = webhook(folder, "dead", &nobody, "events = [\"opened\"]\n");
    configure(folder, &format!("{QUICK}{house}{dead}"))
}

fn status(gate: &Gate, name: &str) -> serde_json::Value {
    let all = gate.get("/api/v1/status")["webhooks"].clone();
    all.as_array().unwrap().iter().find(|w| w["name"] == name).unwrap().clone()
}

/// The numbers of the arrivals that were taken, in the order in which they were.
fn numbers(receiver: &Receiver) -> Vec<u64> {
    receiver.taken("opened").iter().map(|got| got.body["number"].as_u64().unwrap()).collect()
}

#[test]
fn every_event_arrives_with_one_id_however_the_receiver_behaves() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start();
    let config = config(folder.path(), &receiver);
    let gate = Gate::start(folder.path(), &config, &[]);
    until("the start", || !receiver.taken("box").is_empty());
    gate.press("one");
    until("the first", || receiver.taken("opened").len() == 1);
    let first = receiver.taken("opened").remove(0);
    assert_eq!((first.body["arrival"]["by_hand"].as_bool(), first.attempt), (Some(true), 1));
    assert_eq!(first.body["id"], first.id.as_str());
    // Names are nobody's business where nobody voted for it.
    assert!(!first.body.to_string().contains("steward") && !first.body.to_string().contains("one"), "{}", first.body);

    // It fails, and is asked again with the same id until it takes it.
    receiver.says(500);
    gate.press("two");
    until("three tries", || receiver.got().last().is_some_and(|got| got.attempt >= 3));
    let problem = status(&gate, "house");
    assert!(problem["problem"].as_str().unwrap().contains("500") && problem["pending"] == 1, "{problem}");
    assert!(!problem.to_string().contains("t0p"), "a token is shown: {problem}");
    receiver.says(200);
    until("the second", || receiver.taken("opened").len() == 2);
    let second = receiver.taken("opened").remove(1);
    assert!(receiver.got().iter().filter(|got| got.id == second.id).count() >= 4 && second.id != first.id);

    // It hangs; the gate opens as if nobody listened.
    receiver.feels(Mood::Hangs);
    gate.press("three");
    until("a hanging request", || receiver.got().last().is_some_and(|got| got.event == "opened" && !got.taken));
    let before = gate.presses();
    gate.press("four");
    assert_eq!(gate.presses(), before + 1);
    receiver.feels(Mood::Slow(Duration::from_millis(300)));
    until("the fourth", || receiver.taken("opened").len() == 4);
    assert_eq!(numbers(&receiver), [1, 2, 3, 4]);

    // It sends the gate elsewhere: a signed message goes nowhere else.
    let elsewhere = Receiver::start();
    receiver.feels(Mood::Says(307, format!("http://{}/hook?token=t0p", elsewhere.address)));
    gate.press("five");
    until("a word about it", || status(&gate, "house")["problem"].to_string().contains("webhook.url"));
    assert!(elsewhere.got().is_empty());
    receiver.says(200);
    until("the fifth", || receiver.taken("opened").len() == 5);

    // The other one was dead all the time.
    until("what waits for the dead one", || status(&gate, "dead")["pending"] == 5);
    until("the count", || {
        let taken = receiver.got().iter().filter(|got| got.taken).count();
        gate.text("/metrics").contains(&format!("plategate_webhook_sent_total{{receiver=\"house\"}} {taken}\n"))
    });
    let metrics = gate.text("/metrics");
    for line in [
        "plategate_webhook_pending{receiver=\"dead\"} 5",
        "plategate_webhook_failing{receiver=\"dead\"} 1",
        "plategate_webhook_failing{receiver=\"house\"} 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    assert!(!metrics.contains("t0p"));

    // It says that it is no more: it is left alone.
    receiver.says(410);
    gate.press("six");
    until("its last word", || status(&gate, "house")["gone"] == true);
    let asked = receiver.got().len();
    receiver.says(200);
    gate.press("seven");
    until("what waits for it", || status(&gate, "house")["pending"] == 2);
    assert_eq!(receiver.got().len(), asked);
}

#[test]
fn what_was_not_sent_before_kill_9_is_sent_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start();
    let config = config(folder.path(), &receiver);
    let mut gate = Gate::start(folder.path(), &config, &[]);
    gate.press("one");
    until("the first", || numbers(&receiver) == [1]);
    let address = receiver.address;
    drop(receiver);
    for reason in ["two", "three", "four"] {
        gate.press(reason);
    }
    until("three that wait", || status(&gate, "house")["pending"].as_u64() >= Some(3));
    gate.kill();
    let mut gate = Gate::start(folder.path(), &config, &[]);
    gate.press("five");
    let receiver = Receiver::at(address);
    until("all of them", || numbers(&receiver).last() == Some(&5));
    let mut all = numbers(&receiver);
    all.dedup();
    assert_eq!(all, [2, 3, 4, 5], "in order, and the one that was taken is not sent again");
    // A clean stop is quick although one receiver is dead, and forgets nothing either.
    gate.stop();
    let gate = Gate::start(folder.path(), &config, &[]);
    until("the dead one's", || status(&gate, "dead")["pending"] == 5);
}

#[test]
fn a_receiver_that_dislikes_one_event_gets_the_next_and_one_away_for_long_loses_the_oldest() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start();
    let text = webhook(folder.path(), "house", &receiver.address.to_string(), "events = [\"opened\"]\nkeep = 10\n");
    let config = configure(folder.path(), &format!("{QUICK}{text}"));
    let gate = Gate::start(folder.path(), &config, &[]);
    receiver.says(422);
    gate.press("odd");
    until("it is given up", || status(&gate, "house")["dropped"] == 1);
    receiver.says(200);
    gate.press("even");
    until("the next", || numbers(&receiver) == [2]);
    receiver.says(503);
    for n in 0..13 {
        gate.press(&format!("away {n}"));
    }
    until("the oldest gave way", || status(&gate, "house")["dropped"] == 4);
    receiver.says(200);
    until("the rest", || numbers(&receiver).len() == 11);
    assert_eq!(numbers(&receiver)[1..], (6..=15).collect::<Vec<u64>>());
    assert!(gate.text("/metrics").contains("plategate_webhook_dropped_total{receiver=\"house\"} 4"));
}

#[test]
fn a_person_tries_a_receiver() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start();
    let config = config(folder.path(), &receiver);
    let told = plategate(&config, &["webhook", "test", "house", "--json"]);
    let answer: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    assert!(told.status.success() && answer["ok"] == true, "{answer}");
    assert_eq!(receiver.taken("test")[0].id, answer["id"].as_str().unwrap());
    receiver.says(401);
    let told = plategate(&config, &["webhook", "test", "house"]);
    assert!(told.status.code() == Some(1) && String::from_utf8_lossy(&told.stdout).contains("secret"));
    assert_eq!(plategate(&config, &["webhook", "test", "dead"]).status.code(), Some(1));
    let told = plategate(&config, &["webhook", "test", "none"]);
    assert!(told.status.code() == Some(2) && String::from_utf8_lossy(&told.stderr).contains("house, dead"));
    let listed = String::from_utf8(plategate(&config, &["webhook", "list"]).stdout).unwrap();
    assert!(listed.contains("without plates") && !listed.contains("t0p"), "{listed}");
}
