//! Checks the folder that `--out` names.

use std::path::Path;

use rondo_train::error::{Error, Result};
use rondo_train::run_dir::RunDir;

/// Returns an error if the target is not empty, unless `overwrite` is set and the target does not
/// contain `source`.
///
/// # Errors
///
/// Returns a usage error that tells the user what to do.
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_link_to_nothing_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let dangling = dir.path().join("dangling");
        std::os::unix::fs::symlink("nowhere", &dangling).expect("a link");
        let refused = check_target(&dangling, dir.path(), true).expect_err("no folder");
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
