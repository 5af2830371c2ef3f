//! One register and one book on all gates: cut off, lied to, with a broker that is full.

use std::time::Duration;

use plategate::fleet::wire;
use plategate::register::Key;
use serde_json::{Value, json};

use crate::compound::{Compound, Gate, as_box, encoded, plategate, same_car, succeeds, wait_for};
use crate::support;

#[test]
fn gates_share_a_register_and_end_the_same_after_they_were_cut_off() {
    let Some(mut compound) = Compound::found("1GB") else { return };
    let (main, north) = compound.two();
    main.put_car("苏F12345", "", false);
    wait_for("the car at the other gate", || north.car("苏F12345").ok_or("none".to_owned()));
    // Cut off: both go on, and say since when and why.
    compound.broker.cut();
    main.wait_state("lost");
    north.wait_state("lost");
    let told = north.get("/api/v1/gates")["connection"].clone();
    assert!(told["since"].is_string() && !told["reason"].as_str().unwrap().is_empty(), "{told}");
    main.put_car("苏F12345", "from main", false);
    north.put_car("苏F12345", "from north", true);
    north.put_car("苏F22222", "", false);
    main.open_here("while cut off");
    compound.broker.go_on().unwrap();
    main.wait_state("connected");
    wait_for("the car that was entered at the cut-off gate", || main.car("苏F22222").ok_or("none".to_owned()));
    let both = wait_for("both changes joined", || match same_car(&main, &north, "苏F12345") {
        car if car["note"] == "from north" => Ok(car),
        car => Err(car.to_string()),
    });
    // The later remark won; what only the other gate wrote stays as it was written there.
    assert_eq!(both["blocked"], true);
    let (status, _) = main.ask("DELETE", &format!("/api/v1/vehicles/{}", encoded("苏F22222")), None);
    assert_eq!(status, 204);
    wait_for("the removal at the other gate", || {
        if north.car("苏F22222").is_none() { Ok(()) } else { Err("there".into()) }
    });
    // The loser is on record. A steward may not read the audit log; an auditor may.
    let data = main.kill();
    let auditor = support::token(&data, "监督员", "auditor");
    let again = Gate { token: auditor, ..Gate::start(&data) };
    let log = again.get("/api/v1/audit?count=200").to_string();
    assert!(log.contains("修改冲突") && log.contains("from main"), "{log}");
}

#[test]
fn poisoned_repeated_and_reordered_messages_change_nothing() {
    let Some(compound) = Compound::found("1GB") else { return };
    let (main, north) = compound.two();
    main.put_car("苏F12345", "old", false);
    same_car(&main, &north, "苏F12345");
    let key = Key::new(plategate::register::shared::Kind::Vehicle, "苏F12345");
    let subject = wire::record("garden", &key);
    let refused = north.refused();
    as_box(&compound.main, async |identity, client| {
        let js = async_nats::jetstream::new(client.clone());
        let stream = js.get_stream("pg_garden_register").await.unwrap();
        let consumer = stream
            .create_consumer(async_nats::jetstream::consumer::pull::OrderedConfig {
                filter_subject: subject.clone(),
                ..Default::default()
            })
            .await
            .unwrap();
        let mut messages = consumer.messages().await.unwrap();
        let old = futures_util::StreamExt::next(&mut messages).await.unwrap().unwrap().payload.clone();
        // The car changes; then an old word of it comes late, twice, behind the new one.
        main.put_car("苏F12345", "new", true);
        same_car(&main, &north, "苏F12345");
        for _ in 0..2 {
            js.publish(subject.clone(), old.clone()).await.unwrap().await.unwrap();
        }
        let mut wrong: Value = serde_json::from_slice(&old).unwrap();
        wrong["key"] = json!("vehicle/苏F99999");
        let poison = [
            b"{".to_vec(),
            vec![0xff; 300],
            serde_json::to_vec(&wrong).unwrap(),
            br#"{"key":"vehicle/x","state":{}}"#.to_vec(),
        ];
        for (n, bytes) in (1..).zip(poison) {
            js.publish(subject.clone(), bytes.into()).await.unwrap().await.unwrap();
            // The stream keeps the newest of a subject alone: the next one would take its place.
            wait_for("a refusal", || match north.refused() - refused {
                counted if counted >= n => Ok(()),
                counted => Err(format!("{counted} of {n}")),
            });
        }
        // An hour ahead: taken over, and a change that is made after it still wins.
        let mut ahead: Value = serde_json::from_slice(&old).unwrap();
        let stamp = json!([jiff::Timestamp::now().as_millisecond() + 3_600_000, 0, 9]);
        ahead["state"]["parts"]["note"] = json!({"at": stamp, "by": "skewed", "value": "an hour ahead"});
        js.publish(subject.clone(), serde_json::to_vec(&ahead).unwrap().into()).await.unwrap().await.unwrap();
        wait_for("the change from the clock that is ahead", || match north.car("苏F12345") {
            Some(car) if car["note"] == "an hour ahead" => Ok(()),
            seen => Err(format!("{seen:?}")),
        });
        // A box speaks for its own gate only: the broker takes no arrival in another's name.
        let foreign = wire::events("garden", "north");
        let told = js.publish(foreign, "{}".into()).await;
        let denied = match told {
            Ok(answer) => {
                tokio::time::timeout(Duration::from_secs(3), answer.into_future()).await.map_or(true, |a| a.is_err())
            }
            Err(_) => true,
        };
        assert!(denied, "{} spoke for another gate", identity.gate);
    });
    north.put_car("苏F12345", "after it", true);
    let both = wait_for("the last change on both", || match same_car(&main, &north, "苏F12345") {
        car if car["note"] == "after it" => Ok(car),
        car => Err(car.to_string()),
    });
    assert_eq!(both["blocked"], true, "the old word of it did not come back");
    assert!(north.car("苏F99999").is_none());
}

#[test]
fn a_broker_whose_disk_is_full_stops_nothing_and_all_comes_through_when_it_is_not() {
    let Some(mut compound) = Compound::found("120KB") else { return };
    let (main, north) = compound.two();
    // More than fits: the broker takes no more, and the gates do.
    for n in 0..300 {
        main.put_car(&format!("苏F{n:05}"), "a car of many, with a remark that takes some room at the broker", false);
    }
    let told = wait_for("the broker's refusal", || {
        let now = main.get("/api/v1/gates");
        let reason = now["connection"]["reason"].as_str().unwrap_or_default().to_owned();
        let full = reason.contains("insufficient") || reason.contains("exceeded") || reason.contains("maximum");
        if full && now["records_waiting"].as_u64() > Some(0) { Ok(now) } else { Err(now.to_string()) }
    });
    assert!(told["records_waiting"].as_u64() < Some(400), "{told}");
    main.open_here("all the same");
    assert!(main.car("苏F00299").is_some());
    compound.broker.cut();
    compound.configure("1GB");
    compound.broker.go_on().unwrap();
    wait_for("the last car at the other gate", || north.car("苏F00299").ok_or("none".to_owned()));
    wait_for("nothing left to tell", || match main.get("/api/v1/gates")["records_waiting"].as_u64() {
        Some(0) => Ok(()),
        seen => Err(format!("{seen:?}")),
    });
}

#[test]
fn the_book_is_written_by_one_box_and_copied_by_the_others() {
    let Some(compound) = Compound::found("1GB") else { return };
    let main = Gate::start(&compound.main);
    main.wait_state("connected");
    let north = Gate::start(&compound.join("north"));
    main.put_car("苏F12345", "", false);
    same_car(&main, &north, "苏F12345");
    // Entered at the box that keeps it: with its gate stopped, from the command line.
    let data = main.kill();
    succeeds(&["plates", "add", "苏F12345", "--household", "1-101", "--paid", "100"], &data);
    let slip = compound.folder.path().join("slip.png");
    image::RgbImage::from_fn(900, 700, |x, y| image::Rgb([x as u8, y as u8, 90])).save(&slip).unwrap();
    let slip = slip.display().to_string();
    succeeds(&["ledger", "opening", "cash:王芳", "50", "--by", "王芳"], &data);
    let spend = ["ledger", "spend", "upkeep", "30", "润滑油", "--by", "王芳", "--receipt", &slip];
    succeeds(&spend, &data);
    let main = Gate::start(&data);
    wait_for("the payment at the other gate", || match north.car("苏F12345") {
        Some(car) if car["standing"] == "paid" => Ok(()),
        seen => Err(format!("{seen:?}")),
    });
    // Its receipt's photograph comes, too: the copy of the book is whole.
    wait_for("the receipt", || {
        let receipts = std::fs::read_dir(north.data.join("receipts")).into_iter().flatten().flatten();
        // While it is being written it has another ending.
        match receipts.filter(|file| file.path().extension().is_some_and(|e| e == "jpg")).count() {
            1 => Ok(()),
            n => Err(n.to_string()),
        }
    });
    let north_data = north.kill();
    succeeds(&["ledger", "verify"], &north_data);
    let refused = plategate(&["plates", "add", "苏F22222", "--household", "1-102", "--paid", "100"], &north_data);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("main"), "{told}");
    // Handed over, it is the other way round.
    let data = main.kill();
    succeeds(&["fleet", "book", "hand-over", "north"], &data);
    let (main, north) = (Gate::start(&data), Gate::start(&north_data));
    wait_for("the other box keeps the book", || match north.get("/api/v1/gates")["keeps_book"].as_bool() {
        Some(true) => Ok(()),
        seen => Err(format!("{seen:?}")),
    });
    let north_data = north.kill();
    succeeds(&["plates", "add", "苏F22222", "--household", "1-102", "--paid", "100"], &north_data);
    let _north = Gate::start(&north_data);
    wait_for("the payment at the box that kept it before", || match main.car("苏F22222") {
        Some(car) if car["standing"] == "paid" => Ok(()),
        seen => Err(format!("{seen:?}")),
    });
}

#[test]
fn a_gate_that_is_killed_in_the_middle_of_its_first_sync_goes_on_where_it_was() {
    let Some(compound) = Compound::found("1GB") else { return };
    let main = Gate::start(&compound.main);
    main.wait_state("connected");
    let data = compound.join("north");
    const CARS: usize = 1500;
    let list = compound.folder.path().join("cars.csv");
    let lines: String = (0..CARS).map(|n| format!("苏F{n:05},1,{}\n", 101 + n % 900)).collect();
    std::fs::write(&list, format!("plate,building,unit\n{lines}")).unwrap();
    let main = main.kill();
    succeeds(&["plates", "import", &list.display().to_string()], &main);
    let main = Gate::start(&main);
    let cars = |gate: &Gate| gate.get("/api/v1/vehicles").as_array().unwrap().len();
    assert_eq!(cars(&main), CARS);
    // Several times, whenever it has got any further.
    let (mut north, mut had, mut kills) = (Gate::start(&data), 0, 0);
    while had < CARS {
        had = wait_for("more cars", || match cars(&north) {
            now if now > had => Ok(now),
            now => Err(now.to_string()),
        });
        if had < CARS {
            north = Gate::start(&north.kill());
            kills += 1;
            assert!(cars(&north) >= had, "what was heard is on the disk");
        }
    }
    println!("killed {kills} times");
    wait_for("nothing left to tell", || match main.get("/api/v1/gates")["records_waiting"].as_u64() {
        Some(0) => Ok(()),
        seen => Err(format!("{seen:?}")),
    });
    assert_eq!(cars(&main), CARS);
}
