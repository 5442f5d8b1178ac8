//! Training, evaluation and generation of recurrent-depth transformers, and the files of a run.
//!
//! A step takes the mean loss L of its micro-batches and makes one update of the weights θ:
//!
//! ```text
//! θ_{t+1} = U(θ_t, c·∇L, η_t),   c = min(1, clip / (‖∇L‖ + 1e-6))
//! ```
//!
//! U is the rule of [`optim`], η_t the rate of [`plan`], clip is `train.clip`; [`guard`] may leave the update out.
//! `examples/own_loop.rs` is a training loop in a few lines; [`train`] is the loop of the program.
//!
//! In reading order:
//!
//! * what is asked for: [`config`] (what is written, and what it means on its data), [`run_plan`] (the runs of a file before they are trained),
//!   [`capacity`] (whether a run fits into memory), [`costs`] (what it will cost), [`assemble`] (device, data and the resolved configuration), [`device`] (the only place
//!   that knows Burn's backends), [`rows`] (of any data), [`batches`] (the same on a device)
//! * a run: [`plan`] (what a step does), [`objective`] (what it differentiates), [`perturb`] (what disturbs it), [`train`] (the loop), [`step`] (one step),
//!   [`guard`] (which updates are not made), [`optim`] (the update), [`evaluate`] (losses by depth), [`named`] (values
//!   on the device, read together), [`telemetry`] (what states tell), `record` (what metrics are made of)
//! * on several processes: [`distributed`] (who computes which micro-batches, what they exchange, and what they agree on)
//! * what is kept: [`run_dir`] (the files of a run), [`run_name`] (what it is called where nobody says), [`own_tokenizer`]
//!   (what its weights know and data must be encoded by), [`progress`] and [`weights`] (the contents of a checkpoint),
//!   [`validation_losses`] (which one is the best)
//! * what is read again: [`open_run`] (a run with its weights), [`run_history`] (a run by its metrics), [`prompting`] (how
//!   a prompt becomes tokens), [`initial_states`] (where s_0 comes from), [`generate`] (token after token), [`tasks`]
//!   (items of benchmarks at every depth)
//! * around it: [`error`] (what can go wrong), [`exit_code`] (how a process ends), [`interrupt`] (requests to stop)
//!
//! Absences: a command line, signal handlers, the end of the process, results on standard output, pictures; rondo-trainer
//! has them. The mathematics of the model and the formats of checkpoints, metrics and data are crates of their own.
//! Progress and warnings go through the screen of rondo-metrics or a caller's function. Learning rate, depth, data order
//! and initial states are pure functions of configuration, seed and step, and clocks are read only to tell how fast
//! something was.

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
