//! A folder that Mesa looks for.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Starts the program anew with `XDG_RUNTIME_DIR` where it is not set, as in containers and on
/// clusters: Mesa, asked for its adapters, would print an error for each although nothing is shown
/// in a window. Returns where it is set already, or where the start fails.
pub(crate) fn start_with_a_runtime_dir() {
    if std::env::var_os("XDG_RUNTIME_DIR").is_some() {
        return;
    }
    let mut args = std::env::args_os();
    let (Ok(program), Some(name)) = (std::env::current_exe(), args.next()) else {
        return;
    };
    // On success this does not return; on failure Mesa's lines are the lesser evil.
    let _ = Command::new(program)
        .arg0(name)
        .args(args)
        .env("XDG_RUNTIME_DIR", std::env::temp_dir())
        .exec();
}
