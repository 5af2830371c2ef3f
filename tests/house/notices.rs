//! What happens at the barrier: told to programs, counted, and sent on.

use crate::receiver::Receiver;
use crate::webhook::webhook;
use crate::{Gate, QUICK, configure, until};

#[test]
fn a_wire_that_cannot_be_read_is_told_everywhere_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start();
    // Bound and let go again: no relay board answers there.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let house = webhook(
        folder.path(),
        "house",
        &receiver.address.to_string(),
        "events = [\"barrier_alert\", \"barrier_note\"]\n",
    );
    let text = format!("{QUICK}[inputs]\npresence = {{ modbus = 0 }}\n[modbus]\nboard = \"tcp:{nobody}\"\n{house}");
    let config = configure(folder.path(), &text);
    let gate = Gate::start(folder.path(), &config, &[]);
    let alerts = || gate.get("/api/v1/notices?kind=alerts").as_array().unwrap().clone();
    until("the alert", || !alerts().is_empty());
    let alert = alerts().remove(0);
    assert_eq!((alert["what"].as_str(), alert["input"].as_str()), (Some("wire_broken"), Some("presence")), "{alert}");
    assert!(
        alert["zh"].as_str().unwrap().contains("闸前地感") && alert["advice_en"].as_str().unwrap().contains("doctor")
    );
    until("the alert on the house's side", || !receiver.taken("barrier_alert").is_empty());
    let told = receiver.taken("barrier_alert").remove(0).body;
    assert_eq!(
        (told["barrier"]["what"].as_str(), told["barrier"]["alert"].as_bool()),
        (Some("wire_broken"), Some(true))
    );

    gate.press("doctor's car");
    until("the press", || !gate.get("/api/v1/notices?kind=pressed").as_array().unwrap().is_empty());
    let press = gate.get("/api/v1/notices?kind=pressed&count=1")[0].clone();
    assert_eq!(
        (press["reason"]["by"]["person"].as_str(), press["alert"].as_bool()),
        (Some("steward"), Some(false)),
        "{press}"
    );
    let older = gate.get(&format!("/api/v1/notices?before={}", press["id"]));
    assert!(older.as_array().unwrap().iter().all(|n| n["id"].as_u64() < press["id"].as_u64()), "{older}");
    until("the press on the house's side", || !receiver.taken("barrier_note").is_empty());
    // Who it was is nobody's business there.
    assert_eq!(receiver.taken("barrier_note")[0].body["barrier"]["by"], "person");
    until("the counts", || {
        let metrics = gate.text("/metrics");
        let counts =
            |kind: &str, n: u32| metrics.contains(&format!("plategate_barrier_notes_total{{kind=\"{kind}\"}} {n}\n"));
        counts("wire_broken", 1) && counts("pressed", 1) && counts("did_not_open", 0)
    });
    assert!(gate.get("/api/v1/notices?kind=everything")["error"].as_str().unwrap().contains("did_not_open"));
    assert!(gate.get("/api/v1/notices?day=yesterday")["error"].is_string());
    assert!(gate.get("/api/v1/notices?day=2020-01-01").as_array().unwrap().is_empty());
}
