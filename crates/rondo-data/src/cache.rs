//! A cache of prepared folders: a run that starts again with the same data reads no text.
//!
//! The folder's name is a hash of everything that decides its content: the fingerprint of the
//! corpus (names and versions, or paths, sizes and times), the tokenizer, the split, the format.

use std::path::{Path, PathBuf};

use crate::config::{DataConfig, MixtureSource, TokenizerConfig};
use crate::corpus::CorpusSource;
use crate::elsewhere;
use crate::error::DataError;
use crate::prepare::{Recipe, SHARD_TOKENS, Tell, prepare};
use crate::prepared::TOKENIZER_FILE;
use crate::text::TextData;
use crate::tokenizer::Tokenizer;

/// This text must change whenever the code would prepare other folders: if the shard format, the
/// reading, the split or the training of tokenizers changes.
const FORMAT: &str = "rondo-data prepared 2";

/// Opens the text that a `text`, `prepared`, `tokens` or `mixture` configuration names. Prepares a
/// `text` if it is not in the cache.
///
/// # Errors
///
/// When the configuration names no text, a corpus cannot be prepared, or a prepared folder or token
/// file is damaged.
pub(crate) fn open_or_prepare(
    config: &DataConfig,
    progress: Tell<'_>,
) -> Result<TextData, DataError> {
    match config {
        DataConfig::Prepared { path, .. } => TextData::open(Path::new(path)),
        DataConfig::Tokens {
            train,
            val,
            tokenizer,
            val_fraction,
            raw,
            ..
        } => elsewhere::open(train, val, tokenizer, *val_fraction, *raw),
        DataConfig::Mixture { sources, .. } => open_mixture(sources, None, progress),
        DataConfig::Text {
            tokenizer,
            val_fraction,
            max_bytes,
            cache,
            ..
        } => {
            let source = config.corpus(progress)?.ok_or_else(no_corpus)?;
            let key = key(&source, tokenizer, *val_fraction, *max_bytes)?;
            let folder = Path::new(cache).join(&key[..16]);
            if !folder.exists() {
                let recipe = Recipe {
                    sources: &source,
                    tokenizer,
                    val_fraction: *val_fraction,
                    max_bytes: *max_bytes,
                    shard_tokens: SHARD_TOKENS,
                };
                let prepared = prepare(&recipe, &folder, progress);
                // Another process may have committed the same folder meanwhile; its content is
                // the same.
                if let Err(error) = prepared
                    && !folder.exists()
                {
                    return Err(error);
                }
            }
            TextData::open(&folder)
        }
        DataConfig::WordProblem { .. } | DataConfig::Arithmetic { .. } => Err(DataError::Config(
            "kind: a synthetic task has no text to prepare; use `text` or `prepared`".to_owned(),
        )),
        DataConfig::Nothing {} => Err(no_corpus()),
    }
}

/// Opens text encoded with the tokenizer of the file `tokenizer`, even if the configuration would
/// now give a different one: a BPE is not trained again, and a tokenizer file at another path is
/// not read. `bytes` and prepared folders are opened as they are; the caller compares their
/// tokenizer with the file.
///
/// # Errors
///
/// The errors of [`open_or_prepare`].
pub(crate) fn open_with_tokenizer(
    config: &DataConfig,
    tokenizer: &Path,
    progress: Tell<'_>,
) -> Result<TextData, DataError> {
    if let DataConfig::Mixture { sources, .. } = config {
        return open_mixture(sources, Some(tokenizer), progress);
    }
    let Some(encoded) = config.with_tokenizer_of(tokenizer) else {
        return open_or_prepare(config, progress);
    };
    // Usually nothing has changed, and the folder that the configuration gives exists. If the
    // tokenizer's file has been removed, the folder's name cannot be computed.
    if let Ok(Some(folder)) = folder(config, progress)
        && folder.exists()
    {
        let text = TextData::open(&folder)?;
        if text.tokenizer().hash() == Tokenizer::load(tokenizer)?.hash() {
            return Ok(text);
        }
    }
    open_or_prepare(&encoded, progress)
}

/// Opens the texts of a mixture. Each is encoded with `tokenizer` or, if `tokenizer` is `None`,
/// with the tokenizer of the first text.
fn open_mixture(
    sources: &[MixtureSource],
    tokenizer: Option<&Path>,
    progress: Tell<'_>,
) -> Result<TextData, DataError> {
    let mut opened: Vec<TextData> = Vec::new();
    for source in sources {
        let of_first = opened
            .first()
            .map(|first| first.folder().join(TOKENIZER_FILE));
        let of_first = of_first.filter(|file| file.is_file());
        let is_trained = matches!(
            &source.data,
            DataConfig::Text {
                tokenizer: TokenizerConfig::Bpe { .. },
                ..
            }
        );
        let text = match tokenizer.or(of_first.as_deref().filter(|_| is_trained)) {
            Some(file) => open_with_tokenizer(&source.data, file, progress),
            None => open_or_prepare(&source.data, progress),
        };
        let text = text.map_err(|error| DataError::Source {
            name: source.name.clone(),
            cause: Box::new(error),
        })?;
        if let Some(first) = opened.first()
            && first.tokenizer().hash() != text.tokenizer().hash()
        {
            return Err(DataError::Corpus(format!(
                "the source `{}` has other tokens than the source `{}`; give all sources one tokenizer, \
                 `tokenizer = {{ kind = \"file\", path = \"…/tokenizer.json\" }}`",
                source.name, sources[0].name
            )));
        }
        opened.push(text);
    }
    TextData::mixed(sources, opened)
}

/// Returns the cache folder of a text; `None` if the configuration names no text.
fn folder(config: &DataConfig, progress: Tell<'_>) -> Result<Option<PathBuf>, DataError> {
    let DataConfig::Text {
        tokenizer,
        val_fraction,
        max_bytes,
        cache,
        ..
    } = config
    else {
        return Ok(None);
    };
    let Some(source) = config.corpus(progress)? else {
        return Ok(None);
    };
    let key = key(&source, tokenizer, *val_fraction, *max_bytes)?;
    Ok(Some(Path::new(cache).join(&key[..16])))
}

/// Returns the error for data of the kind `none`, which cannot be opened.
pub(crate) fn no_corpus() -> DataError {
    DataError::Config(
        "kind: `none` names no corpus; give one with `text`, `prepared` or a task".to_owned(),
    )
}

/// Returns a hash of everything that decides the content of a prepared folder.
pub(crate) fn key(
    source: &CorpusSource,
    tokenizer: &TokenizerConfig,
    val_fraction: f64,
    max_bytes: Option<u64>,
) -> Result<String, DataError> {
    let kind = match tokenizer {
        // The token that ends a text is part of the hash below.
        TokenizerConfig::File { path, .. } => format!("File {{ path: {path:?} }}"),
        other => format!("{other:?}"),
    };
    let mut parts = vec![
        FORMAT.to_owned(),
        format!("{val_fraction:?} {max_bytes:?} {kind}"),
    ];
    if let TokenizerConfig::File { path, end_of_text } = tokenizer {
        let tokenizer = Tokenizer::load_with(Path::new(path), end_of_text.as_deref().into())?;
        parts.push(blake3::Hash::from_bytes(tokenizer.hash()).to_string());
        // If it is in doubt which token ends a text, the folder holds a warning, which is printed
        // whenever the folder is opened. A configuration that names the token needs another folder,
        // without the warning, even if it names the same token.
        parts.extend(tokenizer.doubt());
    }
    if let CorpusSource::Paths {
        field,
        skip_bad_lines,
        ..
    } = source
    {
        parts.push(field.clone());
        if *skip_bad_lines {
            parts.push("bad lines skipped".to_owned());
        }
    }
    parts.extend(source.fingerprint()?);
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests;
