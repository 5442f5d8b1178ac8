//! Whether work is to stop early. While a run or the preparation of a corpus holds requests, the first one asks for an end;
//! otherwise, and from the second one on, whoever makes the request ends the program. Signals are the program's own: it
//! says with [`listen_with`] how it begins to listen to them, and makes a request for each with [`request`].

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static LISTEN: OnceLock<fn() -> anyhow::Result<()>> = OnceLock::new();
static ASKED: AtomicBool = AtomicBool::new(false);
static HELD: AtomicBool = AtomicBool::new(false);

/// Sets what [`held`] calls first, so that a program listens to signals; the first call counts.
pub fn listen_with(listen: fn() -> anyhow::Result<()>) {
    let _ = LISTEN.set(listen);
}

/// Requests an end. Returns whether somebody holds the request and it is the first one; else the program should end at
/// once.
pub fn request() -> bool {
    !ASKED.swap(true, Ordering::SeqCst) && HELD.load(Ordering::SeqCst)
}

/// Holds the first request while `work` runs, which asks for it with [`asked`].
///
/// # Errors
///
/// Where the program cannot listen.
pub fn held<T>(work: impl FnOnce() -> T) -> anyhow::Result<T> {
    if let Some(listen) = LISTEN.get() {
        listen()?;
    }
    let was_held = HELD.swap(true, Ordering::SeqCst);
    let result = work();
    HELD.store(was_held, Ordering::SeqCst);
    Ok(result)
}

/// Holds the first request from now on; the caller asks for it with [`asked`].
pub fn hold() {
    HELD.store(true, Ordering::SeqCst);
}

/// Returns whether somebody holds requests.
pub fn is_held() -> bool {
    HELD.load(Ordering::SeqCst)
}

/// Returns whether an end was requested.
pub fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}
