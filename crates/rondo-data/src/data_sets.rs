//! Folders in the layout of `datasets` and of the Hugging Face Hub: chooses the files that hold the
//! texts.
//!
//! * A folder written by `save_to_disk` has `state.json` and `dataset_info.json`; the Arrow files
//!   that `state.json` lists are the table, in that order. A folder with several splits, each in a
//!   subfolder of this form, has a `dataset_dict.json`.
//! * Next to Parquet or Arrow files, `.json` files, Markdown files and files without an extension
//!   only describe the tables.
//! * If there are a training part and a validation or test part, only the training part is used.
//!   The name of the file or of its folder says which part it is, as in
//!   `train-00000-of-00002.parquet`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::columns::Columns;
use crate::file::read_regular;
use crate::notices::{Notice, Notices};

/// Chooses from the sorted files of a folder. If the folder has no tables, all files are chosen.
pub(crate) fn choose(folder: &Path, files: Vec<PathBuf>, notices: &mut Notices) -> Vec<PathBuf> {
    if !files.iter().any(|file| Columns::of_name(file).is_some()) {
        return files;
    }
    let mut chosen = Vec::new();
    let mut saved = BTreeSet::new();
    for file in &files {
        let Some(parent) = file.parent() else {
            continue;
        };
        if let Some(listed) = saved_table(parent, &files) {
            if saved.insert(parent.to_owned()) {
                chosen.extend(listed);
            }
        } else if describes(file) {
            notices.add(Notice::BesideColumns, file.display());
        } else {
            chosen.push(file.clone());
        }
    }
    let is_train = |file: &PathBuf| Split::of(folder, file) == Some(Split::Train);
    if !chosen.iter().any(is_train) {
        return chosen;
    }
    let (other, kept): (Vec<PathBuf>, Vec<PathBuf>) = chosen
        .into_iter()
        .partition(|file| Split::of(folder, file) == Some(Split::Other));
    for file in other {
        notices.add(Notice::OtherSplit, file.display());
    }
    kept
}

/// Returns the Arrow files of a folder written by `save_to_disk`; `None` for another folder.
fn saved_table(folder: &Path, files: &[PathBuf]) -> Option<Vec<PathBuf>> {
    let there = |name: &str| {
        let path = folder.join(name);
        files.binary_search(&path).is_ok().then_some(path)
    };
    there("dataset_info.json")?;
    let state: Value = serde_json::from_slice(&read_regular(&there("state.json")?).ok()?).ok()?;
    let listed = state.get("_data_files")?.as_array()?;
    listed
        .iter()
        .map(|entry| there(entry.get("filename")?.as_str()?))
        .collect()
}

/// Returns whether a file only describes the tables next to it.
fn describes(file: &Path) -> bool {
    match file.extension() {
        None => true,
        Some(ending) => ["json", "md"]
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known)),
    }
}

/// A part of a data set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Split {
    Train,
    Other,
}

impl Split {
    /// Returns the part to which a table belongs, according to its file name or else to a folder
    /// between `folder` and the table.
    fn of(folder: &Path, file: &Path) -> Option<Self> {
        Columns::of_name(file)?;
        let below = file.strip_prefix(folder).unwrap_or(file);
        let mut names = below.iter().rev();
        names.find_map(|name| {
            let name = name.to_string_lossy().to_lowercase();
            let first = name.split(|c: char| !c.is_alphabetic()).next()?;
            match first {
                "train" | "training" => Some(Self::Train),
                "validation" | "valid" | "val" | "dev" | "test" | "testing" | "eval"
                | "evaluation" => Some(Self::Other),
                _ => None,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Returns the files that are chosen from a folder with these files, and the notices.
    fn chosen(files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut paths: Vec<PathBuf> = files
            .iter()
            .map(|(name, _)| folder.path().join(name))
            .collect();
        for (path, (_, text)) in paths.iter().zip(files) {
            fs::create_dir_all(path.parent().expect("inside the folder")).expect("writable");
            fs::write(path, text).expect("writable");
        }
        paths.sort();
        let mut notices = Notices::default();
        let chosen = choose(folder.path(), paths, &mut notices);
        let relative = |file: &PathBuf| {
            let file = file.strip_prefix(folder.path()).expect("inside the folder");
            file.display().to_string()
        };
        (chosen.iter().map(relative).collect(), notices.lines())
    }

    #[test]
    fn a_folder_without_tables_is_taken_whole() {
        let (files, notices) = chosen(&[("a.json", ""), ("README.md", ""), ("test/b.txt", "")]);
        assert_eq!(files, ["README.md", "a.json", "test/b.txt"]);
        assert!(notices.is_empty());
    }

    #[test]
    fn descriptions_beside_tables_and_other_parts_are_passed_over() {
        let (files, notices) = chosen(&[
            ("README.md", ""),
            ("LICENSE", ""),
            ("data/train-00000-of-00002.parquet", ""),
            ("data/train-00001-of-00002.parquet", ""),
            ("data/test-00000-of-00001.parquet", ""),
            ("more.jsonl", ""),
        ]);
        assert_eq!(
            files,
            [
                "data/train-00000-of-00002.parquet",
                "data/train-00001-of-00002.parquet",
                "more.jsonl"
            ]
        );
        assert_eq!(notices.len(), 2);
        assert!(notices[0].contains("LICENSE (and 1 more)"), "{notices:?}");
        assert!(notices[1].contains("test-00000"), "{notices:?}");
    }

    #[test]
    fn parts_are_told_by_folders_and_all_are_taken_where_none_trains() {
        let (files, _) = chosen(&[
            ("train/0.parquet", ""),
            ("validation/0.parquet", ""),
            ("en/0.parquet", ""),
        ]);
        assert_eq!(files, ["en/0.parquet", "train/0.parquet"]);
        let (files, notices) = chosen(&[("test.parquet", ""), ("dev.parquet", "")]);
        assert_eq!(files, ["dev.parquet", "test.parquet"]);
        assert!(notices.is_empty());
        let (files, _) = chosen(&[("testament.parquet", ""), ("trainer.parquet", "")]);
        assert_eq!(files, ["testament.parquet", "trainer.parquet"]);
    }

    #[test]
    fn a_saved_data_set_is_the_files_that_its_state_lists() {
        let state =
            r#"{"_data_files": [{"filename": "data-1.arrow"}, {"filename": "data-0.arrow"}]}"#;
        let (files, _) = chosen(&[
            ("dataset_dict.json", "{}"),
            ("train/dataset_info.json", "{}"),
            ("train/state.json", state),
            ("train/data-0.arrow", ""),
            ("train/data-1.arrow", ""),
            ("train/cache-12.arrow", ""),
            ("test/data-0.arrow", ""),
        ]);
        assert_eq!(files, ["train/data-1.arrow", "train/data-0.arrow"]);
    }
}
