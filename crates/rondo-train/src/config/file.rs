//! Opens a configuration file together with its base files.

use std::path::{Path, PathBuf};

use rondo_config::Document;
use rondo_files::looked_in;
use schemars::JsonSchema;
use serde::Deserialize;

use super::RunConfig;
use crate::error::{Error, Result};

/// The maximum number of files in a chain of base files.
const DEEPEST: usize = 16;

/// Keys at the top of a configuration file, before its sections.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FileHead {
    /// The path of a base configuration, relative to this file. Tables of both files are merged.
    /// Any other value replaces the value in the base.
    pub base: Option<String>,
    /// Dotted keys to remove from the base.
    pub unset: Vec<String>,
}

impl FileHead {
    const KEYS: [&'static str; 2] = ["base", "unset"];
}

/// Parses the file at `path` together with its base files. Keys and values are not checked yet.
///
/// # Errors
///
/// When a file cannot be read, is not TOML, or is its own base.
pub fn open(path: &Path) -> Result<Document> {
    open_over(path, &mut Vec::new())
}

fn open_over(path: &Path, above: &mut Vec<PathBuf>) -> Result<Document> {
    let text = rondo_files::read_text(path).map_err(|error| {
        let named = above
            .last()
            .map(|file| format!("{}: base: ", file.display()));
        Error::Usage(format!(
            "{}cannot read the configuration {}: {error}{}",
            named.unwrap_or_default(),
            path.display(),
            looked_in(path, &error)
        ))
    })?;
    let mut document = RunConfig::document(&path.display().to_string(), &text, &[])?;
    let head: FileHead = document.split_off(&FileHead::KEYS).read()?;
    let Some(base) = head.base else {
        if let Some(key) = head.unset.first() {
            return Err(Error::Usage(format!(
                "{}: unset: there is no base in which `{key}` is set",
                path.display()
            )));
        }
        return Ok(document);
    };
    above.push(path.to_owned());
    let base = path.parent().unwrap_or(Path::new("")).join(base);
    if above.contains(&base) || above.len() > DEEPEST {
        return Err(Error::Usage(format!(
            "{}: base: {} is its own base",
            path.display(),
            base.display()
        )));
    }
    let mut below = open_over(&base, above)?;
    above.pop();
    for key in &head.unset {
        if !below.unset(key) {
            return Err(Error::Usage(format!(
                "{}: unset: `{key}` is not set in {}",
                path.display(),
                base.display()
            )));
        }
    }
    Ok(document.over(below))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    const MAIN: &str = "[train]\nsteps = 5\nseq = 8\n[optimizer]\nkind = 'adamw'\neps = 1e-7\n";

    #[test]
    fn a_file_changes_its_base_and_may_unset_its_keys() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), "main.toml", MAIN);
        let text = "base = 'main.toml'\nunset = ['train.steps']\n[train]\ntokens = 640\n";
        let path = write(folder.path(), "mine.toml", text);
        let config = RunConfig::load(&path, &["train.batch=2".to_owned()]).expect("valid");
        assert_eq!((config.train.steps, config.train.tokens), (None, Some(640)));
        assert_eq!((config.train.seq, config.train.batch), (Some(8), 2));
    }

    #[test]
    fn a_violation_of_the_base_names_its_file_and_line() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), "main.toml", "[train]\nsteps = 5\nsekq = 8\n");
        let path = write(
            folder.path(),
            "mine.toml",
            "base = 'main.toml'\n[train]\nsteps = 4\n",
        );
        let told = RunConfig::load(&path, &[])
            .expect_err("an unknown key")
            .to_string();
        assert!(
            told.contains("main.toml line 3") && told.contains("train.sekq"),
            "{told}"
        );
    }

    #[test]
    fn a_base_that_is_not_there_or_below_itself_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let lost = write(folder.path(), "lost.toml", "base = 'nowhere.toml'\n");
        let told = RunConfig::load(&lost, &[])
            .expect_err("no base")
            .to_string();
        assert!(told.contains("lost.toml: base: cannot read"), "{told}");
        let own = write(folder.path(), "own.toml", "base = 'own.toml'\n");
        let told = RunConfig::load(&own, &[])
            .expect_err("a circle")
            .to_string();
        assert!(told.contains("own.toml is its own base"), "{told}");
        write(folder.path(), "main.toml", MAIN);
        let idle = write(
            folder.path(),
            "idle.toml",
            "base = 'main.toml'\nunset = ['train.tokens']\n",
        );
        let told = RunConfig::load(&idle, &[])
            .expect_err("nothing to unset")
            .to_string();
        assert!(
            told.contains("unset: `train.tokens` is not set in"),
            "{told}"
        );
    }
}
