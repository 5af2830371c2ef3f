//! Who may tell a gate what: signed commands, forged ones, boxes that were shut out or have left.

use plategate::fleet::command::{Act, Command};
use plategate::fleet::identity::Identity;
use plategate::fleet::wire;
use serde_json::{Value, json};

use crate::compound::{Compound, Gate, as_box, plategate, same_car, succeeds, wait_for};

#[test]
fn commands_are_obeyed_once_and_forged_stale_and_foreign_ones_are_refused() {
    let Some(compound) = Compound::found("1GB") else { return };
    let (main, north) = compound.two();
    let order = json!({"act": "open", "why": "快递"});
    let (status, told) = main.ask("POST", "/api/v1/gates/north/do", Some(&order));
    assert_eq!(status, 200, "{told}");
    let newest = north.get("/api/v1/events?count=1")[0].clone();
    assert!(newest["rule"] == "by_hand" && newest["text"].as_str().unwrap().contains("王芳"), "{newest}");
    let refused = north.refused();
    as_box(&compound.main, async |identity, client| {
        let subject = wire::commands("garden", "north");
        let ask = async |body: Vec<u8>| {
            let answer = client.request(subject.clone(), body.into()).await.unwrap();
            serde_json::from_slice::<Value>(&answer.payload).unwrap()
        };
        let good = Command::new(identity, "north", Act::Open, "王芳", "again").sign(identity).unwrap();
        assert_eq!(ask(good.clone()).await["done"], true);
        let replayed = ask(good.clone()).await;
        assert!(replayed["done"] == false && replayed["told"].as_str().unwrap().contains("repetition"), "{replayed}");
        let altered = String::from_utf8(good).unwrap().replace("王芳", "别人");
        assert!(ask(altered.into_bytes()).await["told"].as_str().unwrap().contains("forged"));
        // A clock that is an hour behind, or ahead.
        for (hours, word) in [(-1, "too late"), (1, "ahead")] {
            let fresh = Command::new(identity, "north", Act::Open, "王芳", "");
            let by = jiff::SignedDuration::from_hours(hours);
            let skewed = Command { at: fresh.at + by, until: fresh.until + by, ..fresh };
            let told = ask(skewed.sign(identity).unwrap()).await;
            assert!(told["done"] == false && told["told"].as_str().unwrap().contains(word), "{told}");
        }
        // A box of another compound.
        let stranger = Identity::found("garden", "main", vec![], None).unwrap();
        let foreign = Command::new(&stranger, "north", Act::Open, "王芳", "").sign(&stranger).unwrap();
        assert_eq!(ask(foreign).await["done"], false);
        assert_eq!(ask(b"not a command".to_vec()).await["done"], false);
    });
    assert_eq!(north.refused() - refused, 6);
    let (status, told) = main.ask("POST", "/api/v1/gates/south/do", Some(&order));
    assert_eq!(status, 422, "nobody is there: {told}");
}

#[test]
fn a_box_with_wrong_keys_or_shut_out_hears_nothing_and_its_gate_goes_on() {
    let Some(compound) = Compound::found("1GB") else { return };
    let (main, north) = compound.two();
    // Keys of another fleet.
    let stranger = compound.folder.path().join("stranger");
    let url = compound.broker.url();
    succeeds(&["fleet", "found", "--compound", "garden", "--gate", "main", "--server", &url], &stranger);
    let stranger = Gate::start(&stranger);
    let reason = wait_for("the broker's refusal", || {
        let told = stranger.get("/api/v1/gates")["connection"].clone();
        let reason = told["reason"].as_str().unwrap_or_default().to_owned();
        if reason.is_empty() { Err(told.to_string()) } else { Ok(reason) }
    });
    assert!(reason.to_lowercase().contains("authorization"), "{reason}");
    stranger.put_car("苏F12345", "", false);
    assert!(main.car("苏F12345").is_none());
    // Shut out, while the founder's gate runs: the broker ends the connection at once.
    succeeds(&["fleet", "shut-out", "north"], &compound.main);
    north.wait_state("lost");
    north.put_car("苏F77777", "", false);
    north.open_here("its own gate");
    wait_for("the founder forgets the gate", || {
        let gates = main.get("/api/v1/gates")["gates"].to_string();
        if gates.contains("north") { Err(gates) } else { Ok(()) }
    });
    assert!(main.car("苏F77777").is_none() && main.state() == "connected");
    assert!(!plategate(&["fleet", "shut-out", "south"], &compound.main).status.success());
}

#[test]
fn a_box_that_leaves_goes_on_alone_and_comes_back_with_a_new_token() {
    let Some(compound) = Compound::found("1GB") else { return };
    let (main, north) = compound.two();
    main.put_car("苏F12345", "", false);
    same_car(&main, &north, "苏F12345");
    let data = north.kill();
    assert!(!plategate(&["fleet", "leave"], &data).status.success(), "it asks whether that is meant");
    let told = succeeds(&["fleet", "leave", "--yes"], &data);
    assert!(told.contains("fleet shut-out north"), "{told}");
    succeeds(&["fleet", "shut-out", "north"], &compound.main);
    let alone = Gate::start(&data);
    main.put_car("苏F77777", "", false);
    alone.put_car("苏F88888", "", false);
    alone.open_here("its own gate");
    assert!(alone.car("苏F12345").is_some(), "it keeps what it knew");
    assert!(alone.car("苏F77777").is_none() && main.car("苏F88888").is_none());
    alone.kill();
    let north = Gate::start(&compound.join("north"));
    north.wait_state("connected");
    same_car(&main, &north, "苏F77777");
}
