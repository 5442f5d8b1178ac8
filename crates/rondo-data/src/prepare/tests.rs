use std::fs;
use std::ops::ControlFlow;

use super::*;
use crate::prepared::{TRAIN_FILE, VAL_FILE};
use crate::shards::Shard;
use crate::text::TextData;

fn corpus(texts: &[&str]) -> (tempfile::TempDir, CorpusSource) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (index, text) in texts.iter().enumerate() {
        fs::write(folder.path().join(format!("{index:03}.txt")), text).expect("writable");
    }
    let paths = vec![folder.path().display().to_string()];
    (folder, CorpusSource::new(&paths, "text"))
}

fn recipe<'a>(sources: &'a CorpusSource, tokenizer: &'a TokenizerConfig) -> Recipe<'a> {
    Recipe {
        sources,
        tokenizer,
        val_fraction: 0.3,
        max_bytes: None,
        shard_tokens: SHARD_TOKENS,
    }
}

fn prepared(source: &CorpusSource, tokenizer: &TokenizerConfig, out: &Path) -> CorpusInfo {
    let recipe = recipe(source, tokenizer);
    prepare(&recipe, out, &mut |_| ControlFlow::Continue(())).expect("a good corpus")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("readable");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("readable").file_name().display().to_string())
        .collect();
    names.sort();
    names
}

#[test]
fn every_document_ends_with_the_end_of_text_and_counts_add_up() {
    let (_texts, source) = corpus(&["aa", "bb", "cc", "aa", "dd"]);
    let out = tempfile::tempdir().expect("a temporary folder");
    let folder = out.path().join("p");
    let info = prepared(&source, &TokenizerConfig::Bytes {}, &folder);
    assert_eq!(names(&folder), [INFO_FILE, TRAIN_FILE, VAL_FILE]);
    assert_eq!(names(out.path()), ["p"]);
    assert_eq!((info.documents, info.duplicates), (5, 1));
    assert_eq!((info.train_documents, info.val_documents), (3, 1));
    assert_eq!((info.train_bytes, info.val_bytes), (6, 2));
    assert_eq!((info.train_tokens, info.val_tokens), (9, 3));
    let train = Shard::open(&folder.join(TRAIN_FILE)).expect("just written");
    let tokens: Vec<u32> = train.iter().collect();
    for document in tokens.chunks(3) {
        assert_eq!(document[0], document[1]);
        assert_eq!(document[2], 256);
    }
}

#[test]
fn two_runs_write_the_same_bytes() {
    let texts: Vec<String> = (0..30)
        .map(|i| format!("number {i} and {}\n", i * i))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (_texts, source) = corpus(&texts);
    let out = tempfile::tempdir().expect("a temporary folder");
    let bpe = TokenizerConfig::Bpe { vocab_size: 290 };
    let [first, second] = ["a", "b"].map(|name| out.path().join(name));
    assert_eq!(
        prepared(&source, &bpe, &first),
        prepared(&source, &bpe, &second)
    );
    for name in names(&first) {
        let [a, b] = [&first, &second].map(|folder| fs::read(folder.join(&name)));
        assert_eq!(a.expect("readable"), b.expect("readable"), "{name}");
    }
}

#[test]
fn the_tokenizer_does_not_see_the_validation_text() {
    let train = "aba aba aba aba aba aba aba aba aba aba\n";
    let (_texts, source) = corpus(&[train, "zqzqzqzqzqzq"]);
    let out = tempfile::tempdir().expect("a temporary folder");
    let folder = out.path().join("p");
    prepared(&source, &TokenizerConfig::Bpe { vocab_size: 300 }, &folder);
    let tokenizer = Tokenizer::load(&folder.join(TOKENIZER_FILE)).expect("just written");
    assert_eq!(tokenizer.encode("zqzq").expect("bytes").len(), 4);
    assert!(tokenizer.encode("aba").expect("bytes").len() < 3);
}

#[test]
fn a_failed_preparation_leaves_nothing_behind() {
    let (_texts, source) = corpus(&["aa", "bb"]);
    let out = tempfile::tempdir().expect("a temporary folder");
    let missing = TokenizerConfig::File {
        path: out.path().join("no.json").display().to_string(),
        end_of_text: None,
    };
    let folder = out.path().join("p");
    let run = |tokenizer, fraction| {
        let recipe = Recipe {
            val_fraction: fraction,
            ..recipe(&source, tokenizer)
        };
        prepare(&recipe, &folder, &mut |_| ControlFlow::Continue(()))
    };
    assert!(run(&missing, 0.5).is_err());
    assert!(names(out.path()).is_empty());
    assert!(run(&TokenizerConfig::Bytes {}, 1.5).is_err());
    run(&TokenizerConfig::Bytes {}, 0.5).expect("a good corpus");
    let again = run(&TokenizerConfig::Bytes {}, 0.5).expect_err("the folder exists");
    assert!(again.to_string().contains("exists already"), "{again}");
}

#[test]
fn progress_ends_at_its_total_in_every_phase() {
    let (_texts, source) = corpus(&["aaaa aaaa", "bbbb bbbb", "cccc cccc"]);
    let out = tempfile::tempdir().expect("a temporary folder");
    let mut last = Vec::new();
    let mut hear = |heard: PrepareProgress| {
        last.retain(|(phase, _, _)| *phase != heard.phase);
        last.push((heard.phase, heard.done, heard.total));
        ControlFlow::Continue(())
    };
    let bpe = TokenizerConfig::Bpe { vocab_size: 259 };
    prepare(&recipe(&source, &bpe), &out.path().join("p"), &mut hear).expect("good");
    assert_eq!(
        last,
        [
            (PreparePhase::Reading, 27, 27),
            (PreparePhase::TrainingTokenizer, 2, 2),
            (PreparePhase::Encoding, 27, 27),
            // Two documents of five pairs or bytes, one of nine bytes, and the token that ends
            // each.
            (PreparePhase::Writing, 22, 22)
        ]
    );
}

/// Prepares a corpus. Each try is stopped after `each` calls of the progress; the last try ends
/// before that. Returns the number of stopped tries.
fn prepared_with_breaks(recipe: &Recipe<'_>, out: &Path, each: usize) -> usize {
    for tries in 0.. {
        let mut calls = 0;
        let ended = prepare(recipe, out, &mut |_| {
            calls += 1;
            match calls > each {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        match ended {
            Ok(_) => return tries,
            Err(DataError::Interrupted) => assert!(!out.exists()),
            Err(error) => panic!("{error}"),
        }
        assert!(tries < 1000, "it gets nowhere");
    }
    0
}

#[test]
fn a_preparation_that_is_broken_off_goes_on_and_writes_the_same_bytes() {
    let line = |i: usize| {
        format!(
            "{{\"text\":\"{}\"}}\n",
            format!("{} and ", i * i).repeat(1 + i % 700)
        )
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lines: String = (0..3000).map(line).collect();
    fs::write(folder.path().join("b.jsonl"), lines + "no JSON\n").expect("writable");
    fs::write(
        folder.path().join("a.txt"),
        "words of a long text ".repeat(300_000),
    )
    .expect("writable");
    fs::write(folder.path().join("c.txt"), "the last one").expect("writable");
    let source = CorpusSource::new(&[folder.path().display().to_string()], "text");
    let source = source.skipping_bad_lines(true);
    let bytes = TokenizerConfig::Bytes {};
    let recipe = Recipe {
        shard_tokens: 2_000_000,
        ..recipe(&source, &bytes)
    };
    let out = tempfile::tempdir().expect("a temporary folder");
    let whole = out.path().join("whole");
    assert_eq!(prepared_with_breaks(&recipe, &whole, usize::MAX), 0);
    // 3010 is more calls than the writing phase makes, and fewer than a whole preparation makes.
    let broken = out.path().join("broken");
    let tries = prepared_with_breaks(&recipe, &broken, 3010);
    assert!(tries > 0, "it was never broken off");
    assert!(names(&whole).len() > 4, "{:?}", names(&whole));
    assert_eq!(names(&whole), names(&broken));
    for name in names(&whole) {
        let [a, b] =
            [&whole, &broken].map(|folder| fs::read(folder.join(&name)).expect("readable"));
        assert!(a == b, "{name}");
    }
    assert_eq!(names(out.path()), ["broken", "whole"]);
}

#[test]
fn a_preparation_that_is_broken_off_inside_the_encoding_goes_on_there() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(
        folder.path().join("a.txt"),
        "words of a long text\n".repeat(500_000),
    )
    .expect("writable");
    fs::write(folder.path().join("b.txt"), "a short text").expect("writable");
    let all = CorpusSource::new(&[folder.path().display().to_string()], "text");
    let one = CorpusSource::new(&[folder.path().join("a.txt").display().to_string()], "text");
    let bytes = TokenizerConfig::Bytes {};
    for source in [all, one] {
        let out = tempfile::tempdir().expect("a temporary folder");
        let [whole, broken] = ["whole", "broken"].map(|name| out.path().join(name));
        prepared(&source, &bytes, &whole);
        let mut begun = false;
        let mut done = Vec::new();
        for _ in 0..2 {
            let _ = prepare(&recipe(&source, &bytes), &broken, &mut |heard| {
                if heard.phase == PreparePhase::Encoding {
                    done.push(heard.done);
                    begun = !begun;
                    if begun && done.len() < 3 {
                        return ControlFlow::Break(());
                    }
                }
                ControlFlow::Continue(())
            });
        }
        assert!(done.len() >= 2 && done[1] > done[0], "{done:?}");
        for name in [TRAIN_FILE, VAL_FILE, INFO_FILE] {
            let [a, b] =
                [&whole, &broken].map(|folder| fs::read(folder.join(name)).expect("readable"));
            assert!(a == b, "{name}");
        }
    }
}

#[test]
fn a_kept_folder_of_another_corpus_is_not_gone_on_with() {
    let (_texts, source) = corpus(&["aaaa aaaa", "bbbb bbbb", "cccc cccc"]);
    let out = tempfile::tempdir().expect("a temporary folder");
    let folder = out.path().join("p");
    let bytes = TokenizerConfig::Bytes {};
    let mut stop = |heard: PrepareProgress| match heard.phase {
        PreparePhase::Writing => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let broken = prepare(&recipe(&source, &bytes), &folder, &mut stop);
    assert!(matches!(broken, Err(DataError::Interrupted)));
    assert_eq!(names(out.path()), [".p.partial"]);
    let (_others, other) = corpus(&["dddd", "eeee"]);
    assert_eq!(prepared(&other, &bytes, &folder).documents, 2);
    assert_eq!(names(out.path()), ["p"]);
    assert_eq!(names(&folder), [INFO_FILE, TRAIN_FILE, VAL_FILE]);
}

#[test]
fn a_preparation_that_is_broken_off_before_any_token_leaves_nothing_behind() {
    let (_texts, source) = corpus(&["aaaa aaaa", "bbbb bbbb", "cccc cccc"]);
    let bpe = TokenizerConfig::Bpe { vocab_size: 259 };
    for phase in [PreparePhase::Reading, PreparePhase::TrainingTokenizer] {
        let out = tempfile::tempdir().expect("a temporary folder");
        let mut stop = |heard: PrepareProgress| match heard.phase == phase {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        let broken = prepare(&recipe(&source, &bpe), &out.path().join("p"), &mut stop);
        assert!(matches!(broken, Err(DataError::Interrupted)), "{phase:?}");
        assert!(names(out.path()).is_empty(), "{phase:?}");
    }
}

#[test]
fn tokens_are_the_same_in_one_file_and_in_several() {
    let texts: Vec<String> = (0..40).map(|i| format!("number {i}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (_texts, source) = corpus(&texts);
    let bytes = TokenizerConfig::Bytes {};
    let out = tempfile::tempdir().expect("a temporary folder");
    let [one, several] = ["one", "several"].map(|name| out.path().join(name));
    prepared(&source, &bytes, &one);
    let small = Recipe {
        shard_tokens: 100,
        ..recipe(&source, &bytes)
    };
    let info = prepare(&small, &several, &mut |_| ControlFlow::Continue(())).expect("good");
    let shards = info.train_shards.expect("several files").files;
    assert_eq!(shards[0].file, "train.00000.tokens");
    assert!(shards.len() >= 3 && shards[0].tokens == 100, "{shards:?}");
    let [one, mut both] = [&one, &several].map(|folder| TextData::open(folder).expect("whole"));
    assert_eq!(one.identity(), both.identity());
    let rows = |text: &TextData| text.train_rows(1, 0, 50, 9).expect("long enough");
    assert_eq!(rows(&one), rows(&both));
    drop(one);
    // A file that replaces another one is noticed.
    fs::copy(
        several.join("train.00000.tokens"),
        several.join("train.00001.tokens"),
    )
    .expect("a file");
    both = match TextData::open(&several) {
        Ok(text) => text,
        Err(error) => {
            assert!(
                error.to_string().contains("hash of a token file"),
                "{error}"
            );
            return;
        }
    };
    panic!("{both:?}");
}

#[test]
fn of_a_single_document_and_its_copies_the_tail_validates() {
    let text = "0123\n".repeat(20);
    for texts in [&[text.as_str()][..], &[&text, &text, &text]] {
        let (_texts, source) = corpus(texts);
        let out = tempfile::tempdir().expect("a temporary folder");
        let folder = out.path().join("p");
        let info = prepared(&source, &TokenizerConfig::Bytes {}, &folder);
        assert_eq!(
            (info.documents, info.duplicates),
            (texts.len(), texts.len() - 1)
        );
        assert_eq!((info.train_documents, info.val_documents), (1, 1));
        assert_eq!((info.train_bytes, info.val_bytes), (70, 30));
        assert_eq!((info.train_tokens, info.val_tokens), (71, 31));
    }
    let (_texts, source) = corpus(&["é"]);
    let bytes = TokenizerConfig::Bytes {};
    let out = tempfile::tempdir().expect("a temporary folder");
    let refused = prepare(&recipe(&source, &bytes), &out.path().join("p"), &mut |_| {
        ControlFlow::Continue(())
    });
    let error = refused.expect_err("one character").to_string();
    assert!(
        error.contains("one document of 2 bytes cannot be split"),
        "{error}"
    );
    assert!(names(out.path()).is_empty());
}

/// Returns a text of numbers and then words. Each line ends with `end`.
fn numbers_and_words(end: &str, words: &str) -> String {
    let number = |i: u32| format!("{} {}{end}", i * 7919 % 9973, i % 97);
    let numbers = (0..60_000).map(number).collect::<Vec<_>>().concat();
    let words = format!("{words}{end}").repeat(700_000 / words.len());
    numbers + &words
}

#[test]
fn a_tokenizer_is_trained_on_all_of_a_text_however_its_lines_end() {
    let english = "there were other people with them";
    let russian = "там были другие люди вместе с ними";
    for (end, words) in [
        (".\n", english),
        (".\r\n", english),
        ("\n\n", english),
        ("\r", english),
        (" ", english),
        (".\n", russian),
        (" ", russian),
    ] {
        let (_texts, source) = corpus(&[&numbers_and_words(end, words)]);
        let out = tempfile::tempdir().expect("a temporary folder");
        let folder = out.path().join("p");
        prepared(&source, &TokenizerConfig::Bpe { vocab_size: 500 }, &folder);
        let tokenizer = Tokenizer::load(&folder.join(TOKENIZER_FILE)).expect("just written");
        let count = tokenizer
            .encode(words)
            .expect("bytes encode anything")
            .len();
        assert!(count <= 12, "{count} tokens with {end:?}: {words}");
    }
}

/// Prepares a corpus of lines and a text; calls `change` with their folder between the passes.
fn prepared_while(change: impl Fn(&Path)) -> Result<CorpusInfo, DataError> {
    let (folder, source) = corpus(&["a text", "another"]);
    let lines = "{\"text\":\"one\"}\n{\"text\":\"two\"}\n";
    fs::write(folder.path().join("0.jsonl"), lines).expect("writable");
    let out = tempfile::tempdir().expect("a temporary folder");
    let mut hear = |heard: PrepareProgress| {
        if heard.phase == PreparePhase::Reading && heard.done == heard.total {
            change(folder.path());
        }
        ControlFlow::Continue(())
    };
    // To train a tokenizer, the documents must be listed before they are encoded.
    let tokenizer = TokenizerConfig::Bpe { vocab_size: 258 };
    prepare(
        &recipe(&source, &tokenizer),
        &out.path().join("p"),
        &mut hear,
    )
}

#[test]
fn a_file_that_changes_between_the_passes_is_named() {
    assert!(prepared_while(|_| {}).is_ok());
    let write = |name: &'static str, text: &'static str| {
        move |folder: &Path| fs::write(folder.join(name), text).expect("writable")
    };
    let three = "{\"text\":\"one\"}\n{\"text\":\"two\"}\n{\"text\":\"three\"}\n";
    let [one, other] = [
        "{\"text\":\"one\"}\n",
        "{\"text\":\"one\"}\n{\"text\":\"2\"}\n",
    ];
    for (name, text) in [
        ("0.jsonl", ""),
        ("0.jsonl", one),
        ("0.jsonl", three),
        ("0.jsonl", other),
        ("000.txt", "a t"),
        ("001.txt", ""),
        ("001.txt", "another and more"),
    ] {
        let error = prepared_while(write(name, text))
            .expect_err(name)
            .to_string();
        assert!(error.contains(&format!("{name}: changed while")), "{error}");
    }
    let removed = |folder: &Path| fs::remove_file(folder.join("001.txt")).expect("there");
    let error = prepared_while(removed).expect_err("no file").to_string();
    assert!(error.contains("001.txt"), "{error}");
}

#[test]
fn skipped_lines_and_warnings_are_written_down() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lines = "{\"text\":\"one\"}\nno JSON\n{\"text\":\"two\"}\n{\"body\":1}\n";
    fs::write(folder.path().join("a.jsonl"), lines).expect("writable");
    fs::write(folder.path().join("b.csv"), "id,text\n").expect("writable");
    let source = CorpusSource::new(&[folder.path().display().to_string()], "text");
    let out = tempfile::tempdir().expect("a temporary folder");
    let bytes = TokenizerConfig::Bytes {};
    let refused = prepare(&recipe(&source, &bytes), &out.path().join("p"), &mut |_| {
        ControlFlow::Continue(())
    });
    assert!(
        refused
            .expect_err("no JSON")
            .to_string()
            .contains("a.jsonl:2:")
    );
    let folder = out.path().join("p");
    let info = prepared(&source.skipping_bad_lines(true), &bytes, &folder);
    assert_eq!((info.documents, info.skipped_lines), (3, 2));
    assert_eq!(info.warnings.len(), 2);
    let written = fs::read_to_string(folder.join(INFO_FILE)).expect("written");
    let read: CorpusInfo = serde_json::from_str(&written).expect("its own text");
    assert_eq!(read, info);
}
