//! The interface of a backend, and the selection of the backend for a tensor.

use burn::backend::DispatchTensorKind;
use burn::tensor::{DType, Int, Tensor};
use rondo_kernels::attention::Gate;
use rondo_kernels::average::{BlendTensors, Total, TotalTensors};
use rondo_kernels::feed_forward::FeedForward;
use rondo_kernels::injection::channels::{Channels, ChannelsTensors};
use rondo_kernels::injection::history::{Difference, DifferenceTensors};
use rondo_kernels::injection::mix::{Mix, MixTensors};
use rondo_kernels::injection::orthogonal::OrthogonalTensors;
use rondo_kernels::lanes::{LaneMix, LaneMixTensors};
use rondo_kernels::norm::Norm;
use rondo_kernels::product::Precision;
use rondo_kernels::projection::{Projection, ProjectionTensors};
use rondo_kernels::self_attention::SelfAttention;
use rondo_kernels::sublayer::Sublayer;

use super::composed::{self, Composition};
#[cfg(feature = "cube")]
use super::cube::CubeKernels;
use super::flex::Kernels;
use super::{
    AttentionHeads, AttentionTensors, FeedForwardTensors, Head, HeadLoss, Product, Rope,
    TokenLosses,
};
use crate::gates::OpenEdges;

/// A backend of the operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The kernels of `rondo-kernels`, for f32 tensors in this process's memory.
    Flex,
    /// The kernels of `rondo-cube`, for f32 tensors on a device of CubeCL. A build without these
    /// kernels uses compositions instead.
    Cube,
    /// Compositions of Burn operations, for any device.
    Composed,
}

impl Backend {
    /// Selects the backend for the device and the element type of a tensor.
    pub fn of<const D: usize>(x: &Tensor<D>) -> Self {
        fn of_kind(kind: &DispatchTensorKind) -> Backend {
            if let DispatchTensorKind::Autodiff(inner) = kind {
                return of_kind(inner);
            }
            match kind {
                DispatchTensorKind::Flex(_) => Backend::Flex,
                #[cfg(feature = "cube")]
                DispatchTensorKind::Cube(_) => Backend::Cube,
                #[allow(
                    unreachable_patterns,
                    reason = "which kinds remain depends on the features"
                )]
                _ => Backend::Composed,
            }
        }
        if x.dtype() == DType::F32 {
            of_kind(&x.clone().into_dispatch().kind)
        } else {
            Self::Composed
        }
    }

    /// Returns the operations of the backend.
    pub fn operations(self) -> &'static dyn Operations {
        match self {
            Self::Flex => &Kernels,
            #[cfg(feature = "cube")]
            Self::Cube => &CubeKernels,
            #[cfg(not(feature = "cube"))]
            Self::Cube => &Composition,
            Self::Composed => &Composition,
        }
    }
}

/// Returns the operations for the device and the element type of a tensor.
pub fn of<const D: usize>(x: &Tensor<D>) -> &'static dyn Operations {
    Backend::of(x).operations()
}

/// The interface of a backend. An operation takes a description and tensors, and returns the
/// result. The result is in the graph if one of the tensors is in the graph.
///
/// A default method composes its operation from smaller operations of the same backend and from
/// operations of Burn. Burn may ignore the precision in the description.
pub trait Operations: Sync {
    /// Returns the row of `table` for each token.
    ///
    /// # Shapes
    ///
    /// `table`: `[vocab, d_model]`; `tokens`: `[batch, seq]`; returns `[batch, seq, d_model]`.
    fn embed(&self, table: Tensor<2>, tokens: Tensor<2, Int>) -> Tensor<3> {
        composed::embed(table, tokens)
    }

    /// Computes the root-mean-square norm over the last axis: `x / √(mean(x²) + eps) ⊙ scale`.
    ///
    /// # Shapes
    ///
    /// `x`: `[batch, seq, width]` to the same; `scale`: `[width]`.
    fn norm(&self, norm: Norm, x: Tensor<3>, scale: Option<Tensor<1>>) -> Tensor<3> {
        composed::norm(norm, x, scale)
    }

    /// Computes the norm of a sum, `n(x + y)`, where n is [`Self::norm`].
    ///
    /// # Shapes
    ///
    /// As [`Self::norm`]; `y` like `x`.
    fn norm_of_sum(
        &self,
        norm: Norm,
        x: Tensor<3>,
        y: Tensor<3>,
        scale: Option<Tensor<1>>,
    ) -> Tensor<3> {
        self.norm(norm, x + y, scale)
    }

    /// Adds a norm, `x + n(y)`, where n is [`Self::norm`].
    ///
    /// # Shapes
    ///
    /// As [`Self::norm_of_sum`].
    fn sum_with_norm(
        &self,
        norm: Norm,
        x: Tensor<3>,
        y: Tensor<3>,
        scale: Option<Tensor<1>>,
    ) -> Tensor<3> {
        x + self.norm(norm, y, scale)
    }

    /// Computes the product of two matrices.
    ///
    /// # Shapes
    ///
    /// `a`: `[m, k]`; `b`: `[k, n]`, or `[n, k]` if `product` says that b is transposed; returns
    /// `[m, n]`.
    fn product(&self, product: Product, a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
        product.composed(a, b)
    }

    /// Computes [`Self::product`] for each pair of matrices in two batches of heads.
    ///
    /// # Shapes
    ///
    /// As in [`Self::product`], preceded by `[batch, heads]`.
    fn products(&self, product: Product, a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
        product.composed(a, b)
    }

    /// Computes the product of a tensor and some rows of a matrix, and adds a base if given.
    ///
    /// # Shapes
    ///
    /// As [`ProjectionTensors`], with `[batch, seq]` in place of the tokens.
    fn project(
        &self,
        projection: Projection,
        tensors: ProjectionTensors<Tensor<3>, Tensor<2>>,
    ) -> Tensor<3> {
        composed::project_rows(self, projection, tensors)
    }

    /// Multiplies each channel by a factor, and adds a base if given: `c ⊙ x + base`. The factor c
    /// of a channel is a function of two parameters of the channel, `a_log` and `dt_bias`.
    ///
    /// # Shapes
    ///
    /// As [`ChannelsTensors`], with `[batch, seq]` in place of the tokens.
    fn channels(
        &self,
        channels: Channels,
        tensors: ChannelsTensors<Tensor<3>, Tensor<1>>,
    ) -> Tensor<3> {
        composed::channels(channels, tensors)
    }

    /// Removes from the decayed state r its component along an update u, then adds u:
    /// `(r − c u) + u`.
    ///
    /// # Shapes
    ///
    /// As [`OrthogonalTensors`], with `[batch, seq]` in place of the tokens.
    fn orthogonal(&self, tensors: OrthogonalTensors<Tensor<3>, Tensor<1>>) -> Tensor<3> {
        composed::orthogonal(tensors)
    }

    /// Mixes state and embedding with one number α: `keep · x + α · e`, where `keep` is 1 or 1 − α.
    ///
    /// # Shapes
    ///
    /// As [`MixTensors`], with `[batch, seq]` in place of the tokens.
    fn mix(&self, mix: Mix, tensors: MixTensors<Tensor<3>, Tensor<1>>) -> Tensor<3> {
        composed::mix(mix, tensors)
    }

    /// Adds the weighted difference to an earlier state: `base + c ⊙ (past − x)`.
    ///
    /// # Shapes
    ///
    /// As [`DifferenceTensors`], with `[batch, seq]` in place of the tokens.
    fn difference(
        &self,
        difference: Difference,
        tensors: DifferenceTensors<Tensor<3>, Tensor<2>>,
    ) -> Tensor<3> {
        composed::difference(difference, tensors)
    }

    /// Computes the logarithm of the total weight of the outputs of a loop: `ln(β e^L + e^s)`. L is
    /// this logarithm after the previous iteration, and s is the score of the new output z.
    ///
    /// # Shapes
    ///
    /// As [`TotalTensors`], with `[batch, seq]` in place of the tokens; returns `[batch, seq, 1]`.
    fn total(&self, total: Total, tensors: TotalTensors<Tensor<3>, Tensor<1>>) -> Tensor<3> {
        composed::total(self, total, tensors)
    }

    /// Computes the average of the outputs of a loop: `h + e^(s − L) (z − h)`. h is the average
    /// after the previous iteration, s the score of the new output z, and L the result of
    /// [`Self::total`].
    ///
    /// # Shapes
    ///
    /// As [`BlendTensors`], with `[batch, seq]` in place of the tokens.
    fn blend(&self, tensors: BlendTensors<Tensor<3>, Tensor<1>>) -> Tensor<3> {
        composed::blend(self, tensors)
    }

    /// Computes weighted sums of the lanes L_n: `Σ_n W_kn L_n + β_k z` for every k.
    ///
    /// # Shapes
    ///
    /// As [`LaneMixTensors`], with `[batch, seq]` in place of the tokens.
    fn mix_lanes(&self, mix: LaneMix, tensors: LaneMixTensors<Tensor<3>, Tensor<2>>) -> Tensor<3> {
        composed::mix_lanes(mix, tensors)
    }

    /// Computes the gated SiLU: `SiLU(a) ⊙ b`.
    ///
    /// # Shapes
    ///
    /// `a`, `b` and the result: `[batch, seq, d_ff]`.
    fn gated_silu(&self, a: Tensor<3>, b: Tensor<3>) -> Tensor<3> {
        composed::gated_silu(a, b)
    }

    /// Computes the gated SiLU of the two halves of a product: `SiLU(x W_a) ⊙ (x W_b)`, where W_a
    /// and W_b are the halves of the columns of `in_proj`.
    ///
    /// # Shapes
    ///
    /// `x`: `[batch, seq, d_in]`; `in_proj`: `[d_in, 2 · d_ff]`; returns `[batch, seq, d_ff]`.
    fn gated_projection(
        &self,
        precision: Precision,
        x: Tensor<3>,
        in_proj: Tensor<2>,
    ) -> Tensor<3> {
        composed::gated_projection(self, precision, x, in_proj)
    }

    /// Computes `softmax(q·kᵀ / √d_head) · v`. If `is_causal`, a query attends to the keys up to
    /// its own position, otherwise to all keys.
    ///
    /// # Shapes
    ///
    /// Returns `[batch, heads, seq, d_head]`, the shape of the queries.
    fn softmax_attention(&self, _: Precision, heads: AttentionHeads, is_causal: bool) -> Tensor<4> {
        composed::softmax_attention(heads, is_causal)
    }

    /// Computes causal attention, with gates if `gate` is given. The bias of the gates of head h is
    /// the bias in `gate` plus element h of `gate_bias`, `[heads]`, if given. Also returns the open
    /// edges, if there are gates.
    ///
    /// # Shapes
    ///
    /// As [`Self::softmax_attention`].
    fn attend(
        &self,
        precision: Precision,
        gate: Option<Gate>,
        heads: AttentionHeads,
        gate_bias: Option<Tensor<1>>,
    ) -> (Tensor<4>, Option<OpenEdges>) {
        composed::attend(self, precision, gate, heads, gate_bias)
    }

    /// Computes causal self-attention with its norms and its residual connection. A token attends
    /// within its row, or within its segment if `rope` has segments. Also returns the open edges,
    /// if there are gates.
    ///
    /// # Shapes
    ///
    /// `x`: `[batch, seq, d_model]` to the same.
    ///
    /// # Panics
    ///
    /// Panics if `sublayer` has gates and `rope` has segments.
    fn attention(
        &self,
        sublayer: &Sublayer<SelfAttention>,
        tensors: AttentionTensors,
        rope: &Rope,
    ) -> (Tensor<3>, Option<OpenEdges>) {
        composed::around(self, sublayer, tensors, |x, weights| {
            composed::attention(self, &sublayer.branch, weights, rope, &x)
        })
    }

    /// Computes the gated MLP with its norms and its residual connection.
    ///
    /// # Shapes
    ///
    /// `x`: `[batch, seq, d_model]` to the same.
    fn feed_forward(
        &self,
        sublayer: &Sublayer<FeedForward>,
        tensors: FeedForwardTensors,
    ) -> Tensor<3> {
        let branch = |x, weights| {
            (
                composed::feed_forward(self, sublayer.branch.precision, weights, x),
                (),
            )
        };
        composed::around(self, sublayer, tensors, branch).0
    }

    /// See [`super::head_cross_entropy`].
    fn head_cross_entropy(
        &self,
        hidden: Tensor<3>,
        head: Head,
        targets: Tensor<2, Int>,
        weights: Option<Tensor<2>>,
        with_hits: bool,
    ) -> HeadLoss {
        composed::head_cross_entropy(self, hidden, head, targets, weights, with_hits)
    }

    /// See [`super::head_losses`].
    fn head_losses(
        &self,
        hidden: Tensor<3>,
        head: Head,
        targets: Tensor<2, Int>,
        with_hits: bool,
    ) -> TokenLosses {
        composed::head_losses(self, hidden, head, targets, with_hits)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, FloatDType};
    use rondo_kernels::feed_forward::FeedForwardWeights;
    use rondo_kernels::sublayer::{After, SublayerTensors};

    use super::*;

    /// A backend that replaces only the norm, by a function that doubles its input.
    struct Doubling;

    impl Operations for Doubling {
        fn norm(&self, _: Norm, x: Tensor<3>, _: Option<Tensor<1>>) -> Tensor<3> {
            x * 2.0
        }
    }

    #[test]
    fn what_a_backend_leaves_out_is_composed_of_what_it_has() {
        let device = Device::flex();
        let sublayer = Sublayer {
            before: Some(Norm { eps: 0.0 }),
            branch: FeedForward {
                precision: Precision::F32,
            },
            after: After::Sum,
        };
        let tensors = SublayerTensors {
            x: Tensor::from_data([[[1.0]]], &device),
            before: None,
            after: None,
            branch: FeedForwardWeights {
                in_proj: Tensor::from_data([[1.0, 3.0]], &device),
                out_proj: Tensor::from_data([[0.5]], &device),
            },
        };
        let y: f32 = Doubling.feed_forward(&sublayer, tensors).into_scalar();
        // a = 2, b = 6: 1 + 0.5 · 6 · 2 / (1 + e⁻²).
        assert!(
            (y - 1.0 - 6.0 / (1.0 + (-2.0_f32).exp())).abs() < 1e-6,
            "{y}"
        );
    }

    #[test]
    fn the_kernels_are_chosen_for_f32_on_flex_alone() {
        let x = Tensor::<1>::from_data([1.0], &Device::flex());
        assert_eq!(Backend::of(&x), Backend::Flex);
        assert_eq!(
            Backend::of(&x.clone().autodiff().require_grad()),
            Backend::Flex
        );
        assert_eq!(Backend::of(&x.cast(FloatDType::F64)), Backend::Composed);
    }
}
