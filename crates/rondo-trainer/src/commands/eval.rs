//! `trainer eval`: loss and perplexity over recurrence depth, from a checkpoint.

use std::path::Path;

use rondo_data::{
    Batch, CorpusSource, DataError, Source, Tokenizer, batches_of_rows, encode_source, read_tokens,
};
use rondo_metrics::Mode;
use rondo_metrics::work::{Unit, WorkBar};
use rondo_model::depth::MAX_RECURRENCE;
use serde_json::json;

use crate::assemble::open_source;
use crate::cli::{EvalArgs, InitialState};
use crate::config::RunConfig;
use crate::device::{self, DeviceConfig, Listed};
use crate::error::{Error, Result};
use crate::evaluate::{DepthResult, Evaluation};
use crate::run_dir::RunDir;
use crate::source::Rows;
use crate::terminal;
use crate::train::depth_table;
use crate::weights::load_model;

/// One evaluated run.
struct Evaluated {
    run: String,
    step: u64,
    depths: Vec<DepthResult>,
}

/// Evaluates every run.
///
/// # Errors
///
/// Where a run, a checkpoint, the device or the data is not there or not whole.
pub(crate) fn command(args: &EvalArgs) -> Result<()> {
    if let Some(depth) = args
        .recurrence
        .iter()
        .find(|depth| !(1..=MAX_RECURRENCE).contains(*depth))
    {
        return Err(Error::Usage(format!(
            "--recurrence: each depth must be 1 to {MAX_RECURRENCE}, found {depth}"
        )));
    }
    let (listed, _) = device::choose(DeviceConfig {
        kind: args.device,
        ..DeviceConfig::default()
    })?;
    let mut evaluated = Vec::new();
    for run in &args.runs {
        evaluated.push(evaluate(run, args, &listed)?);
    }
    if args.json.json {
        let runs: Vec<_> = evaluated
            .iter()
            .map(|one| json!({"run": one.run, "step": one.step, "depths": one.depths}))
            .collect();
        return terminal::print_json(&json!({"runs": runs}));
    }
    for one in &evaluated {
        terminal::print(&format!("{} at step {}", one.run, one.step))?;
        terminal::print(&format!("{}\n", depth_table(&one.depths)))?;
    }
    Ok(())
}

fn evaluate(run: &Path, args: &EvalArgs, listed: &Listed) -> Result<Evaluated> {
    let run_dir = RunDir::new(run);
    let config = run_dir.config()?;
    let checkpoint = run_dir.checkpoint(args.checkpoint)?;
    let device = &listed.device;
    let model = load_model(&checkpoint, &config.model, device)?;
    let material = material(&run_dir, &config, args)?;
    let depths = match args.recurrence.is_empty() {
        true => &config.eval.recurrence,
        false => &args.recurrence,
    };
    let evaluation = Evaluation {
        config: &config.model,
        seed: config.run.seed,
        depths,
        batches: &material.batches,
        bytes_per_token: material.bytes_per_token,
        task: material.task,
        zero_state: args.initial_state == InitialState::Zero,
        device,
    };
    let total = material.batches.len() as u64;
    let mut bar = WorkBar::new(Mode::Auto, "evaluating", total, Unit::Items("batches"));
    let results = evaluation.run(&model, |_| bar.advance(1))?;
    bar.finish();
    Ok(Evaluated {
        run: run.display().to_string(),
        step: checkpoint.step(),
        depths: results,
    })
}

/// What is evaluated.
struct Material {
    batches: Vec<Batch>,
    bytes_per_token: Option<f64>,
    task: bool,
}

/// Finds what to evaluate: given tokens, given text, or the run's own validation data.
fn material(run_dir: &RunDir, config: &RunConfig, args: &EvalArgs) -> Result<Material> {
    let rows = config.eval.batch.unwrap_or(config.train.batch);
    let seq = |flag: &str| {
        config.text_seq().ok_or_else(|| {
            Error::Usage(format!(
                "{flag}: this run was trained on a task, not on text"
            ))
        })
    };
    let most = args.max_tokens;
    if let Some(path) = &args.tokens {
        let seq = seq("--tokens")?;
        let batches = batches_of_rows(&read_tokens(path, config.model.vocab())?, rows, seq);
        if batches.is_empty() {
            return Err(DataError::Corpus(format!(
                "{}: one token has no next one to predict",
                path.display()
            ))
            .into());
        }
        return Ok(Material {
            batches,
            bytes_per_token: None,
            task: false,
        });
    }
    if let Some(path) = &args.data {
        let seq = seq("--data")?;
        let tokenizer = tokenizer(run_dir, config)?;
        let corpus = CorpusSource::new(std::slice::from_ref(path), "text");
        let (mut tokens, bytes) = encode_source(&tokenizer, &corpus, most)?;
        let bytes_per_token = Some(bytes as f64 / tokens.len() as f64);
        tokens.truncate(most.map_or(usize::MAX, |most| most.saturating_add(1)));
        return Ok(Material {
            batches: batches_of_rows(&[tokens], rows, seq),
            bytes_per_token,
            task: false,
        });
    }
    if config.data.is_nothing() {
        let or_text = match run_dir.tokenizer_path() {
            Some(_) => ", or text with --data PATH",
            None => "",
        };
        return Err(Error::Usage(format!(
            "{} has no data of its own: give token ids with --tokens FILE{or_text}",
            run_dir.path().display()
        )));
    }
    let source = open_source(config, Mode::Auto)?;
    Ok(Material {
        batches: source.val_batches(config, most.unwrap_or(config.eval.tokens))?,
        bytes_per_token: source.bytes_per_token(),
        task: config.data.is_task(),
    })
}

/// Returns the tokenizer in the run directory, or that of the run's corpus where an older version
/// kept none.
fn tokenizer(run_dir: &RunDir, config: &RunConfig) -> Result<Tokenizer> {
    if let Some(tokenizer) = run_dir.tokenizer()? {
        return Ok(tokenizer);
    }
    let run = run_dir.path().display();
    if config.data.is_nothing() {
        return Err(Error::Usage(format!(
            "--data: {run} has no tokenizer; give token ids with --tokens FILE"
        )));
    }
    match open_source(config, Mode::Auto)? {
        Source::Text(text) => Ok(text.tokenizer().clone()),
        Source::Task(_) => Err(Error::Usage(format!("--data: {run} has no tokenizer"))),
    }
}
