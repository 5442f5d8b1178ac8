//! The place of a rank on its host. The place decides which device and threads the rank uses.

/// The place of a rank among the ranks on its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of the rank on its host, from 0. The rank uses the GPU with this number.
    pub local_rank: usize,
    /// The number of ranks on the host.
    pub local_size: usize,
}

impl Place {
    /// Returns the place of a process that is the only rank.
    pub fn alone() -> Self {
        Self {
            local_rank: 0,
            local_size: 1,
        }
    }

    /// Returns the number of threads for this rank. The rank may run on `allowed` cores of its
    /// host, which has `online` cores. If the launcher has bound the rank to some cores, the rank
    /// uses all of these cores. Otherwise the ranks of the host share the cores. Returns `None` if
    /// the host has no other rank.
    pub fn threads(self, allowed: usize, online: usize) -> Option<usize> {
        let is_bound = allowed < online;
        match self.local_size {
            1 => None,
            _ if is_bound => Some(allowed),
            ranks => Some((allowed / ranks).max(1)),
        }
    }

    /// Returns a warning if the launcher has bound the rank to one core although the host has at
    /// least two cores for each of its ranks.
    pub fn binding_warning(self, allowed: usize, online: usize) -> Option<String> {
        let is_warned = self.local_size > 1 && allowed == 1 && online >= 2 * self.local_size;
        is_warned.then(|| {
            format!(
                "each rank is bound to one of {online} cores, which its threads share; start it with `mpirun --bind-to none`, \
                 or with --map-by ppr:{}:node:pe={}",
                self.local_size,
                online / self.local_size
            )
        })
    }
}

/// Returns the number of cores that this process may run on, and the number of cores of the host.
pub(crate) fn cores() -> (usize, usize) {
    let allowed = std::thread::available_parallelism().map_or(1, usize::from);
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online")
        .ok()
        .and_then(|list| count(&list));
    (allowed, online.unwrap_or(allowed).max(allowed))
}

/// Counts the numbers in a list such as `0-3,8`.
fn count(list: &str) -> Option<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        (last + 1).checked_sub(first)
    };
    list.trim().split(',').map(range).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cores_of_a_host_are_shared_unless_a_rank_is_bound() {
        let of = |local_size| Place {
            local_rank: 0,
            local_size,
        };
        assert_eq!(of(1).threads(8, 8), None);
        assert_eq!(of(4).threads(8, 8), Some(2));
        assert_eq!(of(16).threads(8, 8), Some(1));
        assert_eq!(of(4).threads(2, 8), Some(2));
        assert!(
            of(2)
                .binding_warning(1, 8)
                .is_some_and(|told| told.contains("pe=4"))
        );
        assert_eq!(of(2).binding_warning(1, 2), None);
        assert_eq!(of(2).binding_warning(8, 8), None);
    }

    #[test]
    fn a_list_of_cores_is_counted() {
        assert_eq!(count("0-3,8\n"), Some(5));
        assert_eq!(count("0\n"), Some(1));
        assert_eq!(count(""), None);
    }
}
