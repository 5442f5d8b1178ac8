//! Reports a panic in one line and with an exit code. A panic is a defect of this program or of a
//! library.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};
use std::sync::{Mutex, PoisonError};

use rondo_train::error::{Error, Result};

/// The last panic of any thread. When a thread that has panicked is joined, its panic is passed on
/// or reported.
static LAST: Mutex<Option<Panic>> = Mutex::new(None);

/// Parts of the paths of libraries that call a driver. These libraries panic if the driver fails.
const DRIVERS: [&str; 6] = [
    "/wgpu",
    "/cubecl",
    "/burn-cubecl",
    "/cudarc",
    "/naga",
    "/ash-",
];

/// The details of a panic.
#[derive(Clone)]
struct Panic {
    message: String,
    /// The file and the line of the panic.
    place: String,
    /// The backtrace; empty unless `RUST_BACKTRACE` is set.
    trace: String,
}

/// Runs `work` and turns a panic into an error. Panics that other code catches, such as those of
/// `tokenizers` on crafted files, are not shown.
///
/// # Errors
///
/// Returns the errors of `work`; [`Error::Device`] if the library of a driver panicked;
/// [`Error::Other`] after any other panic.
pub(crate) fn contained(work: impl FnOnce() -> Result<()>) -> Result<()> {
    set_hook(Box::new(|info| {
        *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(Panic::new(info));
    }));
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let last = LAST.lock().unwrap_or_else(PoisonError::into_inner).take();
        Err(last.map_or_else(
            || anyhow::anyhow!("a defect of trainer, without any details").into(),
            Panic::into_error,
        ))
    })
}

impl Panic {
    fn new(info: &PanicHookInfo<'_>) -> Self {
        let trace = Backtrace::capture();
        Self {
            message: info
                .payload_as_str()
                .unwrap_or("no message")
                .trim()
                .to_owned(),
            place: info.location().map_or_else(
                || "an unknown place".to_owned(),
                |place| format!("{}:{}", place.file(), place.line()),
            ),
            trace: match trace.status() {
                BacktraceStatus::Captured => format!("\n{trace}"),
                _ => String::new(),
            },
        }
    }

    fn into_error(self) -> Error {
        let Self {
            message,
            place,
            trace,
        } = self;
        if DRIVERS.iter().any(|part| place.contains(part)) {
            return Error::Device(format!(
                "the device failed: {message} ({place}); where memory ran out, a smaller train.batch or \
                 model.recurrence.recompute = \"iteration\" needs less of it{trace}"
            ));
        }
        Error::Other(anyhow::anyhow!(
            "a defect of trainer, not of your input: {message} ({place}); what was saved is whole, and --resume auto \
             continues from it; please report the command with this line{trace}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(place: &str) -> Error {
        Panic {
            message: "out of memory".to_owned(),
            place: place.to_owned(),
            trace: String::new(),
        }
        .into_error()
    }

    #[test]
    fn a_drivers_panic_is_the_devices_and_any_other_ours() {
        let device = told("/registry/wgpu-core-29.0.1/src/device.rs:7");
        assert_eq!(device.exit_code(), 6);
        assert!(device.to_string().contains("out of memory"), "{device}");
        let ours = told("crates/rondo-train/src/step.rs:7");
        assert_eq!(ours.exit_code(), 1);
        assert!(ours.to_string().contains("step.rs:7"), "{ours}");
    }
}
