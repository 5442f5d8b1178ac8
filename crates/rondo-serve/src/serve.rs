//! The server. Its sockets run on their own thread, and the model runs on the caller's thread.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use crate::completer::Completer;
use crate::connections::accept;
use crate::limits::Limits;
use crate::routes::Front;
use crate::worker::{self, State};

/// How many requests for completions had each outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Answered requests. A request counts as answered even if only the first events were sent.
    pub answered: u64,
    /// Requests that were refused or failed. The client received an error.
    pub refused: u64,
    /// Requests that were cancelled because the client left.
    pub cancelled: u64,
    /// Requests counted in `refused` that were waiting or in progress when the server ended.
    pub dropped: u64,
}

/// Serves `completer` until `stopped` returns true. Then the request in progress has
/// [`Limits::grace`] to finish, waiting requests are refused, and all connections are closed.
///
/// # Errors
///
/// Where the system refuses the thread or the socket.
pub fn serve(
    completer: &dyn Completer,
    listener: TcpListener,
    limits: Limits,
    stopped: &(dyn Fn() -> bool + Sync),
) -> io::Result<Served> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    let state = Arc::new(State::default());
    let (jobs, waiting) = sync_channel(limits.queue.max(1));
    let front = Arc::new(Front {
        card: completer.card().clone(),
        limits,
        state: Arc::clone(&state),
        jobs,
        count: AtomicU64::new(0),
    });
    thread::scope(|scope| {
        let sockets = thread::Builder::new().name("http".to_owned());
        let sockets = sockets.spawn_scoped(scope, move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                accept(listener, front, stopped).await;
                Ok(())
            })
        })?;
        // This call returns when the other thread has dropped its sender.
        worker::run(completer, &waiting, &state);
        let panicked = |_| Err(io::Error::other("the thread of the sockets panicked"));
        sockets.join().unwrap_or_else(panicked)
    })?;
    let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    Ok(Served {
        answered: count(&state.answered),
        refused: count(&state.refused),
        cancelled: count(&state.cancelled),
        dropped: count(&state.dropped),
    })
}
