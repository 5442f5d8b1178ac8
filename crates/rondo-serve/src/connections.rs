//! Accepts connections while the server runs, and closes them when the server ends.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::routes::Front;
use crate::stall::Stall;

/// How often the server checks whether it should end.
const LOOK: Duration = Duration::from_millis(50);

/// How long a connection may take to close after its last answer.
const GOODBYE: Duration = Duration::from_secs(2);

/// The maximum number of bytes in the head of a request.
const HEAD: usize = 64 << 10;

/// Accepts connections until `stopped` returns true. Then connections with a request in progress
/// may finish.
pub(crate) async fn accept(listener: TcpListener, front: Arc<Front>, stopped: &dyn Fn() -> bool) {
    let limits = front.limits;
    let slots = Arc::new(Semaphore::new(limits.connections));
    let (ending, is_ending) = watch::channel(false);
    let mut open = JoinSet::new();
    while !stopped() {
        while open.try_join_next().is_some() {}
        let Ok(Ok(slot)) = timeout(LOOK, Arc::clone(&slots).acquire_owned()).await else {
            continue;
        };
        match timeout(LOOK, listener.accept()).await {
            Err(_) => {}
            // An error means that too many files are open, or that the client left at once.
            Ok(Err(_)) => sleep(LOOK).await,
            Ok(Ok((socket, _))) => {
                let connection = serve(socket, Arc::clone(&front), is_ending.clone());
                open.spawn(async move {
                    connection.await;
                    drop(slot);
                });
            }
        }
    }
    drop(listener);
    front.state.end(limits.grace);
    let _ = ending.send(true);
    let all = async { while open.join_next().await.is_some() {} };
    // Connections that are still open after this time are closed, and their requests are dropped.
    let _ = timeout(limits.grace + GOODBYE, all).await;
    open.shutdown().await;
}

/// Answers the requests of a connection until the connection closes. When the server ends, only the
/// request in progress is still answered.
async fn serve(socket: TcpStream, front: Arc<Front>, mut is_ending: watch::Receiver<bool>) {
    // Sends answers without delay. If this option fails, answers only arrive later.
    let _ = socket.set_nodelay(true);
    let patience = front.limits.patience;
    let io = TokioIo::new(Stall::new(socket, patience));
    let answer = service_fn(|request| Arc::clone(&front).answer(request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(HEAD)
        .serve_connection(io, answer);
    let mut connection = pin!(connection);
    let mut ending = pin!(is_ending.wait_for(|ending| *ending));
    let mut was_told = false;
    let run = poll_fn(|context| {
        if !was_told && ending.as_mut().poll(context).is_ready() {
            was_told = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(context)
    });
    // An error of the connection affects only its own client.
    let _ = run.await;
}
