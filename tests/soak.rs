//! Days in minutes: nothing goes missing, nothing stays too long (`plategate drill soak`). A month of it, with a look at what
//! grows: `plategate drill soak --days 30`.

use assert_cmd::Command;
use serde_json::Value;

#[test]
fn twelve_days_pass_and_everything_is_where_it_should_be() {
    let arguments = ["drill", "soak", "--days", "12", "--arrivals", "15", "--json"];
    let output = Command::cargo_bin("plategate").unwrap().args(arguments).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {told}"));
    assert!(output.status.success() && report["faults"].as_array().unwrap().is_empty(), "{report}\n{told}");
    let count = |name: &str| report[name].as_u64().unwrap_or_else(|| panic!("no {name}: {report}"));
    assert_eq!((count("days"), count("arrivals"), count("lost")), (12, 180, 0), "{report}");
    // It was a life with everything in it: cars let in and numbers forgotten, a stick that was away, restarts, a wrong clock.
    for name in [
        "opened",
        "changes",
        "numbers_forgotten_or_deleted",
        "backups",
        "backups_that_failed",
        "restarts",
        "clock_jumps",
    ] {
        assert!(count(name) > 0, "{name}: {report}");
    }
    assert!(count("recorded") > 120, "{report}");
}
