//! Attention in f64 with every matrix of scores in memory, and its gradient: the reference for the
//! kernels.

use crate::attention::{NormedOver, Pairing, Segments, Shape};

/// Attention with the operations of a [`crate::attention::Preparation`], in f64.
#[derive(Clone)]
pub(super) struct Reference {
    pub(super) shape: Shape,
    pub(super) segments: Option<Segments>,
    pub(super) bias: Option<Vec<f64>>,
    pub(super) rope: Option<[Vec<f64>; 2]>,
    pub(super) pairing: Pairing,
    /// Which elements the norm of queries and keys covers, and its ε.
    pub(super) norm: Option<(NormedOver, f64)>,
    pub(super) scales: Option<[Vec<f64>; 2]>,
}

/// The results of the forward pass.
pub(super) struct Outcome {
    pub(super) prepared: Vec<f64>,
    pub(super) kept: Vec<f64>,
    pub(super) attended: Vec<f64>,
    pub(super) lse: Vec<f64>,
}

/// The results of the backward pass.
pub(super) struct Gradient {
    pub(super) prepared: Vec<f64>,
    pub(super) qkv: Vec<f64>,
    pub(super) bias: Vec<f64>,
    /// The gradients of the scales: first of queries, then of keys.
    pub(super) scales: Vec<f64>,
}

impl Reference {
    /// Returns the offset of a head of a token in the packed projection. `head` counts the heads of
    /// queries, keys and values together.
    pub(super) fn at(&self, sequence: usize, position: usize, head: usize) -> usize {
        let token = sequence * self.shape.seq + position;
        token * self.shape.qkv_width() + head * self.shape.d_head
    }

    /// Calls `work` with the numbers of the sequence, the query head, the query, the key head and
    /// the value head, for every query of every query head.
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

    /// Returns the first position that a query sees: the start of its segment, or 0 without
    /// segments.
    fn first(&self, token: usize) -> usize {
        let segments = self.segments.as_ref();
        segments.map_or(0, |segments| segments.firsts()[token])
    }

    /// Returns the `lse` of a query and the weights of its keys. Keys before the query's segment
    /// have weight zero.
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

    /// Returns the parts of a token's queries and keys that share a mean square: offset, length and
    /// scale of each part, in order.
    fn normed_parts(&self) -> Vec<(usize, usize, Option<&[f64]>)> {
        let Shape {
            heads,
            kv_heads,
            d_head,
            ..
        } = self.shape;
        let scales = self.scales.as_ref();
        let [queries, keys] = [0, 1].map(|which| scales.map(|scales| scales[which].as_slice()));
        match self.norm {
            Some((NormedOver::Width, _)) => vec![
                (0, heads * d_head, queries),
                (heads * d_head, kv_heads * d_head, keys),
            ],
            _ => (0..heads + kv_heads)
                .map(|head| {
                    let scale = if head < heads { queries } else { keys };
                    (head * d_head, d_head, scale)
                })
                .collect(),
        }
    }

    fn norms_before_rotation(&self) -> bool {
        self.norm
            .is_some_and(|(over, _)| over != NormedOver::RotatedHeads)
    }

    /// Computes the preparation and the attention.
    pub(super) fn forward(&self, qkv: &[f64]) -> Outcome {
        let d_head = self.shape.d_head;
        let mut prepared = qkv.to_vec();
        let mut kept = Vec::new();
        for token in 0..self.shape.rows() {
            let start = self.at(0, token, 0);
            let row = &mut prepared[start..][..self.shape.qkv_width()];
            for (x, bias) in row.iter_mut().zip(self.bias.iter().flatten()) {
                *x += bias;
            }
            let rotate = |row: &mut [f64]| {
                for head in row[..self.shape.prepared_heads() * d_head].chunks_exact_mut(d_head) {
                    self.rotate(head, token % self.shape.seq - self.first(token), 1.0);
                }
            };
            if !self.norms_before_rotation() {
                rotate(row);
            }
            let mut normed = Vec::new();
            if let Some((_, eps)) = self.norm {
                for (first, length, scale) in self.normed_parts() {
                    let part = &mut row[first..][..length];
                    let inverse = 1.0 / (inner(part, part) / length as f64 + eps).sqrt();
                    part.iter_mut().for_each(|x| *x *= inverse);
                    kept.push(inverse);
                    if let Some(scale) = scale {
                        normed.extend_from_slice(part);
                        part.iter_mut()
                            .zip(scale)
                            .for_each(|(x, scale)| *x *= scale);
                    }
                }
            }
            kept.extend(normed);
            if self.norms_before_rotation() {
                rotate(row);
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
            kept,
            attended,
            lse,
        }
    }

    /// Returns the gradient of `Σ d_attended ∘ attended`.
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
        let mut d_scales = [0, 1].map(|which| {
            let scales = self.scales.as_ref();
            vec![0.0; scales.map_or(0, |scales| scales[which].len())]
        });
        let kept_width = outcome.kept.len() / self.shape.rows();
        let queries = self.shape.heads * d_head;
        for token in 0..self.shape.rows() {
            let start = self.at(0, token, 0);
            let d_row = &mut gradient[start..][..self.shape.qkv_width()];
            let kept = &outcome.kept[token * kept_width..][..kept_width];
            let rotate_back = |row: &mut [f64]| {
                for head in row[..self.shape.prepared_heads() * d_head].chunks_exact_mut(d_head) {
                    self.rotate(head, token % seq - self.first(token), -1.0);
                }
            };
            if self.norms_before_rotation() {
                rotate_back(d_row);
            }
            if self.norm.is_some() {
                let parts = self.normed_parts();
                let (inverses, normed) = kept.split_at(parts.len());
                for ((first, length, scale), inverse) in parts.into_iter().zip(inverses) {
                    let d = &mut d_row[first..][..length];
                    let y = match scale {
                        Some(scale) => {
                            let y = &normed[first..][..length];
                            let d_scale = &mut d_scales[usize::from(first >= queries)];
                            for (((d, y), scale), d_scale) in
                                d.iter_mut().zip(y).zip(scale).zip(d_scale)
                            {
                                *d_scale += *d * y;
                                *d *= scale;
                            }
                            y
                        }
                        None => &prepared[start + first..][..length],
                    };
                    let mean = inner(d, y) / length as f64;
                    for (d, y) in d.iter_mut().zip(y) {
                        *d = inverse * (*d - y * mean);
                    }
                }
            }
            if !self.norms_before_rotation() {
                rotate_back(d_row);
            }
            d_bias.iter_mut().zip(d_row).for_each(|(sum, d)| *sum += *d);
        }
        Gradient {
            prepared: of_prepared,
            qkv: gradient,
            bias: d_bias,
            scales: d_scales.concat(),
        }
    }

    pub(super) fn attended_at(&self, sequence: usize, position: usize, head: usize) -> usize {
        let token = sequence * self.shape.seq + position;
        token * self.shape.attended_width() + head * self.shape.d_head
    }

    fn rotate(&self, x: &mut [f64], position: usize, direction: f64) {
        let Some([cos, sin]) = &self.rope else { return };
        let pairs = self.shape.d_head / 2;
        for pair in 0..pairs {
            let angle = position * pairs + pair;
            let (cos, sin) = (cos[angle], direction * sin[angle]);
            let [first, second] = match self.pairing {
                Pairing::Adjacent => [2 * pair, 2 * pair + 1],
                Pairing::Halves => [pair, pairs + pair],
            };
            let (a, b) = (x[first], x[second]);
            (x[first], x[second]) = (a * cos - b * sin, b * cos + a * sin);
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
