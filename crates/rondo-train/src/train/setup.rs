//! The state from which a new or resumed run takes its next step, and the records that the run has
//! already written.

use std::path::Path;

use rondo_checkpoint::set_back;
use rondo_config::{Difference, difference};
use rondo_data::{CorpusIdentity, Source};
use rondo_files::RunLock;
use rondo_metrics::{Evaluation, Fanout, History, JsonlSink, Record, Sink};
use rondo_model::init::{ParameterSpec, Role, table};
use rondo_model::looped::LoopedTransformer;
use rondo_schedule::RateSum;
use rondo_schedule::control::ControllerState;

use super::TrainOptions;
use super::control::Control;
use super::event_files::{self, Before};
use super::joined::First;
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
use crate::step::{fresh_model, fresh_optimizer};
use crate::weights::{Stored, load_first_model, load_model, open_moments};

/// The state that rank 0 takes from the run directory. The directory is locked, and nothing in it
/// has been changed yet.
pub(super) struct Taken {
    pub(super) lock: RunLock,
    pub(super) model: LoopedTransformer,
    /// The moments of a resumed run. `None` for a new run.
    pub(super) moments: Option<Stored>,
    /// The other run that has provided the weights, if there is one.
    pub(super) origin: Option<String>,
    pub(super) progress: RunProgress,
    pub(super) control: Option<Control>,
    /// Where the run resumes. `None` for a new run.
    pub(super) resumed: Option<Resumed>,
}

/// Where a run resumes, and what has changed since it was trained up to there.
pub(super) struct Resumed {
    /// The step after which the run resumes.
    pub(super) step: u64,
    /// The keys that have a new value from this step on.
    pub(super) changed: Vec<Difference>,
    /// The corpora on which the weights were trained.
    pub(super) seen: Vec<CorpusIdentity>,
}

/// What a run has written so far, and the sinks for its next records.
pub(super) struct Written {
    pub(super) sinks: Fanout,
    pub(super) watch: Watch,
    pub(super) summary: Summary,
    /// The step and the validation loss of the best kept checkpoint. `None` if no kept checkpoint
    /// was evaluated, or if `checkpoint.keep_best` is false.
    pub(super) best: Option<(u64, f64)>,
    /// The seconds from the start of the run to its last record.
    pub(super) seconds: f64,
}

/// The configuration, device, directory and data of a new or resumed run.
#[derive(Clone, Copy)]
pub(super) struct Setting<'a> {
    pub(super) config: &'a ResolvedConfig,
    pub(super) listed: &'a Listed,
    pub(super) run_dir: &'a RunDir,
    pub(super) source: &'a Source,
}

impl Setting<'_> {
    /// Returns the initial state of a new run. With `replaces`, the run may replace another run in
    /// the directory.
    ///
    /// # Errors
    ///
    /// When the directory cannot be locked, or when the weights of another run do not fit the model
    /// or the data.
    pub(super) fn begin(self, replaces: bool) -> Result<Taken> {
        let (model, origin) = self.first_model()?;
        let control = self.control(0, None)?;
        let lock = self.run_dir.lock()?;
        if !replaces {
            self.refuse_newer_work(&[])?;
        }
        Ok(Taken {
            lock,
            model,
            moments: None,
            origin,
            progress: RunProgress::start(Rows::new(self.source, self.config).first_difficulty()),
            control,
            resumed: None,
        })
    }

    /// Returns the state of a resumed run, from a checkpoint.
    ///
    /// # Errors
    ///
    /// When the directory cannot be locked, or the checkpoint is damaged or belongs to another
    /// model.
    pub(super) fn go_on(self, going: Going) -> Result<Taken> {
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
        // Checkpoints of older versions do not contain the sum. The sum is then computed from the
        // current schedule.
        progress
            .lr_sum
            .get_or_insert_with(|| RateSum::up_to(progress.step, config.rates()));
        let device = listed.device.clone().autodiff();
        let model = load_model(&checkpoint, &config.model, &device, listed.precision)?;
        let moments = open_moments(&checkpoint, &fresh_optimizer(config))?;
        let control = self.control(progress.step, progress.controller.take())?;
        Ok(Taken {
            lock,
            model,
            moments: Some(moments),
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

    /// Prepares the directory for the run. For a new run, clears the directory. For a run that
    /// resumes from a named checkpoint, sets aside all later checkpoints and calls `warn` for each.
    ///
    /// # Errors
    ///
    /// When the directory cannot be written.
    pub(super) fn make_ready(
        self,
        first: &First,
        options: &TrainOptions,
        warn: &mut dyn FnMut(String),
    ) -> Result<()> {
        let run_dir = self.run_dir;
        let Some(resumed) = &first.resumed else {
            if options.overwrite {
                run_dir.remove_launches()?;
            }
            return run_dir.clear(self.config.recorded());
        };
        if options.resume.names_a_checkpoint() {
            for path in set_back(&first.lock, resumed.step)? {
                let path = path.display();
                warn(format!(
                    "set aside, because it is later than the resumed step: {path}"
                ));
            }
        }
        run_dir.remove_summary()
    }

    /// Returns an error if another process has trained in the directory since this process found
    /// the checkpoints `seen`. Preparing data may take long enough for this to happen.
    fn refuse_newer_work(self, seen: &[u64]) -> Result<()> {
        if kept(self.run_dir)? == seen {
            return Ok(());
        }
        Err(Error::Foreign(format!(
            "{}: another process has trained here meanwhile; start again to resume from its newest checkpoint",
            self.run_dir.path().display()
        )))
    }

    /// Opens the files for records. For a new run, the files are empty. For a run that resumes
    /// after step `resumed` with `progress`, earlier records are kept. `bytes_per_token` is the
    /// number of bytes of text per validation target.
    ///
    /// # Errors
    ///
    /// When a file cannot be written, or its contents cannot be read.
    pub(super) fn written(
        self,
        resumed: Option<u64>,
        progress: &RunProgress,
        bytes_per_token: Option<f64>,
    ) -> Result<Written> {
        let Self {
            config, run_dir, ..
        } = self;
        let metrics = run_dir.metrics();
        let Some(step) = resumed else {
            return Ok(Written {
                sinks: self.sinks(JsonlSink::create(&metrics)?, None)?,
                watch: Watch::new(&config.diagnosis),
                summary: Summary::default(),
                best: None,
                seconds: 0.0,
            });
        };
        let evaluation = match progress.owes_evaluation {
            true => Evaluation::Pending,
            false => Evaluation::Stands,
        };
        // This call removes the records of later steps, so it must come before the records are
        // read.
        let (jsonl, _) = JsonlSink::open_for_resume(&metrics, step, evaluation)?;
        let history = History::read(&metrics)?;
        let before = Before {
            step,
            records: history.records(),
        };
        let records = history.records().iter().cloned().map(Ok);
        Ok(Written {
            sinks: self.sinks(jsonl, Some(before))?,
            watch: Watch::resume(&config.diagnosis, records)?,
            summary: Summary::of(&history, config, bytes_per_token),
            seconds: history.seconds(),
            best: match config.checkpoint.keep_best {
                true => run_dir.best()?,
                false => None,
            },
        })
    }

    /// Returns what a rank without files needs, from the `records` that rank 0 has sent.
    ///
    /// # Errors
    ///
    /// When `records` are not valid records.
    pub(super) fn heard(self, records: &[u8]) -> Result<Written> {
        let lines = records.split(|byte| *byte == b'\n');
        let records = lines.filter(|line| !line.is_empty()).map(|line| {
            let record: Record = serde_json::from_slice(line).map_err(anyhow::Error::from)?;
            Ok(record)
        });
        Ok(Written {
            sinks: Fanout::default(),
            watch: Watch::resume(&self.config.diagnosis, records)?,
            summary: Summary::default(),
            best: None,
            seconds: 0.0,
        })
    }

    fn sinks(self, jsonl: JsonlSink, before: Option<Before<'_>>) -> Result<Fanout> {
        let mut sinks: Vec<Box<dyn Sink>> = vec![Box::new(jsonl)];
        if self.config.metrics.tensorboard {
            let event_files = event_files::open(self.config, self.run_dir, before)?;
            sinks.push(Box::new(event_files));
        }
        Ok(Fanout::new(sinks))
    }

    pub(super) fn control(
        self,
        step: u64,
        state: Option<ControllerState>,
    ) -> Result<Option<Control>> {
        let config = self.config.controller.as_ref();
        config
            .map(|config| Control::open(config, step, state))
            .transpose()
    }

    /// Returns the initial weights of a run. If another run provides the weights, also returns a
    /// description of that run.
    fn first_model(self) -> Result<(LoopedTransformer, Option<String>)> {
        let Self { config, listed, .. } = self;
        let device = listed.device.clone().autodiff();
        let Some(init) = &config.init else {
            return Ok((fresh_model(config, listed, &device), None));
        };
        let from = RunDir::new(Path::new(&init.from));
        let of_init = |error| match error {
            Error::Foreign(told) => Error::Foreign(format!("init.from: {told}")),
            other => other,
        };
        let checkpoint = from.checkpoint(CheckpointChoice::Latest).map_err(of_init)?;
        refuse_another_shape(&from, config)?;
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

/// The keys and sections of `[model]` that do not change the shape of any tensor.
const WITHOUT_SHAPE: [&str; 13] = [
    "boundary_norm",
    "branch_scale",
    "context",
    "init",
    "injection.discretisation",
    "injection.start",
    "lora.beyond",
    "norm.eps",
    "recurrence",
    "rope_base",
    "rope_pairing",
    "rope_scaling",
    "state_init",
];

/// Returns an error if the model of the run `from` has other tensors. The message names the keys
/// that differ. If the configuration of `from` cannot be read, nothing is checked here, because
/// loading the weights also checks the tensors.
fn refuse_another_shape(from: &RunDir, config: &ResolvedConfig) -> Result<()> {
    let Ok(written) = from.config() else {
        return Ok(());
    };
    let Ok(theirs) = written.recorded_model() else {
        return Ok(());
    };
    let (there, here) = (table(&theirs), table(&config.model));
    let shape = |rows: &[ParameterSpec], name: &str| {
        let row = rows.iter().find(|row| row.name == name);
        row.map(|row| row.shape.clone())
    };
    // A dense model may provide the weights of a model with gates. Only the gate biases are new
    // then.
    let is_other = |row: &ParameterSpec| {
        row.role != Role::GateBias && shape(&there, &row.name).as_ref() != Some(&row.shape)
    };
    let is_gone = |row: &ParameterSpec| shape(&here, &row.name).is_none();
    if !here.iter().any(is_other) && !there.iter().any(is_gone) {
        return Ok(());
    }
    let differences = difference(&written.model, &config.recorded().model);
    let differences = differences.map_err(anyhow::Error::from)?;
    let matters = |one: &&Difference| {
        let is_in = |section: &&str| {
            let rest = one.key.strip_prefix(*section);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        !WITHOUT_SHAPE.iter().any(is_in)
    };
    let absent = "absent";
    let told: Vec<String> = differences
        .iter()
        .filter(matters)
        .map(|one| {
            format!(
                "model.{}: {} there, {} here",
                one.key,
                one.left.as_deref().unwrap_or(absent),
                one.right.as_deref().unwrap_or(absent)
            )
        })
        .collect();
    if told.is_empty() {
        return Ok(());
    }
    Err(Error::Foreign(format!(
        "init.from: {} has a model of another shape: {}",
        from.path().display(),
        told.join("; ")
    )))
}
