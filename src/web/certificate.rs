//! The page's certificate: one that the operator gives, or one made at the first start and kept in the data folder.

use std::io::Write;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use axum_server::tls_rustls::RustlsConfig;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};

use crate::config;

/// Loads the configured certificate, or the one in the data folder, which is made if it is not there.
pub async fn load(settings: &config::Web, data: &Path) -> anyhow::Result<RustlsConfig> {
    // A second call, in a test, finds one there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (certificate, key) = match (&settings.certificate, &settings.key) {
        (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
        _ => own(settings, data)?,
    };
    RustlsConfig::from_pem_file(&certificate, &key)
        .await
        .with_context(|| format!("the page's certificate {} with the key {}", certificate.display(), key.display()))
}

/// The box's own certificate, made if it is not there yet.
fn own(settings: &config::Web, data: &Path) -> anyhow::Result<(PathBuf, PathBuf)> {
    let folder = data.join("tls");
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    if certificate.exists() && key.exists() {
        return Ok((certificate, key));
    }
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let (certificate_pem, key_pem) = make(&names(settings)).context("the page's certificate could not be made")?;
    // The key first: a certificate without its key would not be made anew.
    write_private(&key, &key_pem).with_context(|| key.display().to_string())?;
    write_private(&certificate, &certificate_pem).with_context(|| certificate.display().to_string())?;
    tracing::info!(certificate = %certificate.display(), "made a certificate for the page");
    Ok((certificate, key))
}

/// Every name and address that a browser of the compound may call the box by.
fn names(settings: &config::Web) -> Vec<String> {
    let mut names: Vec<String> = vec!["localhost".into(), "plategate.local".into(), "127.0.0.1".into()];
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if !machine.is_empty() && machine.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        names.push(format!("{machine}.local"));
        names.push(machine);
    }
    names.extend(settings.names.iter().cloned());
    let address = settings.listen.ip();
    let outward = if address.is_unspecified() { outward_address() } else { Some(address) };
    names.extend(outward.map(|a| a.to_string()));
    names.sort();
    names.dedup();
    names
}

/// The address that this machine has on its network; nothing is sent.
fn outward_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // An address of the documentation range (RFC 5737): only the route to it is looked up.
    socket.connect(SocketAddr::from(([192, 0, 2, 1], 9))).ok()?;
    socket.local_addr().ok().map(|a| a.ip())
}

/// A certificate that signs itself, and its key, as PEM.
fn make(names: &[String]) -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "plategate");
    params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
    let now = jiff::Zoned::now().date();
    // A clock that was wrong at the first start must not make it useless; telephones refuse more than 825 days.
    let (from, until) = (now - jiff::Span::new().days(30), now + jiff::Span::new().days(790));
    let day = |d: jiff::civil::Date| rcgen::date_time_ymd(d.year().into(), d.month() as u8, d.day() as u8);
    (params.not_before, params.not_after) = (day(from), day(until));
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

/// Writes a file that only its owner may read.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_certificate_is_made_once_and_its_key_is_for_the_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let settings = config::Web { names: vec!["gate.example.org".into()], ..config::Web::default() };
        load(&settings, folder.path()).await.unwrap();
        let key = folder.path().join("tls/key.pem");
        let first = std::fs::read(&key).unwrap();
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        load(&settings, folder.path()).await.unwrap();
        assert_eq!(std::fs::read(&key).unwrap(), first);
        let missing = config::Web { certificate: Some("/no/c.pem".into()), key: Some("/no/k.pem".into()), ..settings };
        let error = format!("{:#}", load(&missing, folder.path()).await.err().unwrap());
        assert!(error.contains("/no/c.pem"), "{error}");
    }
}
