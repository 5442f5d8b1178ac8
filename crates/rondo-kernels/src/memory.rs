//! The allocator of a program that takes training steps.

#![allow(
    unsafe_code,
    reason = "an option of the allocator is set by its C interface"
)]

pub use mimalloc::MiMalloc as Allocator;

/// Number of the option `purge_delay` in mimalloc's `mi_option_t`, which its bindings leave out.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Has [`Allocator`] keep the pages that are freed.
///
/// A step frees and allocates the same tensors again and again, and a page that went back to the
/// system costs a fault and a wipe before it can be used again. The most memory that is held is
/// that of the largest step.
pub fn keep_pages() {
    // SAFETY: the call stores a number in a table of the allocator's own, atomically.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) }
}
