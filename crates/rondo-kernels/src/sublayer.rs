//! A branch with its norms and its residual connection.
//!
//! | after the branch | definition |
//! |---|---|
//! | [`After::Sum`] | `x + f(before(x))` |
//! | [`After::NormOfSum`] | `norm(x + f(before(x)))` |
//! | [`After::NormOfBranch`] | `x + norm(f(before(x)))` |
//!
//! The forward pass keeps what the branch keeps and what the norm after it reads; the backward pass
//! computes the norm before the branch again.

use crate::matrix::Matrix;
use crate::memory::Scratch;
use crate::norm::RmsNorm;
use crate::product::Write;
use crate::rows::for_rows;
use crate::vector::vectorized;

/// What stands between the norms: attention or an MLP.
pub trait Branch {
    /// What the backward pass needs besides the input.
    type Saved;

    /// Returns the output and what the backward pass needs.
    ///
    /// # Shapes
    ///
    /// `x`: `[rows, width]` to the same.
    fn forward(&self, x: Matrix<'_>) -> (Vec<f32>, Self::Saved);

    /// Returns the gradients for that of the output.
    ///
    /// # Shapes
    ///
    /// `x`, `d_y`: `[rows, width]`.
    fn backward(&self, x: Matrix<'_>, saved: &Self::Saved, d_y: Matrix<'_>) -> Gradients;
}

/// Gradients of a branch or a sublayer.
#[derive(Clone, Debug)]
pub struct Gradients {
    /// Of the input, `[rows, width]`.
    pub input: Vec<f32>,
    /// Of every weight, in the order in which the branch names them.
    pub weights: Vec<Vec<f32>>,
}

/// What follows the branch.
#[derive(Clone, Copy, Debug)]
pub enum After<'a> {
    /// The residual connection alone.
    Sum,
    /// The residual connection, then a norm.
    NormOfSum(RmsNorm<'a>),
    /// A norm, then the residual connection.
    NormOfBranch(RmsNorm<'a>),
}

/// A branch, the norm before it and what follows it.
#[derive(Clone, Copy, Debug)]
pub struct Sublayer<'a, B> {
    /// The norm before the branch.
    pub before: Option<RmsNorm<'a>>,
    /// Attention or an MLP.
    pub branch: B,
    /// What follows it.
    pub after: After<'a>,
}

/// What a sublayer keeps for its backward pass.
#[derive(Clone, Debug)]
pub struct Saved<S> {
    branch: S,
    /// What the norm after the branch read, `[rows, width]`; empty without one.
    normed: Vec<f32>,
}

impl<S> Saved<S> {
    /// Returns what the branch keeps.
    pub fn branch(&self) -> &S {
        &self.branch
    }
}

impl<B: Branch> Sublayer<'_, B> {
    /// Applies the sublayer.
    ///
    /// # Shapes
    ///
    /// `x`: `[rows, width]` to the same.
    pub fn forward(&self, x: Matrix<'_>) -> (Vec<f32>, Saved<B::Saved>) {
        let [_, width] = x.shape();
        let input = self.branch_input(x);
        let (mut y, branch) = self.branch.forward(input.matrix(x));
        let x = x.elements();
        let (out, normed) = match self.after {
            After::Sum => {
                add(&mut y, x);
                (y, Vec::new())
            }
            After::NormOfSum(norm) => {
                let mut out = vec![0.0; y.len()];
                norm.forward_sum(&mut y, x, width, &mut out);
                (out, y)
            }
            After::NormOfBranch(norm) => {
                let mut out = vec![0.0; y.len()];
                norm.forward(&y, width, &mut out);
                add(&mut out, x);
                (out, y)
            }
        };
        (out, Saved { branch, normed })
    }

    /// Returns the gradients: of the input, and of the weights in the order: scale of the norm
    /// before, scale of the norm after, each where there is one, weights of the branch.
    ///
    /// # Shapes
    ///
    /// `x`, `d_out`: `[rows, width]`.
    pub fn backward(&self, x: Matrix<'_>, saved: &Saved<B::Saved>, d_out: Matrix<'_>) -> Gradients {
        let [rows, width] = x.shape();
        let mut d_y = vec![0.0; rows * width];
        let d_after = match self.after {
            After::Sum => {
                d_y.copy_from_slice(d_out.elements());
                None
            }
            After::NormOfSum(norm) | After::NormOfBranch(norm) => {
                let d_out = d_out.elements();
                norm.backward(&saved.normed, d_out, width, &mut d_y, Write::Replace)
            }
        };
        let input = self.branch_input(x);
        let d_branch = self.branch.backward(
            input.matrix(x),
            &saved.branch,
            Matrix::new(&d_y, rows, width),
        );
        // The residual connection: d_y where it is inside the norm, d_out where it is outside.
        let mut d_x = d_y;
        if let After::NormOfBranch(_) = self.after {
            d_x.copy_from_slice(d_out.elements());
        }
        let d_before = match self.before {
            Some(norm) => norm.backward(x.elements(), &d_branch.input, width, &mut d_x, Write::Add),
            None => {
                add(&mut d_x, &d_branch.input);
                None
            }
        };
        Gradients {
            input: d_x,
            weights: d_before
                .into_iter()
                .chain(d_after)
                .chain(d_branch.weights)
                .collect(),
        }
    }

    fn branch_input(&self, x: Matrix<'_>) -> BranchInput {
        BranchInput(self.before.map(|norm| {
            let [rows, width] = x.shape();
            let mut normed = Scratch::of(rows * width);
            norm.forward(x.elements(), width, &mut normed);
            normed
        }))
    }
}

/// The input of the branch: its own, or that of the sublayer where no norm stands before it.
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
