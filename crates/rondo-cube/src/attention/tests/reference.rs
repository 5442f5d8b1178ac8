//! Attention in f64 with every weight in memory, and its gradient. Each number comes with a size:
//! the sum of the magnitudes of its terms, plus the effect of errors in the scores. A kernel's
//! result may differ from the number by eight roundings of this size.

use crate::heads::Layout;
use crate::testing::Numbers;

/// A number and the size that bounds its error.
pub(super) type Sized = [f64; 2];

/// Queries, keys and values in separate tensors, and the gradient of the result.
pub(super) struct ApartCase {
    counts: [usize; 3],
    positions: [usize; 2],
    d_head: usize,
    causal: bool,
    pub(super) queries: Vec<f32>,
    pub(super) keys: Vec<f32>,
    pub(super) values: Vec<f32>,
    pub(super) d_out: Vec<f32>,
}

pub(super) struct ApartExpected {
    pub(super) out: Vec<Sized>,
    pub(super) lse: Vec<Sized>,
    pub(super) d_queries: Vec<Sized>,
    pub(super) d_keys: Vec<Sized>,
    pub(super) d_values: Vec<Sized>,
}

impl ApartCase {
    pub(super) fn new(
        counts: [usize; 3],
        positions: [usize; 2],
        d_head: usize,
        causal: bool,
    ) -> Self {
        let [batch, heads, key_heads] = counts;
        let [queries, keys] = positions;
        let mut numbers = Numbers::new(1.5);
        Self {
            counts,
            positions,
            d_head,
            causal,
            queries: numbers.vector(batch * heads * queries * d_head),
            keys: numbers.vector(batch * key_heads * keys * d_head),
            values: numbers.vector(batch * key_heads * keys * d_head),
            d_out: numbers.vector(batch * heads * queries * d_head),
        }
    }

    pub(super) fn expected(&self) -> ApartExpected {
        let [batch, heads, key_heads] = self.counts;
        let [queries, keys] = self.positions;
        let d = self.d_head;
        let zeros = |count: usize| vec![[0.0; 2]; count];
        let mut expected = ApartExpected {
            out: Vec::new(),
            lse: Vec::new(),
            d_queries: Vec::new(),
            d_keys: zeros(self.keys.len()),
            d_values: zeros(self.values.len()),
        };
        let sized = |x: &[f32]| -> Vec<Sized> { x.iter().map(|x| exact(f64::from(*x))).collect() };
        let [q, k, v, d_out] =
            [&self.queries, &self.keys, &self.values, &self.d_out].map(|x| sized(x));
        for matrix in 0..batch * heads {
            let kv = matrix / heads * key_heads + matrix % heads * key_heads / heads;
            let of_keys = kv * keys * d..(kv + 1) * keys * d;
            for query in 0..queries {
                let at = (matrix * queries + query) * d;
                let seen = if self.causal { query + 1 } else { keys };
                let row = Row::new(
                    &q[at..at + d],
                    &k[of_keys.clone()][..seen * d],
                    &v[of_keys.clone()][..seen * d],
                );
                row.back(
                    &d_out[at..at + d],
                    &mut expected.d_queries,
                    &mut expected.d_keys[of_keys.clone()],
                    &mut expected.d_values[of_keys.clone()],
                );
                expected.out.extend(row.out);
                expected.lse.push(row.lse);
            }
        }
        expected
    }
}

/// The attention of one query to the keys that it sees.
struct Row<'a> {
    q: &'a [Sized],
    k: &'a [Sized],
    v: &'a [Sized],
    /// The weights. Their sizes include the effect of errors in the scores.
    weights: Vec<Sized>,
    out: Vec<Sized>,
    lse: Sized,
}

impl<'a> Row<'a> {
    fn new(q: &'a [Sized], k: &'a [Sized], v: &'a [Sized]) -> Self {
        let d = q.len();
        let factor = (d as f64).sqrt().recip();
        let scores: Vec<Sized> = k.chunks(d).map(|k| times(factor, inner(q, k))).collect();
        let largest = scores
            .iter()
            .fold(f64::NEG_INFINITY, |all, s| all.max(s[0]));
        let sum: f64 = scores.iter().map(|s| (s[0] - largest).exp()).sum();
        let lse = largest + sum.ln();
        let plain: Vec<f64> = scores.iter().map(|s| (s[0] - lse).exp()).collect();
        let mean: f64 = plain.iter().zip(&scores).map(|(p, s)| p * s[1]).sum();
        // An error in a score or in an exponent changes the weight by the same relative amount.
        let spread = |s: &Sized| 1.0 + s[1] + mean + (s[0] - lse).abs() + lse.abs();
        let weights: Vec<Sized> = plain
            .iter()
            .zip(&scores)
            .map(|(p, s)| [*p, p * spread(s)])
            .collect();
        let mut out = vec![[0.0; 2]; d];
        for (weight, v) in weights.iter().zip(v.chunks(d)) {
            add(&mut out, *weight, v);
        }
        Self {
            q,
            k,
            v,
            weights,
            out,
            lse: [lse, 1.0 + mean + largest.abs() + sum.ln()],
        }
    }

    fn back(
        &self,
        d_out: &[Sized],
        d_queries: &mut Vec<Sized>,
        d_keys: &mut [Sized],
        d_values: &mut [Sized],
    ) {
        let d = self.q.len();
        let factor = (d as f64).sqrt().recip();
        let mean = inner(d_out, &self.out);
        let mut d_query = vec![[0.0; 2]; d];
        for (key, weight) in self.weights.iter().enumerate() {
            let at = key * d..(key + 1) * d;
            let d_weight = inner(d_out, &self.v[at.clone()]);
            let difference = [d_weight[0] - mean[0], d_weight[1] + mean[1]];
            let d_score = times(factor, product(*weight, difference));
            add(&mut d_query, d_score, &self.k[at.clone()]);
            add(&mut d_keys[at.clone()], d_score, self.q);
            add(&mut d_values[at], *weight, d_out);
        }
        d_queries.extend(d_query);
    }
}

/// Packed rows with their bias, rotary tables, segments, and the gradient of the result.
#[derive(Clone)]
pub(super) struct Case {
    pub(super) layout: Layout,
    pub(super) rows: Vec<f32>,
    pub(super) bias: Option<Vec<f32>>,
    pub(super) cos: Vec<f32>,
    pub(super) sin: Vec<f32>,
    pub(super) firsts: Option<Vec<usize>>,
    pub(super) d_out: Vec<f32>,
}

pub(super) struct Expected {
    /// The result, `[batch · seq, queries · d_head]`.
    pub(super) out: Vec<Sized>,
    /// The logarithms of the sums, `[batch, queries, seq]`.
    pub(super) lse: Vec<Sized>,
    /// The gradient of the rows, `[batch · seq, width]`.
    pub(super) d_rows: Vec<Sized>,
}

impl Case {
    pub(super) fn new([batch, seq, queries, keys, d_head]: [usize; 5]) -> Self {
        let layout = Layout {
            batch,
            seq,
            queries,
            keys,
            d_head,
        };
        let mut numbers = Numbers::new(1.5);
        let angles = numbers.vector(seq * d_head / 2);
        let table = |of: fn(f32) -> f32, signs: [f32; 2]| {
            angles
                .iter()
                .flat_map(|x| signs.map(|sign| sign * of(*x)))
                .collect()
        };
        Self {
            layout,
            rows: numbers.vector(batch * seq * layout.width()),
            bias: None,
            cos: table(f32::cos, [1.0, 1.0]),
            sin: table(f32::sin, [-1.0, 1.0]),
            firsts: None,
            d_out: numbers.vector(batch * seq * queries * d_head),
        }
    }

    pub(super) fn with_bias(mut self) -> Self {
        let heads = self.layout.queries + self.layout.keys;
        self.bias = Some(Numbers::new(0.5).vector(heads * self.layout.d_head));
        self
    }

    /// Cuts rows into segments of `every` tokens. In each row the cuts lie one token earlier than
    /// in the row before.
    pub(super) fn with_segments(mut self, every: usize) -> Self {
        let Layout { batch, seq, .. } = self.layout;
        let first = |row: usize, place: usize| match (place + row) / every * every {
            0 => 0,
            start => start - row.min(start),
        };
        let rows = (0..batch).flat_map(|row| (0..seq).map(move |place| first(row, place)));
        self.firsts = Some(rows.collect());
        self
    }

    /// Returns the inner product of the result and its gradient.
    pub(super) fn loss(&self, rows: &[f64]) -> f64 {
        let out = self.compute(rows).out;
        let d_out = self.d_out.iter().copied().map(f64::from);
        out.iter().zip(d_out).map(|(x, d)| x[0] * d).sum()
    }

    pub(super) fn expected(&self) -> Expected {
        let rows: Vec<f64> = self.rows.iter().copied().map(f64::from).collect();
        self.compute(&rows)
    }

    fn compute(&self, rows: &[f64]) -> Expected {
        let layout = self.layout;
        let Layout {
            batch,
            seq,
            queries,
            keys,
            d_head,
        } = layout;
        // The heads of a sequence are those of queries, then of keys, then of values.
        let heads = queries + 2 * keys;
        let mut out = vec![[0.0; 2]; batch * seq * queries * d_head];
        let mut lse = Vec::new();
        let mut d_rows = vec![[0.0; 2]; rows.len()];
        for sequence in 0..batch {
            let turned: Vec<Vec<Sized>> = (0..heads)
                .map(|head| {
                    (0..seq)
                        .flat_map(|place| self.turned(rows, [sequence, place, head]))
                        .collect()
                })
                .collect();
            let mut gradients = vec![vec![[0.0; 2]; seq * d_head]; heads];
            for head in 0..queries {
                let key_head = queries + head * keys / queries;
                let value_head = key_head + keys;
                for place in 0..seq {
                    let first = self.first(sequence, place);
                    let seen = first * d_head..(place + 1) * d_head;
                    let own = place * d_head..(place + 1) * d_head;
                    let row = Row::new(
                        &turned[head][own.clone()],
                        &turned[key_head][seen.clone()],
                        &turned[value_head][seen.clone()],
                    );
                    let at = ((sequence * seq + place) * queries + head) * d_head;
                    let d_out: Vec<Sized> = self.d_out[at..at + d_head]
                        .iter()
                        .map(|d| exact(f64::from(*d)))
                        .collect();
                    let mut d_query = Vec::new();
                    let [d_keys, d_values] = gradients
                        .get_disjoint_mut([key_head, value_head])
                        .expect("two heads");
                    row.back(
                        &d_out,
                        &mut d_query,
                        &mut d_keys[seen.clone()],
                        &mut d_values[seen],
                    );
                    gradients[head][own].copy_from_slice(&d_query);
                    out[at..at + d_head].copy_from_slice(&row.out);
                    lse.push(row.lse);
                }
            }
            for (head, gradient) in gradients.iter().enumerate() {
                for (place, d) in gradient.chunks(d_head).enumerate() {
                    let at = (sequence * seq + place) * layout.width() + head * d_head;
                    let back = self.turned_back(d, place - self.first(sequence, place), head);
                    d_rows[at..at + d_head].copy_from_slice(&back);
                }
            }
        }
        Expected { out, lse, d_rows }
    }

    fn first(&self, sequence: usize, place: usize) -> usize {
        let at = sequence * self.layout.seq + place;
        self.firsts.as_ref().map_or(0, |firsts| firsts[at])
    }

    /// Returns a head of a row after bias and rotary embedding.
    fn turned(&self, rows: &[f64], [sequence, place, head]: [usize; 3]) -> Vec<Sized> {
        let Layout {
            seq,
            queries,
            keys,
            d_head,
            ..
        } = self.layout;
        let at = (sequence * seq + place) * self.layout.width() + head * d_head;
        let x = |i: usize| -> Sized {
            let x = rows[at + i];
            match &self.bias {
                Some(bias) if head < queries + keys => {
                    let bias = f64::from(bias[head * d_head + i]);
                    [x + bias, x.abs() + bias.abs()]
                }
                _ => exact(x),
            }
        };
        if head >= queries + keys {
            return (0..d_head).map(x).collect();
        }
        let position = place - self.first(sequence, place);
        let [cos, sin] = self.angles(position);
        (0..d_head)
            .map(|i| sum(times(cos[i], x(i)), times(sin[i], x(i ^ 1))))
            .collect()
    }

    fn turned_back(&self, d: &[Sized], position: usize, head: usize) -> Vec<Sized> {
        if head >= self.layout.queries + self.layout.keys {
            return d.to_vec();
        }
        let [cos, sin] = self.angles(position);
        (0..d.len())
            .map(|i| sum(times(cos[i], d[i]), times(sin[i ^ 1], d[i ^ 1])))
            .collect()
    }

    fn angles(&self, position: usize) -> [Vec<f64>; 2] {
        let d_head = self.layout.d_head;
        [&self.cos, &self.sin].map(|table| {
            let row = &table[position * d_head..(position + 1) * d_head];
            row.iter().copied().map(f64::from).collect()
        })
    }
}

fn exact(x: f64) -> Sized {
    [x, x.abs()]
}

fn times(factor: f64, x: Sized) -> Sized {
    [factor * x[0], factor.abs() * x[1]]
}

fn sum(a: Sized, b: Sized) -> Sized {
    [a[0] + b[0], a[1] + b[1]]
}

fn product(a: Sized, b: Sized) -> Sized {
    [a[0] * b[0], a[1] * b[1]]
}

fn inner(a: &[Sized], b: &[Sized]) -> Sized {
    a.iter()
        .zip(b)
        .fold([0.0; 2], |all, (a, b)| sum(all, product(*a, *b)))
}

fn add(out: &mut [Sized], factor: Sized, x: &[Sized]) {
    out.iter_mut()
        .zip(x)
        .for_each(|(out, x)| *out = sum(*out, product(factor, *x)));
}
