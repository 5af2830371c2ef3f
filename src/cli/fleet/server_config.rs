//! `plategate fleet server-config`: what a broker is started with, a compound's or a street's.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{identity, members, name};
use crate::cli::{Usage, print_bytes};
use crate::fleet::identity::is_here;
use crate::fleet::join::Roster;
use crate::fleet::server::{self, Settings};
use crate::fleet::street;
use crate::store::{StoreError, write_whole};

/// Write the broker's configuration.
#[derive(clap::Args)]
pub struct ServerConfig {
    /// Where to write it; it is printed if no file is given.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Address and port that the broker listens on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4222")]
    listen: String,
    /// The broker's certificate, PEM.
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// Its key, PEM.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Where the broker keeps its streams.
    #[arg(long, value_name = "FOLDER", default_value = "/var/lib/nats/jetstream")]
    store: PathBuf,
    /// How much it may keep, such as 8GB or 500MB.
    #[arg(long, value_name = "SIZE", default_value = "8GB", value_parser = size)]
    most: String,
    /// The broker's file with its process number: it is told by a signal when its configuration has changed.
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// The street's broker with this compound's name and password: tls://NAME:PASSWORD@HOST:7422.
    #[arg(long, value_name = "URL", conflicts_with = "street")]
    leads_to: Option<String>,
    /// The certificate of the authority that signed the street's broker's, PEM, as a file of the compound's broker; the system's
    /// authorities if it is not given.
    #[arg(long, value_name = "FILE", requires = "leads_to")]
    leads_to_ca: Option<PathBuf>,
    /// Instead of this compound's: the broker of a street, above those of these compounds, each as NAME:PASSWORD.
    #[arg(long, value_name = "NAME:PASSWORD", num_args = 1.., requires = "office")]
    street: Vec<String>,
    /// With --street: the office's public key, which `plategate fleet street found` prints.
    #[arg(long, value_name = "KEY")]
    office: Option<String>,
    /// With --street: address and port for the compounds' brokers.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:7422")]
    leaves: String,
}

/// A size as the broker reads it.
fn size(text: &str) -> Result<String, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let good = digits.parse::<u32>().is_ok_and(|n| n > 0) && ["KB", "MB", "GB", "TB"].contains(&&text[digits.len()..]);
    if good { Ok(text.to_owned()) } else { Err("a number with KB, MB, GB or TB is expected, such as 8GB".to_owned()) }
}

/// Writes the broker's configuration.
pub fn run(args: &ServerConfig, data: &Path) -> anyhow::Result<ExitCode> {
    if !args.street.is_empty() {
        return of_street(args);
    }
    let (identity, mut roster) = (identity(data)?, Roster::load(data)?);
    anyhow::ensure!(identity.is_founder(), "only the box that founded the fleet knows all others: do it there");
    let settings = Settings {
        file: args.file.clone().unwrap_or_default(),
        listen: args.listen.clone(),
        certificate: args.certificate_for(&[&args.listen])?,
        store: args.store.clone(),
        most: args.most.clone(),
        pid_file: args.pid_file.clone(),
        street: args.leads_to.clone(),
        street_authority: args.leads_to_ca.clone(),
    };
    if let Some(url) = &args.leads_to {
        leads_in_secret(url)?;
    }
    if args.file.is_none() {
        return print_bytes(server::config(&identity.compound, &roster, &settings).as_bytes());
    }
    roster.server = Some(settings);
    roster.save(data)?;
    members::tell_broker(&identity, &roster)?;
    Ok(ExitCode::SUCCESS)
}

/// A street's broker is spoken to with TLS, or is on this machine: the password goes over that line.
fn leads_in_secret(url: &str) -> Result<(), Usage> {
    let host = url.rsplit_once('@').map_or(url, |(_, host)| host);
    match url.starts_with("tls://") || is_here(host) {
        true => Ok(()),
        false => Err(Usage("a street's broker beyond this machine is spoken to with TLS only: tls://".into())),
    }
}

fn of_street(args: &ServerConfig) -> anyhow::Result<ExitCode> {
    let mut compounds = Vec::new();
    for text in &args.street {
        let (compound, password) =
            text.split_once(':').ok_or_else(|| Usage("--street: NAME:PASSWORD is expected".into()))?;
        if password.chars().count() < 16 {
            return Err(Usage(format!("the password of {compound} is shorter than 16 characters")).into());
        }
        if compound == street::OFFICE {
            return Err(Usage(format!("no compound can have the name {compound}: it is the office's")).into());
        }
        compounds.push((name("compound", compound)?, password.to_owned()));
    }
    let office = args.office.clone().unwrap_or_default();
    if !office.starts_with('U') || nkeys::KeyPair::from_public_key(&office).is_err() {
        return Err(Usage("--office: the key that 'plategate fleet street found' prints is expected".into()).into());
    }
    let text = street::config::config(&street::config::Settings {
        listen: args.listen.clone(),
        leaves: args.leaves.clone(),
        certificate: args.certificate_for(&[&args.listen, &args.leaves])?,
        store: args.store.clone(),
        most: args.most.clone(),
        office,
        compounds,
    });
    match &args.file {
        Some(file) => write_closed_to_others(file, text.as_bytes())?,
        None => return print_bytes(text.as_bytes()),
    }
    Ok(ExitCode::SUCCESS)
}

/// For this user and the broker's group.
fn write_closed_to_others(file: &Path, text: &[u8]) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt;
    write_whole(file, text)?;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o640))
        .map_err(|error| StoreError::disk(file, error))
}

impl ServerConfig {
    /// The certificate, which must be there where it listens beyond this machine.
    fn certificate_for(&self, listens: &[&str]) -> Result<Option<(PathBuf, PathBuf)>, Usage> {
        let certificate = self.certificate.clone().zip(self.key.clone());
        match certificate.is_none() && !listens.iter().all(|address| is_here(address)) {
            true => Err(Usage("a broker beyond this machine needs TLS: --certificate and --key".into())),
            false => Ok(certificate),
        }
    }
}
