//! The keys of `config.json`: typed reading, and what the keys that are not read mean.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Keys that change nothing about the function. A key that is neither read nor listed here or in
/// [`OFF`] is warned about by name.
const HARMLESS: [&str; 34] = [
    // What the model is called and where it came from.
    "_name_or_path",
    "hf_config",
    "model_type",
    "name",
    "transformers_version",
    // Which Python loads it, in which type, and what it returns.
    "auto_map",
    "dtype",
    "output_attentions",
    "output_hidden_states",
    "return_dict",
    "torch_dtype",
    "torchscript",
    "use_cache",
    // How the same function is computed.
    "_attn_implementation_autoset",
    "attn_impl",
    "attn_implementation",
    "chunk_size_feed_forward",
    "simple_ops",
    "strategy",
    "use_fused_head",
    // What training and generation do with it; the ids of special tokens are read.
    "activation_checkpoint_impl",
    "decoder_start_token_id",
    "initializer_range",
    "loss_shape",
    "max_length",
    "task_specific_params",
    // Derived from other keys, or a detail of something that must be off.
    "effective_expected_depth",
    "padding_multiple",
    "test_time_noise_type",
    // Kinds of model and of fine-tuning that the reference does not read.
    "id2label",
    "is_decoder",
    "is_encoder_decoder",
    "label2id",
    "problem_type",
];

/// Keys that would change the function, with what they would add; each must be off: absent, `null`,
/// `false`, 0, 1 where 1 is neutral, or empty.
const OFF: [(&str, Option<f64>, &str); 15] = [
    ("bias", None, "biases of matrices"),
    ("center_attention", None, "centred attention"),
    ("clip_qkv", None, "clipped queries, keys and values"),
    ("debias_attention", None, "attention without its mean"),
    ("embed_step", None, "an embedding of the iteration"),
    (
        "intermediate_noise_injection",
        None,
        "noise between iterations",
    ),
    ("lm_head_bias", None, "a bias of the head"),
    ("mup_model_scaling_factor", Some(1.0), "scaled widths"),
    ("normalize_rec", None, "a norm between iterations"),
    (
        "qk_norm",
        None,
        "a norm of queries and keys, which the reference's own model leaves out,",
    ),
    ("quantization_config", None, "quantised weights"),
    ("rope_scaling", None, "scaled rotary positions"),
    ("test_time_noise", None, "noise between iterations"),
    ("use_abacus", None, "another embedding of digits"),
    ("use_sliding_window", None, "attention to a window"),
];

/// The keys of one file, the ones that were read, and what was wrong with them.
pub(crate) struct Keys<'a> {
    map: &'a Map<String, Value>,
    read: BTreeSet<&'static str>,
    pub(crate) problems: Vec<String>,
}

impl<'a> Keys<'a> {
    pub(crate) fn new(map: &'a Map<String, Value>) -> Self {
        Self {
            map,
            read: BTreeSet::new(),
            problems: Vec::new(),
        }
    }

    /// Reports what is wrong with a key.
    pub(crate) fn refuse(&mut self, key: &str, problem: &str) {
        self.problems.push(format!("{key} {problem}"));
    }

    /// Reads a key that may be absent or null.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<&'a Value> {
        self.read.insert(key);
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// Reads a size, at most `most`.
    pub(crate) fn size(&mut self, key: &'static str, most: usize) -> Option<usize> {
        let value = self.get(key)?;
        let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
        let size = size.filter(|size| *size <= most);
        if size.is_none() {
            self.refuse(
                key,
                &format!("must be a whole number up to {most}, is {value}"),
            );
        }
        size
    }

    /// Reads a size that must be there, under one of two names that must agree.
    pub(crate) fn needed(
        &mut self,
        key: &'static str,
        alias: Option<&'static str>,
        most: usize,
    ) -> Option<usize> {
        let known = self.problems.len();
        let size = self.size(key, most);
        let other = alias.and_then(|alias| self.size(alias, most));
        match (size, other, alias) {
            (Some(one), Some(other), Some(alias)) if one != other => {
                self.refuse(key, &format!("is {one}, but {alias} is {other}"));
            }
            (None, None, _) if self.problems.len() == known => self.refuse(key, "is missing"),
            _ => {}
        }
        size.or(other)
    }

    /// Reads a number.
    pub(crate) fn number(&mut self, key: &'static str) -> Option<f64> {
        let value = self.get(key)?;
        let number = value.as_f64();
        if number.is_none() {
            self.refuse(key, &format!("must be a number, is {value}"));
        }
        number
    }

    /// Reads a switch.
    pub(crate) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let value = self.get(key)?;
        let flag = value.as_bool();
        if flag.is_none() {
            self.refuse(key, &format!("must be true or false, is {value}"));
        }
        flag
    }

    /// Reads a word.
    pub(crate) fn word(&mut self, key: &'static str) -> Option<&'a str> {
        let value = self.get(key)?;
        let word = value.as_str();
        if word.is_none() {
            self.refuse(key, &format!("must be a word, is {value}"));
        }
        word
    }

    /// Refuses a word other than these.
    pub(crate) fn one_of(&mut self, key: &'static str, allowed: &[&str]) {
        if let Some(word) = self.word(key)
            && !allowed.contains(&word)
        {
            let allowed = allowed.join(" or ");
            self.refuse(
                key,
                &format!("is {word:?}; only {allowed} can be represented"),
            );
        }
    }

    /// Refuses keys that would change the function and returns the names of those that nobody knows.
    pub(crate) fn rest(&mut self) -> Vec<&'a str> {
        let mut unknown = Vec::new();
        for (key, value) in self.map {
            if HARMLESS.contains(&key.as_str()) || self.read.contains(key.as_str()) {
                continue;
            }
            match OFF.iter().find(|(name, ..)| name == key) {
                Some((_, neutral, what)) if !is_off(value, *neutral) => {
                    self.refuse(key, &format!("is {value}; {what} cannot be represented"));
                }
                Some(_) => {}
                None => unknown.push(key.as_str()),
            }
        }
        unknown
    }
}

fn is_off(value: &Value, neutral: Option<f64>) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number
            .as_f64()
            .is_some_and(|x| x.to_bits() == neutral.unwrap_or(0.0).to_bits()),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}
