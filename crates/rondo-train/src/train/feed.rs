//! Where a step takes its micro-batches from, tokens and initial states: made in the step, or by a thread before it.
//!
//! While a GPU computes a step, a thread makes the inputs of the next one on the processor, which is idle then, and brings
//! them to the device, in the stream of the steps: another stream would have memory of its own. They are a pure function of configuration, seed, step and the difficulty of a task, so that the numbers
//! of a run do not depend on when they are made, and nothing of it is in a checkpoint. A difficulty that rises after the
//! inputs of the next step have been begun is the one thing that is not known a step ahead: then they are made again.
//!
//! A processor has no such idle time: its cores compute the step.

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
    /// When the step asks for them.
    InStep,
    /// While the step before is computed.
    Ahead,
}

impl Staging {
    /// Chooses for a device: ahead where the processor does not compute the step itself.
    pub(super) fn on(listed: &Listed) -> Self {
        if listed.reads_are_free() {
            Self::InStep
        } else {
            Self::Ahead
        }
    }
}

/// What the inputs of a step depend on besides the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The step, counted from 1.
    pub(super) step: u64,
    /// The difficulty of a task.
    pub(super) curriculum: Option<CurriculumState>,
}

/// How the inputs of the steps of a run are made.
pub(super) struct Recipe {
    pub(super) corpora: Arc<Corpora>,
    pub(super) config: ResolvedConfig,
    /// The micro-batches of a step that are this rank's.
    pub(super) share: Share,
    pub(super) maker: InputMaker,
}

impl Recipe {
    fn batches(&self, wanted: Wanted) -> Result<Vec<Batch>, DataError> {
        let rows = Rows::new(self.corpora.at(wanted.step), &self.config);
        rows.some_micro_batches(wanted.step, self.share, wanted.curriculum.as_ref())
    }
}

/// Where the inputs of a run's steps come from.
pub(super) enum Feed {
    InStep(Arc<Recipe>),
    Ahead(Ahead),
}

impl Feed {
    /// # Errors
    ///
    /// Where the system gives no thread.
    pub(super) fn open(recipe: Recipe, staging: Staging) -> Result<Self> {
        let recipe = Arc::new(recipe);
        Ok(match staging {
            Staging::InStep => Self::InStep(recipe),
            Staging::Ahead => Self::Ahead(Ahead::start(recipe)?),
        })
    }

    /// Takes the inputs of a step, and lets those of the next one be made.
    ///
    /// # Errors
    ///
    /// Where the rows of this step cannot be made; never for those of the next one.
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

/// The inputs of a step's micro-batches, in order; each is made, or waited for, when it is asked for.
pub(super) struct StepInputs {
    /// The tokens in all of them.
    pub(super) tokens: usize,
    left: usize,
    from: Origin,
}

enum Origin {
    Recipe {
        recipe: Arc<Recipe>,
        step: u64,
        /// The number of the next micro-batch since the start of the run.
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

/// Why there is something to receive.
const SENDS: &str = "the thread sends as long as somebody asks, its panics too";

/// What some work gave, or its panic.
type Caught<T> = std::result::Result<T, Box<dyn Any + Send>>;

/// Goes on with a panic of the thread where its result is needed.
fn passed_on<T>(caught: Caught<T>) -> T {
    caught.unwrap_or_else(|panic| resume_unwind(panic))
}

/// The thread that makes inputs ahead. It holds those of one micro-batch that nobody has taken yet, never more.
pub(super) struct Ahead {
    /// What the thread has been asked for, and nobody has taken.
    asked: Option<Wanted>,
    /// The last step of the run.
    last: u64,
    /// None while this is dropped.
    ends: Option<Ends>,
    thread: Option<JoinHandle<()>>,
}

/// The ends of the channels to and from the thread; it ends when they are gone.
struct Ends {
    wanted: Sender<Wanted>,
    steps: Receiver<Step>,
}

/// What the thread gives for a step.
struct Step {
    /// Tokens and number of its micro-batches.
    batches: Caught<Result<(usize, usize), DataError>>,
    inputs: Receiver<Caught<Inputs>>,
}

impl Ahead {
    /// # Errors
    ///
    /// Where the system gives no thread.
    fn start(recipe: Arc<Recipe>) -> Result<Self> {
        // Threads of its own: those of a step may all be waiting for it.
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
            // Of another difficulty: nobody takes its inputs.
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
            // It catches the panics of what it makes.
            let _ = thread.join();
        }
    }
}

/// What inputs are made by.
struct Threads {
    pool: ThreadPool,
    /// The stream in which the steps compute.
    stream: StreamId,
}

/// Makes what is asked for, until nobody asks.
fn serve(recipe: &Recipe, threads: &Threads, requests: &Receiver<Wanted>, given: &Sender<Step>) {
    for wanted in requests {
        // Whoever takes a micro-batch meets the thread with it in its hands: none is waiting in between.
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
