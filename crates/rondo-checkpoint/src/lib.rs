//! Checkpoints on disk: directories written aside, hashed, committed by one rename and verified
//! before a byte of them is used.
//!
//! ```text
//! RUN/checkpoints/latest                     the name of the newest folder, for people and scripts
//! RUN/checkpoints/step-00000400/manifest.json     written last: size and BLAKE3 hash of the others
//! RUN/checkpoints/step-00000400/model.safetensors ...
//! RUN/checkpoints/.tmp-00000400/             being written, or being removed: never read
//! RUN/checkpoints/.old-00000400/             moved away while step 400 is saved again
//! RUN/checkpoints/left-00000400/             set aside: the run went on from an earlier step
//! ```
//!
//! A folder `step-*` is whole or it is refused. Whoever holds the [`RunLock`](rondo_files::RunLock) may
//! write; anyone may read at any time. A reader never repairs, and a writer repairs before it writes.
//!
//! In reading order:
//!
//! * `layout`: names on disk; [`manifest`](Manifest): what a folder must contain
//! * [`save()`]: the write sequence; `repair`: what it undoes first; [`retention`](Retention): which old
//!   checkpoints go; [`back`](set_back()): which later ones are set aside
//! * [`open()`]: verification and fallback; [`survey()`]: what there is
//! * [`error`](CheckpointError): what can be wrong, by file
//!
//! Absences: no burn, no model and no tensor, no configuration (its hash is an opaque string), no clock,
//! no log, no global state. The content of a file is the caller's; how one is written is in `rondo_files`.

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
