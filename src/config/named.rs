//! What belongs to the configuration but lies elsewhere: the files that it names; and the secrets that it should not hold.

use std::path::{Path, PathBuf};

use super::Config;
use crate::camera::Source;

/// A file that the configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFile {
    /// The key that names it, such as `camera.password_file`; of a receiver, `webhook.NAME.secret_file`.
    pub key: String,
    /// Where it lies, as the configuration says.
    pub path: PathBuf,
    /// Nobody but the gate may read it.
    pub secret: bool,
}

impl NamedFile {
    /// Where it is to be read: a name without a folder is looked for among systemd's credentials first.
    pub fn place(&self) -> PathBuf {
        place(&self.path)
    }

    /// Where it is put on a box: systemd's credentials come from plategate's folder.
    pub fn installed(&self) -> PathBuf {
        let credential = self.path.parent().is_some_and(|folder| folder.as_os_str().is_empty());
        if credential { Path::new("/etc/plategate").join(&self.path) } else { self.path.clone() }
    }
}

/// See [`NamedFile::place`].
pub fn place(path: &Path) -> PathBuf {
    let credential = std::env::var_os("CREDENTIALS_DIRECTORY").map(|folder| Path::new(&folder).join(path));
    credential.filter(|path| path.exists()).unwrap_or_else(|| path.to_path_buf())
}

impl Config {
    /// Every file with a password, a key or a certificate that the configuration names.
    pub fn named_files(&self) -> Vec<NamedFile> {
        let mut files = Vec::new();
        let mut add = |key: String, path: &Option<PathBuf>, secret| {
            files.extend(path.clone().map(|path| NamedFile { key, path, secret }));
        };
        add("camera.password_file".into(), &self.camera.password_file, true);
        add("web.certificate".into(), &self.web.certificate, false);
        add("web.key".into(), &self.web.key, true);
        add("mqtt.password_file".into(), &self.mqtt.password_file, true);
        add("mqtt.ca_file".into(), &self.mqtt.ca_file, false);
        add("mqtt.command_key_file".into(), &self.mqtt.command_key_file, true);
        for webhook in &self.webhook {
            add(format!("webhook.{}.secret_file", webhook.name), &webhook.secret_file, true);
            add(format!("webhook.{}.ca_file", webhook.name), &webhook.ca_file, false);
        }
        files
    }

    /// The key whose value holds a secret, or may: a camera's password, a receiver's token.
    pub fn secret_inside(&self) -> Option<&'static str> {
        let source = match &self.camera.source {
            Source::Rtsp(text) | Source::GStreamer(text) => text.as_str(),
            _ => "",
        };
        if holds_password(source) {
            return Some("camera.source");
        }
        if self.fleet.servers.iter().any(|server| server.contains('@')) {
            return Some("fleet.servers");
        }
        // Any part of the path may be a token.
        self.webhook.iter().any(|webhook| webhook.url.has_path()).then_some("webhook.url")
    }
}

/// `//user:password@`, and what cameras and pipelines call it: `password=`, `passwd=`, `user-pw=`. Rather once too often.
fn holds_password(source: &str) -> bool {
    let text = source.to_ascii_lowercase();
    let sign_in = text.split("//").skip(1).any(|rest| rest.split_once('@').is_some_and(|(user, _)| user.contains(':')));
    sign_in || ["pass", "pw"].iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        Config::parse(text, Path::new("gate.toml")).unwrap()
    }

    #[test]
    fn the_files_that_are_named_and_those_alone() {
        let config = config(
            "[camera]\npassword_file = \"camera.password\"\n[mqtt]\nbroker = \"mqtt://localhost:1883\"\nca_file = \"/x/ca.pem\"\n\
             [[webhook]]\nname = \"house\"\nurl = \"https://h.example\"\nsecret_file = \"/x/s\"\n",
        );
        let files: Vec<_> = config.named_files().into_iter().map(|f| (f.key, f.secret)).collect();
        let want = [("camera.password_file", true), ("mqtt.ca_file", false), ("webhook.house.secret_file", true)];
        assert_eq!(files, want.map(|(key, secret)| (key.to_owned(), secret)));
        assert_eq!(Config::default().named_files(), []);
    }

    #[test]
    fn secrets_inside_are_seen() {
        for (source, secret) in [
            ("rtsp://gate@10.0.0.5/live", false),
            ("v4l2:/dev/video0", false),
            ("gstreamer:nvarguscamerasrc ! appsink", false),
            ("rtsp://gate:s3cret@10.0.0.5/live", true),
            ("rtsp://gate:a@b/c@10.0.0.5/live", true),
            ("rtsp://10.0.0.5/user=admin_password=x_channel=1.sdp", true),
            ("gstreamer:rtspsrc location=rtsp://h/x user-id=gate user-pw=x ! appsink", true),
        ] {
            let config = config(&format!("[camera]\nsource = {source:?}\n"));
            assert_eq!(config.secret_inside().is_some(), secret, "{source}");
        }
        let webhook = |url: &str| config(&format!("[[webhook]]\nname = \"x\"\nurl = {url:?}\nsecret_env = \"S\"\n"));
        assert_eq!(webhook("https://h.example/hook/t0ken").secret_inside(), Some("webhook.url"));
        assert_eq!(webhook("https://h.example/?key=t0ken").secret_inside(), Some("webhook.url"));
        assert_eq!(webhook("https://h.example/").secret_inside(), None);
    }
}
