//! SIGINT, SIGTERM and SIGHUP. While a run or the preparation of a corpus holds them, the first one asks for an end and the
//! second one ends the program at once; otherwise the first one ends it at once. For a run that a sweep has started, the end
//! of standard input counts as a first signal.

mod signals;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::error::INTERRUPTED;

static LISTENING: AtomicBool = AtomicBool::new(false);
static ASKED: AtomicBool = AtomicBool::new(false);
static HELD: AtomicBool = AtomicBool::new(false);

/// Starts to listen, once. Signals that were ignored when the program started stay ignored.
///
/// # Errors
///
/// Where the system refuses a handler.
pub(crate) fn listen() -> anyhow::Result<()> {
    if LISTENING.swap(true, Ordering::SeqCst) {
        return Ok(());
    }
    signals::on_each(|| {
        if ASKED.swap(true, Ordering::SeqCst) || !HELD.load(Ordering::SeqCst) {
            #[expect(
                clippy::exit,
                reason = "the second signal must not wait for the step to end, nor the first where nobody asks"
            )]
            std::process::exit(INTERRUPTED.into());
        }
    })?;
    Ok(())
}

/// Holds the first signal while `work` runs, which asks for it with [`asked`].
///
/// # Errors
///
/// As [`listen`].
pub(crate) fn held<T>(work: impl FnOnce() -> T) -> anyhow::Result<T> {
    listen()?;
    let was_held = HELD.swap(true, Ordering::SeqCst);
    let result = work();
    HELD.store(was_held, Ordering::SeqCst);
    Ok(result)
}

/// Holds the first signal from now on; the caller asks for it with [`asked`].
pub(crate) fn hold() {
    HELD.store(true, Ordering::SeqCst);
}

/// Asks the run to stop when standard input ends, because the process that started it has ended or wants it to.
///
/// # Errors
///
/// Where the system refuses a thread.
pub(crate) fn follow_stdin() -> anyhow::Result<()> {
    thread::Builder::new().spawn(|| {
        // The content does not matter, and an error is an end too.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        ASKED.store(true, Ordering::SeqCst);
    })?;
    Ok(())
}

/// Lets a write beyond the limit of a file's size fail as any other write can, where the system would end the
/// program: a quota costs no more than a full disk does.
#[cfg(unix)]
pub(crate) fn survive_file_limits() {
    use std::sync::Arc;
    // Where the system refuses, the limit ends the program as it would have.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}

/// Returns whether a signal has come.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}
