//! Tests the rules on single parameters, with hand-computed numbers and against published runs.
//! Also tests the groups of a whole model.

mod golden;

use burn::module::ModuleVisitor;
use burn::tensor::Device;
use rondo_model::config::{LayersConfig, ModelConfig};
use rondo_model::init::table;

use super::backend::compose;
use super::*;

fn vector(values: [f32; 2]) -> Tensor<1> {
    Tensor::from_data(values, &Device::flex())
}

fn values(x: Tensor<1>) -> Vec<f32> {
    x.into_data().iter().collect()
}

#[track_caller]
fn close(found: &[f32], expected: [f64; 2]) {
    assert_eq!(found.len(), expected.len());
    for (x, y) in found.iter().zip(expected) {
        assert!(
            (f64::from(*x) - y).abs() < 1e-6,
            "{found:?} is not {expected:?}"
        );
    }
}

const RATES: Rates = Rates {
    lr: 0.1,
    peak: 0.2,
    update: 1,
    decayed: true,
};

#[test]
fn the_first_adamw_update_moves_by_the_rate_and_decays_by_rate_times_lambda() {
    let rule = adamw::AdamW {
        eps: 1e-12,
        ..adamw::AdamW::default()
    };
    let (p, moments) = compose(
        rule.describe(RATES),
        vector([1.0, 2.0]),
        vector([0.5, -3.0]),
        Moments::default(),
    );
    close(&values(p), [1.0 * 0.99 - 0.1, 2.0 * 0.99 + 0.1]);
    close(&values(moments.first.expect("first")), [0.05, -0.3]);
}

#[test]
fn the_second_adamw_update_uses_both_corrected_moments() {
    let rule = adamw::AdamW {
        weight_decay: 0.0,
        eps: 1e-12,
        ..adamw::AdamW::default()
    };
    let (p, moments) = compose(
        rule.describe(RATES),
        vector([0.0, 0.0]),
        vector([1.0, 1.0]),
        Moments::default(),
    );
    let (p, _) = compose(
        rule.describe(Rates { update: 2, ..RATES }),
        p,
        vector([3.0, 0.0]),
        moments,
    );
    let m = [(0.9 * 0.1 + 0.1 * 3.0) / 0.19, 0.9 * 0.1 / 0.19];
    let v = [
        (0.95 * 0.05 + 0.05 * 9.0) / (1.0 - 0.95_f64.powi(2)),
        0.95 * 0.05 / (1.0 - 0.95_f64.powi(2)),
    ];
    close(
        &values(p),
        [
            -0.1 - 0.1 * m[0] / v[0].sqrt(),
            -0.1 - 0.1 * m[1] / v[1].sqrt(),
        ],
    );
}

#[test]
fn the_first_raven_update_starts_from_the_gradient_and_decays_by_the_share_of_the_peak() {
    let rule = raven_adam::RavenAdam {
        weight_decay: 0.01,
        ..raven_adam::RavenAdam::default()
    };
    let (p, moments) = compose(
        rule.describe(RATES),
        vector([1.0, 2.0]),
        vector([0.5, -3.0]),
        Moments::default(),
    );
    // Here m = g and v = g², so m / (√v / √0.05) is ±√0.05, and the clipping ratio is 1.
    let angle = 0.05_f64.sqrt().atan();
    close(
        &values(p),
        [
            1.0 * 0.995 - 0.1 / 0.1 * angle,
            2.0 * 0.995 + 0.1 / 0.1 * angle,
        ],
    );
    close(&values(moments.second.expect("second")), [0.25, 9.0]);
}

#[test]
fn a_raven_update_raises_the_second_moment_to_its_floor_and_hardly_moves_below_it() {
    let rule = raven_adam::RavenAdam {
        weight_decay: 0.0,
        ..raven_adam::RavenAdam::default()
    };
    let start = || (vector([0.0, 0.0]), vector([1e-8, 0.0]), Moments::default());
    let (p, gradient, moments) = start();
    let (p, moments) = compose(rule.describe(RATES), p, gradient, moments);
    // Here v = 1e-12 in both elements, so √v / √0.05 is 4.47e-6. A first moment of 1e-8 then gives
    // an angle of 0.0022.
    let angle = (1e-8_f64).atan2(1e-6 / 0.05_f64.sqrt());
    close(&values(p), [-0.1 / 0.1 * angle, 0.0]);
    let second = values(moments.second.clone().expect("second"));
    assert_eq!(second, [1e-12, 1e-12]);
    // A larger gradient lifts the second moment above its lower bound in the next update.
    let rates = Rates { update: 2, ..RATES };
    let (_, moments) = compose(
        rule.describe(rates),
        vector([0.0, 0.0]),
        vector([1e-4, 0.0]),
        moments,
    );
    let second = values(moments.second.expect("second"));
    assert!((f64::from(second[0]) / (0.95e-12 + 0.05e-8) - 1.0).abs() < 1e-6);
    assert!((f64::from(second[1]) / 1e-12 - 1.0).abs() < 1e-6);

    // Without update clipping there is no lower bound, and one element moves by a full step.
    let free = raven_adam::RavenAdam {
        update_clipping: false,
        ..rule
    };
    let (p, gradient, moments) = start();
    let (p, moments) = compose(free.describe(RATES), p, gradient, moments);
    close(&values(p), [-0.1 / 0.1 * 0.05_f64.sqrt().atan(), 0.0]);
    assert_eq!(values(moments.second.expect("second")), [1e-16, 0.0]);
}

#[test]
fn a_raven_update_whose_gradient_outgrows_its_moments_is_clipped_per_tensor() {
    let rule = raven_adam::RavenAdam {
        weight_decay: 0.0,
        ..raven_adam::RavenAdam::default()
    };
    let start = || Moments {
        first: Some(vector([0.1, 0.1])),
        second: Some(vector([0.01, 0.01])),
    };
    let run = |rule: raven_adam::RavenAdam| {
        let rates = Rates { update: 2, ..RATES };
        let (p, _) = compose(
            rule.describe(rates),
            vector([0.0, 0.0]),
            vector([1.0, 0.0]),
            start(),
        );
        values(p)
    };
    let (clipped, free) = (
        run(rule),
        run(raven_adam::RavenAdam {
            update_clipping: false,
            ..rule
        }),
    );
    // Elements with g = 0 count as 0 in the mean of g² / v.
    let ratio = (1.0 / (0.95 * 0.01 + 0.05) / 2.0_f64).sqrt();
    for (x, y) in clipped.iter().zip(free) {
        assert!((f64::from(*x) * ratio - f64::from(y)).abs() < 1e-6);
    }
}

#[test]
fn every_parameter_has_one_group_and_norms_and_biases_are_not_decayed() {
    let config = ModelConfig {
        vocab_size: 16,
        d_model: 8,
        n_heads: 2,
        n_kv_heads: 2,
        d_ff: 8,
        layers: LayersConfig {
            prelude: 1,
            core: 1,
            coda: 1,
        },
        tied_head: false,
        ..ModelConfig::default()
    };
    for row in &table(&config) {
        let plain = row.name.contains("scale") || row.name.contains("bias");
        assert_eq!(Group::of(row).decayed, !plain, "{}", row.name);
        assert_eq!(
            Group::of(row).matrix,
            !plain && row.name != "tokens",
            "{}",
            row.name
        );
    }
}

/// Trains a small model for three updates. The gradients have sizes of about `size`, and some are
/// zero.
///
/// Returns the parameters that are updated in place, their first moments and their second moments.
fn after_three_updates(rule: &OptimizerConfig, size: f32, composed: bool) -> [Vec<f32>; 3] {
    let config = ModelConfig {
        vocab_size: 7,
        d_model: 8,
        n_heads: 2,
        n_kv_heads: 2,
        d_ff: 12,
        ..ModelConfig::default()
    };
    let rows = table(&config);
    let device = Device::flex().autodiff();
    let mut model = LoopedTransformer::new(&config, 3, &device);
    let mut optimizer = Optimizer::new(rule, rows.clone(), 1e-2);
    for update in 1..=3 {
        let of = |row: &ParameterSpec| {
            let value = |i: usize| size * (((i * 7 + update * 5) % 11) as f32 - 5.0);
            let values: Vec<f32> = (0..row.count()).map(value).collect();
            Tensor::<1>::from_data(values.as_slice(), &Device::flex())
        };
        let gradients = FlatGradients::new(rows.iter().map(of).collect());
        let gate = Gate::Host(0.5);
        model = match composed {
            true => optimizer.step_composed(model, gradients, &gate, 1e-2),
            false => optimizer.step(model, gradients, &gate, 1e-2),
        };
    }
    let mut parameters = Parameters::default();
    model.visit(&mut parameters);
    let mut found = <[Vec<f32>; 3]>::default();
    let moments = optimizer.moments.into_iter();
    for ((row, value), moments) in rows.iter().zip(parameters.0).zip(moments) {
        if matches!(rule, OptimizerConfig::Muon(_)) && Group::of(row).matrix {
            // Muon's own rule does not update parameters in place.
            continue;
        }
        let moment = |moment: Option<Tensor<1>>| values(moment.expect("a moment"));
        found[0].extend(value);
        found[1].extend(moment(moments.first));
        found[2].extend(moment(moments.second));
    }
    found
}

#[test]
fn updates_in_place_are_the_composed_ones() {
    // With the smaller gradients, second moments are below the lower bound of RavenAdam.
    for size in [1.0, 1e-7] {
        for rule in [
            OptimizerConfig::AdamW(adamw::AdamW::default()),
            OptimizerConfig::RavenAdam(raven_adam::RavenAdam::default()),
            OptimizerConfig::RavenAdam(raven_adam::RavenAdam {
                update_clipping: false,
                ..raven_adam::RavenAdam::default()
            }),
            OptimizerConfig::Muon(muon::Muon::default()),
        ] {
            let in_place = after_three_updates(&rule, size, false);
            let composed = after_three_updates(&rule, size, true);
            // The typical sizes of a parameter, its first moment and its second moment.
            let sizes = [1.0, size, size * size];
            for ((in_place, composed), size) in in_place.iter().zip(&composed).zip(sizes) {
                assert_eq!(in_place.len(), composed.len());
                assert!(!in_place.is_empty(), "{rule:?} updates nothing in place");
                for (a, b) in in_place.iter().zip(composed) {
                    let (off, most) = ((a - b).abs(), 1e-6 * size.max(b.abs()));
                    assert!(off <= most, "{rule:?} at {size}: {a} is not {b}");
                }
            }
        }
    }
}

/// Collects the values of each parameter.
#[derive(Default)]
struct Parameters(Vec<Vec<f32>>);

impl ModuleVisitor for Parameters {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val().without_autodiff();
        self.0.push(value.into_data().iter::<f32>().collect());
    }
}
