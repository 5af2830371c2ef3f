//! The book's pages as a steward, the treasurer, an auditor and a neighbour meet them, over HTTP.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use plategate::accounts::{Accounts, Role};
use plategate::store::Store;
use serde_json::json;

const PASSWORD: &str = "a long enough password";

/// A gate of its own with three people.
struct Gate {
    child: Child,
    address: SocketAddr,
    /// What a program of each may use.
    tokens: HashMap<&'static str, String>,
    _folder: tempfile::TempDir,
}

impl Gate {
    fn start() -> Gate {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut tokens = HashMap::new();
        {
            let accounts = Accounts::open(Arc::new(Store::open(&data).unwrap())).unwrap();
            for (name, role) in [("王芳", Role::Steward), ("赵敏", Role::Treasurer), ("钱审", Role::Auditor)] {
                accounts.add(name, PASSWORD, &[role]).unwrap();
                tokens.insert(name, accounts.tokens.make(name, "test", 1).unwrap().1);
            }
        }
        let mut child = Command::new(env!("CARGO_BIN_EXE_plategate"))
            .args(["run", "--listen", "127.0.0.1:0", "--data"])
            .arg(&data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let address = first.rsplit_once("http://").unwrap().1.parse().unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        Gate { child, address, tokens, _folder: folder }
    }

    fn person(&self, name: &str) -> Person<'_> {
        let mut person = Person { gate: self, cookie: String::new(), csrf: String::new() };
        let answer = person.send("/sign-in", &[("name", name), ("password", PASSWORD)]);
        assert_eq!(answer.status, 303, "{}", answer.text());
        let page = person.get("/book/cash").text();
        person.csrf = page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        person
    }

    /// A program of somebody sends JSON; what comes back, with its status.
    fn program(&self, name: &str, path: &str, body: &serde_json::Value) -> (u16, serde_json::Value) {
        self.bytes(name, path, "application/json", body.to_string().as_bytes())
    }

    fn bytes(&self, name: &str, path: &str, kind: &str, body: &[u8]) -> (u16, serde_json::Value) {
        let request = Person::agent().post(format!("http://{}/api/v1/book/{path}", self.address));
        let bearer = format!("Bearer {}", self.tokens[name]);
        let mut answer = request.header("authorization", bearer).header("content-type", kind).send(body).unwrap();
        let body = answer.body_mut().read_to_vec().unwrap();
        (answer.status().as_u16(), serde_json::from_slice(&body).unwrap_or_default())
    }

    fn guest(&self) -> Person<'_> {
        Person { gate: self, cookie: String::new(), csrf: String::new() }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Somebody with a browser.
struct Person<'a> {
    gate: &'a Gate,
    cookie: String,
    csrf: String,
}

struct Answer {
    status: u16,
    location: String,
    kind: String,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Person<'_> {
    fn agent() -> ureq::Agent {
        ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build().into()
    }

    fn taken(&mut self, mut answer: ureq::http::Response<ureq::Body>) -> Answer {
        let header =
            |name: &str| answer.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let (location, kind, cookie) = (header("location"), header("content-type"), header("set-cookie"));
        if let Some(session) = cookie.split(';').next().filter(|c| c.starts_with("plategate=")) {
            self.cookie = session.to_owned();
        }
        let status = answer.status().as_u16();
        Answer { status, location, kind, body: answer.body_mut().read_to_vec().unwrap() }
    }

    fn get(&mut self, path: &str) -> Answer {
        let request = Person::agent().get(format!("http://{}{path}", self.gate.address)).header("cookie", &self.cookie);
        let answer = request.header("accept", "text/html").call().unwrap();
        self.taken(answer)
    }

    fn post(&mut self, path: &str, kind: &str, body: &[u8]) -> Answer {
        let origin = format!("http://{}", self.gate.address);
        let request = Person::agent().post(format!("{origin}{path}")).header("cookie", &self.cookie);
        let answer = request.header("origin", &origin).header("content-type", kind).send(body).unwrap();
        self.taken(answer)
    }

    /// A form with the session's token.
    fn send(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self.csrf.clone();
        let all = fields.iter().copied().chain([("csrf", csrf.as_str())]);
        let escaped = |text: &str| text.bytes().map(|b| format!("%{b:02X}")).collect::<String>();
        let body: Vec<String> = all.map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        self.post(path, "application/x-www-form-urlencoded", body.join("&").as_bytes())
    }

    /// A form with a photograph.
    fn upload(&mut self, path: &str, fields: &[(&str, &str)], photograph: &[u8]) -> Answer {
        let csrf = self.csrf.clone();
        let mut body = Vec::new();
        for (name, value) in fields.iter().copied().chain([("csrf", csrf.as_str())]) {
            body.extend(format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes());
        }
        let head = "--b\r\ncontent-disposition: form-data; name=\"receipt\"; filename=\"r.jpg\"\r\n\r\n";
        body.extend(head.bytes().chain(photograph.iter().copied()).chain(*b"\r\n--b--\r\n"));
        self.post(path, "multipart/form-data; boundary=b", &body)
    }

    /// A form that is taken; gives the page it leads to.
    fn done(&mut self, path: &str, fields: &[(&str, &str)]) -> String {
        let answer = self.send(path, fields);
        assert_eq!(answer.status, 303, "{path}: {}", answer.text());
        self.get(&answer.location).text()
    }
}

#[test]
fn money_comes_in_goes_out_and_everybody_sees_what_is_theirs_to_see() {
    let gate = Gate::start();
    let (mut wang, mut zhao, mut qian) = (gate.person("王芳"), gate.person("赵敏"), gate.person("钱审"));
    assert_eq!(gate.guest().get("/book").location, "/sign-in");
    assert!(zhao.get("/book").text().contains("还没有记过账"));

    // A car that is not paid, 100 yuan, a car that is paid; sent twice, it is entered once.
    zhao.done("/book/rules/vote", &[("question", "每车100元"), ("yes", "81"), ("no", "4"), ("of", "96")]);
    let rules = [("name", "barrier"), ("title", "众筹道闸"), ("goal", "10000"), ("share", "100")];
    zhao.done("/book/rules/campaign", &rules);
    let car = wang.done("/cars/new", &[("plate", "苏F12345"), ("building", "2"), ("unit", "301"), ("name", "孙丽")]);
    assert!(car.contains("未缴费") && car.contains("/book/take?car="), "{car}");
    let take = [("car", "苏F12345"), ("purpose", "barrier"), ("amount", "100"), ("into", "cash"), ("once", "abc")];
    assert!(wang.done("/book/take", &take).contains("第 3 笔"));
    assert!(wang.done("/book/take", &take).contains("第 3 笔"));
    let car = wang.get("/book/car/%E8%8B%8FF12345").text();
    assert!(car.contains("已缴费") && car.contains("100 / 100"), "{car}");

    // Who may not.
    assert_eq!(qian.send("/book/take", &take).status, 403);
    assert_eq!(qian.get("/book").status, 200);
    let bank = [("car", "苏F12345"), ("purpose", "barrier"), ("amount", "1"), ("into", "bank")];
    assert_eq!(wang.send("/book/take", &bank).status, 403);
    assert_eq!(wang.send("/book/cash/count", &[("held", "cash:王芳"), ("amount", "1")]).status, 403);
    let csrf = std::mem::take(&mut wang.csrf);
    assert_eq!(wang.send("/book/take", &take).status, 403);
    wang.csrf = csrf;
    for (field, value) in [("amount", "1e3"), ("amount", "0"), ("car", "苏F99999"), ("day", "2999-01-01")] {
        let mut wrong = take.to_vec();
        wrong.retain(|(name, _)| *name != field && *name != "once");
        wrong.push((field, value));
        assert_eq!(wang.send("/book/take", &wrong).status, 422, "{field} {value}");
    }

    // Spending with a receipt; script and a plate in the words that neighbours read.
    let photograph = plategate::picture::Picture::filled(400, 300, [220, 220, 220]).to_jpeg(80).unwrap();
    let title = "给苏F12345修灯<script>alert(1)</script>";
    let spend = [("purpose", "upkeep"), ("title", title), ("amount", "30"), ("payee", "张师傅"), ("out_of", "cash")];
    assert_eq!(wang.upload("/book/spend", &spend, b"no picture").status, 422);
    let answer = wang.upload("/book/spend", &spend, &photograph);
    assert_eq!(answer.status, 303, "{}", answer.text());
    let entry = wang.get(&answer.location).text();
    assert!(entry.contains("&#60;script&#62;") && !entry.contains("<script>alert"), "{entry}");
    let receipt = entry.split("src=\"/book/receipts/").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let picture = qian.get(&format!("/book/receipts/{receipt}"));
    assert!(picture.kind == "image/jpeg" && picture.body.starts_with(&[0xff, 0xd8]));
    assert_eq!(gate.guest().get(&format!("/book/receipts/{receipt}")).location, "/sign-in");
    assert_eq!(qian.get("/book/receipts/..%2f..%2fetc%2fpasswd").status, 404);

    // Hand-over: offered, seen by the receiver, confirmed by her alone.
    wang.done("/book/cash/offer", &[("to", "赵敏"), ("amount", "60")]);
    assert_eq!(wang.send("/book/cash/offer", &[("to", "无此人"), ("amount", "1")]).status, 422);
    assert!(zhao.get("/book").text().contains("收到了吗"));
    assert_eq!(wang.send("/book/cash/5/confirm", &[]).status, 422);
    let cash = zhao.done("/book/cash/5/confirm", &[]);
    assert!(
        cash.contains("已确认收到") && cash.contains("<td class=\"number\" data-label=\"金额（元）\">60</td>"),
        "{cash}"
    );
    assert!(zhao.done("/book/cash/count", &[("held", "cash:王芳"), ("amount", "9")]).contains("盘点差额 -1 元"));

    // A mistake put right: her own by the steward, others' by the treasurer only.
    zhao.done("/book/take", &[("household", "2-301"), ("purpose", "barrier"), ("amount", "5")]);
    assert_eq!(wang.send("/book/entries/8/correct", &[("reason", "x")]).status, 403);
    assert!(zhao.done("/book/entries/8/correct", &[("reason", "记错了")]).contains("已被更正"));

    // The month, the files, the board.
    let month = qian.get("/book/statement").text();
    assert!(month.contains("众筹款") && month.contains("盘点短缺"), "{month}");
    assert!(qian.get("/book/statement.xlsx").body.starts_with(b"PK"));
    // A program gets it in pieces, and is told where the next one begins.
    let mut json = |path: &str| serde_json::from_slice::<serde_json::Value>(&qian.get(path).body).unwrap();
    let whole = json("/api/v1/book/statement");
    let rows = whole["rows"].as_array().unwrap();
    assert!(rows.len() > 2 && whole["next"].is_null() && whole["moves"] == rows.len(), "{whole}");
    let (mut pieces, mut after) = (Vec::new(), String::new());
    loop {
        let piece = json(&format!("/api/v1/book/statement?count=2{after}"));
        assert_eq!((&piece["places"], &piece["moves"]), (&whole["places"], &whole["moves"]));
        pieces.extend(piece["rows"].as_array().unwrap().clone());
        let Some(next) = piece["next"].as_u64() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(&pieces, rows);
    assert_eq!(qian.get("/api/v1/book/statement?after=99").status, 422);
    assert_eq!(qian.get("/api/v1/book/statement?count=0").status, 400);
    let (book, fault) = plategate::ledger::export::read_lines(&qian.get("/book/export.jsonl").body);
    assert_eq!((fault, book.entries().len()), (None, 9));
    let api: serde_json::Value = serde_json::from_slice(&qian.get("/api/v1/book").body).unwrap();
    assert_eq!(api["balances"]["cash:赵敏"], 6_000, "{api}");
    let board = gate.guest().get("/board").text();
    assert!(board.contains("已筹 100 元，目标 10000 元") && board.contains("2 号楼: 1 / 1 户"), "{board}");
    for hidden in ["苏F12345", "王芳", "赵敏", "孙丽", "2-301", "张师傅", "<script>alert"] {
        assert!(!board.contains(hidden), "{hidden}");
    }
    assert!(gate.guest().get("/board?lang=en").text().contains("100 yuan raised of 10000"));

    // The household gets another plate: what was paid goes with it, by an entry of the book and a line of the audit log.
    let new = [("plate", "苏F54321"), ("building", "2"), ("unit", "301")];
    assert!(wang.done("/cars/%E8%8B%8FF12345", &new).contains("已缴费"));
    let car = wang.get("/book/car/%E8%8B%8FF54321").text();
    assert!(car.contains("100 / 100") && car.contains("苏F12345 → 苏F54321"), "{car}");
    let log = qian.get("/settings/audit").text();
    assert!(log.contains("换车牌") && log.contains("苏F12345 → 苏F54321 #10"), "{log}");
}

#[test]
fn programs_enter_money_with_the_rights_of_their_people() {
    let gate = Gate::start();
    let (mut wang, mut zhao) = (gate.person("王芳"), gate.person("赵敏"));
    wang.done("/cars/new", &[("plate", "苏F12345"), ("building", "2"), ("unit", "301"), ("name", "孙丽")]);
    let rules = [("name", "barrier"), ("title", "众筹道闸"), ("goal", "10000"), ("share", "100")];
    zhao.done("/book/rules/campaign", &rules);
    zhao.done("/book/rules/tariff", &[("amount", "60"), ("grace_days", "30"), ("from", "2026-01-01")]);
    let entered = |(status, entry): (u16, serde_json::Value)| {
        assert_eq!(status, 201, "{entry}");
        entry["entry"]["number"].as_u64().unwrap()
    };
    let refused = |(status, problem): (u16, serde_json::Value), wanted: u16| {
        assert_eq!(status, wanted, "{problem}");
        assert!(problem["error"].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
    };

    // In: sent twice with one name, entered once.
    let share = json!({"plate": "苏F12345", "campaign": "barrier", "amount": 10_000, "once": "a"});
    let first = entered(gate.program("王芳", "contributions", &share));
    assert_eq!(entered(gate.program("王芳", "contributions", &share)), first);
    let fee = entered(gate.program("赵敏", "fees", &json!({"plate": "苏F12345", "amount": 6_000, "into": "bank"})));
    let gift = json!({"household": "2-302", "campaign": "barrier", "amount": 500});
    let gift = entered(gate.program("王芳", "contributions", &gift));

    // Out: with a receipt that was sent before.
    let photograph = plategate::picture::Picture::filled(400, 300, [220, 220, 220]).to_jpeg(80).unwrap();
    let (status, kept) = gate.bytes("王芳", "receipts", "image/jpeg", &photograph);
    assert_eq!(status, 201, "{kept}");
    refused(gate.bytes("王芳", "receipts", "image/jpeg", b"no picture"), 422);
    let spent = json!({"purpose": "upkeep", "title": "换灯", "amount": 3_000, "receipt": kept["receipt"]});
    entered(gate.program("王芳", "spendings", &spent));
    entered(gate.program("赵敏", "refunds", &json!({"of": fee, "amount": 6_000, "out_of": "bank", "reason": "卖车"})));

    // Handed over: the receiver alone confirms; an offer can be taken back.
    let offer = entered(gate.program("王芳", "offers", &json!({"to": "赵敏", "amount": 7_000})));
    refused(gate.program("王芳", &format!("offers/{offer}/confirm"), &json!({})), 422);
    entered(gate.program("赵敏", &format!("offers/{offer}/confirm"), &json!({})));
    let offer = entered(gate.program("王芳", "offers", &json!({"to": "赵敏", "amount": 100})));
    entered(gate.program("王芳", &format!("offers/{offer}/withdraw"), &json!({})));

    // Who may not, and what cannot be.
    for (who, path, body, status) in [
        ("钱审", "contributions", share.clone(), 403),
        ("钱审", "offers", json!({"to": "赵敏", "amount": 100}), 403),
        (
            "王芳",
            "contributions",
            json!({"household": "2-302", "campaign": "barrier", "amount": 1, "into": "bank"}),
            403,
        ),
        ("王芳", "refunds", json!({"of": gift, "amount": 1, "out_of": "bank", "reason": "x"}), 403),
        ("王芳", "refunds", json!({"of": gift, "amount": 501, "reason": "x"}), 422),
        ("王芳", "contributions", json!({"household": "2-302", "campaign": "barrier", "amount": 0}), 422),
        ("王芳", "contributions", json!({"household": "2-302", "campaign": "barrier", "amount": 0.5}), 422),
        ("王芳", "contributions", json!({"household": "2-302", "campaign": "boat", "amount": 1}), 422),
        ("王芳", "contributions", json!({"plate": "苏F99999", "campaign": "barrier", "amount": 1}), 422),
        ("王芳", "contributions", json!({"plate": "苏F12345", "campaign": "barrier", "amount": 1, "fen": 1}), 422),
        ("王芳", "spendings", json!({"purpose": "holiday", "title": "x", "amount": 1}), 422),
        ("王芳", "spendings", json!({"purpose": "upkeep", "title": "x", "amount": 1, "receipt": "../../x"}), 422),
        ("王芳", "spendings", json!({"purpose": "upkeep", "title": "x", "amount": 9_999_999}), 422),
        ("王芳", "offers", json!({"to": "钱审", "amount": 100}), 422),
    ] {
        refused(gate.program(who, path, &body), status);
    }

    // A browser's session is no token.
    let answer = wang.post("/api/v1/book/contributions", "application/json", share.to_string().as_bytes());
    assert_eq!(answer.status, 403);
    let sums: serde_json::Value = serde_json::from_slice(&wang.get("/api/v1/book").body).unwrap();
    assert_eq!(sums["balances"]["cash:王芳"], 500, "{sums}");
    assert_eq!((&sums["balances"]["cash:赵敏"], &sums["balances"]["bank"]), (&json!(7_000), &json!(0)), "{sums}");
}
