//! `trainer eval`: measures the loss and the perplexity of a checkpoint over recurrence depths, and
//! with adaptive exits.

mod tasks;

use std::path::Path;

use rondo_data::{
    Batch, CorpusSource, DataConfig, DataError, batches_of_rows, bytes_per_target, encode_source,
    read_tokens,
};
use rondo_metrics::Mode;
use rondo_metrics::work::{Unit, WorkBar};
use rondo_model::exit::ExitCriterion;
use rondo_model::sparsity::Sparsity;
use rondo_train::device::{self, Listed};
use rondo_train::error::{Error, Result};
use rondo_train::evaluate::exits::Exit;
use rondo_train::evaluate::tables::{depth_table, exit_table, sparsity_table};
use rondo_train::evaluate::{Evaluated, Evaluation};
use rondo_train::initial_states::InitialStates;
use rondo_train::open_run::OpenRun;
use rondo_train::rows::Rows;
use serde_json::json;

use crate::cli::{EvalArgs, ExitChoice};
use crate::{pictures, terminal};

/// The results of one run.
struct OfRun {
    run: String,
    step: u64,
    evaluated: Evaluated,
}

/// Evaluates every run, and prints the results.
///
/// # Errors
///
/// Returns an error if a run, a checkpoint, the device or the data is missing or damaged.
pub(crate) fn command(args: &EvalArgs) -> Result<()> {
    let exits = exits(args)?;
    if !args.tasks.tasks.is_empty() {
        return tasks::command(args, &exits);
    }
    if args.prompting.is_given() && args.data.is_none() {
        return Err(Error::Usage(
            "--special, --bos: these options need a text; give --data or --tasks".to_owned(),
        ));
    }
    if args.figures.is_some() && exits.is_empty() {
        return Err(Error::Usage(
            "--figures: give --exit or --tasks, whose results are drawn".to_owned(),
        ));
    }
    let (listed, _) = device::choose_kind(args.device.into())?;
    let mut all = Vec::new();
    for run in &args.runs {
        all.push(evaluate(run, args, &exits, &listed)?);
    }
    let mut drawn = Vec::new();
    if let Some(dir) = &args.figures {
        for (run, one) in args.runs.iter().zip(&all) {
            // With several runs, each run has its own folder.
            let dir = match (all.len(), run.file_name()) {
                (1, _) | (_, None) => dir.clone(),
                (_, Some(name)) => dir.join(name),
            };
            drawn.extend(pictures::of_exits(&one.evaluated, &dir)?);
        }
    }
    if args.json.json {
        let runs: Vec<_> = all
            .iter()
            .map(|one| {
                json!({
                    "run": one.run,
                    "step": one.step,
                    "depths": one.evaluated.depths,
                    "exits": one.evaluated.exits,
                    "sparsity": one.evaluated.sparsity.as_ref().map(sparsity_json),
                })
            })
            .collect();
        return terminal::print_json(&json!({"runs": runs}));
    }
    for one in &all {
        terminal::print(&format!("{} at step {}", one.run, one.step))?;
        terminal::print(&format!("{}\n", depth_table(&one.evaluated.depths)))?;
        if let Some(sparsity) = &one.evaluated.sparsity {
            terminal::print(&format!("{}\n", sparsity_table(sparsity)))?;
        }
        if !one.evaluated.exits.is_empty() {
            terminal::print(&format!("{}\n", exit_table(&one.evaluated.exits)))?;
        }
    }
    for file in drawn {
        terminal::print(&file.display().to_string())?;
    }
    Ok(())
}

fn sparsity_json(sparsity: &Sparsity) -> serde_json::Value {
    let by_layer = sparsity.by_layer.iter();
    let layers: serde_json::Map<_, _> = by_layer
        .map(|(layer, kept)| (layer.name(), json!(kept)))
        .collect();
    json!({
        "kept": sparsity.kept,
        "expected": sparsity.expected,
        "layers": layers,
        "iterations": sparsity.by_iteration,
    })
}

/// Returns the requested exit criteria without duplicates.
fn exits(args: &EvalArgs) -> Result<Vec<Exit>> {
    let mut criteria: Vec<ExitCriterion> = Vec::new();
    for choice in &args.exit {
        let named: &[ExitCriterion] = match choice {
            ExitChoice::All => &ExitCriterion::ALL,
            ExitChoice::One(criterion) => std::slice::from_ref(criterion),
        };
        for criterion in named {
            if !criteria.contains(criterion) {
                criteria.push(*criterion);
            }
        }
    }
    if args.exit_threshold.is_some() && criteria.len() > 1 {
        return Err(Error::Usage(
            "--exit-threshold: thresholds are not comparable; give it with one criterion"
                .to_owned(),
        ));
    }
    let exit = |criterion: ExitCriterion| Exit {
        criterion,
        threshold: args
            .exit_threshold
            .unwrap_or_else(|| criterion.default_threshold()),
    };
    Ok(criteria.into_iter().map(exit).collect())
}

fn evaluate(path: &Path, args: &EvalArgs, exits: &[Exit], listed: &Listed) -> Result<OfRun> {
    let run = OpenRun::open(path, args.checkpoint, listed)?;
    let config = &run.config;
    let material = material(&run, args)?;
    let depths = match args.recurrence.is_empty() {
        true => &config.eval.recurrence,
        false => &args.recurrence,
    };
    if let Some(note) = run.model_config.conditioning.note(depths) {
        terminal::note(&format!("model.conditioning: {note}"));
    }
    let states = InitialStates::open(&args.initial_state, &run.model_config, config.run.seed)?;
    let evaluation = Evaluation {
        config: &run.model_config,
        states: &states,
        depths,
        exits,
        max_iterations: args
            .max_recurrence
            .unwrap_or_else(|| run.model_config.most_iterations()),
        batches: &material.batches,
        bytes_per_token: material.bytes_per_token,
        task: material.task,
        listed,
    };
    let total = material.batches.len() as u64;
    let mut bar = WorkBar::new(
        Mode::Auto,
        "evaluating",
        total,
        Unit::Items("batch", "batches"),
    );
    let evaluated = evaluation.run(&run.model, |_| {
        bar.advance(1);
        Ok(())
    })?;
    bar.finish();
    Ok(OfRun {
        run: path.display().to_string(),
        step: run.step,
        evaluated,
    })
}

/// The batches that are evaluated.
struct Material {
    batches: Vec<Batch>,
    bytes_per_token: Option<f64>,
    task: bool,
}

/// Makes the batches to evaluate from given tokens, from given text, or from the run's own
/// validation data.
fn material(run: &OpenRun<'_>, args: &EvalArgs) -> Result<Material> {
    let (run_dir, config) = (&run.run_dir, &run.config);
    let most = args.max_tokens;
    if let Some(path) = &args.tokens {
        let seq = config.text_seq().ok_or_else(not_on_text("--tokens"))?;
        let rows = read_tokens(path, run.model_config.vocab_size)?;
        let batches = within_documents(run, batches_of_rows(&rows, config.eval_batch(), seq))?;
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
        return documents(run, args, path, most);
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
    own_documents(run, most.unwrap_or(config.eval.tokens))
}

/// Makes batches from the text at `path`. They predict at most `most` tokens.
fn documents(
    run: &OpenRun<'_>,
    args: &EvalArgs,
    path: &String,
    most: Option<usize>,
) -> Result<Material> {
    let config = &run.config;
    let seq = config.text_seq().ok_or_else(not_on_text("--data"))?;
    let tokenizer = run.reader("--data", args.prompting.prompting())?;
    // The first token is not predicted, because no token precedes it.
    let most = most.map(|most| most.saturating_add(1));
    let text = encode_source(&tokenizer, &corpus(path, args, &config.data), most)?;
    for warning in &text.warnings {
        terminal::note(&format!("warning: {warning}"));
    }
    let batches = within_documents(
        run,
        batches_of_rows(&[text.tokens], config.eval_batch(), seq),
    )?;
    Ok(Material {
        bytes_per_token: bytes_per_target(&tokenizer, &batches)?,
        batches,
        task: false,
    })
}

/// Prevents attention between documents, if the run was trained without it.
fn within_documents(run: &OpenRun<'_>, batches: Vec<Batch>) -> Result<Vec<Batch>> {
    Ok(match run.document_end()? {
        Some(end) => {
            let batches = batches.into_iter();
            batches.map(|batch| batch.within_documents(end)).collect()
        }
        None => batches,
    })
}

/// Makes batches from the run's own validation data.
fn own_documents(run: &OpenRun<'_>, most: usize) -> Result<Material> {
    let config = &run.config;
    let source = run.data(&mut terminal::warn)?;
    let resolved = config.resolve(&source)?;
    let rows = Rows::new(&source, &resolved);
    let batches = rows.val_batches(most)?;
    Ok(Material {
        bytes_per_token: rows.bytes_per_token(&batches)?,
        batches,
        task: config.data.is_task(),
    })
}

/// Returns an error for a flag that needs a run on text, when the run was trained on a task.
fn not_on_text(flag: &str) -> impl Fn() -> Error {
    move || {
        Error::Usage(format!(
            "{flag}: this run was trained on a task, not on text"
        ))
    }
}

/// Returns the text at a path as a source. It is read like the run's own text unless a flag
/// overrides this.
fn corpus(path: &String, args: &EvalArgs, data: &DataConfig) -> CorpusSource {
    let (field, skip_bad_lines) = match data {
        DataConfig::Text {
            field,
            skip_bad_lines,
            ..
        } => (field.as_str(), *skip_bad_lines),
        _ => ("text", false),
    };
    let field = args.field.as_deref().unwrap_or(field);
    CorpusSource::new(std::slice::from_ref(path), field)
        .skipping_bad_lines(skip_bad_lines || args.skip_bad_lines)
}
