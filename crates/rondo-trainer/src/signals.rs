//! Turns signals into requests of [`rondo_train::interrupt`]. The first SIGINT, SIGTERM or SIGHUP
//! requests the end of a run, and the second ends the program at once. If no run is holding
//! requests, the first signal ends the program too. Launchers send SIGUSR1 before a time limit and
//! pass it on to all ranks; each SIGUSR1 requests the end. In a run that a sweep has started, the
//! end of standard input counts as a first signal.

mod handlers;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rondo_train::error::INTERRUPTED;
use rondo_train::interrupt;

use self::handlers::Asks;

static LISTENING: AtomicBool = AtomicBool::new(false);

/// Starts to listen for signals; further calls do nothing. Signals that were ignored when the
/// program started stay ignored.
///
/// # Errors
///
/// Returns an error if the system refuses a handler.
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

/// Requests the end of the run when standard input ends. It ends when the sweep that started the
/// run stops the run, or when the sweep itself ends.
///
/// # Errors
///
/// Returns an error if the system refuses a thread.
pub(crate) fn follow_stdin() -> anyhow::Result<()> {
    thread::Builder::new().spawn(|| {
        // The content of the input is irrelevant, and an error also ends the input.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        interrupt::request();
    })?;
    Ok(())
}

/// Makes a write beyond the file size limit return an error, like a write to a full disk. By
/// default, the system would end the program.
#[cfg(unix)]
pub(crate) fn survive_file_limits() {
    use std::sync::Arc;
    // If the system refuses the handler, the limit still ends the program.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}
