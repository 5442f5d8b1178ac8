//! Tests the controller on a task whose answer is known: each position needs exactly one other
//! position, a fixed number of tokens before it.

use burn::tensor::{Int, Tensor, TensorData};
use rand::RngExt;
use rondo_data::{Batch, IGNORE};
use rondo_model::config::LayersConfig;
use rondo_model::depth::DepthSampler;
use rondo_model::pass::Pass;
use rondo_model::seed::{Stream, generator};
use rondo_model::sparsity::SparsityConfig;
use rondo_schedule::control::{Constraint, ControlConfig, Target, target::Absolute};
use rondo_schedule::{Length, Shape};

use super::Control;
use crate::config::{ResolvedConfig, RunConfig};
use crate::device::{DeviceKind, choose_kind};
use crate::initial_states::InitialStates;
use crate::plan::StepPlan;
use crate::step::Learner;

const VOCAB: u32 = 8;
const SEQ: usize = 24;
/// The distance from a position back to the position that it needs.
const BACK: usize = 3;
const STEPS: u64 = 1500;

/// Returns a batch of random tokens. Each token is the target of the position `BACK` tokens later.
fn batch(step: u64) -> Batch {
    let mut rng = generator(11, Stream::Sampling, step);
    let rows = 16;
    let inputs: Vec<u32> = (0..rows * SEQ)
        .map(|_| rng.random_range(0..VOCAB))
        .collect();
    let targets = (0..inputs.len())
        .map(|at| match at % SEQ {
            first if first < BACK => IGNORE,
            _ => inputs[at - BACK],
        })
        .collect();
    Batch {
        inputs,
        targets,
        batch: rows,
        seq: SEQ,
        document_end: None,
    }
}

/// Returns the configuration of a model with one gated layer and one head, iterated once.
fn config() -> ResolvedConfig {
    let mut config = RunConfig::default();
    let model = &mut config.model;
    (model.d_model, model.n_heads, model.d_ff) = (32, 1, 32);
    model.layers = LayersConfig {
        prelude: 0,
        core: 1,
        coda: 0,
    };
    model.recurrence.sampler = DepthSampler::NonRecurrent;
    (model.recurrence.mean, model.recurrence.backprop_depth) = (1, 1);
    model.state_init = rondo_model::config::StateInit::Zero;
    model.sparsity = Some(SparsityConfig::default());
    config.schedule.peak = 3e-3;
    config.schedule.warmup = Length::Steps(20);
    config.schedule.shape = Shape::Constant {};
    config.controller = Some(ControlConfig {
        start_step: 200,
        max_strength: 10.0,
        target: Target::Absolute(Absolute {
            cross_entropy: 0.05,
        }),
        ..ControlConfig::default()
    });
    config.train.steps = Some(STEPS);
    config.resolve_for(VOCAB as usize, SEQ)
}

/// Returns the logits of one sequence, one position after another.
fn logits(learner: &Learner, config: &ResolvedConfig, tokens: &[u32]) -> Vec<f32> {
    use burn::module::Module;
    let device = burn::tensor::Device::flex();
    let model = learner.model().valid();
    let state = InitialStates::Seed(0)
        .at(&config.model, 0, 0, [1, SEQ], &device)
        .expect("states");
    let ids: Vec<i64> = tokens.iter().map(|token| i64::from(*token)).collect();
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [1, SEQ]), &device);
    let pass = Pass::new(&config.model, SEQ, &device);
    let forward = model.forward(ids, state, &pass, 1, None);
    let logits = model.logits(forward.readout.hidden);
    logits.into_data().iter().collect()
}

#[test]
fn what_is_left_are_the_edges_that_the_task_needs() {
    let config = config();
    let (listed, _) = choose_kind(DeviceKind::Flex).expect("flex is always there");
    let mut learner = Learner::fresh(&config, &listed);
    let control = config.controller.as_ref().expect("a controller");
    let mut control = Control::open(control, 0, None).expect("a controller");
    let mut kept = None;
    for step in 1..=STEPS {
        let plan = StepPlan {
            logged: step == STEPS,
            ..StepPlan::new(&config, step)
        };
        learner.penalise(control.strength(step));
        let taken = learner.step(&plan, &[batch(step)]).expect("a step");
        let loss = taken.loss.expect("flex reads its losses");
        control.observe(Constraint::Training, step, loss);
        kept = taken.observation.and_then(|seen| Some(seen.sparsity?.kept));
    }
    let kept = kept.expect("the last step is logged");
    let edges = SEQ * (SEQ + 1) / 2;
    let least = (SEQ - BACK) as f64 / edges as f64;
    assert!(kept <= 2.0 * least, "{kept} of the edges, {least} at least");

    // A closed edge transmits nothing. If a token is changed, only the logits of positions with an
    // open edge to it change.
    let tokens = batch(STEPS + 1).inputs[..SEQ].to_vec();
    let before = logits(&learner, &config, &tokens);
    let of =
        |all: &[f32], position: usize| all[position * VOCAB as usize..][..VOCAB as usize].to_vec();
    let mut needed = 0;
    let mut seen = 0;
    for changed in 0..SEQ {
        let mut others = tokens.clone();
        others[changed] = (others[changed] + 1) % VOCAB;
        let after = logits(&learner, &config, &others);
        for position in changed + 1..SEQ {
            if of(&before, position) != of(&after, position) {
                seen += 1;
                needed += usize::from(position - changed == BACK);
            }
        }
    }
    assert_eq!(needed, SEQ - BACK, "every answer is seen");
    assert!(
        seen <= 2 * (SEQ - BACK),
        "{seen} edges let something through, {needed} must"
    );
    let right = (BACK..SEQ).filter(|position| {
        let row = of(&before, *position);
        let best = (0..VOCAB as usize).max_by(|a, b| row[*a].total_cmp(&row[*b]));
        best == Some(tokens[position - BACK] as usize)
    });
    assert!(right.count() >= SEQ - BACK - 1, "the answers are right");
}
