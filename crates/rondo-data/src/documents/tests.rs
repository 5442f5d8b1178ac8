use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::*;

/// Reads a file with this name and content; returns its texts and the notices about it.
fn read_with(
    name: &str,
    bytes: &[u8],
    reading: &Reading,
) -> Result<(Vec<String>, Vec<String>), DataError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("writable");
    let (mut texts, mut notices) = (Vec::new(), Notices::default());
    for_each(
        &path,
        reading,
        u64::MAX,
        &mut notices,
        &Rc::default(),
        &mut |text, _| {
            texts.push(text.to_owned());
            Ok(Stop::No)
        },
    )?;
    Ok((texts, notices.lines()))
}

fn reading(skip_bad_lines: bool) -> Reading {
    Reading {
        field: "text".to_owned(),
        skip_bad_lines,
    }
}

fn read(name: &str, bytes: &[u8]) -> Result<Vec<String>, DataError> {
    read_with(name, bytes, &reading(false)).map(|(texts, _)| texts)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("into memory");
    encoder.finish().expect("into memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

const LINES: &[u8] = b"{\"text\":\"one\",\"id\":1}\n\n{\"text\":\"\"}\n{\"text\":\"t\\nwo\"}";
const LIST: &[u8] =
    b"[\n {\"text\": \"one\", \"id\": 1},\n {\"text\": \"\"}, {\"text\": \"t\\nwo\"}\n]\n";

#[test]
fn a_text_file_is_one_document_compressed_or_not() {
    let text = b"a\nb\n";
    for (name, bytes) in [
        ("a.txt", text.to_vec()),
        ("a.md.gz", gzip(text)),
        ("A.TXT.ZST", zstd(text)),
        ("no-ending", text.to_vec()),
    ] {
        assert_eq!(read(name, &bytes).expect(name), ["a\nb\n"], "{name}");
    }
    assert!(read("empty.txt", b"").expect("readable").is_empty());
}

#[test]
fn records_are_one_document_each_compressed_or_not() {
    for (name, bytes) in [
        ("a.jsonl", LINES.to_vec()),
        ("a.jsonl.gz", gzip(LINES)),
        ("a.jsonl.zst", zstd(LINES)),
        ("a.ndjson", LINES.to_vec()),
        ("A.JSONLINES.GZ", gzip(LINES)),
        ("a.json", LINES.to_vec()),
        ("a.json", LIST.to_vec()),
        ("a.json.zst", zstd(LIST)),
    ] {
        let (texts, notices) = read_with(name, &bytes, &reading(false)).expect(name);
        assert_eq!(texts, ["one", "t\nwo"], "{name}");
        assert!(notices.is_empty(), "{notices:?}");
    }
}

#[test]
fn json_without_records_and_tables_are_read_as_one_text_with_a_word() {
    for (name, text) in [
        ("a.json", "{\"name\": \"x\"}\n"),
        ("a.json", "{\n  \"text\": 1\n}\n"),
        ("a.json", "[1, 2]"),
        ("a.json", "[{\"id\": 1}, {\"text\": \"x\"}]"),
        ("a.csv", "id,text\n1,x\n"),
        ("a.TSV", "id\ttext\n"),
    ] {
        let (texts, notices) = read_with(name, text.as_bytes(), &reading(false)).expect(name);
        assert_eq!(texts, [text]);
        assert!(notices[0].contains("one plain text"), "{notices:?}");
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_text() {
    let marked = |bytes: &[u8]| [BYTE_ORDER_MARK, bytes].concat();
    assert_eq!(read("a.txt", &marked(b"text")).expect("text"), ["text"]);
    assert_eq!(
        read("a.txt.gz", &gzip(&marked(b"text"))).expect("text"),
        ["text"]
    );
    assert!(read("a.txt", BYTE_ORDER_MARK).expect("nothing").is_empty());
    assert_eq!(
        read("a.txt", &marked(&marked(b"x"))).expect("one mark"),
        ["\u{feff}x"]
    );
    let twice = [marked(LINES), b"\n".to_vec(), marked(LINES)].concat();
    assert_eq!(read("a.jsonl", &twice).expect("lines").len(), 4);
    assert_eq!(read("a.json", &marked(LIST)).expect("a list").len(), 2);
}

#[test]
fn several_compressed_members_are_read_on() {
    let twice = |one: Vec<u8>| [one.clone(), one].concat();
    assert_eq!(read("a.gz", &twice(gzip(b"ab"))).expect("gzip"), ["abab"]);
    assert_eq!(read("a.zst", &twice(zstd(b"ab"))).expect("zstd"), ["abab"]);
}

#[test]
fn bytes_behind_gzip_are_ignored_with_a_word() {
    let bytes = [gzip(LINES), b"\r\n".to_vec()].concat();
    let (texts, notices) = read_with("a.jsonl.gz", &bytes, &reading(false)).expect("lines");
    assert_eq!(texts.len(), 2);
    assert!(
        notices[0].contains("after the last gzip member"),
        "{notices:?}"
    );
}

#[test]
fn a_document_that_unpacks_to_more_than_is_allowed_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("a.gz");
    fs::write(&path, gzip(b"abc\ndefg")).expect("writable");
    let mut documents = Documents::open(&path, Rc::default()).expect("readable");
    documents.most = 4;
    let mut bytes = Vec::new();
    for _ in 0..2 {
        assert!(documents.read(Some(b'\n'), &mut bytes).expect("four bytes"));
    }
    assert_eq!(bytes, b"abc\ndefg");
    documents.reader = Box::new(&b"abcde"[..]);
    let error = documents.read(None, &mut bytes).expect_err("five bytes");
    assert!(error.to_string().contains("a.gz: unpacks to"), "{error}");
}

#[test]
fn no_more_of_a_text_is_read_than_is_wanted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("a.txt");
    for text in ["é".repeat(1000), "x".repeat(1000), "猫".repeat(1000)] {
        fs::write(&path, [text.as_bytes(), b"\xff"].concat()).expect("writable");
        for most in [0, 1, 700, 701, 702] {
            let mut length = 0;
            let each = &mut |found: &str, _| {
                assert!(text.starts_with(found));
                length = found.len() as u64;
                Ok(Stop::Here)
            };
            for_each(
                &path,
                &reading(false),
                most,
                &mut Notices::default(),
                &Rc::default(),
                each,
            )
            .expect("text");
            assert!(
                (most + 1..=most + 4).contains(&length),
                "{length} for {most}"
            );
        }
        let all = for_each(
            &path,
            &reading(false),
            9000,
            &mut Notices::default(),
            &Rc::default(),
            &mut |_, _| Ok(Stop::No),
        );
        assert!(all.is_err(), "the byte behind the text is read");
    }
}

#[test]
fn a_long_text_comes_in_stretches_and_what_is_wrong_with_it_is_found_in_each() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("a.txt");
    // Each character has three bytes, so the first part ends inside a character.
    let text = "猫".repeat(STRETCH_BYTES / 2);
    fs::write(&path, &text).expect("writable");
    let (mut stretches, read) = (Vec::new(), Rc::default());
    let each = &mut |stretch: &str, then: Then| {
        stretches.push((stretch.to_owned(), then));
        Ok(Stop::No)
    };
    for_each(
        &path,
        &reading(false),
        u64::MAX,
        &mut Notices::default(),
        &read,
        each,
    )
    .expect("text");
    let ends: Vec<Then> = stretches.iter().map(|(_, then)| *then).collect();
    assert_eq!(ends, [Then::GoesOn, Then::Ends]);
    assert_eq!(stretches[0].0.len(), STRETCH_BYTES / 3 * 3);
    let whole: String = stretches.into_iter().map(|(stretch, _)| stretch).collect();
    assert!(whole == text && read.get() == text.len() as u64);
    for (wrong, expected) in [
        (&b"\0"[..], "a NUL at byte"),
        (b"\xff", "not UTF-8 text at byte"),
    ] {
        fs::write(&path, [text.as_bytes(), wrong].concat()).expect("writable");
        let each = &mut |_: &str, _| Ok(Stop::No);
        let error = for_each(
            &path,
            &reading(false),
            u64::MAX,
            &mut Notices::default(),
            &read,
            each,
        );
        let expected = format!("{expected} {}", text.len());
        let error = error.expect_err("no text").to_string();
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn what_is_wrong_is_named_with_file_and_line() {
    for (name, bytes, expected) in [
        (
            "a.jsonl",
            &b"{\"text\":\"x\"}\n\n{\"tex"[..],
            "a.jsonl:3: not a line of JSON",
        ),
        (
            "a.jsonl",
            b"{\"body\":\"x\"}",
            "a.jsonl:1: no text under the key `text`",
        ),
        (
            "a.jsonl",
            b"{\"text\":5}",
            "a.jsonl:1: no text under the key `text`",
        ),
        ("a.jsonl", b"[1]", "a.jsonl:1: no text"),
        (
            "a.jsonl",
            b"{\"text\":\"\xff\"}",
            "a.jsonl:1: not a line of JSON",
        ),
        (
            "a.json",
            b"[{\"text\":\"x\"},\n\n5]",
            "a.json:3: an element",
        ),
        (
            "a.json",
            b"[{\"text\":\"x\"},\n{\"t\":1}]",
            "a.json:2: no text",
        ),
        ("a.txt", b"ab\xff", "not UTF-8 text at byte 2"),
        ("a.txt", b"ab\0", "a NUL at byte 2"),
        ("train.bin", b"\x07\0\x09\0\xc8\x01", "nanoGPT"),
        ("a.txt", b"PAR1\x15\0PAR1", "a Parquet file"),
        ("a.jsonl", b"PAR1\x15\0\nPAR1", "a Parquet file"),
        ("a.txt", b"\xff\xfea\0\n\0", "iconv -f UTF-16"),
        ("a.jsonl", b"\xff\xfe{\0\n\0", "iconv -f UTF-16"),
    ] {
        let error = read(name, bytes).expect_err(name).to_string();
        assert!(error.contains(expected), "{error}");
    }
    let late = [vec![b'x'; 2000], vec![0]].concat();
    let error = read("a.txt", &late).expect_err("a NUL").to_string();
    assert!(error.contains("a NUL at byte 2000"), "{error}");
    assert_eq!(
        read("a.txt", b"PAR1 is a mark").expect("text"),
        ["PAR1 is a mark"]
    );
}

#[test]
fn bad_lines_are_skipped_on_request_and_counted() {
    let half = b"{\"text\":\"a \\ud83d\"}\n{\"text\":\"good\"}\nno JSON\n{\"text\":\"x\xff\"}\n{\"body\":1}\n";
    let error = read("a.jsonl", half).expect_err("half a pair").to_string();
    assert!(
        error.contains("a.jsonl:1:") && error.contains("skip_bad_lines"),
        "{error}"
    );
    let (texts, notices) = read_with("a.jsonl", half, &reading(true)).expect("skipped");
    assert_eq!(texts, ["good"]);
    assert_eq!(notices.len(), 1);
    assert!(
        notices[0].contains("a.jsonl:1:") && notices[0].contains("(and 3 more)"),
        "{notices:?}"
    );
    let list = b"[{\"text\":\"x\"}, {\"body\":1}, {\"text\":\"y\"}]";
    let (texts, notices) = read_with("a.json", list, &reading(true)).expect("skipped");
    assert_eq!((texts.len(), notices.len()), (2, 1));
    let parquet = read_with("a.jsonl", b"PAR1\x15\0\nPAR1", &reading(true));
    assert!(parquet.is_err(), "another format is not a bad line");
}

#[test]
fn damaged_compressed_files_are_errors_and_never_panics() {
    for (name, whole) in [("a.gz", gzip(&[7; 3000])), ("a.zst", zstd(&[7; 3000]))] {
        for cut in 1..whole.len() {
            assert!(read(name, &whole[..cut]).is_err(), "{name} cut at {cut}");
        }
    }
}
