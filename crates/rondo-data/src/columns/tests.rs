use std::fs;
use std::path::PathBuf;
use std::rc::Rc;

use super::*;

/// Returns the folder of the tables written by pyarrow.
fn tables() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tables")
}

/// Reads one of the tables; returns its texts and the notices.
fn read_with(
    path: &Path,
    field: &str,
    skip_bad_lines: bool,
) -> Result<(Vec<String>, Vec<String>), DataError> {
    let reading = Reading {
        field: field.to_owned(),
        skip_bad_lines,
    };
    let (mut texts, mut notices) = (Vec::new(), Notices::default());
    crate::documents::for_each(
        path,
        &reading,
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

fn read(name: &str, field: &str) -> Result<Vec<String>, DataError> {
    let (texts, notices) = read_with(&tables().join(name), field, false)?;
    assert!(notices.is_empty(), "{notices:?}");
    Ok(texts)
}

#[test]
fn every_form_of_a_table_has_the_texts_of_its_json_lines() {
    let expected = read("texts.jsonl", "text").expect("lines");
    assert_eq!(expected.len(), 7);
    for name in [
        "none.parquet",
        "snappy.parquet",
        "gzip.parquet",
        "zstd.parquet",
        "lz4.parquet",
        "pages-2.parquet",
        "large.parquet",
        "coded.parquet",
        "delta.parquet",
        "delta-required.parquet",
        "delta-lengths.parquet",
        "uncompressed.feather",
        "zstd.feather",
        "lz4.feather",
        "plain.arrow",
        "large.arrow",
        "coded.arrow",
        "views.arrow",
    ] {
        assert_eq!(read(name, "text").expect(name), expected, "{name}");
    }
    for name in ["nested.parquet", "nested.arrow", "nested.jsonl"] {
        assert_eq!(read(name, "doc.body").expect(name), expected, "{name}");
    }
}

#[test]
fn the_first_rows_are_enough_where_no_more_are_wanted() {
    for name in ["zstd.parquet", "plain.arrow"] {
        let mut texts = Vec::new();
        let stop = crate::documents::for_each(
            &tables().join(name),
            &Reading {
                field: "text".to_owned(),
                skip_bad_lines: false,
            },
            u64::MAX,
            &mut Notices::default(),
            &Rc::default(),
            &mut |text, _| {
                texts.push(text.to_owned());
                Ok(if texts.len() == 2 {
                    Stop::Here
                } else {
                    Stop::No
                })
            },
        );
        assert_eq!(stop.expect("two rows"), Stop::Here);
        assert_eq!(texts, ["one", "t\nwo\r\n"], "{name}");
    }
}

#[test]
fn a_row_without_a_text_is_named_or_skipped() {
    for (name, field, row, skipped) in [
        ("nulls.parquet", "text", "row 2", 1),
        ("nulls.arrow", "text", "row 2", 1),
        ("nested-nulls.parquet", "doc.body", "row 2", 2),
        ("nested-nulls.arrow", "doc.body", "row 2", 2),
    ] {
        let error = read(name, field).expect_err(name).to_string();
        assert!(error.contains(name) && error.contains(row), "{error}");
        assert!(
            error.contains("null") && error.contains("skip_bad_lines"),
            "{error}"
        );
        let (texts, notices) = read_with(&tables().join(name), field, true).expect("skipped");
        assert_eq!(texts, ["a", "b"]);
        assert!(notices[0].contains(row), "{notices:?}");
        assert_eq!(
            notices[0].contains("(and 1 more)"),
            skipped == 2,
            "{notices:?}"
        );
    }
}

#[test]
fn a_dictionary_without_texts_has_no_row_with_one() {
    let error = read("all-null.arrow", "text").expect_err("null alone");
    assert!(error.to_string().contains("row 1: no text"), "{error}");
    let (texts, _) = read_with(&tables().join("all-null.arrow"), "text", true).expect("skipped");
    assert!(texts.is_empty());
}

#[test]
fn a_column_that_is_not_there_or_holds_no_texts_is_told_with_what_there_is() {
    for (name, field, expected) in [
        ("zstd.parquet", "content", "columns here: id, text"),
        ("plain.arrow", "content", "columns here: id, text"),
        (
            "nested.parquet",
            "body",
            "columns here: doc.meta.n, doc.body",
        ),
        ("nested.arrow", "body", "columns here: doc"),
        ("nested.parquet", "doc", "holds records or lists"),
        ("nested.arrow", "doc", "holds values of type Struct"),
        ("zstd.parquet", "id", "holds values of type INT64"),
        ("plain.arrow", "id", "holds values of type Int64"),
        ("lists.parquet", "text.list.element", "holds lists"),
        ("lists.parquet", "text", "holds records or lists"),
        ("lists.arrow", "text", "holds values of type List"),
    ] {
        let error = read(name, field).expect_err(name).to_string();
        assert!(error.contains(name) && error.contains(expected), "{error}");
    }
}

#[test]
fn a_file_that_was_cut_is_refused_wherever_that_happened() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in [
        "zstd.parquet",
        "none.parquet",
        "snappy.parquet",
        "gzip.parquet",
        "lz4.parquet",
        "pages-2.parquet",
        "delta.parquet",
        "zstd.feather",
        "lz4.feather",
        "plain.arrow",
    ] {
        let whole = fs::read(tables().join(name)).expect("readable");
        let path = folder.path().join(name);
        let cut_off = |length: usize| {
            fs::write(&path, &whole[..length]).expect("writable");
            read_with(&path, "text", false)
        };
        for length in 0..whole.len() {
            match cut_off(length) {
                Err(error) => {
                    let error = error.to_string();
                    assert!(error.contains(name), "{error}");
                    assert!(!error.contains("error:"), "{error}");
                }
                // A stream that ends between two batches is read, and a notice says so.
                Ok((_, notices)) => {
                    assert_eq!(name, "plain.arrow", "cut at {length}");
                    assert!(notices[0].contains("may have been cut"), "{notices:?}");
                }
            }
        }
    }
}

/// Changes bytes of a table at an offset and reads it; null rows are skipped.
fn read_changed(name: &str, at: usize, bytes: &[u8]) -> Result<Vec<String>, DataError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut changed = fs::read(tables().join(name)).expect("readable");
    changed[at..at + bytes.len()].copy_from_slice(bytes);
    read_bytes(&folder.path().join(name), &changed)
}

/// Reads a table with these bytes; null rows are skipped.
fn read_bytes(path: &Path, bytes: &[u8]) -> Result<Vec<String>, DataError> {
    fs::write(path, bytes).expect("writable");
    read_with(path, "text", true).map(|(texts, _)| texts)
}

#[test]
fn a_changed_byte_is_an_error_or_changes_the_texts_and_never_ends_the_program() {
    for name in [
        "none.parquet",
        "snappy.parquet",
        "gzip.parquet",
        "zstd.parquet",
        "lz4.parquet",
        "pages-2.parquet",
        "delta.parquet",
        "delta-required.parquet",
        "delta-lengths.parquet",
        "uncompressed.feather",
        "zstd.feather",
        "lz4.feather",
        "coded.arrow",
        "views.arrow",
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(name);
        let mut bytes = fs::read(tables().join(name)).expect("readable");
        let mut refused = 0;
        for at in 0..bytes.len() {
            let change = [0x01, 0x10, 0x80][at % 3];
            bytes[at] ^= change;
            if let Err(error) = read_bytes(&path, &bytes) {
                assert!(error.to_string().contains(name), "{error}");
                refused += 1;
            }
            bytes[at] ^= change;
        }
        assert!(refused > 0, "{name}");
    }
}

#[test]
fn a_packed_arrow_buffer_that_names_any_length_is_refused_before_there_is_room_for_it() {
    for (name, magic) in [
        ("zstd.feather", [0x28, 0xb5, 0x2f, 0xfd]),
        ("lz4.feather", [0x04, 0x22, 0x4d, 0x18]),
    ] {
        let whole = fs::read(tables().join(name)).expect("readable");
        let packed: Vec<usize> = (8..whole.len())
            .filter(|&at| whole[at..].starts_with(&magic))
            .collect();
        assert!(!packed.is_empty(), "{name} has a packed buffer");
        for &at in &packed {
            for length in [1 << 33, 1 << 40, 1 << 50, i64::MAX, -2, i64::MIN] {
                let error = read_changed(name, at - 8, &length.to_le_bytes());
                let error = error.expect_err("another length").to_string();
                for part in [name, "not a whole Arrow file: message", "buffer"] {
                    assert!(error.contains(part), "{error}");
                }
            }
        }
        // A declared size that is possible is compared later with the actual uncompressed size.
        // Here the declared size of the last buffer, which holds the texts, is changed.
        let texts = packed[packed.len() - 1];
        assert!(read_changed(name, texts - 8, &3_i64.to_le_bytes()).is_err());
    }
}

#[test]
fn what_is_no_table_is_refused_by_its_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, bytes, expected) in [
        ("a.parquet", &b"a text\n"[..], "not a whole Parquet file"),
        ("a.parquet", b"", "not a whole Parquet file"),
        ("a.arrow", b"a text\n", "not a whole Arrow file"),
        ("a.arrow", b"", "not a whole Arrow file"),
        (
            "a.feather",
            b"FEA1 and more of the first version FEA1",
            "not a whole Arrow file",
        ),
        (
            "a.arrow",
            b"ARROW1\0\0\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\x7fARROW1",
            "beyond the file",
        ),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("writable");
        let error = read_with(&path, "text", false).expect_err(name).to_string();
        assert!(error.contains(name) && error.contains(expected), "{error}");
    }
}
