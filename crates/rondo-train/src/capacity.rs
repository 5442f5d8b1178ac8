//! Whether a run fits into the memory that is free, asked before anything of it is allocated.

use rondo_collective::pairwise::live;
use rondo_metrics::format::bytes;
use rondo_model::census::{Census, Kept};
use rondo_model::depth::Recompute;
use rondo_model::init::{ParameterSpec, table};

use crate::config::ResolvedConfig;
use crate::device::{DeviceKind, Listed};
use crate::distributed::Owners;
use crate::error::{Error, Result};
use crate::step::fresh_optimizer;

const RECOMPUTE: &str = "--set model.recurrence.recompute=iteration";

/// What the memory of a run is measured against.
pub struct Capacity<'a> {
    listed: &'a Listed,
    kept: Kept,
    /// Bytes that are free; none where that is unknown, as on a GPU.
    free: Option<u64>,
    /// Ranks that share the run.
    ranks: usize,
}

impl<'a> Capacity<'a> {
    /// Asks for the memory that is free on a device.
    pub fn of(listed: &'a Listed) -> Self {
        let kept = match listed.kind {
            DeviceKind::Flex => Kept::Fused,
            _ => Kept::Composed,
        };
        Self {
            listed,
            kept,
            free: listed.available_memory(),
            ranks: 1,
        }
    }

    /// Returns the bytes that are free; none where that is unknown.
    pub fn free(&self) -> Option<u64> {
        self.free
    }

    /// Returns the same where `ranks` share the run: on a processor those of a host share what is free there, too.
    #[must_use]
    pub fn among(self, ranks: usize, local_ranks: usize) -> Self {
        let free = self.free.map(|free| free / local_ranks as u64);
        Self {
            free,
            ranks,
            ..self
        }
    }

    /// Returns an estimate of the bytes that the largest step of a run needs, on the rank that needs most.
    pub fn needed(&self, config: &ResolvedConfig) -> u64 {
        let largest = config.model.recurrence.largest();
        let seq = config.train.seq;
        let tokens = config.train.batch * seq;
        let census = Census::new(&config.model);
        // Two gradients, a sum and the next one, are in the estimate of a step.
        let gradients = live(config.train.accumulation / self.ranks).saturating_sub(2);
        let step = census.memory_bytes(largest, tokens, seq, self.kept)
            + 4 * (gradients * census.total()) as u64;
        match self.ranks {
            1 => step,
            ranks => step + exchanged(config, ranks) - spared(config, ranks),
        }
    }

    /// Refuses a run that needs more than is free, and names changes with which it fits.
    ///
    /// # Errors
    ///
    /// [`Error::Device`]; never where what is free is unknown.
    pub fn refuse_beyond(&self, config: &ResolvedConfig) -> Result<()> {
        match self.free {
            Some(free) if !self.holds(config) => Err(Error::Device(format!(
                "the run needs about {} of memory and {} are free on {}; {}; --force starts it all the same",
                bytes(self.needed(config)),
                bytes(free),
                self.listed.label(),
                self.remedy(config),
            ))),
            _ => Ok(()),
        }
    }

    fn holds(&self, config: &ResolvedConfig) -> bool {
        self.free.is_none_or(|free| self.needed(config) <= free)
    }

    /// Returns what makes the run fit: of the changes that leave its numbers as they are, each one that suffices alone, or
    /// else both together.
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
            None => "no batch of it fits: it takes a smaller model.d_model, fewer layers, or a shorter train.seq".to_owned(),
        }
    }

    /// Returns how to split each step into the fewest equal micro-batches that fit; none where not even single rows do.
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

/// Returns the bytes of the vector in which gradients travel.
fn exchanged(config: &ResolvedConfig, ranks: usize) -> u64 {
    match ranks {
        1 => 0,
        _ => 4 * Census::new(&config.model).total() as u64,
    }
}

/// Returns the bytes of moments that the rank with most of them does not have, where ranks share them.
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

/// Returns the configuration with iterations run again in the backward pass; none where they are already.
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

    /// A run of 8 × 2 rows whose memory is mostly activations.
    fn config() -> ResolvedConfig {
        let text = "[data]\nkind = \"text\"\n[model]\nvocab_size = 257\n[train]\nsteps = 1\nseq = 64\nbatch = 8\n\
                    accumulation = 2\n";
        let written = RunConfig::read("a.toml", text, &[]).expect("valid");
        written.resolve_for(257, 64)
    }

    /// Looks at what is told where exactly as much is free as `fitting` needs, less `missing` bytes.
    fn with_room_for(fitting: &ResolvedConfig, missing: u64, check: impl FnOnce(&Capacity<'_>)) {
        let (listed, _) =
            crate::device::choose_kind(DeviceKind::Flex).expect("flex is always there");
        let capacity = Capacity::of(&listed);
        let free = Some(capacity.needed(fitting) - missing);
        check(&Capacity { free, ..capacity });
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
        assert_eq!(one(1), one(2), "two are in the estimate");
        // 1 + log2 of the micro-batches are there at a time.
        assert_eq!((one(4) - one(2), one(8) - one(2)), (gradient, 2 * gradient));
        // Two micro-batches each, and the vector that travels.
        assert_eq!(needed(&config, 4) - one(2), gradient);
        let whole = needed(&config, 4);
        config.distributed.shard_optimizer = true;
        let spared = whole - needed(&config, 4);
        // A quarter of two moments each, but for tensors that are larger.
        assert!(
            spared > gradient && spared <= 2 * gradient * 3 / 4,
            "{spared} of {gradient}"
        );
    }

    #[test]
    fn both_changes_are_named_where_only_both_suffice_and_none_where_nothing_does() {
        let config = config();
        let mut smallest = recomputing(&config).expect("not recomputed yet");
        // Single rows need less for activations, and one gradient more of the pairwise sum.
        smallest.train.batch = 2;
        smallest.train.accumulation = 8;
        let both = "it fits with --set model.recurrence.recompute=iteration --set train.batch=2 --set train.accumulation=8";
        with_room_for(&smallest, 0, |capacity| {
            let told = capacity.remedy(&config);
            assert!(told.starts_with(both), "{told}");
        });
        with_room_for(&smallest, 1, |capacity| {
            assert!(capacity.remedy(&config).starts_with("no batch of it fits"));
        });
    }
}
