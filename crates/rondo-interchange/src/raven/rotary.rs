//! The rotary tables. The reference stores them as a tensor, although they follow from the
//! configuration.
//!
//! `table[t, i] = (cos a, sin a)` with `a = t / θ^(2i/d)`, where `t` is the position, `d` the width
//! of a head and `θ = rope_base`. This file computes `θ^(2i/d)`, its inverse and `a` in f32, as the
//! reference does, because the rounding error of the inverse grows with the position.

use std::io::{self, Write};

use rondo_model::config::ModelConfig;

/// Returns the shape of the tables, `[1, context, 1, d_head / 2, 2]`. Every export contains them in
/// f32.
pub(super) fn shape(model: &ModelConfig) -> Vec<usize> {
    vec![1, model.context, 1, model.d_head() / 2, 2]
}

/// Writes the tables.
///
/// # Errors
///
/// Returns an error if `out` fails.
pub(super) fn write(model: &ModelConfig, out: &mut dyn Write) -> io::Result<()> {
    let rates = rates(model);
    let mut row = Vec::with_capacity(rates.len() * 8);
    for position in 0..model.context {
        row.clear();
        for rate in &rates {
            let angle = f64::from(position as f32 * rate);
            row.extend((angle.cos() as f32).to_le_bytes());
            row.extend((angle.sin() as f32).to_le_bytes());
        }
        out.write_all(&row)?;
    }
    Ok(())
}

/// Returns `1 / θ^(2i/d)` for each pair i.
fn rates(model: &ModelConfig) -> Vec<f32> {
    let base = f64::from(model.rope_base as f32);
    let pairs = 0..model.d_head() / 2;
    pairs
        .map(|i| {
            let exponent = (2 * i) as f32 / model.d_head() as f32;
            1.0 / (base.powf(f64::from(exponent)) as f32)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_turns_each_pair_by_its_rate() {
        let model = ModelConfig {
            d_model: 8,
            n_heads: 2,
            n_kv_heads: 2,
            context: 3,
            rope_base: 100.0,
            ..ModelConfig::default()
        };
        let mut bytes = Vec::new();
        write(&model, &mut bytes).expect("memory takes anything");
        let (fours, _) = bytes.as_chunks::<4>();
        let values: Vec<f32> = fours.iter().map(|four| f32::from_le_bytes(*four)).collect();
        assert_eq!(values.len(), shape(&model).iter().product::<usize>());
        // The rates of the two pairs are 1 and 1/10.
        for (position, row) in values.chunks(4).enumerate() {
            let t = position as f32;
            let expected = [t.cos(), t.sin(), (t * 0.1).cos(), (t * 0.1).sin()];
            for (found, expected) in row.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6, "{position}: {row:?}");
            }
        }
    }
}
