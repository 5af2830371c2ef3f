//! The audit log stays for good, and a stranger's plate must not: whatever a steward types or looks for.

use crate::attacker::{Attacker, PASSWORD};
use crate::gate;

/// The lines of the audit log, as a program sees them, newest first: what and about what.
fn lines(auditor: &Attacker) -> Vec<(String, String)> {
    let told: serde_json::Value = serde_json::from_str(&auditor.get("/api/v1/audit?count=200").body).unwrap();
    let text = |line: &serde_json::Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
    told.as_array().unwrap().iter().map(|line| (text(line, "what"), text(line, "about"))).collect()
}

#[test]
fn no_stranger_s_plate_stays_in_the_audit_log() {
    let folder = tempfile::tempdir().unwrap();
    let (gate, token) = gate(folder.path());
    let [steward, maintainer, auditor] = ["steward", "maintainer", "auditor"].map(|n| Attacker::signed_in(&gate, n));
    let car = [("plate", "苏F8K291"), ("building", "2"), ("unit", "301"), ("name", "李明")];
    assert_eq!(steward.form("/cars/new", &car).status, 303);

    // Looked for and taken away as a file.
    let encoded = |text: &str| text.bytes().map(|b| format!("%{b:02X}")).collect::<String>();
    let export = |asked: &str| assert_eq!(steward.get(&format!("/arrivals.csv?{asked}")).status, 200, "{asked}");
    let stranger = format!("plate={}", encoded("皖A6P42Z"));
    export(&stranger);
    export(&format!("{stranger}&day=2026-11-25&outcome=refused"));
    export("plate=6P42");
    export(&format!("plate={}", encoded("苏f·8k291")));
    export("");
    // Typed as a reason, as a name, into a pass, and to be forgotten.
    assert_eq!(steward.form("/open", &[("reason", "访客"), ("note", "皖a 6p42z 送冰箱")]).status, 303);
    let mut program = Attacker::at(&gate);
    program.token = Some(token);
    let reason = r#"{"reason": "visitor 皖A·6P42Z"}"#.as_bytes();
    assert_eq!(program.send("POST", "/api/v1/open", &[("Content-Type", "application/json")], reason).status, 200);
    let wrong = [("name", "皖A6P42Z"), ("password", PASSWORD)];
    assert_eq!(Attacker::at(&gate).form("/sign-in", &wrong).status, 422);
    let pass = [("plate", "皖A6P42Z"), ("household", "2-301"), ("note", "外婆，开皖A6P42Z")];
    assert_eq!(steward.form("/visitors/new", &pass).status, 303);
    assert_eq!(steward.form("/visitors/1/take-back", &[]).status, 303);
    assert_eq!(maintainer.form("/settings/forget", &[("plate", "皖A6P42Z"), ("sure", "on")]).status, 303);

    let log = lines(&auditor);
    let shown = auditor.get("/settings/audit").body;
    for typed in ["6P42", "6p42"] {
        assert!(log.iter().all(|(_, about)| !about.contains(typed)), "{log:?}");
        assert!(!shown.contains(typed), "{shown}");
    }
    // Who looked for whom can be told all the same: a car of the register by its plate, one stranger by one mark.
    let about = |what: &str| log.iter().filter(|(w, _)| w == what).map(|(_, a)| a.as_str()).collect::<Vec<_>>();
    let exported = about("导出来车记录");
    let mark = exported[4];
    assert!(mark.len() == 17 && mark.starts_with('~'), "{exported:?}");
    assert_eq!((exported[0], exported[1]), ("", "苏F8K291"));
    assert!(exported[2].starts_with('~') && exported[2] != mark, "{exported:?}");
    assert_eq!(exported[3], format!("{mark} 2026-11-25 未放行"));
    assert_eq!(about("登记车辆"), ["苏F8K291"]);
    assert!(about("手动开闸").iter().all(|reason| reason.contains("［车牌］")), "{log:?}");
}
