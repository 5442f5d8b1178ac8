//! Tests sheets: a sweep in rows and columns, as a picture and as a table.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Ended, assert_ok, refused, root, run, scratch, shared_cache};

/// Writes a sweep of two injections, two settings and two seeds. Runs with the second setting
/// cannot start, because they need a run that does not exist.
fn sweep_file(dir: &Path, sheet: &str) -> PathBuf {
    let text = format!(
        "base = \"configs/smoke.toml\"\nseeds = [0, 1]\n\
         [[grid]]\nkey = \"model.injection\"\nvalues = [\"linear\", \"diagonal\"]\n\
         [[list]]\nschedule.peak = 2e-3\n\
         [[list]]\nschedule.peak = 4e-3\ninit = {{ from = \"no/such/run\" }}\n{sheet}"
    );
    let path = dir.join("small.toml");
    fs::write(&path, text).expect("the sweep file can be written");
    path
}

fn sweep(file: &Path, out: &Path) -> Ended {
    let (file, out) = (file.display().to_string(), out.display().to_string());
    let cache = shared_cache();
    run([
        "sweep", &file, "--device", "flex", "--set", &cache, "--out", &out,
    ])
}

fn sheet(sweep: &Path, out: &Path, further: &[&str]) -> Ended {
    let (sweep, out) = (sweep.display().to_string(), out.display().to_string());
    let args = ["figure", "field-sheet", &sweep, "--out", &out];
    run(args.iter().chain(further))
}

fn table(out: &Path) -> Vec<String> {
    let text = fs::read_to_string(out.join("field-sheet.csv")).expect("a table");
    text.lines().map(str::to_owned).collect()
}

const SHEET: &str = "[sheet]\nrows = [\"model.injection\"]\ncolumns = [\"peak\"]\n";

#[test]
fn a_sheet_has_a_dot_for_each_run_and_counts_those_that_have_failed() {
    let dir = scratch();
    // `init.from` varies together with the peak, so the columns name both.
    let file = sweep_file(
        dir.path(),
        "[sheet]\nrows = [\"model.injection\"]\ncolumns = [\"peak\", \"init.from\"]\n\
         names = { \"peak=2e-3\" = \"low\", \"no/such/run\" = \"nowhere\" }\n",
    );
    let (swept, out) = (dir.path().join("swept"), dir.path().join("figures"));
    let ended = sweep(&file, &swept);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(
        ended.stdout.contains("trainer figure field-sheet"),
        "{ended:?}"
    );
    let drawn = sheet(&swept, &out, &[]);
    assert_ok(&drawn);
    for ending in ["svg", "png", "csv"] {
        assert!(out.join(format!("field-sheet.{ending}")).is_file());
    }
    let rows = table(&out);
    assert_eq!(rows.len(), 1 + 2 * 2 * 2, "{rows:?}");
    assert!(
        rows[1].starts_with("linear,\"low, from of the base\","),
        "{rows:?}"
    );
    assert!(
        rows[1].ends_with(','),
        "a sound run has no failure: {rows:?}"
    );
    let failed = rows.iter().filter(|row| row.ends_with(",,failed"));
    assert_eq!(failed.count(), 4, "{rows:?}");
    assert!(drawn.stdout.contains("n/a (2/2)"), "{drawn:?}");
    assert!(drawn.stdout.contains("2 failed"), "{drawn:?}");
    assert!(
        drawn
            .stdout
            .lines()
            .take(12)
            .all(|line| line.chars().count() <= 80),
        "{drawn:?}"
    );
    // The mean in the table is the mean of the dots.
    let values: Vec<f64> = rows[1..3]
        .iter()
        .filter_map(|row| row.rsplit(',').nth(1)?.parse().ok())
        .collect();
    let mean = f64::midpoint(values[0], values[1]);
    assert!(
        drawn.stdout.contains(&format!("{mean:.3} ± ")),
        "{mean}: {drawn:?}"
    );
}

#[test]
fn options_stand_in_the_place_of_the_file_and_depths_make_columns() {
    let dir = scratch();
    let path = dir.path().join("plain.toml");
    let text = "base = \"configs/smoke.toml\"\nseeds = [0, 1]\n\
                [[grid]]\nkey = \"schedule.peak\"\nvalues = [2e-3, 4e-3]\n";
    fs::write(&path, text).expect("the sweep file can be written");
    let (swept, out) = (dir.path().join("swept"), dir.path().join("figures"));
    assert_ok(&sweep(&path, &swept));
    // Without a `[sheet]` section, the varied key is in the rows, and the metric is the final loss.
    assert_ok(&sheet(&swept, &out, &[]));
    assert_eq!(
        table(&out)[1].split(',').take(2).collect::<Vec<_>>(),
        ["peak=2e-3", ""]
    );
    let drawn = sheet(
        &swept,
        &out,
        &["--metric", "val_perplexity", "--depth", "8,1"],
    );
    assert_ok(&drawn);
    let columns: Vec<String> = table(&out)[1..]
        .iter()
        .filter_map(|row| row.split(',').nth(1).map(str::to_owned))
        .collect();
    let expected = ["depth 8", "depth 8", "depth 1", "depth 1"];
    assert_eq!(columns[..4], expected);
    assert!(drawn.stdout.starts_with("val_perplexity\n"), "{drawn:?}");
    // Without `--depth`, all depths at which the metric was measured are shown.
    assert_ok(&sheet(&swept, &out, &["--metric", "val_loss"]));
    assert_eq!(table(&out).len(), 1 + 2 * 3 * 2);

    let wrong = |further: &[&str], parts: &[&str]| refused(&sheet(&swept, &out, further), 2, parts);
    wrong(
        &["--rows", "model.d_model"],
        &["model.d_model", "schedule.peak"],
    );
    wrong(
        &["--rows", "peak", "--columns", "schedule.peak"],
        &["twice"],
    );
    wrong(&["--depth", "3"], &["depth 3", "1, 4, 8"]);
    wrong(
        &["--metric", "loss", "--depth", "8"],
        &["loss", "several depths"],
    );
    let single = swept.join("runs/peak=2e-3,seed=0");
    refused(&sheet(&single, &out, &[]), 4, &["is not a sweep"]);
    let run_dir = single.display().to_string();
    let out = out.display().to_string();
    let other = run([
        "figure",
        "loss-vs-tokens",
        &run_dir,
        "--out",
        &out,
        "--rows",
        "peak",
    ]);
    refused(&other, 2, &["--rows", "field-sheet"]);
}

#[test]
fn a_layout_is_checked_before_training_and_may_change_after_it() {
    let dir = scratch();
    let swept = dir.path().join("swept");
    for (sheet, part) in [
        ("[sheet]\nrows = [\"model.injektion\"]\n", "model.injektion"),
        (
            "[sheet]\nrows = [\"model.injection\"]\ncolumns = [\"peak\"]\n",
            "init.from",
        ),
        ("[sheet]\nmetric = \"val_los\"\n", "val_loss"),
        ("[sheet]\ndepths = [0]\n", "sheet.depths.0"),
        ("[sheet]\nrow = [\"peak\"]\n", "row"),
    ] {
        refused(&sweep(&sweep_file(dir.path(), sheet), &swept), 2, &[part]);
    }
    assert!(!swept.exists());
    let text = "base = \"configs/smoke.toml\"\n\
                [[grid]]\nkey = \"schedule.peak\"\nvalues = [2e-3]\n\
                [[grid]]\nkey = \"model.injection\"\nvalues = [\"linear\"]\n";
    let path = dir.path().join("changing.toml");
    fs::write(&path, text).expect("the sweep file can be written");
    assert_ok(&sweep(&path, &swept));
    fs::write(&path, format!("{text}{SHEET}")).expect("the sweep file can be written");
    assert_ok(&sweep(&path, &swept));
    let out = dir.path().join("figures");
    assert_ok(&sheet(&swept, &out, &[]));
    assert!(
        table(&out)[1].starts_with("linear,peak=2e-3,"),
        "{:?}",
        table(&out)
    );
}

#[test]
fn every_file_in_the_folder_of_sheets_is_a_sweep_that_says_how_it_is_laid_out() {
    let folder = root().join("configs/field/sheets");
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("configs/field/sheets/") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a sheet");
        let name = path.display();
        assert!(text.contains("\n[sheet]\n"), "{name}");
        let command = format!(
            "cargo run --release -- sweep configs/field/sheets/{}",
            path.file_name().expect("a name").to_string_lossy()
        );
        assert!(text.contains(&command), "{name}");
        // The layout is checked before anything else is done.
        let file = path.display().to_string();
        assert_ok(&run(["sweep", &file, "--dry-run", "--device", "flex"]));
        count += 1;
    }
    assert_eq!(count, 2);
}
