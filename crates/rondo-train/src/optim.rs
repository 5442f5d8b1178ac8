//! Optimizers: one update rule for each parameter, chosen by the role of the parameter.
//!
//! Parameters, gradients and moments are flat vectors in the order of the model's parameter table.
//! The module tree visits the parameters in this order, too. The row of a parameter decides which
//! rule updates the parameter and whether the parameter decays. Every parameter is in exactly one
//! group, because the table has one row for each parameter and `Group::of` is a total function of a
//! row.
//!
//! In reading order: `config` (the rule and its constants); `adamw`, `raven_adam`, `muon` (the
//! rules); `backend` (the interface for computing them), `flex` and `cube` (compute updates in the
//! memory of the parameter); `clip` (scales or rejects an update); `sum` (adds the elements of a
//! long vector).

mod adamw;
mod backend;
mod clip;
mod config;
#[cfg(feature = "cube")]
mod cube;
mod flex;
mod muon;
mod raven_adam;
mod sum;

pub use self::adamw::AdamW;
pub(crate) use self::clip::sum_of_squares;
pub use self::clip::{Gate, global_norm};
pub use self::config::OptimizerConfig;
pub use self::muon::Muon;
pub use self::raven_adam::RavenAdam;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use rondo_kernels::update::{Step, Update};
use rondo_model::gradients::FlatGradients;
use rondo_model::init::{ParameterSpec, Role};
use rondo_model::looped::LoopedTransformer;
use rondo_model::ops::Backend;

use self::backend::{SharedStep, updates};

/// How the optimizer treats a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Group {
    /// Whether weight decay applies. Matrices, low-rank pairs and the embedding decay; norms and
    /// biases do not.
    decayed: bool,
    /// Whether the parameter is a matrix that multiplies activations. Muon orthogonalizes the
    /// updates of such matrices.
    matrix: bool,
}

impl Group {
    fn of(row: &ParameterSpec) -> Self {
        match row.role {
            // A low-rank parameter stacks the pairs of several iterations. The stacked matrix as a
            // whole does not multiply activations.
            Role::Embedding | Role::LowRank => Self {
                decayed: true,
                matrix: false,
            },
            Role::Matrix => Self {
                decayed: true,
                matrix: true,
            },
            Role::Scale | Role::Bias | Role::Rate | Role::GateBias => Self {
                decayed: false,
                matrix: false,
            },
        }
    }
}

/// The learning rate and the number of a step's update, as the rules need them.
#[derive(Clone, Copy, Debug)]
struct Rates {
    /// The learning rate η of this step.
    lr: f64,
    /// The maximum learning rate of the schedule.
    peak: f64,
    /// The number of updates up to this one, for the bias correction.
    update: u64,
    decayed: bool,
}

impl Rates {
    /// Returns the numbers of the update. Without weight decay, `decay` is replaced by 0.
    fn step(self, [beta1, beta2]: [f64; 2], decay: f64) -> Step {
        Step {
            lr: self.lr,
            decay: if self.decayed { decay } else { 0.0 },
            beta1,
            beta2,
            update: self.update,
            gradient_scale: 1.0,
        }
    }
}

/// The moments of all parameters, as flat vectors, and the number of updates so far.
pub struct Optimizer {
    config: OptimizerConfig,
    rows: Vec<ParameterSpec>,
    moments: Vec<Moments>,
    updates: u64,
    peak: f64,
}

/// The first and second moment of a parameter, `[numel]` each. Muon's momentum is a first moment;
/// there is no second.
#[derive(Clone, Debug, Default)]
struct Moments {
    first: Option<Tensor<1>>,
    second: Option<Tensor<1>>,
}

/// The description of one moment of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MomentSpec {
    /// The name of the moment, for example `core.0.attention.qkv.first`.
    pub name: String,
    /// The number of the parameter in the parameter table.
    pub parameter: usize,
    /// The number of elements of the moment.
    pub count: usize,
    order: Order,
}

/// First or second moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    First,
    Second,
}

impl Order {
    fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
        }
    }
}

impl Optimizer {
    /// Creates an optimizer without moments.
    pub fn new(config: &OptimizerConfig, rows: Vec<ParameterSpec>, peak: f64) -> Self {
        let moments = rows.iter().map(|_| Moments::default()).collect();
        Self {
            config: config.clone(),
            rows,
            moments,
            updates: 0,
            peak,
        }
    }

    /// Updates every parameter with the learning rate `lr`. `gate` scales or rejects the update.
    pub fn step(
        &mut self,
        model: LoopedTransformer,
        gradients: FlatGradients,
        gate: &Gate,
        lr: f64,
    ) -> LoopedTransformer {
        self.step_by(None, model, given(gradients), gate, lr)
    }

    /// Does what [`Self::step`] does, but only for the parameters that have a gradient. The other
    /// parameters keep their values.
    pub fn step_some(
        &mut self,
        model: LoopedTransformer,
        gradients: Vec<Option<Tensor<1>>>,
        gate: &Gate,
        lr: f64,
    ) -> LoopedTransformer {
        self.step_by(None, model, gradients, gate, lr)
    }

    /// Does what [`Self::step`] does, but with composed Burn operations on every device. Tests and
    /// benchmarks compare it with the updates in place.
    pub fn step_composed(
        &mut self,
        model: LoopedTransformer,
        gradients: FlatGradients,
        gate: &Gate,
        lr: f64,
    ) -> LoopedTransformer {
        self.step_by(Some(Backend::Composed), model, given(gradients), gate, lr)
    }

    fn step_by(
        &mut self,
        backend: Option<Backend>,
        model: LoopedTransformer,
        gradients: Vec<Option<Tensor<1>>>,
        gate: &Gate,
        lr: f64,
    ) -> LoopedTransformer {
        self.updates += 1;
        let step = self.shared_step(gate, lr);
        let mut stepper = Stepper {
            optimizer: self,
            gradients: gradients.into_iter(),
            index: 0,
            backend,
            step,
        };
        model.map(&mut stepper)
    }

    /// Returns every moment with its name, such as `core.0.attention.qkv.first`.
    pub fn state(&self) -> Vec<(String, Tensor<1>)> {
        let named = |(row, moments): (&ParameterSpec, &Moments)| {
            let name = |order: Order| format!("{}.{}", row.name, order.name());
            let first = moments.first.clone().map(|m| (name(Order::First), m));
            let second = moments.second.clone().map(|m| (name(Order::Second), m));
            first.into_iter().chain(second)
        };
        let rows = self.rows.iter().zip(&self.moments);
        rows.flat_map(named).collect()
    }

    /// Returns the number of updates so far.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Describes every moment, in the order in which [`Self::state`] returns the moments after the
    /// first update.
    pub fn layout(&self) -> Vec<MomentSpec> {
        let parts = |(parameter, row): (usize, &ParameterSpec)| {
            let second = !self.orthogonalises(Group::of(row));
            let moment = |order: Order| MomentSpec {
                name: format!("{}.{}", row.name, order.name()),
                parameter,
                count: row.count(),
                order,
            };
            let first = Some(moment(Order::First));
            first
                .into_iter()
                .chain(second.then(|| moment(Order::Second)))
        };
        self.rows.iter().enumerate().flat_map(parts).collect()
    }

    /// Restores moments that [`Self::state`] has returned. `tensor` returns the values of one
    /// moment. It is called for each moment in [`Self::layout`], in that order.
    pub fn restore(
        &mut self,
        updates: u64,
        mut tensor: impl FnMut(&MomentSpec) -> Option<Tensor<1>>,
    ) {
        self.moments.fill(Moments::default());
        for moment in self.layout() {
            let moments = &mut self.moments[moment.parameter];
            let place = match moment.order {
                Order::First => &mut moments.first,
                Order::Second => &mut moments.second,
            };
            *place = tensor(&moment);
        }
        self.updates = updates;
    }

    /// Returns the values that all updates of a step use.
    fn shared_step<'g>(&self, gate: &'g Gate, lr: f64) -> SharedStep<'g> {
        let decaying = elementwise(&self.config, self.rates(lr, true));
        SharedStep::new(decaying, gate)
    }

    /// Returns the learning rate and number of the newest update.
    fn rates(&self, lr: f64, decayed: bool) -> Rates {
        Rates {
            lr,
            peak: self.peak,
            update: self.updates,
            decayed,
        }
    }

    /// Updates the parameter with number `index`, as a part of `step`.
    fn update(
        &mut self,
        index: usize,
        parameter: Tensor<1>,
        gradient: Tensor<1>,
        backend: Backend,
        step: &mut SharedStep<'_>,
    ) -> Tensor<1> {
        let row = &self.rows[index];
        let group = Group::of(row);
        let rates = self.rates(step.update.step.lr, group.decayed);
        let before = std::mem::take(&mut self.moments[index]);
        let (after, moments) = match &self.config {
            OptimizerConfig::Muon(rule) if group.matrix => {
                let shape = [row.shape[0], row.shape[1]];
                let own =
                    |value, gradient, moments| rule.update(value, gradient, moments, rates, shape);
                step.gate.apply(parameter, gradient, before, own)
            }
            config => {
                let update = elementwise(config, rates);
                updates(backend).update(update, step, parameter, gradient, before)
            }
        };
        self.moments[index] = moments;
        after
    }

    /// Returns whether the updates of a group's parameters are orthogonalized.
    fn orthogonalises(&self, group: Group) -> bool {
        matches!(self.config, OptimizerConfig::Muon(_)) && group.matrix
    }
}

/// Returns the gradients as a list in which every parameter has a gradient.
fn given(gradients: FlatGradients) -> Vec<Option<Tensor<1>>> {
    gradients.into_tensors().into_iter().map(Some).collect()
}

/// Returns the update of a parameter whose update is not orthogonalized.
fn elementwise(config: &OptimizerConfig, rates: Rates) -> Update {
    match config {
        OptimizerConfig::RavenAdam(rule) => rule.describe(rates),
        OptimizerConfig::AdamW(rule) => rule.describe(rates),
        OptimizerConfig::Muon(rule) => rule.rest().describe(rates),
    }
}

struct Stepper<'a> {
    optimizer: &'a mut Optimizer,
    /// The gradient of each parameter. `None` for a parameter that keeps its value.
    gradients: std::vec::IntoIter<Option<Tensor<1>>>,
    index: usize,
    /// The backend for all parameters. `None` uses the backend of each parameter.
    backend: Option<Backend>,
    step: SharedStep<'a>,
}

impl ModuleMapper for Stepper<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let index = self.index;
        self.index += 1;
        let gradient = self.gradients.next();
        let Some(gradient) = gradient.expect("one place for each parameter") else {
            return param;
        };
        let (id, value, mapper) = param.consume();
        let value = value.without_autodiff();
        let shape = value.shape();
        let flat: Tensor<1> = value.reshape([shape.num_elements()]);
        let backend = self.backend.unwrap_or_else(|| Backend::of(&flat));
        let after = self
            .optimizer
            .update(index, flat, gradient, backend, &mut self.step)
            .reshape(shape);
        Param::from_mapped_value(id, after.autodiff().require_grad(), mapper)
    }
}

#[cfg(test)]
mod tests;
