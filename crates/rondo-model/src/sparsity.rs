//! Gates on the edges of attention, and what a pass makes of them.
//!
//! Every causal edge of a gated layer has the gate logit g = q·k/√d_head + b. In training an edge is open
//! with probability σ(g), with the gradient of σ(g) straight through; in evaluation where g > 0. The
//! weights of attention are masked after their softmax and not normalised again. The fraction of
//! open edges is the mean of σ(g), or of `1[g > 0]`, over the causal edges ("Sparse Attention
//! Post-Training", arXiv 2512.05865).

use std::cell::{Cell, RefCell};

use burn::tensor::{Device, Tensor};
use rondo_config::Report;
use rondo_kernels::attention::mixed_bits;
use serde::{Deserialize, Serialize};

/// `[model.sparsity]`: which layers have gates, and how they start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "keys of a configuration, each a choice of its own"
)]
pub struct SparsityConfig {
    /// Gates in the prelude.
    pub prelude: bool,
    /// Gates in the core, the same weights each iteration.
    pub core: bool,
    /// Gates in the coda.
    pub coda: bool,
    /// b: positive so that gates are open at the start.
    pub gate_bias: f64,
    /// Whether each head of a layer learns what is added to b.
    pub learned_bias: bool,
}

impl Default for SparsityConfig {
    fn default() -> Self {
        Self {
            prelude: true,
            core: true,
            coda: true,
            gate_bias: 3.0,
            learned_bias: false,
        }
    }
}

impl SparsityConfig {
    /// Returns the place of the layer at `path`, `core.0` and below, if it has gates.
    pub fn gate_of(&self, path: &str) -> Option<GatePlace> {
        let mut parts = path.split('.');
        let (stack, layer) = (parts.next()?, parts.next()?.parse().ok()?);
        let (stack, has_gates) = match stack {
            "prelude" => (Stack::Prelude, self.prelude),
            "core" => (Stack::Core, self.core),
            "coda" => (Stack::Coda, self.coda),
            _ => return None,
        };
        has_gates.then_some(GatePlace { stack, layer })
    }

    /// Reports every violation by its key path below `[model.sparsity]`.
    pub fn validate(&self, report: Report<'_>) {
        if !self.gate_bias.is_finite() {
            report(
                "gate_bias",
                format!("must be a finite number, found {}", self.gate_bias),
            );
        }
        if !(self.prelude || self.core || self.coda) {
            report("core", "no layer has gates; remove [model.sparsity]".into());
        }
    }
}

/// A part of the model that has layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stack {
    /// Before the loop.
    Prelude,
    /// Inside it.
    Core,
    /// After it.
    Coda,
}

/// A layer with gates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GatePlace {
    /// The part.
    pub stack: Stack,
    /// Its layer, from 0.
    pub layer: usize,
}

impl GatePlace {
    /// Returns the name of the layer: `core.0`.
    pub fn name(self) -> String {
        let stack = match self.stack {
            Stack::Prelude => "prelude",
            Stack::Core => "core",
            Stack::Coda => "coda",
        };
        format!("{stack}.{}", self.layer)
    }
}

/// The open edges of one gated layer in one pass through it.
#[derive(Clone, Debug)]
pub struct Density {
    /// The layer.
    pub place: GatePlace,
    /// The iteration, from 1; 0 outside the loop.
    pub iteration: usize,
    /// Mean of σ(g), and of `1[g > 0]`, over heads, sequences and causal edges, `[2]`, without gradient.
    pub values: Tensor<1>,
}

impl Density {
    /// Returns place and iteration.
    pub fn at(&self) -> (GatePlace, usize) {
        (self.place, self.iteration)
    }
}

/// How the gates of a pass open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Where g > 0.
    Hard,
    /// With probability σ(g), drawn from a key.
    Drawn(u64),
}

/// The gates of one pass: how they open, and what they have left behind.
#[derive(Clone, Debug)]
pub struct Gates {
    opening: Opening,
    /// The factor of the mean density in the loss.
    strength: f64,
    /// The factor of one layer's density in the loss.
    weight: Cell<f64>,
    iteration: Cell<usize>,
    counted: Cell<bool>,
    log: RefCell<Vec<Density>>,
    /// Expected densities with their graphs, since they were last taken.
    pending: RefCell<Option<Tensor<1>>>,
}

impl Gates {
    /// Opens gates where their logit is positive.
    pub fn hard() -> Self {
        Self::opening(Opening::Hard, 0.0)
    }

    /// Draws gates from `key`; `strength` times the mean density is a part of the loss.
    pub fn drawn(key: u64, strength: f64) -> Self {
        Self::opening(Opening::Drawn(key), strength)
    }

    fn opening(opening: Opening, strength: f64) -> Self {
        Self {
            opening,
            strength,
            weight: Cell::new(0.0),
            iteration: Cell::new(0),
            counted: Cell::new(true),
            log: RefCell::default(),
            pending: RefCell::default(),
        }
    }

    /// Shares the penalty among as many layers as will be passed with gradient.
    pub(crate) fn share(&self, layers: usize) {
        self.weight.set(self.strength / layers.max(1) as f64);
    }

    /// Returns the factor of one layer's density in the loss.
    pub(crate) fn weight(&self) -> f64 {
        self.weight.get()
    }

    /// Says where the pass is: an iteration from 1, or 0 outside the loop; and whether its densities
    /// count, as those of iterations without gradient do not in training.
    pub(crate) fn enter(&self, iteration: usize, counted: bool) {
        self.iteration.set(iteration);
        self.counted.set(counted);
    }

    /// Returns how the gates of a layer open here.
    pub(crate) fn opening_at(&self, place: GatePlace) -> Opening {
        match self.opening {
            Opening::Hard => Opening::Hard,
            Opening::Drawn(key) => {
                let layer = (place.stack as u64) << 32 | place.layer as u64;
                let iteration = self.iteration.get() as u64;
                Opening::Drawn(mixed_bits(mixed_bits(key ^ layer) ^ iteration))
            }
        }
    }

    /// Takes in the mean of σ(g), and of `1[g > 0]`, of a node that adds the penalty's gradient itself.
    pub(crate) fn record_numbers(&self, place: GatePlace, values: [f64; 2], device: &Device) {
        if self.counted.get() {
            let values = values.map(|value| value as f32);
            self.log.borrow_mut().push(Density {
                place,
                iteration: self.iteration.get(),
                values: Tensor::from_data(values, &device.clone().without_autodiff()),
            });
        }
    }

    /// Takes in the mean of σ(g), with its graph, and of `1[g > 0]`, `[1]` each.
    pub(crate) fn record(&self, place: GatePlace, expected: Tensor<1>, hard: Tensor<1>) {
        if !self.counted.get() {
            return;
        }
        let soft = expected.clone().without_autodiff();
        self.log.borrow_mut().push(Density {
            place,
            iteration: self.iteration.get(),
            values: Tensor::cat(vec![soft, hard.without_autodiff()], 0),
        });
        let mut pending = self.pending.borrow_mut();
        *pending = Some(match pending.take() {
            None => expected,
            Some(sum) => sum + expected,
        });
    }

    /// Takes the sum of the densities since the last call, with their graphs.
    pub(crate) fn take_pending(&self) -> Option<Tensor<1>> {
        self.pending.borrow_mut().take()
    }

    /// Returns what was left behind, by place and iteration.
    pub fn into_log(self) -> Vec<Density> {
        let mut log = self.log.into_inner();
        log.sort_by_key(|density| (density.place, density.iteration));
        log
    }
}

/// The open edges of a pass in numbers: fractions of causal edges, averaged over heads, sequences, gated layers
/// and the iterations that count.
#[derive(Clone, Debug, PartialEq)]
pub struct Sparsity {
    /// Edges whose gate's logit is positive.
    pub kept: f64,
    /// Expected open edges, the mean of σ(g).
    pub expected: f64,
    /// `kept` of each gated layer, in order.
    pub by_layer: Vec<(GatePlace, f64)>,
    /// `kept` of each iteration from the first; none where it does not count, or the core has no gates.
    pub by_iteration: Vec<Option<f64>>,
}

impl Sparsity {
    /// Averages what the gates of a pass of `recurrence` iterations left behind; `values` has the two
    /// numbers of each place and iteration. None where no layer has gates.
    pub fn new(at: &[(GatePlace, usize)], values: &[f64], recurrence: usize) -> Option<Self> {
        let rows: Vec<_> = at
            .iter()
            .zip(values.chunks_exact(2))
            .map(|((place, iteration), pair)| (*place, *iteration, pair[0], pair[1]))
            .collect();
        let mut places: Vec<GatePlace> = rows.iter().map(|row| row.0).collect();
        places.sort_unstable();
        places.dedup();
        Some(Self {
            kept: mean(rows.iter().map(|row| row.3))?,
            expected: mean(rows.iter().map(|row| row.2))?,
            by_layer: places
                .into_iter()
                .filter_map(|place| {
                    let of_place = rows.iter().filter(|row| row.0 == place);
                    Some((place, mean(of_place.map(|row| row.3))?))
                })
                .collect(),
            by_iteration: (1..=recurrence)
                .map(|iteration| {
                    let of_iteration = rows.iter().filter(|row| row.1 == iteration);
                    mean(of_iteration.map(|row| row.3))
                })
                .collect(),
        })
    }
}

/// Returns the mean of at least one number.
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}
