//! A real Prometheus reads `/metrics` of a real gate, and its own tool judges the rules and tries them out.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

/// Debian's Prometheus; what it cannot do without it, this file does not do.
fn is_there() -> bool {
    let there = Command::new("promtool").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        eprintln!("SKIPPED: there is no prometheus: run `make test`, which installs it");
    }
    there
}

fn promtool(arguments: &[&str]) {
    let output = Command::new("promtool").args(arguments).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "promtool {arguments:?}\n{out}\n{err}");
}

#[test]
fn the_alert_rules_are_well_formed_and_fire_when_they_should() {
    if is_there() {
        promtool(&["check", "rules", deploy("prometheus/alerts.yml").to_str().unwrap()]);
        promtool(&["test", "rules", deploy("prometheus/alerts_test.yml").to_str().unwrap()]);
    }
}

/// Every name that rules and dashboard ask for.
fn asked_for() -> Vec<String> {
    let texts =
        ["prometheus/alerts.yml", "grafana/plategate.json"].map(|f| std::fs::read_to_string(deploy(f)).unwrap());
    let mut names: Vec<String> = texts
        .iter()
        .flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        .filter(|word| word.starts_with("plategate_"))
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

struct Prometheus {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    fn start(target: &str) -> Prometheus {
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let config = folder.path().join("prometheus.yml");
        let rules = deploy("prometheus/alerts.yml");
        std::fs::write(
            &config,
            format!(
                "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{rules:?}]\nscrape_configs:\n  - job_name: plategate\n    static_configs: [{{targets: [\"{target}\"]}}]\n"
            ),
        )
        .unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Prometheus { child, address, _folder: folder }
    }

    fn get(&self, path: &str) -> Option<Value> {
        let mut answer = ureq::get(format!("http://{}{path}", self.address)).call().ok()?;
        serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()
    }

    /// The values of a query, once there are any that please.
    fn wait_for(&self, query: &str, pleases: impl Fn(f64) -> bool) -> Value {
        let path = format!("/api/v1/query?query={query}");
        let begun = Instant::now();
        loop {
            let told = self.get(&path).unwrap_or_default();
            let value = |r: &Value| r["value"][1].as_str().and_then(|v| v.parse::<f64>().ok());
            let results = told["data"]["result"].as_array().cloned().unwrap_or_default();
            if results.iter().filter_map(value).any(&pleases) {
                return told;
            }
            assert!(begun.elapsed() < Duration::from_secs(120), "{query}: {told}");
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

#[test]
fn a_real_prometheus_reads_everything_and_no_plate() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let gate = support::Gate::start(&["--demo", "--data", data.to_str().unwrap()]);
    let prometheus = Prometheus::start(&gate.address.to_string());
    prometheus.wait_for("up", |v| v == 1.0);
    // The demo's cars come: decisions, presses and their latencies.
    prometheus.wait_for("plategate_presses_total", |v| v >= 1.0);
    prometheus.wait_for("sum(plategate_decisions_total)", |v| v >= 1.0);
    prometheus.wait_for("plategate_pulse_seconds_count", |v| v >= 1.0);
    prometheus.wait_for("plategate_record_seconds_count", |v| v >= 1.0);
    prometheus.wait_for("plategate_camera_live", |v| v == 1.0);
    prometheus.wait_for("plategate_memory_bytes", |v| v > 1e6);

    let known = prometheus.get("/api/v1/label/__name__/values").unwrap();
    let known: Vec<&str> = known["data"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for name in asked_for() {
        assert!(known.contains(&name.as_str()), "{name} is asked for and not there: {known:?}");
    }
    let rules = prometheus.get("/api/v1/rules").unwrap();
    let all: Vec<&Value> =
        rules["data"]["groups"].as_array().unwrap().iter().flat_map(|g| g["rules"].as_array().unwrap()).collect();
    assert!(all.len() >= 10 && all.iter().all(|r| r["health"] != "err"), "{rules}");

    // The page itself: whole, by the tool's own judgement, and without anybody's number.
    let text =
        ureq::get(format!("http://{}/metrics", gate.address)).call().unwrap().body_mut().read_to_string().unwrap();
    let provinces = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤川青藏琼宁";
    assert!(!text.contains(|c: char| provinces.contains(c)) && text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn the_dashboard_is_json_with_a_query_in_every_panel() {
    let text = std::fs::read_to_string(deploy("grafana/plategate.json")).unwrap();
    let board: Value = serde_json::from_str(&text).unwrap();
    let panels = board["panels"].as_array().unwrap();
    assert!(panels.len() >= 8);
    for panel in panels {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty() && targets.iter().all(|t| !t["expr"].as_str().unwrap().is_empty()), "{panel}");
    }
}

#[test]
fn each_arrival_is_one_tree_of_spans_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let (config, log) = (folder.path().join("gate.toml"), folder.path().join("log"));
    std::fs::write(&config, "log.format = \"json\"\nlog.spans = true\n").unwrap();
    let data = folder.path().join("data");
    let mut child = Command::new(env!("CARGO_BIN_EXE_plategate"))
        .args(["run", "--demo", "--listen", "127.0.0.1:0", "--config"])
        .arg(&config)
        .arg("--data")
        .arg(&data)
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let text = loop {
        let text = std::fs::read_to_string(&log).unwrap();
        // The first arrival's root has ended.
        if text.lines().any(|line| line.contains("\"close\"") && line.contains("plategate::cli::recorder")) {
            break text;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{text}");
        std::thread::sleep(Duration::from_millis(200));
    };
    child.kill().unwrap();
    child.wait().unwrap();
    let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    // A step that ends stands in its arrival, which tells how long the corridor took, and not whose car it was.
    let steps: Vec<&Value> = lines
        .iter()
        .filter(|line| line["fields"]["message"] == "close" && line["target"] == "plategate::store::events")
        .collect();
    let names: Vec<&str> = steps.iter().filter_map(|step| step["span"]["name"].as_str()).collect();
    assert!(names.starts_with(&["picture", "record", "flush"]), "{names:?}: {text}");
    let root = lines.iter().find(|line| line["target"] == "plategate::cli::recorder" && line["span"]["id"] == 1);
    assert!(root.is_some_and(|root| root["span"]["name"] == "arrival"), "{text}");
    for step in steps {
        let arrival = &step["spans"][0];
        assert!(arrival["name"] == "arrival" && arrival["decided_ms"].is_number(), "{step}");
        assert!(arrival["rule"].is_string() && step["fields"]["time.busy"].is_string(), "{step}");
    }
    let demo = [plategate::register::demo::PAID, plategate::register::demo::STRANGER];
    assert!(demo.iter().all(|plate| !text.contains(plate)), "{text}");
}
