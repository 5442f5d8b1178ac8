//! Starts each run of a sweep in a process of its own.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rondo_sweep::{Exit, Launch, Launcher, Process};

use crate::commands::train::STOP_WITH_STDIN;

/// Starts this program once for each run.
///
/// The standard input of a run is a pipe that carries no data. When the pipe closes, the run saves
/// a checkpoint and ends. The pipe closes when the sweep stops the run, or when the sweep itself
/// ends for any reason.
pub(super) struct Workers {
    program: PathBuf,
    /// Whether the sweep limits how many threads its runs use.
    limited: bool,
}

struct Worker(Child);

impl Workers {
    /// Prepares to start runs with this program.
    ///
    /// # Errors
    ///
    /// Returns an error if the system does not report the path of this program.
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
        // The sweep's own assignments are last, so that they override this limit.
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

/// Puts the run into its own process group, so that Ctrl-C in a terminal does not reach it.
#[cfg(unix)]
fn detach(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

/// Puts the run into its own process group, so that Ctrl-C in a console does not reach it.
#[cfg(windows)]
fn detach(command: &mut Command) {
    /// The flag `CREATE_NEW_PROCESS_GROUP` of the Windows API.
    const NEW_GROUP: u32 = 0x200;
    std::os::windows::process::CommandExt::creation_flags(command, NEW_GROUP);
}

#[cfg(not(any(unix, windows)))]
fn detach(_: &mut Command) {}
