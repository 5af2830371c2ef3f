//! This program once more, beside itself: a library is loaded once a process, and memory and cold start are a process's own.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Context;
use serde::de::DeserializeOwned;

/// One of its commands, under the same configuration.
pub fn command(name: &str) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("this program's own file")?);
    if let Some(path) = configuration(std::env::args_os()) {
        command.arg("--config").arg(path);
    }
    command.arg(name);
    Ok(command)
}

/// The configuration that this process was called with.
fn configuration(arguments: impl Iterator<Item = OsString>) -> Option<OsString> {
    let mut arguments = arguments.skip(1);
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        if text == "--config" || text == "-c" {
            return arguments.next();
        }
        if let Some(path) = text.strip_prefix("--config=").or_else(|| text.strip_prefix("-c")) {
            return Some(path.into());
        }
    }
    None
}

/// Runs it and reads the one JSON object that it prints; what it says otherwise is the error.
pub fn result<T: DeserializeOwned>(command: &mut Command) -> anyhow::Result<T> {
    let output = command.output().with_context(|| format!("{}", command.get_program().display()))?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        let line = told.lines().last().unwrap_or("it said nothing").trim_start_matches("plategate: ").to_owned();
        anyhow::bail!("{line}");
    }
    serde_json::from_slice(&output.stdout).context("no JSON came back")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_found_however_it_is_written() {
        let found = |line: &str| configuration(line.split(' ').map(OsString::from));
        for line in
            ["plategate --config a.toml bench", "plategate bench -c a.toml", "plategate bench --config=a.toml -x"]
        {
            assert_eq!(found(line), Some("a.toml".into()), "{line}");
        }
        assert_eq!(found("plategate bench --compare b"), None);
    }
}
