//! Memory of steps computed by hand, and the growth of the estimates.

use super::*;
use crate::config::{BranchScale, HyperConnections, LayersConfig, LoopScale};
use crate::init::Part;
use crate::sparsity::SparsityConfig;

/// Returns a model with one head of width 2 and an MLP of width 4.
fn narrow() -> ModelConfig {
    ModelConfig {
        vocab_size: 3,
        d_model: 2,
        n_heads: 1,
        n_kv_heads: 1,
        d_ff: 4,
        layers: LayersConfig {
            prelude: 1,
            core: 1,
            coda: 0,
        },
        ..ModelConfig::default()
    }
}

fn step(kept: Kept) -> StepShape {
    StepShape {
        unroll: Unroll {
            no_grad: 7,
            with_grad: 2,
        },
        beside: Beside::default(),
        tokens: 1,
        seq: 1,
        within_documents: false,
        moments: 0,
        kept,
    }
}

fn with_grad(with_grad: usize, shape: StepShape) -> StepShape {
    let unroll = Unroll {
        with_grad,
        ..shape.unroll
    };
    StepShape { unroll, ..shape }
}

#[test]
fn a_fused_step_of_one_token_can_be_counted_by_hand() {
    let total = Census::new(&narrow()).total();
    // Queries, keys and values have 6 numbers. In addition there are one row sum of a head, five
    // states of width 2, and two halves of width 4.
    let layer = 6 + 1 + 5 * 2 + 2 * 4;
    let numbers = 3 * layer + 2 * (7 * 2) + (2 * 6 + 4 * 2 + 3 * 4);
    let expected = (32 << 20) + 4 * (6 * total + numbers);
    assert_eq!(step(Kept::Fused).bytes(&narrow()), expected as u64);
}

#[test]
fn a_step_of_one_token_on_a_gpu_can_be_counted_by_hand() {
    let census = Census::new(&narrow());
    // A layer has six states of width 2, queries, keys and values with 6 numbers, one row sum, 2
    // numbers of attention output, and the MLP's two halves and their product, each of width 4.
    let layer = 6 * 2 + 6 + 1 + 2 + 3 * 4;
    // An iteration has the layer, the injection's output, and the upper half of the adapter.
    let iteration = layer + 2 + 4;
    // The peak of the four moments is in the backward pass of the last iteration. It holds the
    // prelude with four states, the next step's initial state, both iterations, two states and the
    // MLP's halves with their product, the head's gradient, and twice the core's gradient.
    let activations = (layer + 4 * 2) + 2 + 2 * iteration + (2 * 2 + 3 * 4);
    let of_core = census.part(Part::Core) + census.part(Part::Adapter);
    let numbers = census.total() + activations + 3 * 2 + 2 * of_core;
    // Half of the largest buffer is added; this buffer holds the MLP's two halves.
    let expected = (8 << 20) + 4 * (numbers + 2 * 4 / 2);
    assert_eq!(step(Kept::Kernels).bytes(&narrow()), expected as u64);
    let moments = 100;
    let with_moments = StepShape {
        moments,
        ..step(Kept::Kernels)
    };
    assert_eq!(with_moments.bytes(&narrow()), (expected + 400) as u64);
}

#[test]
fn norms_with_a_scale_keep_what_they_norm_and_lanes_are_states_that_iterations_run_again_begin_with()
 {
    let bytes = |model: &ModelConfig| step(Kept::Fused).bytes(model);
    let normed = ModelConfig {
        qk_norm: QkNorm::Head,
        ..narrow()
    };
    // Two scales of two numbers in each of two layers make 8 parameters, and each is counted 6
    // times. Each of three applications of a layer also keeps a query and a key, of 2 numbers each.
    assert_eq!(bytes(&normed) - bytes(&narrow()), 4 * (6 * 8 + 3 * 4));
    for kept in [Kept::Fused, Kept::Kernels, Kept::Composed] {
        let mut lanes = ModelConfig {
            hyper_connections: Some(HyperConnections {
                lanes: 3,
                iterations: None,
            }),
            ..narrow()
        };
        lanes.recurrence.recompute = Recompute::Iteration;
        // With this many tokens, activations need more memory than the weights.
        let shape = StepShape {
            tokens: 1000,
            seq: 5,
            ..step(kept)
        };
        let bytes = |k| with_grad(k, shape).bytes(&lanes);
        assert_eq!(bytes(5) - bytes(4), 4 * 4 * 2 * 1000, "{kept:?}");
    }
}

#[test]
fn iterations_that_are_run_again_keep_a_state_each() {
    let state = 4 * 10 * narrow().d_model as u64;
    for kept in [Kept::Fused, Kept::Kernels, Kept::Composed] {
        let mut model = narrow();
        let shape = StepShape {
            tokens: 10,
            seq: 5,
            ..step(kept)
        };
        let bytes = |model: &ModelConfig, k| with_grad(k, shape).bytes(model);
        let (one, many) = (bytes(&model, 1), bytes(&model, 8));
        assert!(many > one);
        model.recurrence.recompute = Recompute::Iteration;
        assert_eq!(bytes(&model, 8), bytes(&model, 1) + 7 * state, "{kept:?}");
        assert!(bytes(&model, 8) < many, "{kept:?}");
    }
}

#[test]
fn scores_grow_with_the_square_of_the_length_where_they_are_kept() {
    let bytes = |model: &ModelConfig, kept, seq| {
        let tokens = 100;
        let shape = step(kept);
        StepShape {
            tokens,
            seq,
            ..shape
        }
        .bytes(model)
    };
    let grows = |model: &ModelConfig, kept| bytes(model, kept, 50) > bytes(model, kept, 5);
    assert!(!grows(&narrow(), Kept::Fused));
    assert!(!grows(&narrow(), Kept::Kernels));
    assert!(grows(&narrow(), Kept::Composed));
    let gated = ModelConfig {
        sparsity: Some(SparsityConfig::default()),
        ..narrow()
    };
    assert!(grows(&gated, Kept::Kernels));
    assert!(bytes(&gated, Kept::Kernels, 50) > bytes(&narrow(), Kept::Kernels, 50));
}

#[test]
fn earlier_readouts_keep_a_state_each_and_a_penalty_iterations() {
    for kept in [Kept::Fused, Kept::Kernels, Kept::Composed] {
        let mut model = narrow();
        // With this many tokens, activations need more memory than the weights.
        let shape = StepShape {
            tokens: 1000,
            seq: 5,
            ..with_grad(4, step(kept))
        };
        let bytes = |model: &ModelConfig, readouts, iterations| {
            let beside = Beside {
                readouts,
                iterations,
            };
            StepShape { beside, ..shape }.bytes(model)
        };
        let plain = bytes(&model, 0, 0);
        let state = 4 * 1000 * model.d_model as u64;
        assert_eq!(
            bytes(&model, 3, 0) - bytes(&model, 1, 0),
            2 * state,
            "{kept:?}"
        );
        assert!(bytes(&model, 1, 0) >= plain + state, "{kept:?}");
        let of_penalty = bytes(&model, 0, 2) - plain;
        let two = with_grad(6, shape).bytes(&model) - plain;
        match kept {
            Kept::Fused | Kept::Composed => assert_eq!(of_penalty, two, "{kept:?}"),
            // The penalty runs after the coda's backward pass, which is the peak without the
            // penalty.
            Kept::Kernels => assert!(of_penalty > 0 && of_penalty < two, "{kept:?}"),
        }
        model.recurrence.recompute = Recompute::Iteration;
        // The iterations of a penalty are not recomputed.
        let again = bytes(&model, 0, 2) - bytes(&model, 0, 0);
        assert!(again > 0 && again < of_penalty, "{kept:?}");
        assert_eq!(bytes(&model, 0, 1), bytes(&model, 0, 0), "{kept:?}");
    }
}

#[test]
fn matrices_that_an_iteration_makes_are_kept_with_it() {
    for kept in [Kept::Fused, Kept::Kernels, Kept::Composed] {
        let mut model = ModelConfig {
            conditioning: ConditioningKind::BranchGate,
            ..narrow()
        };
        // With this many iterations, the backward pass of the last one is the peak on a GPU.
        let bytes = |model: &ModelConfig, k| with_grad(k, step(kept)).bytes(model);
        let more = |model: &ModelConfig| bytes(model, 51) - bytes(model, 50);
        // The last matrices of a layer are adjusted: attention's with 2 × 2 and the MLP's with 4 ×
        // 2 elements.
        let gated = more(&model);
        assert_eq!(gated - more(&narrow()), 4 * (2 * 2 + 4 * 2), "{kept:?}");
        model.block = BlockKind::BranchSandwich;
        let on_norms = ModelConfig {
            block: BlockKind::BranchSandwich,
            ..narrow()
        };
        assert_eq!(more(&model), more(&on_norms), "{kept:?}");
        let pairs = ModelConfig {
            lora: Some(LoraConfig {
                rank: 1,
                iterations: Some(2),
                matrices: vec![LoraMatrix::Key],
                ..LoraConfig::default()
            }),
            ..narrow()
        };
        // Queries, keys and values are in one matrix of 2 × 6 elements.
        assert_eq!(more(&pairs) - more(&narrow()), 4 * 2 * 6, "{kept:?}");
    }
}

#[test]
fn no_step_needs_less_with_what_changes_layers() {
    let estimate = |model: &ModelConfig| step(Kept::Fused).bytes(model);
    let scaled = ModelConfig {
        branch_scale: BranchScale::Loop(LoopScale::default()),
        ..narrow()
    };
    assert_eq!(
        estimate(&scaled) - estimate(&narrow()),
        2 * 4 * (2 * 2 + 4 * 2)
    );
}
