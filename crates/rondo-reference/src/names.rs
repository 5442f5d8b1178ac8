//! What each parameter is called on both sides.
//!
//! | here | there | shape there |
//! |---|---|---|
//! | `tokens` | `transformer.wte.weight` | `[V, h]` |
//! | `prelude.i`, `core.i`, `coda.i` | `transformer.prelude.i`, `.core_block.i`, `.coda.i` | |
//! | `….attention.qkv` | `….attn.Wqkv.weight` | `[3h, h]`, transposed |
//! | `….attention.qk_bias` | `….attn.qk_bias` | `[2, 1, heads, d_head]` |
//! | `….attention.proj` | `….attn.proj.weight` | `[h, h]`, transposed |
//! | `….feed_forward.in_proj`, `….out_proj` | `….mlp.fc.weight`, `….mlp.proj.weight` | `[2f, h]`, `[h, f]`, transposed |
//! | `….attn_in`, `attn_out`, `ffn_in`, `ffn_out` | `….norm_1.weight` to `norm_4` | `[h]` |
//! | `injection.adapter` | `transformer.adapter.weight` | `[h, 2h]`, transposed; state first on both sides |
//! | `norm.scale` | `transformer.ln_f.weight` | `[h]` |
//! | `head` | `lm_head.weight` | `[V, h]`, transposed |

use rondo_model::init::{ParameterSpec, Role};

/// The token embedding.
pub(crate) const EMBEDDING: &str = "transformer.wte.weight";
/// The head, which holds the token embedding again where the two are tied.
pub(crate) const HEAD: &str = "lm_head.weight";
/// The cosines and sines of the rotary embedding, a function of the configuration.
pub(crate) const ROTARY: &str = "freqs_cis";

/// Returns whether a tensor is the rotary tables, at whatever depth of the module tree.
pub(crate) fn is_rotary(name: &str) -> bool {
    name.rsplit('.').next() == Some(ROTARY)
}

/// Returns whether a tensor can follow from the others: rotary tables do, and a head does where it
/// is tied to the embedding.
pub(crate) fn may_be_derived(name: &str) -> bool {
    name == HEAD || is_rotary(name)
}

/// A parameter as the reference has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterpart {
    /// Its name there.
    pub name: String,
    /// Its dimensions there.
    pub shape: Vec<usize>,
    /// Whether it is a matrix whose rows there are columns here.
    pub transposed: bool,
}

/// Returns the counterpart of a row of the parameter table; `None` where the layout has none.
pub fn counterpart(row: &ParameterSpec) -> Option<Counterpart> {
    let name = name(&row.name)?;
    let (shape, transposed) = match (row.role, row.shape.as_slice()) {
        (Role::Matrix, &[d_in, d_out]) => (vec![d_out, d_in], true),
        (Role::Bias, &[heads, d_head]) => (vec![2, 1, heads / 2, d_head], false),
        _ => (row.shape.clone(), false),
    };
    Some(Counterpart {
        name,
        shape,
        transposed,
    })
}

fn name(ours: &str) -> Option<String> {
    let fixed = match ours {
        "tokens" => EMBEDDING,
        "injection.adapter" => "transformer.adapter.weight",
        "norm.scale" => "transformer.ln_f.weight",
        "head" => HEAD,
        _ => return in_block(ours),
    };
    Some(fixed.to_owned())
}

fn in_block(ours: &str) -> Option<String> {
    let (stack, rest) = ours.split_once('.')?;
    let (layer, part) = rest.split_once('.')?;
    let stack = match stack {
        "prelude" => "prelude",
        "core" => "core_block",
        "coda" => "coda",
        _ => return None,
    };
    let part = match part {
        "attention.qkv" => "attn.Wqkv.weight",
        "attention.qk_bias" => "attn.qk_bias",
        "attention.proj" => "attn.proj.weight",
        "feed_forward.in_proj" => "mlp.fc.weight",
        "feed_forward.out_proj" => "mlp.proj.weight",
        "attn_in.scale" => "norm_1.weight",
        "attn_out.scale" => "norm_2.weight",
        "ffn_in.scale" => "norm_3.weight",
        "ffn_out.scale" => "norm_4.weight",
        _ => return None,
    };
    Some(format!("transformer.{stack}.{layer}.{part}"))
}

#[cfg(test)]
mod tests {
    use rondo_model::config::{InjectionKind, ModelConfig};
    use rondo_model::init::table;

    use super::*;

    #[test]
    fn every_parameter_of_the_published_structure_has_a_counterpart_of_as_many_numbers() {
        for tied_head in [true, false] {
            let config = ModelConfig {
                vocab_size: Some(10),
                tied_head,
                ..ModelConfig::default()
            };
            let mut names = std::collections::BTreeSet::new();
            for row in table(&config) {
                let there = counterpart(&row).expect("the published structure");
                assert_eq!(
                    there.shape.iter().product::<usize>(),
                    row.count(),
                    "{}",
                    row.name
                );
                assert!(names.insert(there.name));
            }
            assert!(names.contains("transformer.core_block.1.norm_4.weight"));
        }
    }

    #[test]
    fn what_the_layout_lacks_has_no_counterpart() {
        let config = ModelConfig {
            vocab_size: Some(10),
            injection: InjectionKind::Ffn,
            ..ModelConfig::default()
        };
        let lacking: Vec<String> = table(&config)
            .into_iter()
            .filter(|row| counterpart(row).is_none())
            .map(|row| row.name)
            .collect();
        assert_eq!(lacking, ["injection.mlp.in_proj", "injection.mlp.out_proj"]);
    }
}
