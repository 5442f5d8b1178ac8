//! The errors of this crate, and their exit codes.

use rondo_checkpoint::CheckpointError;
use rondo_config::Violations;
use rondo_data::DataError;
use rondo_figures::FigureError;
use rondo_files::{FileError, LockError};
use rondo_interchange::InterchangeError;
use rondo_laws::LawError;
use rondo_metrics::{JsonlError, RecordError, SinkError};
use rondo_sweep::SweepError;
use rondo_tasks::error::TaskError;

use crate::distributed::Agreed;
use crate::exit_code::ExitCode;

/// The exit code of a run that was interrupted and can be resumed.
pub const INTERRUPTED: u8 = ExitCode::Interrupted.number();

/// The exit code if the device is missing, fails or has too little memory.
pub const DEVICE: u8 = ExitCode::Device.number();

/// An error that ends the program.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line or the configuration is wrong.
    #[error("{0}")]
    Usage(String),
    /// Keys or values of the configuration are wrong.
    #[error(transparent)]
    Config(#[from] Violations),
    /// A corpus, a shard, a tokenizer or a token file is wrong.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A checkpoint cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A file of a run directory cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another process uses the run directory.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A checkpoint does not belong to this run or model.
    #[error("{0}")]
    Foreign(String),
    /// A model cannot be imported or exported.
    #[error(transparent)]
    Reference(#[from] InterchangeError),
    /// Loss curves cannot be read, or no law can be fitted to them.
    #[error(transparent)]
    Law(#[from] LawError),
    /// A file of benchmark items is wrong.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// A sweep cannot be opened or executed.
    #[error(transparent)]
    Sweep(#[from] SweepError),
    /// A loss or a gradient is not finite. The weights were not updated with it.
    #[error("{0}")]
    Nonfinite(String),
    /// A diagnosed failure has stopped the run, as its policy says.
    #[error("{0}")]
    Stopped(String),
    /// The device is missing, failed, or has too little memory.
    #[error("{0}")]
    Device(String),
    /// A signal ended the run. The run can be resumed.
    #[error("{0}")]
    Interrupted(String),
    /// Another rank did not arrive in time, or has ended.
    #[error("{0}")]
    Missing(String),
    /// The ranks of a run no longer have the same weights.
    #[error("{0}")]
    Drifted(String),
    /// An error of one rank before the training loop, or of all ranks, in the form that every rank
    /// returns.
    #[error(transparent)]
    Agreed(#[from] Agreed),
    /// Anything else.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl Error {
    /// Converts an error that occurred while a checkpoint was written. If the cause is a tensor
    /// that could not be copied, returns the error of that tensor instead.
    pub fn of_stream(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Io(error) => Self::of_write(error),
            other => other.into(),
        }
    }

    /// Converts an error that occurred while a file was written. If the cause is a tensor that
    /// could not be copied, returns the error of that tensor instead.
    pub fn of_write(error: FileError) -> Self {
        match InterchangeError::from_stream(error.source) {
            Ok(error) => error.into(),
            Err(source) => FileError { source, ..error }.into(),
        }
    }

    /// Returns whether every rank of the run has this error, so that all ranks end cleanly.
    pub fn is_of_all_ranks(&self) -> bool {
        matches!(
            self,
            Self::Agreed(_)
                | Self::Nonfinite(_)
                | Self::Stopped(_)
                | Self::Interrupted(_)
                | Self::Drifted(_)
        )
    }

    /// Returns the exit code for this error.
    pub fn exit_code(&self) -> u8 {
        let code = match self {
            Self::Agreed(agreed) => return agreed.code,
            Self::Interrupted(_) | Self::Data(DataError::Interrupted) => ExitCode::Interrupted,
            Self::Usage(_)
            | Self::Config(_)
            | Self::Data(DataError::Config(_))
            | Self::Law(LawError::Search { .. })
            | Self::Sweep(SweepError::Config(_) | SweepError::Sheet(_)) => ExitCode::Usage,
            Self::Data(_) | Self::Law(_) | Self::Task(_) => ExitCode::Data,
            Self::Checkpoint(_)
            | Self::File(_)
            | Self::Lock(_)
            | Self::Foreign(_)
            | Self::Reference(_)
            | Self::Sweep(
                SweepError::Write(_)
                | SweepError::Lock(_)
                | SweepError::NotASweep(_)
                | SweepError::Foreign(_)
                | SweepError::Changed { .. }
                | SweepError::Outcome { .. },
            ) => ExitCode::Checkpoint,
            Self::Sweep(_) | Self::Other(_) => ExitCode::Other,
            Self::Nonfinite(_) | Self::Stopped(_) => ExitCode::Stopped,
            Self::Device(_) | Self::Drifted(_) => ExitCode::Device,
            Self::Missing(_) => ExitCode::Missing,
        };
        code.number()
    }
}

impl From<FigureError> for Error {
    fn from(error: FigureError) -> Self {
        Self::Other(error.into())
    }
}

impl From<JsonlError> for Error {
    fn from(error: JsonlError) -> Self {
        Self::Other(error.into())
    }
}

impl From<RecordError> for Error {
    fn from(error: RecordError) -> Self {
        Self::Other(error.into())
    }
}

impl From<SinkError> for Error {
    fn from(error: SinkError) -> Self {
        Self::Other(error.into())
    }
}

/// The result of a function in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;
