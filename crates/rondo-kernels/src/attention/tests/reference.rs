//! Attention in f64 with every matrix of scores in memory, and its gradient: what the kernels are
//! checked against.

use crate::attention::{Segments, Shape};

/// A [`crate::attention::Preparation`] in f64.
#[derive(Clone)]
pub(super) struct Reference {
    pub(super) shape: Shape,
    pub(super) segments: Option<Segments>,
    pub(super) bias: Option<Vec<f64>>,
    pub(super) rope: Option<[Vec<f64>; 2]>,
    pub(super) norm_eps: Option<f64>,
}

/// What the forward gives.
pub(super) struct Outcome {
    pub(super) prepared: Vec<f64>,
    pub(super) inverse_rms: Vec<f64>,
    pub(super) attended: Vec<f64>,
    pub(super) lse: Vec<f64>,
}

/// What the backward gives.
pub(super) struct Gradient {
    pub(super) prepared: Vec<f64>,
    pub(super) qkv: Vec<f64>,
    pub(super) bias: Vec<f64>,
}

impl Reference {
    /// Returns where head `head` (of queries, keys and values) of a token starts.
    pub(super) fn at(&self, sequence: usize, position: usize, head: usize) -> usize {
        let token = sequence * self.shape.seq + position;
        token * self.shape.qkv_width() + head * self.shape.d_head
    }

    /// Calls `work` for every sequence, query head and query, with the numbers of its key head and
    /// value head.
    pub(super) fn for_queries(&self, mut work: impl FnMut(usize, usize, usize, usize, usize)) {
        let Shape {
            batch,
            seq,
            heads,
            kv_heads,
            ..
        } = self.shape;
        for (sequence, head, query) in
            (0..batch).flat_map(|b| (0..heads).flat_map(move |h| (0..seq).map(move |q| (b, h, q))))
        {
            let key_head = heads + head * kv_heads / heads;
            work(sequence, head, query, key_head, key_head + kv_heads);
        }
    }

    /// Returns the first position that a query sees: that of its segment, where there are segments.
    fn first(&self, token: usize) -> usize {
        let segments = self.segments.as_ref();
        segments.map_or(0, |segments| segments.firsts()[token])
    }

    /// Returns the logarithm of the sum and the weights of a query's keys, zero of those before its segment.
    pub(super) fn weights(
        &self,
        prepared: &[f64],
        [sequence, head, query, key_head]: [usize; 4],
    ) -> (f64, Vec<f64>) {
        let d_head = self.shape.d_head;
        let part = |position, head| &prepared[self.at(sequence, position, head)..][..d_head];
        let q = part(query, head);
        let first = self.first(sequence * self.shape.seq + query);
        let score = |key| match key < first {
            true => f64::NEG_INFINITY,
            false => inner(q, part(key, key_head)) / (d_head as f64).sqrt(),
        };
        let scores: Vec<f64> = (0..=query).map(score).collect();
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = scores.iter().map(|score| (score - largest).exp()).sum();
        let lse = largest + sum.ln();
        (
            lse,
            scores.iter().map(|score| (score - lse).exp()).collect(),
        )
    }

    /// Prepares and attends.
    pub(super) fn forward(&self, qkv: &[f64]) -> Outcome {
        let d_head = self.shape.d_head;
        let mut prepared = qkv.to_vec();
        let mut inverse_rms = Vec::new();
        for token in 0..self.shape.rows() {
            for head in 0..self.shape.prepared_heads() {
                let x = &mut prepared[self.at(0, token, head)..][..d_head];
                if let Some(bias) = &self.bias {
                    for (i, x) in x.iter_mut().enumerate() {
                        *x += bias[head * d_head + i];
                    }
                }
                self.rotate(x, token % self.shape.seq - self.first(token), 1.0);
                if let Some(eps) = self.norm_eps {
                    let inverse = 1.0 / (inner(x, x) / d_head as f64 + eps).sqrt();
                    x.iter_mut().for_each(|x| *x *= inverse);
                    inverse_rms.push(inverse);
                }
            }
        }
        let mut attended = vec![0.0; self.shape.rows() * self.shape.attended_width()];
        let mut lse = Vec::new();
        self.for_queries(|sequence, head, query, key_head, value_head| {
            let (log_sum, weights) = self.weights(&prepared, [sequence, head, query, key_head]);
            lse.push(log_sum);
            let out = &mut attended[self.attended_at(sequence, query, head)..][..d_head];
            for (key, weight) in weights.iter().enumerate() {
                let value = &prepared[self.at(sequence, key, value_head)..][..d_head];
                add_scaled(out, *weight, value);
            }
        });
        Outcome {
            prepared,
            inverse_rms,
            attended,
            lse,
        }
    }

    /// Differentiates `Σ d_attended ∘ attended`.
    pub(super) fn backward(&self, outcome: &Outcome, d_attended: &[f64]) -> Gradient {
        let Shape { seq, d_head, .. } = self.shape;
        let prepared = &outcome.prepared;
        let mut gradient = vec![0.0; prepared.len()];
        self.for_queries(|sequence, head, query, key_head, value_head| {
            let part = |position, head| &prepared[self.at(sequence, position, head)..][..d_head];
            let (_, weights) = self.weights(prepared, [sequence, head, query, key_head]);
            let d_out = &d_attended[self.attended_at(sequence, query, head)..][..d_head];
            let d_weights: Vec<f64> = (0..=query)
                .map(|key| inner(d_out, part(key, value_head)))
                .collect();
            let mean = inner(&weights, &d_weights);
            for key in 0..=query {
                let d_score = weights[key] * (d_weights[key] - mean) / (d_head as f64).sqrt();
                let mut add = |position, head, factor, x: &[f64]| {
                    let at = self.at(sequence, position, head);
                    add_scaled(&mut gradient[at..at + d_head], factor, x);
                };
                add(key, value_head, weights[key], d_out);
                add(query, head, d_score, part(key, key_head));
                add(key, key_head, d_score, part(query, head));
            }
        });
        let of_prepared = gradient.clone();
        let mut d_bias = vec![0.0; self.bias.as_ref().map_or(0, Vec::len)];
        for token in 0..self.shape.rows() {
            for head in 0..self.shape.prepared_heads() {
                let at = self.at(0, token, head);
                let d = &mut gradient[at..at + d_head];
                if self.norm_eps.is_some() {
                    let y = &prepared[at..at + d_head];
                    let inverse = outcome.inverse_rms[token * self.shape.prepared_heads() + head];
                    let mean = inner(d, y) / d_head as f64;
                    for (d, y) in d.iter_mut().zip(y) {
                        *d = inverse * (*d - y * mean);
                    }
                }
                self.rotate(d, token % seq - self.first(token), -1.0);
                if self.bias.is_some() {
                    add_scaled(&mut d_bias[head * d_head..][..d_head], 1.0, d);
                }
            }
        }
        Gradient {
            prepared: of_prepared,
            qkv: gradient,
            bias: d_bias,
        }
    }

    pub(super) fn attended_at(&self, sequence: usize, position: usize, head: usize) -> usize {
        let token = sequence * self.shape.seq + position;
        token * self.shape.attended_width() + head * self.shape.d_head
    }

    fn rotate(&self, x: &mut [f64], position: usize, direction: f64) {
        let Some([cos, sin]) = &self.rope else { return };
        for (pair, x) in x.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            let angle = position * self.shape.d_head / 2 + pair;
            let (cos, sin) = (cos[angle], direction * sin[angle]);
            *x = [x[0] * cos - x[1] * sin, x[1] * cos + x[0] * sin];
        }
    }
}

pub(super) fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(super) fn add_scaled(out: &mut [f64], factor: f64, x: &[f64]) {
    out.iter_mut()
        .zip(x)
        .for_each(|(out, x)| *out += factor * x);
}
