//! The bodies of answers: one object, or a stream of events.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use serde::Serialize;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::error::ApiError;
use crate::worker::Reply;

/// The text after the last event.
const LAST: &str = "data: [DONE]\n\n";

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum AnswerBody {
    /// One JSON object. `None` after the object was sent.
    Whole(Option<Bytes>),
    /// A stream of events. `None` after the last event was sent.
    Events(Option<Events>),
}

/// An answer as a stream.
#[derive(Debug)]
pub(crate) struct Events {
    /// The first reply of the stream. It is known not to be an error.
    first: Option<Reply>,
    replies: UnboundedReceiver<Reply>,
}

impl AnswerBody {
    pub(crate) fn json(value: &impl Serialize) -> Self {
        // The values contain only numbers, texts and lists, which JSON can represent, so
        // serialization does not fail.
        let bytes = serde_json::to_vec(value).unwrap_or_default();
        Self::Whole(Some(bytes.into()))
    }

    pub(crate) fn events(first: Reply, replies: UnboundedReceiver<Reply>) -> Self {
        Self::Events(Some(Events {
            first: Some(first),
            replies,
        }))
    }
}

impl Events {
    /// Returns the text of the next event, and whether the stream ends with it.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<(String, bool)> {
        let reply = match self.first.take() {
            Some(first) => Some(first),
            None => match self.replies.poll_recv(context) {
                Poll::Ready(reply) => reply,
                Poll::Pending => return Poll::Pending,
            },
        };
        Poll::Ready(match reply {
            Some(Reply::Piece(completion)) => (event(&completion), false),
            Some(Reply::Done(completion)) if completion.usage.is_some() => {
                (event(&completion) + LAST, true)
            }
            Some(Reply::Done(_)) => (LAST.to_owned(), true),
            Some(Reply::Failed(error)) => (event(&error.json()), true),
            None => (event(&ApiError::failed("the model is gone").json()), true),
        })
    }
}

fn event(value: &impl Serialize) -> String {
    format!(
        "data: {}\n\n",
        serde_json::to_string(value).unwrap_or_default()
    )
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Events(events) => {
                let Some(open) = events else {
                    return Poll::Ready(None);
                };
                let Poll::Ready((text, is_last)) = open.poll(context) else {
                    return Poll::Pending;
                };
                if is_last {
                    *events = None;
                }
                Poll::Ready(Some(Ok(Frame::data(text.into()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None) | Self::Events(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Events(_) => SizeHint::default(),
        }
    }
}
