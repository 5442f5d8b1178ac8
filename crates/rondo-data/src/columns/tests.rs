use std::fs;
use std::path::PathBuf;
use std::rc::Rc;

use super::*;

/// The folder of tables that pyarrow wrote.
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
        "zstd.feather",
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
                Err(error) => assert!(error.to_string().contains(name), "{error}"),
                // A stream may end between two of its batches; that is told.
                Ok((_, notices)) => {
                    assert_eq!(name, "plain.arrow", "cut at {length}");
                    assert!(notices[0].contains("may have been cut"), "{notices:?}");
                }
            }
        }
    }
}

#[test]
fn a_changed_byte_is_an_error_or_changes_the_texts_and_never_ends_the_program() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in [
        "snappy.parquet",
        "pages-2.parquet",
        "uncompressed.feather",
        "coded.arrow",
    ] {
        let whole = fs::read(tables().join(name)).expect("readable");
        let path = folder.path().join(name);
        let mut refused = 0;
        for at in 0..whole.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut changed = whole.clone();
                changed[at] ^= change;
                fs::write(&path, &changed).expect("writable");
                refused += usize::from(read_with(&path, "text", true).is_err());
            }
        }
        assert!(refused > 0, "{name}");
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
