//! `trainer export`: writes a checkpoint in the layout of the reference, or in the layout of Rondo.

use std::fs;
use std::path::Path;

use anyhow::Context;
use rondo_data::Tokenizer;
use rondo_files::{Content, FileSystem, StagedFolder, TensorStream};
use rondo_interchange::{Export, Family, InterchangeError, SpecialTokens, Vanished, plain};
use rondo_metrics::format::{bytes, thousands};
use rondo_metrics::{Mode, Progress};
use rondo_model::census::Census;
use rondo_train::error::{Error, Result};
use rondo_train::own_tokenizer::OwnTokenizer;
use rondo_train::progress::RunProgress;
use rondo_train::run_dir::companions::{TOKENIZER_CONFIG_FILE, copy_companions};
use rondo_train::run_dir::{RunDir, TOKENIZER_FILE};
use rondo_train::weights::MODEL_FILE;
use serde_json::{Value, json};

use crate::cli::{ExportArgs, ExportFormat};
use crate::commands::progress_writer::ProgressWriter;
use crate::commands::target::check_target;
use crate::terminal;

const CONFIG_FILE: &str = "config.json";

/// Exports a model.
///
/// # Errors
///
/// Returns an error if there is no undamaged checkpoint, the layout cannot represent the model, or
/// the folder exists. After an error, no files are left behind.
pub(crate) fn command(args: &ExportArgs) -> Result<()> {
    check_target(&args.out, &args.run, args.overwrite)?;
    let run_dir = RunDir::new(&args.run);
    let recorded = run_dir.config()?;
    let model = recorded.recorded_model()?;
    let special = run_dir.special_tokens()?;
    let checkpoint = run_dir.checkpoint(args.checkpoint)?;
    let path = checkpoint.path().join(MODEL_FILE);
    OwnTokenizer::of_run(&run_dir, &RunProgress::read(&checkpoint)?.data)?;
    let tokenizer = carried(&run_dir)?;
    let element = args.dtype.element();
    let (mut warnings, vanished) = (Vec::new(), Vanished::default());
    let beside = Beside {
        tokenizer: tokenizer.as_ref(),
        // If the model was imported, the files that came with its tokenizer are exported unchanged.
        companions: special.is_some().then(|| run_dir.path()),
        context: model.context,
    };
    let size = match args.format {
        ExportFormat::Reference => {
            let export = Export::new(Family::of_model(&model), &model, &path, element).map_err(
                |error| match error {
                    InterchangeError::Inexpressible { .. } => Error::Foreign(format!(
                        "{error}\nits tensors can be had under their own names with --format rondo"
                    )),
                    other => other.into(),
                },
            )?;
            warnings.extend_from_slice(export.warnings());
            let end_of_text = tokenizer.as_ref().and_then(|carried| carried.end_of_text);
            let special = special.unwrap_or_else(|| SpecialTokens::ending(end_of_text));
            let config = export.config(&special);
            write(&args.out, &config, &export.weights(&vanished)?, &beside)?
        }
        ExportFormat::Rondo => {
            let config = json!({"model": recorded.model});
            let weights = plain(&path, element, &vanished)?;
            write(&args.out, &config, &weights, &beside)?
        }
    };
    warnings.extend(vanished.warning(element));
    let mut screen = Progress::new(Mode::Auto, 0, 0);
    warnings.iter().for_each(|text| screen.warn(text));
    terminal::print(&format!(
        "folder     {}\nmodel      {} parameters at step {}, {element}, {}\ntokenizer  {}",
        args.out.display(),
        thousands(Census::new(&model).total() as u64),
        thousands(checkpoint.step()),
        bytes(size),
        match tokenizer {
            Some(_) => "copied",
            None => "none: the run directory has none",
        }
    ))
}

/// The tokenizer of a run, in the form of a file.
struct Carried {
    json: Vec<u8>,
    end_of_text: Option<u32>,
    /// The name of the end-of-text token in this file.
    end_name: Option<String>,
}

fn carried(run_dir: &RunDir) -> Result<Option<Carried>> {
    let Some(path) = run_dir.tokenizer_path() else {
        return Ok(None);
    };
    Tokenizer::vocab_size_of(&path)?;
    let json = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    // Only an imported tokenizer can lack an end of text; the import has already printed a warning.
    let tokenizer = run_dir.tokenizer().ok().flatten();
    Ok(Some(Carried {
        json,
        end_of_text: tokenizer.as_ref().map(Tokenizer::end_of_text),
        end_name: tokenizer.map(|tokenizer| tokenizer.end_of_text_name()),
    }))
}

/// The files that are written beside the weights and the model's configuration.
struct Beside<'a> {
    tokenizer: Option<&'a Carried>,
    /// The folder from which the companion files of the tokenizer are copied. `None` if a tokenizer
    /// configuration is written for a run that Rondo trained.
    companions: Option<&'a Path>,
    context: usize,
}

/// Writes a staged folder, moves it to its target, and returns the size of the weights in bytes.
fn write(
    out: &Path,
    config: &Value,
    weights: &TensorStream<'_>,
    beside: &Beside<'_>,
) -> Result<u64> {
    let staged = StagedFolder::create(&FileSystem, out).map_err(anyhow::Error::from)?;
    let put = |name: &str, text: &[u8]| {
        let written = staged.write(name, |out| out.write_all(text));
        written.map_err(anyhow::Error::from)
    };
    put(CONFIG_FILE, format!("{config:#}\n").as_bytes())?;
    if let Some(carried) = beside.tokenizer {
        put(TOKENIZER_FILE, &carried.json)?;
    }
    match (beside.companions, beside.tokenizer) {
        (Some(from), _) => copy_companions(from, staged.path())?,
        (None, Some(carried)) => {
            let config = tokenizer_config(carried, beside.context);
            put(TOKENIZER_CONFIG_FILE, format!("{config:#}\n").as_bytes())?;
        }
        (None, None) => {}
    }
    let content = ProgressWriter::new(weights, "exporting", weights.bytes());
    let written = staged.write(MODEL_FILE, |out| content.write_to(out));
    written.map_err(Error::of_write)?;
    staged.replace().map_err(anyhow::Error::from)?;
    Ok(weights.bytes())
}

/// Returns the configuration with which Python's `PreTrainedTokenizerFast` reads the tokenizer of a
/// run that Rondo trained.
fn tokenizer_config(carried: &Carried, context: usize) -> Value {
    let mut value = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context,
        "clean_up_tokenization_spaces": false,
        // As in training, the name of the end-of-text token inside a text does not end the text.
        "split_special_tokens": true,
    });
    if let Some(name) = &carried.end_name {
        value["eos_token"] = name.as_str().into();
    }
    value
}
