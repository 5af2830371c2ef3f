//! The attacker's list: what nobody may get at, from outside, from a lesser role, from a foreign page, or by force.

mod attacker;
mod plates;
mod residents;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use attacker::{Answer, Attacker, HUNG_UP, PASSWORD};
use support::Gate;

/// A gate without a camera, with one person of each role.
fn gate(folder: &Path) -> (Gate, String) {
    let data = folder.join("data");
    for role in ["auditor", "treasurer", "maintainer"] {
        support::token(&data, role, role);
    }
    let token = support::token(&data, "steward", "steward");
    let data = data.display().to_string();
    (Gate::start(&["--camera", "folder:/nonexistent", "--data", &data]), token)
}

/// Every path that the sources route, with its parameters filled in, and whether it takes a POST.
fn routes() -> BTreeSet<(String, bool)> {
    fn walk(folder: &Path, out: &mut BTreeSet<(String, bool)>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                for part in text.split(".route(").skip(1) {
                    let Some(route) = part.trim_start().strip_prefix('"').and_then(|p| p.split('"').next()) else {
                        continue;
                    };
                    let call = &part[..part.find("\n        .").unwrap_or(part.len()).min(400)];
                    let filled = route
                        .replace("{id}", "1")
                        .replace("{plate}", "%E8%8B%8FF12345")
                        .replace("{key}", "1-101")
                        .replace("{name}", "steward")
                        .replace("{label}", "x")
                        .replace("{gate}", "north")
                        .replace("{event}", "1")
                        .replace("{offer}", "1")
                        .replace("{number}", "1")
                        .replace("{hash}", "0");
                    out.insert((filled, call.contains("post(")));
                }
            }
        }
    }
    let mut out = BTreeSet::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web"), &mut out);
    out.retain(|(path, _)| path.starts_with('/') && !path.contains('{'));
    assert!(out.len() > 40, "{out:?}");
    out
}

/// For everybody, with what each answers to a stranger.
fn is_public(path: &str) -> bool {
    ["/healthz", "/readyz", "/metrics", "/sign-in", "/setup", "/join"].contains(&path)
        || path.starts_with("/assets/")
        || path.starts_with("/board")
}

#[test]
fn nobody_gets_anywhere_without_a_session() {
    let folder = tempfile::tempdir().unwrap();
    let (gate, token) = gate(folder.path());
    let mut stranger = Attacker::at(&gate);
    for (path, posts) in routes().iter().filter(|(p, _)| !is_public(p)) {
        for cookie in ["", "plategate=AAAAAAAAAAAAAAAAAAAAAA", "plategate=../../etc", "plategate=\u{1}"] {
            if cookie.contains('\u{1}') {
                continue;
            }
            stranger.cookie = cookie.to_owned();
            let answer = stranger.get(path);
            let refused = match path.starts_with("/api/") {
                true => answer.status == 401 && answer.body.contains("sign in"),
                false => answer.status == 303 && answer.location == "/sign-in",
            };
            assert!(refused, "GET {path}: {} {}", answer.status, answer.location);
        }
        if *posts {
            stranger.cookie.clear();
            let answer = stranger.form(path, &[]);
            assert!([303, 401].contains(&answer.status), "POST {path}: {}", answer.status);
        }
    }
    // A token opens the interface and nothing else; a wrong one opens nothing.
    stranger.cookie.clear();
    stranger.token = Some(token.clone());
    assert_eq!((stranger.get("/api/v1/status").status, stranger.get("/cars").status), (200, 303));
    for wrong in ["", "plategate_", &token[..token.len() - 1], "x"] {
        stranger.token = Some(wrong.to_owned());
        assert_eq!(stranger.get("/api/v1/status").status, 401, "{wrong}");
    }
    // A foreign name for the box is refused.
    stranger.token = None;
    assert_eq!(stranger.send("GET", "/sign-in", &[("Host", "evil.example")], b"").status, 421);
    let policy = stranger.get("/sign-in").policy;
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
}

#[test]
fn no_role_does_what_is_another_s_and_no_foreign_page_does_anything() {
    let folder = tempfile::tempdir().unwrap();
    let (gate, token) = gate(folder.path());
    let auditor = Attacker::signed_in(&gate, "auditor");
    let steward = Attacker::signed_in(&gate, "steward");
    let maintainer = Attacker::signed_in(&gate, "maintainer");
    // What everybody may do for themselves.
    let own =
        ["/sign-in", "/join", "/sign-out", "/setup", "/account/password", "/account/second", "/account/second/off"];
    let posts: Vec<String> = routes().into_iter().filter(|(_, posts)| *posts).map(|(path, _)| path).collect();
    let posts: Vec<&String> = posts.iter().filter(|p| !p.starts_with("/api/") && !p.starts_with("/board")).collect();
    assert!(posts.len() > 15, "{posts:?}");
    for path in &posts {
        if !own.contains(&path.as_str()) {
            let answer = auditor.form(path, &[]);
            assert_eq!(answer.status, 403, "an auditor changes nothing: {path} {}", answer.body);
        }
        if ["/sign-in", "/setup", "/join"].contains(&path.as_str()) {
            continue;
        }
        for one in [&steward, &maintainer] {
            for (origin, csrf) in [
                ("https://evil.example", one.csrf.as_str()),
                ("null", &one.csrf),
                (&one.base, ""),
                (&one.base, &steward.csrf[..20]),
                (&one.base, if std::ptr::eq(one, &steward) { &maintainer.csrf } else { &steward.csrf }),
            ] {
                let status = one.form_from(path, &[], origin, csrf).status;
                // A form with a file is none without its parts: it is refused before its token could be looked at.
                assert!([403, 400, 415, 422].contains(&status), "{path} from {origin} with {csrf:?}: {status}");
                assert!(
                    status == 403 || path.contains("import") || path.contains("receipt") || path.starts_with("/book"),
                    "{path}: {status}"
                );
            }
        }
    }
    for path in ["/settings/users", "/settings/access", "/settings/lane", "/settings/audit"] {
        assert_eq!(steward.get(path).status, 403, "{path}");
    }
    for path in ["/cars/new", "/cars/import", "/visitors/new", "/settings/users"] {
        assert_eq!(auditor.get(path).status, 403, "{path}");
    }
    assert_eq!(auditor.get("/settings/audit").status, 200);
    assert_eq!(maintainer.form("/open", &[("reason", "测试")]).status, 403, "a maintainer is no steward");

    // The interface: a session without a token changes nothing, and a token may no more than its user.
    let json = [("Content-Type", "application/json")];
    let own_origin = [("Content-Type", "application/json"), ("Origin", steward.base.as_str())];
    let opening = "{\"reason\": \"x\"}".as_bytes();
    assert_eq!(steward.send("POST", "/api/v1/open", &own_origin, opening).status, 403);
    let mut program = Attacker::at(&gate);
    program.token = Some(token);
    assert_eq!(program.send("POST", "/api/v1/open", &json, opening).status, 200);
    assert_eq!(program.get("/api/v1/audit").status, 403);
}

#[test]
fn script_in_a_text_field_stays_text_and_addresses_lead_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path());
    let steward = Attacker::signed_in(&gate, "steward");
    let evil = "\"><script>alert(1)</script>'<img src=x onerror=alert(2)>";
    let car = [
        ("plate", "苏F12345"),
        ("building", "1"),
        ("unit", "101"),
        ("name", evil),
        ("phone", "<b>1</b>"),
        ("note", evil),
    ];
    assert_eq!(steward.form("/cars/new", &car).status, 422, "a name of that length is refused");
    let short = "\"><script>x</script>'<img src=x>";
    let car: Vec<_> = car.iter().map(|(k, v)| (*k, if *k == "name" { short } else { *v })).collect();
    assert_eq!(steward.form("/cars/new", &car).status, 303);
    let pass = [("plate", "皖A6P42Z"), ("household", "1-101"), ("note", evil)];
    assert_eq!(steward.form("/visitors/new", &pass).status, 303);
    assert_eq!(steward.form("/open", &[("reason", "访客"), ("note", evil)]).status, 303);
    let encoded: String = evil.bytes().map(|b| format!("%{b:02X}")).collect();
    let auditor = Attacker::signed_in(&gate, "auditor");
    for path in [
        "/",
        "/cars",
        "/cars/%E8%8B%8FF12345",
        "/households",
        "/households/1-101",
        "/visitors",
        "/visitors/1",
        "/arrivals",
        "/arrivals/1",
        "/settings/audit",
        "/numbers",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain(
        ["/cars?q=", "/cars/new?plate=", "/arrivals?plate=", "/visitors?code=", "/visitors/new?note="]
            .map(|p| p.to_owned() + &encoded),
    ) {
        for one in [&steward, &auditor] {
            let answer = one.get(&path);
            assert!([200, 403].contains(&answer.status), "{path}: {}", answer.status);
            for part in ["<script>alert", "<script>x", "<img src=x", "<b>1"] {
                assert!(!answer.body.contains(part), "{path} has {part}");
            }
        }
    }
    for trick in [
        "/arrivals/..%2f..%2f..%2fetc%2fpasswd/picture",
        "/arrivals/../../etc/passwd/picture",
        "/arrivals/%2e%2e/picture",
        "/arrivals/1%00/picture",
        "/arrivals/-1/picture",
        "/arrivals/99999999999999999999/picture",
        "/api/v1/events/%2e%2e%2f1/picture",
        "/assets/..%2f..%2fCargo.toml",
        "/assets/../Cargo.toml",
        "/cars/..%2f..%2fetc",
        "/cars/%FF%FE",
        "/households/..%2f..",
    ] {
        let answer = steward.get(trick);
        assert!((400..500).contains(&answer.status), "{trick}: {}", answer.status);
        assert!(!answer.body.contains("root:") && !answer.body.contains("[package]"));
    }
}

#[test]
fn ten_thousand_tries_get_nobody_in_and_keep_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path());
    let steward = Attacker::signed_in(&gate, "steward");
    let begun = Instant::now();
    let tried = std::sync::atomic::AtomicUsize::new(0);
    let (asked, stopped): (usize, usize) = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let (gate, tried) = (&gate, &tried);
                scope.spawn(move || {
                    let me = Attacker::at(gate);
                    let (mut asked, mut stopped) = (0, 0);
                    while tried.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 10_000 {
                        let password = format!("guess {worker} {asked}");
                        match me.form("/sign-in", &[("name", "steward"), ("password", &password)]).status {
                            422 => asked += 1,
                            429 => stopped += 1,
                            other => panic!("{other}"),
                        }
                    }
                    (asked, stopped)
                })
            })
            .collect();
        workers.into_iter().map(|w| w.join().unwrap()).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    });
    // Ten at once, and one every six seconds.
    let allowed = 10 + begun.elapsed().as_secs() / 6 + 1;
    assert!(asked as u64 <= allowed && asked + stopped == 10_000, "{asked} were looked at, {stopped} were stopped");
    // Who is in stays in, and the box lives.
    assert_eq!((steward.get("/cars").status, steward.get("/healthz").status), (200, 200));
}

#[test]
fn what_is_too_large_is_refused_and_what_has_ended_stays_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (gate, token) = gate(folder.path());
    let mut steward = Attacker::signed_in(&gate, "steward");
    let long = "x".repeat(100_000);
    let refused =
        |answer: Answer| assert!([413, HUNG_UP].contains(&answer.status), "{} {}", answer.status, answer.body);
    refused(steward.form("/cars/new", &[("note", &long)]));
    let boundary = "----x";
    let body = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\n{}\r\n--{boundary}--\r\n",
        "y".repeat(6 << 20)
    );
    let kind = format!("multipart/form-data; boundary={boundary}");
    let headers = [("Content-Type", kind.as_str()), ("Origin", steward.base.as_str())];
    refused(steward.send("POST", "/cars/import", &headers, body.as_bytes()));
    let mut program = Attacker::at(&gate);
    program.token = Some(token);
    let json = [("Content-Type", "application/json")];
    let big = format!("{{\"reason\": \"{long}\"}}");
    refused(program.send("POST", "/api/v1/open", &json, big.as_bytes()));
    assert_eq!(steward.get("/cars").status, 200, "and goes on");
    for nonsense in ["", "{", "[]", "null", "{\"reason\": 1}", "{\"reason\": \"x\", \"more\": 1}", "\u{0}\u{1}"] {
        assert_eq!(program.send("POST", "/api/v1/open", &json, nonsense.as_bytes()).status, 422, "{nonsense:?}");
    }

    // The cookie is for this page alone, and for no script.
    let again = Attacker::at(&gate).form("/sign-in", &[("name", "steward"), ("password", PASSWORD)]);
    let cookie = again.cookie.unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    // A new password ends the sessions made before it; signing out ends this one for good.
    let mut other = Attacker::signed_in(&gate, "steward");
    let passwords = [("old", PASSWORD), ("new", "another long password")];
    assert_eq!(steward.form("/account/password", &passwords).status, 303);
    assert_eq!((other.get("/cars").status, steward.get("/cars").status), (303, 200));
    other.csrf = steward.csrf.clone();
    let old = steward.cookie.clone();
    assert_eq!(steward.form("/sign-out", &[]).status, 303);
    steward.cookie = old;
    assert_eq!(steward.get("/cars").status, 303);
}
