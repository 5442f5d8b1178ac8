//! Provides a runtime folder for Mesa.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Sets `XDG_RUNTIME_DIR` and restarts the program if the variable is not set, as in containers and
/// on clusters. Without the variable, Mesa prints an error for each adapter, although this program
/// opens no window. Returns if the variable is already set, or if the restart fails.
pub(crate) fn start_with_a_runtime_dir() {
    if std::env::var_os("XDG_RUNTIME_DIR").is_some() {
        return;
    }
    let mut args = std::env::args_os();
    let (Ok(program), Some(name)) = (std::env::current_exe(), args.next()) else {
        return;
    };
    // This call returns only if it fails. Mesa then prints its errors, which are harmless.
    let _ = Command::new(program)
        .arg0(name)
        .args(args)
        .env("XDG_RUNTIME_DIR", std::env::temp_dir())
        .exec();
}
