//! A runtime folder for Mesa.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Restarts the program with `XDG_RUNTIME_DIR` if the variable is not set, as in containers and on
/// clusters. Without it, Mesa prints an error for each adapter, although nothing is shown in a
/// window. Returns if the variable is set, or if the restart fails.
pub(crate) fn start_with_a_runtime_dir() {
    if std::env::var_os("XDG_RUNTIME_DIR").is_some() {
        return;
    }
    let mut args = std::env::args_os();
    let (Ok(program), Some(name)) = (std::env::current_exe(), args.next()) else {
        return;
    };
    // This call returns only if it fails. Then Mesa prints its errors, which do no harm.
    let _ = Command::new(program)
        .arg0(name)
        .args(args)
        .env("XDG_RUNTIME_DIR", std::env::temp_dir())
        .exec();
}
