//! Reads outcomes that an earlier evaluation has written.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use rondo_tasks::error::TaskError;
use rondo_tasks::item::Kind;
use rondo_tasks::outcome::Outcome;
use rondo_tasks::report::{Condition, Items, RunOutcomes};
use rondo_tasks::rules::Rules;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::TASKS_FOLDER;
use crate::error::Result;
use crate::tasks::controls::Fitted;

/// The contents of a file of outcomes.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The path of the file.
    pub path: PathBuf,
    /// The task's name.
    pub task: String,
    /// The values that were fitted at each depth. Empty if no controls were requested.
    pub controls: Vec<Fitted>,
    /// The outcomes of the items.
    pub outcomes: RunOutcomes,
    asked: Asked,
    items: Vec<Facts>,
}

/// How the items were presented. The outcomes of two evaluations can be compared only if these
/// fields are equal.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Asked {
    kind: Kind,
    rules: Rules,
    shots: usize,
    delimiter: String,
    initial_state: String,
}

/// The first line of a file of outcomes.
#[derive(Deserialize)]
struct Head {
    task: String,
    step: u64,
    conditions: Vec<Condition>,
    controls: Option<Vec<Fitted>>,
    #[serde(flatten)]
    asked: Asked,
}

/// The line of one item in a file of outcomes.
#[derive(Deserialize)]
struct Line {
    #[serde(flatten)]
    facts: Facts,
    tokens_cut: usize,
    outcomes: Vec<Option<Outcome>>,
}

/// The fields that identify an item.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Facts {
    line: usize,
    fields: BTreeMap<String, String>,
    #[serde(skip)]
    cut: usize,
}

impl Kept {
    /// Reads outcomes. If `run` is the directory of a run, reads the outcomes of its newest
    /// evaluated checkpoint. Otherwise `run` is a folder into which an evaluation has written. The
    /// list is empty if there are no outcomes. `run` is also used as the name of the run.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or is damaged. The error names the file, the line and the reason.
    pub fn read_all(run: &Path) -> Result<Vec<Self>> {
        let folder = newest(&run.join(TASKS_FOLDER))?.unwrap_or_else(|| run.to_owned());
        let mut files = Vec::new();
        // A run directory contains other files with this extension, which are not outcomes.
        let is_run = folder == run && (run.join("config.toml").is_file() || !run.is_dir());
        if !is_run {
            collect(&folder, &mut files)?;
        }
        files.sort();
        files.iter().map(|file| Self::read(run, file)).collect()
    }

    fn read(run: &Path, path: &Path) -> Result<Self> {
        let io = |source| TaskError::Io {
            path: path.to_owned(),
            source,
        };
        let mut lines = (1..).zip(BufReader::new(File::open(path).map_err(io)?).lines());
        let Some((first, head)) = lines.next() else {
            return Err(TaskError::file(path, "holds no outcomes").into());
        };
        let head: Head = parse(path, first, &head.map_err(io)?)?;
        let conditions = head.conditions.len();
        let mut items = Vec::new();
        let mut outcomes = vec![Vec::new(); conditions];
        for (number, line) in lines {
            let line: Line = parse(path, number, &line.map_err(io)?)?;
            if line.outcomes.len() != conditions {
                let message = format!(
                    "{} outcomes, the first line has {conditions} conditions",
                    line.outcomes.len()
                );
                return Err(damaged(path, number, message).into());
            }
            for (condition, outcome) in outcomes.iter_mut().zip(line.outcomes) {
                condition.push(outcome);
            }
            items.push(Facts {
                cut: line.tokens_cut,
                ..line.facts
            });
        }
        Ok(Self {
            path: path.to_owned(),
            task: head.task,
            controls: head.controls.unwrap_or_default(),
            outcomes: RunOutcomes {
                run: run.display().to_string(),
                step: head.step,
                conditions: head.conditions,
                outcomes,
            },
            asked: head.asked,
            items,
        })
    }

    /// Returns the properties of the task's items that a report needs.
    pub fn items(&self) -> Items<'_> {
        let cut = || {
            self.items
                .iter()
                .map(|item| item.cut)
                .filter(|cut| *cut > 0)
        };
        Items {
            task: &self.task,
            file: &self.path,
            kind: self.asked.kind,
            rules: self.asked.rules,
            shots: self.asked.shots,
            cuts: (cut().count(), cut().sum()),
            fields: self.items.iter().map(|item| &item.fields).collect(),
        }
    }

    /// Describes a difference between two evaluations of a task that makes their scores
    /// incomparable. `None` if the scores can be compared.
    pub fn differs(&self, other: &Self) -> Option<String> {
        let (a, b) = (&self.asked, &other.asked);
        let both =
            |what: &str, a: &dyn Display, b: &dyn Display| Some(format!("{what} {a} and {b}"));
        if self.items.len() != other.items.len() {
            return both("items:", &self.items.len(), &other.items.len());
        }
        let same = |(a, b): (&Facts, &Facts)| a.line == b.line && a.fields == b.fields;
        if a.kind != b.kind || !self.items.iter().zip(&other.items).all(same) {
            return Some("other items".to_owned());
        }
        if a.rules != b.rules {
            return both("rules:", &a.rules.name(), &b.rules.name());
        }
        if a.shots != b.shots {
            return both("shots:", &a.shots, &b.shots);
        }
        if a.delimiter != b.delimiter {
            let quoted = |text: &str| format!("{text:?}");
            return both("delimiter:", &quoted(&a.delimiter), &quoted(&b.delimiter));
        }
        match a.initial_state == b.initial_state {
            true => None,
            false => both("initial states:", &a.initial_state, &b.initial_state),
        }
    }
}

/// Returns the folder of the newest checkpoint with outcomes.
fn newest(tasks: &Path) -> Result<Option<PathBuf>> {
    let mut steps = Vec::new();
    for path in entries(tasks)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let step = name.strip_prefix("step-").map(str::parse::<u64>);
        if let Some(Ok(step)) = step {
            steps.push((step, path));
        }
    }
    Ok(steps.into_iter().max().map(|(_, path)| path))
}

/// Collects the files of outcomes in a folder and all its subfolders.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for path in entries(folder)? {
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|ending| ending == "jsonl") {
            files.push(path);
        }
    }
    Ok(())
}

/// Returns the paths in a folder. Empty if the folder does not exist.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let io = |source| TaskError::Io {
        path: folder.to_owned(),
        source,
    };
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        paths.push(entry.map_err(io)?.path());
    }
    Ok(paths)
}

fn parse<T: DeserializeOwned>(path: &Path, line: usize, text: &str) -> Result<T> {
    let read = serde_json::from_str(text);
    Ok(read.map_err(|error| damaged(path, line, error))?)
}

fn damaged(path: &Path, line: usize, message: impl Display) -> TaskError {
    let message = format!("not what `trainer eval --tasks` keeps: {message}");
    TaskError::item(path, line, message)
}
