//! Handles the system's signals that request the end of a run. A signal that was ignored when the
//! program started stays ignored, as `nohup` and the shell command `trap '' INT` require.

use std::io;

/// What happens when the signal arrives for the second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// The program ends at once.
    AtOnce,
    /// The end is requested again.
    #[cfg_attr(not(unix), expect(dead_code, reason = "SIGUSR1 is a signal of Unix"))]
    Again,
}

/// Calls `act` on a separate thread for each SIGINT, SIGTERM, SIGHUP or SIGUSR1 that is not
/// ignored.
///
/// # Errors
///
/// Returns an error if the system refuses a handler or the thread.
#[cfg(unix)]
pub(super) fn on_each(act: fn(Asks)) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
    use signal_hook::iterator::Signals;

    let handled: Vec<i32> = [SIGINT, SIGTERM, SIGHUP, SIGUSR1]
        .into_iter()
        .filter(|signal| !is_ignored(*signal))
        .collect();
    let mut signals = Signals::new(handled)?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                act(match signal {
                    SIGUSR1 => Asks::Again,
                    _ => Asks::AtOnce,
                });
            }
        })?;
    Ok(())
}

/// Calls `act` on a separate thread for each Ctrl-C and at the end of the session.
///
/// # Errors
///
/// Returns an error if the system refuses a handler.
#[cfg(not(unix))]
pub(super) fn on_each(act: fn(Asks)) -> io::Result<()> {
    ctrlc::set_handler(move || act(Asks::AtOnce)).map_err(io::Error::other)
}

/// Whether `signal` was ignored when the program started.
#[cfg(unix)]
#[expect(
    unsafe_code,
    reason = "no safe interface of the system tells how a signal is handled"
)]
fn is_ignored(signal: i32) -> bool {
    let mut current = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: the new action is null, so the call only writes the current action to `current`. That
    // action is read only if the call succeeded.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), current.as_mut_ptr()) == 0
            && current.assume_init().sa_sigaction == libc::SIG_IGN
    }
}
