//! The tensor operations that the parts are made of.
//!
//! An operation chooses for itself: on flex the costly ones are single nodes of the graph whose
//! forward and backward are kernels of `rondo-kernels`; on every other device the same function is
//! composed of Burn operations, so that its own fusion and kernels serve. Nothing above this module
//! knows which it gets. [`composed`] has the compositions by themselves.

pub mod composed;
mod gated;
mod head;
mod node;
mod norm;
mod projection;
mod sublayer;

pub use gated::{GatedEdges, gated_attention, gated_attention_to_all};
pub use head::{Head, HeadLoss, TokenLosses, head_cross_entropy, head_logits, head_losses};
pub use node::on_flex;
pub use norm::rms_norm;
pub use projection::{project, project_columns, project_rows};
pub use sublayer::{
    Angles, Branch, EdgeGate, Heads, Norm, Norms, around, gated_sublayer, sublayer,
};

pub use rondo_kernels::product::Precision;

use burn::tensor::Tensor;
use burn::tensor::activation::silu;
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;

/// Gated SiLU: `SiLU(a) ⊙ b`.
///
/// # Shapes
///
/// `a`, `b` and the result: `[batch, seq, d_ff]`.
pub fn gated_silu(a: Tensor<3>, b: Tensor<3>) -> Tensor<3> {
    silu(a) * b
}

/// Length of each token's features, `√(Σ x²)`.
///
/// # Shapes
///
/// `x`: `[batch, seq, width]`; returns `[batch, seq, 1]`.
pub fn length(x: Tensor<3>) -> Tensor<3> {
    x.square().sum_dim(2).sqrt()
}

/// Rotary embedding on adjacent pairs, `(x0, x1) → (x0·c − x1·s, x1·c + x0·s)`, as
/// `x ⊙ cos + swap(x) ⊙ sin` with swapped pairs.
///
/// # Shapes
///
/// `x`: `[batch, seq, heads, d_head]`; `cos`, `sin`: `[seq, d_head]`, cos with each c twice, sin
/// with −s and s in the places of a pair.
pub fn rotate_pairs(x: Tensor<4>, cos: Tensor<2>, sin: Tensor<2>) -> Tensor<4> {
    let [batch, seq, heads, d_head] = x.dims();
    let pairs: Tensor<5> = x.clone().reshape([batch, seq, heads, d_head / 2, 2]);
    let swapped = pairs.flip([4]).reshape([batch, seq, heads, d_head]);
    let shape = [1, seq, 1, d_head];
    x * cos.reshape(shape) + swapped * sin.reshape(shape)
}

/// Causal attention, `softmax(q·kᵀ / √d_head) · v` over the positions up to one's own.
///
/// # Shapes
///
/// `q`: `[batch, heads, seq, d_head]`; `k`, `v`: `[batch, kv_heads, seq, d_head]`, where kv_heads
/// divides heads and each serves a run of neighbouring query heads. Returns the shape of `q`.
pub fn causal_attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
    attend(q, k, v, true)
}

/// Attention of every query to every key, `softmax(q·kᵀ / √d_head) · v`.
///
/// # Shapes
///
/// As [`causal_attention`], but for any number of queries.
pub fn attention_to_all(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
    attend(q, k, v, false)
}

fn attend(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, is_causal: bool) -> Tensor<4> {
    let [_, heads, _, _] = q.dims();
    let options = AttentionModuleOptions {
        is_causal,
        ..AttentionModuleOptions::default()
    };
    let (k, v) = (repeat_heads(k, heads), repeat_heads(v, heads));
    attention(q, k, v, None, None, options)
}

/// Repeats each key or value head for the query heads it serves.
fn repeat_heads(x: Tensor<4>, heads: usize) -> Tensor<4> {
    let [batch, kv_heads, seq, d_head] = x.dims();
    if kv_heads == heads {
        return x;
    }
    let group = heads / kv_heads;
    let grouped: Tensor<5> = x.unsqueeze_dim(2);
    grouped
        .expand([batch, kv_heads, group, seq, d_head])
        .reshape([batch, heads, seq, d_head])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().iter::<f32>().collect()
    }

    #[test]
    fn the_norm_makes_the_mean_square_one() {
        let x = Tensor::<3>::from_data([[[3.0, 4.0]]], &Device::flex());
        let y = values(rms_norm(x.clone(), None, 0.0));
        let root = 12.5_f32.sqrt();
        assert!((y[0] - 3.0 / root).abs() < 1e-6 && (y[1] - 4.0 / root).abs() < 1e-6);
        let scale = Tensor::<1>::from_data([2.0, 1.0], &Device::flex());
        let scaled = values(rms_norm(x, Some(scale), 0.0));
        assert!((scaled[0] - 2.0 * y[0]).abs() < 1e-6);
    }

    #[test]
    fn a_quarter_turn_maps_each_pair_to_its_perpendicular() {
        let device = Device::flex();
        let x = Tensor::<4>::from_data([[[[1.0, 2.0, 3.0, 4.0]]]], &device);
        let cos = Tensor::<2>::from_data([[0.0, 0.0, 1.0, 1.0]], &device);
        let sin = Tensor::<2>::from_data([[-1.0, 1.0, 0.0, 0.0]], &device);
        assert_eq!(values(rotate_pairs(x, cos, sin)), [-2.0, 1.0, 3.0, 4.0]);
    }

    #[test]
    fn products_with_parts_of_a_matrix_are_parts_of_the_product() {
        let device = Device::flex();
        let x = Tensor::<3>::from_data([[[1.0, 2.0], [3.0, 4.0]]], &device);
        let weight = Tensor::<2>::from_data([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], &device);
        assert_eq!(
            values(project_columns(x.clone(), weight, 1..3)),
            [12.0, 15.0, 26.0, 33.0]
        );
        let tall = Tensor::<2>::from_data([[1.0], [2.0], [3.0], [4.0]], &device);
        let upper = project_rows(x.clone(), tall.clone(), 0..2, None, Precision::F32);
        let parts = project_rows(x, tall, 2..4, Some(upper), Precision::F32);
        assert_eq!(values(parts), [16.0, 36.0]);
    }

    #[test]
    fn the_first_position_attends_to_itself_alone() {
        let device = Device::flex();
        let q = Tensor::<4>::from_data([[[[1.0, 0.0], [0.0, 1.0]]]], &device);
        let v = Tensor::<4>::from_data([[[[5.0, 6.0], [7.0, 8.0]]]], &device);
        let y = values(causal_attention(q.clone(), q, v));
        assert_eq!(&y[..2], [5.0, 6.0]);
        assert!(y[2] > 5.0 && y[2] < 7.0);
    }

    #[test]
    fn grouped_heads_share_their_key_and_value_head() {
        let device = Device::flex();
        let kv = Tensor::<4>::from_data(TensorData::new(vec![1.0_f32, 2.0], [1, 2, 1, 1]), &device);
        assert_eq!(values(repeat_heads(kv, 4)), [1.0, 1.0, 2.0, 2.0]);
    }
}
