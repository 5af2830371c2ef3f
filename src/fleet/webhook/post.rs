//! One signed request, and what its answer means.

use std::sync::Arc;
use std::time::Duration;

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::secrets;
use crate::config::Webhook;
use crate::fleet::secret::Secrets;
use crate::text::one_line;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has it (2xx).
    Taken,
    /// It will never take this one event, however often it is sent.
    Unacceptable(String),
    /// There is no receiver any more (410).
    Gone,
    /// Again later; not before the time that it asked for.
    Later {
        /// What it, or the network, said.
        why: String,
        /// How long it wants to be left alone.
        after: Option<Duration>,
    },
}

/// One request.
pub struct Post<'a> {
    /// The event's id, the same in every try.
    pub id: &'a str,
    /// What the event is: `opened`, `test`.
    pub event: &'a str,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// The message.
    pub body: &'a str,
}

/// `t=SECONDS,v1=HEX`, with a `v1` for each secret: the HMAC-SHA256 of `SECONDS.BODY`.
pub fn signature(secrets: &Secrets, at: i64, body: &str) -> String {
    let signed = format!("{at}.{body}");
    let all: Vec<String> = secrets.sign(signed.as_bytes()).into_iter().map(|hex| format!("v1={hex}")).collect();
    format!("t={at},{}", all.join(","))
}

/// A receiver that asks to be left alone is left alone no longer than this.
const LONGEST_REST: Duration = Duration::from_secs(3600);

/// Speaks to one receiver.
pub(super) struct Sender {
    agent: ureq::Agent,
    settings: Webhook,
}

impl Sender {
    /// The error is one line and says what to do.
    pub(super) fn new(settings: Webhook) -> Result<Sender, String> {
        let mut tls =
            TlsConfig::builder().unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
        if let Some(file) = &settings.ca_file {
            let pem = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
            let known: Vec<Certificate<'static>> = parse_pem(&pem)
                .filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                })
                .collect();
            if known.is_empty() {
                return Err(format!("{}: no certificate (PEM) is in it", file.display()));
            }
            tls = tls.root_certs(RootCerts::new_with_certs(&known));
        }
        let timeout = Duration::from_secs(settings.timeout_s);
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // A signed message goes where it was meant to go, or nowhere.
            .max_redirects(0)
            .max_redirects_will_error(false)
            // Each in a connection of its own: an old one may be dead without anybody knowing.
            .max_idle_connections(0)
            .user_agent(concat!("plategate/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(timeout.min(Duration::from_secs(5))))
            .timeout_global(Some(timeout))
            .tls_config(tls.build())
            .build()
            .into();
        Ok(Sender { agent, settings })
    }

    /// Sends it, and waits for the answer as long as `timeout_s`. The secret is read anew each time: it may have been exchanged.
    pub(super) fn send(&self, post: &Post) -> Answer {
        let later = |why: String| Answer::Later { why, after: None };
        let secrets = match secrets(&self.settings) {
            Ok(secrets) => secrets,
            Err(error) => return later(error.to_string()),
        };
        let now = jiff::Timestamp::now().as_second();
        let sent = self
            .agent
            .post(self.settings.url.whole())
            .header("Content-Type", "application/json; charset=utf-8")
            .header("Plategate-Id", post.id)
            .header("Plategate-Event", post.event)
            .header("Plategate-Attempt", post.attempt.to_string())
            .header("Plategate-Signature", signature(&secrets, now, post.body))
            .send(post.body);
        match sent {
            Ok(answer) => {
                let rest = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
                judge(answer.status().as_u16(), rest)
            }
            Err(error) => later(one_line(&error.to_string())),
        }
    }
}

fn judge(status: u16, retry_after: Option<&str>) -> Answer {
    let after = retry_after
        .and_then(|seconds| seconds.trim().parse().ok())
        .map(|seconds| Duration::from_secs(seconds).min(LONGEST_REST));
    let why = |what: &str| format!("it answered {status}: {what}");
    match status {
        200..=299 => Answer::Taken,
        410 => Answer::Gone,
        400 | 413 | 415 | 422 => Answer::Unacceptable(why("it does not want this event")),
        300..=399 => Answer::Later { why: why("it has moved: put the new address into webhook.url"), after },
        401 | 403 => Answer::Later { why: why("is the secret the same on both sides?"), after },
        404 | 405 => Answer::Later { why: why("is webhook.url right?"), after },
        _ => Answer::Later { why: format!("it answered {status}"), after },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_mean_what_they_say() {
        assert_eq!(
            (judge(200, None), judge(204, None), judge(410, None)),
            (Answer::Taken, Answer::Taken, Answer::Gone)
        );
        for status in [400, 422] {
            assert!(matches!(judge(status, None), Answer::Unacceptable(_)), "{status}");
        }
        for (status, part) in [(302, "webhook.url"), (401, "secret"), (404, "webhook.url"), (500, "500"), (101, "101")]
        {
            let Answer::Later { why, after: None } = judge(status, None) else { panic!("{status}") };
            assert!(why.contains(part), "{why}");
        }
        let rest = |text| match judge(429, Some(text)) {
            Answer::Later { after, .. } => after,
            other => panic!("{other:?}"),
        };
        assert_eq!(rest("7"), Some(Duration::from_secs(7)));
        assert_eq!(rest("99999999"), Some(LONGEST_REST));
        assert_eq!(rest("Wed, 21 Oct 2026 07:28:00 GMT"), None);
    }

    #[test]
    fn a_signature_is_what_the_guide_says() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "0123456789abcdef0123456789abcdef\n").unwrap();
        let secrets = Secrets::of_file(&file).unwrap();
        let made = signature(&secrets, 1_764_158_400, r#"{"event":"test"}"#);
        let want = "t=1764158400,v1=f534294331aa22603685cd9bf10e737ea2d1dc3ad4e2c09c20b82dae73190c52";
        assert_eq!(made, want);
    }

    #[test]
    fn nobody_there_and_no_certificate_are_told_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "0123456789abcdef").unwrap();
        // Bound and let go again: nobody listens there.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let text = format!(
            "[[webhook]]\nname = \"x\"\nurl = \"http://127.0.0.1:{port}/secret-path\"\nsecret_file = {file:?}\n"
        );
        let config = crate::config::Config::parse(&text, std::path::Path::new("x")).unwrap();
        let settings = config.webhook[0].clone();
        let post = Post { id: "evt_1", event: "test", attempt: 1, body: "{}" };
        let Answer::Later { why, .. } = Sender::new(settings.clone()).unwrap().send(&post) else { panic!() };
        assert!(!why.is_empty() && !why.contains('\n') && !why.contains("secret-path"), "{why}");
        let with = |ca: &std::path::Path| Webhook { ca_file: Some(ca.to_owned()), ..settings.clone() };
        assert!(Sender::new(with(&file)).err().unwrap().contains("no certificate"));
        std::fs::remove_file(&file).unwrap();
        assert!(Sender::new(with(&file)).err().unwrap().contains("secret"));
        let Answer::Later { why, .. } = Sender::new(settings).unwrap().send(&post) else { panic!() };
        assert!(why.contains("openssl"), "{why}");
    }
}
