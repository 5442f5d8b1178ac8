//! `trainer generate`: generates text with a run's model, at a fixed or an adaptive depth.

use std::ops::ControlFlow;
use std::time::Instant;

use rondo_data::Tokenizer;
use rondo_metrics::Table;
use rondo_metrics::format::significant;
use rondo_model::config::StateInit;
use rondo_model::sampling::Sampling;
use rondo_train::device;
use rondo_train::error::{Error, Result};
use rondo_train::evaluate::exits::Exit;
use rondo_train::generate::text_stream::TextStream;
use rondo_train::generate::{DepthRule, Generated, Memory, Request, generate};
use rondo_train::initial_states::InitialStates;
use rondo_train::open_run::OpenRun;
use serde_json::json;

use crate::cli::GenerateArgs;
use crate::terminal;

/// Generates text and prints it.
///
/// # Errors
///
/// Returns an error if the run, the prompt, the states or the device are missing or damaged, or a
/// value is out of range.
pub(crate) fn command(args: &GenerateArgs) -> Result<()> {
    let sampling = sampling(args)?;
    let (listed, _) = device::choose_kind(args.device.into())?;
    let run = OpenRun::open(&args.run, args.checkpoint, &listed)?;
    let tokenizer = match args.source.tokens {
        Some(_) => run.tokenizer_beside_ids(&mut terminal::note),
        None => Some(run.tokenizer("--prompt")?),
    };
    let prompt = prompt(&run, args)?;
    let model = &run.model_config;
    let states = InitialStates::open(&args.initial_state, model, run.config.run.seed)?;
    if args.continuous && model.state_init == StateInit::Input {
        return Err(Error::Usage(
            "--continuous: the run has model.state_init = \"input\", so that every state starts from its own token; \
             leave the option out"
                .to_owned(),
        ));
    }
    if args.continuous && model.hyper_connections.is_some() {
        return Err(Error::Usage(
            "--continuous: the run has [model.hyper_connections], whose state is the sum of its lanes and not what they \
             start from; leave the option out"
                .to_owned(),
        ));
    }
    let request = Request {
        depth: depth_rule(
            args,
            model.recurrence.planned().total(),
            model.most_iterations(),
        ),
        memory: match args.no_cache {
            true => Memory::Nothing,
            false => Memory::Cache {
                budget: args.kv_budget.map(usize::from),
            },
        },
        continuous: args.continuous,
        sampling,
        seed: args.seed,
        max_tokens: args.max_tokens,
        stops: run.stops(tokenizer.as_ref())?,
        vocabulary: tokenizer
            .as_ref()
            .map_or(model.vocab_size, Tokenizer::vocab_size),
        prompt,
    };
    let started = Instant::now();
    let streams = !args.json.json;
    let mut stream = tokenizer
        .as_ref()
        .map(|tokenizer| TextStream::new(tokenizer, &request.prompt));
    let mut text = String::new();
    let generated = generate(&run, &states, &request, |token| {
        let piece = match &mut stream {
            Some(stream) => stream.push(token)?,
            None => format!("{token} "),
        };
        text.push_str(&piece);
        if streams {
            terminal::stream(&piece)?;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let rest = stream.map_or_else(|| Ok(String::new()), TextStream::finish)?;
    let seconds = started.elapsed().as_secs_f64();
    if args.json.json {
        text.push_str(&rest);
        let text = tokenizer.map(|_| text);
        return terminal::print_json(&report(&request, &generated, text.as_deref(), seconds));
    }
    terminal::print(&rest)?;
    if !args.quiet {
        terminal::note(&summary(&generated, &request, seconds));
    }
    Ok(())
}

fn sampling(args: &GenerateArgs) -> Result<Sampling> {
    let sampling = Sampling {
        temperature: args.temperature,
        top_k: args.top_k,
        top_p: args.top_p,
        min_p: args.min_p,
        repetition_penalty: args.repetition_penalty,
    };
    let mut wrong = Vec::new();
    sampling.validate(&mut |name, message| wrong.push(format!("--{name}: {message}")));
    match wrong.is_empty() {
        true => Ok(sampling),
        false => Err(Error::Usage(wrong.join("\n"))),
    }
}

/// Returns the tokens that the generated text continues.
fn prompt(run: &OpenRun<'_>, args: &GenerateArgs) -> Result<Vec<u32>> {
    let source = &args.source;
    let mut rows = run.rows(
        source.tokens.as_deref(),
        source.prompt.as_deref(),
        args.prompting.prompting(),
    )?;
    let count = rows.len();
    if args.row >= count {
        return Err(Error::Usage(format!(
            "--row: the tokens have {count} rows, counted from 0; found {}",
            args.row
        )));
    }
    let row = rows.swap_remove(args.row);
    let context = run.config.model.context;
    if row.len() >= context {
        return Err(Error::Usage(format!(
            "the prompt fills the model's context of {context} tokens; nothing can follow it"
        )));
    }
    Ok(row)
}

fn depth_rule(args: &GenerateArgs, planned: usize, max: usize) -> DepthRule {
    match args.exit {
        None => DepthRule::Fixed(args.recurrence.unwrap_or(planned)),
        Some(criterion) => DepthRule::Adaptive {
            exit: Exit {
                criterion,
                threshold: args
                    .exit_threshold
                    .unwrap_or_else(|| criterion.default_threshold()),
            },
            max: args.max_recurrence.unwrap_or(max),
        },
    }
}

fn report(
    request: &Request,
    generated: &Generated,
    text: Option<&str>,
    seconds: f64,
) -> serde_json::Value {
    let exit = match request.depth {
        DepthRule::Fixed(_) => None,
        DepthRule::Adaptive { exit, .. } => Some(exit),
    };
    let last: Vec<Option<f64>> = generated
        .exit_values
        .iter()
        .map(|values| values.last().copied())
        .collect();
    json!({
        "text": text,
        "tokens": generated.tokens,
        "iterations": generated.iterations,
        "exit_values": last,
        "exit_values_by_iteration": exit.map(|_| &generated.exit_values),
        "exit": exit.map(|exit| json!({"criterion": exit.criterion.name(), "threshold": exit.threshold})),
        "prompt_tokens": request.prompt,
        "mean_iterations": mean(&generated.iterations),
        "ended": generated.ended.name(),
        "tokens_per_second": generated.tokens.len() as f64 / seconds,
    })
}

fn mean(iterations: &[usize]) -> Option<f64> {
    let count = iterations.len();
    (count > 0).then(|| iterations.iter().sum::<usize>() as f64 / count as f64)
}

/// Returns the last lines of the output: the number of tokens, the speed and the depths.
fn summary(generated: &Generated, request: &Request, seconds: f64) -> String {
    let iterations = &generated.iterations;
    let count = iterations.len();
    let rate = significant(count as f64 / seconds, 3);
    let ended = generated.ended.name();
    let mean = significant(mean(iterations).unwrap_or(0.0), 3);
    let line = format!("\n{count} tokens, {rate} tokens/s, ended: {ended}");
    let DepthRule::Adaptive { exit, max } = request.depth else {
        return format!("{line}; {mean} iterations per token");
    };
    let mut table = Table::new(&["iterations", "tokens", ""]).left(2);
    for depth in 1..=max {
        let tokens = iterations.iter().filter(|i| **i == depth).count();
        if tokens > 0 {
            let bar = "█".repeat((30 * tokens).div_ceil(count));
            table.row([depth.to_string(), tokens.to_string(), bar]);
        }
    }
    format!(
        "{line}\n{} at {}: {mean} iterations per token of at most {max}\n{table}",
        exit.criterion.name(),
        exit.threshold
    )
}
