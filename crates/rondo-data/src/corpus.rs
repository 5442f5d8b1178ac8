//! A corpus as a fixed list of files, made from paths, globs or the pinned dependencies.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::UNIX_EPOCH;

use crate::dependencies;
use crate::documents::{self, Reading, Stop, Then};
use crate::error::DataError;
use crate::hub::HubFiles;
use crate::notices::Notices;
use crate::prepare::Tell;
use crate::resolve;

/// Where a corpus comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorpusSource {
    /// The Rust sources and Markdown of the pinned dependencies, see [`dependencies`].
    Dependencies,
    /// Files, folders and globs.
    Paths {
        /// The paths, in reading order. The files of a folder are sorted, and hidden files are left
        /// out.
        paths: Vec<String>,
        /// Key or column of the document's text in files of records.
        field: String,
        /// Whether lines that are not documents are skipped.
        skip_bad_lines: bool,
    },
}

impl CorpusSource {
    /// Returns the source that `paths` name: the dependencies if there are no paths.
    pub fn new(paths: &[String], field: &str) -> Self {
        if paths.is_empty() {
            Self::Dependencies
        } else {
            Self::Paths {
                paths: paths.to_vec(),
                field: field.to_owned(),
                skip_bad_lines: false,
            }
        }
    }

    /// Returns a source with files of the Hub. Files that are not in the cache are downloaded.
    ///
    /// # Errors
    ///
    /// If this build has no Hub client, or if a file is neither in the cache nor can be downloaded;
    /// [`DataError::Interrupted`] if `progress` stops the download.
    pub fn of_hub(files: &HubFiles, field: &str, progress: Tell<'_>) -> Result<Self, DataError> {
        Ok(Self::new(&files.paths(progress)?, field))
    }

    /// Sets whether lines that are not documents are skipped.
    #[must_use]
    pub fn skipping_bad_lines(mut self, skip: bool) -> Self {
        if let Self::Paths { skip_bad_lines, .. } = &mut self {
            *skip_bad_lines = skip;
        }
        self
    }

    /// Returns one line per crate or file of the corpus, without reading any text: name and
    /// version, or path, size and time of modification. A line changes when its crate or file
    /// changes.
    pub(crate) fn fingerprint(&self) -> Result<Vec<String>, DataError> {
        match self {
            Self::Dependencies => dependencies::fingerprint(),
            Self::Paths { paths, .. } => resolve::files(paths, &mut Notices::default())?
                .iter()
                .map(|path| file_fingerprint(path))
                .collect(),
        }
    }
}

/// The files of a corpus, in the order in which their documents are read.
pub(crate) struct Corpus {
    files: Vec<PathBuf>,
    reading: Reading,
    /// Notices about files that were skipped when the files were listed.
    passed_over: Notices,
}

/// A document as it is read, or a part of a long one.
#[derive(Clone, Copy)]
pub(crate) struct Document<'a> {
    /// The index of the file that holds the document.
    pub(crate) file: usize,
    pub(crate) text: &'a str,
    /// What follows the text. [`Then::IsCut`] means that the document continues, but that no more
    /// bytes may be read.
    pub(crate) then: Then,
    /// The number of bytes on disk that were read so far, over all files.
    pub(crate) read: u64,
    /// Notices about everything before this file.
    pub(crate) notices: &'a Notices,
}

/// Where reading begins and ends.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    /// The first file that is read.
    pub(crate) from_file: usize,
    /// The maximum number of bytes of text that are read.
    pub(crate) bytes: u64,
    /// Notices about everything before the first file of the span; `None` if that file is the first
    /// of the corpus.
    pub(crate) notices: Option<Notices>,
}

impl Span {
    /// Returns the span of the whole corpus, or of its first `max_bytes` bytes.
    pub(crate) fn all(max_bytes: Option<u64>) -> Self {
        Self {
            from_file: 0,
            bytes: max_bytes.unwrap_or(u64::MAX),
            notices: None,
        }
    }
}

/// How the reading of a corpus ended.
pub(crate) struct Ended {
    /// Whether reading ended because no more bytes may be read.
    pub(crate) full: bool,
    pub(crate) notices: Notices,
}

impl Corpus {
    pub(crate) fn open(source: &CorpusSource) -> Result<Self, DataError> {
        let mut passed_over = Notices::default();
        let (files, reading) = match source {
            CorpusSource::Dependencies => (dependencies::files()?, Reading::default()),
            CorpusSource::Paths {
                paths,
                field,
                skip_bad_lines,
            } => {
                let reading = Reading {
                    field: field.clone(),
                    skip_bad_lines: *skip_bad_lines,
                };
                (resolve::files(paths, &mut passed_over)?, reading)
            }
        };
        Ok(Self {
            files,
            reading,
            passed_over,
        })
    }

    pub(crate) fn file_count(&self) -> usize {
        self.files.len()
    }

    /// Returns the error that a file has changed since the last reading.
    pub(crate) fn changed(&self, file: usize) -> DataError {
        DataError::Document {
            path: self.files.get(file).cloned().unwrap_or_default(),
            message:
                "changed while the corpus was being read; prepare a copy that no program writes to"
                    .to_owned(),
        }
    }

    /// Returns the size of all files on disk, in bytes.
    pub(crate) fn size(&self) -> Result<u64, DataError> {
        self.files.iter().map(size).sum()
    }

    /// Returns whether the corpus is one file that is read as one plain text.
    pub(crate) fn is_one_text(&self) -> bool {
        matches!(self.files.as_slice(), [file] if documents::is_plain(file, &self.reading))
    }

    /// Passes every document of a span to `each`; the last one is cut if no more bytes may be read.
    ///
    /// # Errors
    ///
    /// The errors of reading, and the errors of `each`.
    pub(crate) fn for_each(
        &self,
        span: &Span,
        each: &mut dyn FnMut(Document<'_>) -> Result<Stop, DataError>,
    ) -> Result<Ended, DataError> {
        let mut left = span.bytes;
        let mut before = self.files[..span.from_file]
            .iter()
            .map(size)
            .sum::<Result<u64, DataError>>()?;
        let mut notices = span.notices.as_ref().unwrap_or(&self.passed_over).clone();
        let mut full = false;
        for (file, path) in self.files.iter().enumerate().skip(span.from_file) {
            let size = size(path)?;
            let at_start = notices.clone();
            let read = Rc::new(Cell::new(0));
            // Whether the current document has begun and not ended.
            let mut open = false;
            let stop = documents::for_each(
                path,
                &self.reading,
                left,
                &mut notices,
                &read,
                &mut |text, then| {
                    let end = text.floor_char_boundary(usize::try_from(left).unwrap_or(usize::MAX));
                    let then = match end < text.len() {
                        true => Then::IsCut,
                        false => then,
                    };
                    let mut stop = Stop::No;
                    if end > 0 || open {
                        stop = each(Document {
                            file,
                            text: &text[..end],
                            then,
                            read: before + read.get().min(size),
                            notices: &at_start,
                        })?;
                    }
                    open = then == Then::GoesOn;
                    left -= end as u64;
                    // Up to three bytes may be left over, if the next character does not fit.
                    full = then == Then::IsCut || (left == 0 && !open);
                    Ok(if full { Stop::Here } else { stop })
                },
            )?;
            before += size;
            if stop == Stop::Here {
                break;
            }
        }
        Ok(Ended { full, notices })
    }
}

fn size(path: &PathBuf) -> Result<u64, DataError> {
    let about = fs::metadata(path).map_err(DataError::io("read", path))?;
    Ok(about.len())
}

fn file_fingerprint(path: &Path) -> Result<String, DataError> {
    let absolute = path.canonicalize().map_err(DataError::io("read", path))?;
    let metadata = fs::metadata(path).map_err(DataError::io("read", path))?;
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
        corpus.for_each(&Span::all(max_bytes), &mut |document| {
            texts.push(document.text.to_owned());
            Ok(Stop::No)
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
