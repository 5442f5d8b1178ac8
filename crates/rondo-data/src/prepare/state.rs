//! The state of a preparation, stored with its files so that a later process can resume it.

use std::fs;
use std::path::{Path, PathBuf};

use rondo_files::atomic_write;
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::notices::Notices;

/// The subfolder for temporary files, which are not part of the finished folder.
const WORK: &str = "work";
const STATE_FILE: &str = "state.json";

/// The position of the next piece in the corpus.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct Position {
    /// The number of the file.
    pub(super) file: usize,
    /// The number of documents of the file that are encoded.
    pub(super) documents: u64,
    /// The number of pieces of the following document that are encoded.
    pub(super) pieces: u64,
    /// The number of bytes of text in the earlier files.
    pub(super) bytes_before: u64,
    /// Notices about the earlier files; at the end, about all files.
    pub(super) notices: Option<Notices>,
}

/// The finished work.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// The key of the corpus and the settings.
    key: String,
    /// Notices from listing the documents before the encoding; `None` if they were not listed.
    pub(super) surveyed: Option<Notices>,
    pub(super) position: Position,
    /// The number of entries in the ledger.
    pub(super) entries: u64,
    /// The number of tokens in the spool.
    pub(super) tokens: u64,
    /// The number of tokens of the current document, which are in the spool too.
    pub(super) tokens_of_document: u64,
    /// Whether everything is encoded.
    pub(super) encoded: bool,
}

impl State {
    /// Returns the state that an earlier process stored in a folder. If there is no state with this
    /// key, empties the folder and returns a new state.
    pub(super) fn of(folder: &Path, key: &str) -> Result<Self, DataError> {
        let path = work(folder).join(STATE_FILE);
        let kept = fs::read(&path)
            .ok()
            .and_then(|json| serde_json::from_slice::<Self>(&json).ok())
            .filter(|state| state.key == key);
        if let Some(state) = kept {
            return Ok(state);
        }
        for entry in fs::read_dir(folder).map_err(DataError::io("read", folder))? {
            let path = entry.map_err(DataError::io("read", folder))?.path();
            if path.is_dir() {
                fs::remove_dir_all(&path).map_err(DataError::io("remove", &path))?;
            } else if path
                .file_name()
                .is_none_or(|name| name != rondo_files::LOCK_FILE)
            {
                fs::remove_file(&path).map_err(DataError::io("remove", &path))?;
            }
        }
        let work = work(folder);
        fs::create_dir(&work).map_err(DataError::io("create", &work))?;
        Ok(Self {
            key: key.to_owned(),
            ..Self::default()
        })
    }

    /// Returns whether there is work that a later process could resume.
    pub(super) fn has_begun(&self) -> bool {
        self.encoded || self.tokens > 0
    }

    /// Writes the state. The files that it describes must have been synced before.
    pub(super) fn save(&self, folder: &Path) -> Result<(), DataError> {
        let path = work(folder).join(STATE_FILE);
        let json = serde_json::to_vec_pretty(self)
            .map_err(std::io::Error::from)
            .map_err(DataError::io("write", &path))?;
        Ok(atomic_write(&path, &json)?)
    }

    /// Uses the list of documents as the list of a survey, and restarts the encoding.
    pub(super) fn start_again(&mut self, folder: &Path, notices: Notices) -> Result<(), DataError> {
        let (from, to) = (ledger(folder), survey_ledger(folder));
        fs::rename(&from, &to).map_err(DataError::io("rename", &from))?;
        *self = Self {
            key: std::mem::take(&mut self.key),
            surveyed: Some(notices),
            ..Self::default()
        };
        self.save(folder)
    }
}

/// Returns the folder of the temporary files.
pub(super) fn work(folder: &Path) -> PathBuf {
    folder.join(WORK)
}

/// Returns the path of the list of encoded documents.
pub(super) fn ledger(folder: &Path) -> PathBuf {
    work(folder).join("documents")
}

/// Returns the path of the list of documents from a survey before the encoding.
pub(super) fn survey_ledger(folder: &Path) -> PathBuf {
    work(folder).join("survey")
}

/// Returns the path of the file with all tokens in reading order.
pub(super) fn spool(folder: &Path) -> PathBuf {
    work(folder).join("tokens")
}

/// Removes the temporary files.
pub(super) fn remove_work(folder: &Path) -> Result<(), DataError> {
    let work = work(folder);
    fs::remove_dir_all(&work).map_err(DataError::io("remove", &work))
}
