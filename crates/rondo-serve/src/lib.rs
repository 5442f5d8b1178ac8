//! Serves a language model over HTTP, with text completions in the form of OpenAI's API.
//!
//! ```text
//! POST /v1/completions    prompts in; texts and log-probabilities out, as JSON or as events
//! GET  /v1/models         the served model
//! GET  /health            the state of the server, and the number of waiting requests
//! ```
//!
//! In reading order:
//!
//! * [`completer`]: the trait of a served model: tokens in, log-probabilities and tokens out
//! * [`limits`]: sizes, times and counts that a client cannot exceed
//! * [`request`]: the fields of a request and their rules; `fields`: reads a JSON object by name
//!   and type; `prompts`: reads texts or token ids
//! * [`error`]: errors as clients receive them, with an HTTP status
//! * [`answer`]: the JSON objects of an answer
//! * `stops`: finds where a text ends; `transcript`: converts tokens to text with offsets; `work`:
//!   answers one request; `worker`: answers one request after another, on the caller's thread
//! * `stall`: a socket that fails if its client stops reading; `body`: sends answers; `routes`:
//!   paths and methods; `connections`: accepts and closes connections; [`serve`](mod@serve): the
//!   whole server
//!
//! One thread runs the model, another thread handles the sockets, and a bounded queue connects the
//! two. If a client leaves, its request is cancelled.
//!
//! # Limits
//!
//! The crate uses no Burn, models, tokenizers, files, signals or terminal. There is no encryption
//! and no authentication: everyone who can reach the port may use the model.

pub mod answer;
mod body;
pub mod completer;
mod connections;
pub mod error;
mod fields;
pub mod limits;
mod prompts;
pub mod request;
mod routes;
pub mod serve;
mod stall;
mod stops;
mod transcript;
mod work;
mod worker;

pub use completer::Completer;
pub use limits::Limits;
pub use serve::{Served, serve};

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
