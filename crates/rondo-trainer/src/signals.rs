//! SIGINT, SIGTERM and SIGHUP, each a request of [`rondo_train::interrupt`]: the first one asks a run for an end and the
//! second one ends the program at once; where nobody holds requests the first one ends it at once. SIGUSR1, which launchers
//! pass on and send before a time limit, asks for an end however often it comes. For a run that a sweep has started, the end of
//! standard input counts as a first signal.

mod handlers;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rondo_train::error::INTERRUPTED;
use rondo_train::interrupt;

use self::handlers::Asks;

static LISTENING: AtomicBool = AtomicBool::new(false);

/// Starts to listen, once. Signals that were ignored when the program started stay ignored.
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

/// Asks the run to stop when standard input ends, because the process that started it has ended or wants it to.
///
/// # Errors
///
/// If the system refuses a thread.
pub(crate) fn follow_stdin() -> anyhow::Result<()> {
    thread::Builder::new().spawn(|| {
        // The content does not matter, and an error is an end too.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        interrupt::request();
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
