//! Tests of `trainer figure benchmarks` and `depth-controls`, which draw the stored outcomes of an
//! evaluation.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::{eval, golden, imported, outcome_file, written};
use crate::harness::{Ended, assert_ok, run};

/// Draws a figure of runs into a folder.
fn figure(name: &str, runs: &[&Path], out: &Path, further: &[&str]) -> Ended {
    let mut args = vec!["figure".to_owned(), name.to_owned()];
    args.extend(runs.iter().map(|run| run.display().to_string()));
    args.extend(["--out".to_owned(), out.display().to_string()]);
    args.extend(further.iter().map(|one| (*one).to_owned()));
    run(args)
}

/// Asserts that a figure is refused with exit code 2 and a message that contains these parts.
#[track_caller]
fn refused(ended: &Ended, parts: &[&str]) {
    assert_eq!(ended.code, 2, "{ended:?}");
    for part in parts {
        assert!(ended.stderr.contains(part), "{part}: {ended:?}");
    }
}

/// Writes twelve multiple-choice items. Two hops and ten hops alternate.
fn hops(dir: &Path) -> std::path::PathBuf {
    let items: Vec<String> = (0..12)
        .map(|i| {
            let hops = [10, 2][i % 2];
            json!({"query": format!("q{i}"), "choices": ["a", "bc"], "gold": i % 2, "hops": hops})
                .to_string()
        })
        .collect();
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    written(dir, "hops.jsonl", &items)
}

#[test]
fn the_pictures_are_those_of_the_evaluation_that_kept_the_outcomes() {
    let (dir, of) = imported();
    let tasks = hops(dir.path());
    let documents = dir.path().join("documents.txt");
    fs::write(
        &documents,
        "the quick brown fox jumps over the lazy dog. ".repeat(20),
    )
    .expect("writable");
    let (then, now) = (dir.path().join("then"), dir.path().join("now"));
    let (documents, then_path) = (documents.display().to_string(), then.display().to_string());
    let mut further = vec![
        "--recurrence",
        "1,2",
        "--by",
        "hops",
        "--figures",
        &then_path,
    ];
    further.extend([
        "--controls",
        "--data",
        &documents,
        "--control-tokens",
        "400",
    ]);
    assert_ok(&eval(&of, &tasks, &further));
    assert_ok(&figure("benchmarks", &[&of], &now, &["--by", "hops"]));
    assert_ok(&figure("depth-controls", &[&of], &now, &[]));
    for name in ["benchmarks", "depth-controls"] {
        for ending in ["csv", "svg"] {
            let read = |folder: &Path| {
                let path = folder.join(format!("{name}.{ending}"));
                fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
            };
            assert_eq!(read(&then), read(&now), "{name}.{ending}");
        }
    }
    let table = fs::read_to_string(now.join("benchmarks.csv")).expect("a table");
    for panel in [
        "\nhops,as it is,1,",
        "\nhops: 2,affine,2,",
        "\nhops: 10,temperature,1,",
    ] {
        assert!(table.contains(panel), "{panel}: {table}");
    }
}

#[test]
fn runs_lie_over_each_other_and_a_folder_of_outcomes_stands_for_its_run() {
    let (dir, one) = imported();
    let (_other_dir, other) = imported();
    let tasks = hops(dir.path());
    assert_ok(&eval(&one, &tasks, &["--recurrence", "1,2"]));
    let kept = dir.path().join("kept");
    let kept_path = kept.display().to_string();
    assert_ok(&eval(
        &other,
        &tasks,
        &["--recurrence", "1", "--out", &kept_path],
    ));
    let out = dir.path().join("figures");
    assert_ok(&figure(
        "benchmarks",
        &[&one, &kept],
        &out,
        &["--task", "hops"],
    ));
    let table = fs::read_to_string(out.join("benchmarks.csv")).expect("a table");
    let rows = |run: &Path| table.matches(&format!("\nhops,{},", run.display())).count();
    assert_eq!((rows(&one), rows(&kept)), (2, 1), "{table}");
}

#[test]
fn what_is_missing_is_told_with_the_command_that_makes_it() {
    let (dir, of) = imported();
    let out = dir.path().join("figures");
    let path = of.display().to_string();
    let no_outcomes = format!("run `trainer eval {path} --tasks FILE.jsonl` first");
    for name in ["benchmarks", "depth-controls"] {
        refused(
            &figure(name, &[&of], &out, &[]),
            &["has no outcomes of benchmarks", &no_outcomes],
        );
    }
    let tasks = hops(dir.path());
    assert_ok(&eval(&of, &tasks, &["--recurrence", "1"]));
    refused(
        &figure("depth-controls", &[&of], &out, &[]),
        &[
            "has outcomes without controls",
            &format!("run `trainer eval {path} --tasks FILE.jsonl --controls` first"),
        ],
    );
    refused(
        &figure("benchmarks", &[&of], &out, &["--task", "arc"]),
        &[
            "has no outcomes of the task arc (it has those of hops)",
            "--tasks arc.jsonl` first",
        ],
    );
    let field = figure("benchmarks", &[&of], &out, &["--by", "depth"]);
    assert_eq!(field.code, 3, "{field:?}");
    assert!(field.stderr.contains("fields here: hops"), "{field:?}");
    refused(
        &figure("loss-vs-tokens", &[&of], &out, &["--by", "hops"]),
        &["--by: only benchmarks"],
    );
    refused(
        &figure("loss-vs-tokens", &[&of], &out, &["--task", "hops"]),
        &["--task: only benchmarks and depth-controls"],
    );
    let (_other_dir, other) = imported();
    assert_ok(&eval(
        &other,
        &tasks,
        &["--recurrence", "1", "--limit", "4"],
    ));
    refused(
        &figure("benchmarks", &[&of, &other], &out, &[]),
        &["hops was scored differently in", "items: 12 and 4"],
    );
    let texts = written(
        dir.path(),
        "rain.jsonl",
        &[r#"{"text":"rain in the plain"}"#],
    );
    assert_ok(&eval(&of, &texts, &["--recurrence", "1"]));
    refused(
        &figure("benchmarks", &[&of], &out, &["--task", "rain"]),
        &["no accuracy to draw", "bits per byte"],
    );
    assert!(!out.exists());
}

#[test]
fn a_damaged_file_of_outcomes_is_refused_with_its_line() {
    let (dir, of) = imported();
    let out = dir.path().join("figures");
    let file = golden().join("schema.jsonl");
    assert_ok(&eval(&of, &file, &["--recurrence", "1", "--limit", "3"]));
    let kept = outcome_file(&of, "schema");
    let text = fs::read_to_string(&kept).expect("outcomes");
    for (line, damaged) in [
        (1, text.replacen("\"conditions\"", "\"condition\"", 1)),
        (3, text.replacen("\"item\":1", "\"item\":1,,", 1)),
        (
            2,
            text.replacen("\"outcomes\":[{", "\"outcomes\":[null,{", 1),
        ),
        (2, text.replacen("\"acc\":", "\"acc\":7,\"was\":", 1)),
    ] {
        assert_ne!(text, damaged);
        fs::write(&kept, damaged).expect("writable");
        let ended = figure("benchmarks", &[&of], &out, &[]);
        assert_eq!(ended.code, 3, "{ended:?}");
        let place = format!("schema.jsonl:{line}: not what `trainer eval --tasks` keeps");
        assert!(ended.stderr.contains(&place), "{place}: {ended:?}");
    }
    assert!(!out.exists());
}
