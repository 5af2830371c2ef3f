//! A resident who wants more than is theirs: other pages, the interface, other households' passes, more passes.

use std::path::Path;

use crate::attacker::{Attacker, PASSWORD};
use crate::support::Gate;
use crate::{gate, routes};

/// A gate with two households, each with a resident who joined by an invitation.
struct Compound {
    gate: Gate,
    steward: Attacker,
}

impl Compound {
    fn new(folder: &Path) -> Compound {
        let (gate, _) = gate(folder);
        let steward = Attacker::signed_in(&gate, "steward");
        for (plate, unit, name) in [("苏F12345", "301", "孙丽"), ("苏F8K291", "302", "李明")] {
            let car = [("plate", plate), ("building", "2"), ("unit", unit), ("name", name)];
            assert_eq!(steward.form("/cars/new", &car).status, 303);
        }
        Compound { gate, steward }
    }

    /// An invitation's code, as the steward sees it once.
    fn invite(&self, household: &str) -> String {
        let page = self.steward.form(&format!("/households/{household}/invite"), &[]);
        assert_eq!(page.status, 200, "{}", page.body);
        let code = page.body.split("id=\"invitation\">").nth(1).unwrap().split('<').next().unwrap();
        code.to_owned()
    }

    /// Joins with a code; the session that comes of it.
    fn join(&self, code: &str, name: &str) -> Attacker {
        let mut me = Attacker::at(&self.gate);
        let answer = me.form("/join", &[("code", code), ("name", name), ("password", PASSWORD)]);
        assert_eq!((answer.status, answer.location.as_str()), (303, "/home"), "{}", answer.body);
        me.cookie = answer.cookie.unwrap();
        me.csrf = csrf(&me);
        me
    }
}

fn csrf(me: &Attacker) -> String {
    let page = me.get("/account").body;
    page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

const PASS: [(&str, &str); 2] = [("plate", "皖A6P42Z"), ("entries", "2")];

#[test]
fn a_resident_reaches_nothing_but_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let compound = Compound::new(folder.path());
    let sun = compound.join(&compound.invite("2-301"), "sun");
    let own = |path: &str| {
        ["/", "/home", "/account", "/sign-out", "/sign-in", "/setup", "/join"].contains(&path)
            || ["/home/", "/account/", "/assets/", "/board"].iter().any(|prefix| path.starts_with(prefix))
            || ["/healthz", "/readyz", "/metrics"].contains(&path)
    };
    let mut refused = 0;
    for (path, posts) in routes().iter().filter(|(path, _)| !own(path)) {
        let answer = sun.get(path);
        assert_eq!(answer.status, 403, "GET {path}");
        for hidden in ["苏F8K291", "李明", "2-302", "steward"] {
            assert!(!answer.body.contains(hidden), "GET {path} shows {hidden}");
        }
        if *posts {
            assert_eq!(sun.form(path, &[]).status, 403, "POST {path}");
        }
        let json = [("Content-Type", "application/json"), ("Origin", sun.base.as_str())];
        for method in ["PUT", "DELETE", "PATCH"] {
            assert_eq!(sun.send(method, path, &json, b"{}").status, 403, "{method} {path}");
        }
        refused += 1;
    }
    assert!(refused > 50, "{refused}");
    // Ways around the wall.
    for path in
        ["/home/../cars", "/home/%2e%2e/cars", "/home//cars", "/account/../api/v1/vehicles", "//cars", "/HOME/../cars"]
    {
        let answer = sun.get(path);
        assert!([403, 404].contains(&answer.status) && !answer.body.contains("苏F8K291"), "{path}: {}", answer.status);
    }
    // The first page is the stewards'; a resident is led home, where only their own car stands.
    assert_eq!(sun.get("/").location, "/home");
    let home = sun.get("/home").body;
    assert!(home.contains("苏F12345") && home.contains("未缴费"), "{home}");
    assert!(!home.contains("苏F8K291") && !home.contains("李明"), "{home}");
    // Nor do stewards' pages open to a resident's page: each role has its own.
    assert_eq!(compound.steward.get("/home").status, 403);
    assert_eq!(compound.steward.form("/home/passes/new", &PASS).status, 403);
}

#[test]
fn a_resident_s_passes_are_their_household_s_and_limited() {
    let folder = tempfile::tempdir().unwrap();
    let compound = Compound::new(folder.path());
    let (sun, li) = (compound.join(&compound.invite("2-301"), "sun"), compound.join(&compound.invite("2-302"), "li"));
    // Whatever household is sent, the pass is for their own.
    let foreign: Vec<_> = PASS.iter().copied().chain([("household", "2-302")]).collect();
    let given = sun.form("/home/passes/new", &foreign);
    assert_eq!((given.status, given.location.as_str()), (303, "/home/passes/1"), "{}", given.body);
    assert!(compound.steward.get("/visitors/1").body.contains("2-301"));
    assert!(sun.get("/home").body.contains("皖A6P42Z") && sun.get("/home/passes/1").status == 200);

    // Another household's pass is as if it were not there, and stays.
    assert_eq!(li.get("/home/passes/1").status, 404);
    assert_eq!(li.form("/home/passes/1/take-back", &[]).status, 404);
    assert!(!li.get("/home").body.contains("皖A6P42Z"));
    assert_eq!(compound.steward.get("/visitors/1").status, 200);

    // What cannot be: a registered car, no end of entries, too long, too far ahead, a foreign page, no token.
    for wrong in [
        &[("plate", "苏F8K291"), ("entries", "1")][..],
        &[("plate", "苏F12345"), ("entries", "1")],
        &[("plate", "皖A6P42Z"), ("entries", "")],
        &[("plate", "皖A6P42Z"), ("entries", "999")],
        &[("plate", "皖A6P42Z"), ("entries", "1"), ("to", "2999-01-01T00:00")],
        &[("plate", "皖A6P42Z"), ("entries", "1"), ("from", "2999-01-01T00:00"), ("to", "2999-01-01T01:00")],
        &[("plate", "no plate"), ("entries", "1")],
    ] {
        assert_eq!(sun.form("/home/passes/new", wrong).status, 422, "{wrong:?}");
    }
    assert_eq!(sun.form_from("/home/passes/new", &PASS, "https://evil.example", &sun.csrf).status, 403);
    assert_eq!(sun.form_from("/home/passes/new", &PASS, &sun.base, &li.csrf).status, 403);
    assert_eq!(sun.form_from("/home/passes/1/take-back", &[], &sun.base, "").status, 403);

    // Five at a time, counted for both residents of a household together.
    let brother = compound.join(&compound.invite("2-301"), "brother");
    for n in 2..=5 {
        let plate = format!("皖A6P4{n}Z");
        let giver = if n % 2 == 0 { &sun } else { &brother };
        assert_eq!(giver.form("/home/passes/new", &[("plate", &plate), ("entries", "1")]).status, 303, "{n}");
    }
    for giver in [&sun, &brother] {
        assert_eq!(giver.form("/home/passes/new", &PASS).status, 422, "a sixth one");
    }
    assert!(sun.get("/home").body.contains("现在不能再发"));
    assert_eq!(brother.form("/home/passes/1/take-back", &[]).status, 303, "one of the same household may");
    assert_eq!(sun.form("/home/passes/new", &PASS).status, 303);
    assert_eq!(li.form("/home/passes/new", &PASS).status, 303, "another household has passes of its own");
}

#[test]
fn an_invitation_serves_once_and_a_resident_can_be_kept_out() {
    let folder = tempfile::tempdir().unwrap();
    let compound = Compound::new(folder.path());
    let stranger = Attacker::at(&compound.gate);
    let join = |code: &str, name: &str, password: &str| {
        stranger.form("/join", &[("code", code), ("name", name), ("password", password)]).status
    };
    let code = compound.invite("2-301");
    assert_eq!(stranger.get(&format!("/join?code={code}")).status, 200);
    assert_eq!(join("aaaa-bbbb-cccc-dddd", "eve", PASSWORD), 422);
    assert_eq!(join(&code, "steward", PASSWORD), 422, "a name that is taken");
    assert_eq!(join(&code, "sun", "short"), 422);
    let sun = compound.join(&code, "sun");
    assert_eq!(join(&code, "eve", PASSWORD), 422, "used");
    let other = compound.invite("2-301");
    let id = compound.steward.get("/households/2-301").body;
    let id = id.split("/invitations/").nth(1).unwrap().split('/').next().unwrap().to_owned();
    assert_eq!(compound.steward.form(&format!("/households/2-302/invitations/{id}/revoke"), &[]).status, 404);
    assert_eq!(compound.steward.form(&format!("/households/2-301/invitations/{id}/revoke"), &[]).status, 303);
    assert_eq!(join(&other, "eve", PASSWORD), 422, "taken back");
    assert_eq!(compound.steward.form("/households/9-999/invite", &[]).status, 404, "no such household");

    // A steward has no hold on those who run the gate by way of a household, nor has a maintainer on a resident's role.
    let maintainer = Attacker::signed_in(&compound.gate, "maintainer");
    assert_eq!(compound.steward.form("/households/2-301/residents/maintainer/password", &[]).status, 404);
    assert_eq!(compound.steward.form("/households/2-301/residents/maintainer", &[("disabled", "on")]).status, 404);
    assert_eq!(maintainer.form("/settings/users/sun", &[("roles", "steward")]).status, 422);
    assert_eq!(maintainer.form("/settings/users/steward", &[("roles", "resident")]).status, 422);
    assert_eq!(maintainer.form("/settings/users", &[("name", "eve"), ("roles", "resident")]).status, 422);
    let token = [("label", "x"), ("user", "sun"), ("days", "1")];
    assert_eq!(maintainer.form("/settings/access", &token).status, 404, "no token acts for a resident");
    assert_eq!(compound.steward.form("/book/cash/offer", &[("to", "sun"), ("amount", "1")]).status, 422);

    // Kept out, the session ends; let in again, the old session stays ended.
    assert_eq!(sun.get("/home").status, 200);
    assert_eq!(compound.steward.form("/households/2-301/residents/sun", &[("disabled", "on")]).status, 303);
    assert_eq!((sun.get("/home").status, sun.get("/home").location.as_str()), (303, "/sign-in"));
    assert_eq!(compound.steward.form("/households/2-301/residents/sun", &[]).status, 303);
    assert_eq!(sun.get("/home").status, 303);
    let again = Attacker::signed_in(&compound.gate, "sun");
    assert_eq!(again.get("/home").status, 200);
    let seen = maintainer.get("/settings/audit").body;
    assert!(seen.contains("邀请住户") && seen.contains("住户加入") && seen.contains("邀请码错误"), "{seen}");
}
