//! What a model may be.

use super::*;
use crate::config::{HistoryInjection, InfiloopResidual};

fn violations(config: &ModelSection) -> Vec<String> {
    let mut keys = Vec::new();
    config.validate(&mut |key, _| keys.push(key.to_owned()));
    keys
}

#[test]
fn the_default_is_valid() {
    assert_eq!(violations(&ModelSection::default()), [""; 0]);
}

#[test]
fn every_violation_is_reported_at_once() {
    let config = ModelSection {
        d_model: 30,
        d_ff: 0,
        n_kv_heads: Some(3),
        rope_base: f64::NAN,
        layers: LayersConfig {
            prelude: 0,
            core: 0,
            coda: 0,
        },
        ..ModelSection::default()
    };
    let found = violations(&config);
    assert_eq!(
        found,
        ["d_ff", "layers.core", "d_model", "n_kv_heads", "rope_base"]
    );
}

#[test]
fn a_section_resolves_with_the_vocabulary_of_the_data_unless_it_names_one() {
    let section = ModelSection::default();
    let model = section.resolve(300);
    assert_eq!((model.vocab_size, model.n_kv_heads), (300, 4));
    let named = ModelSection {
        vocab_size: Some(512),
        n_kv_heads: Some(2),
        ..section
    };
    let model = named.resolve(300);
    assert_eq!((model.vocab_size, model.n_kv_heads), (512, 2));
    assert_eq!(model.to_section(), named);
}

#[test]
fn lanes_stand_beside_nothing_that_speaks_of_one_state() {
    let config = ModelSection {
        hyper_connections: Some(HyperConnections {
            lanes: 1,
            iterations: Some(0),
        }),
        injection: InjectionKind::History(HistoryInjection::default()),
        conditioning: ConditioningKind::LoopGate,
        loop_residual: ResidualKind::Infiloop(InfiloopResidual::default()),
        ..ModelSection::default()
    };
    let expected = [
        "hyper_connections.lanes",
        "hyper_connections.iterations",
        "loop_residual",
        "injection",
        "conditioning",
    ];
    assert_eq!(violations(&config), expected);
}

#[test]
fn a_history_needs_a_third_iteration_and_a_learned_beta_both_ends_open() {
    let mut config = ModelSection {
        injection: InjectionKind::History(HistoryInjection::default()),
        loop_residual: ResidualKind::Infiloop(InfiloopResidual {
            beta: 1.0,
            learned: true,
        }),
        ..ModelSection::default()
    };
    config.recurrence.max = 2;
    config.recurrence.mean = 2;
    assert_eq!(violations(&config), ["injection", "loop_residual.beta"]);
    config.recurrence.max = 3;
    config.loop_residual = ResidualKind::Infiloop(InfiloopResidual {
        beta: 1.0,
        learned: false,
    });
    assert_eq!(violations(&config), [""; 0]);
}
