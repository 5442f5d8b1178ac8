//! How a session opens: whatever its loop needs, found, read and made, and what it says then.

use rondo_config::Difference;
use rondo_data::{CorpusIdentity, Source};
use rondo_metrics::format::thousands;
use rondo_metrics::{Event, Mode, Progress};
use rondo_model::census::Census;
use serde_json::json;

use super::TrainOptions;
use super::clock::Clock;
use super::corpora::{first_rows, identities, open_switched};
use super::launches::{Build, Launch, in_force};
use super::saver::Saver;
use super::session::Session;
use super::setup::{Resumed, Setting, Setup, Written};
use super::start::Going;
use crate::assemble::Assembly;
use crate::capacity::Capacity;
use crate::config::RunConfig;
use crate::device::Listed;
use crate::error::Result;
use crate::interrupt;
use crate::own_tokenizer::{OwnTokenizer, changes};
use crate::rows::Rows;
use crate::run_dir::{CREATED_BY, RunDir};

/// The version of Burn, which the workspace pins; Burn itself does not tell it.
const BURN_VERSION: &str = "0.22.1";

/// Opens the session of a run that is started, or goes on.
///
/// # Errors
///
/// Where the run directory must not be written, a checkpoint is damaged or of another model, or a text is encoded by
/// another tokenizer or too short, or the run does not fit into memory.
pub(super) fn open(
    config: &RunConfig,
    run_dir: RunDir,
    going: Option<Box<Going>>,
    options: &TrainOptions,
    mut warnings: Vec<String>,
    mode: Mode,
) -> Result<Session> {
    let own = match &going {
        Some(going) => OwnTokenizer::of_run(&run_dir, &going.progress.data)?,
        None => None,
    };
    let assembly = Assembly::new(config, own.as_ref(), mode)?;
    let extent = assembly.extent();
    let Assembly {
        config,
        listed,
        why,
        source,
    } = assembly;
    if !options.force {
        let longest = Rows::new(&source, &config).longest();
        Capacity::of(&listed, longest).refuse_beyond(&config)?;
    }
    let switched = open_switched(&config, &source, own.as_ref(), mode)?;
    let val_batches = first_rows(&config, &source, &switched)?;
    let setting = Setting {
        config: &config,
        listed: &listed,
        run_dir: &run_dir,
        source: &source,
        extent,
    };
    warnings.extend(config.warnings(extent));
    if let Some(going) = &going {
        let step = going.progress.step;
        let before = match in_force(&run_dir, step)? {
            Some(before) => before,
            None => run_dir.config()?,
        };
        warnings.extend(config.seam_warning(extent, &before, step));
    }
    let Setup {
        lock,
        learner,
        origin,
        mut progress,
        control,
        resumed,
    } = match going {
        Some(going) => setting.go_on(*going, &options.resume, &mut |text| warnings.push(text))?,
        None => setting.begin(options.overwrite)?,
    };
    if let Source::Text(text) = &source {
        run_dir.keep_tokenizer(text.tokenizer())?;
    }
    let corpora = identities(&source, &switched);
    progress.data = corpora.iter().map(|(_, corpus)| corpus.clone()).collect();
    interrupt::hold();
    let mut screen = Progress::new(mode, extent.steps, progress.step);
    warnings.iter().for_each(|text| screen.warn(text));
    if let Source::Text(text) = &source {
        let of_corpus = text.info().warnings.iter();
        of_corpus.for_each(|text| screen.warn(&format!("corpus: {text}")));
        if let Some(doubt) = text.tokenizer().doubt() {
            screen.warn(&doubt);
        }
    }
    let bytes_per_token = Rows::new(&source, &config).bytes_per_token(&val_batches)?;
    let Written {
        sinks,
        watch,
        summary,
        best,
        seconds,
    } = setting.written(
        resumed.as_ref().map(|resumed| resumed.step),
        bytes_per_token,
    )?;
    run_dir.write_facts(&facts(&listed))?;
    let mut session = Session {
        clock: Clock::start(seconds),
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
        bytes_per_token,
        sinks,
        screen,
        summary,
        watch,
        control,
    };
    session.greet(&why, origin.as_deref());
    if let Some(resumed) = resumed {
        session.tell_resumed(&resumed, &corpora)?;
    }
    session.record_launch(options.build)?;
    Ok(session)
}

impl Session {
    /// Says what is about to happen.
    fn greet(&mut self, why: &str, origin: Option<&str>) {
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
    }

    /// Tells where the run goes on, and every key and every text that is not as it was.
    fn tell_resumed(
        &mut self,
        resumed: &Resumed,
        corpora: &[(String, CorpusIdentity)],
    ) -> Result<()> {
        let mut event = self.event(Event::Resume);
        event.push("from_step", resumed.step)?;
        self.write(&event)?;
        let mut told = Vec::new();
        for Difference { key, left, right } in &resumed.changed {
            let shown =
                |value: &Option<String>| value.clone().unwrap_or_else(|| "absent".to_owned());
            let (from, to) = (shown(left), shown(right));
            told.push(format!("{key} {from} → {to}"));
            let mut event = self.event(Event::KeyChanged);
            event
                .push("key", key.as_str())?
                .push("from", from)?
                .push("to", to)?;
            self.write(&event)?;
        }
        if !told.is_empty() {
            let (step, told) = (thousands(resumed.step), told.join(", "));
            self.screen
                .note(&format!("resumed at {step}; changed: {told}"));
        }
        for (what, change) in changes(&resumed.seen, corpora) {
            let mut event = self.event(Event::DataChanged);
            event.push("what", what)?.push("now", change)?;
            self.write(&event)?;
        }
        Ok(())
    }

    /// Records how the steps to come are trained: last, so that a start that is killed before has changed nothing.
    fn record_launch(&self, build: Build) -> Result<()> {
        let first_step = self.progress.step + 1;
        Launch::new(&self.config, &self.listed, build, first_step).append(&self.run_dir)?;
        self.run_dir.write_config(&self.config)
    }
}

/// Returns the facts of a start: argv, versions, device, host.
fn facts(listed: &Listed) -> serde_json::Value {
    json!({
        "argv": std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect::<Vec<_>>(),
        "version": CREATED_BY,
        "burn": BURN_VERSION,
        "device": listed.label(),
        "os": std::env::consts::OS,
        "arch": std::env::consts::ARCH,
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_burn_in_run_json_is_the_pinned_one() {
        let manifest: toml::Table = include_str!("../../../../Cargo.toml")
            .parse()
            .expect("the workspace's manifest is TOML");
        let pinned = &manifest["workspace"]["dependencies"]["burn"]["version"];
        assert_eq!(pinned.as_str(), Some(&*format!("={BURN_VERSION}")));
    }
}
