//! Gated attention in f64 with every matrix in memory, and its gradient: the reference for the
//! kernels.

use super::reference::{Reference, add_scaled, inner};
use crate::attention::noise::HeadNoise;
use crate::attention::{Gate, Opening, Shape};

/// One edge of one head.
struct Edge {
    weight: f64,
    /// The logit `g` of the gate.
    logit: f64,
    /// `g + ℓ` with the noise `ℓ`, or `g` if gates are not drawn.
    drawn: f64,
}

/// Adds gates to a [`Reference`]. The reference must have no segments, and no operations that
/// prepare queries, keys and values (bias, rotation, norm): `qkv` is used as it is.
pub(super) struct GatedReference<'a> {
    pub(super) plain: Reference,
    pub(super) gate: Gate,
    pub(super) head_bias: Option<&'a [f32]>,
}

/// The results of the forward pass.
pub(super) struct Outcome {
    pub(super) attended: Vec<f64>,
    pub(super) lse: Vec<f64>,
    pub(super) expected: Vec<f64>,
    pub(super) open: Vec<u64>,
    /// The smallest `|g + ℓ|` of all edges.
    pub(super) margin: f64,
    /// `A − σ(g + ℓ)` of every edge, in the order of sequences, heads, queries, keys. `A` is 1 if
    /// the gate is open (`g + ℓ > 0`), and 0 otherwise.
    pub(super) rounding: Vec<f64>,
}

/// The results of the backward pass.
pub(super) struct Gradient {
    pub(super) qkv: Vec<f64>,
    pub(super) head_bias: Vec<f64>,
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn slope(x: f64) -> f64 {
    sigmoid(x) * sigmoid(-x)
}

impl GatedReference<'_> {
    fn shape(&self) -> Shape {
        self.plain.shape
    }

    /// Returns the `lse` and the edges of a query. `moved` is added to the bias of each head.
    fn edges(&self, qkv: &[f64], at: [usize; 4], moved: &[f64]) -> (f64, Vec<Edge>) {
        let [sequence, head, query, key_head] = at;
        let (lse, weights) = self.plain.weights(qkv, at);
        let bias = f64::from(self.gate.bias_of(self.head_bias, head)) + moved[head];
        let d_head = self.shape().d_head;
        let part = |position, head| &qkv[self.plain.at(sequence, position, head)..][..d_head];
        let edge = |(key, weight): (usize, f64)| {
            let score = inner(part(query, head), part(key, key_head)) / (d_head as f64).sqrt();
            let logit = score + bias;
            let noise = match self.gate.opening {
                Opening::Threshold => 0.0,
                Opening::Drawn { key: seed } => {
                    let row = HeadNoise::new(seed, sequence, head).row(key);
                    let u = f64::from(row.uniform(query as u32));
                    (u / (1.0 - u)).ln()
                }
            };
            Edge {
                weight,
                logit,
                drawn: logit + noise,
            }
        };
        (lse, weights.into_iter().enumerate().map(edge).collect())
    }

    pub(super) fn forward(&self, qkv: &[f64]) -> Outcome {
        let shape = self.shape();
        let mut outcome = Outcome {
            attended: vec![0.0; shape.rows() * shape.attended_width()],
            lse: Vec::new(),
            expected: vec![0.0; shape.heads],
            open: vec![0; shape.heads],
            margin: f64::INFINITY,
            rounding: Vec::new(),
        };
        let moved = vec![0.0; shape.heads];
        self.plain
            .for_queries(|sequence, head, query, key_head, value_head| {
                let (lse, edges) = self.edges(qkv, [sequence, head, query, key_head], &moved);
                outcome.lse.push(lse);
                let at = self.plain.attended_at(sequence, query, head);
                let out = &mut outcome.attended[at..][..shape.d_head];
                for (key, edge) in edges.iter().enumerate() {
                    let open = f64::from(edge.drawn > 0.0);
                    let value = &qkv[self.plain.at(sequence, key, value_head)..][..shape.d_head];
                    add_scaled(out, edge.weight * open, value);
                    outcome.expected[head] += sigmoid(edge.logit);
                    outcome.open[head] += u64::from(edge.logit > 0.0);
                    outcome.margin = outcome.margin.min(edge.drawn.abs());
                    outcome.rounding.push(open - sigmoid(edge.drawn));
                }
            });
        outcome
    }

    /// Returns `(Σ d_attended ∘ attended) + d_density · density`. In `attended`, every `A` is
    /// replaced by `σ(g + ℓ) + rounding`. `density` is the mean of `σ(g)` over all edges of all
    /// heads. `moved` is added to the bias of each head. The gradient of this smooth function is
    /// the straight-through gradient.
    pub(super) fn smooth_loss(
        &self,
        qkv: &[f64],
        moved: &[f64],
        rounding: &[f64],
        d_attended: &[f64],
    ) -> f64 {
        let shape = self.shape();
        let mut rounding = rounding.iter();
        let (mut loss, mut density) = (0.0, 0.0);
        self.plain
            .for_queries(|sequence, head, query, key_head, value_head| {
                let (_, edges) = self.edges(qkv, [sequence, head, query, key_head], moved);
                let at = self.plain.attended_at(sequence, query, head);
                let d_out = &d_attended[at..][..shape.d_head];
                for ((key, edge), rounding) in edges.iter().enumerate().zip(&mut rounding) {
                    let value = &qkv[self.plain.at(sequence, key, value_head)..][..shape.d_head];
                    let open = sigmoid(edge.drawn) + rounding;
                    loss += edge.weight * open * inner(value, d_out);
                    density += sigmoid(edge.logit);
                }
            });
        let edges = shape.edges() as f64 * shape.heads as f64;
        loss + f64::from(self.gate.d_density) * density / edges
    }

    /// Returns the straight-through gradient of the loss.
    pub(super) fn backward(&self, qkv: &[f64], d_attended: &[f64]) -> Gradient {
        let shape = self.shape();
        let d_head = shape.d_head;
        let pull = f64::from(self.gate.d_density) / (shape.edges() as f64 * shape.heads as f64);
        let mut gradient = Gradient {
            qkv: vec![0.0; qkv.len()],
            head_bias: vec![0.0; shape.heads],
        };
        let moved = vec![0.0; shape.heads];
        self.plain
            .for_queries(|sequence, head, query, key_head, value_head| {
                let part =
                    |position, head| &qkv[self.plain.at(sequence, position, head)..][..d_head];
                let (_, edges) = self.edges(qkv, [sequence, head, query, key_head], &moved);
                let at = self.plain.attended_at(sequence, query, head);
                let d_out = &d_attended[at..][..d_head];
                let d_weight = |key: usize, edge: &Edge| {
                    f64::from(edge.drawn > 0.0) * inner(d_out, part(key, value_head))
                };
                let mean: f64 = (0..)
                    .zip(&edges)
                    .map(|(k, e)| e.weight * d_weight(k, e))
                    .sum();
                for (key, edge) in edges.iter().enumerate() {
                    let through = edge.weight * inner(d_out, part(key, value_head));
                    let d_logit = through * slope(edge.drawn) + pull * slope(edge.logit);
                    let d_score = edge.weight * (d_weight(key, edge) - mean) + d_logit;
                    let d_product = d_score / (d_head as f64).sqrt();
                    gradient.head_bias[head] += d_logit;
                    let mut add = |position, head, factor, x: &[f64]| {
                        let at = self.plain.at(sequence, position, head);
                        add_scaled(&mut gradient.qkv[at..at + d_head], factor, x);
                    };
                    let open = f64::from(edge.drawn > 0.0);
                    add(key, value_head, edge.weight * open, d_out);
                    add(query, head, d_product, part(key, key_head));
                    add(key, key_head, d_product, part(query, head));
                }
            });
        gradient
    }
}
