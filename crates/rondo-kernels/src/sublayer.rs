//! A branch with its norms and its residual connection.
//!
//! | steps after the branch | result of the sublayer |
//! |---|---|
//! | [`After::Sum`] | `x + f(before(x))` |
//! | [`After::NormOfSum`] | `norm(x + f(before(x)))` |
//! | [`After::NormOfBranch`] | `x + norm(f(before(x)))` |
//!
//! In the table, `f` is the branch, `before` is the norm whose output the branch reads, and `norm`
//! is the norm after the branch. Without a norm before the branch, `before(x)` is `x`. The forward
//! pass stores the data of the branch and the input of the norm after the branch. The backward pass
//! recomputes the norm before the branch.

use crate::matrix::Matrix;
use crate::memory::Scratch;
use crate::norm::Norm;
use crate::product::Write;
use crate::rows::for_rows;
use crate::vector::vectorized;

/// The function between the norms: attention or an MLP.
pub trait Branch {
    /// The weights, with a value of type `T` for each weight.
    type Weights<T>;
    /// The data that the backward pass needs in addition to the tensors.
    type Saved;

    /// Returns the output, and the data for the backward pass.
    ///
    /// # Shapes
    ///
    /// `x` and the output: `[rows, width]`.
    fn forward(
        &self,
        weights: &Self::Weights<Matrix<'_>>,
        x: Matrix<'_>,
    ) -> (Vec<f32>, Self::Saved);

    /// Returns the gradients of `x` and of the weights, given the gradient of the output.
    ///
    /// # Shapes
    ///
    /// `x`, `d_y`: `[rows, width]`.
    fn backward(
        &self,
        weights: &Self::Weights<Matrix<'_>>,
        x: Matrix<'_>,
        saved: &Self::Saved,
        d_y: Matrix<'_>,
    ) -> (Vec<f32>, Self::Weights<Vec<f32>>);
}

/// The steps after the branch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum After {
    /// Only the residual connection.
    Sum,
    /// The residual connection, then a norm.
    NormOfSum(Norm),
    /// A norm, then the residual connection.
    NormOfBranch(Norm),
}

/// A branch, the norm before it and the steps after it, without their tensors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sublayer<B> {
    /// The norm before the branch.
    pub before: Option<Norm>,
    /// The branch: attention or an MLP.
    pub branch: B,
    /// The steps after the branch.
    pub after: After,
}

/// The tensors of a sublayer, or other values in their places: `X` in the place of the input, `V`
/// in the place of a scale, `W` in the place of the weights of the branch.
#[derive(Clone, Copy, Debug)]
pub struct SublayerTensors<X, W, V = X> {
    /// The input, `[rows, width]`.
    pub x: X,
    /// The scale of the norm before the branch, `[width]`.
    pub before: Option<V>,
    /// The scale of the norm after the branch, `[width]`.
    pub after: Option<V>,
    /// The weights of the branch.
    pub branch: W,
}

/// The data that a sublayer stores for its backward pass.
#[derive(Clone, Debug)]
pub struct Saved<S> {
    branch: S,
    /// The input of the norm after the branch, `[rows, width]`; empty without such a norm.
    normed: Vec<f32>,
}

impl<S> Saved<S> {
    /// Returns the data that the branch stores.
    pub fn branch(&self) -> &S {
        &self.branch
    }
}

impl<B: Branch> Sublayer<B> {
    /// Applies the sublayer. The output has the shape of the input.
    pub fn forward(
        &self,
        tensors: &SublayerTensors<Matrix<'_>, B::Weights<Matrix<'_>>>,
    ) -> (Vec<f32>, Saved<B::Saved>) {
        let SublayerTensors {
            x,
            before,
            after,
            branch: weights,
        } = tensors;
        let [_, width] = x.shape();
        let input = self.branch_input(*x, *before);
        let (mut y, branch) = self.branch.forward(weights, input.matrix(*x));
        let (x, scale) = (x.elements(), after.map(|scale| scale.elements()));
        let (out, normed) = match self.after {
            After::Sum => {
                add(&mut y, x);
                (y, Vec::new())
            }
            After::NormOfSum(norm) => {
                let mut out = vec![0.0; y.len()];
                norm.forward_sum(scale, &mut y, x, width, &mut out);
                (out, y)
            }
            After::NormOfBranch(norm) => {
                let mut out = vec![0.0; y.len()];
                norm.forward(scale, &y, width, &mut out);
                add(&mut out, x);
                (out, y)
            }
        };
        (out, Saved { branch, normed })
    }

    /// Returns the gradient of every tensor.
    ///
    /// # Shapes
    ///
    /// `d_out`: `[rows, width]`.
    pub fn backward(
        &self,
        tensors: &SublayerTensors<Matrix<'_>, B::Weights<Matrix<'_>>>,
        saved: &Saved<B::Saved>,
        d_out: Matrix<'_>,
    ) -> SublayerTensors<Vec<f32>, B::Weights<Vec<f32>>> {
        let SublayerTensors {
            x,
            before,
            after,
            branch: weights,
        } = tensors;
        let [rows, width] = x.shape();
        let mut d_y = vec![0.0; rows * width];
        let d_after = match self.after {
            After::Sum => {
                d_y.copy_from_slice(d_out.elements());
                None
            }
            After::NormOfSum(norm) | After::NormOfBranch(norm) => {
                let (scale, d_out) = (after.map(|scale| scale.elements()), d_out.elements());
                norm.backward(scale, &saved.normed, d_out, width, &mut d_y, Write::Replace)
            }
        };
        let input = self.branch_input(*x, *before);
        let (d_input, d_weights) = self.branch.backward(
            weights,
            input.matrix(*x),
            &saved.branch,
            Matrix::new(&d_y, rows, width),
        );
        // The residual connection adds the gradient of the sum to the gradient of x. The gradient
        // of the sum is d_y if the norm after the branch covers the sum; it is d_out if the norm
        // covers only the branch. Without a norm after the branch, d_y equals d_out.
        let mut d_x = d_y;
        if let After::NormOfBranch(_) = self.after {
            d_x.copy_from_slice(d_out.elements());
        }
        let d_before = match self.before {
            Some(norm) => {
                let scale = before.map(|scale| scale.elements());
                norm.backward(scale, x.elements(), &d_input, width, &mut d_x, Write::Add)
            }
            None => {
                add(&mut d_x, &d_input);
                None
            }
        };
        SublayerTensors {
            x: d_x,
            before: d_before,
            after: d_after,
            branch: d_weights,
        }
    }

    fn branch_input(&self, x: Matrix<'_>, scale: Option<Matrix<'_>>) -> BranchInput {
        BranchInput(self.before.map(|norm| {
            let [rows, width] = x.shape();
            let mut normed = Scratch::of(rows * width);
            let scale = scale.map(|scale| scale.elements());
            norm.forward(scale, x.elements(), width, &mut normed);
            normed
        }))
    }
}

/// The input of the branch: the output of the norm before the branch, or `None` if there is no such
/// norm and the branch reads the input of the sublayer.
struct BranchInput(Option<Scratch>);

impl BranchInput {
    fn matrix<'a>(&'a self, x: Matrix<'a>) -> Matrix<'a> {
        let [rows, width] = x.shape();
        match &self.0 {
            Some(normed) => Matrix::new(normed, rows, width),
            None => x,
        }
    }
}

/// Adds `b` to `a`.
fn add(a: &mut [f32], b: &[f32]) {
    for_rows(a, 1, |first, a| {
        vectorized(
            #[inline(always)]
            || {
                for (a, b) in a.iter_mut().zip(&b[first..]) {
                    *a += b;
                }
            },
        );
    });
}

#[cfg(test)]
mod bf16_tests;
#[cfg(test)]
mod gated_tests;
#[cfg(test)]
mod tests;
