//! The test machine as the host sees it: boots it once, watches its serial ports, hands out what each check came to.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A machine that has not powered off by then hangs.
const PATIENCE: Duration = Duration::from_secs(900);

/// What a run of the machine came to.
pub struct Report {
    /// By the check's name: what it told, or why it failed.
    checks: BTreeMap<String, Result<String, String>>,
    /// Everything the checks printed.
    pub told: String,
    /// What the machine's kernel said.
    pub console: String,
}

impl Report {
    /// Passes if that check did; a check that never came to its end has failed.
    pub fn expect(&self, name: &str) {
        match self.checks.get(name) {
            Some(Ok(told)) => println!("{name}: {told}"),
            Some(Err(why)) => panic!("{name}: {why}\n\nthe machine told:\n{}", self.told),
            None => panic!(
                "{name} did not come to its end\n\nthe machine told:\n{}\n\nits kernel:\n{}",
                self.told, self.console
            ),
        }
    }
}

/// The run that all tests of this file look at; `None` where the machine cannot be had, which is said once.
pub fn report() -> Option<&'static Report> {
    static REPORT: OnceLock<Option<Report>> = OnceLock::new();
    REPORT
        .get_or_init(|| match kernel() {
            Ok(kernel) => Some(run(&kernel, super::job)),
            Err(why) => {
                // Past the test harness, which shows nothing of a test that passes.
                let _ = writeln!(std::io::stderr(), "SKIPPED, no test machine: {why}");
                None
            }
        })
        .as_ref()
}

/// What QEMU boots.
struct Kernel {
    vmlinuz: String,
    initramfs: String,
}

/// The kernel that was made ready, or why there is none.
fn kernel() -> Result<Kernel, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/kernel");
    let output = Command::new(script).arg("--offline").output().map_err(|e| e.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    let told = String::from_utf8_lossy(&output.stdout);
    let (vmlinuz, initramfs) = told.trim().split_once('\n').ok_or("scripts/kernel does not name two files")?;
    Ok(Kernel { vmlinuz: vmlinuz.to_owned(), initramfs: initramfs.to_owned() })
}

/// Boots the machine, lets it do the job and waits until it powers off or is reset.
///
/// `prepare` fills the job's folder, which the machine sees as `/job` and may write into; `/job/run` is what it runs.
fn run(kernel: &Kernel, prepare: fn(&Path)) -> Report {
    let job = tempfile::tempdir().unwrap();
    prepare(job.path());
    let console = job.path().join("console");
    let share = |path: &Path, tag: &str, extra: &str| {
        let path = path.display().to_string().replace(',', ",,");
        format!("local,path={path},mount_tag={tag},security_model=none,multidevs=remap{extra}")
    };
    let mut qemu = Command::new("qemu-system-x86_64")
        // Never KVM: the same machine everywhere, also inside of another one. One processor: several of them, emulated on
        // a busy host, spend most of their time waiting for each other. One without AVX: what computes a network takes the
        // widest instructions there are, and those of AVX2, emulated, take eight times as long as those of SSE4.
        .args(["-accel", "tcg", "-cpu", "Nehalem", "-smp", "1", "-m", "1536"])
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"])
        .arg("-kernel")
        .arg(&kernel.vmlinuz)
        .arg("-initrd")
        .arg(&kernel.initramfs)
        .args(["-append", "console=ttyS0 quiet loglevel=5 panic=-1 mitigations=off"])
        .args(["-serial", &format!("file:{}", console.display().to_string().replace(',', ",,"))])
        .args(["-serial", "stdio"])
        .args(["-virtfs", &share(Path::new("/"), "host", ",readonly=on")])
        .args(["-virtfs", &share(job.path(), "job", "")])
        .args(["-device", "virtio-rng-pci"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("scripts/kernel found qemu-system-x86_64");
    let output = qemu.stdout.take().unwrap();
    let lines = std::thread::spawn(move || listen(BufReader::new(output)));
    let begun = Instant::now();
    while qemu.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            let _ = qemu.kill();
            let _ = qemu.wait();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let told = lines.join().unwrap();
    let console = String::from_utf8_lossy(&std::fs::read(&console).unwrap_or_default()).into_owned();
    Report { checks: told.iter().filter_map(|line| outcome(line)).collect(), told: told.join("\n"), console }
}

/// Everything until the end; what a serial port garbles is no reason to stop.
fn listen(mut from: impl BufRead) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), Vec::new());
    while from.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if std::env::var_os("PLATEGATE_TEST_TALK").is_some() {
            let _ = writeln!(std::io::stderr(), "machine: {text}");
        }
        lines.push(text);
        line.clear();
    }
    lines
}

/// `check NAME: ok WHAT` and `check NAME: failed WHY`, as [`super::checks`] prints them.
fn outcome(line: &str) -> Option<(String, Result<String, String>)> {
    let (name, rest) = line.strip_prefix("check ")?.split_once(": ")?;
    let told = match rest.split_once(' ')? {
        ("ok", what) => Ok(what.to_owned()),
        ("failed", why) => Err(why.to_owned()),
        _ => return None,
    };
    Some((name.to_owned(), told))
}
