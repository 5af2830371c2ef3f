//! What machine a measurement was taken on, as far as the kernel tells.

use std::fmt;
use std::fs::read_to_string;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The machine and its state.
#[derive(Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    cpu: String,
    /// Processors that this process may use.
    pub cores: usize,
    /// Such as `x86_64`.
    architecture: String,
    /// The frequency governor; `unknown` in many virtual machines.
    governor: String,
    /// The first thermal zone, degrees Celsius.
    temperature_c: Option<f64>,
    /// Processes that wanted a processor in the last minute: above the number of cores, times are too long.
    load: f64,
    /// The kernel's release.
    kernel: String,
}

impl Machine {
    /// This one.
    pub fn here() -> Machine {
        let line = |path: &str| read_to_string(path).map(|t| t.trim().to_owned()).ok();
        let cpuinfo = read_to_string("/proc/cpuinfo").unwrap_or_default();
        let named = |key: &str| {
            let line = cpuinfo.lines().find(|l| l.starts_with(key))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let model = || line("/proc/device-tree/model").map(|m| m.trim_end_matches('\0').to_owned());
        Machine {
            cpu: named("model name").or_else(model).unwrap_or_else(|| "unknown".into()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            architecture: std::env::consts::ARCH.into(),
            governor: line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").unwrap_or_else(|| "unknown".into()),
            temperature_c: line("/sys/class/thermal/thermal_zone0/temp")
                .and_then(|t| Some(t.parse::<f64>().ok()? / 1e3)),
            load: line("/proc/loadavg").and_then(|l| l.split(' ').next()?.parse().ok()).unwrap_or(0.0),
            kernel: line("/proc/sys/kernel/osrelease").unwrap_or_default(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} cores, {}, kernel {}", self.cpu, self.cores, self.architecture, self.kernel)?;
        write!(f, ", governor {}, load {:.2}", self.governor, self.load)?;
        self.temperature_c.map_or(Ok(()), |t| write!(f, ", {t:.0} degrees"))
    }
}

/// The most memory this process ever had, megabytes.
pub fn most_memory_mb() -> f64 {
    status_mb("VmHWM:")
}

/// The memory this process has now, megabytes.
pub fn memory_mb() -> f64 {
    status_mb("VmRSS:")
}

fn status_mb(key: &str) -> f64 {
    let status = read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = status.lines().find_map(|l| l.strip_prefix(key)?.trim().split(' ').next()?.parse::<f64>().ok());
    kilobytes.map_or(0.0, |kb| (kb / 102.4).round() / 10.0)
}

/// The processor time that all threads of this process, those that have ended too, have taken so far.
pub fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes into a structure of ours.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    if failed == 0 { Duration::new(time.tv_sec as u64, time.tv_nsec as u32) } else { Duration::ZERO }
}
