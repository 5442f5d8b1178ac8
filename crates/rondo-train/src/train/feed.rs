//! The source of the inputs of steps: tokens and initial states. Inputs are made within the step,
//! or in advance on another thread.
//!
//! While a GPU computes a step, the CPU is idle. A thread on the CPU then makes the inputs of the
//! next step and copies them to the device. The thread uses the same stream as the steps, because
//! another stream would have its own memory. Inputs are a pure function of configuration, seed,
//! step and, for a task, difficulty. The numbers of a run therefore do not depend on when inputs
//! are made, and checkpoints store nothing about inputs. Only the difficulty is not known in
//! advance: if it rises after the inputs of the next step were requested, these inputs are made
//! again.
//!
//! If the CPU itself computes the steps, the CPU is never idle, and inputs are made within the
//! step.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread::JoinHandle;

use anyhow::Context;
use burn::tensor::StreamId;
use rayon::ThreadPool;
use rondo_data::{Batch, CurriculumState, DataError};

use super::corpora::Corpora;
use crate::config::ResolvedConfig;
use crate::device::Listed;
use crate::distributed::Share;
use crate::error::Result;
use crate::rows::Rows;
use crate::step::{InputMaker, Inputs};

/// When the inputs of a step are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Staging {
    /// Within the step.
    InStep,
    /// While the previous step is computed.
    Ahead,
}

impl Staging {
    /// Returns the choice for a device: within the step if the CPU computes the steps, otherwise in
    /// advance.
    pub(super) fn on(listed: &Listed) -> Self {
        if listed.reads_are_free() {
            Self::InStep
        } else {
            Self::Ahead
        }
    }
}

/// The values on which the inputs of a step depend, in a given run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The step, counted from 1.
    pub(super) step: u64,
    /// The difficulty, for a task.
    pub(super) curriculum: Option<CurriculumState>,
}

/// Everything that is needed to make the inputs of a run's steps.
pub(super) struct Recipe {
    pub(super) corpora: Arc<Corpora>,
    pub(super) config: ResolvedConfig,
    /// The micro-batches of each step that belong to this rank.
    pub(super) share: Share,
    pub(super) maker: InputMaker,
}

impl Recipe {
    fn batches(&self, wanted: Wanted) -> Result<Vec<Batch>, DataError> {
        let rows = Rows::new(self.corpora.at(wanted.step), &self.config);
        rows.some_micro_batches(wanted.step, self.share, wanted.curriculum.as_ref())
    }
}

/// The source of the inputs of a run's steps.
pub(super) enum Feed {
    InStep(Arc<Recipe>),
    Ahead(Ahead),
}

impl Feed {
    /// Opens the source of inputs.
    ///
    /// # Errors
    ///
    /// When the system cannot start a thread.
    pub(super) fn open(recipe: Recipe, staging: Staging) -> Result<Self> {
        let recipe = Arc::new(recipe);
        Ok(match staging {
            Staging::InStep => Self::InStep(recipe),
            Staging::Ahead => Self::Ahead(Ahead::start(recipe)?),
        })
    }

    /// Returns the inputs of a step. Requests the inputs of the next step.
    ///
    /// # Errors
    ///
    /// When the rows of this step cannot be made. An error in the rows of the next step is returned
    /// only when the inputs of that step are taken.
    pub(super) fn take(&mut self, wanted: Wanted) -> Result<StepInputs> {
        match self {
            Self::InStep(recipe) => {
                let batches = recipe.batches(wanted)?;
                Ok(StepInputs {
                    tokens: tokens(&batches),
                    left: batches.len(),
                    from: Origin::Recipe {
                        recipe: recipe.clone(),
                        step: wanted.step,
                        number: recipe.share.first_number(wanted.step),
                        batches: batches.into_iter(),
                    },
                })
            }
            Self::Ahead(ahead) => ahead.take(wanted),
        }
    }
}

fn tokens(batches: &[Batch]) -> usize {
    batches.iter().map(|batch| batch.batch * batch.seq).sum()
}

/// The inputs of a step's micro-batches, in order. When the next inputs are needed, the iterator
/// makes them or waits for them.
pub(super) struct StepInputs {
    /// The number of tokens in all micro-batches of this rank.
    pub(super) tokens: usize,
    left: usize,
    from: Origin,
}

enum Origin {
    Recipe {
        recipe: Arc<Recipe>,
        step: u64,
        /// The number of the next micro-batch, counted from the start of the run.
        number: u64,
        batches: std::vec::IntoIter<Batch>,
    },
    Thread(Receiver<Caught<Inputs>>),
}

impl Iterator for StepInputs {
    type Item = Inputs;

    fn next(&mut self) -> Option<Inputs> {
        self.left = self.left.checked_sub(1)?;
        match &mut self.from {
            Origin::Recipe {
                recipe,
                step,
                number,
                batches,
            } => {
                let batch = batches.next()?;
                let inputs = recipe.maker.make(&batch, *step, *number);
                *number += 1;
                Some(inputs)
            }
            Origin::Thread(made) => Some(passed_on(made.recv().expect(SENDS))),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for StepInputs {}

/// The panic message that explains why a message always arrives.
const SENDS: &str = "the thread sends as long as somebody asks, its panics too";

/// The result of a piece of work, or its panic.
type Caught<T> = std::result::Result<T, Box<dyn Any + Send>>;

/// Returns the result of work on the other thread. If the work panicked, continues the panic on
/// this thread.
fn passed_on<T>(caught: Caught<T>) -> T {
    caught.unwrap_or_else(|panic| resume_unwind(panic))
}

/// The thread that makes inputs in advance. It holds at most one micro-batch that has not been
/// taken.
pub(super) struct Ahead {
    /// The inputs that were requested and have not been taken yet.
    asked: Option<Wanted>,
    /// The last step of the run.
    last: u64,
    /// The ends of the channels. `None` only while this value is dropped.
    ends: Option<Ends>,
    thread: Option<JoinHandle<()>>,
}

/// The ends of the channels to and from the thread. When they are dropped, the thread ends.
struct Ends {
    wanted: Sender<Wanted>,
    steps: Receiver<Step>,
}

/// The message that the thread sends for a step.
struct Step {
    /// The number of tokens and the number of micro-batches in the step.
    batches: Caught<Result<(usize, usize), DataError>>,
    inputs: Receiver<Caught<Inputs>>,
}

impl Ahead {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When the system cannot start a thread.
    fn start(recipe: Arc<Recipe>) -> Result<Self> {
        // The pool is separate, because all threads of the step's pool may be waiting for inputs.
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(rayon::current_num_threads())
            .thread_name(|i| format!("inputs-{i}"))
            .build()
            .context("cannot start threads that make inputs")?;
        let threads = Threads {
            pool,
            stream: StreamId::current(),
        };
        let last = recipe.config.train.steps;
        let (wanted, requests) = channel();
        let (given, steps) = channel();
        let thread = std::thread::Builder::new()
            .name("inputs".to_owned())
            .spawn(move || serve(&recipe, &threads, &requests, &given))
            .context("cannot start the thread that makes inputs")?;
        Ok(Self {
            asked: None,
            last,
            ends: Some(Ends { wanted, steps }),
            thread: Some(thread),
        })
    }

    fn take(&mut self, wanted: Wanted) -> Result<StepInputs> {
        let ends = self.ends.as_ref().expect("it is not being dropped");
        let ask = |wanted| ends.wanted.send(wanted).expect(SENDS);
        let asked = self.asked.take();
        if asked != Some(wanted) {
            ask(wanted);
        }
        if asked.is_some_and(|asked| asked != wanted) {
            // These inputs have another difficulty and are not used.
            drop(ends.steps.recv().expect(SENDS));
        }
        let Step { batches, inputs } = ends.steps.recv().expect(SENDS);
        let (tokens, left) = passed_on(batches)?;
        if wanted.step < self.last {
            let next = Wanted {
                step: wanted.step + 1,
                ..wanted
            };
            ask(next);
            self.asked = Some(next);
        }
        Ok(StepInputs {
            tokens,
            left,
            from: Origin::Thread(inputs),
        })
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.ends = None;
        if let Some(thread) = self.thread.take() {
            // The thread catches the panics of its work, so `join` never returns an error.
            let _ = thread.join();
        }
    }
}

/// The threads that make inputs in advance.
struct Threads {
    pool: ThreadPool,
    /// The device's stream on which the steps are computed.
    stream: StreamId,
}

/// Makes the requested inputs, until all senders of requests are gone.
fn serve(recipe: &Recipe, threads: &Threads, requests: &Receiver<Wanted>, given: &Sender<Step>) {
    for wanted in requests {
        // The channel has no buffer. The thread therefore holds one micro-batch until the
        // micro-batch is taken, and only then makes the next one.
        let (taken, inputs) = sync_channel(0);
        let mut batches = Vec::new();
        let counts = caught(|| {
            batches = recipe.batches(wanted)?;
            Ok((tokens(&batches), batches.len()))
        });
        let step = Step {
            batches: counts,
            inputs,
        };
        if given.send(step).is_err() {
            return;
        }
        let first = recipe.share.first_number(wanted.step);
        for (i, batch) in batches.iter().enumerate() {
            let make = || recipe.maker.make(batch, wanted.step, first + i as u64);
            let made = caught(|| threads.pool.install(|| threads.stream.executes(make)));
            let is_wanted = taken.send(made).is_ok();
            if !is_wanted {
                break;
            }
        }
    }
}

fn caught<T>(work: impl FnOnce() -> T) -> Caught<T> {
    catch_unwind(AssertUnwindSafe(work))
}

#[cfg(test)]
mod tests;
