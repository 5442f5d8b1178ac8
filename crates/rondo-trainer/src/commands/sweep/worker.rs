//! A run of a sweep in a process of its own.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rondo_sweep::{Exit, Launch, Launcher, Process};

use crate::commands::train::STOP_WITH_STDIN;

/// Starts this program once more for each run.
///
/// A run's standard input is a pipe that nothing is written to. Its end asks the run to save and to end:
/// when the sweep wants that, and when the sweep is gone, however it went.
pub(super) struct Workers {
    program: PathBuf,
    /// Whether runs are told how many threads they may use.
    limited: bool,
}

struct Worker(Child);

impl Workers {
    /// Starts runs with this program.
    ///
    /// # Errors
    ///
    /// If the system does not say which program this is.
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
        // The sweep's own assignments come last: what a sweep says of threads holds.
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

/// Keeps a terminal's Ctrl-C, which goes to a whole group of processes, from the run.
#[cfg(unix)]
fn detach(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

/// Keeps a console's Ctrl-C, which goes to a whole group of processes, from the run.
#[cfg(windows)]
fn detach(command: &mut Command) {
    /// `CREATE_NEW_PROCESS_GROUP` of the Windows API.
    const NEW_GROUP: u32 = 0x200;
    std::os::windows::process::CommandExt::creation_flags(command, NEW_GROUP);
}

#[cfg(not(any(unix, windows)))]
fn detach(_: &mut Command) {}
