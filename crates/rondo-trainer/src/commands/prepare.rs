//! `trainer prepare`: makes a tokenizer and token shards from a corpus.

use std::path::Path;

use rondo_data::{CorpusSource, DataConfig, HubFiles, Recipe, Tokenizer, TokenizerConfig, prepare};
use rondo_metrics::format::{bytes, thousands};
use rondo_metrics::{Mode, Progress, Table};
use rondo_train::assemble::PrepareBar;
use rondo_train::error::{Error, Result};
use rondo_train::interrupt;

use crate::cli::PrepareArgs;
use crate::terminal;

/// Prepares a corpus.
///
/// # Errors
///
/// Returns an error if an argument is out of range, the corpus cannot be read or the folder exists.
pub(crate) fn command(args: &PrepareArgs) -> Result<()> {
    let tokenizer = match (&args.tokenizer, args.bytes) {
        (Some(path), _) => TokenizerConfig::File {
            path: path.clone(),
            end_of_text: args.end_of_text.clone(),
        },
        (None, true) => TokenizerConfig::Bytes {},
        (None, false) => TokenizerConfig::Bpe {
            vocab_size: args.vocab_size,
        },
    };
    let hub = args
        .hub
        .as_ref()
        .map(|name| HubFiles::named(name, &args.hub_files));
    validate(args, &tokenizer, hub.as_ref())?;
    if let TokenizerConfig::File { path, end_of_text } = &tokenizer {
        let tokenizer = Tokenizer::load_with(Path::new(path), end_of_text.as_deref().into())?;
        if let Some(doubt) = tokenizer.doubt() {
            Progress::new(Mode::Auto, 0, 0).warn(&doubt);
        }
    }
    let mut bar = PrepareBar::new(if args.quiet { Mode::Quiet } else { Mode::Auto });
    let mut show = |progress| bar.show(&progress);
    let info = interrupt::held(|| {
        let source = match &hub {
            Some(files) => CorpusSource::of_hub(files, &args.field, &mut show)?,
            None => CorpusSource::new(&args.corpus, &args.field),
        };
        let recipe = Recipe {
            sources: &source.skipping_bad_lines(args.skip_bad_lines),
            tokenizer: &tokenizer,
            val_fraction: args.val_fraction,
            max_bytes: args.max_bytes,
            shard_tokens: args.shard_tokens,
        };
        prepare(&recipe, &args.out, &mut show)
    })?;
    bar.finish();
    let info = info?;
    for warning in &info.warnings {
        terminal::note(&format!("warning: {warning}"));
    }
    if args.json.json {
        return terminal::print_json(&serde_json::to_value(&info).map_err(anyhow::Error::from)?);
    }
    if args.quiet {
        return Ok(());
    }
    let mut table = Table::new(&["", "documents", "text", "tokens"]).left(0);
    let count = |n: usize| thousands(n as u64);
    table.row([
        "training".to_owned(),
        count(info.train_documents),
        bytes(info.train_bytes),
        thousands(info.train_tokens),
    ]);
    table.row([
        "validation".to_owned(),
        count(info.val_documents),
        bytes(info.val_bytes),
        thousands(info.val_tokens),
    ]);
    terminal::print(&table.to_string())?;
    terminal::print(&format!(
        "\n{} tokens in the vocabulary; use it with\n\n[data]\nkind = \"prepared\"\npath = \"{}\"",
        thousands(info.vocab_size as u64),
        args.out.display()
    ))
}

/// Checks the arguments by the same rules as a configuration file.
fn validate(args: &PrepareArgs, tokenizer: &TokenizerConfig, hub: Option<&HubFiles>) -> Result<()> {
    let config = DataConfig::Text {
        paths: args.corpus.clone(),
        hub: hub.cloned(),
        tokenizer: tokenizer.clone(),
        val_fraction: args.val_fraction,
        max_bytes: args.max_bytes,
        cache: args.out.display().to_string(),
        field: args.field.clone(),
        skip_bad_lines: args.skip_bad_lines,
        document_mask: false,
    };
    let mut problems = Vec::new();
    config.validate(&mut |key, message| {
        problems.push(format!("{}: {message}", argument(key)));
    });
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Error::Usage(problems.join("\n")))
    }
}

/// Returns the name of the argument that corresponds to a key of `[data]`.
fn argument(key: &str) -> String {
    if key.starts_with("paths") {
        return "CORPUS".to_owned();
    }
    if key.starts_with("hub.files") {
        return "--hub-files".to_owned();
    }
    if key.starts_with("hub") {
        return "--hub".to_owned();
    }
    let last = key.rsplit('.').next().unwrap_or(key);
    format!("--{}", last.replace('_', "-"))
}
