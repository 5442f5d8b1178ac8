//! How a session opens: anew, from another run's weights, or where it was left.

use std::path::{Path, PathBuf};

use rondo_checkpoint::{RunLock, set_back};
use rondo_data::Source;
use rondo_metrics::format::thousands;
use rondo_metrics::{Background, Event, Fanout, JsonlSink, Mode, Progress, Sink, TensorboardSink};
use rondo_model::census::Census;
use rondo_model::init::table;
use rondo_model::looped::LoopedTransformer;
use rondo_model::schedule::RateSum;
use serde_json::json;

use super::CREATED_BY;
use super::clock::Clock;
use super::control::Control;
use super::last::Last;
use super::saver::Saver;
use super::session::Session;
use super::start::Start;
use super::watch::Watch;
use crate::assemble::{Assembly, open_source};
use crate::cli::{CheckpointChoice, Resume, TrainArgs};
use crate::config::RunConfig;
use crate::device::Listed;
use crate::error::{Error, Result};
use crate::guard::Guard;
use crate::interrupt;
use crate::optim::Optimizer;
use crate::perturb::Perturbation;
use crate::plan::rates;
use crate::progress::RunProgress;
use crate::run_dir::RunDir;
use crate::source::Rows;
use crate::step::{Learner, fresh_model};
use crate::weights::{load_first_model, load_model, load_optimizer};

/// What a start leads to.
pub(super) enum Opened {
    /// A run to carry on with.
    Ready(Box<Session>),
    /// A run that has its budget already.
    Finished(RunDir, u64),
}

/// Opens the session that the arguments ask for.
///
/// # Errors
///
/// Where the run directory must not be written, a checkpoint is damaged or of another model, or the
/// validation text is too short.
pub(super) fn open(
    assembly: Assembly,
    run_dir: RunDir,
    args: &TrainArgs,
    mode: Mode,
) -> Result<Opened> {
    let extent = assembly.extent();
    let Assembly {
        config,
        listed,
        why,
        source,
    } = assembly;
    let mut warnings = Vec::new();
    let start = Start::find(
        &run_dir,
        &args.resume,
        args.overwrite,
        &config,
        extent.steps,
        &mut |text| warnings.push(text),
    )?;
    let device = listed.device.clone().autodiff();
    let (seed, peak) = (config.run.seed, config.schedule.peak);
    let mut optimizer = Optimizer::new(&config.optimizer, table(&config.model), peak);
    let mut progress = RunProgress::start(source.first_difficulty());
    let switched = open_switched(&config, &source, mode)?;
    let open_control = |step, state| {
        let control = config.controller.as_ref();
        control.map(|it| Control::open(it, step, state)).transpose()
    };
    let (lock, (model, origin), control) = match &start {
        Start::Finished(step) => return Ok(Opened::Finished(run_dir, *step)),
        Start::Continue(checkpoint) => {
            let lock = run_dir.lock()?;
            progress = RunProgress::read(checkpoint)?;
            let model = load_model(checkpoint, &config.model, &device, listed.precision)?;
            load_optimizer(checkpoint, &mut optimizer, progress.updates, &device)?;
            let control = open_control(progress.step, progress.controller.take())?;
            warnings.extend(set_later_aside(&args.resume, &lock, progress.step)?);
            run_dir.remove_summary()?;
            run_dir.write_config(&config)?;
            (lock, (model, None), control)
        }
        Start::New => {
            let model = first_model(&config, &listed)?;
            let control = open_control(0, None)?;
            (run_dir.create(&config)?, model, control)
        }
    };
    if let Source::Text(text) = &source {
        run_dir.write_tokenizer(text.tokenizer())?;
    }
    let rules = &config.train;
    let max_norm = rules.clip.max_norm();
    let val_batches = source.val_batches(&config, config.eval.tokens)?;
    interrupt::hold();
    let mut screen = Progress::new(mode, extent.steps, progress.step);
    warnings.iter().for_each(|text| screen.warn(text));
    let resumed = matches!(start, Start::Continue(_)).then_some(progress.step);
    let sinks = open_sinks(&run_dir, &config, resumed)?;
    let watch = match resumed {
        None => Watch::new(&config.diagnosis),
        Some(_) => Watch::resume(&config.diagnosis, &run_dir.metrics())?,
    };
    let best = match (&start, config.checkpoint.keep_best) {
        (Start::Continue(_), true) => run_dir.best()?,
        _ => None,
    };
    let last = match resumed {
        None => Last::default(),
        Some(_) => Last::read(&run_dir, &config, source.bytes_per_token())?,
    };
    let session = Session {
        best,
        learner: Learner::new(
            model,
            optimizer,
            &config.model,
            seed,
            max_norm,
            Guard::new(rules.nonfinite, rules.skip_spikes, progress.guard.clone()),
            &listed,
        ),
        sinks,
        watch,
        lr_sum: RateSum::up_to(progress.step, rates(&config, extent)),
        switched,
        control,
        clock: Clock::start(),
        last,
        val_batches,
        screen,
        census: Census::new(&config.model),
        config,
        extent,
        listed,
        source,
        run_dir,
        saver: Saver::new(lock),
        progress,
    };
    session.run_dir.write_facts(&facts(&session.listed))?;
    let mut session = Box::new(session);
    session.greet(&why, origin.as_deref(), resumed)?;
    Ok(Opened::Ready(session))
}

/// Returns the weights that a run starts with, and where they are from if another run has made them.
fn first_model(config: &RunConfig, listed: &Listed) -> Result<(LoopedTransformer, Option<String>)> {
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

impl Session {
    /// Says what is about to happen.
    fn greet(&mut self, why: &str, origin: Option<&str>, resumed: Option<u64>) -> Result<()> {
        self.screen
            .note(&format!("run     {}", self.run_dir.path().display()));
        self.screen
            .note(&format!("device  {} ({why})", self.listed.label()));
        self.screen.note(&format!(
            "model   {} parameters, effective depth {} at recurrence {}",
            thousands(self.census.total() as u64),
            self.config
                .model
                .effective_depth(self.config.model.recurrence.mean),
            self.config.model.recurrence.mean,
        ));
        if let Some(origin) = origin {
            self.screen.note(&format!("weights {origin}"));
        }
        match resumed {
            None => Ok(()),
            Some(step) => {
                let mut event = self.event(Event::Resume);
                event.push("from_step", step)?;
                self.write(&event)
            }
        }
    }
}

/// Opens the training data of every `data-switch`, by the step from which on it is used.
fn open_switched(config: &RunConfig, source: &Source, mode: Mode) -> Result<Vec<(u64, Source)>> {
    let mut switched = Vec::new();
    for one in &config.perturb {
        let Perturbation::DataSwitch { at_step, data } = one else {
            continue;
        };
        let other = RunConfig {
            data: data.as_ref().clone(),
            ..config.clone()
        };
        let other = open_source(&other, mode)?;
        if !speak_alike(source, &other)? {
            return Err(Error::Usage(format!(
                "perturb at step {at_step}: its data has other tokens than the run's; give it the run's \
                 tokenizer, `tokenizer = {{ kind = \"file\", path = \"…/tokenizer.json\" }}`"
            )));
        }
        switched.push((*at_step, other));
    }
    switched.sort_by_key(|(at_step, _)| *at_step);
    Ok(switched)
}

/// Returns whether two sources have the same tokens.
fn speak_alike(one: &Source, other: &Source) -> Result<bool> {
    Ok(match (one, other) {
        (Source::Text(one), Source::Text(other)) => {
            one.tokenizer().file()? == other.tokenizer().file()?
        }
        (Source::Task(one), Source::Task(other)) => one.vocab_size() == other.vocab_size(),
        _ => false,
    })
}

/// Sets the checkpoints aside that are later than one that was asked for, and says so of each.
fn set_later_aside(resume: &Resume, lock: &RunLock, step: u64) -> Result<Vec<String>> {
    if !resume.names_a_checkpoint() {
        return Ok(Vec::new());
    }
    let told = |path: PathBuf| {
        let path = path.display();
        format!("later than where the run goes on, set aside: {path}")
    };
    Ok(set_back(lock, step)?.into_iter().map(told).collect())
}

fn open_sinks(run_dir: &RunDir, config: &RunConfig, resumed: Option<u64>) -> Result<Fanout> {
    let jsonl = match resumed {
        None => JsonlSink::create(&run_dir.metrics()),
        Some(step) => JsonlSink::open_for_resume(&run_dir.metrics(), step).map(|(sink, _)| sink),
    };
    let mut sinks: Vec<Box<dyn Sink>> = vec![Box::new(jsonl?)];
    if config.metrics.tensorboard {
        let tensorboard = TensorboardSink::open(&run_dir.tensorboard(), resumed);
        sinks.push(Box::new(Background::new(tensorboard)));
    }
    Ok(Fanout::new(sinks))
}

/// Returns the facts of a start: argv, versions, device, host.
fn facts(listed: &Listed) -> serde_json::Value {
    json!({
        "argv": std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect::<Vec<_>>(),
        "version": CREATED_BY,
        "burn": "0.22.1",
        "device": listed.label(),
        "os": std::env::consts::OS,
        "arch": std::env::consts::ARCH,
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
    })
}
