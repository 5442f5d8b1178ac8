//! The name of each parameter in this program and in the layout.
//!
//! | this program | the layout | shape in the layout |
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

use crate::layout::{Counterpart, Derived, Stored};

/// The token embedding.
const EMBEDDING: &str = "transformer.wte.weight";
/// The head, which equals the token embedding if the two are tied.
const HEAD: &str = "lm_head.weight";
/// The cosines and sines of the rotary embedding, which follow from the configuration.
pub(super) const ROTARY: &str = "freqs_cis";

/// Returns why a checkpoint may lack a tensor. Rotary tables, at any depth of the module tree,
/// follow from the configuration; a tied head equals the embedding.
pub(super) fn derived(name: &str) -> Option<Derived> {
    if name.rsplit('.').next() == Some(ROTARY) {
        return Some(Derived::Table);
    }
    (name == HEAD).then_some(Derived::TiedHead {
        embedding: EMBEDDING,
        key: "tie_embeddings",
    })
}

/// Returns the counterpart of a row of the parameter table; `None` if the layout has none.
pub(super) fn counterpart(row: &ParameterSpec) -> Option<Counterpart> {
    let name = name(&row.name)?;
    Some(match (row.role, row.shape.as_slice()) {
        (Role::Matrix, &[d_in, d_out]) => {
            let shape = vec![d_out, d_in];
            Counterpart::Transposed(Stored { name, shape })
        }
        (Role::Bias, &[heads, d_head]) => {
            let shape = vec![2, 1, heads / 2, d_head];
            Counterpart::Same(Stored { name, shape })
        }
        (_, shape) => {
            let shape = shape.to_vec();
            Counterpart::Same(Stored { name, shape })
        }
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
                vocab_size: 10,
                tied_head,
                ..ModelConfig::default()
            };
            let mut names = std::collections::BTreeSet::new();
            for row in table(&config) {
                let there = counterpart(&row).expect("the published structure");
                let [there] = there.parts() else {
                    unreachable!("one tensor for each");
                };
                let count = there.shape.iter().product::<usize>();
                assert_eq!(count, row.count(), "{}", row.name);
                assert!(names.insert(there.name.clone()));
            }
            assert!(names.contains("transformer.core_block.1.norm_4.weight"));
        }
    }

    #[test]
    fn what_the_layout_lacks_has_no_counterpart() {
        let config = ModelConfig {
            vocab_size: 10,
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
