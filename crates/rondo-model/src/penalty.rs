//! Penalties on the last state of the loop, x = s_r: terms of a training step's loss beside the cross entropy (CE).
//!
//! ```text
//! loss = (1 − w) CE + w P
//! ```
//!
//! | kind | P | x | source |
//! |---|---|---|---|
//! | jacobian | ‖(f(x + εv) − f(x)) / ε‖², ‖v‖ = 1 | held | STARS, arXiv 2605.26733; by differences as FPRM, arXiv 2606.18206 |
//! | norm | the mean of x² | differentiated | after arXiv 2606.24898 |
//! | fixed-point | the mean of (f(x) − x)² | held | |
//!
//! f is the last iteration once more: with its number, the same e, and what the loop carries beside x as it is. Norms and means are over
//! all numbers of the state together, n = batch · seq · `d_model`. v is drawn anew for each micro-batch, and the mean of the first penalty
//! over v is ‖J‖²/n, J = ∂f/∂x and ‖J‖ its Frobenius norm. What is held has no gradient: the penalty then has one through f alone, its
//! weights and e. Through x it would also reward a state that is easy to keep.
//!
//! The difference of two results in f32 is rounded: P is too high by about n (u/ε)² |f|², u the relative rounding of an element of f. So ε
//! should grow with √n, and products in bf16 round more than εv moves.

use burn::tensor::{Device, Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use crate::seed::{Stream, token_generator};

/// A penalty on the last state of a pass.
#[derive(Clone, Debug)]
pub enum Penalty {
    /// The squared length of the change of f along a direction.
    Jacobian {
        /// v, as [`direction`] draws it, `[batch, seq, d_model]`; in a box, so that the others have no room for it.
        direction: Box<Tensor<3>>,
        /// ε.
        epsilon: f64,
    },
    /// The mean of the squared state.
    Norm,
    /// The mean of the squared change by one more iteration.
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

/// `‖(f(x + εv) − f(x)) / ε‖²`, which costs two applications of f.
///
/// # Shapes
///
/// `x` and `direction`: the same, as f has it; returns `[1]`.
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

/// The mean of `(f(x) − x)²`.
///
/// # Shapes
///
/// `x`: as f has it; returns `[1]`.
pub fn residual(f: impl Fn(Tensor<3>) -> Tensor<3>, x: &Tensor<3>) -> Tensor<1> {
    mean_square(f(x.clone()) - x.clone())
}

/// The mean of `x²`.
///
/// # Shapes
///
/// `x`: any; returns `[1]`.
pub fn mean_square(x: Tensor<3>) -> Tensor<1> {
    let count = x.shape().num_elements();
    sum(x.square()) * (count as f64).recip()
}

/// The sum of all numbers. Each row is summed for itself first: on some GPUs one thread does the rest.
fn sum(x: Tensor<3>) -> Tensor<1> {
    x.sum_dim(2).sum()
}

/// Draws the direction of a micro-batch with a number that counts from the start of the run: uniform on the unit sphere of all numbers of
/// its state.
///
/// The micro-batches of a step have a direction each. Their mean penalty is that of the whole step along (v_1, …, v_m)/√m with ε√m: they
/// do not depend on one another, so J is a block for each.
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
