//! Requests to stop early.
//!
//! Work that can stop cleanly holds requests. While work holds them, the first request is only
//! recorded, and the work checks for it. The program must end at once after a second request, or
//! after a request that no work holds. The program itself handles its signals: it gives
//! [`listen_with`] the function that starts to listen to signals, and calls [`request`] for each
//! signal.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static LISTEN: OnceLock<fn() -> anyhow::Result<()>> = OnceLock::new();
static ASKED: AtomicBool = AtomicBool::new(false);
static HELD: AtomicBool = AtomicBool::new(false);

/// Sets the function that starts to listen to signals. [`held`] calls this function before its
/// work. Only the first call of `listen_with` has an effect.
pub fn listen_with(listen: fn() -> anyhow::Result<()>) {
    let _ = LISTEN.set(listen);
}

/// Requests a stop. Returns true for the first request if work holds requests. Otherwise the
/// program should end at once.
pub fn request() -> bool {
    !ASKED.swap(true, Ordering::SeqCst) && HELD.load(Ordering::SeqCst)
}

/// Holds the first request while `work` runs. `work` checks for it with [`asked`].
///
/// # Errors
///
/// When the program cannot listen to signals.
pub fn held<T>(work: impl FnOnce() -> T) -> anyhow::Result<T> {
    if let Some(listen) = LISTEN.get() {
        listen()?;
    }
    let was_held = HELD.swap(true, Ordering::SeqCst);
    let result = work();
    HELD.store(was_held, Ordering::SeqCst);
    Ok(result)
}

/// Holds the first request from now on. The caller must check for it with [`asked`].
pub fn hold() {
    HELD.store(true, Ordering::SeqCst);
}

/// Returns whether requests are held.
pub fn is_held() -> bool {
    HELD.load(Ordering::SeqCst)
}

/// Returns whether a stop was requested.
pub fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}
