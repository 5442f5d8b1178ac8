//! The arguments of `trainer serve`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use rondo_train::initial_states::InitialState;
use rondo_train::prompting::Prompting;
use rondo_train::run_dir::CheckpointChoice;

use super::DeviceName;
use super::prompting::Switch;
use super::reading::{at_least_one, depth};
use crate::commands::serve::{patience, seconds};

/// The arguments of `trainer serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The run directory.
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    /// The address to listen on. An address other than loopback admits other machines without
    /// authentication.
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub(crate) host: String,
    /// The port; 0 selects a free one. The first line on standard output shows the address.
    #[arg(long, value_name = "PORT", default_value_t = 8000)]
    pub(crate) port: u16,
    /// Iterations per token if a request has no `recurrence`; by default the mean depth of the
    /// run's training.
    #[arg(long, value_name = "N", value_parser = depth)]
    pub(crate) recurrence: Option<usize>,
    /// Maximum number of iterations per token that a request may ask for. The cache of a request
    /// holds a place for each iteration.
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = depth)]
    pub(crate) max_recurrence: usize,
    /// Initial states: drawn from the run's seed, zero, or `initial_state` of a safetensors file.
    #[arg(long, value_name = "seed|zero|FILE", default_value = "seed")]
    pub(crate) initial_state: InitialState,
    /// Whether the name of a special token in a prompt becomes that token; the default is the same
    /// as for `trainer generate`.
    #[arg(long, value_enum, value_name = "on|off")]
    special: Option<Switch>,
    /// Whether the token that begins a text is put before a prompt; the default is the same as for
    /// `trainer generate`.
    #[arg(long, value_enum, value_name = "on|off")]
    bos: Option<Switch>,
    /// The checkpoint: `latest`, `best` or a step.
    #[arg(long, default_value = "latest")]
    pub(crate) checkpoint: CheckpointChoice,
    /// The device.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) device: DeviceName,
    /// Maximum number of waiting requests. Further requests are refused with status 429.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least_one)]
    pub(crate) queue: usize,
    /// Maximum size of a request, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 4, value_parser = at_least_one)]
    pub(crate) max_body: usize,
    /// Seconds that a client may take to send a request, and to read an answer.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = patience)]
    pub(crate) timeout: Duration,
    /// Seconds that the current request may still take after Ctrl-C or SIGTERM. Waiting requests
    /// are refused.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) grace: Duration,
    /// Print only the address and warnings.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

impl ServeArgs {
    /// Returns how special tokens in a prompt are treated.
    pub(crate) fn prompting(&self) -> Prompting {
        let is_on = |switch| switch == Switch::On;
        Prompting {
            special: self.special.map(is_on),
            bos: self.bos.map(is_on),
        }
    }
}
