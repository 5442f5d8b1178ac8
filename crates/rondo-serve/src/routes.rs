//! The paths and methods that the server answers.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};

use hyper::body::{Body, Incoming};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, EXPECT, HeaderMap, RETRY_AFTER,
};
use hyper::{Method, Response, StatusCode};
use serde_json::json;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::timeout;

use crate::answer::Models;
use crate::body::AnswerBody;
use crate::completer::Card;
use crate::error::ApiError;
use crate::limits::Limits;
use crate::request::{Delivery, Request};
use crate::worker::{Job, Reply, State};

/// If a body is too large, the server still reads and drops up to this many times the allowed size.
/// The client then receives the error message instead of a reset connection.
const DROPPED: usize = 16;

/// The state that connections need to answer requests.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) card: Card,
    pub(crate) limits: Limits,
    pub(crate) state: Arc<State>,
    pub(crate) jobs: SyncSender<Job>,
    /// The number of requests for completions so far.
    pub(crate) count: AtomicU64,
}

impl Front {
    /// Answers one request.
    pub(crate) async fn answer(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
    ) -> Result<Response<AnswerBody>, Infallible> {
        let is_completion = request.uri().path() == "/v1/completions";
        let answered = self.routed(request).await;
        let counter = match &answered {
            Ok(_) => &self.state.answered,
            Err(_) => &self.state.refused,
        };
        if is_completion {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        Ok(answered.unwrap_or_else(|error| refusal(&error)))
    }

    async fn routed(
        &self,
        request: hyper::Request<Incoming>,
    ) -> Result<Response<AnswerBody>, ApiError> {
        let allowed = match request.uri().path() {
            "/v1/completions" => Method::POST,
            "/v1/models" | "/health" => Method::GET,
            path => {
                let shown: String = path.chars().take(80).collect();
                return Err(ApiError::of(
                    StatusCode::NOT_FOUND,
                    format!(
                        "{shown} is not served; there are POST /v1/completions, GET /v1/models and GET /health"
                    ),
                ));
            }
        };
        if request.method() != allowed {
            let allow = match allowed {
                Method::POST => "POST",
                _ => "GET",
            };
            return Err(ApiError {
                allow: Some(allow),
                ..ApiError::of(
                    StatusCode::METHOD_NOT_ALLOWED,
                    format!(
                        "{} answers {allow} only, found {}",
                        request.uri().path(),
                        request.method()
                    ),
                )
            });
        }
        match request.uri().path() {
            "/health" => Ok(self.health()),
            "/v1/models" => Ok(whole(StatusCode::OK, &Models::of(&self.card))),
            _ => self.completions(request).await,
        }
    }

    fn health(&self) -> Response<AnswerBody> {
        let state = &self.state;
        let (status, word) = match state.is_ending() {
            true => (StatusCode::SERVICE_UNAVAILABLE, "ending"),
            false => (StatusCode::OK, "ok"),
        };
        let health = json!({
            "status": word,
            "busy": state.is_busy.load(Ordering::SeqCst),
            "waiting": state.waiting.load(Ordering::SeqCst),
            "answered": state.answered.load(Ordering::SeqCst),
            "refused": state.refused.load(Ordering::SeqCst),
            "cancelled": state.cancelled.load(Ordering::SeqCst),
        });
        whole(status, &health)
    }

    async fn completions(
        &self,
        request: hyper::Request<Incoming>,
    ) -> Result<Response<AnswerBody>, ApiError> {
        if self.state.is_ending() {
            return Err(ApiError::ending());
        }
        check_type(request.headers())?;
        let patience = self.limits.patience;
        let body = timeout(patience, read(request, self.limits.body)).await;
        let body = body.map_err(|_| ApiError::slow(patience.as_secs_f64()))??;
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        let request = Request::read(&body, &self.card, number)?;
        drop(body);
        let delivery = request.delivery;
        let (sender, mut replies) = unbounded_channel();
        self.queue(Job {
            number,
            request,
            replies: sender,
        })?;
        match replies.recv().await {
            Some(Reply::Failed(error)) => Err(error),
            Some(Reply::Done(completion)) if delivery == Delivery::Whole => {
                Ok(whole(StatusCode::OK, &completion))
            }
            Some(first) => {
                let mut response = Response::new(AnswerBody::events(first, replies));
                let headers = response.headers_mut();
                headers.insert(CONTENT_TYPE, "text/event-stream".parse().map_err(internal)?);
                headers.insert(CACHE_CONTROL, "no-cache".parse().map_err(internal)?);
                Ok(response)
            }
            None => Err(ApiError::ending()),
        }
    }

    /// Adds a job to the queue of the model, if there is room.
    fn queue(&self, job: Job) -> Result<(), ApiError> {
        let waiting = &self.state.waiting;
        waiting.fetch_add(1, Ordering::SeqCst);
        self.jobs.try_send(job).map_err(|error| {
            waiting.fetch_sub(1, Ordering::SeqCst);
            match error {
                TrySendError::Full(_) => ApiError::busy(self.limits.queue),
                TrySendError::Disconnected(_) => ApiError::ending(),
            }
        })
    }
}

fn internal(error: impl std::fmt::Display) -> ApiError {
    ApiError::failed(error.to_string())
}

/// Refuses a body whose type is not JSON. Without permission from this server, a web page can send
/// bodies of some other types, but not of this one.
fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim());
    match kind {
        Some(kind) if kind.eq_ignore_ascii_case("application/json") => Ok(()),
        other => Err(ApiError::of(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!(
                "the header Content-Type must be application/json, found {}",
                other.unwrap_or("none")
            ),
        )),
    }
}

/// Reads a body of at most `limit` bytes.
async fn read(request: hyper::Request<Incoming>, limit: usize) -> Result<Vec<u8>, ApiError> {
    let is_asking = request.headers().contains_key(EXPECT);
    let mut incoming = request.into_body();
    let announced = incoming.size_hint().lower();
    if announced > limit as u64 && (is_asking || announced > (limit * DROPPED) as u64) {
        return Err(ApiError::too_large(limit));
    }
    let (mut body, mut length) = (Vec::new(), 0);
    while let Some(frame) = poll_fn(|context| Pin::new(&mut incoming).poll_frame(context)).await {
        let frame = frame.map_err(|error| ApiError::bad(format!("the body broke off: {error}")))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        length += data.len();
        if length <= limit {
            body.extend_from_slice(&data);
        } else {
            body = Vec::new();
            if length > limit * DROPPED {
                break;
            }
        }
    }
    match length <= limit {
        true => Ok(body),
        false => Err(ApiError::too_large(limit)),
    }
}

fn whole(status: StatusCode, value: &impl serde::Serialize) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::json(value));
    *response.status_mut() = status;
    set(&mut response, CONTENT_TYPE, "application/json");
    response
}

fn set(response: &mut Response<AnswerBody>, name: hyper::header::HeaderName, value: &str) {
    if let Ok(value) = value.parse() {
        response.headers_mut().insert(name, value);
    }
}

/// Returns the answer for an error. Closes the connection if part of the body may be unread.
fn refusal(error: &ApiError) -> Response<AnswerBody> {
    let mut response = whole(error.status, &error.json());
    if let Some(allow) = error.allow {
        set(&mut response, ALLOW, allow);
    }
    if let Some(seconds) = error.retry_after {
        set(&mut response, RETRY_AFTER, &seconds.to_string());
    }
    if matches!(
        error.status,
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT
    ) {
        set(&mut response, CONNECTION, "close");
    }
    response
}
