//! Checks that a run fits into the free memory, before the run allocates memory.

use std::fmt;

use rondo_collective::pairwise::live;
use rondo_metrics::format::bytes;
use rondo_model::census::Census;
use rondo_model::depth::Recompute;
use rondo_model::init::{ParameterSpec, table};
use rondo_model::memory::{Kept, StepShape};

use crate::config::ResolvedConfig;
use crate::device::{DeviceKind, Listed};
use crate::distributed::Owners;
use crate::error::{Error, Result};
use crate::step::fresh_optimizer;

const RECOMPUTE: &str = "--set model.recurrence.recompute=iteration";

/// The memory that is available to a run.
pub struct Capacity<'a> {
    listed: &'a Listed,
    kept: Kept,
    room: Room,
    /// The number of ranks that share the run.
    ranks: usize,
}

/// The memory that a device has for a run, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// This many bytes are free.
    Free(u64),
    /// A GPU has this many bytes in total. The number of bytes that other programs use is unknown.
    Whole(u64),
    /// Neither the free nor the total memory is known.
    Unknown,
}

impl Room {
    /// Returns an upper bound on the memory that a run can use, or `None` if no bound is known.
    pub fn most(self) -> Option<u64> {
        match self {
            Self::Free(size) | Self::Whole(size) => Some(size),
            Self::Unknown => None,
        }
    }
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Free(size) => write!(f, "{} free", bytes(*size)),
            Self::Whole(size) => write!(f, "{} on the device", bytes(*size)),
            Self::Unknown => f.write_str("the free amount is unknown"),
        }
    }
}

impl<'a> Capacity<'a> {
    /// Reads how much memory is free on a device.
    pub fn of(listed: &'a Listed) -> Self {
        let kept = match listed.kind {
            DeviceKind::Flex => Kept::Fused,
            DeviceKind::Ndarray => Kept::Composed,
            _ => Kept::Kernels,
        };
        let free = listed.available_memory().map(Room::Free);
        let whole = || listed.device_memory().map(Room::Whole);
        Self {
            listed,
            kept,
            room: free.or_else(whole).unwrap_or(Room::Unknown),
            ranks: 1,
        }
    }

    /// Returns the memory that the device has for the run.
    pub fn room(&self) -> Room {
        self.room
    }

    /// Returns the capacity of one of `ranks` ranks. On a CPU, the `local_ranks` ranks of this host
    /// share the free memory.
    #[must_use]
    pub fn among(self, ranks: usize, local_ranks: usize) -> Self {
        let room = match self.room {
            Room::Free(free) => Room::Free(free / local_ranks as u64),
            room => room,
        };
        Self {
            room,
            ranks,
            ..self
        }
    }

    /// Estimates how many bytes of memory the largest step of a run needs, on the rank that needs
    /// the most.
    pub fn needed(&self, config: &ResolvedConfig) -> u64 {
        let census = Census::new(&config.model);
        let moments = fresh_optimizer(config).layout();
        let unroll = config.model.recurrence.largest();
        let shape = StepShape {
            unroll,
            beside: config.train.most_beside(unroll),
            tokens: config.train.batch * config.train.seq,
            seq: config.train.seq,
            within_documents: config.data.document_mask(),
            moments: moments.iter().map(|moment| moment.count).sum(),
            kept: self.kept,
        };
        let gradients = live(config.train.accumulation / self.ranks);
        let gradients = gradients.saturating_sub(self.kept.gradients());
        let step = shape.bytes(&config.model) + 4 * (gradients * census.total()) as u64;
        match self.ranks {
            1 => step,
            ranks => step + exchanged(config, ranks) - spared(config, ranks),
        }
    }

    /// Refuses a run that needs more memory than there is. The error suggests changes with which
    /// the run fits.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when the run does not fit. If the device's memory is unknown, no run is
    /// refused.
    pub fn refuse_beyond(&self, config: &ResolvedConfig) -> Result<()> {
        if self.holds(config) {
            return Ok(());
        }
        let label = self.listed.label();
        let there = match self.room {
            Room::Free(free) => format!("{} are free on {label}", bytes(free)),
            Room::Whole(whole) => format!("{label} has {} in all", bytes(whole)),
            Room::Unknown => return Ok(()),
        };
        Err(Error::Device(format!(
            "the run needs about {} of memory and {there}; {}; --force starts it all the same",
            bytes(self.needed(config)),
            self.remedy(config),
        )))
    }

    fn holds(&self, config: &ResolvedConfig) -> bool {
        let most = self.room.most();
        most.is_none_or(|most| self.needed(config) <= most)
    }

    /// Describes changes that make the run fit and do not change its results. Lists each change
    /// that is enough by itself. If no change is enough by itself, combines the changes.
    fn remedy(&self, config: &ResolvedConfig) -> String {
        let recomputed = recomputing(config);
        let alone = recomputed.as_ref().filter(|changed| self.holds(changed));
        let alone = alone.map(|changed| format!("{RECOMPUTE} ({})", bytes(self.needed(changed))));
        let ways: Vec<String> = [alone, self.split(config)].into_iter().flatten().collect();
        if !ways.is_empty() {
            return format!("it fits with {}", ways.join(", or with "));
        }
        match recomputed.and_then(|changed| self.split(&changed)) {
            Some(way) => format!("it fits with {RECOMPUTE} {way}"),
            None => "no single row fits: choose a smaller model.d_model, fewer layers, or a shorter train.seq".to_owned(),
        }
    }

    /// Describes how to split each step into as few equal micro-batches as fit. Returns `None` if
    /// not even a single row fits.
    fn split(&self, config: &ResolvedConfig) -> Option<String> {
        let rows = config.train.batch * config.train.accumulation;
        let mut changed = config.clone();
        let batch = (1..=config.train.batch).rev().find(|batch| {
            changed.train.batch = *batch;
            changed.train.accumulation = rows / batch;
            rows.is_multiple_of(*batch * self.ranks) && self.holds(&changed)
        })?;
        changed.train.batch = batch;
        changed.train.accumulation = rows / batch;
        Some(format!(
            "--set train.batch={batch} --set train.accumulation={} ({})",
            rows / batch,
            bytes(self.needed(&changed))
        ))
    }
}

/// Returns the size, in bytes, of the vector in which ranks exchange gradients.
fn exchanged(config: &ResolvedConfig, ranks: usize) -> u64 {
    match ranks {
        1 => 0,
        _ => 4 * Census::new(&config.model).total() as u64,
    }
}

/// Returns how many bytes of optimizer moments a rank saves if the moments are sharded. Takes the
/// rank that holds the most moments.
fn spared(config: &ResolvedConfig, ranks: usize) -> u64 {
    if !config.distributed.shard_optimizer {
        return 0;
    }
    let rows = table(&config.model);
    let counts: Vec<usize> = rows.iter().map(ParameterSpec::count).collect();
    let owners = Owners::of(&counts, ranks);
    let mut of_ranks = vec![0_u64; ranks];
    for moment in fresh_optimizer(config).layout() {
        of_ranks[owners.owner(moment.parameter)] += 4 * moment.count as u64;
    }
    let most = of_ranks.iter().max().copied().unwrap_or(0);
    of_ranks.iter().sum::<u64>() - most
}

/// Returns the configuration with `recompute = "iteration"`, or `None` if it has this value
/// already.
fn recomputing(config: &ResolvedConfig) -> Option<ResolvedConfig> {
    if config.model.recurrence.recompute == Recompute::Iteration {
        return None;
    }
    let mut changed = config.clone();
    changed.model.recurrence.recompute = Recompute::Iteration;
    Some(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;

    /// Returns a run with 8 × 2 rows in a step, whose memory is mostly activations.
    fn config() -> ResolvedConfig {
        let text = "[data]\nkind = \"text\"\n[model]\nvocab_size = 257\n[train]\nsteps = 1\nseq = 64\nbatch = 8\n\
                    accumulation = 2\n";
        let written = RunConfig::read("a.toml", text, &[]).expect("valid");
        written.resolve_for(257, 64)
    }

    /// Calls `check` with a capacity that has `missing` bytes less than the run `fitting` needs.
    fn with_room_for(fitting: &ResolvedConfig, missing: u64, check: impl FnOnce(&Capacity<'_>)) {
        let (listed, _) =
            crate::device::choose_kind(DeviceKind::Flex).expect("flex is always there");
        let capacity = Capacity::of(&listed);
        let room = Room::Free(capacity.needed(fitting) - missing);
        check(&Capacity { room, ..capacity });
    }

    #[test]
    fn each_change_that_suffices_alone_is_named() {
        let config = config();
        let recomputed = recomputing(&config).expect("not recomputed yet");
        with_room_for(&recomputed, 0, |capacity| {
            let refusal = capacity.refuse_beyond(&config).expect_err("too large");
            assert_eq!(refusal.exit_code(), 6);
            let told = refusal.to_string();
            assert!(
                told.contains("it fits with --set model.recurrence.recompute=iteration ("),
                "{told}"
            );
            assert!(told.contains(", or with --set train.batch="), "{told}");
        });
    }

    #[test]
    fn a_gpu_that_is_too_small_is_refused_with_what_it_has_in_all() {
        let config = config();
        let (listed, _) =
            crate::device::choose_kind(DeviceKind::Flex).expect("flex is always there");
        let capacity = Capacity {
            kept: Kept::Kernels,
            room: Room::Whole(40 << 20),
            ..Capacity::of(&listed)
        };
        // On a CPU the ranks of a host share the free memory. With GPUs each rank has its own.
        let capacity = capacity.among(2, 2);
        assert_eq!(capacity.room(), Room::Whole(40 << 20));
        let recomputed = recomputing(&config).expect("not recomputed yet");
        let room = Room::Whole(capacity.needed(&recomputed));
        let capacity = Capacity { room, ..capacity };
        let told = capacity.refuse_beyond(&config).expect_err("too small");
        let told = told.to_string();
        let has = format!(
            "has {} in all; it fits with ",
            bytes(capacity.needed(&recomputed))
        );
        assert!(told.contains(&has), "{told}");
        let unknown = Capacity {
            room: Room::Unknown,
            ..capacity
        };
        assert!(unknown.refuse_beyond(&config).is_ok());
    }

    #[test]
    fn a_step_is_split_into_equal_parts_that_fit() {
        let config = config();
        let mut fits = config.clone();
        fits.train.batch = 5;
        with_room_for(&fits, 0, |capacity| {
            let told = capacity.split(&config).expect("four rows fit");
            assert!(
                told.starts_with("--set train.batch=4 --set train.accumulation=4 ("),
                "{told}"
            );
        });
    }

    #[test]
    fn a_pairwise_sum_keeps_more_gradients_and_ranks_share_moments() {
        let mut config = config();
        config.train.accumulation = 8;
        let (listed, _) =
            crate::device::choose_kind(DeviceKind::Flex).expect("flex is always there");
        let needed = |config: &ResolvedConfig, ranks| {
            let capacity = Capacity::of(&listed).among(ranks, 1);
            capacity.needed(config)
        };
        let one = |accumulation| {
            let mut config = config.clone();
            config.train.accumulation = accumulation;
            needed(&config, 1)
        };
        let gradient = 4 * Census::new(&config.model).total() as u64;
        assert_eq!(one(1), one(2), "the estimate includes two gradients");
        // A pairwise sum keeps 1 + log2(micro-batches) gradients at a time.
        assert_eq!((one(4) - one(2), one(8) - one(2)), (gradient, 2 * gradient));
        // Each of the 4 ranks has two micro-batches, and the vector for the exchange.
        assert_eq!(needed(&config, 4) - one(2), gradient);
        let whole = needed(&config, 4);
        config.distributed.shard_optimizer = true;
        let spared = whole - needed(&config, 4);
        // A rank saves about three quarters of the two moments. The shares are unequal, because
        // tensors are not divided.
        assert!(
            spared > gradient && spared <= 2 * gradient * 3 / 4,
            "{spared} of {gradient}"
        );
    }

    #[test]
    fn both_changes_are_named_where_only_both_suffice_and_none_where_nothing_does() {
        let config = config();
        let mut smallest = recomputing(&config).expect("not recomputed yet");
        // Single rows need fewer activations, but their pairwise sum keeps one more gradient.
        smallest.train.batch = 2;
        smallest.train.accumulation = 8;
        let both = "it fits with --set model.recurrence.recompute=iteration --set train.batch=2 --set train.accumulation=8";
        with_room_for(&smallest, 0, |capacity| {
            let told = capacity.remedy(&config);
            assert!(told.starts_with(both), "{told}");
        });
        with_room_for(&smallest, 1, |capacity| {
            assert!(capacity.remedy(&config).starts_with("no single row fits"));
        });
    }
}
