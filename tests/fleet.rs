//! Several gates of one compound, as processes, over a real broker: joined, cut off, killed, lied to.
//!
//! A gate without a camera is a gate all the same. Where nats-server is not installed the tests say so and do nothing.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command as Process, Output};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use plategate::fleet::command::{Act, Command};
use plategate::fleet::identity::Identity;
use plategate::fleet::simulate::broker::{self, Broker};
use plategate::fleet::{sync, wire};
use plategate::register::Key;
use serde_json::{Value, json};

/// The machine is small: one compound at a time.
static ONE: Mutex<()> = Mutex::new(());
/// How long anything may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn plategate(arguments: &[&str], data: &Path) -> Output {
    Process::new(env!("CARGO_BIN_EXE_plategate")).args(arguments).arg("--data").arg(data).output().unwrap()
}

fn succeeds(arguments: &[&str], data: &Path) -> String {
    let out = plategate(arguments, data);
    assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if begun.elapsed() > PATIENCE => panic!("{what} did not come: {seen}"),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// A running gate with a program's token.
struct Gate {
    inner: support::Gate,
    token: String,
    data: PathBuf,
}

impl Gate {
    fn start(data: &Path) -> Gate {
        let token = support::token(data, "王芳", "steward");
        let inner = support::Gate::start(&["--camera", "folder:/nonexistent", "--data", &data.display().to_string()]);
        Gate { inner, token, data: data.to_owned() }
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.inner.address))
            .header("Authorization", format!("Bearer {}", self.token));
        let mut answer = match body {
            Some(body) => agent.run(
                request.header("Content-Type", "application/json").body(serde_json::to_vec(body).unwrap()).unwrap(),
            ),
            None => agent.run(request.body(()).unwrap()),
        }
        .unwrap();
        let text = answer.body_mut().read_to_vec().unwrap();
        (answer.status().as_u16(), serde_json::from_slice(&text).unwrap_or(Value::Null))
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, None);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    fn put_car(&self, plate: &str, note: &str, blocked: bool) {
        let car = json!({"building": 1, "unit": "101", "name": "王伟", "note": note, "blocked": blocked});
        let (status, body) = self.ask("PUT", &format!("/api/v1/vehicles/{}", encoded(plate)), Some(&car));
        assert_eq!(status, 200, "{body}");
    }

    fn car(&self, plate: &str) -> Option<Value> {
        let (status, body) = self.ask("GET", &format!("/api/v1/vehicles/{}", encoded(plate)), None);
        (status == 200).then_some(body)
    }

    fn state(&self) -> String {
        self.get("/api/v1/gates")["connection"]["state"].as_str().unwrap().to_owned()
    }

    fn wait_state(&self, wanted: &str) {
        wait_for(wanted, || {
            let now = self.get("/api/v1/gates");
            if now["connection"]["state"] == wanted { Ok(()) } else { Err(now.to_string()) }
        });
    }

    fn open_here(&self, why: &str) {
        assert_eq!(self.ask("POST", "/api/v1/open", Some(&json!({"reason": why}))).0, 200);
    }

    fn kill(mut self) -> PathBuf {
        self.inner.child.kill().unwrap();
        self.inner.child.wait().unwrap();
        self.data.clone()
    }

    /// What it has refused so far.
    fn refused(&self) -> u64 {
        self.get("/api/v1/gates")["refused"].as_u64().unwrap()
    }
}

fn encoded(plate: &str) -> String {
    plate.bytes().map(|b| if b.is_ascii() { (b as char).to_string() } else { format!("%{b:02X}") }).collect()
}

/// A founded fleet with its broker; the founder's gate is not started yet.
struct Compound {
    broker: Broker,
    main: PathBuf,
    folder: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Compound {
    /// None where there is no broker to be had.
    fn found(most: &str) -> Option<Compound> {
        let Some(program) = broker::program() else {
            eprintln!("skipped: nats-server is not installed (apt install nats-server)");
            return None;
        };
        let alone = ONE.lock().unwrap_or_else(|broken| broken.into_inner());
        let folder = tempfile::tempdir().unwrap();
        let (main, port) = (folder.path().join("main"), broker::free_port().unwrap());
        let url = format!("nats://127.0.0.1:{port}");
        succeeds(&["fleet", "found", "--compound", "garden", "--gate", "main", "--server", &url], &main);
        let config = folder.path().join("broker.conf");
        configure(folder.path(), &main, port, most);
        let broker = Broker::start(&program, &config, port).unwrap();
        Some(Compound { broker, main, folder, _alone: alone })
    }

    /// Lets a box in, for this gate. The founder's gate has to run.
    fn join(&self, gate: &str) -> PathBuf {
        let token = succeeds(&["fleet", "invite", gate], &self.main);
        let data = self.folder.path().join(gate);
        // The broker has been told of the token by a signal, and takes a moment.
        wait_for("joining", || {
            let out = plategate(&["fleet", "join", &token], &data);
            if out.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
        });
        let again = plategate(&["fleet", "join", &token], &self.folder.path().join("thief"));
        assert!(!again.status.success(), "a token lets one box in");
        data
    }

    /// Writes the broker's configuration anew, with this much that it may keep.
    fn configure(&self, most: &str) {
        let port = self.broker.url().rsplit_once(':').unwrap().1.parse().unwrap();
        configure(self.folder.path(), &self.main, port, most);
    }

    /// Two gates that know each other.
    fn two(&self) -> (Gate, Gate) {
        let main = Gate::start(&self.main);
        main.wait_state("connected");
        let north = Gate::start(&self.join("north"));
        north.wait_state("connected");
        (main, north)
    }
}

fn configure(folder: &Path, main: &Path, port: u16, most: &str) {
    let at = |name: &str| folder.join(name).display().to_string();
    let (config, listen) = (at("broker.conf"), format!("127.0.0.1:{port}"));
    let (store, pid) = (at("streams"), at("broker.pid"));
    let server = ["fleet", "server-config", "--file", &config, "--listen", &listen, "--store", &store];
    let limits = ["--pid-file", &pid, "--most", most];
    succeeds(&[server.as_slice(), limits.as_slice()].concat(), main);
}

/// Speaks to the broker as a box, past its gate.
fn as_box<T>(data: &Path, speak: impl AsyncFnOnce(&Identity, &async_nats::Client) -> T) -> T {
    let identity = Identity::load(data).unwrap().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = sync::connect(&identity, None, Arc::new(tokio::sync::Notify::new())).await.unwrap();
        speak(&identity, &client).await
    })
}

/// The same car on both gates.
fn same_car(one: &Gate, other: &Gate, plate: &str) -> Value {
    wait_for("the same car on both gates", || match (one.car(plate), other.car(plate)) {
        (Some(a), Some(b)) if a == b => Ok(a),
        seen => Err(format!("{seen:?}")),
    })
}

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
        for bytes in poison {
            js.publish(subject.clone(), bytes.into()).await.unwrap().await.unwrap();
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
    assert!(north.refused() >= refused + 4, "{} were refused", north.refused() - refused);
    assert!(north.car("苏F99999").is_none());
}

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
    let main = Gate::start(&data);
    wait_for("the payment at the other gate", || match north.car("苏F12345") {
        Some(car) if car["standing"] == "paid" => Ok(()),
        seen => Err(format!("{seen:?}")),
    });
    let north_data = north.kill();
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
