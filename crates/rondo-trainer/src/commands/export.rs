//! `trainer export`: a checkpoint in the reference's layout, or as plain tensors.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use rondo_checkpoint::{Content, TensorStream};
use rondo_data::Tokenizer;
use rondo_metrics::format::{bytes, thousands};
use rondo_metrics::{Mode, Progress};
use rondo_model::census::Census;
use rondo_model::config::ModelConfig;
use rondo_reference::{Export, plain};
use serde_json::{Value, json};

use crate::aside::{Aside, check_target};
use crate::cli::{ExportArgs, ExportFormat};
use crate::commands::shown::Shown;
use crate::error::{Error, Result};
use crate::own_tokenizer::OwnTokenizer;
use crate::progress::RunProgress;
use crate::run_dir::{RunDir, TOKENIZER_FILE};
use crate::terminal;
use crate::weights::MODEL_FILE;

const CONFIG_FILE: &str = "config.json";
const TOKENIZER_CONFIG_FILE: &str = "tokenizer_config.json";

/// Exports a model.
///
/// # Errors
///
/// Where there is no whole checkpoint, the layout cannot express the model, or the folder is taken.
/// Nothing is left behind then.
pub(crate) fn command(args: &ExportArgs) -> Result<()> {
    check_target(&args.out, &args.run, args.overwrite)?;
    let run_dir = RunDir::new(&args.run);
    let model = run_dir.config()?.model;
    let checkpoint = run_dir.checkpoint(args.checkpoint)?;
    let path = checkpoint.path().join(MODEL_FILE);
    OwnTokenizer::of_run(&run_dir, &RunProgress::read(&checkpoint)?.data)?;
    let tokenizer = carried(&run_dir)?;
    let element = args.dtype.element();
    let mut warnings = Vec::new();
    let size = match args.format {
        ExportFormat::Reference => {
            let export = Export::new(&model, &path, element).map_err(|error| match error {
                rondo_reference::ReferenceError::Inexpressible { .. } => Error::Foreign(format!(
                    "{error}\nits tensors can be had under their own names with --format rondo"
                )),
                other => other.into(),
            })?;
            warnings.extend(export.warnings());
            let end_of_text = tokenizer.as_ref().and_then(|carried| carried.end_of_text);
            let config = export.config(end_of_text);
            write(
                &args.out,
                &config,
                &export.weights()?,
                tokenizer.as_ref(),
                &model,
            )?
        }
        ExportFormat::Rondo => {
            let config = json!({"model": model});
            write(
                &args.out,
                &config,
                &plain(&path, element)?,
                tokenizer.as_ref(),
                &model,
            )?
        }
    };
    let mut screen = Progress::new(Mode::Auto, 0, 0);
    warnings.iter().for_each(|text| screen.warn(text));
    terminal::print(&format!(
        "folder     {}\nmodel      {} parameters at step {}, {element}, {}\ntokenizer  {}",
        args.out.display(),
        thousands(Census::new(&model).total() as u64),
        thousands(checkpoint.step()),
        bytes(size),
        match tokenizer {
            Some(_) => "taken along",
            None => "none: the run directory has none",
        }
    ))
}

/// The tokenizer of a run, as a file.
struct Carried {
    json: Vec<u8>,
    end_of_text: Option<u32>,
    /// What the file calls that token.
    end_name: Option<String>,
}

fn carried(run_dir: &RunDir) -> Result<Option<Carried>> {
    let Some(path) = run_dir.tokenizer_path() else {
        return Ok(None);
    };
    Tokenizer::vocab_size_of(&path)?;
    let json = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    // One without an end of text came with an import, which warned.
    let tokenizer = Tokenizer::load(&path).ok();
    Ok(Some(Carried {
        json,
        end_of_text: tokenizer.as_ref().map(Tokenizer::end_of_text),
        end_name: tokenizer.map(|tokenizer| tokenizer.end_of_text_name()),
    }))
}

/// Writes the folder aside, puts it in its place and returns the size of the weights.
fn write(
    out: &Path,
    config: &Value,
    weights: &TensorStream<'_>,
    tokenizer: Option<&Carried>,
    model: &ModelConfig,
) -> Result<u64> {
    let aside = Aside::new(out)?;
    let put = |name: &str, text: &[u8]| {
        let path = aside.path().join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    put(CONFIG_FILE, format!("{config:#}\n").as_bytes())?;
    if let Some(carried) = tokenizer {
        put(TOKENIZER_FILE, &carried.json)?;
        let config = tokenizer_config(carried, model);
        put(TOKENIZER_CONFIG_FILE, format!("{config:#}\n").as_bytes())?;
    }
    let path = aside.path().join(MODEL_FILE);
    let shown = Shown::new(weights, "exporting", weights.bytes());
    let written = File::create_new(&path).and_then(|file| {
        let mut file = BufWriter::new(file);
        shown.write_to(&mut file)?;
        file.flush()?;
        file.get_ref().sync_all()
    });
    written.map_err(|error| Error::of_write(&path, error))?;
    aside.commit()?;
    Ok(weights.bytes())
}

/// Returns what Python's `PreTrainedTokenizerFast` reads beside the tokenizer.
fn tokenizer_config(carried: &Carried, model: &ModelConfig) -> Value {
    let mut value = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": model.context,
        "clean_up_tokenization_spaces": false,
        // A text that speaks of the end of a text does not end there, as in training.
        "split_special_tokens": true,
    });
    if let Some(name) = &carried.end_name {
        value["eos_token"] = name.as_str().into();
    }
    value
}
