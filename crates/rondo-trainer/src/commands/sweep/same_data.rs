//! Checks that all runs of a sweep train on the same tokens. Otherwise their results could not be
//! compared.

use rondo_data::{CorpusIdentity, DataConfig, DataError, Source};
use rondo_metrics::Mode;
use rondo_sweep::{Planned, SweepDir};
use rondo_train::config::RunConfig;
use rondo_train::error::Result;
use rondo_train::progress::RunProgress;
use rondo_train::run_dir::{CheckpointChoice, RunDir};
use rondo_train::run_plan::PlannedSweep;

use crate::terminal;

/// The text that the runs with one `data` section were trained on, and the first of these runs.
struct Seen<'a> {
    data: &'a DataConfig,
    run: &'a str,
    corpus: CorpusIdentity,
}

/// Opens the data of every run, which also prepares it. Compares the data of pending runs with the
/// data that other runs were trained on, and warns if the text has changed.
///
/// # Errors
///
/// Returns an error if data cannot be opened, or its tokens differ from the tokens of runs that
/// have begun.
pub(super) fn check(sweep: &PlannedSweep, dir: &SweepDir, mode: Mode) -> Result<()> {
    let mut seen: Vec<Seen<'_>> = Vec::new();
    let mut to_come = Vec::new();
    for (run, config) in &sweep.runs {
        match corpus_of(dir, run)? {
            Some(corpus) if !seen.iter().any(|one| *one.data == config.data) => seen.push(Seen {
                data: &config.data,
                run: &run.name,
                corpus,
            }),
            Some(_) => {}
            None => to_come.push(run.index),
        }
    }
    sweep.with_data(mode, &mut |run, config, source| {
        if to_come.contains(&run.index) {
            compare(&mut seen, config, source)?;
        }
        Ok(())
    })
}

/// Compares the data of a pending run. After a warning, later runs are compared with the new text.
fn compare(seen: &mut [Seen<'_>], config: &RunConfig, source: &Source) -> Result<()> {
    let Source::Text(text) = source else {
        return Ok(());
    };
    let Some(before) = seen.iter_mut().find(|one| *one.data == config.data) else {
        return Ok(());
    };
    let now = text.identity();
    let Some(change) = before.corpus.difference(&now) else {
        return Ok(());
    };
    if before.corpus.tokenizer_hash != now.tokenizer_hash {
        return Err(DataError::Corpus(format!(
            "data: the tokens differ from those of the runs of this sweep that have begun, such as {}: {change}; \
             restore their text or tokenizer, or start a sweep with another --out",
            before.run
        ))
        .into());
    }
    terminal::note(&format!(
        "warning: the data has changed since {} was trained: {change}",
        before.run
    ));
    before.corpus = now;
    Ok(())
}

/// Returns the text that a run was trained on; `None` if the run has not begun or did not record a
/// text.
fn corpus_of(dir: &SweepDir, run: &Planned) -> Result<Option<CorpusIdentity>> {
    let path = dir.run_dir(run);
    if rondo_checkpoint::list(&path)?.is_empty() {
        return Ok(None);
    }
    // This error is ignored, because a damaged checkpoint is reported when the run is resumed.
    let Ok(checkpoint) = RunDir::new(&path).checkpoint(CheckpointChoice::Latest) else {
        return Ok(None);
    };
    let mut seen = RunProgress::read(&checkpoint)?.data;
    Ok(match seen.is_empty() {
        true => None,
        false => Some(seen.swap_remove(0)),
    })
}
