//! Operations that combine state and embedding before an iteration.

use burn::tensor::activation::softplus;
use burn::tensor::{Tensor, s};
use rondo_kernels::injection::channels::{Channels, ChannelsTensors, Coefficient};
use rondo_kernels::injection::history::{Difference, DifferenceTensors};
use rondo_kernels::injection::mix::{Mix, MixTensors};
use rondo_kernels::injection::orthogonal::{EPS, OrthogonalTensors};

/// Returns the coefficient c of every channel.
///
/// # Shapes
///
/// `[channels]` to the same.
pub(crate) fn coefficients(
    coefficient: Coefficient,
    a_log: Tensor<1>,
    dt_bias: Tensor<1>,
) -> Tensor<1> {
    let delta = softplus(dt_bias, 1.0);
    if coefficient == Coefficient::Step {
        return delta;
    }
    let a = a_log.exp();
    let rate = delta * a.clone();
    let decay = rate.clone().neg().exp();
    match coefficient {
        // (1 − e^(−Δa)) / a, in a form without cancellation.
        Coefficient::Hold => (rate / 2.0).tanh() * (decay + 1.0) / a,
        _ => decay,
    }
}

/// See [`crate::ops::Operations::channels`].
pub(crate) fn channels(
    channels: Channels,
    tensors: ChannelsTensors<Tensor<3>, Tensor<1>>,
) -> Tensor<3> {
    let ChannelsTensors {
        x,
        base,
        a_log,
        dt_bias,
    } = tensors;
    let c: Tensor<3> = coefficients(channels.coefficient, a_log, dt_bias).unsqueeze();
    match base {
        Some(base) => x * c + base,
        None => x * c,
    }
}

/// See [`crate::ops::Operations::orthogonal`].
pub(crate) fn orthogonal(tensors: OrthogonalTensors<Tensor<3>, Tensor<1>>) -> Tensor<3> {
    let OrthogonalTensors {
        x,
        update: u,
        a_log,
        dt_bias,
    } = tensors;
    let decay: Tensor<3> = coefficients(Coefficient::Decay, a_log, dt_bias).unsqueeze();
    let kept = x * decay;
    let along = (kept.clone() * u.clone()).sum_dim(2);
    let c = along / (u.clone().square().sum_dim(2) + EPS);
    (kept - u.clone() * c) + u
}

/// See [`crate::ops::Operations::mix`].
pub(crate) fn mix(mix: Mix, tensors: MixTensors<Tensor<3>, Tensor<1>>) -> Tensor<3> {
    let MixTensors {
        x,
        embedding,
        alpha,
    } = tensors;
    let part: Tensor<3> = alpha.clone().unsqueeze();
    let kept = match mix {
        Mix::Sum => x,
        Mix::Mean => {
            let keep: Tensor<3> = (-alpha + 1.0).unsqueeze();
            x * keep
        }
    };
    kept + embedding * part
}

/// See [`crate::ops::Operations::difference`].
pub(crate) fn difference(
    difference: Difference,
    tensors: DifferenceTensors<Tensor<3>, Tensor<2>>,
) -> Tensor<3> {
    let DifferenceTensors {
        x,
        past,
        base,
        coefficients,
    } = tensors;
    let row = difference.lag..difference.lag + 1;
    let c: Tensor<3> = coefficients.slice(s![row, ..]).unsqueeze();
    base.unwrap_or_else(|| x.clone()) + (past - x) * c
}
