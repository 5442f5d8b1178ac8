//! How a session opens: whatever its loop needs, found, read and made, and what it says then.

use rondo_config::Difference;
use rondo_data::{CorpusIdentity, Source};
use rondo_metrics::format::thousands;
use rondo_metrics::{Event, Mode, Progress};
use rondo_model::census::Census;
use serde_json::json;

use super::TrainOptions;
use super::corpora::Corpora;
use super::evaluation::Validation;
use super::journal::Journal;
use super::keeper::Keeper;
use super::launches::{Build, Launch, in_force};
use super::session::Session;
use super::setup::{Resumed, Setting, Setup};
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
    let Assembly {
        config,
        listed,
        why,
        source,
    } = Assembly::new(config, own.as_ref(), mode)?;
    if !options.force {
        Capacity::of(&listed).refuse_beyond(&config)?;
    }
    let corpora = Corpora::open(source, &config, own.as_ref(), mode)?;
    let source = corpora.own();
    let val_batches = corpora.first_rows(&config)?;
    let setting = Setting {
        config: &config,
        listed: &listed,
        run_dir: &run_dir,
        source,
    };
    let extent = config.extent();
    warnings.extend(config.recorded().warnings(extent));
    if let Some(going) = &going {
        let step = going.progress.step;
        let before = match in_force(&run_dir, step)? {
            Some(before) => before,
            None => run_dir.config()?,
        };
        warnings.extend(config.recorded().seam_warning(extent, &before, step));
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
    let mut doubts = Vec::new();
    if let Source::Text(text) = source {
        run_dir.keep_tokenizer(text.tokenizer())?;
        let of_corpus = text.info().warnings.iter();
        doubts.extend(of_corpus.map(|text| format!("corpus: {text}")));
        doubts.extend(text.tokenizer().doubt());
    }
    let identities = corpora.identities();
    progress.data = identities
        .iter()
        .map(|(_, corpus)| corpus.clone())
        .collect();
    interrupt::hold();
    let mut screen = Progress::new(mode, extent.steps, progress.step);
    let shown = warnings.iter().chain(&doubts);
    shown.for_each(|text| screen.warn(text));
    let bytes_per_token = Rows::new(source, &config).bytes_per_token(&val_batches)?;
    let resumed_at = resumed.as_ref().map(|resumed| resumed.step);
    let written = setting.written(resumed_at, bytes_per_token)?;
    run_dir.write_facts(&facts(&listed))?;
    let config_hash = config.recorded().hash()?;
    let mut session = Session {
        keeper: Keeper::new(lock, &config.checkpoint, config_hash, written.best),
        journal: Journal::new(written, screen),
        validation: Validation {
            batches: val_batches,
            bytes_per_token,
        },
        config,
        listed,
        run_dir,
        corpora,
        learner,
        control,
        progress,
    };
    session.greet(&why, origin.as_deref());
    if let Some(resumed) = resumed {
        session.record_resumed(&resumed, &identities)?;
    }
    session.record_launch(options.build)?;
    Ok(session)
}

impl Session {
    /// Says what is about to happen.
    fn greet(&mut self, why: &str, origin: Option<&str>) {
        let (model, journal) = (&self.config.model, &mut self.journal);
        journal.note(&format!("run     {}", self.run_dir.path().display()));
        journal.note(&format!("device  {} ({why})", self.listed.label()));
        journal.note(&format!(
            "model   {} parameters, effective depth {} at recurrence {}",
            thousands(Census::new(model).total() as u64),
            model.effective_depth(model.recurrence.mean),
            model.recurrence.mean,
        ));
        if let Some(origin) = origin {
            journal.note(&format!("weights {origin}"));
        }
    }

    /// Records where the run is resumed, and every key and every text that has changed.
    fn record_resumed(
        &mut self,
        resumed: &Resumed,
        corpora: &[(String, CorpusIdentity)],
    ) -> Result<()> {
        let mut event = self.progress.event(Event::Resume);
        event.push("from_step", resumed.step)?;
        self.journal.write(&event)?;
        let mut told = Vec::new();
        for Difference { key, left, right } in &resumed.changed {
            let shown =
                |value: &Option<String>| value.clone().unwrap_or_else(|| "absent".to_owned());
            let (from, to) = (shown(left), shown(right));
            told.push(format!("{key} {from} → {to}"));
            let mut event = self.progress.event(Event::KeyChanged);
            event
                .push("key", key.as_str())?
                .push("from", from)?
                .push("to", to)?;
            self.journal.write(&event)?;
        }
        if !told.is_empty() {
            let (step, told) = (thousands(resumed.step), told.join(", "));
            self.journal
                .note(&format!("resumed at {step}; changed: {told}"));
        }
        for (what, change) in changes(&resumed.seen, corpora) {
            let mut event = self.progress.event(Event::DataChanged);
            event.push("what", what)?.push("now", change)?;
            self.journal.write(&event)?;
        }
        Ok(())
    }

    /// Records how the steps to come are trained: last, so that a start that is killed before has changed nothing.
    fn record_launch(&self, build: Build) -> Result<()> {
        let first_step = self.progress.step + 1;
        let recorded = self.config.recorded();
        Launch::new(recorded, &self.listed, build, first_step).append(&self.run_dir)?;
        self.run_dir.write_config(recorded)
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
