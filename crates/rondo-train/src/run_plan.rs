//! Plans runs before they are trained: one from a configuration file, or many from a sweep file.

use std::path::{Path, PathBuf};

use rondo_config::{Document, to_toml};
use rondo_data::{DataConfig, Source};
use rondo_metrics::Mode;
use rondo_schedule::Run;
use rondo_sweep::{Planned, SweepDir, SweepFile};

use crate::assemble::open_source;
use crate::config::{ResolvedConfig, RunConfig, file};
use crate::error::{Error, Result};
use crate::rows::longest_row;
use crate::run_name;

/// The name and the configuration of a run.
pub struct PlannedRun {
    /// The configuration's file name, or the run's name in its sweep.
    pub name: String,
    /// The configuration of the run.
    pub config: RunConfig,
}

/// A sweep file, with the configuration of each of its runs.
pub struct PlannedSweep {
    /// The sweep file.
    pub file: SweepFile,
    /// The text of the configuration that every run starts from.
    pub base: String,
    /// Every run, in order.
    pub runs: Vec<(Planned, RunConfig)>,
}

impl PlannedSweep {
    /// Reads the sweep file at `path`. `overrides` change the base configuration.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or when the sweep file, the base configuration or the
    /// configuration of a run is invalid. All violations of the first invalid configuration are
    /// reported together.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self> {
        let file = SweepFile::parse(&path.display().to_string(), &read(path)?)?;
        let base_path = PathBuf::from(file.base());
        let text = read(&base_path)
            .map_err(|error| Error::Usage(format!("{}: base: {error}", path.display())))?;
        let name = base_path.display().to_string();
        let has_base = Document::parse(&name, &text)?
            .flatten()
            .contains_key("base");
        let base = match (overrides, has_base) {
            ([], false) => text,
            _ => {
                RunConfig::load(&base_path, overrides)?;
                let mut changed = file::open(&base_path)?;
                for one in overrides {
                    changed.set(one);
                }
                to_toml(&changed.table()?).map_err(anyhow::Error::from)?
            }
        };
        let of = |run: &Planned| {
            let config = RunConfig::read(&name, &base, &run.assignments());
            let config = config.map_err(|error| {
                Error::Usage(format!("{}, run {}: {error}", path.display(), run.name))
            })?;
            Ok((run.clone(), config))
        };
        let runs = file.runs().iter().map(of).collect::<Result<_>>()?;
        Ok(Self { file, base, runs })
    }

    /// Gives the runs the names that they have in the sweep at `path`. If an earlier version has
    /// started a sweep there, its names stay.
    ///
    /// # Errors
    ///
    /// When the file system reports an error.
    pub fn named_as_at(&mut self, path: &Path) -> Result<()> {
        let dir = SweepDir::new(path, &self.file)?;
        for ((run, _), there) in self.runs.iter_mut().zip(dir.plan()) {
            run.clone_from(there);
        }
        Ok(())
    }

    /// Calls `visit` for every run, with the run's data. Data is prepared on first use.
    ///
    /// # Errors
    ///
    /// The errors of [`open_source`] and of `visit`.
    pub fn with_data<'a>(
        &'a self,
        mode: Mode,
        visit: &mut dyn FnMut(&'a Planned, &'a RunConfig, &Source) -> Result<()>,
    ) -> Result<()> {
        let mut opened: Option<(&DataConfig, Source)> = None;
        for (run, config) in &self.runs {
            let source = match opened.take() {
                Some((data, source)) if *data == config.data => source,
                _ => open_source(config, mode)?,
            };
            visit(run, config, &source)?;
            opened = Some((&config.data, source));
        }
        Ok(())
    }
}

/// Reads the runs that a file describes: one if the file is a run configuration, all runs if it is
/// a sweep.
///
/// # Errors
///
/// The errors of [`RunConfig::load`] and [`PlannedSweep::load`].
pub fn runs_of(path: &Path, overrides: &[String]) -> Result<Vec<PlannedRun>> {
    let text = read(path)?;
    let name = path.display().to_string();
    let written = Document::parse(&name, &text)?.flatten();
    let is_of_a_sweep = |key: &String| {
        let first = key.split('.').next().unwrap_or(key);
        SweepFile::OWN_KEYS.contains(&first)
    };
    if written.keys().any(is_of_a_sweep) {
        let named = |(run, config): (Planned, RunConfig)| PlannedRun {
            name: run.name,
            config,
        };
        let sweep = PlannedSweep::load(path, overrides)?;
        return Ok(sweep.runs.into_iter().map(named).collect());
    }
    Ok(vec![PlannedRun {
        name: run_name::of_config(path),
        config: RunConfig::load(path, overrides)?,
    }])
}

/// Returns the number of steps of a run and the number of tokens in a step. For a task, opens the
/// data to get the length of its rows.
///
/// # Errors
///
/// When a task cannot be opened.
pub fn extent(config: &RunConfig) -> Result<Run> {
    let seq = match config.text_seq() {
        Some(seq) => seq,
        None => longest_row(&open_source(config, Mode::Quiet)?, config)?,
    };
    Ok(config.extent(seq))
}

/// Resolves a configuration. Opens the data only if the size of the vocabulary or the length of a
/// row depends on it. Returns the data if it was opened.
///
/// # Errors
///
/// When the data cannot be opened, or does not fit the model.
pub fn resolve(config: &RunConfig, mode: Mode) -> Result<(ResolvedConfig, Option<Source>)> {
    if let (Some(vocabulary), Some(seq)) = (config.model.vocab_size, config.train.seq) {
        return Ok((config.resolve_for(vocabulary, seq), None));
    }
    let source = open_source(config, mode)?;
    Ok((config.resolve(&source)?, Some(source)))
}

/// Returns the number of warm-up steps of a run.
///
/// # Errors
///
/// The errors of [`extent`].
pub fn warmup_steps(config: &RunConfig) -> Result<u64> {
    Ok(config.schedule.warmup.steps(extent(config)?))
}

fn read(path: &Path) -> Result<String> {
    rondo_files::read_text(path)
        .map_err(|error| Error::Usage(format!("cannot read {}: {error}", path.display())))
}
