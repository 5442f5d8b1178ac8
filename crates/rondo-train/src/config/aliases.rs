//! Maps the names that other trainers use to keys of this trainer.

/// Pairs of a name in other trainers, in lower case, and the key of this trainer with the same
/// meaning.
pub const ALIASES: [(&str, &str); 87] = [
    // The budget, and the batch.
    ("max_steps", "train.steps"),
    ("num_steps", "train.steps"),
    ("total_steps", "train.steps"),
    ("num_train_steps", "train.steps"),
    ("num_training_steps", "train.steps"),
    ("max_iters", "train.steps"),
    ("num_iterations", "train.steps"),
    ("epochs", "train.tokens"),
    ("num_epochs", "train.tokens"),
    ("num_train_epochs", "train.tokens"),
    ("max_epochs", "train.tokens"),
    ("max_tokens", "train.tokens"),
    ("batch_size", "train.batch"),
    ("micro_batch_size", "train.batch"),
    ("device_batch_size", "train.batch"),
    ("train_batch_size", "train.batch"),
    ("per_device_train_batch_size", "train.batch"),
    ("per_device_eval_batch_size", "eval.batch"),
    ("eval_batch_size", "eval.batch"),
    ("seq_len", "train.seq"),
    ("seq_length", "train.seq"),
    ("sequence_length", "train.seq"),
    ("sequence_len", "train.seq"),
    ("block_size", "train.seq"),
    ("max_seq_len", "train.seq"),
    ("max_seq_length", "train.seq"),
    ("context_length", "model.context"),
    ("max_position_embeddings", "model.context"),
    ("gradient_accumulation_steps", "train.accumulation"),
    ("gradient_accumulation", "train.accumulation"),
    ("grad_accum", "train.accumulation"),
    ("grad_accum_steps", "train.accumulation"),
    ("accumulate_grad_batches", "train.accumulation"),
    ("max_grad_norm", "train.clip"),
    ("grad_clip", "train.clip"),
    ("gradient_clipping", "train.clip"),
    ("gradient_clip_val", "train.clip"),
    // The schedule and the optimizer.
    ("lr", "schedule.peak"),
    ("base_lr", "schedule.peak"),
    ("max_lr", "schedule.peak"),
    ("peak_lr", "schedule.peak"),
    ("learning_rate", "schedule.peak"),
    ("min_lr", "schedule.floor"),
    ("warmup_steps", "schedule.warmup"),
    ("warmup_iters", "schedule.warmup"),
    ("num_warmup_steps", "schedule.warmup"),
    ("warmup_ratio", "schedule.warmup"),
    ("lr_scheduler", "schedule.shape"),
    ("lr_scheduler_type", "schedule.shape"),
    ("lr_schedule", "schedule.shape"),
    ("optim", "optimizer.kind"),
    ("adam_beta1", "optimizer.beta1"),
    ("adam_beta2", "optimizer.beta2"),
    ("adam_epsilon", "optimizer.eps"),
    // The model.
    ("hidden_size", "model.d_model"),
    ("hidden_dim", "model.d_model"),
    ("n_embd", "model.d_model"),
    ("dim", "model.d_model"),
    ("num_attention_heads", "model.n_heads"),
    ("num_heads", "model.n_heads"),
    ("n_head", "model.n_heads"),
    ("num_key_value_heads", "model.n_kv_heads"),
    ("head_dim", "model.d_head"),
    ("intermediate_size", "model.d_ff"),
    ("ffn_dim", "model.d_ff"),
    ("num_hidden_layers", "model.layers"),
    ("num_layers", "model.layers"),
    ("n_layer", "model.layers"),
    ("n_layers", "model.layers"),
    ("rope_theta", "model.rope_base"),
    ("rms_norm_eps", "model.norm.eps"),
    ("tie_word_embeddings", "model.tied_head"),
    ("mean_recurrence", "model.recurrence.mean"),
    ("mean_backprop_depth", "model.recurrence.backprop_depth"),
    ("gradient_checkpointing", "model.recurrence.recompute"),
    ("activation_checkpointing", "model.recurrence.recompute"),
    // Measurements, checkpoints, data and the device.
    ("logging_steps", "train.log_every"),
    ("log_interval", "train.log_every"),
    ("eval_steps", "eval.every"),
    ("eval_interval", "eval.every"),
    ("save_steps", "checkpoint.every"),
    ("save_interval", "checkpoint.every"),
    ("save_total_limit", "checkpoint.keep_last"),
    ("dataset", "data.paths"),
    ("dataset_path", "data.paths"),
    ("bf16", "device.precision"),
    ("mixed_precision", "device.precision"),
];

/// Returns the key of this trainer with the meaning of another trainer's key `name`. Compares only
/// the part of `name` after the last dot.
pub fn alias(name: &str) -> Option<&'static str> {
    let last = name.rsplit('.').next().unwrap_or(name).to_lowercase();
    let last = last.replace('-', "_");
    let known = ALIASES.iter().find(|(elsewhere, _)| *elsewhere == last);
    known.map(|(_, here)| *here)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rondo_config::reference::keys;

    use super::*;
    use crate::config::RunConfig;

    #[test]
    fn every_alias_is_a_key_here_and_none_is_listed_twice() {
        let mut known: BTreeSet<String> = keys::<RunConfig>()
            .into_iter()
            .map(|key| key.path)
            .collect();
        known.insert("optimizer.kind".to_owned());
        let mut names = BTreeSet::new();
        for (elsewhere, here) in ALIASES {
            assert!(known.contains(here), "{elsewhere}: {here}");
            assert!(names.insert(elsewhere), "{elsewhere} is listed twice");
        }
    }

    #[test]
    fn a_name_is_found_in_any_section_and_spelling() {
        assert_eq!(alias("max_steps"), Some("train.steps"));
        assert_eq!(alias("optimizer.lr"), Some("schedule.peak"));
        assert_eq!(alias("training.Batch-Size"), Some("train.batch"));
        assert_eq!(alias("steps"), None);
    }

    #[test]
    fn a_configuration_with_other_names_is_told_ours() {
        let text =
            "max_steps = 5\n[optimizer]\nkind = 'adamw'\nlr = 1e-3\n[train]\nsteps = 1\nseq = 8\n";
        let error = RunConfig::read("other.toml", text, &["batch_size=4".to_owned()]);
        let told = error.expect_err("unknown keys").to_string();
        for line in [
            "max_steps: unknown key; here it is `train.steps`",
            "optimizer.lr: unknown key; here it is `schedule.peak`",
            "batch_size=4: unknown key; here it is `train.batch`",
        ] {
            assert!(told.contains(line), "{told}");
        }
    }
}
