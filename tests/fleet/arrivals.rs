//! Arrivals upwards, each once; and hundreds of gates in one process.

use std::process::Command as Process;

use plategate::fleet::simulate::broker;
use serde_json::{Value, json};

use crate::compound::{Compound, Gate, ONE, wait_for};

#[test]
fn arrivals_come_up_once_through_cuts_and_kills() {
    let Some(mut compound) = Compound::found("1GB") else { return };
    let (main, north) = compound.two();
    north.open_here("one");
    compound.broker.cut();
    north.wait_state("lost");
    for n in 0..5 {
        north.open_here(&format!("cut {n}"));
    }
    // Killed before it could tell, and again in the middle of telling.
    let data = north.kill();
    compound.broker.go_on().unwrap();
    let north = Gate::start(&data);
    wait_for("the first of them", || match main.get("/api/v1/gates")["arrivals"].as_array().unwrap().len() {
        0 => Err("none".to_owned()),
        n => Ok(n),
    });
    let north = Gate::start(&north.kill());
    north.open_here("last");
    let arrivals = wait_for("all arrivals", || {
        let told = main.get("/api/v1/gates")["arrivals"].clone();
        let of_north: Vec<u64> = told
            .as_array()
            .unwrap()
            .iter()
            .filter(|a| a["gate"] == "north")
            .map(|a| a["id"].as_u64().unwrap())
            .collect();
        if of_north.len() >= 7 { Ok(of_north) } else { Err(told.to_string()) }
    });
    let mut sorted = arrivals.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (1..=7).collect::<Vec<_>>(), "each once");
    let told = north.get("/api/v1/gates");
    wait_for("nothing left to tell", || match north.get("/api/v1/gates")["events_waiting"].as_u64() {
        Some(0) => Ok(()),
        seen => Err(format!("{seen:?}")),
    });
    assert_eq!(told["events_missed"], 0);
}

#[test]
fn cars_that_come_with_their_pictures_come_up_too() {
    let Some(compound) = Compound::found("1GB") else { return };
    let main = Gate::with_camera(&compound.main, "rendered");
    main.wait_state("connected");
    let of_gates = || -> Vec<u64> {
        let told = main.get("/api/v1/gates");
        assert_eq!(told["events_missed"], 0, "{told}");
        told["arrivals"].as_array().unwrap().iter().map(|a| a["id"].as_u64().unwrap()).collect()
    };
    let told = wait_for("three cars of the painted lane", || match of_gates() {
        told if told.len() >= 3 => Ok(told),
        told => Err(format!("{told:?}, on record {}", main.get("/api/v1/events?count=9"))),
    });
    let mut sorted = told.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (1..=told.len() as u64).collect::<Vec<_>>(), "each of them, once");
}

#[test]
fn a_small_simulation_loses_nothing() {
    if broker::program().is_none() {
        eprintln!("skipped: nats-server is not installed (apt install nats-server)");
        return;
    }
    let _alone = ONE.lock().unwrap_or_else(|broken| broken.into_inner());
    let out = Process::new(env!("CARGO_BIN_EXE_plategate"))
        .args(["fleet", "simulate", "--gates", "8", "--cars", "200", "--events", "4000", "--cut", "1", "--json"])
        .output()
        .unwrap();
    let told: Value = serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out.stderr)));
    assert!(out.status.success(), "{told}");
    assert_eq!((&told["lost"], &told["duplicated"], &told["events_received"]), (&json!(0), &json!(0), &json!(4000)));
    assert_eq!((&told["register_converged"], &told["gates"]), (&json!(true), &json!(8)));
    assert!(told["conflicts"].as_u64() > Some(0) && told["bytes_per_event"].as_f64() > Some(0.0));
}
