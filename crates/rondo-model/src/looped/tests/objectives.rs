//! Losses with terms after several iterations and with penalties have the gradients of a single
//! graph.

use super::arms::shaken;
use super::*;
use crate::depth::Recompute;
use crate::gradients::GradientSum;
use crate::objective::Objective;
use crate::penalty::{Penalty, direction, forward_difference, mean_square, residual};

/// The tolerance for another order of summation, relative to the largest number.
const ROUNDING: f32 = 2e-5;

/// The cross entropy after some iterations, with a penalty.
struct Several<'a> {
    model: &'a LoopedTransformer,
    /// The iterations that have a term, with the weights of the terms.
    terms: &'a [(usize, f64)],
    penalty: Option<(Penalty, f64)>,
    asked: Vec<usize>,
}

impl<'a> Several<'a> {
    fn new(model: &'a LoopedTransformer, terms: &'a [(usize, f64)]) -> Self {
        Self {
            model,
            terms,
            penalty: None,
            asked: Vec::new(),
        }
    }

    fn with(self, penalty: &Penalty) -> Self {
        Self {
            penalty: Some((penalty.clone(), 0.5)),
            ..self
        }
    }
}

fn cross_entropy(model: &LoopedTransformer, readout: &Readout) -> Tensor<1> {
    let targets = tokens(Some(0), &readout.hidden.device());
    head_cross_entropy(readout.hidden.clone(), model.head(), targets, None, false).loss
}

impl Objective for Several<'_> {
    fn reads(&self, iteration: usize) -> bool {
        self.terms.iter().any(|(i, _)| *i == iteration)
    }

    fn term(&mut self, iteration: usize, readout: &Readout) -> Tensor<1> {
        self.asked.push(iteration);
        let mut weights = self.terms.iter().filter(|(i, _)| *i == iteration);
        let (_, weight) = weights.next().expect("only what counts is asked for");
        cross_entropy(self.model, readout) * *weight
    }

    fn penalty(&self) -> Option<(&Penalty, f64)> {
        let (penalty, factor) = self.penalty.as_ref()?;
        Some((penalty, *factor))
    }
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().iter().collect()
}

/// Loss, penalty and gradients. The gradients are in table order.
#[derive(Debug, PartialEq)]
struct Found {
    loss: Vec<f32>,
    penalty: Option<Vec<f32>>,
    gradients: Vec<Vec<f32>>,
}

fn segmented(
    model: &LoopedTransformer,
    config: &ModelConfig,
    start: LoopState,
    unroll: Unroll,
    objective: &mut impl Objective,
) -> Found {
    let device = Device::flex().autodiff();
    let pass = Pass::new(config, SEQ, &device);
    let ids = tokens(None, &device);
    let found = model.differentiate_for(ids, start, &pass, unroll, None, objective);
    Found {
        loss: values(found.loss),
        penalty: found.penalty.map(values),
        gradients: found
            .gradients
            .into_tensors()
            .into_iter()
            .map(values)
            .collect(),
    }
}

/// Computes loss, penalty and gradients with a single graph over `iterations` iterations.
fn composed(
    model: &LoopedTransformer,
    config: &ModelConfig,
    iterations: usize,
    terms: &[(usize, f64)],
    penalty: Option<&Penalty>,
) -> Found {
    let device = Device::flex().autodiff();
    let pass = Pass::new(config, SEQ, &device);
    let (embedding, _) = model.embed(tokens(None, &device), pass.shared());
    let mut state = model.started(self::state(config, &device).into(), &embedding);
    let prepared = model.injection.prepare(embedding);
    let mut core = Core::new(model.parts(), &prepared, pass.shared(), iterations);
    let mut loss: Option<Tensor<1>> = None;
    for i in 1..=iterations {
        state = recurrence::run(1, state, &mut core, None);
        for (_, weight) in terms.iter().filter(|(of, _)| *of == i) {
            let (readout, _) = model.read_out(&state, pass.shared());
            let term = cross_entropy(model, &readout) * *weight;
            loss = Some(loss.map_or(term.clone(), |sum| sum + term));
        }
    }
    let loss = loss.expect("a term");
    let held = state.clone().once_more();
    let held = held.map(|x| x.without_autodiff().autodiff());
    let x = held.state().clone();
    let f = |x: Tensor<3>| core.apply(held.clone().at(x)).0.into_state();
    let penalty = penalty.map(|penalty| match penalty {
        Penalty::Norm => mean_square(state.state().clone()),
        Penalty::FixedPoint => residual(f, &x),
        Penalty::Jacobian { direction, epsilon } => {
            forward_difference(f, &x, (**direction).clone().autodiff(), *epsilon)
        }
    });
    let all = match &penalty {
        Some(penalty) => loss.clone() + penalty.clone() * 0.5,
        None => loss.clone(),
    };
    let mut sum = GradientSum::new(model);
    sum.take(&mut all.backward());
    Found {
        loss: values(loss),
        penalty: penalty.map(values),
        gradients: sum
            .finish()
            .into_tensors()
            .into_iter()
            .map(values)
            .collect(),
    }
}

fn penalties(config: &ModelConfig) -> Vec<(&'static str, Penalty)> {
    let shape = [BATCH, SEQ, config.d_model];
    let jacobian = Penalty::Jacobian {
        direction: Box::new(direction(1, 0, shape, &Device::flex())),
        // The gradient of the penalty is a difference divided by ε, which is dominated by rounding
        // for small ε.
        epsilon: 1.0,
    };
    let mut all = vec![("norm", Penalty::Norm)];
    if config.hyper_connections.is_none() {
        all.extend([("fixed-point", Penalty::FixedPoint), ("jacobian", jacobian)]);
    }
    all
}

#[track_caller]
fn assert_close(name: &str, config: &ModelConfig, found: &Found, expected: &Found) {
    let relative = |a: f32, b: f32| (a - b).abs() / b.abs().max(f32::MIN_POSITIVE);
    assert!(
        relative(found.loss[0], expected.loss[0]) < ROUNDING,
        "{name}"
    );
    match (&found.penalty, &expected.penalty) {
        (Some(found), Some(expected)) => {
            assert!(
                relative(found[0], expected[0]) < ROUNDING,
                "{name}: {found:?} {expected:?}"
            );
        }
        (found, expected) => assert_eq!(found, expected, "{name}"),
    }
    let rows = table(config);
    for ((row, found), expected) in rows.iter().zip(&found.gradients).zip(&expected.gradients) {
        let largest = expected.iter().map(|x| x.abs()).fold(0.0, f32::max);
        for (a, b) in found.iter().zip(expected) {
            let close = (a - b).abs() <= ROUNDING * largest;
            assert!(close, "{name}: {}: {a} {b} of {largest}", row.name);
        }
    }
}

const ALL: Unroll = Unroll {
    no_grad: 0,
    with_grad: 4,
};
const TERMS: [(usize, f64); 3] = [(1, 0.2), (3, 0.3), (4, 0.5)];

#[test]
fn the_gradients_of_terms_after_several_iterations_are_those_of_one_graph_in_every_structure() {
    let device = Device::flex().autodiff();
    for (name, config) in structures() {
        let model = shaken(&config, &device);
        let start = state(&config, &device).into();
        let mut terms = Several::new(&model, &TERMS);
        let found = segmented(&model, &config, start, ALL, &mut terms);
        assert_eq!(terms.asked, [1, 3, 4], "{name}");
        let expected = composed(&model, &config, 4, &TERMS, None);
        assert_close(name, &config, &found, &expected);
    }
}

#[test]
fn the_gradients_of_a_penalty_are_those_of_one_graph_in_every_structure() {
    let device = Device::flex().autodiff();
    for (name, config) in structures() {
        // Models with gates are skipped: gates may open between x and x + εv, and the configuration
        // does not allow gates with these penalties.
        if config.sparsity.is_some() {
            continue;
        }
        let model = shaken(&config, &device);
        for (kind, penalty) in penalties(&config) {
            let start = state(&config, &device).into();
            let mut terms = Several::new(&model, &TERMS[2..]).with(&penalty);
            let found = segmented(&model, &config, start, ALL, &mut terms);
            let expected = composed(&model, &config, 4, &TERMS[2..], Some(&penalty));
            let name = format!("{name}, {kind}");
            assert_close(&name, &config, &found, &expected);
            let plain = composed(&model, &config, 4, &TERMS[2..], None);
            assert_ne!(plain.gradients, expected.gradients, "{name}");
        }
    }
}

#[test]
fn iterations_that_are_run_again_give_the_same_bits_with_every_term() {
    let device = Device::flex().autodiff();
    let unroll = Unroll {
        no_grad: 2,
        with_grad: 3,
    };
    let terms = [(3, 0.25), (4, 0.25), (5, 0.5)];
    for (name, config) in structures() {
        let mut again = config.clone();
        again.recurrence.recompute = Recompute::Iteration;
        for (kind, penalty) in penalties(&config) {
            let [kept, rerun] = [&config, &again].map(|config| {
                let model = shaken(config, &device);
                let start = state(config, &device).into();
                let mut terms = Several::new(&model, &terms).with(&penalty);
                segmented(&model, config, start, unroll, &mut terms)
            });
            assert_eq!(kept, rerun, "{name}, {kind}");
        }
    }
}

#[test]
fn an_iteration_without_gradient_is_never_asked_for_and_counts_as_a_given_state() {
    let device = Device::flex().autodiff();
    let config = config();
    let model = shaken(&config, &device);
    let terms = [(1, 0.25), (2, 0.25), (4, 0.5), (5, 1.0)];
    let penalty = &penalties(&config)[2].1;
    let run = |start: LoopState, no_grad| {
        let unroll = Unroll {
            no_grad,
            with_grad: 2,
        };
        let mut terms = Several::new(&model, &terms).with(penalty);
        let found = segmented(&model, &config, start, unroll, &mut terms);
        (terms.asked, found)
    };
    let start = LoopState::from(state(&config, &device));
    let (asked, whole) = run(start.clone(), 3);
    assert_eq!(asked, [4, 5]);
    let pass = Pass::new(&config, SEQ, &device);
    let unroll = Unroll {
        no_grad: 3,
        with_grad: 0,
    };
    let last = [(3, 1.0)];
    let mut terms = Several::new(&model, &last);
    let ids = tokens(None, &device);
    let reached = model.differentiate_for(ids, start, &pass, unroll, None, &mut terms);
    let given = LoopState::from(reached.forward.readout.latent);
    // Counts the given state as the state after 3 iterations.
    let given = (0..3).fold(given.clone(), |state, _| {
        let same = given.state().clone();
        state.followed_by(same, 0)
    });
    assert_eq!(given.iterations(), 3);
    let (asked, found) = run(given, 0);
    assert_eq!(asked, [4, 5]);
    assert_eq!(found, whole);
}

#[test]
fn a_single_term_is_the_loss_of_the_last_readout_to_the_bit() {
    let device = Device::flex().autodiff();
    let config = config();
    let model = shaken(&config, &device);
    let unroll = Unroll {
        no_grad: 1,
        with_grad: 3,
    };
    let pass = Pass::new(&config, SEQ, &device);
    let (ids, start) = (tokens(None, &device), state(&config, &device));
    let loss = |readout: &Readout| cross_entropy(&model, readout) * 1.0;
    let plain = model.differentiate(ids, start.clone(), &pass, unroll, None, loss);
    let terms = [(4, 1.0)];
    let mut terms = Several::new(&model, &terms);
    let found = segmented(&model, &config, start.into(), unroll, &mut terms);
    assert_eq!(found.loss, values(plain.loss));
    let gradients = plain.gradients.into_tensors().into_iter().map(values);
    assert_eq!(found.gradients, gradients.collect::<Vec<_>>());
}
