//! Recomputes the values of models of other families. Llama, Qwen2, Qwen3 and OLMo 2 are stacks
//! that run once; Ouro is a stack that runs several times.
//!
//! The values in tests/golden/hf-tiny and tests/golden/ouro-tiny were computed with the authors'
//! own code. Their READMEs describe how, and state the tolerances. `model` compares states, logits,
//! likelihoods and gradients on every device. `commands` checks the imports, generations and
//! exports of the program.

mod commands;
mod model;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rondo_files::TensorFile;

use crate::harness::root;

/// The keys that turn configs/smoke.toml into a loop over the whole stack.
pub(crate) const WHOLE_STACK: [&str; 7] = [
    "model.block=branch-sandwich",
    "model.injection=none",
    "model.state_init=input",
    "model.boundary_norm=iteration",
    "model.layers={prelude=0,core=2,coda=0}",
    "model.recurrence={mean=3,backprop_depth=4,max=4,sampler=\"uniform\"}",
    "model.tied_head=false",
];

/// The keys that add the features of other families' blocks to a loop with an injection.
pub(crate) const OF_OTHER_FAMILIES: [&str; 7] = [
    "model.block=branch-post-norm",
    "model.qk_norm=width",
    "model.qk_bias=qkv",
    "model.d_head=24",
    "model.n_kv_heads=1",
    "model.rope_pairing=halves",
    "model.rope_scaling={kind=\"llama3\",factor=4.0,low_frequency=1.0,high_frequency=4.0,original_context=16}",
];

/// The folders of tests/golden/hf-tiny.
const STACKS: [&str; 6] = [
    "llama",
    "llama3-rope",
    "qwen2",
    "qwen3",
    "olmo2",
    "tinyllama",
];

fn stack(name: &str) -> PathBuf {
    root().join("tests/golden/hf-tiny").join(name)
}

fn ouro() -> PathBuf {
    root().join("tests/golden/ouro-tiny")
}

/// The tensors of a golden file, by name: floats, and ids.
struct Golden {
    floats: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    ids: BTreeMap<String, Vec<i64>>,
}

impl Golden {
    fn open(path: &Path) -> Self {
        let bytes = fs::read(path).expect("the golden file is there");
        let file = TensorFile::parse(&bytes).expect("the golden file is whole");
        let (mut floats, mut ids) = (BTreeMap::new(), BTreeMap::new());
        for tensor in file.tensors() {
            let name = tensor.name.clone();
            match tensor.f32_values() {
                Ok(values) => drop(floats.insert(name, (tensor.shape.clone(), values))),
                Err(_) => {
                    let (longs, _) = tensor.bytes.as_chunks::<8>();
                    let longs = longs.iter().map(|bytes| i64::from_le_bytes(*bytes));
                    ids.insert(name, longs.collect());
                }
            }
        }
        Self { floats, ids }
    }

    fn floats(&self, name: &str) -> &[f32] {
        let (_, values) = self.floats.get(name).expect("a tensor of the golden file");
        values
    }

    fn ids(&self, name: &str) -> &[i64] {
        &self.ids[name]
    }
}
