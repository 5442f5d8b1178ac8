//! `trainer compare`: compares runs side by side, from their metrics alone, with a verdict on each.
//!
//! In reading order: `inputs`, the runs to compare; `row`, the description of one run;
//! `differences`, the keys that differ; `groups`, runs that differ only in their seeds; `mean`, the
//! mean over a group; `grid` and `tables`, the tables; `findings`, the findings in words;
//! `samples`, the texts that runs wrote after prompts; `series` and `charts`, the curves; `page`,
//! the page with all of these.

mod charts;
mod differences;
mod findings;
mod grid;
mod groups;
mod inputs;
mod mean;
mod page;
mod row;
mod samples;
mod series;
mod tables;

use std::path::{Path, PathBuf};

use rondo_figures::Picture;
use rondo_metrics::Kind;
use rondo_train::error::Result;
use rondo_train::run_history::RunHistory;
use serde_json::{Value, json};

use self::differences::{Difference, differences};
use self::findings::{Told, findings};
use self::groups::{Group, Subject, subjects};
use self::row::Row;
use crate::cli::CompareArgs;
use crate::pictures::runs::{FigureName, draw};
use crate::terminal;

/// The compared runs and their descriptions.
struct Comparison {
    runs: Vec<RunHistory>,
    rows: Vec<Row>,
    subjects: Vec<Subject>,
    /// A description of each subject: a group of runs, or a single run.
    groups: Vec<Group>,
    differences: Vec<Difference>,
}

impl Comparison {
    fn of(runs: Vec<RunHistory>) -> Self {
        let rows: Vec<Row> = runs.iter().map(Row::of).collect();
        let subjects = subjects(&runs);
        Self {
            groups: subjects
                .iter()
                .map(|subject| Group::of(subject, &rows))
                .collect(),
            differences: differences(&runs),
            rows,
            subjects,
            runs,
        }
    }

    fn to_json(&self) -> Value {
        let groups: Vec<&Group> = self
            .groups
            .iter()
            .filter(|group| group.has_several())
            .collect();
        json!({"runs": self.rows, "groups": groups, "differences": self.differences})
    }

    /// Whether some runs differ only in their seeds.
    fn has_groups(&self) -> bool {
        self.groups.iter().any(Group::has_several)
    }

    /// Returns the tables and findings for the terminal.
    fn text(&self) -> String {
        let mut parts = Vec::new();
        let mut part = |title: &str, table: String| parts.push(format!("{title}\n{table}"));
        if !self.differences.is_empty() {
            let keys = tables::keys(&self.subjects, &self.differences);
            part("keys that differ", keys.text());
        }
        if self.has_groups() {
            let overview = tables::group_overview(&self.groups, &self.rows);
            part(
                "means over seeds ± standard deviation",
                overview.table().to_string(),
            );
            let effort = tables::group_effort(&self.groups);
            part(
                "speed and duration, means over seeds",
                effort.table().to_string(),
            );
            let perplexities = tables::group_perplexities(&self.groups);
            part(
                "validation perplexity by recurrence, means over seeds",
                perplexities.text(),
            );
        }
        part("verdicts", tables::overview(&self.rows).table().to_string());
        part(
            "speed and duration",
            tables::effort(&self.rows).table().to_string(),
        );
        part(
            "validation perplexity by recurrence",
            tables::perplexities(&self.rows).text(),
        );
        let told = findings(&self.rows).into_iter().map(
            |Told {
                 what,
                 evidence,
                 cure,
             }| format!("{what}\n    {evidence}\n    {cure}"),
        );
        parts.extend(Some(told.collect::<Vec<_>>().join("\n")).filter(|told| !told.is_empty()));
        parts.join("\n\n")
    }
}

/// Compares runs.
///
/// # Errors
///
/// Returns an error if a run's metrics are damaged, no run has any, or a file cannot be written.
pub(crate) fn command(args: &CompareArgs) -> Result<()> {
    let dirs = inputs::run_dirs(&args.runs)?;
    let runs = RunHistory::open_all(&dirs, &mut terminal::note)?;
    tell_what_is_missing(&runs);
    let comparison = Comparison::of(runs);
    let object = comparison.to_json();
    let written = match &args.out {
        Some(dir) => write(&comparison, &object, dir)?,
        None => Vec::new(),
    };
    if args.json.json {
        return terminal::print_json(&object);
    }
    terminal::print(&comparison.text())?;
    for file in written {
        terminal::print(&file.display().to_string())?;
    }
    Ok(())
}

/// Prints a note on standard error for data that runs lack.
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

/// The pictures of a comparison.
const PICTURES: [FigureName; 5] = [
    FigureName::TrainingDynamics,
    FigureName::LossVsTokens,
    FigureName::PplVsTokens,
    FigureName::DepthPerplexity,
    FigureName::PerIteration,
];

/// Draws the pictures for which the runs have data, and prints a note for the others.
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

/// Writes compare.json, the pictures, and the page with all of them.
fn write(comparison: &Comparison, object: &Value, dir: &Path) -> Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for picture in pictures(&comparison.runs) {
        written.extend(picture.save(dir)?);
    }
    let name = |path: &PathBuf| Some(path.file_name()?.to_string_lossy().into_owned());
    let saved: Vec<String> = written.iter().filter_map(name).collect();
    let sections = charts::sections(&comparison.runs, &comparison.subjects);
    let page = page::page(comparison, &sections, &saved);
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
