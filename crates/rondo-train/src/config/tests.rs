//! Tests of reading and validating configurations.

mod ranges;

use super::*;

const SHORT: &str = "[train]\nsteps = 3\nseq = 16\n";

fn violations(text: &str) -> String {
    RunConfig::read("test.toml", text, &[])
        .expect_err("not valid")
        .to_string()
}

/// Replaces the line breaks in a message by spaces.
fn on_one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_short_configuration_gets_the_defaults() {
    let config = RunConfig::read("test.toml", SHORT, &[]).expect("valid");
    assert_eq!(config.eval.recurrence, [1, 4, 8, 16, 32, 64]);
    assert_eq!(config.train.steps, Some(3));
}

#[test]
fn the_printed_configuration_reads_back_the_same() {
    let config = RunConfig::read("test.toml", SHORT, &[]).expect("valid");
    let text = config.to_toml().expect("printable");
    assert_eq!(
        RunConfig::read("again.toml", &text, &[]).expect("valid"),
        config
    );
}

#[test]
fn violations_of_several_sections_come_together() {
    let text = "[train]\nsteps = 0\nseq = 16\n[model]\nd_ff = 0\n[schedule]\npeak = -1\n\
                [optimizer]\nkind = \"muon\"\niterations = 0\n";
    let message = violations(text);
    for key in [
        "train.steps",
        "model.d_ff",
        "schedule.peak",
        "optimizer.iterations",
    ] {
        assert!(message.contains(key), "{message}");
    }
}

#[test]
fn a_misspelt_key_and_numbers_out_of_range_come_together() {
    let text =
        "[train]\nsteps = 0\nseq = 16\nbacth = 4\n[model]\nn_heads = \"four\"\n[eval]\nevery = 0\n";
    let expected = "test.toml: 4 problems
  line 2  train.steps: must be at least 1, found 0
  line 4  train.bacth: unknown key; did you mean `batch`?
  line 6  model.n_heads: expected a positive whole number, found the string
          \"four\"
  line 8  eval.every: must be at least 1, found 0";
    assert_eq!(violations(text), expected);
}

#[test]
fn keys_of_optional_sections_and_of_every_variant_are_suggested() {
    for (text, suggestion) in [
        ("[model]\nseq = 16", "train.seq"),
        ("[model]\ngate_bias = 3.0", "model.sparsity.gate_bias"),
        ("[train]\nsmoothing = 0.9", "controller.smoothing"),
        ("[train]\nmomentum = 0.9", "optimizer.momentum"),
        ("[model]\nsparsity = { gate_bais = 3.0 }", "gate_bias"),
        ("[schedule]\ncooldown = 4", "schedule.shape.cooldown"),
    ] {
        let message = on_one_line(&violations(text));
        let expected = format!("did you mean `{suggestion}`?");
        assert!(message.contains(&expected), "{text}: {message}");
    }
}

#[test]
fn what_is_wrong_inside_a_variant_is_told_at_its_own_key() {
    let text = "[train]\nsteps = 3\nseq = 16\n[schedule.shape]\nkind = \"linear\"\ncooldown = 4\n\
                [[perturb]]\nkind = \"data-switch\"\nat_step = 2\n[perturb.data]\nkind = \"text\"\n\
                tokenizer = { kind = \"bpe\", vocab_size = \"many\" }\n";
    let message = on_one_line(&violations(text));
    for part in [
        "line 6 schedule.shape.cooldown: unknown key of kind = \"linear\" (a key of kind = \"trapezoid\")",
        "line 12 perturb.0.data.tokenizer.vocab_size: expected a positive whole number",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn attention_within_documents_has_no_gates() {
    let text = "[train]\nsteps = 3\nseq = 16\n[data]\nkind = \"text\"\ndocument_mask = true\n\
                [model]\nsparsity = {}\n[[perturb]]\nkind = \"data-switch\"\nat_step = 2\n\
                data = { kind = \"prepared\", path = \"a\", document_mask = true }\n";
    let message = on_one_line(&violations(text));
    for part in [
        "2 problems",
        "line 6 data.document_mask: not with gates: [model.sparsity] counts",
        "perturb.0.data.document_mask: not with gates",
    ] {
        assert!(message.contains(part), "{message}");
    }
    let without = text.replace("sparsity = {}\n", "");
    assert!(RunConfig::read("test.toml", &without, &[]).is_ok());
}

#[test]
fn nothing_of_a_task_is_measured_in_tokens() {
    let text = "[data]\nkind = \"arithmetic\"\n[train]\nsteps = 9\n\
                [schedule]\nwarmup = { tokens = 500 }\n\
                [model.recurrence.curriculum]\nmean = { from = 1, over = { tokens = 500 } }\n";
    let message = violations(text);
    for key in [
        "schedule.warmup: a task",
        "model.recurrence.curriculum.mean.over: a task",
    ] {
        assert!(message.contains(key), "{message}");
    }
    let in_steps = text.replace("{ tokens = 500 }", "5");
    assert!(RunConfig::read("test.toml", &in_steps, &[]).is_ok());
}

#[test]
fn an_override_replaces_what_the_file_says() {
    let overrides = [
        "train.steps=9".to_owned(),
        "model.recurrence.mean=4".to_owned(),
    ];
    let config = RunConfig::read("test.toml", SHORT, &overrides).expect("valid");
    assert_eq!(
        (config.train.steps, config.model.recurrence.mean),
        (Some(9), 4)
    );
}

#[test]
fn a_model_without_data_needs_no_budget_and_reads_its_whole_context_at_once() {
    let text = "[data]\nkind = \"none\"\n[model]\ncontext = 96\n";
    let config = RunConfig::read("test.toml", text, &[]).expect("valid");
    assert_eq!(config.text_seq(), Some(96));
}

#[test]
fn another_device_keeps_the_threads_of_the_file() {
    let text = format!("{SHORT}[device]\nkind = \"auto\"\nthreads = 2\n");
    let overrides = ["device.kind=flex".to_owned()];
    let config = RunConfig::read("test.toml", &text, &overrides).expect("valid");
    assert_eq!(config.device.threads, Some(2));
}

#[test]
fn a_budget_in_tokens_is_rounded_up_to_steps() {
    let text = "[train]\ntokens = 1000\nseq = 16\nbatch = 4\naccumulation = 2\n";
    let config = RunConfig::read("test.toml", text, &[]).expect("valid");
    assert_eq!(config.steps(16), 8);
}

#[test]
fn a_bound_on_the_gradient_in_words_is_answered_with_what_may_stand_there() {
    for value in ["\"off\"", "[1.0]", "{ norm = 1.0 }", "\"1.0\""] {
        let message = violations(&format!("{SHORT}clip = {value}\n"));
        assert!(
            message.contains("train.clip") && message.contains("a positive number or false"),
            "{value}: {message}"
        );
    }
}
