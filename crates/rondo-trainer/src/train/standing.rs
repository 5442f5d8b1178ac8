//! What a run takes its next step from, and what it has written until then.

use std::path::Path;

use rondo_checkpoint::{Checkpoint, RunLock, set_back};
use rondo_control::ControllerState;
use rondo_data::CurriculumState;
use rondo_metrics::{Background, Fanout, JsonlSink, Sink, TensorboardSink};
use rondo_model::looped::LoopedTransformer;

use super::control::Control;
use super::last::Last;
use super::watch::Watch;
use crate::cli::{CheckpointChoice, Resume};
use crate::config::RunConfig;
use crate::device::Listed;
use crate::error::Result;
use crate::progress::RunProgress;
use crate::run_dir::RunDir;
use crate::step::{Learner, fresh_model};
use crate::weights::load_first_model;

/// A run directory that is ours to write, and what is computed next.
pub(super) struct Standing {
    pub(super) lock: RunLock,
    pub(super) learner: Learner,
    /// The run that has made its weights, where it is another.
    pub(super) origin: Option<String>,
    pub(super) progress: RunProgress,
    pub(super) control: Option<Control>,
    /// The step after which it goes on; none of a new run.
    pub(super) resumed: Option<u64>,
}

/// What a run has written, and where the next records go.
pub(super) struct Written {
    pub(super) sinks: Fanout,
    pub(super) watch: Watch,
    pub(super) last: Last,
    /// The kept checkpoint with the lowest validation loss, and that loss; none where it is not kept.
    pub(super) best: Option<(u64, f64)>,
}

/// What both are made of.
#[derive(Clone, Copy)]
pub(super) struct Setting<'a> {
    pub(super) config: &'a RunConfig,
    pub(super) listed: &'a Listed,
    pub(super) run_dir: &'a RunDir,
}

impl Setting<'_> {
    /// Begins a run; `curriculum` is the difficulty of its first step.
    ///
    /// # Errors
    ///
    /// Where the directory cannot be written, or the weights of another run do not fit.
    pub(super) fn begin(self, curriculum: Option<CurriculumState>) -> Result<Standing> {
        let (model, origin) = self.first_model()?;
        let control = self.control(0, None)?;
        Ok(Standing {
            lock: self.run_dir.create(self.config)?,
            learner: Learner::new(self.config, self.listed, model),
            origin,
            progress: RunProgress::start(curriculum),
            control,
            resumed: None,
        })
    }

    /// Goes on after a checkpoint. Those that are later than one that was asked for are set aside, and
    /// `warn` is told of each.
    ///
    /// # Errors
    ///
    /// Where the directory cannot be written, or the checkpoint is damaged or of another model.
    pub(super) fn go_on(
        self,
        checkpoint: &Checkpoint,
        resume: &Resume,
        warn: &mut dyn FnMut(String),
    ) -> Result<Standing> {
        let Self {
            config,
            listed,
            run_dir,
        } = self;
        let lock = run_dir.lock()?;
        let mut progress = RunProgress::read(checkpoint)?;
        let learner = Learner::resume(config, listed, checkpoint, &progress)?;
        let control = self.control(progress.step, progress.controller.take())?;
        if resume.names_a_checkpoint() {
            for path in set_back(&lock, progress.step)? {
                let path = path.display();
                warn(format!(
                    "later than where the run goes on, set aside: {path}"
                ));
            }
        }
        run_dir.remove_summary()?;
        run_dir.write_config(config)?;
        Ok(Standing {
            lock,
            learner,
            origin: None,
            control,
            resumed: Some(progress.step),
            progress,
        })
    }

    /// Opens the files of records: empty ones, or those of a run that goes on after step `resumed`.
    /// `bytes_per_token` is that of the targets that it evaluates.
    ///
    /// # Errors
    ///
    /// Where a file cannot be written, or what is in it cannot be read.
    pub(super) fn written(
        self,
        resumed: Option<u64>,
        bytes_per_token: Option<f64>,
    ) -> Result<Written> {
        let Self {
            config, run_dir, ..
        } = self;
        let metrics = run_dir.metrics();
        let Some(step) = resumed else {
            return Ok(Written {
                sinks: self.sinks(JsonlSink::create(&metrics)?, None),
                watch: Watch::new(&config.diagnosis),
                last: Last::default(),
                best: None,
            });
        };
        // It cuts off the records of later steps: nothing is read before.
        let (jsonl, _) = JsonlSink::open_for_resume(&metrics, step)?;
        Ok(Written {
            sinks: self.sinks(jsonl, resumed),
            watch: Watch::resume(&config.diagnosis, &metrics)?,
            last: Last::read(run_dir, config, bytes_per_token)?,
            best: match config.checkpoint.keep_best {
                true => run_dir.best()?,
                false => None,
            },
        })
    }

    fn sinks(self, jsonl: JsonlSink, resumed: Option<u64>) -> Fanout {
        let mut sinks: Vec<Box<dyn Sink>> = vec![Box::new(jsonl)];
        if self.config.metrics.tensorboard {
            let tensorboard = TensorboardSink::open(&self.run_dir.tensorboard(), resumed);
            sinks.push(Box::new(Background::new(tensorboard)));
        }
        Fanout::new(sinks)
    }

    fn control(self, step: u64, state: Option<ControllerState>) -> Result<Option<Control>> {
        let config = self.config.controller.as_ref();
        config
            .map(|config| Control::open(config, step, state))
            .transpose()
    }

    /// Returns the weights that a run starts with, and where they are from if another run has made them.
    fn first_model(self) -> Result<(LoopedTransformer, Option<String>)> {
        let Self { config, listed, .. } = self;
        let device = listed.device.clone().autodiff();
        let Some(init) = &config.init else {
            return Ok((fresh_model(config, listed, &device), None));
        };
        let from = RunDir::new(Path::new(&init.from));
        let checkpoint = from.checkpoint(CheckpointChoice::Latest)?;
        let origin = format!("{} at step {}", init.from, checkpoint.step());
        let model = load_first_model(&checkpoint, &config.model, &device, listed.precision)?;
        Ok((model, Some(origin)))
    }
}
