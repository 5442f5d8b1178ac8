//! A language model behind HTTP: text completions in the form that OpenAI's API has and its clients speak.
//!
//! ```text
//! POST /v1/completions    prompts in; texts and log-probabilities out, as JSON or as events
//! GET  /v1/models         what is served
//! GET  /health            whether it is, and how much waits
//! ```
//!
//! In reading order:
//!
//! * [`completer`]: what a model is here, a trait: tokens in, log-probabilities and tokens out
//! * [`limits`]: sizes, times and counts that a client cannot exceed
//! * [`request`] (a request's fields and their rules), `fields` (an object's values by type), `prompts` (texts or token ids)
//! * [`error`]: what a client is told, with the status of each kind
//! * [`answer`]: the objects of an answer
//! * `stops` (where a text ends), `transcript` (tokens as text with offsets), `work` (one request, from prompts to choices),
//!   `worker` (one request after another, on the caller's thread)
//! * `stall` (a socket whose reader may not stop reading), `body` (answers as they come), `routes` (paths and
//!   methods), `connections` (accepting and ending), [`serve`](mod@serve): all of it together
//!
//! One thread runs the model and one runs the sockets; a bounded queue stands between them. A client that leaves takes its
//! request with it.
//!
//! Absences: Burn, models, tokenizers, files, signals and a terminal. A connection is not encrypted and a client is not asked
//! who it is: whoever reaches the port may use the model.

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
