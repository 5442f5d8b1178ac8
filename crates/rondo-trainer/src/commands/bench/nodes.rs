//! Times the operations that are single nodes on flex. Each is compared with its composition of
//! Burn operations.
//!
//! The node and the composition are timed in turn on the same tensors, so a slow drift of the
//! machine affects both. The backward pass starts from a gradient of ones. The cross entropy
//! computes its gradients already in the forward pass; its backward pass only scales them.

use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use clap::ValueEnum as _;
use rondo_metrics::format::{or_missing, significant};
use rondo_model::block::Block;
use rondo_model::config::InjectionKind;
use rondo_model::gradients::FlatGradients;
use rondo_model::init::{Weights, table};
use rondo_model::layer::At;
use rondo_model::looped::LoopedTransformer;
use rondo_model::norm::RmsNorm;
use rondo_model::ops::{Backend, Projection, ProjectionTensors};
use rondo_model::pass::Pass;
use rondo_train::batches::DeviceBatch;
use rondo_train::config::ResolvedConfig;
use rondo_train::device::Listed;
use rondo_train::error::{Error, Result};
use rondo_train::optim::{Gate, Optimizer};
use rondo_train::step::fresh_optimizer;
use serde_json::{Value, json};

use super::rows::{self, BenchRow};
use super::samples::Samples;
use crate::cli::{BenchArgs, BenchNode, Rounds};
use crate::commands::trial::counting_batch;

/// The layer, and its place in a pass, that the timed block stands for.
const AT: At = At::Core {
    layer: 0,
    iteration: 1,
};

/// A factor below 1 for the gradients, so that an update must scale them.
const CLIPPED: f64 = 0.5;

/// Times every node at the shape of the configuration.
///
/// # Errors
///
/// Returns an error if the device fails.
pub(super) fn command(
    name: &str,
    config: &ResolvedConfig,
    listed: &Listed,
    args: &BenchArgs,
) -> Result<()> {
    let setting = Setting {
        config,
        listed,
        device: listed.device.clone().autodiff(),
    };
    let chosen = match args.node.is_empty() {
        true => BenchNode::value_variants(),
        false => &args.node,
    };
    let nodes: Vec<Node<'_>> = chosen
        .iter()
        .filter_map(|node| setting.timed(*node))
        .collect();
    if nodes.is_empty() {
        let message = "--node injection: the injection of this model is not linear and has no node";
        return Err(Error::Usage(message.to_owned()));
    }
    let fused = setting.chosen() != Backend::Composed;
    let mut rows = Vec::new();
    for node in nodes {
        rows.push(node.time(args.rounds(), fused)?);
    }
    let what = format!(
        "milliseconds for {} × {} tokens",
        config.train.batch, config.train.seq
    );
    rows::print(name, &what, &rows, listed, args)
}

/// Runs an operation once, and returns its times.
type Timed<'a> = Box<dyn FnMut() -> Result<Times> + 'a>;

/// The seconds that one pass takes.
#[derive(Clone, Copy, Debug)]
struct Times {
    forward: f64,
    /// `None` for work without a backward pass.
    backward: Option<f64>,
}

/// One function that is computed in two ways.
struct Node<'a> {
    name: &'static str,
    /// The function as the model calls it. On flex, this is one node.
    chosen: Timed<'a>,
    composed: Timed<'a>,
}

impl Node<'_> {
    /// Times the node and the composition in turn. If there is no node, times only the composition.
    fn time(mut self, rounds: Rounds, fused: bool) -> Result<Row> {
        let (mut chosen, mut composed) = (Vec::new(), Vec::new());
        for _ in 0..rounds.warmup + rounds.counted {
            if fused {
                chosen.push((self.chosen)()?);
            }
            composed.push((self.composed)()?);
        }
        let counted = |mut passes: Vec<Times>| Passes(passes.split_off(rounds.warmup));
        Ok(Row {
            node: self.name,
            fused: fused.then(|| counted(chosen)),
            composed: counted(composed),
        })
    }
}

/// The configuration and the device for the timing.
struct Setting<'a> {
    config: &'a ResolvedConfig,
    listed: &'a Listed,
    /// The same device as `listed`, with autodiff.
    device: Device,
}

impl<'a> Setting<'a> {
    /// Returns the node, or `None` if the configuration has no such node.
    fn timed(&'a self, node: BenchNode) -> Option<Node<'a>> {
        match node {
            BenchNode::Attention => Some(self.attention()),
            BenchNode::Mlp => Some(self.feed_forward()),
            BenchNode::Norm => Some(self.norm()),
            BenchNode::Injection => self.injection(),
            BenchNode::Head => Some(self.cross_entropy()),
            BenchNode::Update => Some(self.update()),
        }
    }

    fn attention(&'a self) -> Node<'a> {
        let batch = DeviceBatch::new(&counting_batch(self.config), &self.device);
        let pass = Pass::new(&self.config.model, self.config.train.seq, &self.device);
        let pass = batch.pass(pass);
        let block = self.block();
        self.node("attention", |backend| {
            let (block, pass, ops) = (block.clone(), pass.clone(), backend.operations());
            self.differentiated(move |x| block.attend(ops, x, pass.shared(), AT, None).0)
        })
    }

    fn feed_forward(&'a self) -> Node<'a> {
        let block = self.block();
        self.node("MLP", |backend| {
            let (block, ops) = (block.clone(), backend.operations());
            self.differentiated(move |x| block.feed(ops, x, None))
        })
    }

    fn norm(&'a self) -> Node<'a> {
        let norm = RmsNorm::new(self.config.model.norm, "norm", &self.weights());
        self.node("norm", |backend| {
            let (norm, ops) = (norm.clone(), backend.operations());
            self.differentiated(move |x| ops.norm(norm.description(), x, norm.scale()))
        })
    }

    /// Returns the node of a linear injection. Other injections have no node.
    fn injection(&'a self) -> Option<Node<'a>> {
        if self.config.model.injection != InjectionKind::Linear {
            return None;
        }
        let adapter = self.weights().get::<2>("injection.adapter").val();
        let prepared = self.states().autodiff().require_grad();
        let [_, _, width] = prepared.dims();
        let projection = Projection {
            rows: 0..width,
            precision: self.listed.precision,
        };
        Some(self.node("injection", |backend| {
            let (projection, weight) = (projection.clone(), adapter.clone());
            let (base, ops) = (Some(prepared.clone()), backend.operations());
            self.differentiated(move |x| {
                let (weight, base) = (weight.clone(), base.clone());
                let tensors = ProjectionTensors { x, weight, base };
                ops.project(projection.clone(), tensors)
            })
        }))
    }

    fn cross_entropy(&'a self) -> Node<'a> {
        let model = &self.config.model;
        let head = LoopedTransformer::with_weights(model, &self.weights()).head();
        let batch = counting_batch(self.config);
        let targets = DeviceBatch::new(&batch, &self.listed.device).targets;
        self.node("head with loss", |backend| {
            let (head, targets, ops) = (head.clone(), targets.clone(), backend.operations());
            self.differentiated(move |x| {
                let (head, targets) = (head.clone(), targets.clone());
                ops.head_cross_entropy(x, head, targets, None, false).loss
            })
        })
    }

    /// Returns the update of every parameter.
    fn update(&'a self) -> Node<'a> {
        Node {
            name: "update",
            chosen: self.updated(Optimizer::step),
            composed: self.updated(Optimizer::step_composed),
        }
    }

    /// Returns two forms of an operation: with the backend that the model chooses, and composed.
    fn node(&self, name: &'static str, timed: impl Fn(Backend) -> Timed<'a>) -> Node<'a> {
        Node {
            name,
            chosen: timed(self.chosen()),
            composed: timed(Backend::Composed),
        }
    }

    /// Returns the backend that the model chooses.
    fn chosen(&self) -> Backend {
        Backend::of(&self.states())
    }

    fn updated(&'a self, step: Step) -> Timed<'a> {
        let (config, device) = (self.config, &self.listed.device);
        let rows = table(&config.model);
        let normal = Distribution::Normal(0.0, 1.0);
        let gradients = rows
            .iter()
            .map(|row| Tensor::<1>::random([row.count()], normal, device));
        let gradients = FlatGradients::new(gradients.collect());
        let (mut optimizer, peak) = (fresh_optimizer(config), config.schedule.peak);
        let mut model = Some(LoopedTransformer::with_weights(
            &config.model,
            &self.weights(),
        ));
        Box::new(move || {
            let (before, gradients) = (model.take(), gradients.clone());
            let (forward, after) = self.clock(|| {
                let gate = Gate::Host(CLIPPED);
                before.map(|model| step(&mut optimizer, model, gradients, &gate, peak))
            })?;
            model = after;
            Ok(Times {
                forward,
                backward: None,
            })
        })
    }

    /// Times a function of states, and its backward pass.
    fn differentiated<const D: usize>(
        &'a self,
        function: impl Fn(Tensor<3>) -> Tensor<D> + 'a,
    ) -> Timed<'a> {
        let states = self.states();
        Box::new(move || {
            let x = states.clone().autodiff().require_grad();
            let (forward, y) = self.clock(|| function(x))?;
            let (backward, _) = self.clock(|| y.backward())?;
            Ok(Times {
                forward,
                backward: Some(backward),
            })
        })
    }

    /// Runs `work`, and returns its duration in seconds and its result.
    fn clock<T>(&self, work: impl FnOnce() -> T) -> Result<(f64, T)> {
        self.listed.sync()?;
        let started = Instant::now();
        let given = work();
        self.listed.sync()?;
        Ok((started.elapsed().as_secs_f64(), given))
    }

    fn weights(&self) -> Weights<'_> {
        let weights = Weights::new(&self.config.model, self.config.seed, &self.device);
        weights.with_precision(self.listed.precision)
    }

    fn block(&self) -> Block {
        Block::new(&self.config.model, AT.layer(), &self.weights())
    }

    /// Draws states, `[batch, seq, d_model]`, outside the graph.
    fn states(&self) -> Tensor<3> {
        let shape = [
            self.config.train.batch,
            self.config.train.seq,
            self.config.model.d_model,
        ];
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &self.listed.device)
    }
}

/// The type of [`Optimizer::step`] and of its composed form.
type Step = fn(&mut Optimizer, LoopedTransformer, FlatGradients, &Gate, f64) -> LoopedTransformer;

/// The passes that are counted; warm-up passes are not among them.
struct Passes(Vec<Times>);

impl Passes {
    fn forward(&self) -> f64 {
        Samples::new(self.0.iter().map(|pass| pass.forward).collect()).median()
    }

    fn backward(&self) -> Option<f64> {
        let seconds: Option<Vec<f64>> = self.0.iter().map(|pass| pass.backward).collect();
        seconds.map(|seconds| Samples::new(seconds).median())
    }

    /// Returns the sum of forward and backward time for each pass.
    fn both(&self) -> Samples {
        let both = |times: &Times| times.forward + times.backward.unwrap_or(0.0);
        Samples::new(self.0.iter().map(both).collect())
    }
}

/// A node, its times, and the times of its composition.
struct Row {
    node: &'static str,
    fused: Option<Passes>,
    composed: Passes,
}

impl Row {
    /// Returns the time of the composition divided by the time of the node.
    fn ratio(&self) -> Option<f64> {
        let fused = self.fused.as_ref()?.both().median();
        Some(self.composed.both().median() / fused)
    }

    fn forward(&self) -> Option<f64> {
        self.fused.as_ref().map(Passes::forward)
    }

    fn backward(&self) -> Option<f64> {
        self.fused.as_ref().and_then(Passes::backward)
    }

    fn spread(&self) -> Option<f64> {
        self.fused.as_ref().map(|fused| fused.both().spread())
    }
}

impl BenchRow for Row {
    const HEADER: &'static [&'static str] = &[
        "node",
        "forward",
        "backward",
        "composed fwd",
        "composed bwd",
        "ratio",
        "spread",
    ];
    const KEY: &'static str = "nodes";

    fn json(&self) -> Value {
        json!({
            "node": self.node,
            "forward_seconds": self.forward(),
            "backward_seconds": self.backward(),
            "composed_forward_seconds": self.composed.forward(),
            "composed_backward_seconds": self.composed.backward(),
            "ratio": self.ratio(),
            "spread": self.spread(),
            "composed_spread": self.composed.both().spread(),
        })
    }

    /// Shows times in milliseconds. The spread is the larger one of the node and the composition.
    fn cells(&self) -> Vec<String> {
        let milliseconds =
            |seconds: Option<f64>| or_missing(seconds, |seconds| significant(1e3 * seconds, 3));
        let spread = self.composed.both().spread();
        vec![
            self.node.to_owned(),
            milliseconds(self.forward()),
            milliseconds(self.backward()),
            milliseconds(Some(self.composed.forward())),
            milliseconds(self.composed.backward()),
            or_missing(self.ratio(), |ratio| significant(ratio, 3)),
            format!("{:.0} %", 100.0 * self.spread().unwrap_or(0.0).max(spread)),
        ]
    }
}
