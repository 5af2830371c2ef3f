//! Somebody at a keyboard, or a program, who talks to a gate.

use std::time::Duration;

use crate::support::Gate;

/// What came back.
pub struct Answer {
    pub status: u16,
    pub location: String,
    pub cookie: Option<String>,
    pub policy: String,
    pub body: String,
}

/// The gate closed the connection before it answered.
pub const HUNG_UP: u16 = 0;

impl Answer {
    fn nothing(why: &str) -> Answer {
        let none = String::new;
        Answer { status: HUNG_UP, location: none(), cookie: None, policy: none(), body: why.to_owned() }
    }
}

/// Somebody at a keyboard, or a program.
pub struct Attacker {
    pub base: String,
    pub cookie: String,
    pub csrf: String,
    pub token: Option<String>,
}

pub const PASSWORD: &str = "correct horse battery";

impl Attacker {
    pub fn at(gate: &Gate) -> Attacker {
        Attacker { base: format!("http://{}", gate.address), cookie: String::new(), csrf: String::new(), token: None }
    }

    pub fn signed_in(gate: &Gate, name: &str) -> Attacker {
        let mut me = Attacker::at(gate);
        let answer = me.form("/sign-in", &[("name", name), ("password", PASSWORD)]);
        assert_eq!(answer.status, 303, "{}", answer.body);
        me.cookie = answer.cookie.unwrap();
        let page = me.get("/account").body;
        me.csrf = page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        me
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        if !self.cookie.is_empty() {
            request = request.header("Cookie", &self.cookie);
        }
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = match body.is_empty() {
            true => agent.run(request.body(()).unwrap()),
            false => agent.run(request.body(body.to_vec()).unwrap()),
        };
        let mut answer = match sent {
            Ok(answer) => answer,
            // Too much was sent, and the gate hung up in the middle of it.
            Err(error) if body.len() > 64 << 10 => return Answer::nothing(&error.to_string()),
            Err(error) => panic!("{method} {path}: {error}"),
        };
        let header =
            |name: &str| answer.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let (location, policy) = (header("location"), header("content-security-policy"));
        let mut cookies = answer.headers().get_all("set-cookie").iter().filter_map(|v| v.to_str().ok());
        let cookie = cookies.rfind(|c| c.starts_with("plategate=")).map(str::to_owned);
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(64 << 20).read_to_vec().unwrap_or_default();
        Answer { status, location, cookie, policy, body: String::from_utf8_lossy(&body).into_owned() }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    /// A form as one of our own pages sends it.
    pub fn form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.form_from(path, fields, &self.base, &self.csrf)
    }

    pub fn form_from(&self, path: &str, fields: &[(&str, &str)], origin: &str, csrf: &str) -> Answer {
        let encode = |text: &str| text.bytes().map(|b| format!("%{b:02X}")).collect::<String>();
        let token = [("csrf", csrf)];
        let body: Vec<String> = fields.iter().chain(&token).map(|(k, v)| format!("{k}={}", encode(v))).collect();
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        self.send("POST", path, &[kind, ("Origin", origin)], body.join("&").as_bytes())
    }
}
