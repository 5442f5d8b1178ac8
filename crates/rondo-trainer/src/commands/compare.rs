//! `trainer compare`: runs beside one another, with a verdict on each, from their metrics alone.

mod differences;
mod page;
mod samples;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rondo_diagnosis::{Finding, Verdict};
use rondo_figures::Picture;
use rondo_metrics::format::{or_missing, significant};
use rondo_metrics::names::{HIDDEN_STATE_CORR, LOSS, VAL_CROSS_ENTROPY};
use rondo_metrics::{Kind, Reading, Table};
use rondo_train::error::Result;
use rondo_train::run_history::RunHistory;
use serde::Serialize;
use serde_json::json;

use self::differences::{Difference, Effort, differences, efforts, grid};
use crate::cli::CompareArgs;
use crate::pictures::runs::{FigureName, draw};
use crate::terminal;

/// What is said about a run.
#[derive(Clone, Debug, Serialize)]
struct Row {
    run: String,
    verdict: Verdict,
    step: u64,
    /// Training loss of the last logged step.
    final_loss: Option<f64>,
    /// Validation cross entropy at the mean depth, last evaluation.
    val_loss: Option<f64>,
    /// Last evaluation, by recurrence depth.
    perplexity: BTreeMap<usize, f64>,
    hidden_state_corr: Correlation,
    findings: Vec<Finding>,
    #[serde(flatten)]
    effort: Effort,
}

/// `hidden_state_corr` over a run.
#[derive(Clone, Debug, Serialize)]
struct Correlation {
    /// First logged step.
    start: Option<f64>,
    /// The highest.
    peak: Option<f64>,
    peak_step: Option<u64>,
    /// Median of the last [`LAST`] logged steps.
    end: Option<f64>,
}

/// Readings that stand for the end of a run.
const LAST: usize = 10;

/// Compares runs.
///
/// # Errors
///
/// Where a run's metrics are damaged, no run has any, or a file cannot be written.
pub(crate) fn command(args: &CompareArgs) -> Result<()> {
    let runs = RunHistory::open_all(&args.runs, &mut terminal::note)?;
    let rows: Vec<Row> = runs.iter().map(Row::of).collect();
    tell_what_is_missing(&runs);
    let differences = differences(&runs);
    let object = json!({"runs": rows, "differences": differences});
    let written = match &args.out {
        Some(dir) => write(&runs, &rows, &differences, &object, dir)?,
        None => Vec::new(),
    };
    if args.json.json {
        return terminal::print_json(&object);
    }
    if !differences.is_empty() {
        let keys = grid(&names(&rows), &differences).table(1 + rows.len());
        terminal::print(&format!("keys that differ\n{keys}\n"))?;
    }
    terminal::print(&overview(&rows).table(WORDS).to_string())?;
    terminal::print(&format!(
        "\nspeed and duration\n{}",
        effort(&rows).table(WORDS)
    ))?;
    terminal::print(&format!(
        "\nvalidation perplexity by recurrence\n{}\n",
        perplexities(&rows).table(1)
    ))?;
    for Told {
        what,
        evidence,
        cure,
    } in findings(&rows)
    {
        terminal::print(&format!("{what}\n    {evidence}\n    {cure}"))?;
    }
    for file in written {
        terminal::print(&file.display().to_string())?;
    }
    Ok(())
}

impl Row {
    fn of(run: &RunHistory) -> Self {
        let correlations = run.history.series(HIDDEN_STATE_CORR);
        Self {
            run: run.name.clone(),
            verdict: run.diagnosis.verdict(),
            step: run.history.last_step(),
            final_loss: run.history.last(LOSS),
            val_loss: run.history.last(VAL_CROSS_ENTROPY),
            perplexity: run.perplexities(),
            hidden_state_corr: Correlation::of(&correlations),
            findings: run.diagnosis.findings().to_vec(),
            effort: Effort::of(run),
        }
    }
}

impl Correlation {
    fn of(readings: &[Reading]) -> Self {
        let peak = readings
            .iter()
            .max_by(|a, b| a.value.total_cmp(&b.value))
            .copied();
        let mut last: Vec<f64> = readings
            .iter()
            .rev()
            .take(LAST)
            .map(|reading| reading.value)
            .collect();
        last.sort_by(f64::total_cmp);
        Self {
            start: readings.first().map(|reading| reading.value),
            peak: peak.map(|reading| reading.value),
            peak_step: peak.map(|reading| reading.step),
            end: last.get(last.len() / 2).copied(),
        }
    }
}

/// Says on standard error what cannot be compared.
fn tell_what_is_missing(runs: &[RunHistory]) {
    for run in runs {
        match run.evaluations() {
            0 => terminal::note(&format!("{}: no evaluation yet", run.name)),
            1 => terminal::note(&format!(
                "{}: one evaluation, at step {}; a curve needs two",
                run.name,
                run.history
                    .of(Kind::Eval)
                    .last()
                    .map_or(0, |last| last.step)
            )),
            _ => {}
        }
    }
    let mut lists = runs
        .iter()
        .map(|run| run.perplexities().into_keys().collect::<Vec<_>>())
        .filter(|list| !list.is_empty());
    if let Some(first) = lists.next()
        && lists.any(|list| list != first)
    {
        terminal::note("the runs were evaluated at different depths; n/a is where one was not");
    }
}

/// A table before it is known where it is shown.
struct Grid {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Grid {
    /// Returns the table for a terminal, with as many columns of words on the left.
    fn table(&self, words: usize) -> Table {
        let header: Vec<&str> = self.header.iter().map(String::as_str).collect();
        let mut table = (0..words).fold(Table::new(&header), Table::left);
        for row in &self.rows {
            table.row(row.iter().cloned());
        }
        table
    }
}

/// Columns of words in [`overview`].
const WORDS: usize = 2;

fn number(value: Option<f64>, digits: usize) -> String {
    or_missing(value, |value| significant(value, digits))
}

fn overview(rows: &[Row]) -> Grid {
    let header = [
        "run",
        "verdict",
        "step",
        "loss",
        "val loss",
        "corr start",
        "peak",
        "end",
    ];
    let row = |row: &Row| {
        let two = |value: Option<f64>| or_missing(value, |value| format!("{value:.2}"));
        let corr = &row.hidden_state_corr;
        vec![
            row.run.clone(),
            row.verdict.to_string(),
            row.step.to_string(),
            number(row.final_loss, 4),
            number(row.val_loss, 4),
            two(corr.start),
            two(corr.peak),
            two(corr.end),
        ]
    };
    Grid {
        header: header.map(str::to_owned).into(),
        rows: rows.iter().map(row).collect(),
    }
}

fn names(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| row.run.as_str()).collect()
}

fn effort(rows: &[Row]) -> Grid {
    let of_each: Vec<&Effort> = rows.iter().map(|row| &row.effort).collect();
    efforts(&names(rows), &of_each)
}

fn perplexities(rows: &[Row]) -> Grid {
    let depths: BTreeSet<usize> = rows
        .iter()
        .flat_map(|row| row.perplexity.keys().copied())
        .collect();
    let row = |row: &Row| {
        let cells = depths
            .iter()
            .map(|depth| number(row.perplexity.get(depth).copied(), 4));
        std::iter::once(row.run.clone()).chain(cells).collect()
    };
    Grid {
        header: std::iter::once("run".to_owned())
            .chain(depths.iter().map(usize::to_string))
            .collect(),
        rows: rows.iter().map(row).collect(),
    }
}

/// A finding in words, and the readings that show it.
struct Told {
    what: String,
    evidence: String,
    cure: String,
}

fn findings(rows: &[Row]) -> Vec<Told> {
    let told = |row: &Row, finding: &Finding| {
        let Finding { failure, since, .. } = finding;
        let until = finding.until.map(|step| format!(" until {step}"));
        let evidence = finding.evidence.iter();
        Told {
            what: format!(
                "{}: {failure} since step {since}{}",
                row.run,
                until.unwrap_or_default()
            ),
            evidence: evidence
                .map(|reading| format!("{} {}", reading.name, significant(reading.value, 4)))
                .collect::<Vec<_>>()
                .join("  "),
            cure: format!("try: {}", failure.cure()),
        }
    };
    rows.iter()
        .flat_map(|row| row.findings.iter().map(move |finding| told(row, finding)))
        .collect()
}

/// The pictures of a comparison.
const PICTURES: [FigureName; 5] = [
    FigureName::TrainingDynamics,
    FigureName::LossVsTokens,
    FigureName::PplVsTokens,
    FigureName::DepthPerplexity,
    FigureName::PerIteration,
];

/// Draws what the runs have numbers for, and says what they lack.
fn pictures(runs: &[RunHistory]) -> Vec<Picture> {
    let mut pictures = Vec::new();
    for name in PICTURES {
        match draw(name, runs) {
            Ok(picture) => pictures.push(picture),
            Err(error) => terminal::note(&error.to_string()),
        }
    }
    pictures
}

/// Writes compare.json, the pictures and the page that shows all of it.
fn write(
    runs: &[RunHistory],
    rows: &[Row],
    differences: &[Difference],
    object: &serde_json::Value,
    dir: &Path,
) -> Result<Vec<PathBuf>> {
    let pictures = pictures(runs);
    let mut written = Vec::new();
    for picture in &pictures {
        written.extend(picture.save(dir)?);
    }
    let page = page::page(rows, differences, &pictures, &samples::section(runs));
    for (name, text) in [
        ("compare.json", format!("{object:#}\n")),
        ("compare.html", page),
    ] {
        let path = dir.join(name);
        std::fs::create_dir_all(dir)
            .and_then(|()| std::fs::write(&path, text))
            .map_err(rondo_files::at("write", &path))?;
        written.push(path);
    }
    Ok(written)
}
