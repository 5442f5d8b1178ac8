//! Compares the output of the commands: tokens, a trace, and iterations per token.

use std::fs;

use rondo_files::TensorFile;
use rondo_model::exit::ExitCriterion;
use serde_json::Value;

use super::golden::{DEPTHS, Golden, assert_within, folder, imported};
use crate::harness::{assert_ok, run};

#[test]
fn greedy_tokens_are_the_references_with_and_without_a_cache() {
    let (dir, run_dir) = imported();
    let golden = Golden::open();
    let expected = golden.ids("greedy_r8_prompt5");
    let prompt = dir.path().join("prompt.json");
    fs::write(&prompt, format!("{:?}", &expected[..5])).expect("a file");
    for further in [&[][..], &["--no-cache"], &["--kv-budget", "8"]] {
        let (run_dir, prompt) = (run_dir.display().to_string(), prompt.display().to_string());
        let mut args = vec![
            "generate",
            &run_dir,
            "--tokens",
            &prompt,
            "--recurrence",
            "8",
        ];
        args.extend([
            "--initial-state",
            "zero",
            "--max-tokens",
            "12",
            "--device",
            "flex",
        ]);
        args.push("--json");
        args.extend(further);
        let ended = run(args);
        assert_ok(&ended);
        let tokens: Option<Vec<i64>> = ended.json()["tokens"]
            .as_array()
            .map(|all| all.iter().filter_map(Value::as_i64).collect());
        assert_eq!(tokens.as_deref(), Some(&expected[5..]), "{further:?}");
    }
}

#[test]
fn a_trace_from_the_command_line_holds_the_references_states_and_logits() {
    let (dir, run_dir) = imported();
    let golden = Golden::open();
    let io = folder().join("io.safetensors").display().to_string();
    let out = dir.path().join("trace.safetensors");
    let ended = run([
        "trace",
        &run_dir.display().to_string(),
        "--tokens",
        &io,
        "--initial-state",
        &io,
        "--recurrence",
        "8",
        "--device",
        "flex",
        "--out",
        &out.display().to_string(),
    ]);
    assert_ok(&ended);
    let bytes = fs::read(&out).expect("the trace is there");
    let file = TensorFile::parse(&bytes).expect("the trace is whole");
    let traced = |name: &str| {
        let tensor = file.get(name).unwrap_or_else(|| panic!("no {name}"));
        tensor.f32_values().expect("f32")
    };
    assert_eq!(traced("raw_state.0"), golden.floats("initial_state"));
    for r in DEPTHS {
        for name in ["state", "logits"] {
            let expected = golden.floats(&format!("{name}_r{r}"));
            assert_within(&traced(&format!("{name}.{r}")), expected, 2e-5, name);
        }
    }
    assert_eq!(file.tensors().len(), 1 + 9 + 8 + 8);
    let ids: Vec<u8> = golden
        .ids("input_ids")
        .iter()
        .flat_map(|id| id.to_le_bytes())
        .collect();
    assert_eq!(file.get("input_ids").expect("ids").bytes, ids);
}

#[test]
fn a_prompt_exits_at_the_references_iteration_where_predictions_decide() {
    let (_dir, run_dir) = imported();
    let golden = Golden::open();
    let (run_dir, io) = (
        run_dir.display().to_string(),
        folder().join("io.safetensors"),
    );
    let io = io.display().to_string();
    let criteria = ExitCriterion::ALL.into_iter();
    for criterion in criteria.filter(|criterion| criterion.reads_logits()) {
        let name = criterion.name();
        let mut args = vec!["generate", &run_dir, "--tokens", &io, "--exit", name];
        args.extend(["--max-recurrence", "32", "--initial-state", "zero"]);
        args.extend(["--max-tokens", "1", "--device", "flex", "--json"]);
        let ended = run(args);
        assert_ok(&ended);
        let expected = match golden.ids(&format!("exit.{name}.step"))[0] {
            -1 => 32,
            step => step,
        };
        assert_eq!(ended.json()["iterations"][0], expected, "{name}");
    }
}
