//! The data of event files that are not records: hyperparameters, configuration, and the end of the
//! run.
//!
//! `TensorBoard`'s `HParams` plugin reads two messages from the metadata of two tags:
//! `HParamsPluginData { session_start_info = 3, session_end_info = 4 }`,
//! `SessionStartInfo { hparams = 1, start_time_secs = 5 }`,
//! `SessionEndInfo { status = 1, end_time_secs = 2 }`. The plugin uses the newest value of each
//! scalar as the metrics of the run. No list of hyperparameters (`experiment = 2`) is written,
//! because `TensorBoard` would use the first list that it finds for all runs. Without a list it
//! shows the hyperparameters of every run, and which of them differ.

use super::message::Message;
use super::tags::CONFIGURATION;

/// The description of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    /// The dotted keys of the configuration, each with its value.
    pub parameters: Vec<(String, Parameter)>,
    /// The text of the whole configuration file.
    pub configuration: String,
    /// The last step of the run.
    pub last_step: u64,
}

/// The value of a configuration key.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    /// A number.
    Number(f64),
    /// Text, or several values as text.
    Words(String),
    /// A truth value.
    Switch(bool),
}

/// The value `STATUS_SUCCESS` of `api.proto`.
const SUCCESS: u64 = 1;
/// Two types of `types.proto`: float and string.
const FLOAT: u64 = 1;
const STRING: u64 = 7;
/// A `DataClass` of `summary.proto`.
const TENSOR: u64 = 2;

/// Returns a `Summary` with the run's hyperparameters and its start time, in seconds since 1970.
pub(super) fn started(about: &About, seconds: f64) -> Message {
    let mut info = Message::default();
    for (key, value) in &about.parameters {
        // The fields are those of `google.protobuf.Value { number_value = 2, string_value = 3,
        // bool_value = 4 }`.
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

/// Returns a `Summary` with a Markdown text under a tag.
pub(super) fn text(tag: &str, markdown: &str) -> Message {
    let mut tensor = Message::default();
    tensor.integer(1, STRING);
    tensor.bytes(2, &[]);
    tensor.bytes(8, markdown.as_bytes());
    summary(tag, &tensor, plugin("text", &[]))
}

/// Returns the text as a code block in Markdown, with unchanged lines.
pub(super) fn block(text: &str) -> String {
    let lines = text.lines().map(|line| format!("    {line}\n"));
    lines.collect()
}

/// Returns a `Summary` whose metadata contains `info` in the field `field` of the plugin's message.
fn session(tag: &str, field: u64, info: &Message) -> Message {
    let mut content = Message::default();
    content.bytes(field, &info.0);
    // The tensor is an empty vector: its shape is `TensorShapeProto { dim = 2 { size = 1 } }` with
    // a length of 0.
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

/// Starts the `SummaryMetadata` of a plugin: `plugin_data = 1 { plugin_name = 1, content = 2 }`.
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
