//! What is secret is in no log and on no page that a stranger may see, however much is logged.

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const CAMERA: &str = "camera-s3cret";
const TYPED: &str = "typed-passw0rd";

#[test]
fn passwords_tokens_and_plates_stay_out_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let (data, log) = (folder.path().join("data"), folder.path().join("log"));
    let config = folder.path().join("gate.toml");
    let token = support::token(&data, "tester", "maintainer");
    let add = Command::new(env!("CARGO_BIN_EXE_plategate"))
        .args(["plates", "--data", data.to_str().unwrap(), "add", "苏F12345", "--household", "1-101"])
        .status();
    assert!(add.unwrap().success());
    // Nobody listens there: the reason is logged, with the camera's address.
    std::fs::write(
        &config,
        format!("camera.source = \"rtsp://gate:{CAMERA}@127.0.0.1:1/live\"\nlog.format = \"json\"\n"),
    )
    .unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_plategate"))
        .args(["run", "--listen", "127.0.0.1:0", "--config"])
        .arg(&config)
        .arg("--data")
        .arg(&data)
        .env("PLATEGATE_LOG", "trace")
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let address = lines.find_map(|line| line.rsplit_once("http://").map(|(_, a)| a.to_owned())).unwrap();
    std::thread::spawn(move || lines.for_each(drop));

    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build().into();
    let bearer = format!("Bearer {token}");
    let vehicles = agent.get(format!("http://{address}/api/v1/vehicles")).header("Authorization", &bearer).call();
    assert_eq!(vehicles.unwrap().status(), 200);
    let form = format!("name=tester&password={TYPED}");
    let kind = "application/x-www-form-urlencoded";
    let signed = agent.post(format!("http://{address}/sign-in")).header("Content-Type", kind).send(&form).unwrap();
    assert!(signed.status() != 200 || !signed.into_body().read_to_string().unwrap().contains(TYPED));
    let open = |path: &str| {
        let mut answer = agent.get(format!("http://{address}{path}")).call().unwrap();
        answer.body_mut().read_to_string().unwrap()
    };
    let seen: String = ["/metrics", "/healthz", "/readyz", "/sign-in", "/board"].map(open).concat();

    let begun = Instant::now();
    while !text(&log).contains("camera lost") {
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", text(&log));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    child.wait().unwrap();
    let logged = text(&log);
    assert!(logged.lines().count() > 3 && logged.contains("rtsp://…@127.0.0.1:1/live"), "{logged}");
    for secret in [CAMERA, TYPED, &token, "correct horse battery", "F12345"] {
        assert!(!logged.contains(secret), "{secret} is in the log:\n{logged}");
        assert!(!seen.contains(secret), "{secret} is on a page for everybody");
    }
    // As a machine reads it.
    for line in logged.lines().filter(|l| l.starts_with('{')) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["level"].is_string() && line["timestamp"].is_string(), "{line}");
    }
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
