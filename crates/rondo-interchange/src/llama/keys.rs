//! The treatment of keys of `config.json` that are not read.

use crate::keys::Off;

/// Keys that have no effect on the function of the model.
pub(super) const HARMLESS: [&str; 34] = [
    // The model's name and origin.
    "_name_or_path",
    "model_type",
    "name",
    "transformers_version",
    // How Python loads the model, its number type, and what it returns.
    "auto_map",
    "dtype",
    "output_attentions",
    "output_hidden_states",
    "return_dict",
    "torch_dtype",
    "torchscript",
    "use_cache",
    // How the function is computed.
    "_attn_implementation_autoset",
    "_attn_implementation",
    "attn_implementation",
    "chunk_size_feed_forward",
    "pretraining_tp",
    // Settings of training and generation; the ids of special tokens are read elsewhere.
    "attention_dropout",
    "decoder_start_token_id",
    "initializer_range",
    "max_length",
    "task_specific_params",
    // Details of windows, which must be off.
    "max_window_layers",
    "sliding_window",
    // Details of the exit gate, which is not imported.
    "early_exit_step",
    // Kinds of models and of fine-tuning that the library does not read here.
    "id2label",
    "is_decoder",
    "is_encoder_decoder",
    "is_llama_config",
    "label2id",
    "problem_type",
    "rope_interleaved",
    "transformers.js_config",
    "unsloth_version",
];

/// Keys that would change the function of the model. Each of them must be off.
pub(super) const OFF: [Off; 6] = [
    ("attention_bias", None, "biases of attention's matrices"),
    ("clip_qkv", None, "clipped queries, keys and values"),
    ("mlp_bias", None, "biases of the MLP's matrices"),
    (
        "partial_rotary_factor",
        Some(1.0),
        "rotary embedding of part of a head",
    ),
    ("quantization_config", None, "quantised weights"),
    ("use_sliding_window", None, "sliding-window attention"),
];
