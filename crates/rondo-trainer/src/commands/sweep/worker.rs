//! Runs of a sweep, each in its own process.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rondo_sweep::{Exit, Launch, Launcher, Process};

use crate::commands::train::STOP_WITH_STDIN;

/// Starts this program again for each run.
///
/// A run's standard input is a pipe without data. When the pipe closes, the run saves and ends. The
/// pipe closes when the sweep stops the run, and also when the sweep itself ends, for any reason.
pub(super) struct Workers {
    program: PathBuf,
    /// Whether the sweep limits the number of threads of its runs.
    limited: bool,
}

struct Worker(Child);

impl Workers {
    /// Starts runs with this program.
    ///
    /// # Errors
    ///
    /// If the system does not report the path of this program.
    pub(super) fn new(limited: bool) -> io::Result<Self> {
        Ok(Self {
            program: std::env::current_exe()?,
            limited,
        })
    }
}

impl Launcher for Workers {
    fn launch(&mut self, launch: &Launch<'_>) -> io::Result<Box<dyn Process>> {
        let limit = self
            .limited
            .then(|| format!("device.threads={}", launch.threads));
        // The sweep's own assignments come last, so they override this number of threads.
        let assignments = limit.into_iter().chain(launch.run.assignments());
        let mut command = Command::new(&self.program);
        command
            .env(STOP_WITH_STDIN, "1")
            .args(["--quiet", "--config"])
            .arg(launch.config)
            .arg("--out")
            .arg(&launch.out)
            .args(assignments.flat_map(|one| ["--set".to_owned(), one]))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(&launch.log)?);
        detach(&mut command);
        Ok(Box::new(Worker(command.spawn()?)))
    }
}

impl Process for Worker {
    fn poll(&mut self) -> io::Result<Option<Exit>> {
        let status = self.0.try_wait()?;
        Ok(status.map(|status| Exit {
            code: status.code(),
        }))
    }

    fn stop(&mut self) {
        drop(self.0.stdin.take());
    }
}

/// Puts the run into its own process group, so a terminal's Ctrl-C does not reach it.
#[cfg(unix)]
fn detach(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

/// Puts the run into its own process group, so a console's Ctrl-C does not reach it.
#[cfg(windows)]
fn detach(command: &mut Command) {
    /// `CREATE_NEW_PROCESS_GROUP` of the Windows API.
    const NEW_GROUP: u32 = 0x200;
    std::os::windows::process::CommandExt::creation_flags(command, NEW_GROUP);
}

#[cfg(not(any(unix, windows)))]
fn detach(_: &mut Command) {}
