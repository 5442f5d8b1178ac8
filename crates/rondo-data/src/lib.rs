//! From text, or from a synthetic task, to batches of token ids.
//!
//! Every batch is a pure function of its source, the seed and the number of its first row:
//! `train_rows(seed, first_row, rows, ..)`. Sources have no position and no state, so a resumed run
//! gets the same tokens for the same rows.
//!
//! # Modules, in reading order
//!
//! * [`batch`]: what a trainer receives, and [`IGNORE`]
//! * [`config`]: the `[data]` section and its rules
//! * [`source`]: one enum over text and tasks
//! * from files to documents: [`corpus`] with `resolve` (paths to files), `hub` (data sets of the
//!   Hugging Face Hub), `data_sets` (folders in the layouts of the Python library `datasets` and of
//!   the Hub), `documents` (files to documents) with `compressed` (gzip, Zstandard), `elements` and
//!   `records` (JSON), `columns` (Parquet, Arrow) and `foreign` (formats that are not text),
//!   `notices` (what was skipped), [`dependencies`] (the corpus that every build already has)
//! * from documents to tokens: `ledger` (the list of all documents), `split` (training and
//!   validation), [`tokenizer`] (text to ids, and which token ends a text) and `bpe` (trains a
//!   tokenizer), `cut` (where a text may be cut), `encode` (documents to tokens)
//! * token files: [`shards`] (this program's format), `mapped` (token ids in a file that is mapped
//!   into memory), `prepared` (a folder of token files), [`mod@prepare`] (corpus to folder),
//!   `cache` (finds prepared folders again), `token_files` (formats of other trainers), `elsewhere`
//!   (opens token files of other trainers as a text), `tokens` (the tokens of several files in
//!   sequence)
//! * from tokens to batches: `order` (the window of tokens for each row), `mixture` (the shares of
//!   several texts), [`text`] (windows to batches), `identity` (distinguishes corpora);
//!   [`token_rows`] (tokens given for an evaluation)
//! * from tasks to batches: [`tasks`], with `word_problem` (of a finite [`group`](tasks::group)),
//!   `arithmetic` (nested expressions) and [`curriculum`](tasks::curriculum)
//! * [`error`]; `file` (opens regular files only), `seed` (named random streams)
//!
//! # Limits
//!
//! The crate uses no Burn, no devices and no tensors, except for the file format of token rows. It
//! has no clock, no terminal (progress goes to a callback) and no ambient randomness. Only `hub`
//! uses the network. [`dependencies`] calls cargo, but with `--offline --locked`. Nothing depends
//! on the iteration order of a hash table.

pub mod batch;
mod bpe;
mod cache;
mod columns;
mod compressed;
pub mod config;
pub mod corpus;
mod cut;
mod data_sets;
pub mod dependencies;
mod documents;
mod elements;
mod elsewhere;
mod encode;
pub mod error;
mod file;
mod foreign;
mod hub;
mod identity;
mod ledger;
mod mapped;
mod mixture;
mod notices;
mod order;
pub mod prepare;
mod prepared;
mod records;
mod resolve;
mod seed;
pub mod shards;
pub mod source;
mod split;
pub mod tasks;
pub mod text;
mod token_files;
pub mod token_rows;
pub mod tokenizer;
mod tokens;

pub use batch::{Batch, IGNORE, batches_of_rows, bytes_per_target};
pub use config::{DataConfig, MixtureSource, TokenizerConfig};
pub use corpus::CorpusSource;
pub use encode::{EncodedText, encode_source};
pub use error::DataError;
pub use hub::HubFiles;
pub use identity::CorpusIdentity;
pub use prepare::{PreparePhase, PrepareProgress, Recipe, SHARD_TOKENS, Tell, prepare};
pub use prepared::CorpusInfo;
pub use source::Source;
pub use tasks::Task;
pub use tasks::curriculum::{Curriculum, CurriculumState};
pub use tasks::group::Group;
pub use text::TextData;
pub use token_files::RawWidth;
pub use token_rows::read_tokens;
pub use tokenizer::{EndOfText, Tokenizer};
