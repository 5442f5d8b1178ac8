//! Opens a session: finds, reads and creates everything that the training loop needs, and shows the
//! first lines.

use std::sync::Arc;

use rondo_config::Difference;
use rondo_data::{CorpusIdentity, DataError, Source};
use rondo_metrics::format::thousands;
use rondo_metrics::{Event, Mode, Progress};
use rondo_model::census::Census;
use serde_json::json;

use super::TrainOptions;
use super::corpora::Corpora;
use super::evaluation::Validation;
use super::expected::Foreseen;
use super::found::Beginning;
use super::joined::Setup;
use super::journal::Journal;
use super::keeper::Keeper;
use super::launches::{Build, Launch, in_force};
use super::ranks::Ranks;
use super::session::Session;
use super::setup::{Resumed, Setting, Taken, Written};
use super::start::Going;
use crate::assemble::Assembly;
use crate::capacity::Capacity;
use crate::config::{RunConfig, validation_warning};
use crate::device::Listed;
use crate::distributed::{World, cores};
use crate::error::{Error, Result};
use crate::interrupt;
use crate::own_tokenizer::changes;
use crate::rows::Rows;
use crate::run_dir::{CREATED_BY, RunDir};

/// The version of Burn that the workspace uses. Burn itself does not report its version.
const BURN_VERSION: &str = "0.22.1";

/// Opens the session of a new or resumed run, on every rank. An error on one rank ends all ranks.
///
/// # Errors
///
/// When the run directory must not be written, a checkpoint is damaged or belongs to another model,
/// a text was encoded with another tokenizer or is too short, or the run does not fit into memory.
pub(super) fn open(
    config: &RunConfig,
    run_dir: RunDir,
    beginning: Beginning,
    options: &TrainOptions,
    mut warnings: Vec<String>,
    mode: Mode,
    ranks: Ranks,
) -> Result<Session> {
    let world = &ranks.world;
    let (own, going) = (beginning.own.as_ref(), beginning.going);
    let Assembly {
        config,
        listed,
        why,
        source,
    } = Assembly::on(world, config, own, mode)?;
    let capacity = Capacity::of(&listed);
    let capacity = capacity.among(world.world_size(), world.place().local_size);
    if !options.force {
        world.agree(capacity.refuse_beyond(&config))?;
    }
    let corpora = world.in_turns(|| Corpora::open(source, &config, own, mode))?;
    let source = corpora.own();
    let val_batches = world.agree(corpora.first_rows(&config))?;
    let identities = corpora.identities();
    refuse_other_data(world, &identities)?;
    let setting = Setting {
        config: &config,
        listed: &listed,
        run_dir: &run_dir,
        source,
    };
    let extent = config.extent();
    warnings.extend(config.recorded().warnings(extent));
    warnings.extend(validation_warning(&config, &val_batches));
    // The speed is read first: a new run that replaces another one removes the records that contain
    // the speed.
    let speed = setting.speed(world);
    let taken =
        world.by_first(|| take(setting, going, options, &mut |text| warnings.push(text)))?;
    let (setup, first) = setting.share(world, taken)?;
    let Setup {
        learner,
        mut progress,
        control,
        resumed_at,
    } = setup;
    let bytes_per_token = Rows::new(source, &config).bytes_per_token(&val_batches);
    let bytes_per_token = world.agree(bytes_per_token.map_err(Error::from))?;
    let written = world.by_first(|| {
        let first = first.as_ref().expect("rank 0 has it");
        setting.make_ready(first, options, &mut |text| warnings.push(text))?;
        if let Source::Text(text) = source {
            run_dir.keep_tokenizer(text.tokenizer())?;
        }
        let written = setting.written(resumed_at, &progress, bytes_per_token)?;
        run_dir.write_facts(&facts(&listed, &ranks))?;
        Ok(written)
    })?;
    let written = world.agree(written_on(&setting, world, written))?;
    progress.data = identities
        .iter()
        .map(|(_, corpus)| corpus.clone())
        .collect();
    interrupt::hold();
    let foreseen = setting.foresee(&capacity, progress.step, speed);
    warnings.extend(foreseen.costs.warning());
    warnings.extend(doubts(source));
    let mut screen =
        Progress::new(mode, extent.steps, progress.step).logging_every(config.train.log_every);
    warnings.iter().for_each(|text| screen.warn(text));
    let val_sources = world.agree(corpora.val_sources(&config))?;
    let config_hash = world.agree(config.recorded().hash())?;
    let (origin, resumed, keeper) = match first {
        Some(first) => {
            let keeper = Keeper::new(first.lock, &config.checkpoint, config_hash, written.best);
            (first.origin, first.resumed, Some(keeper))
        }
        None => (None, None, None),
    };
    let mut session = Session {
        keeper,
        journal: Journal::new(written, screen, foreseen.expected(&config)),
        validation: Validation {
            sources: val_sources,
            batches: val_batches,
            bytes_per_token,
        },
        config,
        listed,
        run_dir,
        corpora: Arc::new(corpora),
        learner,
        control,
        progress,
        ranks,
        has_stepped: false,
    };
    session.greet(&why, origin.as_deref(), &foreseen);
    let recorded = match resumed {
        Some(resumed) => session.record_resumed(&resumed, &identities),
        None => Ok(()),
    };
    let recorded = recorded.and_then(|()| session.record_launch(options.build));
    session.ranks.world.clone().agree(recorded)?;
    if let Some(step) = resumed_at {
        session.ranks.world.has_saved(step);
    }
    session.ranks.world.stands_at(session.progress.step);
    Ok(session)
}

/// Returns the initial state of a new run, or the state at a checkpoint of a resumed run. Calls
/// `warn` if the learning rate changes suddenly at the resume.
fn take(
    setting: Setting<'_>,
    going: Option<Box<Going>>,
    options: &TrainOptions,
    warn: &mut dyn FnMut(String),
) -> Result<Taken> {
    let Some(going) = going else {
        return setting.begin(options.overwrite);
    };
    let (config, step) = (setting.config, going.progress.step);
    let before = match in_force(setting.run_dir, step)? {
        Some(before) => before,
        None => setting.run_dir.config()?,
    };
    let seam = config.recorded();
    seam.seam_warning(config.extent(), &before, step)
        .into_iter()
        .for_each(warn);
    setting.go_on(*going)
}

/// Returns warnings about a text corpus and its tokenizer.
fn doubts(source: &Source) -> Vec<String> {
    let Source::Text(text) = source else {
        return Vec::new();
    };
    let of_corpus = text.warnings().iter().map(|text| format!("corpus: {text}"));
    of_corpus.chain(text.tokenizer().doubt()).collect()
}

/// Returns what the run has written. Ranks without files compute this from the records that rank 0
/// sends.
fn written_on(setting: &Setting<'_>, world: &World, written: Option<Written>) -> Result<Written> {
    if world.is_alone() {
        return Ok(written.expect("rank 0 has opened its files"));
    }
    let metrics = setting.run_dir.metrics();
    let records = match &written {
        Some(_) => std::fs::read(&metrics)
            .map_err(|error| anyhow::anyhow!("cannot read {}: {error}", metrics.display()).into()),
        None => Ok(Vec::new()),
    };
    let records = world.broadcast_bytes(0, world.agree(records)?)?;
    match written {
        Some(written) => Ok(written),
        None => setting.heard(&records),
    }
}

/// Returns an error if a rank's texts have other tokens than those of rank 0.
fn refuse_other_data(world: &World, identities: &[(String, CorpusIdentity)]) -> Result<()> {
    let mine: Vec<&CorpusIdentity> = identities.iter().map(|(_, corpus)| corpus).collect();
    let mine = serde_json::to_vec(&mine).map_err(anyhow::Error::from)?;
    world.refuse_others(&mine, |who| {
        Error::Data(DataError::Corpus(format!(
            "{who} has other tokens than rank 0, from another text or another tokenizer: give every host the same files"
        )))
    })
}

impl Session {
    /// Shows the run, its device, its model and its expected costs.
    fn greet(&mut self, why: &str, origin: Option<&str>, foreseen: &Foreseen) {
        let (model, journal) = (&self.config.model, &mut self.journal);
        journal.note(&format!("run     {}", self.run_dir.path().display()));
        journal.note(&format!("device  {} ({why})", self.listed.label()));
        journal.note(&format!("speed   {}", self.listed.speed()));
        if let Some(told) = self.ranks.label() {
            journal.note(&format!("ranks   {told}"));
        }
        journal.note(&format!(
            "model   {} parameters, effective depth {} at recurrence {}",
            thousands(Census::new(model).total() as u64),
            model.effective_depth(model.recurrence.mean),
            model.recurrence.mean,
        ));
        if let Some(origin) = origin {
            journal.note(&format!("weights {origin}"));
        }
        foreseen.lines().for_each(|line| journal.note(&line));
        let (world, share) = (&self.ranks.world, self.ranks.share);
        if world.is_alone() {
            return;
        }
        if !share.has_the_bits_of_one_process() {
            journal.note(&format!(
                "{} micro-batches on each rank are no power of two: sums differ from those of one process in the last digits",
                share.count
            ));
        }
        if !self.listed.reads_are_free() {
            journal.note("gradients go through the memory of the host: down and up once a step");
        }
        let (allowed, online) = cores();
        if let Some(warning) = world.place().binding_warning(allowed, online) {
            journal.warn(&warning);
        }
    }

    /// Records that the run was resumed, and every key and every text that has changed.
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

    /// Records how the next steps are trained. This is the last action of a start: a start that is
    /// killed before it has not changed the records of earlier steps.
    fn record_launch(&self, build: Build) -> Result<()> {
        if self.keeper.is_none() {
            return Ok(());
        }
        let first_step = self.progress.step + 1;
        let recorded = self.config.recorded();
        Launch::new(recorded, &self.listed, build, first_step).append(&self.run_dir)?;
        self.run_dir.write_config(recorded)
    }
}

/// Returns facts about this launch: command line, versions, device, host and ranks.
fn facts(listed: &Listed, ranks: &Ranks) -> serde_json::Value {
    let mut facts = json!({
        "argv": std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect::<Vec<_>>(),
        "version": CREATED_BY,
        "burn": BURN_VERSION,
        "device": listed.label(),
        "os": std::env::consts::OS,
        "arch": std::env::consts::ARCH,
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
    });
    if let Some(told) = ranks.label() {
        facts["ranks"] = told.into();
        facts["world_size"] = ranks.world.world_size().into();
        facts["hosts"] = ranks.world.hosts().into();
    }
    facts
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
