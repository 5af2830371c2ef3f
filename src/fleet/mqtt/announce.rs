//! What Home Assistant is told of (MQTT discovery): a message for each thing, retained; an empty one takes a thing away that
//! this gate does not have (any more).

use serde_json::{Value, json};

use super::topics::Topics;
use crate::barrier::Note;
use crate::config;

/// What this gate has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Has {
    /// Both end switches: the position is known.
    pub(super) position: bool,
    /// A presence loop.
    pub(super) presence: bool,
    /// Commands that Home Assistant can send: it cannot sign any.
    pub(super) plain_commands: bool,
}

/// A thing: what Home Assistant calls its kind, its name in topics, and its own part of the message.
type Thing = (&'static str, &'static str, Option<Value>);

/// Topic and payload of every announcement; an empty payload takes away.
pub(super) fn all(topics: &Topics, settings: &config::Mqtt, gate: &str, has: Has) -> Vec<(String, String)> {
    if topics.birth().is_none() {
        return Vec::new();
    }
    let mut things = sensors(topics, has);
    things.extend(happenings(topics));
    things.extend(controls(topics, settings, has));
    let payload = |(component, name, own): Thing| {
        let topic = topics.announcement(component, name);
        (topic, own.map(|own| whole(topics, gate, name, own).to_string()).unwrap_or_default())
    };
    things.into_iter().map(payload).collect()
}

/// With what every thing has: whether it is there, and of which device it is a part.
fn whole(topics: &Topics, gate: &str, name: &str, mut own: Value) -> Value {
    let unique = format!("plategate_{}_{name}", topics.id);
    own["unique_id"] = json!(unique);
    own["object_id"] = json!(unique);
    own["availability_topic"] = json!(topics.availability());
    own["qos"] = json!(1);
    let version = env!("CARGO_PKG_VERSION");
    own["device"] = json!({
        "identifiers": [format!("plategate_{}", topics.id)], "name": format!("道闸 {gate}"),
        "manufacturer": "plategate", "model": "plategate", "sw_version": version,
    });
    own["origin"] = json!({"name": "plategate", "sw_version": version});
    own
}

/// A thing that reads one value of the retained state.
fn reads(topics: &Topics, name: &str, template: &str, more: Value) -> Value {
    let mut own = json!({"name": name, "state_topic": topics.state(), "value_template": template});
    if let (Some(own), Some(more)) = (own.as_object_mut(), more.as_object()) {
        own.extend(more.clone());
    }
    own
}

fn sensors(topics: &Topics, has: Has) -> Vec<Thing> {
    let states = ["idle", "asked", "open", "passing", "held_open", "closed", "fault"];
    let diagnostic = "diagnostic";
    let camera = "{{ 'ON' if value_json.camera == 'live' else 'OFF' }}";
    let problems = "{{ {'problems': value_json.problems} | tojson }}";
    let count = |name: &str, key: &str| {
        let template = format!("{{{{ value_json.today.{key} }}}}");
        let more = json!({"state_class": "total_increasing", "icon": "mdi:car"});
        Some(reads(topics, name, &template, more))
    };
    let barrier = json!({"device_class": "enum", "options": states, "icon": "mdi:boom-gate"});
    let modes = json!({"device_class": "enum", "options": ["normal", "held_open", "closed"]});
    let presence =
        || reads(topics, "闸前有车 Car waiting", "{{ value_json.presence }}", json!({"device_class": "occupancy"}));
    let problem = json!({
        "device_class": "problem", "entity_category": diagnostic,
        "json_attributes_topic": topics.state(), "json_attributes_template": problems,
    });
    let press = json!({"device_class": "timestamp"});
    vec![
        ("sensor", "barrier", Some(reads(topics, "道闸状态 Barrier", "{{ value_json.barrier }}", barrier))),
        ("sensor", "mode", Some(reads(topics, "放行方式 Mode", "{{ value_json.mode }}", modes))),
        ("sensor", "last_press", Some(reads(topics, "上次抬杆 Last press", "{{ value_json.last_press }}", press))),
        (
            "binary_sensor",
            "camera",
            Some(reads(
                topics,
                "摄像头 Camera",
                camera,
                json!({"device_class": "connectivity", "entity_category": diagnostic}),
            )),
        ),
        ("binary_sensor", "problem", Some(reads(topics, "故障 Problem", "{{ value_json.problem }}", problem))),
        ("binary_sensor", "presence", has.presence.then(presence)),
        ("sensor", "arrivals_today", count("今日来车 Arrivals today", "arrivals")),
        ("sensor", "opened_today", count("今日放行 Let in today", "opened")),
        ("sensor", "refused_today", count("今日未放行 Refused today", "refused")),
    ]
}

/// What happens at the barrier that somebody should look at, and the camera.
fn alerts() -> Vec<&'static str> {
    let mut all: Vec<&str> = Note::KINDS.iter().filter(|(_, alert)| *alert).map(|(kind, _)| *kind).collect();
    all.extend(["camera_lost", "camera_back"]);
    all
}

fn happenings(topics: &Topics) -> Vec<Thing> {
    let last = json!({
        "name": "上一次来车 Last arrival", "state_topic": topics.arrival(), "icon": "mdi:car",
        "device_class": "enum", "options": ["opened", "refused", "failed", "seen"],
        "value_template": "{{ value_json.arrival.outcome }}",
        "json_attributes_topic": topics.arrival(),
        "json_attributes_template": "{{ dict(value_json.arrival, at=value_json.at, number=value_json.number) | tojson }}",
    });
    let arrivals = json!({
        "name": "来车 Arrival", "state_topic": topics.event(), "icon": "mdi:car",
        "event_types": ["opened", "refused", "failed", "seen"],
    });
    let alerts = json!({
        "name": "提醒 Alert", "state_topic": topics.alert(), "icon": "mdi:alert", "event_types": alerts(),
    });
    vec![("sensor", "last_arrival", Some(last)), ("event", "arrival", Some(arrivals)), ("event", "alert", Some(alerts))]
}

fn controls(topics: &Topics, settings: &config::Mqtt, has: Has) -> Vec<Thing> {
    let command = settings.command_users.first().filter(|_| has.plain_commands).map(|user| topics.command(user));
    let open = r#"{"do":"open"}"#;
    let button = command.as_ref().map(
        |topic| json!({"name": "抬杆 Open", "command_topic": topic, "payload_press": open, "icon": "mdi:boom-gate-up"}),
    );
    let select = command.as_ref().map(|topic| {
        let own = json!({
            "options": ["normal", "held_open", "closed"], "command_topic": topic,
            "command_template": r#"{"do":"mode","mode":"{{ value }}"}"#, "icon": "mdi:boom-gate-arrow-up",
        });
        reads(topics, "放行方式 Mode", "{{ value_json.mode }}", own)
    });
    // Nothing here closes a barrier, so Home Assistant gets no button for it.
    let cover = has.position.then(|| {
        let mut own = json!({"device_class": "gate", "payload_close": null, "payload_stop": null});
        if let Some(topic) = &command {
            own["command_topic"] = json!(topic);
            own["payload_open"] = json!(open);
        }
        reads(topics, "道闸 Gate", "{{ value_json.position }}", own)
    });
    vec![("button", "open", button), ("select", "set_mode", select), ("cover", "gate", cover)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announced(settings: &config::Mqtt, has: Has) -> Vec<(String, Option<Value>)> {
        let topics = Topics::new(settings, "gate");
        all(&topics, settings, "gate", has)
            .into_iter()
            .map(|(topic, payload)| (topic, serde_json::from_str(&payload).ok()))
            .collect()
    }

    fn of<'a>(all: &'a [(String, Option<Value>)], topic: &str) -> Option<&'a Value> {
        let found = all.iter().find(|(t, _)| t.contains(topic)).unwrap_or_else(|| panic!("{topic}"));
        found.1.as_ref()
    }

    #[test]
    fn a_gate_without_end_switches_is_no_cover_and_one_without_commands_has_no_button() {
        let settings = config::Mqtt { command_users: vec!["home".into()], ..config::Mqtt::default() };
        let bare = announced(&settings, Has { position: false, presence: false, plain_commands: false });
        for nothing in ["/cover/", "/button/", "/select/", "/presence/"] {
            assert!(of(&bare, nothing).is_none(), "{nothing}");
        }
        assert_eq!(of(&bare, "sensor/plategate_gate/barrier").unwrap()["device_class"], "enum");
        let full = announced(&settings, Has { position: true, presence: true, plain_commands: true });
        let cover = of(&full, "/cover/").unwrap();
        assert_eq!(cover["command_topic"], "plategate/gate/command/home");
        assert!(cover["payload_close"].is_null() && cover["payload_stop"].is_null() && cover["device_class"] == "gate");
        assert_eq!(of(&full, "/button/").unwrap()["payload_press"], r#"{"do":"open"}"#);
        let reading = announced(&settings, Has { position: true, presence: true, plain_commands: false });
        assert!(of(&reading, "/cover/").unwrap().get("command_topic").is_none());
        assert!(of(&full, "/alert/").unwrap()["event_types"].as_array().unwrap().contains(&json!("did_not_open")));
        // The same topics in every case: what is no longer there is taken away.
        let names = |all: &[(String, Option<Value>)]| all.iter().map(|(t, _)| t.clone()).collect::<Vec<_>>();
        assert_eq!(names(&bare), names(&full));
        let mut ids: Vec<&Value> = full.iter().filter_map(|(_, p)| p.as_ref()).map(|p| &p["unique_id"]).collect();
        ids.sort_by_key(|id| id.to_string());
        ids.dedup();
        assert_eq!(ids.len(), full.len());
        let quiet = config::Mqtt { discovery: String::new(), ..settings };
        assert!(announced(&quiet, Has { position: true, presence: true, plain_commands: true }).is_empty());
    }
}
