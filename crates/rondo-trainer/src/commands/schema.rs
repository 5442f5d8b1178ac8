//! `trainer schema`.

use rondo_config::schema;
use rondo_sweep::SweepFile;
use rondo_train::config::RunConfig;
use rondo_train::error::Result;

use crate::terminal;

/// Prints the JSON Schema of run configurations, or of sweep files.
///
/// # Errors
///
/// Where standard output refuses.
pub(crate) fn command(sweep: bool) -> Result<()> {
    terminal::print_json(&match sweep {
        true => schema::<SweepFile>(),
        false => schema::<RunConfig>(),
    })
}
