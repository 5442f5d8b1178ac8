//! SIGINT and SIGTERM: the first asks the run to stop after its step, the second leaves at once. For a
//! run that a sweep has started, the end of standard input is as good as the first.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Exit code of a run that can be resumed.
const INTERRUPTED: i32 = 75;

static ASKED: AtomicBool = AtomicBool::new(false);

/// Starts to listen.
///
/// # Errors
///
/// Where the system refuses a handler.
pub(crate) fn listen() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::SeqCst) {
            #[expect(
                clippy::exit,
                reason = "the second signal must not wait for the step to end"
            )]
            std::process::exit(INTERRUPTED);
        }
    })?;
    Ok(())
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

/// Returns whether a signal has come.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}
