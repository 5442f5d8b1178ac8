//! Tests the JSON Schemas in configs/schema: the program prints them, the files in configs/ are
//! valid, and invalid files are refused.

mod validation;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{assert_ok, golden, root, run};

/// Returns every TOML file in and below a folder.
fn configurations(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(configurations(&path));
        } else if path.extension().is_some_and(|ending| ending == "toml") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the path of a schema.
fn schema(name: &str) -> PathBuf {
    root().join("configs/schema").join(name)
}

/// Lists the violations of TOML text against the schema at `path`.
fn faults(text: &str, path: &Path) -> Vec<String> {
    let schema: Value = serde_json::from_str(&read(path)).expect("a schema is JSON");
    let table: toml::Table = toml::from_str(text).expect("TOML");
    let value = serde_json::to_value(table).expect("a configuration has a form in JSON");
    validation::faults(&value, &schema, &schema, "")
}

#[test]
fn the_schemas_in_configs_are_what_the_program_prints() {
    for (args, name) in [
        (&["schema"][..], "run.json"),
        (&["schema", "--sweep"], "sweep.json"),
    ] {
        let ended = run(args);
        assert_ok(&ended);
        golden(&format!("../../configs/schema/{name}"), &ended.stdout);
    }
}

#[test]
fn the_reference_pages_of_the_book_are_what_the_program_prints() {
    for page in ["keys", "metrics", "exit-codes"] {
        let ended = run(["explain", &format!("--markdown={page}")]);
        assert_ok(&ended);
        let path = format!("../../crates/rondo-trainer/book/src/{page}.md");
        golden(&path, &ended.stdout);
    }
    assert_eq!(
        run(["explain", "--markdown"]).stdout,
        run(["explain", "--markdown=keys"]).stdout
    );
}

#[test]
fn the_page_on_the_command_line_is_what_the_default_build_prints() {
    // The schema lists the devices of this build.
    let only_wgpu = cfg!(feature = "wgpu")
        && !cfg!(any(
            feature = "cuda",
            feature = "rocm",
            feature = "metal",
            feature = "vulkan",
            feature = "ndarray"
        ));
    if !only_wgpu {
        #[expect(clippy::print_stderr, reason = "the reader of a test's output is told")]
        {
            eprintln!("skipped: the build has other devices than the default one");
        }
        return;
    }
    let ended = run(["explain", "--markdown=commands"]);
    assert_ok(&ended);
    golden(
        "../../crates/rondo-trainer/book/src/commands.md",
        &ended.stdout,
    );
}

#[test]
fn every_configuration_names_its_schema_in_its_first_line_and_keeps_to_it() {
    let files = configurations(&root().join("configs"));
    assert!(files.len() >= 20, "{files:?}");
    for file in files {
        let text = read(&file);
        let named = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("#:schema "));
        let named = named.unwrap_or_else(|| panic!("{} names no schema", file.display()));
        let named = file.parent().expect("a folder").join(named);
        let named = named.canonicalize().expect("the schema exists");
        let is_sweep = text.lines().any(|line| line.starts_with("base = "));
        let expected = schema(if is_sweep { "sweep.json" } else { "run.json" });
        assert_eq!(
            named,
            expected.canonicalize().expect("a schema"),
            "{}",
            file.display()
        );
        assert_eq!(faults(&text, &named), [""; 0], "{}", file.display());
    }
}

#[test]
fn a_misspelt_key_does_not_validate_wherever_it_is() {
    for (text, key, misspelt, name) in [
        ("[model]\nd_model = 64", "d_model", "d_modle", "run.json"),
        (
            "[model.sparsity]\ngate_bias = 1",
            "gate_bias",
            "gate_bais",
            "run.json",
        ),
        (
            "[optimizer]\nkind = 'muon'\niterations = 4",
            "iterations",
            "iteratons",
            "run.json",
        ),
        (
            "[schedule.shape]\nkind = 'trapezoid'\ncooldown = { tokens = 4 }",
            "tokens",
            "token",
            "run.json",
        ),
        (
            "[[perturb]]\nkind = 'optimizer-reset'\nat_step = 1",
            "at_step",
            "step",
            "run.json",
        ),
        (
            "base = 'a.toml'\nseeds = [1]",
            "seeds",
            "sedes",
            "sweep.json",
        ),
    ] {
        let path = schema(name);
        assert_eq!(faults(text, &path), [""; 0], "{text}");
        let wrong = text.replace(key, misspelt);
        assert!(!faults(&wrong, &path).is_empty(), "{wrong}");
    }
}
