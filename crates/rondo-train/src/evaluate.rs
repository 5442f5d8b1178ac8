//! Measures loss, perplexity and accuracy at several recurrence depths, and under adaptive exits.

pub mod depths;
pub mod exits;
mod gates;
mod rounds;
mod scores;
pub mod tables;

use std::cell::OnceCell;
use std::ops::Range;

use burn::module::Module;
use rondo_data::Batch;
use rondo_model::config::ModelConfig;
use rondo_model::looped::{LoopedTransformer, Readout};
use rondo_model::ops::head_losses;
use rondo_model::pass::Pass;
use rondo_model::sparsity::Sparsity;
use serde::Serialize;

use self::depths::refuse_depths;
use self::exits::{Exit, ExitResult, ExitSums, ExitTally, Seen, counted};
use self::gates::{GateSums, up_to};
use self::rounds::{Round, gather};
pub(crate) use self::rounds::{read_place, write_place};
use self::scores::{DepthScore, Scores};
use crate::batches::DeviceBatch;
use crate::device::Listed;
use crate::distributed::World;
use crate::error::Result;
use crate::initial_states::InitialStates;
use crate::named::{Named, read_vectors};

/// The inputs of an evaluation.
pub struct Evaluation<'a> {
    /// The model's configuration.
    pub config: &'a ModelConfig,
    /// The source of the initial states s_0.
    pub states: &'a InitialStates,
    /// The recurrence depths to evaluate.
    pub depths: &'a [usize],
    /// The exit criteria to evaluate, with their thresholds.
    pub exits: &'a [Exit],
    /// The maximum number of iterations under an exit criterion.
    pub max_iterations: usize,
    /// The batches to evaluate.
    pub batches: &'a [Batch],
    /// The number of bytes of text per target, if it is known.
    pub bytes_per_token: Option<f64>,
    /// Whether the data is a task. For a task, accuracy is counted, overall and by position.
    pub task: bool,
    /// The device of the model.
    pub listed: &'a Listed,
}

/// The result at one recurrence depth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DepthResult {
    /// The recurrence depth r.
    pub recurrence: usize,
    /// Mean cross entropy, nats.
    pub loss: f64,
    /// exp(loss).
    pub perplexity: f64,
    /// loss / ln 2 / bytes of text per target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits_per_byte: Option<f64>,
    /// The share of targets that the model predicts correctly. Only for tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// The accuracy at each position; null at a position without targets. Only for tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy_by_position: Option<Vec<Option<f64>>>,
}

/// The result of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluated {
    /// The result at each depth, in ascending order of depth.
    pub depths: Vec<DepthResult>,
    /// The result of each exit criterion, in the order of the request.
    pub exits: Vec<ExitResult>,
    /// The share of open edges in a pass to the mean recurrence, if the model has gates.
    pub sparsity: Option<Sparsity>,
    /// The losses of each batch, in order.
    batches: Vec<BatchLosses>,
}

/// The losses of one batch.
#[derive(Clone, Debug, PartialEq)]
struct BatchLosses {
    /// The number of targets that count.
    targets: u64,
    /// For each depth, the sum of the cross entropies of these targets.
    sums: Vec<f64>,
}

impl Evaluated {
    /// Returns the mean cross entropy at depth `recurrence` over a range of batches, in nats.
    pub fn loss_of(&self, batches: Range<usize>, recurrence: usize) -> Option<f64> {
        let depth = |result: &DepthResult| result.recurrence == recurrence;
        let depth = self.depths.iter().position(depth)?;
        let batches = self.batches.get(batches)?;
        let sum: f64 = batches.iter().map(|batch| batch.sums[depth]).sum();
        let targets: u64 = batches.iter().map(|batch| batch.targets).sum();
        Some(sum / targets as f64)
    }

    /// Returns the result at depth `recurrence`.
    pub fn at(&self, recurrence: usize) -> Option<&DepthResult> {
        self.depths
            .iter()
            .find(|depth| depth.recurrence == recurrence)
    }
}

/// The sums of an evaluation over its batches.
#[derive(Debug)]
struct Sums {
    depths: Vec<DepthSums>,
    exits: Vec<ExitSums>,
    gates: GateSums,
}

/// The sums at one depth over the batches.
#[derive(Clone, Debug)]
struct DepthSums {
    loss: f64,
    hits: Vec<f64>,
}

impl Sums {
    /// Adds the scores of a batch of shape `[batch, seq]`.
    fn add(&mut self, scores: Scores<Vec<f64>>, shape: [usize; 2]) {
        let mut number = |values: Vec<f64>| values[0];
        self.gates.add(&scores.densities.map(&mut number), shape);
        for (sums, score) in self.depths.iter_mut().zip(scores.depths) {
            sums.loss += number(score.loss);
            let hits = score.hits.into_iter().flatten();
            sums.hits
                .iter_mut()
                .zip(hits)
                .for_each(|(sum, hit)| *sum += hit);
        }
        for (sums, score) in self.exits.iter_mut().zip(scores.exits) {
            sums.add(&score.map(&mut number));
        }
    }
}

impl Evaluation<'_> {
    /// Evaluates `model` at every depth and under every exit criterion. All of these share one pass
    /// to the deepest depth, on a copy of the model without autodiff.
    ///
    /// `progress` receives the number of finished batches. If `progress` returns an error, the
    /// evaluation ends.
    ///
    /// # Errors
    ///
    /// When a sequence has no initial state, the device fails, or `progress` returns an error.
    pub fn run(
        &self,
        model: &LoopedTransformer,
        mut progress: impl FnMut(usize) -> Result<()>,
    ) -> Result<Evaluated> {
        self.run_on(&World::alone(), model, |done, _| progress(done))
    }

    /// Does what [`Self::run`] does, but on several ranks: of N ranks, rank b mod N evaluates batch
    /// b. Every rank receives the scores of each batch and adds them in the order of batches. The
    /// result therefore has the same bits for any number of ranks.
    ///
    /// `progress` also receives whether any rank has a request to stop.
    ///
    /// # Errors
    ///
    /// The errors of [`Self::run`]. Also when a rank is missing.
    pub fn run_on(
        &self,
        world: &World,
        model: &LoopedTransformer,
        mut progress: impl FnMut(usize, bool) -> Result<()>,
    ) -> Result<Evaluated> {
        exits::refuse_exits(self.config, !self.exits.is_empty())?;
        let most = (!self.exits.is_empty()).then_some(self.max_iterations);
        refuse_depths(self.config, self.depths.iter().copied().chain(most))?;
        let model = model.valid();
        let longest = self.batches.iter().map(|batch| batch.seq).max();
        let longest = longest.unwrap_or(0);
        let mut depths = self.depths.to_vec();
        depths.sort_unstable();
        depths.dedup();
        let none = DepthSums {
            loss: 0.0,
            hits: vec![0.0; longest],
        };
        let exits = self.exits.iter();
        let mut sums = Sums {
            depths: vec![none; depths.len()],
            exits: exits
                .map(|exit| ExitSums::new(*exit, self.max_iterations))
                .collect(),
            gates: GateSums::default(),
        };
        let mut counts = vec![0_u64; longest];
        let mut batches = Vec::with_capacity(self.batches.len());
        let mut first_sequence = 0;
        let mut done = 0;
        // Every rank takes part in every round, even if it has no batch.
        for round in self.batches.chunks(world.world_size()) {
            let own = round.get(world.rank()).map(|batch| {
                let before = round[..world.rank()].iter().map(|batch| batch.batch as u64);
                let first_sequence = first_sequence + before.sum::<u64>();
                let scores = || self.scores(&model, batch, first_sequence, &depths);
                self.listed.compute(scores)
            });
            let Round { scores, stop } = gather(world, own.transpose()?)?;
            for (batch, scores) in round.iter().zip(scores) {
                let losses = scores.depths.iter().map(|score| score.loss[0]).collect();
                sums.add(scores, [batch.batch, batch.seq]);
                let mut targets = 0;
                for (i, _) in batch
                    .targets
                    .iter()
                    .enumerate()
                    .filter(|(_, id)| **id != rondo_data::IGNORE)
                {
                    counts[i % batch.seq] += 1;
                    targets += 1;
                }
                batches.push(BatchLosses {
                    targets,
                    sums: losses,
                });
                first_sequence += batch.batch as u64;
            }
            done += round.len();
            progress(done, stop)?;
        }
        Ok(Evaluated {
            depths: depths
                .iter()
                .zip(&sums.depths)
                .map(|(depth, sums)| self.result(*depth, sums, &counts))
                .collect(),
            exits: sums
                .exits
                .iter()
                .map(|sums| sums.result(self.task))
                .collect(),
            sparsity: sums.gates.result(self.mean()),
            batches,
        })
    }

    /// Returns the scores of a batch. Its first sequence has the number `first_sequence`.
    fn scores(
        &self,
        model: &LoopedTransformer,
        batch: &Batch,
        first_sequence: u64,
        depths: &[usize],
    ) -> Result<Scores<Vec<f64>>> {
        let (shape, device) = ([batch.batch, batch.seq], &self.listed.device);
        let state = self
            .states
            .at(self.config, first_sequence, 0, shape, device)?;
        let on_device = DeviceBatch::new(batch, device);
        let pass = on_device.pass(Pass::new(self.config, batch.seq, device));
        let counted = counted(on_device.weights.as_ref(), shape, device);
        let start = match self.exits.is_empty() {
            true => state.clone(),
            false => model.start(&on_device.inputs, state.clone(), &pass),
        };
        let tally = |exit: &Exit| ExitTally::new(*exit, start.clone(), counted.clone());
        let mut tallies: Vec<ExitTally> = self.exits.iter().map(tally).collect();
        let mut visited = depths.to_vec();
        if !tallies.is_empty() {
            visited.extend(1..=self.max_iterations);
        }
        let mut scores = Vec::with_capacity(depths.len());
        let inputs = on_device.inputs.clone();
        let visit = |depth: usize, readout: Readout| {
            let hidden = &readout.hidden;
            let targets = on_device.targets.clone();
            let exiting = !tallies.is_empty() && depth <= self.max_iterations;
            let scored = head_losses(hidden.clone(), model.head(), targets, self.task || exiting);
            let losses = on_device.counted_only(scored.losses);
            let hits = scored.hits.map(|hits| on_device.counted_only(hits));
            if depths.contains(&depth) {
                let of_task = hits.as_ref().filter(|_| self.task);
                scores.push(DepthScore {
                    loss: losses.clone().sum(),
                    hits: of_task.map(|hits| hits.clone().sum_dim(0).reshape([batch.seq])),
                });
            }
            if let Some(hits) = hits.filter(|_| exiting) {
                let logits = OnceCell::new();
                let logits = || logits.get_or_init(|| model.logits(hidden.clone())).clone();
                let seen = Seen {
                    latent: &readout.latent,
                    logits: &logits,
                    losses: &losses,
                    hits: &hits,
                };
                let last = depth == self.max_iterations;
                tallies.iter_mut().for_each(|tally| tally.add(&seen, last));
            }
        };
        let densities = model.forward_at_depths(inputs, state, &pass, &visited, visit);
        read_vectors(Scores {
            depths: scores,
            exits: tallies.into_iter().map(ExitTally::score).collect(),
            densities: up_to(densities, self.mean(), &visited),
        })
    }

    fn mean(&self) -> usize {
        self.config.recurrence.planned().total()
    }

    fn result(&self, recurrence: usize, sums: &DepthSums, counts: &[u64]) -> DepthResult {
        let total = counts.iter().sum::<u64>() as f64;
        let loss = sums.loss / total;
        let hits: f64 = sums.hits.iter().sum();
        let share = |(hits, count): (&f64, &u64)| (*count > 0).then(|| hits / *count as f64);
        DepthResult {
            recurrence,
            loss,
            perplexity: loss.exp(),
            bits_per_byte: self
                .bytes_per_token
                .map(|bytes| loss / std::f64::consts::LN_2 / bytes),
            accuracy: self.task.then(|| hits / total),
            accuracy_by_position: self
                .task
                .then(|| sums.hits.iter().zip(counts).map(share).collect()),
        }
    }
}
