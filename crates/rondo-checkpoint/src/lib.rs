//! Checkpoints on disk: directories written aside, hashed, committed by one rename and verified
//! before a byte of them is used.
//!
//! ```text
//! RUN/.lock                                  held while a process trains here
//! RUN/checkpoints/latest                     the name of the newest folder, for people and scripts
//! RUN/checkpoints/step-00000400/manifest.json     written last: size and BLAKE3 hash of the others
//! RUN/checkpoints/step-00000400/model.safetensors ...
//! RUN/checkpoints/.tmp-00000400/             being written, or being removed: never read
//! RUN/checkpoints/.old-00000400/             moved away while step 400 is saved again
//! RUN/checkpoints/left-00000400/             set aside: the run went on from an earlier step
//! ```
//!
//! A folder `step-*` is whole or it is refused. Whoever holds the [`RunLock`] may write; anyone may
//! read at any time. A reader never repairs, and a writer repairs before it writes.
//!
//! In reading order:
//!
//! * `layout`: names on disk; [`manifest`](Manifest): what a folder must contain
//! * [`save()`]: the write sequence; `repair`: what it undoes first; [`retention`](Retention): which old
//!   checkpoints go; [`back`](set_back()): which later ones are set aside
//! * [`open()`]: verification and fallback; [`survey()`]: what there is
//! * [`tensors`](TensorFile): named tensors as bytes; [`stream`](TensorStream) and
//!   [`stored`](StoredTensors): the same without holding them; `header`: what all three begin with;
//!   [`mismatch`](Mismatch): what differs between two models
//! * [`lock`](RunLock): one process for a run; [`atomic`](atomic_write): one file replaced; `disk`: every
//!   call that changes something, for tests to fail
//! * [`error`](CheckpointError): what can be wrong, by file
//!
//! Absences: no burn and no model (tensors are names, shapes and bytes), no configuration (its hash
//! is an opaque string), no clock, no log, no global state. The content of a file is the caller's.

mod atomic;
mod back;
mod disk;
mod error;
mod header;
mod layout;
mod lock;
mod manifest;
mod mismatch;
mod open;
mod repair;
mod retention;
mod save;
mod stored;
mod stream;
mod survey;
mod tensors;

#[cfg(test)]
mod tests;

pub use atomic::{atomic_save, atomic_write, is_leftover};
pub use back::set_back;
pub use error::{CheckpointError, TensorError};
pub use layout::{Entry, list};
pub use lock::RunLock;
pub use manifest::{FORMAT, FileRecord, Manifest};
pub use mismatch::{Mismatch, Misshaped, compare};
pub use open::{Checkpoint, Rejected, Which, open, open_newest_good};
pub use retention::Retention;
pub use save::{Content, Snapshot, save};
pub use stored::StoredTensors;
pub use stream::{Located, TensorStream, locate};
pub use survey::{State, Survey, Surveyed, survey};
pub use tensors::{DType, NamedTensor, TensorFile};
