//! Training: the command, and the loop.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rondo_checkpoint::{Content, Retention, RunLock, Snapshot, TensorFile, save};
use rondo_data::{Batch, Source};
use rondo_metrics::format::{duration, thousands};
use rondo_metrics::{
    Background, Event, Fanout, JsonlSink, Mode, Progress, Record, Sink, Table, TensorboardSink,
};
use rondo_model::init::table;
use rondo_model::looped::LoopedTransformer;
use rondo_model::schedule::RateSum;
use serde_json::json;

use crate::assemble::Assembly;
use crate::cli::{CheckpointChoice, Resume, TrainArgs};
use crate::commands::dry_run;
use crate::config::RunConfig;
use crate::device::Listed;
use crate::error::{Error, Result};
use crate::evaluate::{DepthResult, Evaluation};
use crate::optim::Optimizer;
use crate::plan::StepPlan;
use crate::progress::RunProgress;
use crate::record::{self, Pace};
use crate::run_dir::{RunDir, Start, progress_file, read_progress};
use crate::source::Rows;
use crate::states::InitialStates;
use crate::step::{Learner, Observation};
use crate::weights::{
    MODEL_FILE, OPTIMIZER_FILE, load_model, load_optimizer, model_tensors, optimizer_tensors,
};
use crate::{interrupt, terminal};

/// Name and version written into checkpoints.
pub(crate) const CREATED_BY: &str = concat!("rondo ", env!("CARGO_PKG_VERSION"));

/// Runs `trainer --config FILE`.
///
/// # Errors
///
/// Whatever ends a run; see the exit codes.
pub(crate) fn command(args: &TrainArgs) -> Result<()> {
    let Some(path) = &args.config.config else {
        return Err(Error::Usage(
            "missing --config FILE; see `trainer --help`".to_owned(),
        ));
    };
    let config = RunConfig::load(path, &args.config.all_overrides())?;
    if args.print_config {
        return terminal::print(config.to_toml()?.trim_end());
    }
    let mode = if args.quiet { Mode::Quiet } else { Mode::Auto };
    if args.dry_run {
        return dry_run::command(&config, args.json.json);
    }
    refuse_nothing(&config, path)?;
    let assembly = Assembly::new(&config, mode)?;
    let run_dir = RunDir::new(&out_dir(args, path));
    let summary = match Session::open(assembly, run_dir, args, mode)? {
        Opened::Ready(mut session) => session.run()?,
        Opened::Finished(run_dir, step) => {
            return report_finished(&run_dir, step, args, mode);
        }
    };
    if args.json.json {
        terminal::print_json(&summary)
    } else {
        Ok(())
    }
}

/// Refuses to train on nothing.
fn refuse_nothing(config: &RunConfig, path: &Path) -> Result<()> {
    if !config.data.is_nothing() {
        return Ok(());
    }
    let run = path.parent().unwrap_or(path);
    Err(Error::Usage(format!(
        "{}: data.kind is `none`: there is nothing to train on; write a configuration with the same \
         [model] and with data, and start it from these weights with `[init] from = \"{}\"`",
        path.display(),
        run.display()
    )))
}

/// Returns the run directory: `--out`, the run of `--resume DIR`, or runs/<config name>.
fn out_dir(args: &TrainArgs, config: &Path) -> PathBuf {
    if let Some(out) = &args.out {
        return out.clone();
    }
    if let Resume::From(path) = &args.resume {
        let is_checkpoint = path.join("manifest.json").is_file();
        let run = path
            .parent()
            .and_then(Path::parent)
            .filter(|_| is_checkpoint);
        return run.unwrap_or(path).to_owned();
    }
    let name = config.file_stem().unwrap_or(config.as_os_str());
    Path::new("runs").join(name)
}

fn report_finished(run_dir: &RunDir, step: u64, args: &TrainArgs, mode: Mode) -> Result<()> {
    let mut screen = Progress::new(mode, step, step);
    screen.note(&format!(
        "{} is finished at step {}; nothing was changed. Train on with a larger budget \
         (--set train.steps=…), or start over with --overwrite.",
        run_dir.path().display(),
        thousands(step)
    ));
    if args.json.json {
        terminal::print_json(&run_dir.summary()?)
    } else {
        Ok(())
    }
}

/// A run in progress.
struct Session {
    config: RunConfig,
    steps: u64,
    listed: Listed,
    source: Source,
    run_dir: RunDir,
    lock: RunLock,
    learner: Learner,
    progress: RunProgress,
    lr_sum: RateSum,
    val_batches: Vec<Batch>,
    sinks: Fanout,
    screen: Progress,
    clock: Clock,
    last: Last,
}

/// What a start leads to.
enum Opened {
    /// A run to carry on with.
    Ready(Box<Session>),
    /// A run that has its budget already.
    Finished(RunDir, u64),
}

/// Time spent training, evaluations and saves left out.
struct Clock {
    started: Instant,
    since: Instant,
    paused: f64,
    steps: u64,
    tokens: u64,
}

/// The newest readings, for the summary.
#[derive(Default)]
struct Last {
    loss: Option<f64>,
    depths: Vec<DepthResult>,
}

impl Session {
    fn open(assembly: Assembly, run_dir: RunDir, args: &TrainArgs, mode: Mode) -> Result<Opened> {
        let steps = assembly.steps();
        let Assembly {
            config,
            listed,
            why,
            source,
        } = assembly;
        let mut warnings = Vec::new();
        let start = run_dir.start(&args.resume, args.overwrite, &config, steps, &mut |text| {
            warnings.push(text);
        })?;
        let device = listed.device.clone().autodiff();
        let (seed, peak) = (config.run.seed, config.schedule.peak);
        let mut optimizer = Optimizer::new(&config.optimizer, table(&config.model), peak);
        let mut progress = RunProgress::start(source.first_difficulty());
        let (lock, model) = match &start {
            Start::Finished(step) => return Ok(Opened::Finished(run_dir, *step)),
            Start::Continue(checkpoint) => {
                let lock = run_dir.lock()?;
                progress = read_progress(checkpoint)?;
                let model = load_model(checkpoint, &config.model, &device)?;
                load_optimizer(checkpoint, &mut optimizer, progress.step, &device)?;
                run_dir.write_config(&config)?;
                (lock, model)
            }
            Start::New => {
                let model = match &config.init {
                    None => LoopedTransformer::new(&config.model, seed, &device),
                    Some(init) => {
                        let from = RunDir::new(Path::new(&init.from));
                        load_model(
                            &from.checkpoint(CheckpointChoice::Latest)?,
                            &config.model,
                            &device,
                        )?
                    }
                };
                (run_dir.create(&config)?, model)
            }
        };
        if let Source::Text(text) = &source {
            run_dir.write_tokenizer(text.tokenizer())?;
        }
        let max_norm = config.train.clip.max_norm();
        let val_batches = source.val_batches(&config, config.eval.tokens)?;
        interrupt::listen()?;
        let mut screen = Progress::new(mode, steps, progress.step);
        warnings.iter().for_each(|text| screen.warn(text));
        let resumed = matches!(start, Start::Continue(_)).then_some(progress.step);
        let session = Self {
            learner: Learner::new(model, optimizer, &config.model, seed, max_norm, &listed),
            sinks: open_sinks(&run_dir, &config, resumed)?,
            lr_sum: RateSum::up_to(&config.schedule, progress.step, steps),
            clock: Clock::start(),
            last: Last::default(),
            val_batches,
            screen,
            config,
            steps,
            listed,
            source,
            run_dir,
            lock,
            progress,
        };
        session.run_dir.write_facts(&facts(&session.listed))?;
        let mut session = Box::new(session);
        session.greet(&why, resumed)?;
        Ok(Opened::Ready(session))
    }

    /// Says what is about to happen.
    fn greet(&mut self, why: &str, resumed: Option<u64>) -> Result<()> {
        let census = rondo_model::census::Census::new(&self.config.model);
        self.screen
            .note(&format!("run     {}", self.run_dir.path().display()));
        self.screen
            .note(&format!("device  {} ({why})", self.listed.label()));
        self.screen.note(&format!(
            "model   {} parameters, effective depth {} at recurrence {}",
            thousands(census.total() as u64),
            self.config
                .model
                .effective_depth(self.config.model.recurrence.mean),
            self.config.model.recurrence.mean,
        ));
        match resumed {
            None => Ok(()),
            Some(step) => {
                let mut event = self.event(Event::Resume);
                event.push("from_step", step).map_err(anyhow::Error::from)?;
                self.write(&event)
            }
        }
    }

    /// Trains to the end of the budget and returns the summary.
    fn run(&mut self) -> Result<serde_json::Value> {
        let result = self.train();
        if let Err(error @ Error::Stopped(_)) = &result {
            let mut event = self.event(Event::Nonfinite);
            event
                .push("reason", error.to_string())
                .map_err(anyhow::Error::from)?;
            self.write(&event)?;
            if self.listed.reads_are_free() && self.progress.step > 0 {
                // Nothing of the failed step has reached the weights.
                self.save()?;
            }
        }
        self.screen.finish();
        self.sinks.finish().map_err(anyhow::Error::from)?;
        result?;
        self.summarise()
    }

    fn train(&mut self) -> Result<()> {
        if self.progress.step == 0 {
            self.evaluate()?;
        }
        self.screen.status(match self.listed.reads_are_free() {
            true => "first step …",
            false => "first step: compiling kernels …",
        });
        while self.progress.step < self.steps {
            let plan = StepPlan::new(&self.config, self.progress.step + 1, self.steps);
            let curriculum = self.progress.curriculum;
            let batches =
                self.source
                    .micro_batches(&self.config, plan.step, curriculum.as_ref())?;
            let observation = self.learner.step(&plan, &batches)?;
            self.advance(&plan, &batches)?;
            if let Some(seen) = observation {
                self.log(&plan, &seen)?;
            }
            if plan.evaluated {
                self.evaluate()?;
            }
            if plan.saved || interrupt::asked() {
                self.save()?;
            }
            if interrupt::asked() && self.progress.step < self.steps {
                return Err(Error::Interrupted(format!(
                    "interrupted after step {}; the same command goes on from there",
                    self.progress.step
                )));
            }
        }
        Ok(())
    }

    /// Counts a step.
    fn advance(&mut self, plan: &StepPlan, batches: &[Batch]) -> Result<()> {
        let tokens: usize = batches.iter().map(|batch| batch.batch * batch.seq).sum();
        self.progress.step = plan.step;
        self.progress.tokens += tokens as u64;
        self.clock.steps += 1;
        self.clock.tokens += tokens as u64;
        self.lr_sum.add(plan.lr);
        if let Some(drawn) = plan.draw.clamped_from {
            self.progress.clamped += 1;
            let mut event = self.event(Event::DepthClamped);
            event
                .push("drawn", drawn)
                .and_then(|event| event.push("to", self.config.model.recurrence.max))
                .map_err(anyhow::Error::from)?;
            self.write(&event)?;
        }
        Ok(())
    }

    /// Logs what a step told, and raises a task's difficulty where it has been mastered.
    fn log(&mut self, plan: &StepPlan, seen: &Observation) -> Result<()> {
        let seconds = self.clock.take();
        let (steps, tokens) = (
            std::mem::take(&mut self.clock.steps),
            std::mem::take(&mut self.clock.tokens),
        );
        let per_second = tokens as f64 / seconds.max(f64::MIN_POSITIVE);
        let census = rondo_model::census::Census::new(&self.config.model);
        let seq = self
            .source
            .seq(&self.config, self.progress.curriculum.as_ref());
        let flops = per_second * census.flops_per_token(plan.draw.unroll, seq);
        let pace = Pace {
            tokens_per_second: per_second,
            step_seconds: seconds / steps.max(1) as f64,
            mfu: self.config.metrics.peak_flops.map(|peak| flops / peak),
            memory_bytes: self.listed.memory_bytes(),
            lr_sum: self.lr_sum.value(),
        };
        let record =
            record::train(plan, &self.progress, seen, &pace).map_err(anyhow::Error::from)?;
        self.last.loss = Some(seen.loss);
        self.write(&record)?;
        self.screen.train(&record);
        self.advance_curriculum(plan, seen)
    }

    fn advance_curriculum(&mut self, plan: &StepPlan, seen: &Observation) -> Result<()> {
        let (Source::Task(task), Some(state)) = (&self.source, self.progress.curriculum) else {
            return Ok(());
        };
        let recurrence = plan.draw.unroll.total();
        let Some(next) = state.advance(task.curriculum(), seen.accuracy, recurrence) else {
            return Ok(());
        };
        self.progress.curriculum = Some(next);
        let mut event = self.event(Event::Curriculum);
        event
            .push("difficulty", next.difficulty)
            .map_err(anyhow::Error::from)?;
        self.write(&event)
    }

    fn evaluate(&mut self) -> Result<()> {
        let paused = Instant::now();
        let mean = self.config.model.recurrence.planned().total();
        let mut depths = self.config.eval.recurrence.clone();
        depths.push(mean);
        let states = InitialStates::Seed(self.config.run.seed);
        let evaluation = Evaluation {
            config: &self.config.model,
            states: &states,
            depths: &depths,
            exits: &[],
            max_iterations: 0,
            batches: &self.val_batches,
            bytes_per_token: self.source.bytes_per_token(),
            task: self.config.data.is_task(),
            device: &self.listed.device,
        };
        let total = self.val_batches.len();
        let screen = &mut self.screen;
        let evaluated = evaluation.run(&self.learner.model, |done| {
            // A line for each batch would be noise where there is no live line.
            if done == 1 {
                screen.status(&format!(
                    "evaluating {total} batches at {} depths …",
                    depths.len()
                ));
            }
        })?;
        let results = evaluated.depths;
        let unigram = match (&self.source, self.progress.step) {
            (Source::Text(text), 0) => Some(text.unigram_cross_entropy()),
            _ => None,
        };
        let configured = &self.config.eval.recurrence;
        let record = record::eval(&self.progress, &results, configured, mean, unigram)
            .map_err(anyhow::Error::from)?;
        self.last.depths = results
            .into_iter()
            .filter(|depth| configured.contains(&depth.recurrence))
            .collect();
        self.write(&record)?;
        self.screen.eval(&record);
        self.clock.paused += paused.elapsed().as_secs_f64();
        Ok(())
    }

    fn save(&mut self) -> Result<()> {
        let paused = Instant::now();
        let file = |tensors| {
            TensorFile::new(tensors, BTreeMap::new()).map_err(|error| Error::Other(error.into()))
        };
        let model = file(model_tensors(&self.learner.model, &self.config.model))?;
        let moments = file(optimizer_tensors(&self.learner.optimizer))?;
        let (progress_name, progress) = progress_file(&self.progress)?;
        let files: [(&str, &dyn Content); 3] = [
            (MODEL_FILE, &model),
            (OPTIMIZER_FILE, &moments),
            (progress_name, &progress),
        ];
        let config_hash = blake3::hash(self.config.to_toml()?.as_bytes()).to_hex();
        let snapshot = Snapshot {
            step: self.progress.step,
            config_hash: &config_hash,
            created_by: CREATED_BY,
            files: &files,
        };
        let retention = Retention {
            keep_last: self.config.checkpoint.keep_last,
            keep_every: self.config.checkpoint.keep_every,
            keep_best: None,
        };
        let entry = save(&self.lock, &snapshot, &retention)?;
        let mut event = self.event(Event::Checkpoint);
        event
            .push("bytes", entry.size)
            .map_err(anyhow::Error::from)?;
        self.write(&event)?;
        self.clock.paused += paused.elapsed().as_secs_f64();
        Ok(())
    }

    /// Starts an event's record.
    fn event(&self, event: Event) -> Record {
        Record::event(self.progress.step, self.progress.tokens, event)
    }

    /// Writes a record everywhere; an event is shown too.
    fn write(&mut self, record: &Record) -> Result<()> {
        self.sinks.write(record).map_err(anyhow::Error::from)?;
        while let Some(warning) = self.sinks.warning() {
            self.screen.warn(&warning);
        }
        if record.which_event().is_some() {
            self.screen.event(record);
        }
        Ok(())
    }

    /// Writes the summary and shows the last evaluation.
    fn summarise(&mut self) -> Result<serde_json::Value> {
        let summary = json!({
            "step": self.progress.step,
            "tokens": self.progress.tokens,
            "final_loss": self.last.loss,
            "clamped_draws": self.progress.clamped,
            "depths": self.last.depths,
            "device": self.listed.label(),
        });
        self.run_dir.write_summary(&summary)?;
        self.screen
            .note(&depth_table(&self.last.depths).to_string());
        self.screen.note(&format!(
            "finished in {}: {}",
            duration(self.clock.started.elapsed().as_secs_f64()),
            self.run_dir.path().display()
        ));
        Ok(summary)
    }
}

impl Clock {
    fn start() -> Self {
        let now = Instant::now();
        Self {
            started: now,
            since: now,
            paused: 0.0,
            steps: 0,
            tokens: 0,
        }
    }

    /// Returns the seconds of training since the last call.
    fn take(&mut self) -> f64 {
        let seconds = self.since.elapsed().as_secs_f64() - self.paused;
        self.since = Instant::now();
        self.paused = 0.0;
        seconds
    }
}

/// Returns the table of an evaluation.
pub(crate) fn depth_table(depths: &[DepthResult]) -> Table {
    let tasks = depths.iter().any(|depth| depth.accuracy.is_some());
    let last = if tasks { "accuracy" } else { "bits/byte" };
    let mut table = Table::new(&["recurrence", "loss", "perplexity", last]);
    for depth in depths {
        let number = |x: f64| format!("{x:.4}");
        table.row([
            depth.recurrence.to_string(),
            number(depth.loss),
            format!("{:.3}", depth.perplexity),
            rondo_metrics::format::or_missing(depth.accuracy.or(depth.bits_per_byte), number),
        ]);
    }
    table
}

fn open_sinks(run_dir: &RunDir, config: &RunConfig, resumed: Option<u64>) -> Result<Fanout> {
    let jsonl = match resumed {
        None => JsonlSink::create(&run_dir.metrics()),
        Some(step) => JsonlSink::open_for_resume(&run_dir.metrics(), step).map(|(sink, _)| sink),
    };
    let mut sinks: Vec<Box<dyn Sink>> = vec![Box::new(jsonl.map_err(anyhow::Error::from)?)];
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
