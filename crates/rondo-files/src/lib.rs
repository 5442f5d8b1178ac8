//! Writes files that are either complete or absent, and reads and writes the safetensors format.
//!
//! ```text
//! DIR/.NAME.aside              a file that is being written; one rename replaces DIR/NAME by it
//! DIR/.NAME.PROCESS.partial/   a folder that is being written; one rename makes it DIR/NAME
//! DIR/.NAME.partial/           such a folder that a later process can resume
//! DIR/.NAME.PROCESS.replaced/  the former DIR/NAME, until it is removed
//! DIR/.lock                    held while a process writes in DIR
//! ```
//!
//! Content is synced to the device before it is renamed. A write returns after the rename is
//! synced. If a process is killed, the target has either its old or its new content, and the
//! unfinished file or folder may remain beside the target. The next write of a file removes its
//! `.aside`. A remaining folder must be removed by a person, because only the process number in its
//! name shows whether its process is still running.
//!
//! In reading order:
//!
//! * [`disk`](Disk): every call that changes something; [`faulty`]: a disk with a fault, for tests;
//!   [`error`](FileError): a call that the system refused
//! * [`content`](Content): the content of a file, as a stream
//! * [`staged_file`](StagedFile): replaces one file; [`staged_folder`](StagedFolder): writes one
//!   folder and moves it to its target; [`lock`](RunLock): allows one process per folder;
//!   [`capped`](read_capped): reads with a maximum size; [`space`](free_space): the free space of a
//!   disk; [`looked_in`]: the folder in which a relative path was looked for
//! * tensor files (safetensors): [`tensors`](TensorFile): in memory; [`stream`](TensorStream):
//!   elements are computed when they are written; [`stored`](StoredTensors): read one at a time;
//!   `header`: the start of the file; [`mismatch`](Mismatch): the difference of two sets of
//!   tensors; [`tensor_error`](TensorError): the errors of the format
//!
//! # Limits
//!
//! This crate does not depend on Burn: tensors are names, shapes and bytes. It does not know
//! configurations, or the layout of run directories and checkpoints. It computes no hashes, reads
//! no clock and writes no log. The caller decides what a file contains.

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
