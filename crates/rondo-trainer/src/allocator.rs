//! The program's memory allocator: mimalloc. If the system refuses memory, the program prints one
//! line and exits with code 6 instead of aborting.

#![expect(
    unsafe_code,
    reason = "an allocator is an unsafe interface; each call is passed on as it came"
)]

use std::alloc::{GlobalAlloc, Layout};
use std::fmt::Write as _;

use rondo_kernels::memory::Allocator as Kept;
use rondo_train::error::DEVICE;

/// Passes every call to mimalloc, and ends the program if an allocation fails.
///
/// The program ends even if the calling library could handle the failed allocation. A clear message
/// is more useful than such handling, because no part of this program can continue with less
/// memory.
pub(crate) struct Allocator;

// SAFETY: every call is passed on with the caller's arguments, so the caller's guarantees hold for
// the inner allocator too. This allocator never returns a null pointer, which the trait allows.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's guarantees hold for the inner allocator.
        had(unsafe { Kept.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's guarantees hold for the inner allocator.
        had(unsafe { Kept.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's guarantees hold for the inner allocator.
        had(unsafe { Kept.realloc(old, layout, size) }, size)
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: the caller's guarantees hold for the inner allocator.
        unsafe { Kept.dealloc(old, layout) }
    }
}

/// Returns `memory`, or ends the program if it is null.
fn had(memory: *mut u8, size: usize) -> *mut u8 {
    if memory.is_null() {
        end(size);
    }
    memory
}

/// Prints that an allocation of `size` bytes was refused, and ends the program.
#[cold]
fn end(size: usize) -> ! {
    let mut line = Line::default();
    // The buffer cuts off a message that is too long for it.
    let _ = writeln!(
        line,
        "error: not enough memory: the system refused {size} more bytes; what was saved is whole; a smaller \
         train.batch or eval.batch, or model.recurrence.recompute = \"iteration\", needs less"
    );
    line.print();
    leave()
}

/// A line of text on the stack, because no more memory can be allocated.
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
    /// Writes the line to standard error without taking the lock, because the thread that allocates
    /// may hold it.
    fn print(&self) {
        // SAFETY: the pointer and the length both come from the array `bytes`.
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

/// Ends the process without running exit handlers, which may allocate.
#[cfg(unix)]
fn leave() -> ! {
    // SAFETY: the call only takes a number, and it does not return.
    unsafe { libc::_exit(DEVICE.into()) }
}

/// Ends the process.
#[cfg(not(unix))]
#[expect(clippy::exit, reason = "nothing can go on without memory")]
fn leave() -> ! {
    std::process::exit(DEVICE.into())
}
