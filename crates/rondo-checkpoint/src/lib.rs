//! Checkpoints on disk. A checkpoint is written to a staged folder, with a hash of every file, and
//! committed by one rename. Every byte is verified before it is used.
//!
//! ```text
//! RUN/checkpoints/latest                     the name of the newest folder, for people and scripts
//! RUN/checkpoints/step-00000400/manifest.json     written last: size and hash of the other files
//! RUN/checkpoints/step-00000400/model.safetensors ...
//! RUN/checkpoints/.tmp-00000400/             being written, or being removed: never read
//! RUN/checkpoints/.old-00000400/             moved away while step 400 is saved again
//! RUN/checkpoints/left-00000400/             set aside: the run resumed from an earlier step
//! ```
//!
//! A folder `step-*` is whole, or readers refuse it. Only the holder of the
//! [`RunLock`](rondo_files::RunLock) may write; anyone may read at any time. A reader never
//! repairs. A writer repairs before it writes.
//!
//! In reading order:
//!
//! * `layout`: names on disk; [`manifest`](Manifest): what a folder must contain
//! * [`save()`]: how a checkpoint is written; `repair`: undoes what an interrupted save left;
//!   [`retention`](Retention): which old checkpoints are removed; [`back`](set_back()): which later
//!   checkpoints are set aside
//! * [`open()`]: verifies a checkpoint or chooses an older one; [`survey()`]: lists the checkpoints
//!   of a run and their states
//! * [`error`](CheckpointError): what can be wrong with which file
//!
//! # Limits
//!
//! The crate uses no Burn, model, tensor, clock or log, and has no global state. A configuration is
//! only a hash, which this crate does not interpret. The caller provides the content of the files.
//! `rondo_files` writes single files.

mod back;
mod error;
mod layout;
mod manifest;
mod open;
mod repair;
mod retention;
mod save;
mod survey;

#[cfg(test)]
mod tests;

pub use back::set_back;
pub use error::{CheckpointError, Rejected};
pub use layout::{Entry, list};
pub use manifest::{FORMAT, FileRecord, Manifest};
pub use open::{Checkpoint, Which, open, open_newest_good};
pub use retention::Retention;
pub use save::{Snapshot, save};
pub use survey::{State, Survey, Surveyed, survey};
