//! Reads token shards.

use std::fs;
use std::path::PathBuf;

use rondo_data::shards::{Shard, ShardWriter};

use crate::scratch;

/// The header stores the tokenizer's hash, the body's hash and its own hash at these three offsets.
/// The header ends at `END`, where the body begins.
const TOKENIZER: usize = 32;
const BODY: usize = 64;
const HEADER: usize = 96;
const END: usize = 128;

/// Opens a token shard twice: first the bytes as they are, then the bytes with correct hashes. The
/// fuzzer changes bytes without correcting the hashes, so a changed shard is refused at its hashes
/// or earlier. With correct hashes, it can reach the remaining checks.
///
/// An accepted shard must hold at least one token and no token outside the vocabulary. If it is
/// written again, it must hold the same tokens.
///
/// # Panics
///
/// Panics if one of these properties does not hold.
pub fn shard(bytes: &[u8]) {
    opened(bytes);
    if let Some(sealed) = sealed(bytes) {
        opened(&sealed);
    }
}

/// Returns the shard with correct hashes of its body and its header; `None` if it is shorter than a
/// header.
fn sealed(bytes: &[u8]) -> Option<Vec<u8>> {
    let body = blake3::hash(bytes.get(END..)?);
    let mut sealed = bytes.to_vec();
    sealed[BODY..HEADER].copy_from_slice(body.as_bytes());
    let header = blake3::hash(&sealed[..HEADER]);
    sealed[HEADER..END].copy_from_slice(header.as_bytes());
    Some(sealed)
}

fn opened(bytes: &[u8]) {
    let path = scratch::file("input.tokens", bytes);
    let Ok(shard) = Shard::open(&path) else {
        return;
    };
    let tokens: Vec<u32> = shard.iter().collect();
    assert!(!shard.is_empty() && tokens.len() == shard.len());
    assert!(tokens.iter().all(|&id| u64::from(id) < shard.vocab_size()));
    let half = tokens.len() / 2;
    let mut read = Vec::new();
    shard.read(0..half, &mut read);
    shard.read(half..tokens.len(), &mut read);
    assert_eq!(read, tokens);

    let mut tokenizer = [0; 32];
    tokenizer.copy_from_slice(&bytes[TOKENIZER..BODY]);
    let vocab_size = shard.vocab_size() as usize;
    let again = written(vocab_size, tokenizer, &tokens);
    let again = Shard::open_for(&again, vocab_size, tokenizer).expect("what was written just now");
    assert!(again.iter().eq(tokens), "{bytes:?}");
}

fn written(vocab_size: usize, tokenizer: [u8; 32], tokens: &[u32]) -> PathBuf {
    let path = scratch::path("again.tokens");
    // The writer refuses to replace a file, and the previous input has left one.
    let _ = fs::remove_file(&path);
    let mut writer = ShardWriter::create(&path, vocab_size, tokenizer).expect("a new file");
    writer.push(tokens).expect("tokens of the vocabulary");
    writer.finish().expect("a temporary folder takes files");
    path
}
