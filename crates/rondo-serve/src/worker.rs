//! Answers one request after another, on the thread that runs the model.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc::UnboundedSender;

use crate::answer::{Choice, Completion};
use crate::completer::Completer;
use crate::error::ApiError;
use crate::request::{Delivery, Request};
use crate::work::complete;

/// A request for the model. The client has left if the receiver of `replies` is gone.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) number: u64,
    pub(crate) request: Request,
    /// The channel for the answer. It is unbounded, so that a client that reads slowly does not
    /// delay the model. The size of an answer is limited elsewhere.
    pub(crate) replies: UnboundedSender<Reply>,
}

/// A reply to a request.
#[derive(Debug)]
pub(crate) enum Reply {
    /// A piece of an answer that is sent as events.
    Piece(Completion),
    /// The whole answer or, for events, the end of the stream.
    Done(Completion),
    /// The request failed. No further reply follows.
    Failed(ApiError),
}

/// The state that the model's thread and the sockets' thread share.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Requests that wait for the model.
    pub(crate) waiting: AtomicUsize,
    /// Whether the model is working on a request.
    pub(crate) is_busy: AtomicBool,
    pub(crate) answered: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) cancelled: AtomicU64,
    /// Requests counted in `refused` that were waiting or in progress when the server ended.
    pub(crate) dropped: AtomicU64,
    /// When the server began to end, and how long the request in progress may still take.
    ending: OnceLock<(Instant, Duration)>,
}

impl State {
    /// Starts to end the server: all further requests are refused.
    pub(crate) fn end(&self, grace: Duration) {
        let _ = self.ending.set((Instant::now(), grace));
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending.get().is_some()
    }

    fn is_over(&self) -> bool {
        let ending = self.ending.get();
        ending.is_some_and(|(since, grace)| since.elapsed() >= *grace)
    }
}

/// Answers jobs until all senders are gone. If the model panics, its request receives an error and
/// the server continues.
pub(crate) fn run(completer: &dyn Completer, jobs: &Receiver<Job>, state: &State) {
    while let Ok(job) = jobs.recv() {
        state.waiting.fetch_sub(1, Ordering::SeqCst);
        if state.is_ending() {
            state.dropped.fetch_add(1, Ordering::SeqCst);
            let _ = job.replies.send(Reply::Failed(ApiError::ending()));
            continue;
        }
        state.is_busy.store(true, Ordering::SeqCst);
        let answered = catch_unwind(AssertUnwindSafe(|| answer(completer, &job, state)));
        state.is_busy.store(false, Ordering::SeqCst);
        let reply = match answered {
            Ok(Ok(completion)) => Reply::Done(completion),
            Ok(Err(error)) => Reply::Failed(error),
            Err(panic) => Reply::Failed(ApiError::failed(format!(
                "a defect of the server, not of the request: {}",
                message(panic.as_ref())
            ))),
        };
        let is_dropped = state.is_over() && matches!(reply, Reply::Failed(_));
        if job.replies.send(reply).is_err() {
            state.cancelled.fetch_add(1, Ordering::SeqCst);
        } else if is_dropped {
            state.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Returns the whole answer or, for events, the end of the stream.
fn answer(completer: &dyn Completer, job: &Job, state: &State) -> Result<Completion, ApiError> {
    let card = completer.card();
    let go_on = || match job.replies.is_closed() || state.is_over() {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    if go_on().is_break() {
        return Err(ApiError::ending());
    }
    let created = now();
    let completion = |choices| Completion {
        id: format!("cmpl-{}", job.number),
        object: "text_completion",
        created,
        model: card.name.clone(),
        recurrence: job.request.recurrence,
        choices,
        usage: None,
    };
    match job.request.delivery {
        Delivery::Whole => {
            let mut choices: Vec<Choice> = Vec::new();
            let usage = complete(completer, &job.request, &go_on, &mut |piece| match choices
                .last_mut()
            {
                Some(last) if last.index == piece.index => last.extend(piece),
                _ => choices.push(piece),
            })?;
            Ok(Completion {
                usage: Some(usage),
                ..completion(choices)
            })
        }
        Delivery::Events { with_usage } => {
            let usage = complete(completer, &job.request, &go_on, &mut |piece| {
                let _ = job.replies.send(Reply::Piece(completion(vec![piece])));
            })?;
            Ok(Completion {
                usage: with_usage.then_some(usage),
                ..completion(Vec::new())
            })
        }
    }
}

/// Returns the seconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let owned = || panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(owned).unwrap_or("nothing is known of it")
}
