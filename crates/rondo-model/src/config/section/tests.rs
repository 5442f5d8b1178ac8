//! Valid and invalid model sections.

use super::*;
use crate::config::{DeeploopScale, HistoryInjection, InfiloopResidual};

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

#[test]
fn a_norm_that_adaln_scales_has_to_be_there_and_deeploop_needs_one_on_the_sum() {
    for (block, expected) in [
        (BlockKind::Sandwich, &[][..]),
        (BlockKind::PreNorm, &["branch_scale"]),
        (BlockKind::PostNorm, &["conditioning"]),
        (BlockKind::BranchSandwich, &["branch_scale"]),
        (BlockKind::BranchPostNorm, &["branch_scale", "conditioning"]),
    ] {
        let config = ModelSection {
            block,
            conditioning: ConditioningKind::Adaln,
            branch_scale: BranchScale::Deeploop(DeeploopScale::default()),
            ..ModelSection::default()
        };
        assert_eq!(violations(&config), expected, "{block:?}");
    }
}

#[test]
fn pairs_are_as_many_as_training_needs_and_no_more_than_it_reaches() {
    let with = |iterations, beyond| {
        let mut config = ModelSection {
            lora: Some(LoraConfig {
                iterations,
                beyond,
                ..LoraConfig::default()
            }),
            ..ModelSection::default()
        };
        (config.recurrence.mean, config.recurrence.max) = (4, 8);
        violations(&config)
    };
    assert_eq!(with(None, Beyond::Repeat), [""; 0]);
    assert_eq!(with(None, Beyond::Cycle), [""; 0]);
    assert_eq!(with(Some(8), Beyond::Refuse), [""; 0]);
    // A draw may have eight iterations, but there are only four pairs.
    assert_eq!(with(None, Beyond::Refuse), ["lora.iterations"]);
    assert_eq!(with(Some(9), Beyond::Repeat), ["lora.iterations"]);
    assert_eq!(with(Some(0), Beyond::Repeat), ["lora.iterations"]);
}
