//! What became slower or faster since an earlier result?

use std::path::Path;

use anyhow::Context;

use super::Report;

/// A stage whose median grew by more than this has become slower; machines are noisier than less.
const SLOWER: f64 = 1.15;

/// Reads what `bench --json` wrote.
pub fn earlier(path: &Path) -> anyhow::Result<Report> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{}: not a result of bench --json", path.display()))
}

/// Says what changed between two results; did a median grow?
pub fn became_slower(old: &Report, new: &Report) -> bool {
    let mut slower = false;
    for ((name, before), (_, after)) in old.stages.named().into_iter().zip(new.stages.named()) {
        let (Some(before), Some(after)) = (before, after) else { continue };
        let ratio = after.p50_ms / before.p50_ms.max(1e-6);
        let word = match ratio {
            r if r > SLOWER => "slower",
            r if r < 1.0 / SLOWER => "faster",
            _ => "as before",
        };
        eprintln!("{name:10} {:.3} -> {:.3} ms, x{ratio:.2}: {word}", before.p50_ms, after.p50_ms);
        slower |= ratio > SLOWER;
    }
    slower
}
