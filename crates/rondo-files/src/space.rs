//! Free space on a disk.

use std::path::Path;

/// Returns the free bytes of the disk that contains `path`; `None` if the system does not report
/// them. If `path` does not exist, its nearest existing parent is used.
pub fn free_space(path: &Path) -> Option<u64> {
    let path = std::path::absolute(path).ok()?;
    path.ancestors().find_map(free_at)
}

#[cfg(unix)]
fn free_at(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
fn free_at(_: &Path) -> Option<u64> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_yet_is_on_the_disk_of_the_one_above() {
        let folder = tempfile::tempdir().expect("a folder");
        let free = free_space(folder.path()).expect("a disk tells");
        assert!(free > 0);
        assert!(free_space(&folder.path().join("runs/main")).is_some());
    }
}
