//! The power goes, again and again, in the middle of real work (`plategate drill power`).

use assert_cmd::Command;
use serde_json::Value;

#[test]
fn fifty_cuts_lose_nothing_that_was_acknowledged() {
    let output = Command::cargo_bin("plategate").unwrap().args(["drill", "power", "--cuts", "50", "--json"]).output();
    let output = output.unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {told}"));
    assert!(output.status.success(), "{report}\n{told}");
    let count = |name: &str| report[name].as_u64().unwrap_or_else(|| panic!("no {name}: {report}"));
    assert_eq!((count("cuts"), count("reopened"), count("lost")), (50, 50, 0), "{report}");
    // The drill itself: it worked, was cut at its places, and left the torn files.
    assert!(count("acknowledged") > 50 && count("placed") > 0 && count("torn_snapshots") > 0, "{report}");
}
