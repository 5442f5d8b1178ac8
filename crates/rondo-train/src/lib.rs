//! Training, evaluation and generation of recurrent-depth transformers, and the files of a run.
//!
//! A step computes the mean loss L of its micro-batches and updates the weights θ once:
//!
//! ```text
//! θ_{t+1} = U(θ_t, c·∇L, η_t),   c = min(1, clip / (‖∇L‖ + 1e-6))
//! ```
//!
//! U is the update rule of [`optim`], η_t the learning rate of [`plan`], and clip is `train.clip`.
//! [`guard`] may skip the update. `examples/own_loop.rs` is a training loop in a few lines;
//! [`train`] is the training loop of the program.
//!
//! In reading order:
//!
//! * before a run: [`config`] (as the user wrote it, and with every size known), [`run_plan`] (the
//!   runs that a file describes), [`capacity`] (whether a run fits into memory), [`costs`] (work,
//!   memory and disk), [`assemble`] (device, data and resolved configuration), [`device`] (the only
//!   module that uses Burn's backends), [`rows`] (rows of any kind of data), [`batches`] (rows on a
//!   device)
//! * a run: [`plan`] (depth and rate of a step, and the work due after the step), [`objective`]
//!   (the function that a step differentiates), [`perturb`] (deliberate disturbances), [`train`]
//!   (the training loop), [`step`] (one step), [`guard`] (skipped updates), [`optim`] (the update),
//!   [`evaluate`] (losses at each depth), [`named`] (values on the device that are read together),
//!   [`telemetry`] (measurements of states), `record` (metrics of a step)
//! * several processes: [`distributed`] (the micro-batches of each rank, the exchange between
//!   ranks, and common decisions)
//! * files: [`run_dir`] (the files of a run), [`run_name`] (the default name of a run),
//!   [`own_tokenizer`] (the tokenizer that is saved with a run), [`progress`] and [`weights`] (the
//!   contents of a checkpoint), [`validation_losses`] (which checkpoint is the best)
//! * after a run: [`open_run`] (a run with its weights), [`run_history`] (the metrics of a run),
//!   [`prompting`] (prompts as tokens), [`initial_states`] (sources of s_0),
//!   [`generate`] (generates tokens), [`tasks`] (benchmark items at every depth)
//! * general: [`error`] (errors), [`exit_code`] (how a process ends), [`interrupt`] (requests to
//!   stop)
//!
//! # Limits
//!
//! The crate has no command line and no signal handlers. It does not end the process, print results
//! on standard output or draw pictures. rondo-trainer does all of this. The mathematics of the
//! model and the formats of checkpoints, metrics and data are in other crates. Progress and
//! warnings go to the screen of rondo-metrics or to a function of the caller. Learning rate, depth,
//! data order and initial states are pure functions of configuration, seed and step. Clocks are
//! read only to measure speed.

pub mod assemble;
pub mod batches;
pub mod capacity;
pub mod config;
pub mod costs;
pub mod device;
pub mod distributed;
pub mod error;
pub mod evaluate;
pub mod exit_code;
pub mod generate;
pub mod guard;
pub mod initial_states;
pub mod interrupt;
pub mod named;
pub mod objective;
pub mod open_run;
pub mod optim;
pub mod own_tokenizer;
pub mod perturb;
pub mod plan;
pub mod progress;
pub mod prompting;
mod record;
pub mod rows;
pub mod run_dir;
pub mod run_history;
pub mod run_name;
pub mod run_plan;
pub mod step;
pub mod tasks;
pub mod telemetry;
pub mod train;
pub mod validation_losses;
pub mod weights;
