//! Writes good input for every target into `corpus/`, where `cargo fuzz run` begins: `cargo run --example seeds`.

use std::path::Path;

fn main() -> std::io::Result<()> {
    for target in plategate::fuzzing::TARGETS {
        let folder = Path::new("corpus").join(target.name);
        std::fs::create_dir_all(&folder)?;
        for (n, seed) in target.seeds_for_coverage().iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{n}")), seed)?;
        }
    }
    Ok(())
}
