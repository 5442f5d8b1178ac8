//! Expands paths, folders and globs to files.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use glob::Pattern;
use walkdir::{DirEntry, WalkDir};

use crate::data_sets;
use crate::error::DataError;
use crate::notices::{Notice, Notices};

/// Returns the files that the paths name, in the order of the paths.
///
/// # Errors
///
/// If a path matches nothing, names something that cannot be read twice, or is a folder without
/// files.
pub(crate) fn files(paths: &[String], notices: &mut Notices) -> Result<Vec<PathBuf>, DataError> {
    let mut files = Vec::new();
    for path in paths {
        let is_pattern = path.contains(['*', '?', '[']);
        if !is_pattern || exists(Path::new(path)) {
            push_files(Path::new(path), &mut files, notices)?;
            continue;
        }
        let before = files.len();
        for matched in matches(path)? {
            if is_dangling(&matched) {
                notices.add(Notice::DanglingLink, matched.display());
            } else {
                push_files(&matched, &mut files, notices)?;
            }
        }
        if files.len() == before {
            return Err(DataError::Corpus(format!("no file matches `{path}`")));
        }
    }
    Ok(files)
}

fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Returns whether a path is a link without a target.
fn is_dangling(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|about| about.is_symlink())
        && fs::metadata(path).is_err_and(|error| error.kind() != ErrorKind::PermissionDenied)
}

/// Returns the paths that match a glob, sorted. If a component of the glob is the name of an
/// existing file or folder, it is not treated as a pattern, because names may contain brackets,
/// asterisks and question marks.
fn matches(pattern: &str) -> Result<Vec<PathBuf>, DataError> {
    let parts: Vec<&OsStr> = Path::new(pattern)
        .components()
        .map(Component::as_os_str)
        .collect();
    let mut found = Vec::new();
    expand(Path::new(""), &parts, &mut found)
        .map_err(|message| DataError::Corpus(format!("glob `{pattern}`: {message}")))?;
    found.sort();
    found.dedup();
    Ok(found)
}

/// Appends the paths below a folder that match `parts`.
fn expand(base: &Path, parts: &[&OsStr], found: &mut Vec<PathBuf>) -> Result<(), String> {
    let Some((part, rest)) = parts.split_first() else {
        found.push(base.to_owned());
        return Ok(());
    };
    let literal = base.join(part);
    if exists(&literal) || *part == "/" {
        return expand(&literal, rest, found);
    }
    let escaped = Pattern::escape(&base.to_string_lossy());
    // Two asterisks match folders of any depth, so the pattern takes all remaining components.
    let (own, rest) = match part.as_encoded_bytes() {
        b"**" => (parts, &parts[..0]),
        _ => (&parts[..1], rest),
    };
    let own: PathBuf = own.iter().collect();
    let own = own.to_string_lossy();
    let mut paths = matching(&escaped, &own)?;
    if paths.is_empty() && own.contains('[') {
        // The brackets may belong to a name, as in `b [1].*`.
        let literal = own.replace('[', "[[]");
        paths = matching(&escaped, &literal)?;
    }
    for path in paths {
        expand(&path, rest, found)?;
    }
    Ok(())
}

/// Returns the paths that a pattern matches below a folder.
fn matching(folder: &str, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let pattern = Path::new(folder).join(pattern);
    glob::glob(&pattern.to_string_lossy())
        .map_err(|error| error.to_string())?
        .map(|path| path.map_err(|error| error.to_string()))
        .collect()
}

/// Appends a file, or every file below a folder in sorted order, without hidden files.
fn push_files(
    path: &Path,
    files: &mut Vec<PathBuf>,
    notices: &mut Notices,
) -> Result<(), DataError> {
    let about = fs::metadata(path).map_err(DataError::io("read", path))?;
    if about.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    if !about.is_dir() {
        return Err(DataError::Document {
            path: path.to_owned(),
            message: "not a regular file; a corpus is read more than once, so write what comes out of a pipe or \
                      a device to a file first"
                .to_owned(),
        });
    }
    let visible = |entry: &DirEntry| {
        entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".")
    };
    let mut found = Vec::new();
    for entry in WalkDir::new(path)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(visible)
    {
        match entry {
            Ok(entry) if entry.file_type().is_file() => found.push(entry.into_path()),
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) => notices.add(Notice::NotRegular, entry.path().display()),
            Err(error) => {
                let at = error.path().unwrap_or(path).to_owned();
                if error.loop_ancestor().is_some() {
                    notices.add(Notice::LinkLoop, at.display());
                } else if is_dangling(&at) {
                    notices.add(Notice::DanglingLink, at.display());
                } else {
                    return Err(DataError::io("read", &at)(error.into()));
                }
            }
        }
    }
    if found.is_empty() {
        let message = format!("folder {} holds no file", path.display());
        return Err(DataError::Corpus(message));
    }
    files.extend(data_sets::choose(path, found, notices));
    Ok(())
}

#[cfg(test)]
mod tests;
