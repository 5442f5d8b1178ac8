//! `trainer import`: makes a run directory from a folder in the layout of the reference.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rondo_checkpoint::{Retention, Snapshot, save};
use rondo_data::{DataConfig, DataError, Tokenizer};
use rondo_files::{Content, FileSystem, LOCK_FILE, RunLock, StagedFolder, TensorStream};
use rondo_interchange::{Import, InterchangeError, Looping};
use rondo_metrics::format::thousands;
use rondo_metrics::{Mode, Progress};
use rondo_model::census::Census;
use rondo_model::config::ModelConfig;
use rondo_train::config::RunConfig;
use rondo_train::error::{Error, Result};
use rondo_train::progress::RunProgress;
use rondo_train::run_dir::companions::{COMPANIONS, copy_companions};
use rondo_train::run_dir::{CREATED_BY, RunDir, TOKENIZER_FILE, end_of_text};
use rondo_train::weights::MODEL_FILE;
use serde_json::json;

use crate::cli::ImportArgs;
use crate::commands::progress_writer::ProgressWriter;
use crate::commands::target::check_target;
use crate::terminal;

/// Imports a model.
///
/// # Errors
///
/// Returns an error if the folder is not in the layout of the reference, it contains something that
/// Rondo cannot represent, its tokenizer does not fit, or the run directory exists. After an error,
/// no files are left behind.
pub(crate) fn command(args: &ImportArgs) -> Result<()> {
    check_target(&args.out, &args.dir, args.overwrite)?;
    let import = Import::open(&args.dir)?;
    let mut warnings = import.warnings().to_vec();
    let tokenizer = args.dir.join(TOKENIZER_FILE);
    let tokenizer = tokenizer.is_file().then_some(tokenizer.as_path());
    if let Some(path) = tokenizer {
        check_tokenizer(path, &import, &mut warnings)?;
    }
    let looping = looping(args, &import)?;
    let model = looping.as_ref().map_or(import.model(), Looping::model);
    let config = run_config(model);
    // A run in training must not be replaced. Every run has a lock file.
    let replaced = match args.out.join(LOCK_FILE).is_file() {
        true => Some(RunLock::acquire(&args.out)?),
        false => None,
    };
    let staged = StagedFolder::create(&FileSystem, &args.out).map_err(anyhow::Error::from)?;
    let run_dir = RunDir::new(staged.path());
    let lock = run_dir.create(&config)?;
    let weights = match &looping {
        Some(looping) => looping.weights()?,
        None => import.weights()?,
    };
    write_checkpoint(&lock, &config, &weights)?;
    if let Some(path) = tokenizer {
        run_dir.copy_tokenizer(path)?;
    }
    copy_companions(&args.dir, staged.path())?;
    run_dir.write_special_tokens(import.special())?;
    run_dir.write_facts(&facts(&args.dir, &import, tokenizer)?)?;
    // Some systems cannot rename a folder while a file in it is open.
    drop((lock, replaced));
    staged.replace().map_err(anyhow::Error::from)?;
    report(args, model, &import, tokenizer.is_some(), &warnings)
}

/// Returns an error if a file is not a tokenizer, or has more tokens than the model.
fn check_tokenizer(path: &Path, import: &Import, warnings: &mut Vec<String>) -> Result<()> {
    let tokens = Tokenizer::vocab_size_of(path)?;
    let rows = import.model().vocab_size;
    if tokens > rows {
        return Err(Error::Data(DataError::Tokenizer {
            name: path.display().to_string(),
            message: format!("has {tokens} tokens, the model's vocabulary only {rows}"),
        }));
    }
    match Tokenizer::load_with(path, end_of_text(import.special())) {
        Ok(tokenizer) => warnings.extend(tokenizer.doubt()),
        Err(error) => warnings.push(format!("{error}; it is copied, but cannot encode text")),
    }
    Ok(())
}

/// Returns the configuration of a run that has a model but no data.
fn run_config(model: &ModelConfig) -> RunConfig {
    let mut config = RunConfig {
        data: DataConfig::Nothing {},
        model: model.to_section(),
        ..RunConfig::default()
    };
    // With rows as long as the context, every text that fits the context is evaluated in one
    // window.
    config.train.seq = Some(model.context);
    config.eval.tokens = config.eval.tokens.max(model.context);
    config
}

/// Turns the stack of layers into a loop, if `--loop` is given.
fn looping<'a>(args: &ImportArgs, import: &'a Import) -> Result<Option<Looping<'a>>> {
    let (Some(tying), Some(loops)) = (args.tying, args.loops) else {
        return Ok(None);
    };
    let looping = Looping::new(import, tying.into(), loops, args.lora_rank);
    looping
        .map(Some)
        .map_err(|reason| Error::Usage(format!("--loop: {reason}")))
}

fn write_checkpoint(lock: &RunLock, config: &RunConfig, weights: &TensorStream<'_>) -> Result<()> {
    let weights = ProgressWriter::new(weights, "importing", weights.bytes());
    let (progress_name, progress) = RunProgress::start(None).file()?;
    let files: [(&str, &dyn Content); 2] = [(MODEL_FILE, &weights), (progress_name, &progress)];
    let snapshot = Snapshot {
        step: 0,
        config_hash: &config.hash()?,
        created_by: CREATED_BY,
        files: &files,
    };
    let retention = Retention {
        keep_last: config.checkpoint.keep_last,
        keep_every: config.checkpoint.keep_every,
        keep_best: None,
    };
    save(lock, &snapshot, &retention).map_err(Error::of_stream)?;
    Ok(())
}

/// Returns the facts about an import: the arguments, the versions, and the hash of every file that
/// was read.
fn facts(dir: &Path, import: &Import, tokenizer: Option<&Path>) -> Result<serde_json::Value> {
    let mut files = Vec::new();
    let beside = COMPANIONS.map(|name| dir.join(name));
    let beside = beside.iter().map(PathBuf::as_path);
    let beside = beside.filter(|path| path.is_file());
    for path in import.files().chain(tokenizer).chain(beside) {
        let mut hasher = blake3::Hasher::new();
        let hashed = File::open(path).and_then(|file| {
            hasher.update_reader(file)?;
            fs::metadata(path)
        });
        let bytes = hashed
            .map_err(|source| InterchangeError::Io {
                path: path.to_owned(),
                source,
            })?
            .len();
        files.push(json!({
            "name": path.file_name().map(|name| name.to_string_lossy()),
            "bytes": bytes,
            "blake3": hasher.finalize().to_hex().as_str(),
        }));
    }
    Ok(json!({
        "argv": std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect::<Vec<_>>(),
        "version": CREATED_BY,
        "os": std::env::consts::OS,
        "arch": std::env::consts::ARCH,
        "imported": {"from": dir.display().to_string(), "files": files},
    }))
}

fn report(
    args: &ImportArgs,
    model: &ModelConfig,
    import: &Import,
    tokenizer: bool,
    warnings: &[String],
) -> Result<()> {
    let mut screen = Progress::new(Mode::Auto, 0, 0);
    warnings.iter().for_each(|text| screen.warn(text));
    let stored: Vec<String> = import.elements().iter().map(ToString::to_string).collect();
    terminal::print(&format!(
        "run        {}\nmodel      {} parameters, stored as {}; layers {} + {} + {}, effective depth {} at \
         recurrence {}\ntokenizer  {}",
        args.out.display(),
        thousands(Census::new(model).total() as u64),
        stored.join(" and "),
        model.layers.prelude,
        model.layers.core,
        model.layers.coda,
        model.effective_depth(model.recurrence.mean),
        model.recurrence.mean,
        match tokenizer {
            true => "copied",
            false => "none: the run works on token files (--tokens)",
        },
    ))
}
