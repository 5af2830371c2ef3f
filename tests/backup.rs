//! Backups from the outside: made by a running gate, encrypted, checked, brought back on a bare box; and a forgotten plate.

mod support;

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

fn plategate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_plategate")).args(arguments).output().unwrap()
}

fn good(arguments: &[&str]) -> String {
    let output = plategate(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn refused(arguments: &[&str], status: i32, part: &str) {
    let output = plategate(arguments);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {error}");
    assert!(error.trim().lines().count() == 1 && error.contains(part), "{arguments:?}: {error}");
}

fn text(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_owned()
}

#[test]
fn a_running_gate_backs_up_to_the_stick_and_a_bare_box_brings_it_back_with_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let [data, key, stick, config, back] =
        ["data", "key.txt", "stick", "gate.toml", "back"].map(|name| text(folder.path(), name));
    let public = good(&["backup", "key", &key]);
    assert!(public.starts_with("age1"), "{public}");
    refused(&["backup", "key", &key], 1, "never overwritten");
    let settings = |folder: &str| {
        format!("backup.folder = {folder:?}\nbackup.recipients = [{public:?}]\nbackup.same_disk = true\n")
    };
    std::fs::write(&config, settings(&stick)).unwrap();
    std::fs::create_dir(&stick).unwrap();

    let gate = support::Gate::start(&["--demo", "--config", &config, "--data", &data]);
    let begun = Instant::now();
    let made = loop {
        let files: Vec<_> = std::fs::read_dir(&stick).unwrap().flatten().map(|e| e.path()).collect();
        let told = std::fs::read_to_string(folder.path().join("data/backup.json")).unwrap_or_default();
        if let Some(file) = files.iter().find(|f| f.extension().is_some_and(|e| e == "age"))
            && told.contains("last_good")
        {
            break file.to_str().unwrap().to_owned();
        }
        assert!(begun.elapsed() < Duration::from_secs(90), "no backup came: {files:?} {told}");
        std::thread::sleep(Duration::from_millis(100));
    };
    // The doctor sees it while the gate runs.
    let doctor = plategate(&["--config", &config, "doctor", "--data", &data, "--json"]);
    let told = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(told.contains("the last good one is of") && told.contains("encrypted"), "{told}");
    drop(gate);

    refused(&["restore", &made, "--to", &back], 1, "--identity FILE");
    refused(&["backup", "check", &made], 1, "--identity FILE");
    let whole = good(&["backup", "check", &made, "--identity", &key]);
    assert!(whole.contains("103 vehicles") && whole.contains("the configuration"), "{whole}");
    good(&["restore", &made, "--identity", &key, "--to", &back]);
    let same = std::fs::read(folder.path().join("back-config/plategate.toml")).unwrap();
    assert_eq!(same, std::fs::read(&config).unwrap());
    let list = |data: &str| good(&["plates", "--data", data, "list"]);
    assert_eq!(list(&back), list(&data));
    // Its exit status depends on the machine.
    let doctor = plategate(&["doctor", "--data", &back, "--json"]);
    let checks: serde_json::Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let book = checks["checks"].as_array().unwrap().iter().find(|c| c["name"] == "book").unwrap().clone();
    assert!(book["status"] == "ok" && book["detail"].as_str().unwrap().contains("whole"), "{book}");
}

#[test]
fn keys_and_flags_of_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let [data, key, sealed, plain] =
        ["data", "key", "s.tar.zst.age", "p.tar.zst"].map(|name| text(folder.path(), name));
    let public = good(&["backup", "key", &key]);
    good(&["plates", "--data", &data, "add", "苏F12345", "--household", "1-101"]);
    assert!(good(&["backup", &sealed, "--recipient", &public, "--data", &data]).ends_with(", encrypted"));
    assert!(good(&["backup", &plain, "--data", &data]).ends_with("not encrypted"));
    assert!(good(&["backup", "check", &plain]).contains("1 vehicles"));
    refused(&["backup", &plain, "--recipient", "age1nonsense", "--data", &data], 2, "plategate backup key");
    refused(&["restore", &sealed, "--identity", &plain, "--to", &text(folder.path(), "x")], 1, "AGE-SECRET-KEY-1");
    std::fs::write(folder.path().join("bad.toml"), "[backup]\nrecipients = [\"age1nonsense\"]\n").unwrap();
    refused(&["--config", &text(folder.path(), "bad.toml"), "doctor"], 2, "backup.recipients");
}

#[test]
fn the_configuration_goes_along_and_its_secrets_in_encrypted_backups_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let [data, key, password, config, sealed, open, back] =
        ["data", "key", "password", "gate.toml", "s.age", "o.zst", "back"].map(|name| text(folder.path(), name));
    let public = good(&["backup", "key", &key]);
    std::fs::write(&password, "hunter2hunter2").unwrap();
    let safe = format!("[camera]\nsource = \"rtsp://gate@10.0.0.5/live\"\npassword_file = {password:?}\n");
    std::fs::write(&config, &safe).unwrap();
    good(&["plates", "--data", &data, "add", "苏F12345", "--household", "1-101"]);

    let told = good(&["--config", &config, "backup", &sealed, "--recipient", &public, "--data", &data]);
    assert!(told.contains("the configuration, 1 files that it names") && told.ends_with("encrypted"), "{told}");
    let told = good(&["restore", &sealed, "--identity", &key, "--to", &back]);
    assert!(told.contains("back-config: the configuration"), "{told}");
    let beside = folder.path().join("back-config");
    assert_eq!(std::fs::read_to_string(beside.join("plategate.toml")).unwrap(), safe);
    assert_eq!(std::fs::read_to_string(beside.join("camera.password_file")).unwrap(), "hunter2hunter2");
    for path in ["camera.password_file", "plategate.toml"] {
        assert_eq!(std::fs::metadata(beside.join(path)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // It can be used as it lies there.
    let restored = text(&beside, "plategate.toml");
    assert!(good(&["--config", &restored, "plates", "--data", &back, "list"]).contains("苏F12345"));

    let holds = |secret: &str| {
        let tar = zstd::decode_all(std::fs::File::open(&open).unwrap()).unwrap();
        tar.windows(secret.len()).any(|w| w == secret.as_bytes())
    };
    let not_in_it = |config: &str| {
        let output = plategate(&["--config", config, "backup", &open, "--data", &data]);
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let told = not_in_it(&config);
    assert!(told.contains("not in it: camera.password_file") && told.trim().lines().count() == 1, "{told}");
    assert!(holds("rtsp://gate@10.0.0.5/live") && !holds("hunter2hunter2"));
    std::fs::write(&config, "[camera]\nsource = \"rtsp://gate:hunter2hunter2@10.0.0.5/live\"\n").unwrap();
    let told = not_in_it(&config);
    assert!(told.contains("camera.source holds a secret") && !told.contains("hunter2"), "{told}");
    assert!(!holds("hunter2hunter2") && !holds("10.0.0.5"));
}

#[test]
fn a_registered_plate_is_not_forgotten_and_one_that_was_taken_out_is() {
    let folder = tempfile::tempdir().unwrap();
    let data = text(folder.path(), "data");
    good(&["plates", "--data", &data, "add", "苏F12345", "--household", "1-101"]);
    refused(&["forget", "苏F12345", "--data", &data], 1, "take it out of the register first");
    refused(&["forget", "nonsense", "--data", &data], 2, "nonsense");
    good(&["plates", "--data", &data, "remove", "苏F12345"]);
    let told: serde_json::Value =
        serde_json::from_str(&good(&["forget", "苏F12345", "--data", &data, "--json"])).unwrap();
    assert!(told["arrivals"] == 0 && told["kept"]["history"].as_u64() >= Some(2), "{told}");
}

/// A maintainer in a browser, as far as a form needs one.
struct Person {
    agent: ureq::Agent,
    address: std::net::SocketAddr,
    cookie: String,
}

impl Person {
    fn signs_in(address: std::net::SocketAddr) -> Person {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build().into();
        let mut person = Person { agent, address, cookie: String::new() };
        assert_eq!(person.send("/sign-in", "name=tester&password=correct+horse+battery").0, 303);
        person
    }

    fn get(&self, path: &str) -> String {
        // What is said once is said to a page, not to a picture.
        let request = self.agent.get(format!("http://{}{path}", self.address)).header("Accept", "text/html");
        let request = request.header("Cookie", &self.cookie);
        request.call().unwrap().body_mut().read_to_string().unwrap()
    }

    fn send(&mut self, path: &str, form: &str) -> (u16, String) {
        let (status, body) = self.send_for_bytes(path, form);
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    fn send_for_bytes(&mut self, path: &str, form: &str) -> (u16, Vec<u8>) {
        let origin = format!("http://{}", self.address);
        let request =
            self.agent.post(format!("{origin}{path}")).header("Cookie", &self.cookie).header("Origin", &origin);
        let mut answer = request.header("Content-Type", "application/x-www-form-urlencoded").send(form).unwrap();
        if let Some(cookie) = answer.headers().get("set-cookie").and_then(|c| c.to_str().ok()) {
            self.cookie = cookie.split(';').next().unwrap().to_owned();
        }
        (answer.status().as_u16(), answer.body_mut().with_config().limit(1 << 30).read_to_vec().unwrap())
    }
}

#[test]
fn the_page_tells_of_backups_and_forgets_a_plate_for_a_maintainer() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    support::token(&data, "tester", "maintainer");
    let config = text(folder.path(), "gate.toml");
    std::fs::write(&config, "[gate]\nname = \"east\"\n").unwrap();
    let gate = support::Gate::start(&["--demo", "--config", &config, "--data", data.to_str().unwrap()]);
    let mut person = Person::signs_in(gate.address);
    let page = person.get("/settings");
    assert!(page.contains("备份") && page.contains("遗忘车牌") && page.contains("backup.folder"), "{page}");
    let csrf = page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let (status, backup) = person.send_for_bytes("/settings/backup", &format!("csrf={csrf}"));
    assert_eq!(status, 200);
    let file = text(folder.path(), "download.tar.zst");
    std::fs::write(&file, backup).unwrap();
    assert!(good(&["backup", "check", &file]).contains("the configuration"));
    // A registered one, nonsense, one without the session's token, and a stranger's.
    let plate = |text: &str, csrf: &str| format!("csrf={csrf}&plate={text}");
    let (registered, stranger) = ("%E8%8B%8FF8K291", "%E7%9A%96A6P42Z");
    let (status, told) = person.send("/settings/forget", &plate(registered, &csrf));
    assert!((400..500).contains(&status) && told.contains("先删除登记"), "{status} {told}");
    assert!((400..500).contains(&person.send("/settings/forget", &plate("nonsense", &csrf)).0));
    assert!((400..500).contains(&person.send("/settings/forget", &plate(stranger, "forged")).0));
    assert_eq!(person.send("/settings/forget", &plate(stranger, &csrf)).0, 303);
    assert!(person.get("/settings").contains("已遗忘"));
    let log = person.get("/settings/audit");
    assert!(log.contains("遗忘车牌"), "{log}");
}
