//! Fits the controls of `--controls` on documents.

use rondo_metrics::Mode;
use rondo_metrics::work::{Unit, WorkBar};
use rondo_train::error::{Error, Result};
use rondo_train::initial_states::InitialStates;
use rondo_train::open_run::OpenRun;
use rondo_train::tasks::controls::Controls;

use crate::cli::EvalArgs;
use crate::commands::eval::{documents, own_documents};

/// Fits the controls of every depth, on the text of `--data` or on the run's own validation text.
pub(super) fn fit(
    run: &OpenRun<'_>,
    states: &InitialStates,
    depths: &[usize],
    args: &EvalArgs,
) -> Result<Controls> {
    let most = args.tasks.control_tokens;
    let material = match &args.data {
        Some(path) => documents(run, args, path, Some(most))?,
        None if run.config.data.is_nothing() => {
            return Err(Error::Usage(format!(
                "--controls: {} has no text of its own to fit on; give one with --data PATH",
                run.run_dir.path().display()
            )));
        }
        None => own_documents(run, most)?,
    };
    let total = depths.len() as u64;
    let mut bar = WorkBar::new(
        Mode::Auto,
        "fitting controls",
        total,
        Unit::Items("depth", "depths"),
    );
    let controls = Controls::fit(run, states, depths, &material.batches, most, || {
        bar.advance(1);
        Ok(())
    })?;
    bar.finish();
    Ok(controls)
}
