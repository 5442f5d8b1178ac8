//! Encodes documents in reading order: one thread reads and cuts, all threads encode, one writes.
//!
//! A batch of pieces is encoded while the next one is read. The output is committed regularly:
//! first the files are synced, then the state that describes them is written, so that a later
//! process resumes after the last commit.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::mem;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::progress::{PreparePhase, PrepareProgress, Tell};
use super::single::Parts;
use super::state::{Position, State, ledger, spool};
use super::survey::{Hashing, Seen};
use crate::corpus::{Corpus, Document, Span};
use crate::documents::{Stop, Then};
use crate::encode::{Gathered, Gatherer, encode_pieces};
use crate::error::DataError;
use crate::ledger::{Entry, LedgerWriter};
use crate::mapped::Width;
use crate::notices::Notices;
use crate::tokenizer::Tokenizer;

/// Each thread gets this many bytes of text in a batch: several pieces, so that all threads have
/// about the same work.
const BATCH_BYTES: usize = 256 << 10;

/// The number of bytes of text between two commits: a few seconds of encoding.
const COMMIT_BYTES: usize = 64 << 20;

/// Encodes a corpus.
pub(super) struct Encoding<'a> {
    pub(super) corpus: &'a Corpus,
    pub(super) tokenizer: &'a Tokenizer,
    pub(super) max_bytes: Option<u64>,
    /// The staged folder.
    pub(super) folder: &'a Path,
    /// The byte at which a single document is cut. Its two parts are listed as two documents, and
    /// nothing is read after them.
    pub(super) cut: Option<u64>,
}

/// Pieces that are encoded together.
struct Batch {
    pieces: Vec<Gathered>,
    /// The entries of the documents that end in one of the pieces, in order.
    entries: Vec<Entry>,
    /// The number of bytes of text.
    bytes: usize,
    /// The position after the batch.
    position: Position,
    /// The number of bytes on disk that were read so far.
    read: u64,
}

impl Encoding<'_> {
    /// Encodes everything that the state does not list as encoded.
    ///
    /// # Errors
    ///
    /// When the corpus cannot be read or encoded, or the files cannot be written;
    /// [`DataError::Interrupted`] if `progress` stops the work. In every case, `state` is then the
    /// state of the last commit.
    pub(super) fn run(&self, state: &mut State, progress: Tell<'_>) -> Result<(), DataError> {
        if state.encoded {
            return Ok(());
        }
        let total = self.corpus.size()?;
        let mut sink = Sink::open(self, state)?;
        let from = state.position.clone();
        let seen = match &state.surveyed {
            Some(_) => {
                let mut seen = Seen::open(self.corpus, self.folder)?;
                if self.cut.is_none() {
                    seen.skip(state.entries)?;
                }
                Some(seen)
            }
            None => None,
        };
        let (sender, receiver) = sync_channel(1);
        let (produced, consumed) = thread::scope(|scope| {
            let producer = scope.spawn(|| Producer::new(self, from, sender).run(seen));
            let mut tell = |done| {
                let phase = PreparePhase::Encoding;
                PrepareProgress { phase, done, total }.tell(progress)
            };
            let consumed = consume(receiver, &mut sink, state, &mut |read| {
                tell(read.min(total.saturating_sub(1)))
            });
            let produced = producer.join().unwrap_or_else(|panic| resume_unwind(panic));
            let consumed = consumed.and_then(|()| match produced.is_ok() {
                true => tell(total),
                false => Ok(()),
            });
            (produced, consumed)
        });
        if let (Ok(()), Ok(notices)) = (&consumed, &produced) {
            state.encoded = true;
            state.position.notices = Some(notices.clone());
        }
        sink.commit(state)?;
        // If writing fails, the producer stops too. So the consumer's error comes first.
        consumed?;
        produced?;
        Ok(())
    }
}

/// Encodes and writes batches as they arrive.
fn consume(
    batches: Receiver<Batch>,
    sink: &mut Sink<'_>,
    state: &mut State,
    tell: &mut dyn FnMut(u64) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let mut since_commit = 0;
    for batch in batches {
        let encoded = encode_pieces(sink.tokenizer, &batch.pieces)?;
        let mut entries = batch.entries.into_iter();
        for (piece, tokens) in batch.pieces.iter().zip(&encoded) {
            sink.push(tokens)?;
            state.tokens += tokens.len() as u64;
            state.tokens_of_document += tokens.len() as u64;
            if piece.ends
                && let Some(entry) = entries.next()
            {
                sink.ledger.push(Entry {
                    tokens: mem::take(&mut state.tokens_of_document),
                    ..entry
                })?;
                state.entries += 1;
            }
        }
        state.position = batch.position;
        since_commit += batch.bytes;
        if since_commit >= COMMIT_BYTES {
            sink.commit(state)?;
            since_commit = 0;
        }
        tell(batch.read)?;
    }
    Ok(())
}

/// The files that tokens are written to.
struct Sink<'a> {
    folder: &'a Path,
    tokenizer: &'a Tokenizer,
    path: PathBuf,
    file: BufWriter<File>,
    width: Width,
    ledger: LedgerWriter,
}

impl<'a> Sink<'a> {
    /// Opens the files, and drops everything that was written after `state` was saved.
    fn open(encoding: &Encoding<'a>, state: &State) -> Result<Self, DataError> {
        let folder = encoding.folder;
        let path = spool(folder);
        let width = Width::of_vocab(encoding.tokenizer.vocab_size());
        let open = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)?;
            let end = state.tokens * width as u64;
            file.set_len(end)?;
            file.seek(SeekFrom::Start(end))?;
            Ok(BufWriter::new(file))
        };
        Ok(Self {
            folder,
            tokenizer: encoding.tokenizer,
            file: open().map_err(DataError::io("write", &path))?,
            path,
            width,
            ledger: LedgerWriter::open(&ledger(folder), state.entries)?,
        })
    }

    fn push(&mut self, tokens: &[u32]) -> Result<(), DataError> {
        let width = self.width as usize;
        let mut bytes = Vec::with_capacity(tokens.len() * width);
        for token in tokens {
            bytes.extend_from_slice(&token.to_le_bytes()[..width]);
        }
        self.file
            .write_all(&bytes)
            .map_err(DataError::io("write", &self.path))
    }

    fn commit(&mut self, state: &State) -> Result<(), DataError> {
        let sync = self
            .file
            .flush()
            .and_then(|()| self.file.get_ref().sync_data());
        sync.map_err(DataError::io("write", &self.path))?;
        self.ledger.sync()?;
        state.save(self.folder)
    }
}

/// Reads documents and cuts them into pieces.
struct Producer<'a> {
    encoding: &'a Encoding<'a>,
    sender: SyncSender<Batch>,
    from: Position,
    gatherer: Gatherer<'a>,
    parts: Parts,
    hashing: Hashing,
    batch: Batch,
    batch_bytes: usize,
    /// The number of bytes of text of the current file.
    bytes_of_file: u64,
    /// How many documents of the first file, and how many pieces of the next document, an earlier
    /// process has encoded.
    skipped: (u64, u64),
    /// The number of bytes of the current part, if the document is cut.
    bytes_of_part: u64,
}

impl<'a> Producer<'a> {
    fn new(encoding: &'a Encoding<'a>, from: Position, sender: SyncSender<Batch>) -> Self {
        let skipped = (from.documents, from.pieces);
        let begin = Position {
            documents: 0,
            pieces: 0,
            ..from.clone()
        };
        Self {
            encoding,
            sender,
            gatherer: Gatherer::new(encoding.tokenizer),
            parts: Parts::new(encoding.cut),
            hashing: Hashing::default(),
            batch: Batch {
                pieces: Vec::new(),
                entries: Vec::new(),
                bytes: 0,
                position: begin,
                read: 0,
            },
            batch_bytes: BATCH_BYTES * rayon::current_num_threads().max(4),
            bytes_of_file: 0,
            skipped,
            from,
            bytes_of_part: 0,
        }
    }

    /// Reads the corpus to its end. Returns notices about what was skipped.
    fn run(mut self, mut seen: Option<Seen<'_>>) -> Result<Notices, DataError> {
        let most = self.encoding.max_bytes.unwrap_or(u64::MAX);
        let span = Span {
            from_file: self.from.file,
            bytes: most - self.from.bytes_before.min(most),
            notices: self.from.notices.clone(),
        };
        let ended = self
            .encoding
            .corpus
            .for_each(&span, &mut |document| self.push(&document, &mut seen))?;
        if self.encoding.cut.is_none()
            && let Some(seen) = seen
        {
            seen.all_read()?;
        }
        self.send()?;
        Ok(ended.notices)
    }

    /// Receives the next part of a document.
    fn push(
        &mut self,
        document: &Document<'_>,
        seen: &mut Option<Seen<'_>>,
    ) -> Result<Stop, DataError> {
        let position = &mut self.batch.position;
        if document.file != position.file {
            position.bytes_before += mem::take(&mut self.bytes_of_file);
            position.file = document.file;
            position.documents = 0;
        }
        if position.notices.as_ref() != Some(document.notices) {
            position.notices = Some(document.notices.clone());
        }
        self.bytes_of_file += document.text.len() as u64;
        self.batch.read = document.read;
        let ends = document.then != Then::GoesOn;
        if self.skipped.0 > 0 {
            self.skipped.0 -= u64::from(ends);
            position.documents += u64::from(ends);
            return Ok(Stop::No);
        }
        let entry = self.hashing.push(document);
        if let (Some(seen), Some(entry)) = (seen, &entry) {
            seen.check(entry)?;
        }
        let then = if ends { Then::Ends } else { Then::GoesOn };
        for (text, then) in self.parts.of(document.text, then).into_iter().flatten() {
            self.gather(text, then, entry, document.file);
        }
        if ends {
            self.batch.position.documents += 1;
            self.batch.position.pieces = 0;
        }
        if self.batch.bytes >= self.batch_bytes {
            self.send()?;
        }
        let is_done = ends && self.encoding.cut.is_some();
        Ok(if is_done { Stop::Here } else { Stop::No })
    }

    /// Adds the pieces of a stretch to the batch, except those that are already encoded.
    fn gather(&mut self, text: &str, then: Then, entry: Option<Entry>, file: usize) {
        self.bytes_of_part += text.len() as u64;
        let mut pieces = Vec::new();
        self.gatherer.push(text, then, &mut pieces);
        for piece in pieces {
            self.batch.position.pieces += 1;
            // If a document is cut, each of its parts gets an entry without a hash.
            let of_part = Entry {
                hash: [0; 32],
                bytes: self.bytes_of_part,
                tokens: 0,
                file: file as u32,
            };
            if piece.ends {
                self.bytes_of_part = 0;
            }
            if self.skipped.1 > 0 {
                self.skipped.1 -= 1;
                continue;
            }
            if piece.ends {
                let of_document = entry.filter(|_| self.encoding.cut.is_none());
                self.batch.entries.push(of_document.unwrap_or(of_part));
            }
            self.batch.bytes += piece.text.len();
            self.batch.pieces.push(piece);
        }
    }

    /// Sends the batch to the consumer.
    fn send(&mut self) -> Result<(), DataError> {
        let batch = Batch {
            pieces: mem::take(&mut self.batch.pieces),
            entries: mem::take(&mut self.batch.entries),
            bytes: mem::take(&mut self.batch.bytes),
            position: self.batch.position.clone(),
            read: self.batch.read,
        };
        // The receiver is only gone if writing has failed. Then the error of writing is returned.
        self.sender.send(batch).map_err(|_| DataError::Interrupted)
    }
}
