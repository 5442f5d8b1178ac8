//! The treatment of keys of `config.json` that are not read.

use crate::keys::Off;

/// Keys that have no effect on the function of the model.
pub(super) const HARMLESS: [&str; 34] = [
    // The model's name and origin.
    "_name_or_path",
    "hf_config",
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
    "attn_impl",
    "attn_implementation",
    "chunk_size_feed_forward",
    "simple_ops",
    "strategy",
    "use_fused_head",
    // Settings of training and generation; the ids of special tokens are read elsewhere.
    "activation_checkpoint_impl",
    "decoder_start_token_id",
    "initializer_range",
    "loss_shape",
    "max_length",
    "task_specific_params",
    // Keys that follow from others, or details of features that must be off.
    "effective_expected_depth",
    "padding_multiple",
    "test_time_noise_type",
    // Kinds of models and of fine-tuning that the reference does not read.
    "id2label",
    "is_decoder",
    "is_encoder_decoder",
    "label2id",
    "problem_type",
];

/// Keys that would change the function of the model. Each of them must be off.
pub(super) const OFF: [Off; 15] = [
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
    ("use_abacus", None, "abacus embeddings of digits"),
    ("use_sliding_window", None, "sliding-window attention"),
];
