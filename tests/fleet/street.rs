//! A street above a compound: two real brokers, one a leaf of the other, TLS on every line.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::time::Duration;

use plategate::fleet::simulate::broker::{self, Broker};
use plategate::fleet::street::Office;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Value, json};

use crate::compound::{Compound, Gate, Wire, plategate, succeeds, wait_for};

const PASSWORDS: [&str; 2] = ["a-long-password-of-garden", "a-long-password-of-park"];

/// An authority, and the certificate that it has signed for brokers on this machine.
fn certificates(folder: &Path, name: &str) -> [String; 3] {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, format!("the authority of {name}"));
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let write = |what: &str, text: String| {
        let path = folder.join(format!("{name}-{what}.pem"));
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    [write("ca", authority.pem()), write("cert", certificate.pem()), write("key", key.serialize_pem())]
}

/// The street: its broker, and its office's folder.
struct Street {
    broker: Broker,
    office: PathBuf,
    /// Where the compounds' brokers lead to.
    leaves: u16,
}

impl Street {
    /// With a configuration that somebody may have changed.
    fn found(folder: &Path, [ca, certificate, key]: &[String; 3], change: impl FnOnce(String) -> String) -> Street {
        let (port, leaves) = (broker::free_port().unwrap(), broker::free_port().unwrap());
        let office = folder.join("office");
        let url = format!("tls://127.0.0.1:{port}");
        let public = succeeds(&["fleet", "street", "found", "--server", &url, "--ca", ca], &office);
        let at = |name: &str| folder.join(name).display().to_string();
        let compounds = ["garden", "park"].iter().zip(PASSWORDS).map(|(name, word)| format!("{name}:{word}"));
        let compounds: Vec<String> = compounds.collect();
        let (config, store, listen, below) =
            (at("street.conf"), at("street"), format!("127.0.0.1:{port}"), format!("127.0.0.1:{leaves}"));
        let whole = ["fleet", "server-config", "--file", &config, "--listen", &listen, "--leaves", &below];
        let tls = ["--certificate", certificate, "--key", key, "--store", &store, "--most", "1GB"];
        let who = ["--office", &public, "--street", &compounds[0], &compounds[1]];
        succeeds(&[whole.as_slice(), &tls, &who].concat(), &office);
        std::fs::write(&config, change(std::fs::read_to_string(&config).unwrap())).unwrap();
        let broker = Broker::start(&broker::program().unwrap(), Path::new(&config), port).unwrap();
        Street { broker, office, leaves }
    }

    fn counts(&self) -> Result<Value, String> {
        let out = plategate(&["fleet", "street", "listen", "--compound", "garden", "--counts"], &self.office);
        match out.status.success() {
            true => Ok(serde_json::from_slice(&out.stdout).unwrap()),
            false => Err(String::from_utf8_lossy(&out.stderr).into_owned()),
        }
    }

    fn wait_for_arrivals(&self, count: u64) {
        wait_for("the arrivals in the street's stream", || match self.counts()? {
            told if told["arrivals"] == count => Ok(()),
            told => Err(told.to_string()),
        });
    }

    fn command(&self, of: &Path, gate: &str, why: &str) -> std::process::Output {
        let of = of.display().to_string();
        plategate(
            &["fleet", "street", "command", gate, "open", "--box", &of, "--by", "街道办", "--why", why],
            &self.office,
        )
    }
}

/// `fleet street listen`, for as long as a test wants it.
struct Listener(Child);

impl Listener {
    fn start(office: &Path) -> (Listener, std::sync::mpsc::Receiver<Value>) {
        let mut child = Process::new(env!("CARGO_BIN_EXE_plategate"))
            .args(["fleet", "street", "listen", "--compound", "garden", "--data"])
            .arg(office)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, heard) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        (Listener(child), heard)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A compound with TLS whose broker leads to a street's at this port, whose authority is this.
fn compound(folder: tempfile::TempDir, own: &[String; 3], leaves: u16, authority: &str) -> Compound {
    let street = format!("tls://garden:{}@127.0.0.1:{leaves}", PASSWORDS[0]);
    let server = ["--certificate", &own[1], "--key", &own[2], "--leads-to", &street, "--leads-to-ca", authority];
    let wire = Wire { scheme: "tls", found: &["--ca", &own[0]], server: &server };
    Compound::found_in(folder, wire, "1GB").unwrap()
}

/// Whose authority a compound's broker holds for the street's.
enum Whose {
    TheStreets,
    Its,
}

/// A street whose configuration somebody may have changed, a compound below it, and what the street's broker shows: authority,
/// certificate, key. None, and said so, without a broker.
fn both(whose: Whose, change: impl FnOnce(String) -> String) -> Option<(Street, Compound, [String; 3])> {
    if broker::program().is_none() {
        eprintln!("skipped: nats-server is not installed (apt install nats-server)");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let (own, above) = (certificates(folder.path(), "garden"), certificates(folder.path(), "street"));
    let street = Street::found(folder.path(), &above, change);
    let authority = match whose {
        Whose::TheStreets => &above[0],
        Whose::Its => &own[0],
    };
    let compound = compound(folder, &own, street.leaves, authority);
    Some((street, compound, above))
}

#[test]
fn a_street_hears_each_arrival_once_and_commands_over_two_brokers_with_tls() {
    let Some((mut street, compound, _)) = both(Whose::TheStreets, |honest| honest) else { return };
    let (_main, north) = compound.two();
    north.open_here("one");
    street.wait_for_arrivals(1);
    // The street's broker is gone for a while: what happens then comes later, and once.
    street.broker.cut();
    for n in 0..3 {
        north.open_here(&format!("cut {n}"));
    }
    street.broker.go_on().unwrap();
    street.wait_for_arrivals(4);
    let (listener, heard) = Listener::start(&street.office);
    for id in 1..=4u64 {
        let arrival = heard.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(
            (&arrival["compound"], &arrival["gate"], &arrival["id"]),
            (&json!("garden"), &json!("north"), &json!(id))
        );
    }
    drop(listener);
    // A command goes down, as that of a box that the compound has let in.
    let office_box = compound.join("office");
    let told = wait_for("the gate's answer", || {
        let out = street.command(&office_box, "north", "救护车");
        if out.status.success() { Ok(out) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
    });
    assert!(!told.stdout.is_empty());
    let newest = north.get("/api/v1/events?count=1")[0].clone();
    assert!(newest["rule"] == "by_hand" && newest["text"].as_str().unwrap().contains("街道办"), "{newest}");
    // Shut out by the compound, it opens nothing any more, whatever the street's broker lets through.
    succeeds(&["fleet", "shut-out", "office"], &compound.main);
    wait_for("the refusal", || {
        let out = street.command(&office_box, "north", "again");
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        if !out.status.success() && told.contains("shut out") { Ok(()) } else { Err(told) }
    });
    nothing_else_passes(&street.office);
}

/// Registers, passes and books stay in their compound: the office reaches none of them.
fn nothing_else_passes(office: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Office::load(office).unwrap().unwrap().connect(office).await.unwrap();
        for subject in [
            "JS.garden.API.STREAM.INFO.pg_garden_register",
            "JS.garden.API.STREAM.MSG.GET.pg_garden_register",
            "JS.garden.API.CONSUMER.CREATE.pg_garden_register",
            "$JS.garden.API.STREAM.NAMES",
            "pg.garden.pictures.north",
            "pg.garden.join.thief",
        ] {
            let asked = tokio::time::timeout(Duration::from_secs(2), client.request(subject, "".into())).await;
            assert!(!matches!(asked, Ok(Ok(_))), "{subject} was answered");
        }
    });
}

#[test]
fn a_wrong_authority_is_refused_with_one_clear_line_on_both_ways() {
    let Some((_street, compound, above)) = both(Whose::Its, |honest| honest) else { return };
    let main = Gate::start(&compound.main);
    main.wait_state("connected");
    let log = wait_for("the broker's word on the street's certificate", || {
        let log = std::fs::read_to_string(compound.folder.path().join("broker.log")).unwrap();
        if log.contains("unknown authority") { Ok(log) } else { Err(log) }
    });
    assert!(log.contains("unknown authority"));
    main.open_here("it goes on");
    // A box that was given another authority than its broker's.
    let mistaken = compound.folder.path().join("mistaken");
    let url = std::fs::read_to_string(compound.main.join("fleet/box.json")).unwrap();
    let url = serde_json::from_str::<Value>(&url).unwrap()["servers"][0].as_str().unwrap().to_owned();
    let found = ["fleet", "found", "--compound", "garden", "--gate", "main", "--server", &url, "--ca", &above[0]];
    succeeds(&found, &mistaken);
    let out = plategate(&["fleet", "status", "--seconds", "1", "--json"], &mistaken);
    let told: Value = serde_json::from_slice(&out.stdout).unwrap();
    let reason = told["broker"].as_str().unwrap();
    assert!(!out.status.success() && reason.contains("not signed by the authority"), "{reason}");
    let gate = Gate::start(&mistaken);
    let shown = wait_for("the same on the page", || match gate.get("/api/v1/gates")["connection"]["reason"].as_str() {
        Some(reason) if !reason.is_empty() => Ok(reason.to_owned()),
        _ => Err("nothing yet".to_owned()),
    });
    assert_eq!(shown, reason);
}

#[test]
fn a_street_s_broker_that_is_not_honest_learns_and_changes_nothing_more() {
    // Somebody sits in the compound's own account there.
    let both = both(Whose::TheStreets, |honest| {
        let spy = r#""garden": { users: [ { user: spy, password: spy } ], exports: ["#;
        let changed = honest.replace(r#""garden": { exports: ["#, spy);
        assert_ne!(changed, honest);
        changed
    });
    let Some((street, compound, above)) = both else { return };
    let main = Gate::start(&compound.main);
    main.wait_state("connected");
    main.open_here("one");
    street.wait_for_arrivals(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let heard = runtime.block_on(async {
        let options = async_nats::ConnectOptions::with_user_and_password("spy".into(), "spy".into());
        let url = street.broker.url().replace("nats://", "tls://");
        let spy = options.add_root_certificates(above[0].clone().into()).connect(url).await.unwrap();
        let mut all = spy.subscribe("pg.>").await.unwrap();
        spy.flush().await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        main.put_car("苏F12345", "", false);
        for stream in ["register", "book"] {
            for what in ["STREAM.PURGE", "STREAM.DELETE", "STREAM.INFO", "STREAM.MSG.GET", "CONSUMER.CREATE"] {
                let subject = format!("$JS.garden.API.{what}.pg_garden_{stream}");
                let asked =
                    tokio::time::timeout(Duration::from_secs(1), spy.request(subject.clone(), "{}".into())).await;
                assert!(!matches!(asked, Ok(Ok(_))), "{subject} was answered");
            }
        }
        spy.publish("pg.garden.book", "{}".into()).await.unwrap();
        spy.flush().await.unwrap();
        let mut heard = Vec::new();
        while let Ok(Some(message)) =
            tokio::time::timeout(Duration::from_secs(7), futures_util::StreamExt::next(&mut all)).await
        {
            heard.push(message.subject.to_string());
            if heard.len() > 20 {
                break;
            }
        }
        heard
    });
    // How the gates are is meant for the street; its own words come back to itself.
    let wrong: Vec<_> = heard.iter().filter(|s| s.contains(".register.") || s.contains(".passes.")).collect();
    assert!(wrong.is_empty() && heard.iter().any(|s| s.starts_with("pg.garden.health.")), "{heard:?}");
    assert!(main.car("苏F12345").is_some() && main.state() == "connected");
}
