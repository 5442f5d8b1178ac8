//! `trainer selftest`: compares a device with flex on a small training run, or compares a device
//! with values of the reference implementation.

mod golden;
mod training;

use rondo_train::device::{self, DeviceConfig};
use rondo_train::error::{Error, Result};

use crate::cli::SelftestArgs;

/// Checks the device.
///
/// # Errors
///
/// Returns an error if the device is missing, does not support the precision, fails or computes
/// different values, or if the golden folder is incomplete.
pub(crate) fn command(args: &SelftestArgs) -> Result<()> {
    let (listed, why) = device::choose(DeviceConfig {
        kind: args.device.into(),
        precision: args.precision.into(),
        ..DeviceConfig::default()
    })?;
    let (passed, other) = match &args.golden {
        None => (training::agrees(args, &listed, &why)?, "losses than flex"),
        Some(dir) => (
            golden::agrees(dir, args.json, &listed, &why)?,
            "values than the reference",
        ),
    };
    if passed {
        return Ok(());
    }
    Err(Error::Device(format!(
        "{} computes other {other}; do not train on it",
        listed.label()
    )))
}
