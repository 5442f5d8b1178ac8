//! Files that are whole or absent, and the safetensors format.
//!
//! ```text
//! DIR/.NAME.aside              a file being written: replaces DIR/NAME by one rename
//! DIR/.NAME.PROCESS.partial/   a folder being written: becomes DIR/NAME by one rename
//! DIR/.NAME.partial/           likewise, but a later process can resume it
//! DIR/.NAME.PROCESS.replaced/  the former DIR/NAME, until it is removed
//! DIR/.lock                    held while a process writes in DIR
//! ```
//!
//! Content is synced to the device before it is renamed, and a write returns after the rename is
//! synced. A killed process leaves the old content or the new, and beside it what it was writing.
//! The next write of a file removes its `.aside`; a leftover folder is for a person to remove,
//! because only the process number in its name tells whether its process lives.
//!
//! In reading order:
//!
//! * [`disk`](Disk): every call that changes something; [`faulty`]: the same with a fault, for tests;
//!   [`error`](FileError): a call that the system refused
//! * [`content`](Content): what a file contains, as a stream
//! * [`staged_file`](StagedFile): one file replaced; [`staged_folder`](StagedFolder): one folder put in its place;
//!   [`lock`](RunLock): one process for a folder; [`capped`](read_capped): reads that end; [`space`](free_space): what a disk
//!   still takes; [`looked_in`]: where a relative path was looked for
//! * tensor files (safetensors): [`tensors`](TensorFile) in memory, [`stream`](TensorStream) made while they are
//!   written, [`stored`](StoredTensors) read one at a time; `header`: what all three begin with;
//!   [`mismatch`](Mismatch): what differs between two sets; [`tensor_error`](TensorError): what can be wrong
//!
//! Absences: no burn (tensors are names, shapes and bytes), no configuration and no layout of a run or a
//! checkpoint, no hash, no clock, no log. What is in a file is the caller's.

mod capped;
mod content;
mod disk;
mod error;
pub mod faulty;
mod header;
mod lock;
mod looked_in;
mod mismatch;
mod space;
mod staged_file;
mod staged_folder;
mod stored;
mod stream;
mod tensor_error;
mod tensors;

#[cfg(test)]
mod tests;

pub use capped::{MAX_TEXT_BYTES, read_capped, read_text};
pub use content::Content;
pub use disk::{Disk, FileSystem, if_there};
pub use error::{FileError, at};
pub use header::{Located, locate};
pub use lock::{LOCK_FILE, LockError, RunLock};
pub use looked_in::looked_in;
pub use mismatch::{Mismatch, Misshaped, compare};
pub use safetensors::Dtype as DType;
pub use space::free_space;
pub use staged_file::{StagedFile, atomic_save, atomic_write, is_leftover, replace, write_new};
pub use staged_folder::StagedFolder;
pub use stored::StoredTensors;
pub use stream::TensorStream;
pub use tensor_error::TensorError;
pub use tensors::{NamedTensor, TensorFile};
