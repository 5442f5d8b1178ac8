//! The memory of the machine that is free, and the peak memory of this process.

use std::fs::read_to_string;

/// Returns how many bytes of memory this process can still allocate. This is the free memory of the
/// machine, or less if the process's control group or address space (`ulimit -v`) has a lower limit
/// that the system reports.
pub(super) fn free() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    let group = system
        .cgroup_limits()
        .map(|limits| limits.total_memory.saturating_sub(limits.rss));
    [group, free_address_space()]
        .into_iter()
        .flatten()
        .fold(system.available_memory(), u64::min)
}

/// Returns the peak resident memory of this process in bytes. Known on Linux only.
pub(super) fn peak_resident() -> Option<u64> {
    status("VmHWM:")
}

/// Returns how many bytes of address space the process can still use, or `None` without a limit.
fn free_address_space() -> Option<u64> {
    let limits = read_to_string("/proc/self/limits").ok()?;
    let limit = address_space_limit(&limits)?;
    Some(limit.saturating_sub(status("VmSize:")?))
}

/// Returns the soft limit of the address space in bytes. `limits` is the text of
/// `/proc/self/limits`.
fn address_space_limit(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max address space"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Returns the value of a row in `/proc/self/status`, in bytes.
fn status(row: &str) -> Option<u64> {
    let status = read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(row))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_address_space_is_read_and_none_is_none() {
        let limits = |soft: &str| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units\n\
                 Max stack size            8388608              unlimited            bytes\n\
                 Max address space         {soft}           unlimited            bytes\n"
            )
        };
        assert_eq!(
            address_space_limit(&limits("3072000000")),
            Some(3_072_000_000)
        );
        assert_eq!(address_space_limit(&limits("unlimited")), None);
        assert_eq!(address_space_limit(""), None);
    }

    #[test]
    fn something_is_free() {
        assert!(free() > 0);
    }
}
