//! On which cores this thread runs, and how urgently. What the system refuses is a warning that says what to do: the gate
//! works without it, only less evenly.

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

use crate::config::Runtime;

/// Keeps the calling thread to its cores and gives it its priority; every refusal is a line of the answer.
pub fn settle(settings: &Runtime) -> Vec<String> {
    let mut refused = Vec::new();
    if !settings.cores.is_empty()
        && let Err(error) = keep_to(&settings.cores)
    {
        refused.push(format!(
            "runtime.cores = {:?} was refused ({error}): name cores that this machine has and that the service may use \
             (`nproc`, AllowedCPUs= in the unit)",
            settings.cores
        ));
    }
    if settings.realtime_priority > 0
        && let Err(error) = hurry(settings.realtime_priority)
    {
        refused.push(format!(
            "runtime.realtime_priority = {} was refused ({error}): put LimitRTPRIO={} into the unit, or run it with CAP_SYS_NICE",
            settings.realtime_priority, settings.realtime_priority
        ));
    }
    refused
}

fn keep_to(cores: &[usize]) -> std::io::Result<()> {
    // SAFETY: an all-zero set is an empty one; CPU_SET stays within it, because the configuration refuses larger numbers;
    // the kernel only reads it.
    let failed = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        for &core in cores.iter().filter(|core| **core < libc::CPU_SETSIZE as usize) {
            libc::CPU_SET(core, &mut set);
        }
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    if failed == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

fn hurry(priority: u8) -> Result<(), String> {
    let value = ThreadPriorityValue::try_from(priority)?;
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Crossplatform(value), policy).map_err(
        |e| match e {
            thread_priority::Error::OS(code) => std::io::Error::from_raw_os_error(code).to_string(),
            other => other.to_string(),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a thread of its own: what is settled stays with the thread.
    fn settled(cores: Vec<usize>, realtime_priority: u8) -> (Vec<String>, usize) {
        std::thread::spawn(move || {
            let refused = settle(&Runtime { cores, realtime_priority });
            (refused, std::thread::available_parallelism().unwrap().get())
        })
        .join()
        .unwrap()
    }

    #[test]
    fn a_thread_keeps_to_the_core_it_is_given_and_a_core_that_is_not_there_is_refused() {
        let allowed = std::fs::read_to_string("/proc/self/status").unwrap();
        let list = allowed.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:")).unwrap().trim().to_owned();
        let first: usize = list.split([',', '-']).next().unwrap().parse().unwrap();
        assert_eq!(settled(vec![first], 0), (Vec::new(), 1));
        let (refused, cores) = settled(vec![1000], 0);
        assert!(refused.len() == 1 && refused[0].contains("runtime.cores = [1000]"), "{refused:?}");
        assert_eq!(cores, std::thread::available_parallelism().unwrap().get());
        assert!(settled(Vec::new(), 0).0.is_empty());
    }

    #[test]
    fn a_priority_is_given_or_the_refusal_says_what_to_do() {
        let (refused, _) = settled(Vec::new(), 5);
        assert!(refused.is_empty() || refused[0].contains("LimitRTPRIO=5"), "{refused:?}");
    }
}
