//! A folder written aside and put in its place by a rename: there is all of it or nothing.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::error::{Error, Result};
use crate::run_dir::RunDir;

/// A folder in the making, `.NAME.PROCESS.partial` beside its place; dropped, it vanishes.
#[derive(Debug)]
pub(crate) struct Aside {
    path: PathBuf,
    target: PathBuf,
    /// Folders above the target that did not exist, the highest first.
    made: Vec<PathBuf>,
}

/// Refuses a target that holds something, unless it is to be replaced and does not hold `source`.
///
/// # Errors
///
/// As a usage error that says what to do.
pub(crate) fn check_target(target: &Path, source: &Path, overwrite: bool) -> Result<()> {
    let shown = target.display();
    if target.file_name().is_none() {
        return Err(Error::Usage(format!("--out {shown}: name a folder")));
    }
    if target.is_symlink() && !target.exists() {
        return Err(Error::Usage(format!(
            "--out {shown}: a link to something that is not there"
        )));
    }
    if target.exists() && !target.is_dir() {
        return Err(Error::Usage(format!("--out {shown}: not a folder")));
    }
    if !overwrite && !RunDir::new(target).is_empty() {
        return Err(Error::Usage(format!(
            "{shown} is not empty; choose another --out, or replace it with --overwrite"
        )));
    }
    match (source.canonicalize(), target.canonicalize()) {
        (Ok(source), Ok(target)) if source.starts_with(&target) => Err(Error::Usage(format!(
            "--out {shown}: this is where the model is read from"
        ))),
        _ => Ok(()),
    }
}

impl Aside {
    /// Makes an empty folder beside `target`. Where that is a link to a folder, the folder is the target,
    /// and the link stays.
    ///
    /// # Errors
    ///
    /// Where it cannot be made.
    pub(crate) fn new(target: &Path) -> Result<Self> {
        let linked = target.is_symlink().then(|| target.canonicalize());
        let linked = linked
            .transpose()
            .with_context(|| format!("cannot follow the link {}", target.display()))?;
        let target = linked.as_deref().unwrap_or(target);
        let path = beside(target, "partial");
        let parents = target.ancestors().skip(1);
        let mut made: Vec<PathBuf> = parents
            .take_while(|parent| !parent.as_os_str().is_empty() && !parent.exists())
            .map(Path::to_owned)
            .collect();
        made.reverse();
        let aside = Self {
            path,
            target: target.to_owned(),
            made,
        };
        // Left over from a process with the same number that was killed.
        aside.remove();
        fs::create_dir_all(&aside.path)
            .with_context(|| format!("cannot create {}", aside.path.display()))?;
        Ok(aside)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the folder in its place; what was there is removed afterwards.
    ///
    /// # Errors
    ///
    /// Where a folder cannot be renamed; the target is then as it was.
    pub(crate) fn commit(mut self) -> Result<()> {
        let rename = |from: &Path, to: &Path| {
            fs::rename(from, to)
                .with_context(|| format!("cannot rename {} to {}", from.display(), to.display()))
        };
        let replaced = beside(&self.target, "replaced");
        let there = self.target.exists();
        if there {
            rename(&self.target, &replaced)?;
        }
        if let Err(error) = rename(&self.path, &self.target) {
            if there {
                rename(&replaced, &self.target)?;
            }
            return Err(error.into());
        }
        self.made.clear();
        if there {
            fs::remove_dir_all(&replaced)
                .with_context(|| format!("cannot remove {}", replaced.display()))?;
        }
        Ok(())
    }

    fn remove(&self) {
        // An error is on its way already, or there is nothing here.
        let _ = fs::remove_dir_all(&self.path);
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.remove();
        for folder in self.made.iter().rev() {
            // Somebody else's files keep the folder.
            let _ = fs::remove_dir(folder);
        }
    }
}

fn beside(target: &Path, what: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(format!(".{}.{what}", std::process::id()));
    target.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_folder_leaves_nothing_not_even_its_parents() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let aside = Aside::new(&dir.path().join("a/b/run")).expect("a folder");
        fs::write(aside.path().join("file"), "x").expect("writable");
        drop(aside);
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 0);
    }

    #[test]
    fn a_committed_folder_replaces_what_was_there_whole() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let target = dir.path().join("run");
        for content in ["one", "two"] {
            let aside = Aside::new(&target).expect("a folder");
            fs::write(aside.path().join(content), content).expect("writable");
            aside.commit().expect("a free place");
        }
        let names: Vec<_> = fs::read_dir(&target)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(names, ["two"]);
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_its_folder_is_replaced() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (elsewhere, link) = (dir.path().join("disk/run"), dir.path().join("link"));
        fs::create_dir_all(&elsewhere).expect("a folder");
        fs::write(elsewhere.join("old"), "x").expect("writable");
        std::os::unix::fs::symlink("disk/run", &link).expect("a link");
        let aside = Aside::new(&link).expect("a folder");
        fs::write(aside.path().join("new"), "y").expect("writable");
        aside.commit().expect("replaced");
        assert!(link.is_symlink() && !elsewhere.is_symlink());
        assert!(elsewhere.join("new").is_file() && !elsewhere.join("old").exists());
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 2);
        assert_eq!(
            fs::read_dir(dir.path().join("disk"))
                .expect("a folder")
                .count(),
            1
        );

        let dangling = dir.path().join("dangling");
        std::os::unix::fs::symlink("nowhere", &dangling).expect("a link");
        let refused = check_target(&dangling, &elsewhere, true).expect_err("no folder");
        assert!(refused.to_string().contains("not there"), "{refused}");
    }

    #[test]
    fn a_target_that_holds_something_or_the_source_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (target, source) = (dir.path().join("run"), dir.path().join("run/source"));
        let check = |overwrite| check_target(&target, &source, overwrite);
        assert!(check(false).is_ok());
        fs::create_dir_all(&source).expect("a folder");
        let message = |overwrite| check(overwrite).expect_err("taken").to_string();
        assert!(message(false).contains("--overwrite"));
        assert!(message(true).contains("read from"));
        assert!(check_target(&target, Path::new("elsewhere"), true).is_ok());
    }
}
