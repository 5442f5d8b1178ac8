//! What a run takes its next step from, new or resumed, and the records that it has written until then.

use std::path::Path;

use rondo_checkpoint::set_back;
use rondo_config::Difference;
use rondo_data::{CorpusIdentity, Source};
use rondo_files::RunLock;
use rondo_metrics::{Background, Fanout, History, JsonlSink, Sink, TensorboardSink};
use rondo_model::looped::LoopedTransformer;
use rondo_schedule::RateSum;
use rondo_schedule::control::ControllerState;

use super::control::Control;
use super::resume::Resume;
use super::start::{Going, kept};
use super::summary::Summary;
use super::watch::Watch;
use crate::config::ResolvedConfig;
use crate::device::Listed;
use crate::error::{Error, Result};
use crate::own_tokenizer::OwnTokenizer;
use crate::progress::RunProgress;
use crate::rows::Rows;
use crate::run_dir::{CheckpointChoice, RunDir};
use crate::step::{Learner, fresh_model};
use crate::weights::load_first_model;

/// What a run takes its next step from; its directory is locked.
pub(super) struct Setup {
    pub(super) lock: RunLock,
    pub(super) learner: Learner,
    /// The run that has made its weights, where it is another.
    pub(super) origin: Option<String>,
    pub(super) progress: RunProgress,
    pub(super) control: Option<Control>,
    /// Where it goes on; none of a new run.
    pub(super) resumed: Option<Resumed>,
}

/// Where a run goes on, and what is not as it was.
pub(super) struct Resumed {
    /// The step after which it goes on.
    pub(super) step: u64,
    /// The keys that have another value from here on.
    pub(super) changed: Vec<Difference>,
    /// The corpora that its weights have seen.
    pub(super) seen: Vec<CorpusIdentity>,
}

/// What a run has written, and where the next records go.
pub(super) struct Written {
    pub(super) sinks: Fanout,
    pub(super) watch: Watch,
    pub(super) summary: Summary,
    /// The kept checkpoint with the lowest validation loss, and that loss; none where it is not kept.
    pub(super) best: Option<(u64, f64)>,
    /// How long the run has lasted until its last record, in seconds.
    pub(super) seconds: f64,
}

/// Configuration, device, directory and data, which a new and a resumed run share.
#[derive(Clone, Copy)]
pub(super) struct Setting<'a> {
    pub(super) config: &'a ResolvedConfig,
    pub(super) listed: &'a Listed,
    pub(super) run_dir: &'a RunDir,
    pub(super) source: &'a Source,
}

impl Setting<'_> {
    /// Begins a run; `replaces` says that it may take the place of another.
    ///
    /// # Errors
    ///
    /// Where the directory cannot be written, or the weights of another run do not fit the model or the data.
    pub(super) fn begin(self, replaces: bool) -> Result<Setup> {
        let (model, origin) = self.first_model()?;
        let control = self.control(0, None)?;
        let lock = self.run_dir.lock()?;
        match replaces {
            true => self.run_dir.remove_launches()?,
            false => self.refuse_newer_work(&[])?,
        }
        self.run_dir.clear(self.config.recorded())?;
        Ok(Setup {
            lock,
            learner: Learner::new(self.config, self.listed, model),
            origin,
            progress: RunProgress::start(Rows::new(self.source, self.config).first_difficulty()),
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
        going: Going,
        resume: &Resume,
        warn: &mut dyn FnMut(String),
    ) -> Result<Setup> {
        let Self {
            config,
            listed,
            run_dir,
            ..
        } = self;
        let Going {
            checkpoint,
            mut progress,
            changed,
            kept,
        } = going;
        let lock = run_dir.lock()?;
        self.refuse_newer_work(&kept)?;
        // Checkpoints of older versions have no sum: that of the present schedule stands in.
        progress
            .lr_sum
            .get_or_insert_with(|| RateSum::up_to(progress.step, config.rates()));
        let learner = Learner::resume(config, listed, &checkpoint, &progress)?;
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
        Ok(Setup {
            lock,
            learner,
            origin: None,
            control,
            resumed: Some(Resumed {
                step: progress.step,
                changed,
                seen: std::mem::take(&mut progress.data),
            }),
            progress,
        })
    }

    /// Refuses to write where another process has trained since this one saw the checkpoints `seen`: preparing data may
    /// take long.
    fn refuse_newer_work(self, seen: &[u64]) -> Result<()> {
        if kept(self.run_dir)? == seen {
            return Ok(());
        }
        Err(Error::Foreign(format!(
            "{}: another process has trained here meanwhile; start again to go on from there",
            self.run_dir.path().display()
        )))
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
                summary: Summary::default(),
                best: None,
                seconds: 0.0,
            });
        };
        // It cuts off the records of later steps: nothing is read before.
        let (jsonl, _) = JsonlSink::open_for_resume(&metrics, step)?;
        let history = History::read(&metrics)?;
        Ok(Written {
            sinks: self.sinks(jsonl, resumed),
            watch: Watch::resume(&config.diagnosis, &metrics)?,
            summary: Summary::of(&history, config, bytes_per_token),
            seconds: history.seconds(),
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
        let seen = RunProgress::read(&checkpoint)?.data;
        if let Some(own) = OwnTokenizer::of_run(&from, &seen)? {
            own.check(
                self.source,
                &config.data,
                &format!("init.from {}: the data", init.from),
            )?;
        }
        let model = load_first_model(&checkpoint, &config.model, &device, listed.precision)?;
        Ok((model, Some(origin)))
    }
}
