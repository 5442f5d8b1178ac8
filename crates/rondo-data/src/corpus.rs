//! What a corpus is: from paths, globs or the pinned dependencies to a fixed list of files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use walkdir::{DirEntry, WalkDir};

use crate::dependencies;
use crate::documents::{self, Stop};
use crate::error::DataError;

/// Where a corpus comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorpusSource {
    /// The Rust sources and Markdown of the pinned dependencies, see [`dependencies`].
    Dependencies,
    /// Files, folders and globs.
    Paths {
        /// In this order; a folder gives its files sorted, hidden ones left out.
        paths: Vec<String>,
        /// Key of the document's text in every line of a `.jsonl` file.
        json_field: String,
    },
}

impl CorpusSource {
    /// Returns the source that `paths` name: the dependencies when there are none.
    pub fn new(paths: &[String], json_field: &str) -> Self {
        if paths.is_empty() {
            Self::Dependencies
        } else {
            Self::Paths {
                paths: paths.to_vec(),
                json_field: json_field.to_owned(),
            }
        }
    }

    /// Returns a line for every crate or file of the corpus that changes when it does, without
    /// reading any text: name and version, or path, size and time of modification.
    pub(crate) fn fingerprint(&self) -> Result<Vec<String>, DataError> {
        match self {
            Self::Dependencies => dependencies::fingerprint(),
            Self::Paths { paths, .. } => resolve(paths)?
                .iter()
                .map(|path| file_fingerprint(path))
                .collect(),
        }
    }
}

/// The files of a corpus, in the order in which their documents are read.
pub(crate) struct Corpus {
    files: Vec<PathBuf>,
    json_field: String,
}

impl Corpus {
    pub(crate) fn open(source: &CorpusSource) -> Result<Self, DataError> {
        let (files, json_field) = match source {
            CorpusSource::Dependencies => (dependencies::files()?, String::new()),
            CorpusSource::Paths { paths, json_field } => (resolve(paths)?, json_field.clone()),
        };
        Ok(Self { files, json_field })
    }

    pub(crate) fn file_count(&self) -> usize {
        self.files.len()
    }

    /// Hands over every document, `max_bytes` of text in all; the last one is cut there.
    ///
    /// `read` hears of the bytes on disk read so far and in all, after each file.
    pub(crate) fn for_each(
        &self,
        max_bytes: Option<u64>,
        read: &mut dyn FnMut(u64, u64) -> Result<(), DataError>,
        each: &mut dyn FnMut(&str) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let sizes: Vec<u64> = self
            .files
            .iter()
            .map(|path| Ok(metadata(path)?.len()))
            .collect::<Result<_, DataError>>()?;
        let total = sizes.iter().sum();
        let mut left = max_bytes.unwrap_or(u64::MAX);
        let mut done = 0;
        for (path, size) in self.files.iter().zip(sizes) {
            let stop = documents::for_each(path, &self.json_field, &mut |text| {
                let end = text.floor_char_boundary(usize::try_from(left).unwrap_or(usize::MAX));
                if end > 0 {
                    each(&text[..end])?;
                }
                left -= end as u64;
                // Less than one character may be left over.
                let full = end < text.len() || left == 0;
                Ok(if full { Stop::Here } else { Stop::No })
            })?;
            done += size;
            read(done, total)?;
            if stop == Stop::Here {
                break;
            }
        }
        Ok(())
    }
}

fn metadata(path: &Path) -> Result<fs::Metadata, DataError> {
    fs::metadata(path).map_err(DataError::io("read", path))
}

fn file_fingerprint(path: &Path) -> Result<String, DataError> {
    let absolute = path.canonicalize().map_err(DataError::io("read", path))?;
    let metadata = metadata(path)?;
    let modified = metadata
        .modified()
        .map_err(DataError::io("read", path))?
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| age.as_nanos());
    Ok(format!(
        "{} {} {modified}",
        absolute.display(),
        metadata.len()
    ))
}

/// Returns the files that paths name, each path in turn.
fn resolve(paths: &[String]) -> Result<Vec<PathBuf>, DataError> {
    let mut files = Vec::new();
    for path in paths {
        let is_pattern = path.contains(['*', '?', '[']);
        if is_pattern && !Path::new(path).exists() {
            let before = files.len();
            for matched in matches(path)? {
                push_files(&matched, &mut files)?;
            }
            if files.len() == before {
                return Err(DataError::Corpus(format!("no file matches `{path}`")));
            }
        } else {
            push_files(Path::new(path), &mut files)?;
        }
    }
    Ok(files)
}

fn matches(pattern: &str) -> Result<Vec<PathBuf>, DataError> {
    let refuse = |message: String| DataError::Corpus(format!("glob `{pattern}`: {message}"));
    let mut paths = glob::glob(pattern)
        .map_err(|error| refuse(error.to_string()))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| refuse(error.to_string()))?;
    paths.sort();
    Ok(paths)
}

/// Appends a file, or every file below a folder that is not hidden, sorted.
fn push_files(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), DataError> {
    if !metadata(path)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let visible = |entry: &DirEntry| {
        entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".")
    };
    let before = files.len();
    for entry in WalkDir::new(path)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(visible)
    {
        let entry = entry.map_err(|error| {
            let at = error.path().unwrap_or(path).to_owned();
            DataError::io("read", &at)(error.into())
        })?;
        if entry.file_type().is_file() {
            files.push(entry.into_path());
        }
    }
    if files.len() == before {
        let message = format!("folder {} holds no file", path.display());
        return Err(DataError::Corpus(message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("inside the folder")).expect("writable");
            fs::write(path, text).expect("writable");
        }
        folder
    }

    fn read(paths: &[String], max_bytes: Option<u64>) -> Result<Vec<String>, DataError> {
        let corpus = Corpus::open(&CorpusSource::new(paths, "text"))?;
        let mut texts = Vec::new();
        corpus.for_each(max_bytes, &mut |_, _| Ok(()), &mut |text| {
            texts.push(text.to_owned());
            Ok(())
        })?;
        Ok(texts)
    }

    fn within(folder: &tempfile::TempDir, name: &str) -> String {
        folder.path().join(name).display().to_string()
    }

    #[test]
    fn folders_are_read_sorted_and_hidden_files_left_out() {
        let folder = folder(&[
            ("b.txt", "b"),
            ("a/z.md", "z"),
            ("a/k.rs", "k"),
            (".git/config", "no"),
        ]);
        let texts = read(&[within(&folder, "")], None).expect("readable");
        assert_eq!(texts, ["k", "z", "b"]);
    }

    #[test]
    fn globs_keep_their_place_in_the_list() {
        let folder = folder(&[("x.txt", "x"), ("1.md", "one"), ("2.md", "two")]);
        let paths = [within(&folder, "x.txt"), within(&folder, "*.md")];
        assert_eq!(read(&paths, None).expect("readable"), ["x", "one", "two"]);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let folder = folder(&[("x.txt", "x")]);
        fs::create_dir(folder.path().join("empty")).expect("writable");
        for name in ["missing.txt", "*.nothing", "empty", "a[.txt"] {
            let error = read(&[within(&folder, name)], None).expect_err(name);
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn max_bytes_cuts_the_last_document_between_characters() {
        let folder = folder(&[("1.txt", "abc"), ("2.txt", "éé"), ("3.txt", "never")]);
        let texts = |max| read(&[within(&folder, "")], Some(max)).expect("readable");
        assert_eq!(texts(3), ["abc"]);
        assert_eq!(texts(4), ["abc"]);
        assert_eq!(texts(6), ["abc", "é"]);
        assert_eq!(texts(7), ["abc", "éé"]);
    }

    #[test]
    fn the_fingerprint_follows_the_files() {
        let folder = folder(&[("1.txt", "abc")]);
        let source = CorpusSource::new(&[within(&folder, "")], "text");
        let before = source.fingerprint().expect("readable");
        assert_eq!(before, source.fingerprint().expect("readable"));
        fs::write(folder.path().join("1.txt"), "abcd").expect("writable");
        assert_ne!(before, source.fingerprint().expect("readable"));
    }
}
