//! Requests to stop early.
//!
//! Work that can stop cleanly holds requests. The first request is then only recorded, and the work
//! checks for it. A second request, or one that no work holds, must end the program at once. The
//! program handles its signals itself: [`listen_with`] sets how it starts to listen, and it calls
//! [`request`] for each signal.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static LISTEN: OnceLock<fn() -> anyhow::Result<()>> = OnceLock::new();
static ASKED: AtomicBool = AtomicBool::new(false);
static HELD: AtomicBool = AtomicBool::new(false);

/// Sets the function that [`held`] calls first, to start listening to signals. Only the first call
/// has an effect.
pub fn listen_with(listen: fn() -> anyhow::Result<()>) {
    let _ = LISTEN.set(listen);
}

/// Requests a stop. Returns whether work holds the request and it is the first one; otherwise the
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

/// Holds the first request from now on. The caller checks for it with [`asked`].
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
