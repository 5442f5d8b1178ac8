//! Errors as clients receive them: OpenAI's error object, with an HTTP status.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::completer::Failure;

/// A refused or failed request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The HTTP status of the answer.
    pub status: StatusCode,
    /// One sentence that says what is wrong.
    pub message: String,
    /// The field of the request that is wrong.
    pub param: Option<String>,
    /// An error code that programs can compare.
    pub code: Option<&'static str>,
    /// The methods that the path allows, if the request's method is not allowed.
    pub allow: Option<&'static str>,
    /// The number of seconds to wait before a retry.
    pub retry_after: Option<u64>,
}

impl ApiError {
    /// Reports an invalid request.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::of(StatusCode::BAD_REQUEST, message)
    }

    /// Reports an error in one field of a request.
    pub fn field(name: &str, message: impl std::fmt::Display) -> Self {
        Self {
            param: Some(name.to_owned()),
            ..Self::bad(format!("{name}: {message}"))
        }
    }

    /// Reports a prompt that is too long.
    pub fn too_long(message: String) -> Self {
        Self {
            param: Some("prompt".to_owned()),
            code: Some("context_length_exceeded"),
            ..Self::bad(message)
        }
    }

    /// Reports a body that is too large.
    pub fn too_large(limit: usize) -> Self {
        let message = format!(
            "the body is larger than the {limit} bytes that this server takes; send fewer prompts at a time"
        );
        Self::of(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// Reports a client that did not send its whole request in time.
    pub fn slow(seconds: f64) -> Self {
        let message = format!("the body was not there after {seconds} seconds");
        Self::of(StatusCode::REQUEST_TIMEOUT, message)
    }

    /// Reports a full queue.
    pub fn busy(waiting: usize) -> Self {
        Self {
            code: Some("queue_full"),
            retry_after: Some(1),
            ..Self::of(
                StatusCode::TOO_MANY_REQUESTS,
                format!("{waiting} requests wait already; try again later"),
            )
        }
    }

    /// Reports that the server is ending.
    pub fn ending() -> Self {
        Self {
            code: Some("server_ending"),
            retry_after: Some(10),
            ..Self::of(
                StatusCode::SERVICE_UNAVAILABLE,
                "the server is ending and takes no more requests",
            )
        }
    }

    /// Reports a defect of the server, or a device that failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::of(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// Creates an error with a status and a message.
    pub fn of(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            param: None,
            code: None,
            allow: None,
            retry_after: None,
        }
    }

    /// Returns the JSON object of the error.
    pub fn json(&self) -> Value {
        let kind = match self.status {
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        };
        json!({"error": {
            "message": self.message,
            "type": kind,
            "param": self.param,
            "code": self.code,
        }})
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(message) => Self::bad(message),
            Failure::Model(message) => Self::failed(message),
            Failure::Cancelled => Self::ending(),
        }
    }
}
