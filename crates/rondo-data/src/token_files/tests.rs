use std::fs;
use std::path::PathBuf;

use super::*;

const TOKENS: [u32; 6] = [5, 255, 0, 299, 7, 256];

fn arrays() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tokens")
}

fn tokens_of(path: &Path, raw: RawWidth, vocab_size: usize) -> Result<Vec<u32>, DataError> {
    let tokens = open(path, raw, vocab_size)?;
    Ok(tokens.iter(0..tokens.len()).collect())
}

/// Opens a file with these bytes, with a vocabulary of 300 tokens.
fn read(name: &str, bytes: &[u8], raw: RawWidth) -> Result<Vec<u32>, DataError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("writable");
    tokens_of(&path, raw, 300)
}

fn words(tokens: &[u32], width: usize) -> Vec<u8> {
    let bytes = |token: &u32| u64::from(*token).to_le_bytes()[..width].to_vec();
    tokens.iter().flat_map(bytes).collect()
}

/// Returns a file with the header of llm.c: 256 integers, of which only the first three are used.
fn with_header(magic: i32, version: i32, count: i32, width: usize) -> Vec<u8> {
    let mut header: Vec<u8> = [magic, version, count]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    header.resize(1024, 0);
    [header, words(&TOKENS, width)].concat()
}

/// Returns Megatron's index for sequences of these lengths, with this number type.
fn index(kind: u8, width: u64, lengths: &[i32], documents: &[i64]) -> Vec<u8> {
    let mut bytes = b"MMIDIDX\0\0".to_vec();
    bytes.extend(1_u64.to_le_bytes());
    bytes.push(kind);
    bytes.extend((lengths.len() as u64).to_le_bytes());
    bytes.extend((documents.len() as u64).to_le_bytes());
    bytes.extend(lengths.iter().flat_map(|length| length.to_le_bytes()));
    let mut at = 0_u64;
    for length in lengths {
        bytes.extend(at.to_le_bytes());
        at += u64::from(length.unsigned_abs()) * width;
    }
    bytes.extend(documents.iter().flat_map(|document| document.to_le_bytes()));
    bytes
}

/// Reads `data.bin` with its index `data.idx`.
fn indexed(tokens: &[u8], index: &[u8]) -> Result<Vec<u32>, DataError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("data.bin");
    fs::write(&path, tokens).expect("writable");
    fs::write(path.with_extension("idx"), index).expect("writable");
    tokens_of(&path, RawWidth::U16, 300)
}

#[test]
fn files_without_a_header_are_read_in_the_width_that_is_asked_for() {
    for (raw, width) in [(RawWidth::U16, 2), (RawWidth::U32, 4)] {
        let read = read("train.bin", &words(&TOKENS, width), raw);
        assert_eq!(read.expect("tokens"), TOKENS);
    }
    let error = read("train.bin", &words(&[300], 2), RawWidth::U16).expect_err("beyond");
    let error = error.to_string();
    for expected in [
        "token 300 at position 0",
        "300 tokens",
        "data.raw = \"u16\"",
        "data.tokenizer",
    ] {
        assert!(error.contains(expected), "{error}");
    }
    let error = read("train.bin", &[1, 0, 2], RawWidth::U16).expect_err("half a token");
    assert!(
        error.to_string().contains("no whole number of tokens"),
        "{error}"
    );
}

#[test]
fn headers_of_llm_c_tell_the_width() {
    for (magic, version, width) in [(20_240_520, 1, 2), (20_240_801, 7, 4)] {
        let whole = with_header(magic, version, 6, width);
        assert_eq!(read("a.bin", &whole, RawWidth::U16).expect("whole"), TOKENS);
        for (bytes, expected) in [
            (whole[..whole.len() - width].to_vec(), "names 6 tokens"),
            (whole[..100].to_vec(), "names 6 tokens"),
            ([whole.clone(), vec![0]].concat(), "names 6 tokens"),
            (with_header(magic, version + 1, 6, width), "reads version"),
            (with_header(magic, version, -1, width), "names -1 tokens"),
            (with_header(magic, version, i32::MAX, width), "was cut or"),
        ] {
            let error = read("a.bin", &bytes, RawWidth::U16).expect_err(expected);
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}

#[test]
fn arrays_of_numpy_tell_type_and_shape() {
    for name in [
        "u2.npy",
        "i4.npy",
        "u4.npy",
        "i8.npy",
        "rows.npy",
        "version-2.npy",
    ] {
        let path = arrays().join(name);
        assert_eq!(
            tokens_of(&path, RawWidth::U16, 300).expect(name),
            TOKENS,
            "{name}"
        );
        let whole = fs::read(&path).expect("readable");
        for cut in 6..whole.len() {
            assert!(
                read(name, &whole[..cut], RawWidth::U16).is_err(),
                "{name} cut at {cut}"
            );
        }
        assert!(read(name, &[whole.clone(), vec![0]].concat(), RawWidth::U16).is_err());
    }
    for (name, expected) in [
        ("big-endian.npy", "type >u2"),
        ("floats.npy", "type <f4"),
        ("columns.npy", "column-major"),
        ("negative.npy", "token 4294967295 at position 1"),
    ] {
        let error = tokens_of(&arrays().join(name), RawWidth::U16, 300).expect_err(name);
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn the_index_of_megatron_tells_the_type_and_where_the_sequences_lie() {
    for (kind, width) in [(8, 2), (3, 2), (4, 4), (5, 8)] {
        let index = index(kind, width as u64, &[4, 2], &[0, 1, 2]);
        let tokens = words(&TOKENS, width);
        assert_eq!(indexed(&tokens, &index).expect("whole"), TOKENS);
        for cut in 9..index.len() {
            assert!(indexed(&tokens, &index[..cut]).is_err(), "cut at {cut}");
        }
        let error = indexed(&tokens[width..], &index).expect_err("a token is missing");
        assert!(error.to_string().contains("data.idx: names"), "{error}");
    }
    let tokens = words(&TOKENS, 2);
    let mut version = index(8, 2, &[6], &[0, 1]);
    version[9] = 2;
    let mut gap = index(8, 2, &[4, 2], &[0, 1, 2]);
    gap[34 + 8 + 8] = 10;
    for (index, expected) in [
        (version, "version 2 of Megatron"),
        (index(6, 2, &[6], &[0, 1]), "numbers of type 6"),
        (gap, "sequence 1 begins at byte 10"),
        (
            index(8, 2, &[i32::MAX; 2], &[0, 1]),
            "names 8589934588 bytes",
        ),
    ] {
        let error = indexed(&tokens, &index).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_flipped_bit_is_an_error_or_changes_tokens_and_is_never_read_beyond_the_file() {
    let llm_c = [with_header(20_240_520, 1, 6, 2), words(&TOKENS, 2)].concat();
    let array = |name: &str| fs::read(arrays().join(name)).expect("readable");
    for (name, whole) in [
        ("a.bin", llm_c),
        ("i8.npy", array("i8.npy")),
        ("version-2.npy", array("version-2.npy")),
    ] {
        let mut refused = 0;
        for bit in 0..8 * whole.len() {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            match read(name, &flipped, RawWidth::U16) {
                Ok(tokens) => assert!(tokens.len() <= whole.len() / 2, "{name}: bit {bit}"),
                Err(error) => {
                    assert!(error.to_string().contains(name), "{error}");
                    refused += 1;
                }
            }
        }
        assert!(refused > 0, "{name}");
    }
    let (tokens, index) = (words(&TOKENS, 2), index(8, 2, &[4, 2], &[0, 1, 2]));
    let mut refused = 0;
    for bit in 0..8 * index.len() {
        let mut flipped = index.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        match indexed(&tokens, &flipped) {
            Ok(found) => assert!(found.len() <= TOKENS.len(), "bit {bit}"),
            Err(error) => {
                assert!(error.to_string().contains("data."), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
}

#[test]
fn an_own_shard_is_tokens_too() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("train.tokens");
    let mut writer = crate::shards::ShardWriter::create(&path, 300, [7; 32]).expect("writable");
    writer.push(&TOKENS).expect("inside the vocabulary");
    writer.finish().expect("writable");
    assert_eq!(tokens_of(&path, RawWidth::U16, 300).expect("whole"), TOKENS);
    let error = tokens_of(&path, RawWidth::U16, 299).expect_err("too small a vocabulary");
    assert!(
        error.to_string().contains("token 299 at position 3"),
        "{error}"
    );
}

#[test]
fn what_is_no_file_of_tokens_is_refused_by_its_name() {
    for (name, bytes, expected) in [
        (
            "a.bin",
            &b"a text that goes on for some words\n"[..],
            "a text, not token ids",
        ),
        ("a.parquet", b"PAR1\x15\0PAR1\x15\0", "a Parquet file"),
        ("a.safetensors", b"\x7fELF\x02\x01\x01\0", "a program"),
        ("a.bin", b"", "holds no token"),
    ] {
        let error = read(name, bytes, RawWidth::U16)
            .expect_err(name)
            .to_string();
        assert!(error.contains(name) && error.contains(expected), "{error}");
    }
}
