//! Token files of other trainers, opened as a text: training files, validation files, and the
//! tokenizer that made the tokens.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::config::TokenizerConfig;
use crate::error::DataError;
use crate::mapped::MappedTokens;
use crate::notices::Notices;
use crate::resolve;
use crate::text::TextData;
use crate::token_files::{self, RawWidth, with_index};
use crate::tokenizer::Tokenizer;
use crate::tokens::Tokens;

/// Opens the token files for the given paths. Without validation paths, the last `val_fraction` of
/// the tokens are used for validation.
///
/// # Errors
///
/// When a file is missing, damaged or not a token file, when the tokenizer cannot be loaded, or
/// when a token is outside its vocabulary.
pub(crate) fn open(
    train: &[String],
    val: &[String],
    tokenizer: &TokenizerConfig,
    val_fraction: f64,
    raw: RawWidth,
) -> Result<TextData, DataError> {
    let tokenizer = match tokenizer {
        TokenizerConfig::Bytes {} => Tokenizer::bytes(),
        TokenizerConfig::File { path, end_of_text } => {
            Tokenizer::load_with(Path::new(path), end_of_text.as_deref().into())?
        }
        TokenizerConfig::Bpe { .. } => {
            let message = "tokenizer.kind: tokens have no text to train a BPE on";
            return Err(DataError::Config(message.to_owned()));
        }
    };
    let mut notices = Notices::default();
    let files = files(train, &mut notices)?;
    let folder = files.first().and_then(|file| file.parent());
    let folder = folder.map(Path::to_owned).unwrap_or_default();
    let train = open_all(&files, raw, tokenizer.vocab_size())?;
    let (train, val) = match val {
        [] => {
            let tail = (train.len() as f64 * val_fraction).ceil() as usize;
            train.split_tail(tail)
        }
        val => {
            let files = self::files(val, &mut notices)?;
            (train, open_all(&files, raw, tokenizer.vocab_size())?)
        }
    };
    let mut warnings = notices.lines();
    let end = tokenizer.end_of_text();
    if !train.iter().any(|token| token == end) {
        warnings.push(format!(
            "no training token is {}, token {end}, which ends a text: another tokenizer made the tokens, or nothing \
             stands between the documents",
            tokenizer.end_of_text_name()
        ));
    }
    Ok(TextData::from_elsewhere(
        folder, tokenizer, train, val, warnings,
    ))
}

/// Returns the token files for the given paths. The path of a Megatron index, or a path without
/// extension, stands for the `.bin` file beside it.
fn files(paths: &[String], notices: &mut Notices) -> Result<Vec<PathBuf>, DataError> {
    let mut files = Vec::new();
    for path in paths {
        let prefixed = PathBuf::from(format!("{path}.bin"));
        if !Path::new(path).exists() && with_index(&prefixed).is_some() {
            files.push(prefixed);
            continue;
        }
        for file in resolve::files(std::slice::from_ref(path), notices)? {
            let is_index = file.extension().is_some_and(|ending| ending == "idx");
            let file = match is_index {
                true => file.with_extension("bin"),
                false => file,
            };
            if files.last() != Some(&file) {
                files.push(file);
            }
        }
    }
    Ok(files)
}

fn open_all(files: &[PathBuf], raw: RawWidth, vocab_size: usize) -> Result<Tokens, DataError> {
    let opened: Vec<MappedTokens> = files
        .par_iter()
        .map(|file| token_files::open(file, raw, vocab_size))
        .collect::<Result<_, _>>()?;
    Ok(Tokens::new(opened, None))
}
