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
//! f applies the last iteration once more, with the same iteration number, the same e, and the same
//! tensors carried along with x. Norms and means are over all n = batch · seq · `d_model` numbers
//! of the state together. v is drawn separately for each micro-batch. The mean of the jacobian
//! penalty over v is ‖J‖²/n, with J = ∂f/∂x and its Frobenius norm ‖J‖. The last column of the
//! table says whether P has a gradient through x. If x is constant, P has a gradient only through
//! the weights of f and through e. A gradient through x would also train earlier iterations to
//! compute states at which P is small.
//!
//! The difference of two results in f32 has rounding errors: P is too high by about n (u/ε)² |f|²,
//! where |f| is the size of an element of f, and u the relative rounding error of such an element.
//! So ε should grow with √n. If products are computed in bf16, the rounding exceeds the effect of
//! εv.

use burn::tensor::{Device, Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use crate::seed::{Stream, token_generator};

/// A penalty on the last state of a pass.
#[derive(Clone, Debug)]
pub enum Penalty {
    /// The squared change of f along a direction.
    Jacobian {
        /// v, drawn by [`direction`], `[batch, seq, d_model]`; boxed to keep the enum small.
        direction: Box<Tensor<3>>,
        /// ε, the length of the step along v.
        epsilon: f64,
    },
    /// The mean of the squared state.
    Norm,
    /// The mean of the squared change that one more iteration makes.
    FixedPoint,
}

/// A penalty with its weight in the loss.
#[derive(Clone, Debug)]
pub struct Weighted {
    /// P, without its weight.
    pub penalty: Penalty,
    /// w, the weight of P, from 0 to 1.
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

/// Draws the direction v of a micro-batch, uniformly from the unit vectors with as many numbers as
/// the micro-batch's state. `number` is the number of the micro-batch, counted from the start of
/// the run.
///
/// The m micro-batches of a step have separate directions. The mean of their penalties equals the
/// penalty of the whole step along (v_1, …, v_m)/√m with ε√m, because the micro-batches do not
/// depend on each other: J is block diagonal.
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
