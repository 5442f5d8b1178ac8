//! A run behind HTTP, as typed.

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

/// `trainer serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The run directory.
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    /// The address to listen at; any but a loopback address lets others in, who are not asked who they are.
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub(crate) host: String,
    /// The port; 0 takes a free one. The address is the first line on standard output.
    #[arg(long, value_name = "PORT", default_value_t = 8000)]
    pub(crate) port: u16,
    /// Iterations per token where a request has no `recurrence`; the mean depth of the run's training by default.
    #[arg(long, value_name = "N", value_parser = depth)]
    pub(crate) recurrence: Option<usize>,
    /// Iterations per token that a request may ask for, at most; its cache holds a place for each of them.
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = depth)]
    pub(crate) max_recurrence: usize,
    /// Initial states: drawn from the run's seed, zero, or `initial_state` of a safetensors file.
    #[arg(long, value_name = "seed|zero|FILE", default_value = "seed")]
    pub(crate) initial_state: InitialState,
    /// Whether a special token's name in a prompt is that token; as in `trainer generate` by default.
    #[arg(long, value_enum, value_name = "on|off")]
    special: Option<Switch>,
    /// Whether the token that begins a text comes before a prompt; as in `trainer generate` by default.
    #[arg(long, value_enum, value_name = "on|off")]
    bos: Option<Switch>,
    /// The checkpoint: `latest`, `best` or a step.
    #[arg(long, default_value = "latest")]
    pub(crate) checkpoint: CheckpointChoice,
    /// The device.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) device: DeviceName,
    /// Requests that may wait while one is computed; further ones are refused with status 429.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least_one)]
    pub(crate) queue: usize,
    /// Mebibytes of a request, at most.
    #[arg(long, value_name = "MIB", default_value_t = 4, value_parser = at_least_one)]
    pub(crate) max_body: usize,
    /// Seconds that a client may take to send a request, and may leave an answer unread.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = patience)]
    pub(crate) timeout: Duration,
    /// Seconds that the request in work may go on after Ctrl-C or SIGTERM; those that wait are refused.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) grace: Duration,
    /// Print the address and nothing else but warnings.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

impl ServeArgs {
    /// Returns what the text of a prompt may hold.
    pub(crate) fn prompting(&self) -> Prompting {
        let is_on = |switch| switch == Switch::On;
        Prompting {
            special: self.special.map(is_on),
            bos: self.bos.map(is_on),
        }
    }
}
