//! Visitors' passes at several gates: judged while cut off, and used up at all of them once they hear of each other.

use plategate::register::demo;
use serde_json::json;

use crate::compound::{Compound, Gate, encoded, same_car, succeeds, wait_for};

#[test]
fn a_signed_pass_is_judged_by_a_gate_that_was_cut_off_before_it_was_given() {
    let Some(mut compound) = Compound::found("1GB") else { return };
    let (main, north) = compound.two();
    main.put_car("苏F12345", "", false);
    same_car(&main, &north, "苏F12345");
    compound.broker.cut();
    north.wait_state("lost");
    let wanted = json!({"plate": "皖A6P42Z", "household": "1-101", "entries": 1});
    let (status, pass) = main.ask("POST", "/api/v1/passes", Some(&wanted));
    assert_eq!(status, 201, "{pass}");
    let id = pass["id"].as_u64().unwrap();
    let code = main.get(&format!("/api/v1/passes/{id}/code"))["code"].as_str().unwrap().to_owned();
    assert!(north.get("/api/v1/passes").as_array().unwrap().is_empty());
    let told = succeeds(&["pass", "check", &code], &north.data);
    assert!(told.contains("皖A6P42Z") && told.ends_with("good"), "{told}");
    let mut altered = code.clone().into_bytes();
    altered[40] ^= 1;
    let altered = String::from_utf8(altered).unwrap();
    assert_eq!(north.ask("POST", "/api/v1/passes/present", Some(&json!({"code": altered}))).0, 422);
    let (status, shown) = north.ask("POST", "/api/v1/passes/present", Some(&json!({"code": code})));
    assert_eq!((status, shown["validity"].as_str()), (200, Some("good")), "{shown}");
    compound.broker.go_on().unwrap();
    let both = wait_for("the pass as it was given, on both", || {
        let [a, b] = [&main, &north].map(|gate| gate.get("/api/v1/passes"));
        if a == b && a[0]["given_by"] == "王芳" { Ok(a) } else { Err(format!("{a} {b}")) }
    });
    assert_eq!(both.as_array().unwrap().len(), 1);
    // Taken back, its code is worth nothing any more.
    assert_eq!(main.ask("DELETE", &format!("/api/v1/passes/{id}"), None).0, 204);
    wait_for("it is taken back at the other gate", || match north.get("/api/v1/passes").as_array().unwrap().len() {
        0 => Ok(()),
        n => Err(n.to_string()),
    });
    assert_eq!(north.ask("POST", "/api/v1/passes/present", Some(&json!({"code": code}))).0, 422);
}

/// The painted lane shows the visitor's car at the main gate first; the back gate has no camera until then.
#[test]
fn a_pass_for_one_entry_that_was_used_at_one_gate_opens_no_other() {
    let Some(compound) = Compound::found("1GB") else { return };
    let north = {
        let main = Gate::start(&compound.main);
        main.wait_state("connected");
        let north = Gate::start(&compound.join("north"));
        main.put_car("苏F12345", "of the household that is visited", false);
        let wanted = json!({"plate": demo::STRANGER, "household": "1-101", "entries": 1});
        let (status, pass) = main.ask("POST", "/api/v1/passes", Some(&wanted));
        assert_eq!(status, 201, "{pass}");
        main.kill();
        north
    };
    let visitor = |gate: &Gate| {
        let path = format!("/api/v1/events?count=1&plate={}", encoded(demo::STRANGER));
        wait_for("the visitor's car", || match gate.get(&path)[0].clone() {
            event if event.is_null() => Err(gate.get("/api/v1/events?count=5").to_string()),
            event => Ok(event),
        })
    };
    let main = Gate::with_camera(&compound.main, "rendered");
    let event = visitor(&main);
    assert_eq!((&event["outcome"], &event["rule"]), (&json!("opened"), &json!("pass")), "{event}");
    wait_for("the use, at the other gate", || {
        let passes = north.get("/api/v1/passes");
        if passes[0]["used"] == 1 { Ok(()) } else { Err(passes.to_string()) }
    });
    let north = Gate::with_camera(&north.kill(), "rendered");
    let event = visitor(&north);
    assert_eq!((&event["outcome"], &event["rule"]), (&json!("refused"), &json!("pass_used")), "{event}");
}
