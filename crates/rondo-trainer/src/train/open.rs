//! How a session opens: whatever its loop needs, found, read and made, and what it says then.

use rondo_data::Source;
use rondo_metrics::format::thousands;
use rondo_metrics::{Event, Mode, Progress};
use rondo_model::census::Census;
use rondo_model::schedule::RateSum;
use serde_json::json;

use super::CREATED_BY;
use super::clock::Clock;
use super::saver::Saver;
use super::session::Session;
use super::standing::{Setting, Standing, Written};
use super::start::Start;
use crate::assemble::{Assembly, open_source};
use crate::cli::TrainArgs;
use crate::config::RunConfig;
use crate::device::Listed;
use crate::error::{Error, Result};
use crate::interrupt;
use crate::perturb::Perturbation;
use crate::plan::rates;
use crate::run_dir::RunDir;
use crate::source::Rows;

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
    let setting = Setting {
        config: &config,
        listed: &listed,
        run_dir: &run_dir,
    };
    let mut warnings = config.warnings(extent);
    let mut warn = |text| warnings.push(text);
    let start = Start::find(
        &run_dir,
        &args.resume,
        args.overwrite,
        &config,
        extent.steps,
        &mut warn,
    )?;
    if let Start::Continue(checkpoint) = &start
        && let Some(text) = config.seam_warning(extent, &run_dir.config()?, checkpoint.step())
    {
        warn(text);
    }
    let switched = open_switched(&config, &source, mode)?;
    let Standing {
        lock,
        learner,
        origin,
        progress,
        control,
        resumed,
    } = match start {
        Start::Finished(step) => return Ok(Opened::Finished(run_dir, step)),
        Start::Continue(checkpoint) => setting.go_on(&checkpoint, &args.resume, &mut warn)?,
        Start::New => setting.begin(source.first_difficulty())?,
    };
    if let Source::Text(text) = &source {
        run_dir.write_tokenizer(text.tokenizer())?;
    }
    let val_batches = source.val_batches(&config, config.eval.tokens)?;
    interrupt::hold();
    let mut screen = Progress::new(mode, extent.steps, progress.step);
    warnings.iter().for_each(|text| screen.warn(text));
    let Written {
        sinks,
        watch,
        last,
        best,
    } = setting.written(resumed, source.bytes_per_token())?;
    run_dir.write_facts(&facts(&listed))?;
    let mut session = Box::new(Session {
        lr_sum: RateSum::up_to(progress.step, rates(&config, extent)),
        clock: Clock::start(),
        census: Census::new(&config.model),
        saver: Saver::new(lock),
        config,
        extent,
        listed,
        source,
        switched,
        run_dir,
        learner,
        progress,
        best,
        val_batches,
        sinks,
        screen,
        last,
        watch,
        control,
    });
    session.greet(&why, origin.as_deref(), resumed)?;
    Ok(Opened::Ready(session))
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
