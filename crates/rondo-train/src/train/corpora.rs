//! The text that a run is trained on: its own, and that of each `data-switch`.

use rondo_data::{Batch, CorpusIdentity, Source};
use rondo_metrics::Mode;

use crate::assemble::open_data;
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::own_tokenizer::OwnTokenizer;
use crate::perturb::Perturbation;
use crate::rows::Rows;

/// Opens the training data of every `data-switch`, by the step from which on it is used. That of a run that goes on is
/// encoded with its `own` tokenizer.
///
/// # Errors
///
/// Where it cannot be opened, or has other tokens than the run's data.
pub(super) fn open_switched(
    config: &RunConfig,
    source: &Source,
    own: Option<&OwnTokenizer>,
    mode: Mode,
) -> Result<Vec<(u64, Source)>> {
    let mut switched = Vec::new();
    for one in &config.perturb {
        let Perturbation::DataSwitch { at_step, data } = one else {
            continue;
        };
        let other = match own {
            Some(own) => own.open(data, &format!("{}: its data", of_switch(*at_step)), mode)?,
            None => open_data(data, None, mode)?,
        };
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

/// Names every text and says which it is: the run's own first.
pub(super) fn identities(
    source: &Source,
    switched: &[(u64, Source)],
) -> Vec<(String, CorpusIdentity)> {
    let own = std::iter::once(("data".to_owned(), source));
    let others = switched
        .iter()
        .map(|(at_step, source)| (of_switch(*at_step), source));
    own.chain(others)
        .filter_map(|(name, source)| match source {
            Source::Text(text) => Some((name, text.identity())),
            Source::Task(_) => None,
        })
        .collect()
}

fn of_switch(at_step: u64) -> String {
    format!("perturb at step {at_step}")
}

/// Makes a row for training and returns the batches for validation: what is too short is found before anything is written.
///
/// # Errors
///
/// Where a text does not fill a row.
pub(super) fn first_rows(
    config: &RunConfig,
    source: &Source,
    switched: &[(u64, Source)],
) -> Result<Vec<Batch>> {
    for source in std::iter::once(source).chain(switched.iter().map(|(_, source)| source)) {
        let rows = Rows::new(source, config).one_in_a_step();
        rows.micro_batches(1, rows.first_difficulty().as_ref())?;
    }
    Ok(Rows::new(source, config).val_batches(config.eval.tokens)?)
}
