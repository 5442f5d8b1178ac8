//! SIGINT and SIGTERM: the first asks the run to stop after its step, the second leaves at once.

use std::sync::atomic::{AtomicBool, Ordering};

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

/// Returns whether a signal has come.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}
