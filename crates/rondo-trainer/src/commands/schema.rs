//! `trainer schema`: prints JSON Schemas.

use rondo_config::schema;
use rondo_sweep::SweepFile;
use rondo_train::config::RunConfig;
use rondo_train::config::file::FileHead;
use rondo_train::error::Result;
use serde_json::Value;

use crate::terminal;

/// Prints the JSON Schema of run configurations, or of sweep files.
///
/// # Errors
///
/// Returns an error if standard output cannot be written.
pub(crate) fn command(sweep: bool) -> Result<()> {
    terminal::print_json(&match sweep {
        true => schema::<SweepFile>(),
        false => run(),
    })
}

/// Returns the schema of a run configuration, including the keys at the top of the file.
fn run() -> Value {
    let mut whole = schema::<RunConfig>();
    let mut head = schema::<FileHead>();
    if let (Some(keys), Some(of_head)) = (
        whole["properties"].as_object_mut(),
        head["properties"].as_object_mut(),
    ) {
        keys.append(of_head);
    }
    whole
}
