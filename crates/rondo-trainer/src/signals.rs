//! SIGINT, SIGTERM and SIGHUP as requests of [`rondo_train::interrupt`]. The first signal requests
//! the end of a run, and the second ends the program at once. If requests are not held, the first
//! signal ends the program at once. SIGUSR1, which launchers pass on and send before a time limit,
//! requests the end each time that it arrives. For a run that a sweep has started, the end of
//! standard input counts as a first signal.

mod handlers;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rondo_train::error::INTERRUPTED;
use rondo_train::interrupt;

use self::handlers::Asks;

static LISTENING: AtomicBool = AtomicBool::new(false);

/// Starts to listen for signals, once. Signals that were ignored when the program started stay
/// ignored.
///
/// # Errors
///
/// If the system refuses a handler.
pub(crate) fn listen() -> anyhow::Result<()> {
    if LISTENING.swap(true, Ordering::SeqCst) {
        return Ok(());
    }
    handlers::on_each(|asks| {
        let is_heeded = interrupt::request() || (asks == Asks::Again && interrupt::is_held());
        if !is_heeded {
            rondo_watch::give_back_terminal();
            #[expect(
                clippy::exit,
                reason = "the second signal must not wait for the step to end, nor the first where nobody asks"
            )]
            std::process::exit(INTERRUPTED.into());
        }
    })?;
    Ok(())
}

/// Requests the end of the run when standard input ends: the sweep that started the run has ended,
/// or stops the run.
///
/// # Errors
///
/// If the system refuses a thread.
pub(crate) fn follow_stdin() -> anyhow::Result<()> {
    thread::Builder::new().spawn(|| {
        // The content does not matter, and an error also ends the input.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        interrupt::request();
    })?;
    Ok(())
}

/// Makes a write beyond the file size limit fail with an error, like a write to a full disk. By
/// default, the system would end the program.
#[cfg(unix)]
pub(crate) fn survive_file_limits() {
    use std::sync::Arc;
    // If the system refuses the handler, the limit ends the program.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}
