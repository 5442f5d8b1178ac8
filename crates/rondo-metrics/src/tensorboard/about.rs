//! The data of event files besides the records: hyperparameters, configuration, and the end of the
//! run.
//!
//! `TensorBoard`'s `HParams` plugin reads two messages from the metadata of two tags:
//! `HParamsPluginData { session_start_info = 3, session_end_info = 4 }`,
//! `SessionStartInfo { hparams = 1, start_time_secs = 5 }`,
//! `SessionEndInfo { status = 1, end_time_secs = 2 }`. It uses the newest value of each scalar as
//! the run's metrics. No list of hyperparameters is written (`experiment = 2`): `TensorBoard` would
//! use the first list that it finds for all runs; without one it lists the hyperparameters of every
//! run, and shows which differ.

use super::message::Message;
use super::tags::CONFIGURATION;

/// The description of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    /// Dotted keys of the configuration and their values.
    pub parameters: Vec<(String, Parameter)>,
    /// The whole configuration, as in its file.
    pub configuration: String,
    /// The last step of the run.
    pub last_step: u64,
}

/// The value of a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    /// A number.
    Number(f64),
    /// Text, or several values as text.
    Words(String),
    /// On or off.
    Switch(bool),
}

/// `STATUS_SUCCESS` of `api.proto`.
const SUCCESS: u64 = 1;
/// Types of `types.proto`.
const FLOAT: u64 = 1;
const STRING: u64 = 7;
/// `DataClass` of `summary.proto`.
const TENSOR: u64 = 2;

/// Returns a `Summary` with the run's hyperparameters and its start time, in seconds since 1970.
pub(super) fn started(about: &About, seconds: f64) -> Message {
    let mut info = Message::default();
    for (key, value) in &about.parameters {
        // google.protobuf.Value { number_value = 2, string_value = 3, bool_value = 4 }
        let mut held = Message::default();
        match value {
            Parameter::Number(x) => held.double(2, *x),
            Parameter::Words(text) => held.bytes(3, text.as_bytes()),
            Parameter::Switch(on) => held.integer(4, u64::from(*on)),
        }
        let mut entry = Message::default();
        entry.bytes(1, key.as_bytes());
        entry.bytes(2, &held.0);
        info.bytes(1, &entry.0);
    }
    info.double(5, seconds);
    session("_hparams_/session_start_info", 3, &info)
}

/// Returns a `Summary` with the time at which the run reached its last step.
pub(super) fn finished(seconds: f64) -> Message {
    let mut info = Message::default();
    info.integer(1, SUCCESS);
    info.double(2, seconds);
    session("_hparams_/session_end_info", 4, &info)
}

/// Returns a `Summary` with the configuration.
pub(super) fn configuration(about: &About) -> Message {
    text(CONFIGURATION, &block(&about.configuration))
}

/// Returns a `Summary` with Markdown under a tag.
pub(super) fn text(tag: &str, markdown: &str) -> Message {
    let mut tensor = Message::default();
    tensor.integer(1, STRING);
    tensor.bytes(2, &[]);
    tensor.bytes(8, markdown.as_bytes());
    summary(tag, &tensor, plugin("text", &[]))
}

/// Returns text as a code block in Markdown, with its lines unchanged.
pub(super) fn block(text: &str) -> String {
    let lines = text.lines().map(|line| format!("    {line}\n"));
    lines.collect()
}

/// Returns a `Summary` whose metadata contains a message of the plugin in field `field`.
fn session(tag: &str, field: u64, info: &Message) -> Message {
    let mut content = Message::default();
    content.bytes(field, &info.0);
    // An empty vector: TensorShapeProto { dim = 2 { size = 1 } } of length 0.
    let mut tensor = Message::default();
    tensor.integer(1, FLOAT);
    tensor.bytes(2, &[0x12, 0]);
    summary(tag, &tensor, plugin("hparams", &content.0))
}

/// Returns a `Summary` of one value: `value = 1 { tag = 1, tensor = 8, metadata = 9 }`.
pub(super) fn summary(tag: &str, tensor: &Message, mut metadata: Message) -> Message {
    metadata.integer(4, TENSOR);
    let mut value = Message::default();
    value.bytes(1, tag.as_bytes());
    value.bytes(8, &tensor.0);
    value.bytes(9, &metadata.0);
    let mut summary = Message::default();
    summary.bytes(1, &value.0);
    summary
}

/// Starts a `SummaryMetadata` of a plugin: `plugin_data = 1 { plugin_name = 1, content = 2 }`.
pub(super) fn plugin(name: &str, content: &[u8]) -> Message {
    let mut data = Message::default();
    data.bytes(1, name.as_bytes());
    if !content.is_empty() {
        data.bytes(2, content);
    }
    let mut metadata = Message::default();
    metadata.bytes(1, &data.0);
    metadata
}
