//! What a model may be.

use super::*;

fn violations(config: &ModelConfig) -> Vec<String> {
    let mut keys = Vec::new();
    config.validate(&mut |key, _| keys.push(key.to_owned()));
    keys
}

#[test]
fn the_default_is_valid() {
    assert_eq!(violations(&ModelConfig::default()), [""; 0]);
}

#[test]
fn every_violation_is_reported_at_once() {
    let config = ModelConfig {
        d_model: 30,
        d_ff: 0,
        n_kv_heads: Some(3),
        rope_base: f64::NAN,
        layers: LayersConfig {
            prelude: 0,
            core: 0,
            coda: 0,
        },
        ..ModelConfig::default()
    };
    let found = violations(&config);
    assert_eq!(
        found,
        ["d_ff", "layers.core", "d_model", "n_kv_heads", "rope_base"]
    );
}

#[test]
fn the_published_shape_has_effective_depth_132() {
    let layers = LayersConfig {
        prelude: 2,
        core: 4,
        coda: 2,
    };
    assert_eq!(
        ModelConfig {
            layers,
            ..ModelConfig::default()
        }
        .effective_depth(32),
        132
    );
}
