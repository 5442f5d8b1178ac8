//! Low-rank additions of each iteration to the matrices of the core's layers (LoRA over iterations:
//! Relaxed Recursive Transformers, arXiv 2410.20672; Mixture-of-Recursions, arXiv 2507.10524).
//!
//! ```text
//! iteration i uses  W + A_ρᵀ B_ρ  in place of W,  where ρ is the row of i in the table of pairs
//! ```
//!
//! A_ρ and B_ρ are a pair; A_ρ is `[rank, d_in]`, B_ρ is `[rank, d_out]`. Queries, keys and values
//! have separate pairs, although this crate stores their matrices as one fused matrix. The two
//! halves of the MLP's first matrix also have separate pairs. B is zero at the start of training,
//! so the model starts as the plain loop. [`Beyond`] selects the row for iterations beyond the last
//! row. `W + A_ρᵀ B_ρ` is computed once per iteration for all tokens of a batch.

use std::ops::Range;

use burn::module::{Module, Param};
use burn::tensor::{Tensor, s};

use crate::adjustment::Adjustment;
use crate::config::{Beyond, LoraConfig, LoraMatrix, ModelConfig};
use crate::init::{Fusion, Initializer, Part, Place, Role, Table, Weights};
use crate::ops::{self, Precision, Product};

/// The pairs of every layer of the core.
#[derive(Module, Debug)]
pub struct Lora {
    layers: Vec<LayerPairs>,
    #[module(skip)]
    rows: usize,
    #[module(skip)]
    beyond: Beyond,
}

/// The pairs of a layer; `None` for a matrix without a pair.
#[derive(Module, Debug)]
pub struct LayerPairs {
    query: Option<Pair>,
    key: Option<Pair>,
    value: Option<Pair>,
    output: Option<Pair>,
    gate: Option<Pair>,
    up: Option<Pair>,
    down: Option<Pair>,
    /// The numbers of columns of the matrices of queries, keys and values, and of the two halves of
    /// the MLP's first matrix.
    #[module(skip)]
    widths: [usize; 5],
}

/// The pairs of a matrix, stacked over the rows of the table, one row per iteration.
#[derive(Module, Debug)]
pub struct Pair {
    /// A, `[rows · rank, d_in]`.
    a: Param<Tensor<2>>,
    /// B, `[rows · rank, d_out]`.
    b: Param<Tensor<2>>,
}

/// The additions of one row to the first and the last matrix of each branch of a layer; `None` for
/// an unchanged matrix.
#[derive(Clone, Debug, Default)]
pub(crate) struct Additions {
    attention: [Option<Tensor<2>>; 2],
    feed_forward: [Option<Tensor<2>>; 2],
}

/// Adds the parameters to the table, if LoRA is configured.
pub(crate) fn parameters(table: &mut Table<'_>) {
    let config = table.config;
    let Some(lora) = &config.lora else { return };
    let rows = lora.rows(&config.recurrence);
    for layer in 0..config.layers.core {
        for matrix in LoraMatrix::ALL.into_iter().filter(|one| lora.has(*one)) {
            let [d_in, d_out] = matrix.shape(config);
            let rank = lora.rank_of(matrix, config);
            let drawn = match table.drawn(Place::Input, Fusion::None) {
                Initializer::Orthogonal { std, .. } => Initializer::TruncatedNormal { std },
                drawn => drawn,
            };
            for (half, width, init) in [("a", d_in, drawn), ("b", d_out, Initializer::Zeros)] {
                let name = name(layer, matrix, half);
                let shape = vec![rows * rank, width];
                table.push(&name, shape, Part::Lora, Role::LowRank, init);
            }
        }
    }
}

/// Returns the parameter name of A or B of a matrix; `half` is `a` or `b`.
pub fn name(layer: usize, matrix: LoraMatrix, half: &str) -> String {
    format!("lora.layers.{layer}.{}.{half}", matrix.name())
}

impl Lora {
    /// Builds the pairs, if LoRA is configured.
    pub fn new(config: &ModelConfig, weights: &Weights<'_>) -> Option<Self> {
        let lora = config.lora.as_ref()?;
        Some(Self {
            layers: (0..config.layers.core)
                .map(|layer| LayerPairs::new(config, lora, layer, weights))
                .collect(),
            rows: lora.rows(&config.recurrence),
            beyond: lora.beyond,
        })
    }

    /// Returns the number of rows, that is, of iterations with pairs of their own.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the row of the iteration that follows after `iterations` iterations.
    pub(crate) fn row(&self, iterations: usize) -> usize {
        self.beyond.row(iterations, self.rows)
    }

    /// Returns the additions of a row to each layer.
    pub(crate) fn additions(&self, row: usize) -> Vec<Additions> {
        let all = self.layers.iter();
        all.map(|layer| layer.additions(row, self.rows)).collect()
    }
}

impl LayerPairs {
    fn new(config: &ModelConfig, lora: &LoraConfig, layer: usize, weights: &Weights<'_>) -> Self {
        let pair = |matrix| {
            lora.has(matrix).then(|| Pair {
                a: weights.get(&name(layer, matrix, "a")),
                b: weights.get(&name(layer, matrix, "b")),
            })
        };
        let width = |matrix: LoraMatrix| matrix.shape(config)[1];
        Self {
            query: pair(LoraMatrix::Query),
            key: pair(LoraMatrix::Key),
            value: pair(LoraMatrix::Value),
            output: pair(LoraMatrix::Output),
            gate: pair(LoraMatrix::Gate),
            up: pair(LoraMatrix::Up),
            down: pair(LoraMatrix::Down),
            widths: [
                LoraMatrix::Query,
                LoraMatrix::Key,
                LoraMatrix::Value,
                LoraMatrix::Gate,
                LoraMatrix::Up,
            ]
            .map(width),
        }
    }

    fn additions(&self, row: usize, rows: usize) -> Additions {
        let product = |pair: &Option<Pair>| pair.as_ref().map(|pair| pair.product(row, rows));
        let [query, key, value, gate, up] = self.widths;
        Additions {
            attention: [
                side_by_side([
                    (product(&self.query), query),
                    (product(&self.key), key),
                    (product(&self.value), value),
                ]),
                product(&self.output),
            ],
            feed_forward: [
                side_by_side([(product(&self.gate), gate), (product(&self.up), up)]),
                product(&self.down),
            ],
        }
    }
}

impl Pair {
    /// Returns `Aᵀ B` for row `row` of `rows` rows.
    fn product(&self, row: usize, rows: usize) -> Tensor<2> {
        let part = |all: Tensor<2>| {
            let rank = all.dims()[0] / rows;
            let own: Range<usize> = row * rank..(row + 1) * rank;
            all.slice(s![own, ..])
        };
        let (a, b) = (part(self.a.val()), part(self.b.val()));
        let product = Product::plain(Precision::F32);
        ops::of(&a).product(product, a.transpose(), b)
    }
}

impl Additions {
    /// Stores the additions in `adjustment`.
    pub(crate) fn enter(self, adjustment: &mut Adjustment) {
        let [first, last] = self.attention;
        (adjustment.attention.first, adjustment.attention.last) = (first, last);
        let [first, last] = self.feed_forward;
        (adjustment.feed_forward.first, adjustment.feed_forward.last) = (first, last);
    }
}

/// Puts matrices side by side. Each part has a width, and a missing matrix becomes zeros of this
/// width. Returns `None` if all matrices are missing.
fn side_by_side<const N: usize>(parts: [(Option<Tensor<2>>, usize); N]) -> Option<Tensor<2>> {
    let first = parts.iter().find_map(|(part, _)| part.as_ref())?;
    let (rows, device) = (first.dims()[0], first.device());
    let whole = parts
        .into_iter()
        .map(|(part, width)| part.unwrap_or_else(|| Tensor::zeros([rows, width], &device)));
    Some(Tensor::cat(whole.collect(), 1))
}

#[cfg(test)]
mod tests;
