//! The outcomes of benchmark items. There is one file for each task and checkpoint.
//!
//! ```text
//! tasks/step-00000400/NAME.jsonl    first the inputs of the evaluation,
//!                                   then a line for each item with an outcome for each condition
//! ```

mod kept;

use std::path::{Path, PathBuf};

use rondo_data::Tokenizer;
use rondo_files::{at, atomic_write};
use rondo_tasks::prompt::Template;
use rondo_tasks::report::RunOutcomes;
use rondo_tasks::rows::Plan;
use rondo_tasks::task::Task;
use serde_json::{Value, json};

pub use self::kept::Kept;
use super::RunDir;
use crate::error::Result;

/// The folder of the outcomes in a run directory.
pub(crate) const TASKS_FOLDER: &str = "tasks";

impl RunDir {
    /// Returns the folder with the outcomes of the checkpoint after `step` steps.
    pub fn outcomes(&self, step: u64) -> PathBuf {
        self.path()
            .join(TASKS_FOLDER)
            .join(format!("step-{step:08}"))
    }
}

/// The inputs of an evaluation on a task, without its conditions.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// The task.
    pub task: &'a Task,
    /// The template that converts items of the task to text.
    pub template: &'a Template,
    /// The plan that converts this text to rows of tokens.
    pub plan: &'a Plan,
    /// The tokenizer of the run.
    pub tokenizer: &'a Tokenizer,
    /// The source of the initial state s_0.
    pub initial_state: &'a str,
    /// The label of the device.
    pub device: String,
    /// Temperatures and other values that were fitted at each depth; null if none were requested.
    pub controls: Value,
}

/// Writes the outcomes of a task's items to a file in `folder`. Returns the path of the file.
///
/// # Errors
///
/// When the file cannot be written.
pub fn write_outcomes(folder: &Path, asked: &Asked<'_>, found: &RunOutcomes) -> Result<PathBuf> {
    let Asked {
        task,
        template,
        plan,
        ..
    } = asked;
    let head = json!({
        "task": task.name,
        "file": task.path.display().to_string(),
        "kind": task.kind,
        "items": task.items.len(),
        "run": found.run,
        "step": found.step,
        "rules": template.rules,
        "shots": template.shots,
        "delimiter": template.delimiter,
        "initial_state": asked.initial_state,
        "device": asked.device,
        "tokenizer": hex(&asked.tokenizer.hash()),
        "conditions": found.conditions,
        "controls": asked.controls,
    });
    let mut lines = vec![head.to_string()];
    for (number, item) in task.items.iter().enumerate() {
        let planned = &plan.items[number];
        let outcomes: Vec<_> = found
            .outcomes
            .iter()
            .map(|condition| &condition[number])
            .collect();
        let line = json!({
            "item": number,
            "line": item.line,
            "undecided": planned.undecided,
            "tokens_cut": planned.cut,
            "fields": item.fields,
            "outcomes": outcomes,
        });
        lines.push(line.to_string());
    }
    lines.push(String::new());
    let path = folder.join(format!("{}.jsonl", task.name));
    let parent = path.parent().unwrap_or(folder);
    std::fs::create_dir_all(parent).map_err(at("make", parent))?;
    atomic_write(&path, lines.join("\n").as_bytes())?;
    Ok(path)
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}
