//! Assembles the parts that a configuration describes: the device, the data and the resolved
//! configuration.

use std::ops::ControlFlow;
use std::path::Path;

use rondo_data::{DataConfig, PreparePhase, PrepareProgress, Source};
use rondo_metrics::Mode;
use rondo_metrics::work::{Unit, WorkBar};

use crate::config::{ResolvedConfig, RunConfig};
use crate::device::{self, Listed};
use crate::distributed::World;
use crate::error::Result;
use crate::interrupt;
use crate::own_tokenizer::OwnTokenizer;

/// Everything that a run needs before it starts.
pub struct Assembly {
    /// The resolved configuration.
    pub config: ResolvedConfig,
    /// The device, in the precision that the configuration asks for.
    pub listed: Listed,
    /// Why this device was chosen.
    pub why: String,
    /// The training and validation data.
    pub source: Source,
}

impl Assembly {
    /// Finds the device, opens the data (on first use, prepares it) and resolves the configuration.
    /// For a resumed run, `own` is the tokenizer that the run itself has saved. Text is then
    /// encoded with this tokenizer.
    ///
    /// # Errors
    ///
    /// When the device or the data is missing, data and model do not fit together, or the data was
    /// encoded with another tokenizer.
    pub fn new(config: &RunConfig, own: Option<&OwnTokenizer>, mode: Mode) -> Result<Self> {
        Self::on(&World::alone(), config, own, mode)
    }

    /// Does what [`Self::new`] does, on every rank of a world. Rank 0 opens and prepares the data
    /// first. The first rank of every other host follows, because the host may have its own data
    /// folder. All remaining ranks come last.
    ///
    /// # Errors
    ///
    /// The errors of [`Self::new`]. An error on one rank is an error on every rank.
    pub fn on(
        world: &World,
        config: &RunConfig,
        own: Option<&OwnTokenizer>,
        mode: Mode,
    ) -> Result<Self> {
        let (listed, why) = world.agree(device::choose_at(config.device, world.place()))?;
        let source = world.in_turns(|| match own {
            Some(own) => own.open(&config.data, "data: the text", mode),
            None => open_source(config, mode),
        })?;
        Ok(Self {
            config: world.agree(config.resolve(&source))?,
            listed,
            why,
            source,
        })
    }
}

/// Opens the data of a new run. Shows progress while a corpus is prepared.
///
/// # Errors
///
/// The errors of [`Source::open`].
pub fn open_source(config: &RunConfig, mode: Mode) -> Result<Source> {
    open_data(&config.data, None, mode)
}

/// Opens data. If `tokenizer` is the path of a file, text is encoded with the tokenizer in this
/// file.
///
/// # Errors
///
/// The errors of [`Source::open_with_tokenizer`].
pub fn open_data(data: &DataConfig, tokenizer: Option<&Path>, mode: Mode) -> Result<Source> {
    let mut bar = PrepareBar::new(mode);
    let source = interrupt::held(|| {
        let mut show = |progress| bar.show(&progress);
        match tokenizer {
            Some(path) => Source::open_with_tokenizer(data, path, &mut show),
            None => Source::open(data, &mut show),
        }
    })?;
    bar.finish();
    Ok(source?)
}

/// A progress bar that is replaced at each new phase of preparing a corpus.
pub struct PrepareBar {
    mode: Mode,
    shown: Option<(PreparePhase, u64, WorkBar)>,
}

impl PrepareBar {
    /// Creates a bar that shows nothing before the first progress report.
    pub fn new(mode: Mode) -> Self {
        Self { mode, shown: None }
    }

    /// Shows the progress of the work. Returns `Break` after an interrupt signal.
    pub fn show(&mut self, progress: &PrepareProgress) -> ControlFlow<()> {
        let downloading;
        let (label, unit) = match progress.phase {
            PreparePhase::Downloading { file, files } => {
                downloading = format!("downloading {file} of {files}");
                (downloading.as_str(), Unit::Bytes)
            }
            PreparePhase::Reading => ("reading the corpus", Unit::Bytes),
            PreparePhase::TrainingTokenizer => {
                ("training the tokenizer", Unit::Items("merge", "merges"))
            }
            PreparePhase::Encoding => ("encoding", Unit::Bytes),
            PreparePhase::Writing => ("writing", Unit::Items("token", "tokens")),
        };
        match &mut self.shown {
            None => {
                let bar = WorkBar::new(self.mode, label, progress.total, unit);
                self.shown = Some((progress.phase, 0, bar));
            }
            Some((phase, done, bar)) if *phase != progress.phase => {
                bar.phase(label, progress.total, unit);
                (*phase, *done) = (progress.phase, 0);
            }
            Some(_) => {}
        }
        if let Some((_, done, bar)) = &mut self.shown {
            bar.advance(progress.done.saturating_sub(*done));
            *done = progress.done;
        }
        match interrupt::asked() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// Removes the bar.
    pub fn finish(self) {
        if let Some((_, _, mut bar)) = self.shown {
            bar.finish();
        }
    }
}
