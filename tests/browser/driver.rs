//! Chromium, and somebody who uses it.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;

use crate::access;

/// Chromium's driver; `None` to start it where it is not installed.
pub struct Driver {
    child: Child,
    port: u16,
}

impl Driver {
    pub fn start() -> Option<Driver> {
        let found = |name: &str| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success());
        if !found("chromedriver") || !found("chromium") {
            eprintln!("skipped: no chromium and chromedriver here (scripts/setup test installs them)");
            return None;
        }
        // A port that was free a moment ago.
        let port = std::net::TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let child = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        Some(Driver { child, port })
    }

    pub async fn connect(&self) -> Client {
        self.connect_with(&[], serde_json::json!({})).await
    }

    /// A browser with these arguments and preferences more. It takes a certificate that nobody vouches for, as a steward
    /// does who was asked once.
    pub async fn connect_with(&self, arguments: &[&str], preferences: serde_json::Value) -> Client {
        let usual = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"];
        let arguments: Vec<&str> = usual.iter().chain(arguments).copied().collect();
        let options = serde_json::json!({
            "acceptInsecureCerts": true,
            "goog:chromeOptions": {"args": arguments, "prefs": preferences}
        });
        let capabilities = options.as_object().unwrap().clone();
        // The driver is asked in plain HTTP; the client wants its cryptography named all the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let url = format!("http://127.0.0.1:{}", self.port);
        for _ in 0..100 {
            if let Ok(client) =
                ClientBuilder::new(HttpConnector::new()).capabilities(capabilities.clone()).connect(&url).await
            {
                return client;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the browser did not start");
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A browser on the gate's page.
pub struct Steward {
    pub client: Client,
    pub base: String,
    /// What keeps somebody from using the pages that were looked at.
    faults: Mutex<Vec<String>>,
}

impl Steward {
    pub fn new(client: Client, base: String) -> Steward {
        Steward { client, base, faults: Mutex::default() }
    }

    /// Closes the browser. The pages that were looked at must have no fault.
    pub async fn close(self) {
        self.client.close().await.unwrap();
        let faults = self.faults.into_inner().unwrap();
        assert!(faults.is_empty(), "{faults:#?}");
    }

    pub async fn go(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.base)).await.unwrap();
    }

    /// Signs in as somebody whom the command line let in.
    pub async fn sign_in(&self, name: &str) {
        self.go("/sign-in").await;
        self.fill("main form", &[("name", name), ("password", "correct horse battery")]).await;
        self.press("main form button", "退出").await;
    }

    pub async fn text(&self) -> String {
        // Between two pages there is nothing to read: whoever waits for a text asks again.
        let Ok(body) = self.client.find(Locator::Css("body")).await else { return String::new() };
        body.text().await.unwrap_or_default()
    }

    pub async fn fill(&self, form: &str, fields: &[(&str, &str)]) {
        for (name, value) in fields {
            let field = self.client.find(Locator::Css(&format!("{form} [name={name}]"))).await.unwrap();
            if field.tag_name().await.unwrap() == "select" {
                field.select_by_value(value).await.unwrap();
            } else {
                field.clear().await.unwrap();
                field.send_keys(value).await.unwrap();
            }
        }
    }

    /// Presses the form's own button and waits for what the page says then.
    pub async fn press(&self, button: &str, then: &str) {
        self.client.find(Locator::Css(button)).await.unwrap().click().await.unwrap();
        self.wait_for(then).await;
    }

    pub async fn wait_for(&self, wanted: &str) {
        for _ in 0..200 {
            if self.text().await.contains(wanted) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{wanted:?} did not come: {}", self.text().await);
    }

    /// Nothing sticks out of the page, once it is laid out anew for this window.
    async fn fits(&self, name: &str, kind: &str) {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let wide = self.client.execute("return document.documentElement.scrollWidth - innerWidth", vec![]).await;
        let wide = wide.unwrap().as_f64().unwrap();
        if wide > 0.0 {
            self.faults.lock().unwrap().push(format!("{name}: {wide} px wider than a {kind}"));
        }
    }

    /// The page at both widths; nothing may stick out of it.
    pub async fn look(&self, name: &str) {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        // Nobody has to push a page to and fro, as narrow as 320 px (WCAG 1.4.10).
        self.client.set_window_size(320, 640).await.unwrap();
        self.fits(name, "window of 320 px").await;
        for (width, height, kind) in [(1280, 900, "desk"), (390, 844, "phone")] {
            self.client.set_window_size(width, height).await.unwrap();
            self.fits(name, kind).await;
            let faults = access::faults(&self.client).await;
            self.faults.lock().unwrap().extend(faults.into_iter().map(|fault| format!("{name} on a {kind}: {fault}")));
            let picture = self.client.screenshot().await.unwrap();
            std::fs::write(folder.join(format!("{name}-{kind}.png")), picture).unwrap();
        }
    }
}
