//! The training data of a run: its own data, and the data of each `data-switch`.

use std::ops::Range;

use rondo_data::{Batch, CorpusIdentity, Source};
use rondo_metrics::Mode;

use crate::assemble::open_data;
use crate::config::ResolvedConfig;
use crate::error::{Error, Result};
use crate::own_tokenizer::OwnTokenizer;
use crate::perturb::Perturbation;
use crate::rows::Rows;

/// The training data of a run.
pub(super) struct Corpora {
    own: Source,
    /// The data of each `data-switch`, with the first step that uses the data.
    switched: Vec<(u64, Source)>,
}

impl Corpora {
    /// Opens the data of every `data-switch`. `own` is the run's own data. If the run is resumed,
    /// text is encoded with the run's own `tokenizer`.
    ///
    /// # Errors
    ///
    /// When data cannot be opened, or uses other tokens than the run's own data.
    pub(super) fn open(
        own: Source,
        config: &ResolvedConfig,
        tokenizer: Option<&OwnTokenizer>,
        mode: Mode,
    ) -> Result<Self> {
        let mut switched = Vec::new();
        for one in &config.perturb {
            let Perturbation::DataSwitch { at_step, data } = one else {
                continue;
            };
            let other = match tokenizer {
                Some(own) => own.open(data, &format!("{}: its data", of_switch(*at_step)), mode)?,
                None => open_data(data, None, mode)?,
            };
            if !have_the_same_tokens(&own, &other)? {
                return Err(Error::Usage(format!(
                    "perturb at step {at_step}: its data has other tokens than the run's; give it the run's \
                     tokenizer, `tokenizer = {{ kind = \"file\", path = \"…/tokenizer.json\" }}`"
                )));
            }
            switched.push((*at_step, other));
        }
        switched.sort_by_key(|(at_step, _)| *at_step);
        Ok(Self { own, switched })
    }

    /// Returns the run's own data. Evaluations use its validation part.
    pub(super) fn own(&self) -> &Source {
        &self.own
    }

    /// Returns the training data of step `step`.
    pub(super) fn at(&self, step: u64) -> &Source {
        let mut latest_first = self.switched.iter().rev();
        latest_first
            .find(|(from, _)| *from <= step)
            .map_or(&self.own, |(_, source)| source)
    }

    /// Returns the name and the identity of every text. The run's own text comes first.
    pub(super) fn identities(&self) -> Vec<(String, CorpusIdentity)> {
        let own = std::iter::once(("data".to_owned(), &self.own));
        let others = self.switched.iter();
        own.chain(others.map(|(at_step, source)| (of_switch(*at_step), source)))
            .filter_map(|(name, source)| match source {
                Source::Text(text) => Some((name, text.identity())),
                Source::Task(_) => None,
            })
            .collect()
    }

    /// Makes one training row from each source, and returns the validation batches. In this way, an
    /// error about a text that is too short comes before anything is written.
    ///
    /// # Errors
    ///
    /// When a text does not fill a row.
    pub(super) fn first_rows(&self, config: &ResolvedConfig) -> Result<Vec<Batch>> {
        let others = self.switched.iter().map(|(_, source)| source);
        for source in std::iter::once(&self.own).chain(others) {
            let rows = Rows::new(source, config).one_in_a_step();
            rows.micro_batches(1, rows.first_difficulty().as_ref())?;
        }
        Ok(Rows::new(&self.own, config).val_batches(config.eval.tokens)?)
    }

    /// Returns the name of each source in a mixture, and the range of its batches among those that
    /// [`Self::first_rows`] returns.
    ///
    /// # Errors
    ///
    /// When the text is too short.
    pub(super) fn val_sources(
        &self,
        config: &ResolvedConfig,
    ) -> Result<Vec<(String, Range<usize>)>> {
        Ok(Rows::new(&self.own, config).val_sources(config.eval.tokens)?)
    }
}

/// Returns whether two sources use the same tokens.
fn have_the_same_tokens(one: &Source, other: &Source) -> Result<bool> {
    Ok(match (one, other) {
        (Source::Text(one), Source::Text(other)) => {
            one.tokenizer().file()? == other.tokenizer().file()?
        }
        (Source::Task(one), Source::Task(other)) => one.vocab_size() == other.vocab_size(),
        _ => false,
    })
}

fn of_switch(at_step: u64) -> String {
    format!("perturb at step {at_step}")
}
