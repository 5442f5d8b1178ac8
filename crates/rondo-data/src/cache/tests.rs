use std::fs;
use std::ops::ControlFlow;

use super::*;

fn config(folder: &Path, tokenizer: TokenizerConfig) -> DataConfig {
    DataConfig::Text {
        paths: vec![folder.join("text").display().to_string()],
        hub: None,
        tokenizer,
        val_fraction: 0.3,
        max_bytes: None,
        cache: folder.join("cache").display().to_string(),
        field: "text".to_owned(),
        skip_bad_lines: false,
        document_mask: false,
    }
}

/// Opens the text and returns whether anything was prepared.
fn open(config: &DataConfig) -> Result<(TextData, bool), DataError> {
    let mut heard = false;
    let data = open_or_prepare(config, &mut |_| {
        heard = true;
        ControlFlow::Continue(())
    })?;
    Ok((data, heard))
}

fn with_texts(check: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("text")).expect("writable");
    for name in ["one", "two", "three", "four"] {
        let text = format!("{name} and {name} and {name}\n");
        fs::write(folder.path().join("text").join(name), text).expect("writable");
    }
    check(folder.path());
}

#[test]
fn the_second_start_prepares_nothing_and_a_change_prepares_again() {
    with_texts(|folder| {
        let bytes = config(folder, TokenizerConfig::Bytes {});
        let (first, prepared) = open(&bytes).expect("good texts");
        assert!(prepared);
        let (second, prepared) = open(&bytes).expect("good texts");
        assert!(!prepared);
        assert_eq!(first.info(), second.info());

        let bpe = config(folder, TokenizerConfig::Bpe { vocab_size: 260 });
        assert!(open(&bpe).expect("good texts").1);
        fs::write(folder.join("text/five"), "five").expect("writable");
        assert!(open(&bytes).expect("good texts").1);
    });
}

#[test]
fn another_end_of_text_is_other_data_and_comes_back_from_the_folder() {
    with_texts(|folder| {
        let path = folder.join("tokenizer.json").display().to_string();
        // Takes the file of the bytes tokenizer, and adds a second special token: token 97, the
        // letter a.
        let bytes = Tokenizer::bytes();
        let json = bytes.file().expect("the library writes it");
        let mut file: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
        let mut token = file["added_tokens"][0].clone();
        token["id"] = 97.into();
        token["content"] = "a".into();
        file["added_tokens"] = serde_json::json!([token, file["added_tokens"][0]]);
        fs::write(&path, file.to_string()).expect("writable");
        let ending = |end_of_text: Option<&str>| {
            let tokenizer = TokenizerConfig::File {
                path: path.clone(),
                end_of_text: end_of_text.map(str::to_owned),
            };
            open(&config(folder, tokenizer)).expect("good texts")
        };
        let (found, _) = ending(None);
        assert_eq!(found.tokenizer().end_of_text(), 256);
        assert!(!ending(Some("<|endoftext|>")).1, "the same end of text");
        for again in [false, true] {
            let (named, prepared) = ending(Some("a"));
            assert_ne!(prepared, again);
            assert_eq!(named.tokenizer().end_of_text(), 97);
            assert_ne!(named.tokenizer().hash(), found.tokenizer().hash());
            assert_ne!(named.folder(), found.folder());
            let ends = |data: &TextData| {
                let batches = data.val_batches(1, 1, None).expect("long enough");
                batches
                    .iter()
                    .flat_map(|batch| batch.targets.clone())
                    .any(|id| id == 256)
            };
            assert!(ends(&found) && !ends(&named));
        }
        fs::write(
            folder.join("tokenizer_config.json"),
            r#"{"eos_token": "a"}"#,
        )
        .expect("writable");
        assert_eq!(ending(None).0.folder(), ending(Some("a")).0.folder());
    });
}

#[test]
fn a_damaged_folder_is_refused_and_named() {
    with_texts(|folder| {
        let bytes = config(folder, TokenizerConfig::Bytes {});
        let (data, _) = open(&bytes).expect("good texts");
        let path = data.folder().join("val.tokens");
        drop(data);
        let mut tokens = fs::read(&path).expect("readable");
        *tokens.last_mut().expect("not empty") ^= 1;
        fs::write(&path, tokens).expect("writable");
        let error = open(&bytes).expect_err("a damaged shard").to_string();
        assert!(
            error.contains("val.tokens: checksum of the tokens"),
            "{error}"
        );
    });
}

/// Saves the tokenizer of a text as a run does.
fn kept(data: &TextData, folder: &Path) -> PathBuf {
    let path = folder.join("kept.json");
    let json = data.tokenizer().file().expect("a tokenizer has a form");
    fs::write(&path, json).expect("writable");
    path
}

fn with_kept(config: &DataConfig, tokenizer: &Path) -> TextData {
    open_with_tokenizer(config, tokenizer, &mut |_| ControlFlow::Continue(())).expect("good texts")
}

#[test]
fn a_kept_tokenizer_encodes_a_text_that_has_changed_since() {
    with_texts(|folder| {
        let bpe = config(folder, TokenizerConfig::Bpe { vocab_size: 270 });
        let (before, _) = open(&bpe).expect("good texts");
        let tokenizer = kept(&before, folder);
        // The text is the same, so the existing folder is used.
        assert_eq!(with_kept(&bpe, &tokenizer).folder(), before.folder());
        let more = "zebras and quaggas and zebus\n".repeat(9);
        fs::write(folder.join("text/five"), more).expect("writable");
        let (retrained, _) = open(&bpe).expect("good texts");
        assert_ne!(retrained.tokenizer().hash(), before.tokenizer().hash());
        let after = with_kept(&bpe, &tokenizer);
        assert_eq!(after.tokenizer().hash(), before.tokenizer().hash());
        let said = before.identity().difference(&after.identity());
        assert!(said.is_some_and(|said| said.starts_with("other documents")));
    });
}

#[test]
fn a_kept_tokenizer_stands_in_for_a_file_that_was_replaced_or_has_gone() {
    with_texts(|folder| {
        let trained = |vocab_size| {
            let bpe = config(folder, TokenizerConfig::Bpe { vocab_size });
            open(&bpe).expect("good texts").0
        };
        let path = folder.join("mine.json");
        let put = |data: &TextData| {
            let json = data.tokenizer().file().expect("a tokenizer has a form");
            fs::write(&path, json).expect("writable");
        };
        put(&trained(270));
        let file = config(folder, TokenizerConfig::of_file(&path));
        let (before, _) = open(&file).expect("good texts");
        let tokenizer = kept(&before, folder);
        put(&trained(265));
        let replaced = with_kept(&file, &tokenizer);
        fs::remove_file(&path).expect("a file");
        let gone = with_kept(&file, &tokenizer);
        for after in [replaced, gone] {
            assert_eq!(before.identity().difference(&after.identity()), None);
        }
    });
}

#[test]
fn a_kept_tokenizer_changes_nothing_about_bytes_and_prepared_folders() {
    with_texts(|folder| {
        let bpe = config(folder, TokenizerConfig::Bpe { vocab_size: 270 });
        let tokenizer = kept(&open(&bpe).expect("good texts").0, folder);
        let bytes = config(folder, TokenizerConfig::Bytes {});
        let data = with_kept(&bytes, &tokenizer);
        assert_eq!(data.vocab_size(), 257);
        let path = data.folder().display().to_string();
        let prepared = with_kept(
            &DataConfig::Prepared {
                path,
                document_mask: false,
            },
            &tokenizer,
        );
        assert_eq!(prepared.vocab_size(), 257);
    });
}

#[test]
fn a_prepared_folder_opens_by_its_path() {
    with_texts(|folder| {
        let (data, _) = open(&config(folder, TokenizerConfig::Bytes {})).expect("good texts");
        let path = data.folder().display().to_string();
        let (again, prepared) = open(&DataConfig::Prepared {
            path,
            document_mask: false,
        })
        .expect("a whole folder");
        assert!(!prepared);
        assert_eq!(again.info(), data.info());
    });
}

#[test]
fn a_task_has_no_text() {
    let task: DataConfig = serde_json::from_str(r#"{"kind":"arithmetic"}"#).expect("a valid task");
    assert!(open(&task).is_err());
}

fn source(name: &str, weight: f64, data: DataConfig) -> MixtureSource {
    MixtureSource {
        name: name.to_owned(),
        weight,
        data,
    }
}

#[test]
fn a_mixture_is_encoded_by_the_tokenizer_of_its_first_text_and_drawn_in_its_shares() {
    with_texts(|folder| {
        let numbers = folder.join("numbers");
        fs::create_dir(&numbers).expect("writable");
        for number in 0..40 {
            let text = "0123456789\n".repeat(number + 1);
            fs::write(numbers.join(number.to_string()), text).expect("writable");
        }
        let words = config(folder, TokenizerConfig::Bpe { vocab_size: 270 });
        let mut digits = words.clone();
        if let DataConfig::Text { paths, .. } = &mut digits {
            *paths = vec![numbers.display().to_string()];
        }
        let mixture = |weight| DataConfig::Mixture {
            sources: vec![
                source("words", 1.0, words.clone()),
                source("digits", weight, digits.clone()),
            ],
            document_mask: false,
        };
        let (mixed, _) = open(&mixture(3.0)).expect("good texts");
        let (alone, _) = open(&words).expect("good texts");
        assert_eq!(mixed.tokenizer().hash(), alone.tokenizer().hash());
        assert_ne!(mixed.identity(), alone.identity());
        assert_eq!(
            mixed.identity(),
            open(&mixture(3.0)).expect("good").0.identity()
        );
        assert_ne!(
            mixed.identity(),
            open(&mixture(2.0)).expect("good").0.identity()
        );

        let rows = mixed.train_rows(5, 0, 1000, 4).expect("long enough");
        let digit = |row: usize| rows.input_row(row).iter().any(|id| (48..58).contains(id));
        assert_eq!((0..1000).filter(|&row| digit(row)).count(), 750);
        let later = mixed.train_rows(5, 300, 10, 4).expect("long enough");
        assert_eq!(later.inputs, rows.inputs[1200..1240]);

        let by_source = mixed
            .val_batches_by_source(2, 4, Some(16))
            .expect("long enough");
        let counts = by_source.iter().map(|(name, batches)| {
            (
                *name,
                batches.iter().map(|batch| batch.batch).sum::<usize>(),
            )
        });
        assert_eq!(counts.collect::<Vec<_>>(), [("words", 1), ("digits", 3)]);
        let all = mixed.val_batches(2, 4, Some(16)).expect("long enough");
        assert_eq!(all.len(), 3);
        assert!(mixed.unigram_cross_entropy() > 0.0);

        let refused = mixed.train_rows(5, 0, 1, 100_000).expect_err("short texts");
        assert!(
            refused
                .to_string()
                .contains("training of the source `words`"),
            "{refused}"
        );
        let own = DataConfig::Mixture {
            sources: vec![
                source("words", 1.0, words),
                source("bytes", 1.0, config(folder, TokenizerConfig::Bytes {})),
            ],
            document_mask: false,
        };
        let error = open(&own).expect_err("two tokenizers").to_string();
        assert!(
            error.contains("`bytes` has other tokens than the source `words`"),
            "{error}"
        );
    });
}

#[test]
fn rows_know_the_token_that_ends_a_document_where_attention_stays_within_documents() {
    with_texts(|folder| {
        let mut data = config(folder, TokenizerConfig::Bytes {});
        let rows = |data: &DataConfig| {
            let source = crate::Source::open(data, &mut |_| ControlFlow::Continue(()));
            let Ok(crate::Source::Text(text)) = source else {
                panic!("{data:?} is a text")
            };
            let train = text.train_rows(1, 0, 2, 8).expect("long enough");
            (train, text.val_batches(1, 4, None).expect("long enough"))
        };
        let (train, val) = rows(&data);
        assert_eq!((train.document_end, val[0].document_end), (None, None));
        if let DataConfig::Text { document_mask, .. } = &mut data {
            *document_mask = true;
        }
        let (masked, masked_val) = rows(&data);
        assert_eq!(masked, train.within_documents(256));
        assert!(
            masked_val
                .iter()
                .all(|batch| batch.document_end == Some(256))
        );
        assert_eq!(masked_val.len(), val.len());
        // A mixture has one key for all of its texts.
        let mixture = DataConfig::Mixture {
            sources: vec![source("a", 1.0, config(folder, TokenizerConfig::Bytes {}))],
            document_mask: true,
        };
        assert_eq!(rows(&mixture).0.document_end, Some(256));
    });
}

#[test]
fn a_document_mask_on_tokens_that_no_document_ends_in_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("train.bin");
    let tokens: Vec<u8> = (0..90_u16).flat_map(u16::to_le_bytes).collect();
    fs::write(&path, tokens).expect("writable");
    let data = DataConfig::Tokens {
        train: vec![path.display().to_string()],
        val: Vec::new(),
        tokenizer: TokenizerConfig::Bytes {},
        val_fraction: 0.1,
        raw: crate::RawWidth::U16,
        document_mask: true,
    };
    let opened = crate::Source::open(&data, &mut |_| ControlFlow::Continue(()));
    let error = opened.expect_err("no token 256").to_string();
    assert!(
        error.contains("document_mask: no training token is"),
        "{error}"
    );
    assert!(error.contains("token 256"), "{error}");
}

#[test]
fn tokens_from_elsewhere_are_rows_and_their_tail_validates() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bytes = |ids: std::ops::Range<u16>| ids.flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("train_0.bin"), bytes(0..60)).expect("writable");
    fs::write(path("train_1.bin"), bytes(60..100)).expect("writable");
    fs::write(path("val.bin"), bytes(200..256)).expect("writable");
    let tokens = |val: Vec<String>| DataConfig::Tokens {
        train: vec![path("train_*.bin")],
        val,
        tokenizer: TokenizerConfig::Bytes {},
        val_fraction: 0.1,
        raw: crate::RawWidth::U16,
        document_mask: false,
    };
    let targets = |data: &TextData| -> Vec<u32> {
        let batches = data.val_batches(1, 3, None).expect("long enough");
        batches
            .into_iter()
            .flat_map(|batch| batch.targets)
            .collect()
    };
    let (tail, _) = open(&tokens(Vec::new())).expect("tokens");
    assert_eq!(
        (tail.identity().train_tokens, tail.identity().val_tokens),
        (90, 10)
    );
    assert_eq!(targets(&tail), (91..100).collect::<Vec<u32>>());
    for row in 0..20 {
        let batch = tail.train_rows(1, row, 1, 29).expect("long enough");
        let first = batch.inputs[0];
        assert!(
            batch.targets.iter().copied().eq(first + 1..first + 30),
            "across both files"
        );
    }
    assert!(tail.warnings()[0].contains("no training token is <|endoftext|>"));
    let (apart, _) = open(&tokens(vec![path("val.bin")])).expect("tokens");
    assert_eq!(apart.identity().train_tokens, 100);
    assert_eq!(targets(&apart)[0], 201);
    assert_ne!(apart.identity(), tail.identity());
    fs::write(path("val.bin"), bytes(250..300)).expect("writable");
    let error = open(&tokens(vec![path("val.bin")]))
        .expect_err("beyond")
        .to_string();
    assert!(
        error.contains("val.bin: token 257 at position 7"),
        "{error}"
    );
}
