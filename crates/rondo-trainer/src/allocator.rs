//! The program's allocator: mimalloc, and where the system refuses memory one line and exit code 6 instead of an abort.

#![expect(
    unsafe_code,
    reason = "an allocator is an unsafe interface; each call is passed on as it came"
)]

use std::alloc::{GlobalAlloc, Layout};
use std::fmt::Write as _;

use rondo_kernels::memory::Allocator as Kept;
use rondo_train::error::DEVICE;

/// Passes every call on, and ends the program where no memory comes back.
///
/// A library that would have gone on without the memory cannot: the line is worth more than that, since nothing here
/// has a smaller plan to fall back to.
pub(crate) struct Allocator;

// SAFETY: every call is passed on with the caller's arguments, so the caller's guarantees are those of the inner
// allocator; a null pointer is never returned, which the trait allows.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller guarantees.
        had(unsafe { Kept.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller guarantees.
        had(unsafe { Kept.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller guarantees.
        had(unsafe { Kept.realloc(old, layout, size) }, size)
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: as the caller guarantees.
        unsafe { Kept.dealloc(old, layout) }
    }
}

/// Returns `memory` unless it is null.
fn had(memory: *mut u8, size: usize) -> *mut u8 {
    if memory.is_null() {
        end(size);
    }
    memory
}

/// Ends the program after an allocation of `size` bytes was refused.
#[cold]
fn end(size: usize) -> ! {
    let mut line = Line::default();
    // A line that does not fit is cut.
    let _ = writeln!(
        line,
        "error: not enough memory: the system refused {size} more bytes; what was saved is whole; a smaller \
         train.batch or eval.batch, or model.recurrence.recompute = \"iteration\", needs less"
    );
    line.print();
    leave()
}

/// Text on the stack: nothing can be allocated any more.
struct Line {
    bytes: [u8; 320],
    length: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            bytes: [0; 320],
            length: 0,
        }
    }
}

impl std::fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let free = &mut self.bytes[self.length..];
        let count = free.len().min(text.len());
        free[..count].copy_from_slice(&text.as_bytes()[..count]);
        self.length += count;
        Ok(())
    }
}

#[cfg(unix)]
impl Line {
    /// Writes the line to standard error, without the lock that the allocating thread may hold.
    fn print(&self) {
        // SAFETY: the pointer and the length are those of one array.
        unsafe {
            libc::write(libc::STDERR_FILENO, self.bytes.as_ptr().cast(), self.length);
        }
    }
}

#[cfg(not(unix))]
impl Line {
    /// Writes the line to standard error.
    fn print(&self) {
        use std::io::Write as _;
        let _ = std::io::stderr().write_all(&self.bytes[..self.length]);
    }
}

/// Ends the process without what a library does at an end, which may allocate.
#[cfg(unix)]
fn leave() -> ! {
    // SAFETY: the call takes a number and does not return.
    unsafe { libc::_exit(DEVICE.into()) }
}

/// Ends the process.
#[cfg(not(unix))]
#[expect(clippy::exit, reason = "nothing can go on without memory")]
fn leave() -> ! {
    std::process::exit(DEVICE.into())
}
