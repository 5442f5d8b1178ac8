//! Divides the tokens of a corpus into training and validation tokens, in files of limited size.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::Path;

use super::progress::{PreparePhase, PrepareProgress, Tell};
use super::state::{ledger, spool};
use crate::error::DataError;
use crate::ledger::Ledger;
use crate::mapped::Width;
use crate::prepared::{Part, ShardFile, Shards};
use crate::shards::ShardWriter;
use crate::split::{self, Split};
use crate::tokenizer::Tokenizer;

/// The number of tokens that are copied at once.
const COPIED_TOKENS: u64 = 1 << 16;

/// The results of writing both parts.
pub(super) struct Written {
    pub(super) train: WrittenPart,
    pub(super) val: WrittenPart,
}

/// The result of writing a part.
pub(super) struct WrittenPart {
    pub(super) tokens: u64,
    /// The files of the part, if there are several.
    pub(super) shards: Option<Shards>,
}

/// Writes the token files of both parts. If a single document was cut, the ledger lists its two
/// parts instead of documents.
pub(super) fn write_parts(
    folder: &Path,
    tokenizer: &Tokenizer,
    shard_tokens: u64,
    split: Option<&Split>,
    progress: Tell<'_>,
) -> Result<Written, DataError> {
    remove_tokens(folder)?;
    let path = spool(folder);
    let file = File::open(&path).map_err(DataError::io("read", &path))?;
    let about = file.metadata().map_err(DataError::io("read", &path))?;
    let width = Width::of_vocab(tokenizer.vocab_size());
    let (mut done, total) = (0, about.len() / width as u64);
    let mut file = BufReader::with_capacity(1 << 20, file);
    let mut train = Series::new(folder, Part::Train, tokenizer, shard_tokens);
    let mut val = Series::new(folder, Part::Val, tokenizer, shard_tokens);
    let mut entries = Ledger::open(&ledger(folder))?;
    let mut bytes = vec![0; COPIED_TOKENS as usize * width as usize];
    let mut tokens = Vec::new();
    for index in 0_u64.. {
        let Some(entry) = entries.next_entry()? else {
            break;
        };
        let series = match (split.map(|split| split.part(index)), index) {
            (Some(split::Part::Train), _) | (None, 0) => Some(&mut train),
            (Some(split::Part::Val) | None, _) => Some(&mut val),
            (Some(split::Part::Duplicate), _) => None,
        };
        match series {
            None => file
                .seek_relative((entry.tokens * width as u64) as i64)
                .map_err(DataError::io("read", &path))?,
            Some(series) => {
                let mut left = entry.tokens;
                while left > 0 {
                    let count = left.min(COPIED_TOKENS);
                    let bytes = &mut bytes[..count as usize * width as usize];
                    file.read_exact(bytes)
                        .map_err(DataError::io("read", &path))?;
                    tokens.clear();
                    tokens.extend(width.values(bytes).map(|id| id as u32));
                    series.push(&tokens)?;
                    left -= count;
                }
            }
        }
        done += entry.tokens;
        let phase = PreparePhase::Writing;
        PrepareProgress { phase, done, total }.tell(progress)?;
    }
    Ok(Written {
        train: train.finish()?,
        val: val.finish()?,
    })
}

/// Removes token files that an earlier process left unfinished.
fn remove_tokens(folder: &Path) -> Result<(), DataError> {
    for entry in fs::read_dir(folder).map_err(DataError::io("read", folder))? {
        let path = entry.map_err(DataError::io("read", folder))?.path();
        if path.extension().is_some_and(|ending| ending == "tokens") {
            fs::remove_file(&path).map_err(DataError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Writes the tokens of a part, file after file.
struct Series<'a> {
    folder: &'a Path,
    part: Part,
    tokenizer: &'a Tokenizer,
    /// The maximum number of tokens in a file.
    most: u64,
    writer: Option<(ShardWriter, u64)>,
    files: Vec<ShardFile>,
    tokens: u64,
    hasher: blake3::Hasher,
}

impl<'a> Series<'a> {
    fn new(folder: &'a Path, part: Part, tokenizer: &'a Tokenizer, most: u64) -> Self {
        Self {
            folder,
            part,
            tokenizer,
            most,
            writer: None,
            files: Vec::new(),
            tokens: 0,
            hasher: blake3::Hasher::new(),
        }
    }

    fn push(&mut self, mut tokens: &[u32]) -> Result<(), DataError> {
        while !tokens.is_empty() {
            let (mut writer, count) = match self.writer.take() {
                Some(open) => open,
                None => (self.create()?, 0),
            };
            let room = usize::try_from(self.most - count).unwrap_or(usize::MAX);
            let (now, rest) = tokens.split_at(tokens.len().min(room));
            self.hasher.update(&writer.push(now)?);
            let count = count + now.len() as u64;
            self.tokens += now.len() as u64;
            self.writer = Some((writer, count));
            if count == self.most {
                self.close()?;
            }
            tokens = rest;
        }
        Ok(())
    }

    fn create(&self) -> Result<ShardWriter, DataError> {
        let name = self.part.numbered(self.files.len());
        let tokenizer = self.tokenizer;
        ShardWriter::create(
            &self.folder.join(name),
            tokenizer.vocab_size(),
            tokenizer.hash(),
        )
    }

    fn close(&mut self) -> Result<(), DataError> {
        if let Some((writer, tokens)) = self.writer.take() {
            let hash = writer.seal()?;
            self.files.push(ShardFile {
                file: self.part.numbered(self.files.len()),
                tokens,
                hash: blake3::Hash::from_bytes(hash).to_hex().to_string(),
            });
        }
        Ok(())
    }

    fn finish(mut self) -> Result<WrittenPart, DataError> {
        if self.writer.is_none() && self.files.is_empty() {
            self.writer = Some((self.create()?, 0));
        }
        self.close()?;
        let shards = match self.files.as_slice() {
            [only] => {
                let from = self.folder.join(&only.file);
                let to = self.folder.join(self.part.file());
                fs::rename(&from, to).map_err(DataError::io("rename", &from))?;
                None
            }
            _ => Some(Shards {
                hash: self.hasher.finalize().to_hex().to_string(),
                files: self.files,
            }),
        };
        Ok(WrittenPart {
            tokens: self.tokens,
            shards,
        })
    }
}
