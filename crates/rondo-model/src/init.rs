//! Every parameter's name, shape and initialiser in one table.
//!
//! | scheme | std | output projections | embedding | γ |
//! |---|---|---|---|---|
//! | takase | √(2/(5h)) | √(2/(5h)) / √(2l) | √(2/(5h)) | √h |
//! | scaled | √(2/(5h)) | √(2/(5h)) / √(2l) | √(2/(5h)) | 1 |
//! | small | √(2/(5h)) | √(2/(5h)) | √(2/(5h)) | 1 |
//!
//! h is the model's width, and l = l_P + r̄·l_R + l_C is the effective depth at the mean recurrence
//! r̄. Normal distributions are truncated at ±3 std, so their true std is 0.9866 times the nominal
//! std. Norm scales are 1, biases 0 (Geiping et al. 2025, arXiv 2502.05171, §4.1, and its reference
//! implementation).
//!
//! With `orthogonal`, every matrix is orthogonal instead, with the same std. Q, K and V, and the
//! two halves of a gated MLP, are orthogonal separately, although they are stored side by side as
//! one matrix ([`Fusion`]).
//!
//! With `branch_scale = "deeploop"`, some matrices of the core have the std of the column "std"
//! times β: the value matrix, the projection after attention, the MLP's second matrix, and the half
//! of the MLP's first matrix whose output does not go through SiLU. They correspond to the matrices
//! that DeepNorm scales (arXiv 2203.00555) in an MLP of two matrices.
//!
//! Matrices are stored `[d_in, d_out]`, so that `y = x · W`. Modules get their parameters from
//! [`Weights`].

mod initializer;
mod orthogonal;
mod weights;

pub use initializer::Initializer;
pub(crate) use initializer::truncated_normal;
pub use orthogonal::Fusion;
pub use weights::Weights;

use crate::conditioning;
use crate::config::{InitScheme, ModelConfig, QkBias, QkNorm};
use crate::history;
use crate::injection;
use crate::lanes;
use crate::layer::{Layer, Stack};
use crate::lora;
use crate::residual;

/// The part of the model that a parameter belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The token embedding table.
    Tokens,
    /// The prelude's layers.
    Prelude,
    /// The coefficients of a history.
    History,
    /// The weights of lanes.
    Lanes,
    /// The parameters of the conditioning.
    Conditioning,
    /// The parameters of the loop residual.
    Residual,
    /// The low-rank additions of each iteration to the core's matrices.
    Lora,
    /// The injection's parameters.
    Adapter,
    /// The core block's layers.
    Core,
    /// The coda's layers.
    Coda,
    /// The shared norm n_f.
    Norm,
    /// The head, unless it is tied to the token embedding.
    Head,
}

impl Part {
    /// Returns the part for the layers of `stack`.
    fn of(stack: Stack) -> Self {
        match stack {
            Stack::Prelude => Self::Prelude,
            Stack::Core => Self::Core,
            Stack::Coda => Self::Coda,
        }
    }
}

/// The function of a parameter in the model, which determines how the parameter is optimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A lookup table: the token embedding.
    Embedding,
    /// A matrix that multiplies activations.
    Matrix,
    /// A norm's scale.
    Scale,
    /// A bias.
    Bias,
    /// Parameters of factors on states: decays, shares, coefficients of a history.
    Rate,
    /// The learned biases of gates, one per head of a layer.
    GateBias,
    /// A or B of the low-rank pairs whose products are added to a matrix, stacked over iterations.
    LowRank,
}

/// Columns of a matrix that have another standard deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gain {
    /// The first of these columns. The columns after it, up to the last one, also belong to them.
    pub first: usize,
    /// The factor on the values of these columns.
    pub factor: f64,
}

/// One row of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterSpec {
    /// Path in the module tree, e.g. `core.0.attention.qkv`.
    pub name: String,
    /// The dimensions.
    pub shape: Vec<usize>,
    /// The part of the model.
    pub part: Part,
    /// The function of the parameter.
    pub role: Role,
    /// The initialiser.
    pub init: Initializer,
    /// The columns with another standard deviation, if any.
    pub gain: Option<Gain>,
}

impl ParameterSpec {
    /// Draws the values, row major; `index` is the parameter's number in the table.
    pub(crate) fn values(&self, seed: u64, index: u64) -> Vec<f32> {
        let mut values = self.init.values(&self.shape, seed, index);
        if let (Some(gain), [_, columns]) = (self.gain, self.shape.as_slice()) {
            for row in values.chunks_mut(*columns) {
                for value in &mut row[gain.first..] {
                    *value = (f64::from(*value) * gain.factor) as f32;
                }
            }
        }
        values
    }

    /// Returns the number of elements.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Returns every parameter of a model in the order in which the module tree visits them.
pub fn table(config: &ModelConfig) -> Vec<ParameterSpec> {
    let mut table = Table {
        config,
        rows: Vec::new(),
    };
    let (h, vocab) = (config.d_model, config.vocab_size);
    let drawn = table.drawn(Place::Input, Fusion::None);
    let shape = vec![vocab, h];
    table.push("tokens", shape, Part::Tokens, Role::Embedding, drawn);
    table.blocks(Stack::Prelude, config.layers.prelude);
    injection::parameters(&mut table);
    table.blocks(Stack::Core, config.layers.core);
    table.blocks(Stack::Coda, config.layers.coda);
    table.norm("norm", Part::Norm);
    if !config.tied_head {
        let drawn = table.drawn(Place::Input, Fusion::None);
        table.matrix("head", [h, vocab], Part::Head, drawn);
    }
    // These parameters are last because a parameter's random numbers depend on its row. So the
    // other parameters get the same values with and without these options.
    history::parameters(&mut table);
    residual::parameters(&mut table);
    conditioning::parameters(&mut table);
    lanes::parameters(&mut table);
    lora::parameters(&mut table);
    table.rows
}

/// The position of a matrix relative to the residual stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Does not write into the residual stream.
    Input,
    /// Writes into the residual stream.
    Output,
}

/// The table under construction.
pub(crate) struct Table<'a> {
    /// The model.
    pub(crate) config: &'a ModelConfig,
    rows: Vec<ParameterSpec>,
}

impl Table<'_> {
    /// Adds a parameter.
    pub(crate) fn push(
        &mut self,
        name: &str,
        shape: Vec<usize>,
        part: Part,
        role: Role,
        init: Initializer,
    ) {
        self.rows.push(ParameterSpec {
            name: name.to_owned(),
            shape,
            part,
            role,
            init,
            gain: None,
        });
    }

    /// Adds a matrix.
    pub(crate) fn matrix(&mut self, name: &str, shape: [usize; 2], part: Part, init: Initializer) {
        self.push(name, shape.to_vec(), part, Role::Matrix, init);
    }

    fn bias(&mut self, name: &str, shape: Vec<usize>, part: Part, role: Role) {
        self.push(name, shape, part, role, Initializer::Zeros);
    }

    fn norm(&mut self, name: &str, part: Part) {
        if self.config.norm.learned {
            self.scale(&format!("{name}.scale"), self.config.d_model, part);
        }
    }

    fn scale(&mut self, name: &str, length: usize, part: Part) {
        self.push(name, vec![length], part, Role::Scale, Initializer::Ones);
    }

    fn blocks(&mut self, stack: Stack, layers: usize) {
        let part = Part::of(stack);
        let [before, after] = self.config.block.norms();
        for index in 0..layers {
            let layer = Layer { stack, index }.name();
            let name = |part: &str| format!("{layer}.{part}");
            self.attention(&name("attention"), stack);
            self.feed_forward(&name("feed_forward"), self.config.d_model, part);
            for (norm, present) in [
                ("attn_in", before),
                ("attn_out", after),
                ("ffn_in", before),
                ("ffn_out", after),
            ] {
                if present {
                    self.norm(&name(norm), part);
                }
            }
        }
    }

    fn attention(&mut self, name: &str, stack: Stack) {
        let (config, part) = (self.config, Part::of(stack));
        let (h, d_head) = (config.d_model, config.d_head());
        let (heads, kv_heads) = (config.n_heads, config.n_kv_heads);
        let width = (heads + 2 * kv_heads) * d_head;
        let attended = config.attended_width();
        let qkv = Fusion::Attention {
            queries: heads * d_head,
            keys: kv_heads * d_head,
        };
        let drawn = self.drawn(Place::Input, qkv);
        self.matrix(&format!("{name}.qkv"), [h, width], part, drawn);
        self.designated(part, (heads + kv_heads) * d_head);
        let bias = match config.qk_bias {
            QkBias::None => None,
            QkBias::Qk => Some(("qk_bias", heads + kv_heads)),
            QkBias::Qkv => Some(("qkv_bias", heads + 2 * kv_heads)),
        };
        if let Some((bias, heads)) = bias {
            let shape = vec![heads, d_head];
            self.bias(&format!("{name}.{bias}"), shape, part, Role::Bias);
        }
        let scales = match config.qk_norm {
            QkNorm::None | QkNorm::Plain => None,
            QkNorm::Head => Some([d_head; 2]),
            QkNorm::Width => Some([attended, kv_heads * d_head]),
        };
        if let Some(lengths) = scales {
            for (norm, length) in ["q_norm", "k_norm"].into_iter().zip(lengths) {
                self.scale(&format!("{name}.{norm}"), length, part);
            }
        }
        if config
            .gates_of(stack)
            .is_some_and(|gates| gates.learned_bias)
        {
            let name = format!("{name}.gate_bias");
            self.bias(&name, vec![heads], part, Role::GateBias);
        }
        let drawn = self.drawn(self.output(part), Fusion::None);
        self.matrix(&format!("{name}.proj"), [attended, h], part, drawn);
        self.designated(part, 0);
    }

    /// Adds the matrices of a gated MLP on `d_in` features.
    pub(crate) fn feed_forward(&mut self, name: &str, d_in: usize, part: Part) {
        let (h, f) = (self.config.d_model, self.config.d_ff);
        let (into, out) = (format!("{name}.in_proj"), format!("{name}.out_proj"));
        let drawn = self.drawn(Place::Input, Fusion::Halves);
        self.matrix(&into, [d_in, 2 * f], part, drawn);
        self.designated(part, f);
        let drawn = self.drawn(self.output(part), Fusion::None);
        self.matrix(&out, [f, h], part, drawn);
        self.designated(part, 0);
    }

    /// Returns β of DeepLoop, if β applies to the matrices of `part`.
    fn beta(&self, part: Part) -> Option<f64> {
        let factors = self.config.branch_factors()?;
        factors.drawn.filter(|_| part == Part::Core)
    }

    /// Returns the place that determines the std of a branch's last matrix. If β applies to `part`,
    /// β takes the place of the reduced std for output projections.
    fn output(&self, part: Part) -> Place {
        match self.beta(part) {
            Some(_) => Place::Input,
            None => Place::Output,
        }
    }

    /// Gives the last added matrix the gain β on its columns from `first` on, if β applies to
    /// `part`.
    fn designated(&mut self, part: Part, first: usize) {
        let beta = self.beta(part);
        if let (Some(factor), Some(row)) = (beta, self.rows.last_mut()) {
            row.gain = Some(Gain { first, factor });
        }
    }

    /// Returns the initialiser of a matrix.
    pub(crate) fn drawn(&self, place: Place, fusion: Fusion) -> Initializer {
        let config = self.config;
        let base = (2.0 / (5.0 * config.d_model as f64)).sqrt();
        let depth = config.effective_depth(config.recurrence.mean) as f64;
        let std = match (config.init.scheme, place) {
            (InitScheme::Small, _) | (_, Place::Input) => base,
            (InitScheme::Takase | InitScheme::Scaled, Place::Output) => base / (2.0 * depth).sqrt(),
        };
        if config.init.orthogonal {
            Initializer::Orthogonal { std, fusion }
        } else {
            Initializer::TruncatedNormal { std }
        }
    }
}

#[cfg(test)]
mod tests;
