use std::fs;
use std::ops::ControlFlow;

use super::*;
use crate::config::TokenizerConfig;
use crate::corpus::CorpusSource;

/// Opens a text of one document; its last part is used for validation.
fn with_text(text: &str, val_fraction: f64, check: impl FnOnce(&TextData)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("t.txt");
    fs::write(&file, text).expect("writable");
    let source = CorpusSource::new(&[file.display().to_string()], "text");
    let out = folder.path().join("p");
    let bytes = TokenizerConfig::Bytes {};
    let recipe = crate::Recipe {
        sources: &source,
        tokenizer: &bytes,
        val_fraction,
        max_bytes: None,
        shard_tokens: crate::SHARD_TOKENS,
    };
    crate::prepare(&recipe, &out, &mut |_| ControlFlow::Continue(())).expect("good");
    check(&TextData::open(&out).expect("just prepared"));
}

fn letters(count: usize) -> String {
    (0..count)
        .map(|i| char::from(b'a' + (i % 26) as u8))
        .collect()
}

#[test]
fn rows_are_windows_of_the_text_and_do_not_depend_on_the_batch() {
    with_text(&letters(500), 0.2, |data| {
        let whole = data.train_rows(3, 0, 90, 10).expect("long enough");
        for row in 0..90 {
            let (inputs, targets) = (whole.input_row(row), whole.target_row(row));
            assert_eq!(inputs[1..], targets[..9]);
            for (input, target) in inputs.iter().zip(targets) {
                let next = u32::from(b'a') + (input - u32::from(b'a') + 1) % 26;
                assert!(*target == next || *target == 256);
            }
        }
        let later = data.train_rows(3, 60, 5, 10).expect("long enough");
        assert_eq!(later.inputs, whole.inputs[600..650]);
        let other = data.train_rows(4, 0, 90, 10).expect("long enough");
        assert_ne!(other.inputs, whole.inputs);
    });
}

#[test]
fn validation_windows_are_consecutive_and_bounded() {
    with_text(&letters(100), 0.25, |data| {
        // 25 bytes and the end of the text: 26 tokens, 5 windows of 5 targets.
        let batches = data.val_batches(2, 5, None).expect("long enough");
        let rows: Vec<usize> = batches.iter().map(|batch| batch.batch).collect();
        assert_eq!(rows, [2, 2, 1]);
        let targets: Vec<u32> = batches.into_iter().flat_map(|b| b.targets).collect();
        assert_eq!(
            targets,
            data.sources[0].val.iter().skip(1).collect::<Vec<_>>()
        );
        let bounded = data.val_batches(8, 5, Some(14)).expect("long enough");
        assert_eq!((bounded.len(), bounded[0].batch), (1, 2));
    });
}

#[test]
fn too_few_tokens_for_a_row_are_an_error_not_a_panic() {
    with_text("abcd", 0.5, |data| {
        assert!(data.train_rows(1, 0, 1, 2).is_ok());
        let error = data.train_rows(1, 0, 1, 3).expect_err("three tokens");
        assert!(
            error.to_string().contains("needs 4 tokens, found 3"),
            "{error}"
        );
        assert!(data.val_batches(1, 3, None).is_err());
    });
}

#[test]
fn unigram_cross_entropy_can_be_redone_by_hand() {
    with_text("aabb", 0.5, |data| {
        // Training aa + end, validation bb + end, 257 tokens in the vocabulary.
        let expected = (2.0 * 260_f64.ln() + 130_f64.ln()) / 3.0;
        assert!((data.unigram_cross_entropy() - expected).abs() < 1e-12);
    });
}
