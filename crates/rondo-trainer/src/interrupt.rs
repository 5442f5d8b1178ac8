//! SIGINT and SIGTERM: while somebody holds them, a run until its step ends or the preparing of a corpus, the first
//! asks for an end and the second leaves at once; otherwise the first leaves at once. For a run that a sweep has started, the
//! end of standard input is as good as a first signal.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::error::INTERRUPTED;

static LISTENING: AtomicBool = AtomicBool::new(false);
static ASKED: AtomicBool = AtomicBool::new(false);
static HELD: AtomicBool = AtomicBool::new(false);

/// Starts to listen, once.
///
/// # Errors
///
/// Where the system refuses a handler.
pub(crate) fn listen() -> anyhow::Result<()> {
    if LISTENING.swap(true, Ordering::SeqCst) {
        return Ok(());
    }
    ctrlc::set_handler(|| {
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

/// Holds the first signal from now on: whoever says so asks for it with [`asked`].
pub(crate) fn hold() {
    HELD.store(true, Ordering::SeqCst);
}

/// Asks the run to stop when standard input ends: whoever started it has gone away, or wants it to.
///
/// # Errors
///
/// Where the system refuses a thread.
pub(crate) fn follow_stdin() -> anyhow::Result<()> {
    thread::Builder::new().spawn(|| {
        // Whatever is read says nothing; an error is an end.
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
