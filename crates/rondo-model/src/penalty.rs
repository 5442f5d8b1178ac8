//! Penalties on the last state of the loop, x = s_r: terms of a training step's loss in addition to
//! the cross entropy (CE).
//!
//! ```text
//! loss = (1 − w) CE + w P
//! ```
//!
//! | kind | P | x |
//! |---|---|---|
//! | jacobian | ‖(f(x + εv) − f(x)) / ε‖², ‖v‖ = 1 | constant |
//! | norm | the mean of x² | differentiated |
//! | fixed-point | the mean of (f(x) − x)² | constant |
//!
//! The jacobian penalty is that of STARS (arXiv 2605.26733), computed as a finite difference as in
//! FPRM (arXiv 2606.18206). The norm penalty follows arXiv 2606.24898.
//!
//! f repeats the last iteration: with its number, the same e, and the same tensors carried along
//! with x. Norms and means are over all numbers of the state together, n = batch · seq · `d_model`.
//! v is drawn separately for each micro-batch. The mean of the jacobian penalty over v is ‖J‖²/n,
//! with J = ∂f/∂x and its Frobenius norm ‖J‖. If x is constant, the penalty has a gradient only
//! through f, its weights and e. A gradient through x would also reward states that are easy to
//! keep.
//!
//! The difference of two results in f32 has rounding errors: P is too high by about n (u/ε)² |f|²,
//! with the relative rounding error u of an element of f. So ε should grow with √n, and with
//! products in bf16 the rounding exceeds the effect of εv.

use burn::tensor::{Device, Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use crate::seed::{Stream, token_generator};

/// A penalty on the last state of a pass.
#[derive(Clone, Debug)]
pub enum Penalty {
    /// The squared change of f along a direction.
    Jacobian {
        /// v from [`direction`], `[batch, seq, d_model]`; boxed to keep the enum small.
        direction: Box<Tensor<3>>,
        /// ε.
        epsilon: f64,
    },
    /// The mean of the squared state.
    Norm,
    /// The mean of the squared change in one more iteration.
    FixedPoint,
}

/// A penalty with its weight in the loss.
#[derive(Clone, Debug)]
pub struct Weighted {
    /// P.
    pub penalty: Penalty,
    /// w, from 0 to 1.
    pub weight: f64,
}

impl Weighted {
    /// Returns 1 − w, the weight of the cross entropy.
    pub fn kept(&self) -> f64 {
        1.0 - self.weight
    }
}

/// Returns `‖(f(x + εv) − f(x)) / ε‖²`, which costs two applications of f.
///
/// # Shapes
///
/// `x` and `direction`: the input shape of f; returns `[1]`.
pub fn forward_difference(
    f: impl Fn(Tensor<3>) -> Tensor<3>,
    x: &Tensor<3>,
    direction: Tensor<3>,
    epsilon: f64,
) -> Tensor<1> {
    let moved = f(x.clone() + direction * epsilon);
    let change = (moved - f(x.clone())) * epsilon.recip();
    sum(change.square())
}

/// Returns the mean of `(f(x) − x)²`.
///
/// # Shapes
///
/// `x`: the input shape of f; returns `[1]`.
pub fn residual(f: impl Fn(Tensor<3>) -> Tensor<3>, x: &Tensor<3>) -> Tensor<1> {
    mean_square(f(x.clone()) - x.clone())
}

/// Returns the mean of `x²`.
///
/// # Shapes
///
/// `x`: any; returns `[1]`.
pub fn mean_square(x: Tensor<3>) -> Tensor<1> {
    let count = x.shape().num_elements();
    sum(x.square()) * (count as f64).recip()
}

/// Returns the sum of all numbers. Rows are summed first, because some GPUs compute the remaining
/// sum on a single thread.
fn sum(x: Tensor<3>) -> Tensor<1> {
    x.sum_dim(2).sum()
}

/// Draws the direction of a micro-batch, uniformly from the unit sphere of all numbers of its
/// state. `number` counts micro-batches from the start of the run.
///
/// The m micro-batches of a step have separate directions. Their mean penalty equals the penalty of
/// the whole step along (v_1, …, v_m)/√m with ε√m, because they are independent and J is block
/// diagonal.
///
/// # Shapes
///
/// Returns `[batch, seq, d_model]`.
pub fn direction(
    seed: u64,
    number: u64,
    [batch, seq, width]: [usize; 3],
    device: &Device,
) -> Tensor<3> {
    let mut values = vec![0.0_f64; batch * seq * width];
    values
        .par_chunks_mut(width)
        .enumerate()
        .for_each(|(token, features)| {
            let address = (seed, Stream::Penalty, number);
            let mut rng = token_generator(address, (token / seq) as u64, token % seq);
            for x in features {
                *x = StandardNormal.sample(&mut rng);
            }
        });
    let squares: f64 = values.iter().map(|x| x * x).sum();
    let scale = squares.sqrt().max(f64::MIN_POSITIVE).recip();
    let values: Vec<f32> = values.iter().map(|x| (scale * x) as f32).collect();
    Tensor::from_data(TensorData::new(values, [batch, seq, width]), device)
}

#[cfg(test)]
mod tests;
