//! Sums the gradients of all ranks in each step. Each rank keeps one flat vector for the whole run.
//! The vector is in the memory of the host; gradients on another device are copied there and back.
//!
//! ```text
//! without ZeRO-1:   gradients in the order of the parameter table                    | loss | stop
//! with ZeRO-1:      gradients of rank 0's parameters | of rank 1's parameters | …    | loss | stop
//! ```
//!
//! `stop` is 1 if the rank has received a request to stop, otherwise 0. Without ZeRO-1, the ranks
//! add these vectors, and each rank receives the whole sum. This is also done with ZeRO-1 and the
//! fast sum. With ZeRO-1 and the ordered sum, each rank receives the sums for its own parameters
//! only. The ranks then send `loss`, `stop` and squared norms of gradients in a second exchange.

use std::ops::Range;

use burn::tensor::{Device, Tensor};
use rondo_collective::{OwnedSum, PairwiseSum, Reducer, Wire};
use rondo_files::NamedTensor;
use rondo_model::census::Census;
use rondo_model::gradients::FlatGradients;
use rondo_model::init::{ParameterSpec, table};
use rondo_model::looped::LoopedTransformer;

use super::pace::Stopwatch;
use super::replicas;
use super::zero::Owners;
use super::{DistributedConfig, GradientDtype, RankPace, Reduce, World};
use crate::config::ResolvedConfig;
use crate::error::Result;
use crate::interrupt;
use crate::optim::{Optimizer, global_norm, sum_of_squares};
use crate::step::read;
use crate::weights::{each_parameter, named, replace_parameters, vector};

/// The number of values after the gradients in the vector: `loss` and `stop`.
const BEHIND: usize = 2;

/// Exchanges gradients and weights with the other ranks. All steps use the same buffers.
pub(crate) struct Exchange {
    world: World,
    /// The range of each parameter's gradient in the vector, in the order of the parameter table.
    places: Vec<Range<usize>>,
    vector: Vec<f32>,
    reducer: Reducer,
    sharded: Option<Sharded>,
    /// Whether each rank receives the sum of the whole vector.
    is_whole: bool,
    watch: Stopwatch,
}

/// The owner of each parameter, and a sum in which each rank receives only the part that it owns.
struct Sharded {
    owners: Owners,
    sum: OwnedSum,
}

/// The result of the exchange in a step.
pub(crate) struct Reduced {
    /// The mean loss of the step.
    pub(crate) loss: f32,
    /// The L2 norm of the step's gradient. All ranks have the same number.
    pub(crate) norm: f32,
    /// Whether any rank has received a request to stop.
    pub(crate) stop: bool,
    /// For each parameter, its gradient, or `None` if another rank updates the parameter.
    pub(crate) gradients: Vec<Option<Tensor<1>>>,
}

impl Exchange {
    /// Allocates the buffers for the steps of a run.
    pub(crate) fn new(world: &World, config: &ResolvedConfig) -> Self {
        let counts: Vec<usize> = table(&config.model)
            .iter()
            .map(ParameterSpec::count)
            .collect();
        let rules = &config.distributed;
        let ranks = world.world_size();
        let (places, sharded) = match rules.shard_optimizer {
            true => {
                let owners = Owners::of(&counts, ranks);
                let (places, sum) = owners.layout(&counts);
                (places, Some(Sharded { owners, sum }))
            }
            false => (in_order(&counts), None),
        };
        Self {
            world: world.clone(),
            vector: vec![0.0; counts.iter().sum::<usize>() + BEHIND],
            places,
            reducer: Reducer::new(order(rules), ranks),
            // The engine computes the fast sum and always returns the whole vector on every rank.
            is_whole: sharded.is_none() || rules.reduce == Reduce::Fast,
            sharded,
            watch: Stopwatch::start(),
        }
    }

    /// Returns the world of the ranks.
    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    /// Returns the owners of the parameters, or `None` if every rank updates all parameters.
    pub(crate) fn owners(&self) -> Option<&Owners> {
        self.sharded.as_ref().map(|sharded| &sharded.owners)
    }

    /// Adds the losses and the gradients of all ranks. `reads_are_free` means that a read from the
    /// device never waits for a queue. Then the gradients are read one by one.
    ///
    /// # Errors
    ///
    /// When a rank is missing, or the device fails.
    pub(crate) fn reduce(
        &mut self,
        loss: Tensor<1>,
        gradients: FlatGradients,
        reads_are_free: bool,
    ) -> Result<Reduced> {
        let gradients = gradients.into_tensors();
        let device = loss.device();
        let loss = match reads_are_free {
            true => {
                for (place, gradient) in self.places.iter().zip(gradients) {
                    copy(gradient, &mut self.vector[place.clone()])?;
                }
                read(loss)?[0]
            }
            // Reads the gradients and the loss as one tensor, so the host waits for the device only
            // once.
            false => {
                let all = [gradients, vec![loss]].concat();
                let all = read(Tensor::cat(all, 0))?;
                let mut rest = all.as_slice();
                for place in &self.places {
                    let (gradient, others) = rest.split_at(place.len());
                    self.vector[place.clone()].copy_from_slice(gradient);
                    rest = others;
                }
                rest[0]
            }
        };
        let stop = f32::from(u8::from(interrupt::asked()));
        self.watch.arrive();
        let reduced = match self.is_whole {
            true => self.reduce_whole([loss, stop], &device),
            false => self.reduce_owned([loss, stop], &device),
        };
        self.watch.leave();
        reduced
    }

    /// Adds the vectors of all ranks. Every rank receives the whole sum.
    fn reduce_whole(&mut self, behind: [f32; BEHIND], device: &Device) -> Result<Reduced> {
        let end = self.vector.len() - BEHIND;
        self.vector[end..].copy_from_slice(&behind);
        let summed = self
            .reducer
            .sum(self.world.collective(), &mut self.vector, BEHIND);
        self.world.told(summed)?;
        let places = self.places.iter().cloned();
        let gradients = places.map(|place| vector(self.vector[place].to_vec(), device));
        let gradients = FlatGradients::new(gradients.collect());
        // Different CPUs may add the squares of a norm in different orders. Every rank therefore
        // uses the norm that rank 0 computes.
        let mut norm = [read(global_norm(&gradients))?[0]];
        let sent = self.world.collective().broadcast_numbers(0, &mut norm);
        self.world.told(sent)?;
        let gradients = gradients.into_tensors().into_iter().enumerate();
        let is_mine = |parameter| {
            let owners = self.owners();
            owners.is_none_or(|owners| owners.owner(parameter) == self.world.rank())
        };
        Ok(Reduced {
            loss: self.vector[end],
            stop: self.vector[end + 1] > 0.0,
            norm: norm[0],
            gradients: gradients
                .map(|(parameter, gradient)| is_mine(parameter).then_some(gradient))
                .collect(),
        })
    }

    /// Adds the gradients of all ranks. Each rank receives only the gradients of the parameters
    /// that it updates.
    fn reduce_owned(&mut self, behind: [f32; BEHIND], device: &Device) -> Result<Reduced> {
        let Some(Sharded { owners, sum }) = &mut self.sharded else {
            unreachable!("only sharded gradients have owners");
        };
        let collective = self.world.collective();
        self.world.told(sum.sum(collective, &mut self.vector))?;
        let rank = self.world.rank();
        let mut gradients: Vec<Option<Tensor<1>>> = vec![None; self.places.len()];
        let mut mine: Vec<f64> = behind.map(f64::from).to_vec();
        for parameter in owners.parameters(rank) {
            let gradient = vector(self.vector[self.places[parameter].clone()].to_vec(), device);
            mine.push(sum_of_squares(&gradient)?);
            gradients[parameter] = Some(gradient);
        }
        let most = (0..self.world.world_size())
            .map(|rank| owners.parameters(rank).count())
            .max();
        let width = BEHIND + most.unwrap_or(0);
        mine.resize(width, 0.0);
        let all = self.world.told(collective.all_gather_numbers(&mine))?;
        let mut loss = PairwiseSum::new();
        let mut squares = vec![0.0; self.places.len()];
        let mut stop = false;
        for (rank, told) in all.chunks_exact(width).enumerate() {
            loss.push(told[0] as f32, |earlier, later| earlier + later);
            stop |= told[1] > 0.0;
            for (parameter, square) in owners.parameters(rank).zip(&told[BEHIND..]) {
                squares[parameter] = *square;
            }
        }
        Ok(Reduced {
            loss: loss.finish(|earlier, later| earlier + later).unwrap_or(0.0),
            stop,
            norm: squares.iter().sum::<f64>().sqrt() as f32,
            gradients,
        })
    }

    /// Copies each parameter to all ranks from the rank that has updated this parameter.
    ///
    /// # Errors
    ///
    /// When a rank is missing, or the device fails.
    pub(crate) fn share_weights(&mut self, model: LoopedTransformer) -> Result<LoopedTransformer> {
        let Some(Sharded { owners, sum }) = &mut self.sharded else {
            return Ok(model);
        };
        let rank = self.world.rank();
        let mut failed = Ok(());
        each_parameter(&model, |parameter, weights| {
            if owners.owner(parameter) == rank && failed.is_ok() {
                let place = self.places[parameter].clone();
                failed = copy(weights, &mut self.vector[place]);
            }
        });
        failed?;
        let collective = self.world.collective();
        self.world.told(sum.share(collective, &mut self.vector))?;
        Ok(replace_parameters(model, |parameter| {
            let place = self.places[parameter].clone();
            (owners.owner(parameter) != rank).then(|| self.vector[place].to_vec())
        }))
    }

    /// Returns the moments of all parameters on rank 0, and an empty list on the other ranks. Rank
    /// 0 receives the moments of other ranks one tensor at a time.
    ///
    /// # Errors
    ///
    /// When a rank is missing.
    pub(crate) fn gather_moments(
        &self,
        optimizer: &Optimizer,
    ) -> Result<Vec<NamedTensor<'static>>> {
        let mut own = optimizer.state().into_iter().peekable();
        let mut gathered = Vec::new();
        for moment in optimizer.layout() {
            let owner = self
                .owners()
                .map_or(0, |owners| owners.owner(moment.parameter));
            let is_mine = owner == self.world.rank();
            let here = own.next_if(|(name, _)| *name == moment.name && is_mine);
            let values = here.map(|(_, tensor)| read(tensor)).transpose()?;
            let values = replicas::from_owner(&self.world, owner, values, moment.count)?;
            if self.world.is_first()
                && let Some(values) = values
            {
                let tensor = vector(values, &Device::flex());
                gathered.push(named(moment.name, tensor));
            }
        }
        Ok(gathered)
    }

    /// Returns how long the ranks have computed and waited since the last call.
    ///
    /// # Errors
    ///
    /// When a rank is missing.
    pub(crate) fn lap(&mut self, memory: Option<u64>) -> Result<RankPace> {
        self.watch.lap(&self.world, memory)
    }
}

/// Converts the configured order of addition to the type of `rondo_collective`.
fn order(rules: &DistributedConfig) -> rondo_collective::Reduce {
    match (rules.reduce, rules.gradient_dtype) {
        (Reduce::Ordered, _) => rondo_collective::Reduce::Ordered,
        (Reduce::Fast, GradientDtype::F32) => rondo_collective::Reduce::Fast(Wire::F32),
        (Reduce::Fast, GradientDtype::Bf16) => rondo_collective::Reduce::Fast(Wire::Bf16),
    }
}

/// Returns the range of each vector if vectors with the lengths `counts` are joined end to end.
fn in_order(counts: &[usize]) -> Vec<Range<usize>> {
    let place = |end: &mut usize, count: &usize| {
        let start = *end;
        *end += count;
        Some(start..*end)
    };
    counts.iter().scan(0, place).collect()
}

/// Copies the elements of a tensor from its device to `into`.
fn copy(tensor: Tensor<1>, into: &mut [f32]) -> Result<()> {
    let data = crate::step::read_data(tensor)?;
    match data.as_slice::<f32>() {
        Ok(values) => into.copy_from_slice(values),
        Err(_) => into
            .iter_mut()
            .zip(data.iter::<f32>())
            .for_each(|(to, from)| *to = from),
    }
    Ok(())
}

/// Returns the number of bytes that each of N ranks sends in a step.
///
/// | configuration | fraction of the gradient sent | fraction of the weights sent |
/// |---|---|---|
/// | without ZeRO-1, for an optimal all-reduce | `2·(N − 1)/N` | 0 |
/// | with ZeRO-1 and the ordered sum | `(N − 1)/N` | `(N − 1)/N` |
/// | with ZeRO-1 and the fast sum | `2·(N − 1)/N` | `(N − 1)/N` |
pub fn bytes_per_step(config: &ResolvedConfig, ranks: usize) -> u64 {
    let rules = &config.distributed;
    let parameters = Census::new(&config.model).total() as u64;
    let once = |bytes: u64| parameters * bytes * (ranks as u64 - 1) / ranks as u64;
    let gradient = match rules.gradient_dtype {
        GradientDtype::F32 => 4,
        GradientDtype::Bf16 => 2,
    };
    match (rules.shard_optimizer, rules.reduce) {
        (false, _) => 2 * once(gradient),
        (true, Reduce::Ordered) => 2 * once(4),
        (true, Reduce::Fast) => 2 * once(gradient) + once(4),
    }
}
