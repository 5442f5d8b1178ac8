//! Tasks: files with items of one kind, and folders with such files.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Result, TaskError};
use crate::item::{Item, Kind};

/// The suffix in the name of the file with a task's examples, which lies beside the task:
/// `NAME_shots.jsonl`.
const SHOTS: &str = "_shots";

/// The maximum size of a file of items, in bytes.
const MOST_BYTES: u64 = 1 << 30;

/// A task: the items of one file.
#[derive(Clone, Debug)]
pub struct Task {
    /// The name of the file without its extension. If a folder was read, the name includes the
    /// folders below it.
    pub name: String,
    /// The path of the file.
    pub path: PathBuf,
    /// The kind of every item.
    pub kind: Kind,
    /// The items in the order of the file.
    pub items: Vec<Item>,
    /// The items of `NAME_shots.jsonl`, if that file exists.
    pub examples: Option<Vec<Item>>,
}

impl Task {
    /// Reads the task in a file, or the tasks in all `.jsonl` files in and below a folder, ordered
    /// by name.
    ///
    /// # Errors
    ///
    /// A file cannot be read or is empty, or an item is wrong. The error names the file, the line
    /// and the reason.
    pub fn read_all(path: &Path) -> Result<Vec<Self>> {
        if !path.is_dir() {
            let name = path.file_stem().unwrap_or(path.as_os_str());
            return Ok(vec![Self::read(path, name.to_string_lossy().into_owned())?]);
        }
        let mut files = Vec::new();
        collect(path, &mut files)?;
        files.sort();
        if files.is_empty() {
            return Err(TaskError::file(path, "no .jsonl file is in this folder"));
        }
        let named = |file: &PathBuf| {
            let below = file.strip_prefix(path).unwrap_or(file).with_extension("");
            Self::read(file, below.to_string_lossy().replace('\\', "/"))
        };
        files.iter().map(named).collect()
    }

    fn read(path: &Path, name: String) -> Result<Self> {
        let items = items(path)?;
        let kind = kind(path, &items)?;
        let beside = shots_beside(path).filter(|beside| beside.is_file());
        let examples = beside.map(|beside| {
            let found = items_of(&beside, kind)?;
            Ok(found)
        });
        Ok(Self {
            name,
            path: path.to_owned(),
            kind,
            items,
            examples: examples.transpose()?,
        })
    }

    /// Returns an error that names the line of an item.
    pub fn at(&self, item: usize, message: impl std::fmt::Display) -> TaskError {
        TaskError::item(&self.path, self.items[item].line, message)
    }

    /// Keeps the first `count` items.
    pub fn limit(&mut self, count: usize) {
        self.items.truncate(count);
    }
}

/// Returns the path of the file with a task's examples.
fn shots_beside(path: &Path) -> Option<PathBuf> {
    let stem = path.file_stem()?.to_string_lossy();
    Some(path.with_file_name(format!("{stem}{SHOTS}.jsonl")))
}

/// Collects the files of tasks below a folder.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let io = |source| TaskError::Io {
        path: folder.to_owned(),
        source,
    };
    for entry in fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|ending| ending == "jsonl") {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            if !stem.ends_with(SHOTS) {
                files.push(path);
            }
        }
    }
    Ok(())
}

/// Reads the items of a file, which must all be of the kind `wanted`.
fn items_of(path: &Path, wanted: Kind) -> Result<Vec<Item>> {
    let items = items(path)?;
    let found = kind(path, &items)?;
    match found == wanted {
        true => Ok(items),
        false => Err(TaskError::file(
            path,
            format!(
                "examples of {} for a task of {}",
                found.name(),
                wanted.name()
            ),
        )),
    }
}

/// Returns the common kind of all items.
fn kind(path: &Path, items: &[Item]) -> Result<Kind> {
    let [first, rest @ ..] = items else {
        return Err(TaskError::file(path, "holds no item"));
    };
    let kind = first.question.kind();
    match rest.iter().find(|item| item.question.kind() != kind) {
        None => Ok(kind),
        Some(item) => Err(TaskError::item(
            path,
            item.line,
            format!(
                "of the kind {}, the items before it are of the kind {}; a file holds one kind",
                item.question.kind().name(),
                kind.name()
            ),
        )),
    }
}

/// Reads the items of a file. Lines that contain only white space are skipped.
fn items(path: &Path) -> Result<Vec<Item>> {
    let io = |source| TaskError::Io {
        path: path.to_owned(),
        source,
    };
    let size = fs::metadata(path).map_err(io)?.len();
    if size > MOST_BYTES {
        return Err(TaskError::file(
            path,
            format!("{size} bytes; a file of items has at most {MOST_BYTES}"),
        ));
    }
    let bytes = fs::read(path).map_err(io)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].split(|byte| *byte == b'\n').count();
        TaskError::item(path, line, "not UTF-8 text")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    (1..)
        .zip(text.split('\n'))
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(number, line)| {
            let refuse = |message: String| TaskError::item(path, number, message);
            let value: Value =
                serde_json::from_str(line).map_err(|error| refuse(format!("not JSON: {error}")))?;
            let Value::Object(object) = value else {
                return Err(refuse("not a JSON object".to_owned()));
            };
            Item::read(number, &object).map_err(refuse)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder can be made");
            fs::write(path, text).expect("writable");
        }
        folder
    }

    const CHOICE: &str = r#"{"query":"q","choices":["a","b"],"gold":1}"#;

    #[test]
    fn a_folder_is_read_in_the_order_of_its_names_and_examples_are_no_task() {
        let folder = folder(&[
            ("b.jsonl", &format!("{CHOICE}\n\n{CHOICE}\n")),
            ("b_shots.jsonl", CHOICE),
            ("a/c.jsonl", "{\"text\":\"t\"}\n"),
            ("notes.txt", "not a task"),
        ]);
        let tasks = Task::read_all(folder.path()).expect("tasks");
        let found: Vec<_> = tasks
            .iter()
            .map(|task| {
                (
                    task.name.as_str(),
                    task.items.len(),
                    task.examples.as_ref().map(Vec::len),
                )
            })
            .collect();
        assert_eq!(found, [("a/c", 1, None), ("b", 2, Some(1))]);
        // The empty line counts as a line.
        assert_eq!(tasks[1].items[1].line, 3);
    }

    #[test]
    fn a_file_that_is_no_task_is_refused_with_line_and_reason() {
        for (text, expected) in [
            ("", "t.jsonl: holds no item"),
            (&format!("{CHOICE}\nnonsense"), "t.jsonl:2: not JSON"),
            ("[1]", "t.jsonl:1: not a JSON object"),
            (
                &format!("{CHOICE}\n{{\"text\":\"t\"}}"),
                "t.jsonl:2: of the kind text",
            ),
            (
                r#"{"query":"q","choices":["a","b"],"gold":9}"#,
                "t.jsonl:1: `gold` must be",
            ),
        ] {
            let folder = folder(&[("t.jsonl", text)]);
            let refused = Task::read_all(&folder.path().join("t.jsonl"));
            let message = refused.expect_err(expected).to_string();
            assert!(message.contains(expected), "{message}");
        }
        let empty = folder(&[]);
        let message = Task::read_all(empty.path()).expect_err("empty").to_string();
        assert!(message.contains("no .jsonl file"), "{message}");
        let message = Task::read_all(&empty.path().join("none.jsonl"));
        assert!(
            message
                .expect_err("missing")
                .to_string()
                .contains("cannot read")
        );
    }

    #[test]
    fn examples_of_another_kind_are_refused() {
        let folder = folder(&[("t.jsonl", CHOICE), ("t_shots.jsonl", "{\"text\":\"t\"}")]);
        let message = Task::read_all(&folder.path().join("t.jsonl")).expect_err("two kinds");
        assert!(
            message
                .to_string()
                .contains("t_shots.jsonl: examples of text"),
            "{message}"
        );
    }
}
