use std::fs;
use std::path::PathBuf;

use super::*;

const HASH: [u8; 32] = [7; 32];

fn written(folder: &Path, vocab_size: usize, tokens: &[u32]) -> PathBuf {
    let path = folder.join("t.tokens");
    let mut writer = ShardWriter::create(&path, vocab_size, HASH).expect("writable");
    for part in tokens.chunks(3) {
        writer.push(part).expect("inside the vocabulary");
    }
    assert_eq!(writer.finish().expect("writable"), tokens.len() as u64);
    path
}

fn in_a_folder(check: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    check(folder.path());
}

/// Applies a change to a valid file, fixes its header hash, and returns the error of opening it.
fn forged(path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> DataError {
    let mut bytes = fs::read(path).expect("readable");
    change(&mut bytes);
    let check = blake3::hash(&bytes[..96]);
    bytes[96..128].copy_from_slice(check.as_bytes());
    fs::write(path, bytes).expect("writable");
    Shard::open(path).expect_err("the file was forged")
}

#[test]
fn tokens_come_back_in_both_widths() {
    for (vocab_size, tokens) in [
        (300, vec![0, 1, 299, 256, 5]),
        (1 << 16, vec![65_535, 0]),
        (70_000, vec![69_999, 65_536, 1]),
    ] {
        in_a_folder(|folder| {
            let path = written(folder, vocab_size, &tokens);
            let shard = Shard::open_for(&path, vocab_size, HASH).expect("just written");
            assert_eq!(shard.iter().collect::<Vec<_>>(), tokens);
            let mut part = vec![9];
            shard.read(1..2, &mut part);
            assert_eq!(part, [9, tokens[1]]);
            assert_eq!((shard.len(), shard.is_empty()), (tokens.len(), false));
        });
    }
}

#[test]
fn every_truncation_and_every_flipped_bit_is_refused() {
    in_a_folder(|folder| {
        let path = written(folder, 300, &[1, 2, 299, 4]);
        let whole = fs::read(&path).expect("readable");
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).expect("writable");
            assert!(Shard::open(&path).is_err(), "cut at {cut}");
        }
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &flipped).expect("writable");
            assert!(Shard::open(&path).is_err(), "bit {bit}");
        }
        fs::write(&path, [whole.as_slice(), &[0]].concat()).expect("writable");
        let error = Shard::open(&path)
            .expect_err("one byte too many")
            .to_string();
        assert!(
            error.contains("t.tokens: bytes of the body: expected 8, found 9"),
            "{error}"
        );
    });
}

#[test]
fn headers_that_are_whole_but_wrong_are_refused_by_their_field() {
    type Forgery = fn(&mut Vec<u8>);
    let cases: [(&str, Forgery); 6] = [
        ("magic: expected RONDOTOK, found XONDOTOK", |b| b[0] = b'X'),
        ("format version: expected 1, found 2", |b| b[8] = 2),
        ("bytes of a token: expected 2 or 4, found 3", |b| b[12] = 3),
        (
            "bytes of the body: expected 36893488147419103230, found 4",
            |b| {
                b[16..24].fill(255);
            },
        ),
        ("tokens: expected at least 1, found 0", |b| {
            b.truncate(128);
            b[16] = 0;
        }),
        (
            "token 5 at position 1 lies beyond the vocabulary of 5 tokens",
            |b| b[24] = 5,
        ),
    ];
    for (expected, change) in cases {
        in_a_folder(|folder| {
            let error = forged(&written(folder, 6, &[1, 5]), change).to_string();
            assert!(error.contains(expected), "{error}");
        });
    }
}

#[test]
fn tokens_of_another_tokenizer_are_refused() {
    in_a_folder(|folder| {
        let path = written(folder, 6, &[1, 5]);
        let error = Shard::open_for(&path, 6, [8; 32]).expect_err("another hash");
        assert!(
            error
                .to_string()
                .contains("hash of the tokenizer: expected 0808")
        );
        assert!(Shard::open_for(&path, 7, HASH).is_err());
    });
}

#[test]
fn a_token_beyond_the_vocabulary_is_not_written() {
    in_a_folder(|folder| {
        let path = folder.join("t.tokens");
        let mut writer = ShardWriter::create(&path, 6, HASH).expect("writable");
        assert!(writer.push(&[5, 6]).is_err());
    });
}

#[test]
fn an_unfinished_file_is_refused() {
    in_a_folder(|folder| {
        let path = folder.join("t.tokens");
        let mut writer = ShardWriter::create(&path, 6, HASH).expect("writable");
        writer.push(&[1; 9]).expect("inside the vocabulary");
        drop(writer);
        assert!(Shard::open(&path).is_err());
    });
}
