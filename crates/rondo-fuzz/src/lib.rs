//! Fuzz targets of Rondo's readers: one function for each kind of file that may come from a
//! stranger.
//!
//! Each function takes any bytes. It must return without a panic, with limited memory, and in a
//! short time. If a reader accepts the bytes, its result must have the properties that the
//! function's comment lists. Besides the fuzzer, a test calls each function with every file of
//! `tests/corpus/NAME` and with several hundred modified copies of these files. A file that once
//! caused a failure is named after the failure.
//!
//! | module | input |
//! |---|---|
//! | [`configuration`](fn@configuration) | a run's TOML, with `--set` overrides |
//! | `sweeps`: [`sweep`] | a sweep's TOML, expanded |
//! | `shards`: [`shard`] | token shards, with corrected hashes |
//! | `manifests`: [`manifest`] | a checkpoint's `manifest.json`, with a corrected seal |
//! | [`tensors`](fn@tensors) | tensor files: checkpoints, initial states, imports |
//! | `tokenizers`: [`tokenizer`] | `tokenizer.json` |
//! | [`metrics`](fn@metrics) | `metrics.jsonl` |
//! | `curves`: [`curve`] | CSV tables of losses |
//! | [`rows`](fn@rows) | tokens that a user gives for evaluation |
//! | [`documents`](fn@documents) | files of a corpus |
//! | [`token_files`](fn@token_files) | token files written by other trainers |
//! | [`items`](fn@items) | items of benchmarks |
//! | `scratch` | temporary files for readers that take a path |
//!
//! To search for more failures, run these commands from the repository root. They need a nightly
//! toolchain and `cargo install cargo-fuzz`.
//!
//! ```text
//! mkdir -p target/corpus/TARGET
//! cargo +nightly fuzz run --fuzz-dir crates/rondo-fuzz/fuzz TARGET target/corpus/TARGET tests/corpus/TARGET -- \
//!     -max_len=4096 -timeout=20 -max_total_time=600
//! ```
//!
//! `TARGET` is a name of [`INPUTS`]. The fuzzer puts inputs that reach new code into the first
//! folder, and inputs that cause a failure into `fuzz/artifacts/TARGET`.
//!
//! # Limits
//!
//! This crate does not depend on Burn, so it cannot read the whole configuration of a run, or
//! import a model's `config.json`. It contains no readers. The code that calls the fuzzer is in
//! `fuzz/`, a separate workspace.

mod configuration;
mod curves;
mod documents;
mod items;
mod manifests;
mod metrics;
mod rows;
mod scratch;
mod shards;
mod sweeps;
mod tensors;
mod token_files;
mod tokenizers;

#[cfg(test)]
mod tests;

pub use configuration::configuration;
pub use curves::curve;
pub use documents::documents;
pub use items::items;
pub use manifests::manifest;
pub use metrics::metrics;
pub use rows::rows;
pub use shards::shard;
pub use sweeps::sweep;
pub use tensors::tensors;
pub use token_files::token_files;
pub use tokenizers::tokenizer;

/// A kind of file. Its name is also the name of its fuzz target and of its folder in
/// `tests/corpus`.
#[derive(Clone, Copy, Debug)]
pub struct Input {
    /// The name.
    pub name: &'static str,
    /// Reads bytes as a file of this kind.
    pub read: fn(&[u8]),
}

/// Every kind of file.
pub const INPUTS: [Input; 12] = [
    input("configuration", configuration),
    input("curve", curve),
    input("documents", documents),
    input("items", items),
    input("manifest", manifest),
    input("metrics", metrics),
    input("rows", rows),
    input("shard", shard),
    input("sweep", sweep),
    input("tensors", tensors),
    input("token_files", token_files),
    input("tokenizer", tokenizer),
];

const fn input(name: &'static str, read: fn(&[u8])) -> Input {
    Input { name, read }
}
