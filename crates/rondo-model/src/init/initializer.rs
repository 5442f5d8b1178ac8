//! How the values of a parameter are drawn.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use super::Fusion;
use crate::seed::{Stream, generator};

/// The distribution of one parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initializer {
    /// A normal distribution with this nominal std, truncated at ±3 std.
    TruncatedNormal {
        /// The nominal standard deviation.
        std: f64,
    },
    /// A matrix with orthonormal rows or columns times `std·√max(rows, cols)`. If the parameter
    /// holds several matrices, each is drawn separately.
    Orthogonal {
        /// The root mean square of the elements.
        std: f64,
        /// The matrices in the parameter.
        fusion: Fusion,
    },
    /// All ones.
    Ones,
    /// All zeros.
    Zeros,
    /// All equal to this number.
    Constant(f64),
    /// The identity matrix.
    Identity,
    /// Every row is a unit vector: row j has its 1 in column j modulo the number of columns.
    Cycle,
    /// Every row is a flattened identity matrix of this size.
    Identities {
        /// The number of rows of the identity.
        size: usize,
    },
}

impl Initializer {
    /// Draws the values of the parameter in row `index` of the table, row major.
    pub(crate) fn values(self, shape: &[usize], seed: u64, index: u64) -> Vec<f32> {
        let count = shape.iter().product();
        match self {
            Self::Ones => vec![1.0; count],
            Self::Zeros => vec![0.0; count],
            Self::Constant(value) => vec![value as f32; count],
            Self::Identity => where_one(shape, |row, column| row == column),
            Self::Cycle => where_one(shape, |row, column| column == row % shape[1]),
            Self::Identities { size } => {
                where_one(shape, |_, column| column / size == column % size)
            }
            Self::TruncatedNormal { std } => {
                let mut rng = generator(seed, Stream::Weights, index);
                (0..count)
                    .map(|_| (std * truncated_normal(&mut rng)) as f32)
                    .collect()
            }
            Self::Orthogonal { std, fusion } => {
                let mut rng = generator(seed, Stream::Weights, index);
                fusion.orthogonal([shape[0], shape[1]], std, &mut rng)
            }
        }
    }
}

/// Returns a matrix with ones where `is_one` holds and zeros elsewhere.
fn where_one(shape: &[usize], is_one: impl Fn(usize, usize) -> bool) -> Vec<f32> {
    let [rows, columns] = [shape[0], shape[1]];
    (0..rows * columns)
        .map(|place| f32::from(u8::from(is_one(place / columns, place % columns))))
        .collect()
}

/// Draws from the standard normal, truncated at ±3.
pub(crate) fn truncated_normal(rng: &mut impl Rng) -> f64 {
    loop {
        let x: f64 = StandardNormal.sample(rng);
        if x.abs() <= 3.0 {
            return x;
        }
    }
}
