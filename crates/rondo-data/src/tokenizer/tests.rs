use std::fs;

use super::*;

const ONE_WORD: &str = r#"{"version":"1.0","truncation":{"direction":"Right","max_length":1,
        "strategy":"LongestFirst","stride":0},"padding":null,"added_tokens":[
        {"id":7,"content":"</s>","single_word":false,"lstrip":false,"rstrip":false,
        "normalized":false,"special":true}],"normalizer":null,
        "pre_tokenizer":{"type":"Whitespace"},"post_processor":null,"decoder":null,
        "model":{"type":"WordLevel","vocab":{"a":0,"b":5,"</s>":7,"?":1},"unk_token":"?"}}"#;

#[test]
fn bytes_encode_to_themselves() {
    let tokenizer = Tokenizer::bytes();
    let tokens = tokenizer.encode("aé").expect("bytes encode anything");
    assert_eq!(tokens, [97, 0xc3, 0xa9]);
    assert_eq!(
        tokenizer.decode(&[97, 0xc3, 0xa9, 256]).expect("known"),
        "aé"
    );
    assert!(tokenizer.decode(&[257]).is_err());
}

/// Every byte, characters of all lengths, half a character, and words that name the end of a text.
const ODD_TEXTS: [&str; 5] = [
    "",
    "aé猫🦀\u{7f}\u{80}\u{ad}\u{ff}\u{100}\u{143}",
    "\0\u{1}\t\r\n \u{a0}  x\u{2028}",
    "a <|endoftext|> b",
    "don't  stop\n\n\n  there 123",
];

#[test]
fn the_file_of_bytes_encodes_and_decodes_as_bytes_do() {
    let bytes = Tokenizer::bytes();
    let json = bytes.file().expect("the library writes it").into_owned();
    let file = Tokenizer::from_json("test", json).expect("well-formed");
    assert!(file.json().is_some(), "the library itself encodes here");
    assert_eq!((file.vocab_size(), file.end_of_text()), (257, 256));
    for text in ODD_TEXTS {
        let tokens = file.encode(text).expect("bytes encode anything");
        assert_eq!(tokens, bytes.encode(text).expect("bytes encode anything"));
        assert_eq!(file.decode(&tokens).expect("own tokens"), text);
    }
    let all: Vec<u32> = (0..257).collect();
    for tokens in [&all[..], &[0xe7, 0x8c], &[0xff, 256, 0xc3, 0xa9]] {
        assert_eq!(
            file.decode(tokens).expect("known"),
            bytes.decode(tokens).expect("known")
        );
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("tokenizer.json");
    fs::write(&path, bytes.file().expect("the library writes it")).expect("writable");
    let loaded = Tokenizer::load(&path).expect("well-formed");
    assert_eq!(loaded.hash(), bytes.hash());
    assert_eq!(Tokenizer::vocab_size_of(&path).expect("well-formed"), 257);
}

#[test]
fn a_foreign_file_gives_its_ids_its_end_of_text_and_no_truncation() {
    let tokenizer = Tokenizer::from_json("test", ONE_WORD.into()).expect("well-formed");
    assert_eq!((tokenizer.vocab_size(), tokenizer.end_of_text()), (8, 7));
    assert_eq!(tokenizer.encode("a b a").expect("known words"), [0, 5, 0]);
}

#[test]
fn a_file_without_an_end_of_text_is_refused() {
    let json = ONE_WORD.replace("</s>", "<stop>");
    let error = Tokenizer::from_json("test", json.into()).expect_err("nothing ends a text");
    assert!(
        error.to_string().contains("no token ends a text"),
        "{error}"
    );
}

#[test]
fn damaged_files_are_refused_without_a_panic() {
    for cut in 0..ONE_WORD.len() {
        let part = ONE_WORD.as_bytes()[..cut].to_vec();
        assert!(Tokenizer::from_json("test", part).is_err(), "cut at {cut}");
    }
    for index in (0..ONE_WORD.len()).step_by(7) {
        let mut flipped = ONE_WORD.as_bytes().to_vec();
        flipped[index] ^= 1;
        let survived = Tokenizer::from_json("test", flipped);
        if let Ok(tokenizer) = survived {
            assert!(tokenizer.vocab_size() >= 6);
        }
    }
}

#[test]
fn a_panic_of_the_library_becomes_a_message() {
    let result: Result<(), String> = guarded(|| panic!("crafted"));
    assert!(result.expect_err("a panic").contains("breaks"));
}

#[test]
fn an_oversized_file_is_refused_by_its_size() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("tokenizer.json");
    let file = fs::File::create(&path).expect("writable");
    file.set_len(MAX_FILE_BYTES + 1).expect("a sparse file");
    let error = Tokenizer::load(&path).expect_err("too large");
    assert!(error.to_string().contains("larger than"), "{error}");
}

/// Returns [`ONE_WORD`] with other names for its special tokens 7 and 1.
fn with_ends(seven: &str, one: &str) -> String {
    let mut file: serde_json::Value = serde_json::from_str(ONE_WORD).expect("JSON");
    let token = |id: u32, content: &str| {
        serde_json::json!({
            "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        })
    };
    file["added_tokens"] = serde_json::json!([token(1, one), token(7, seven)]);
    file["model"]["vocab"] = serde_json::json!({"a": 0, one: 1, "b": 5, seven: 7, "?": 2});
    file.to_string()
}

/// Loads a `tokenizer.json` with the file `beside` next to it, unless that is empty.
fn load_beside(json: &str, beside: &str, end: EndOfText<'_>) -> Result<Tokenizer, DataError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("tokenizer.json");
    fs::write(&path, json).expect("writable");
    if !beside.is_empty() {
        fs::write(folder.path().join(CONFIG_FILE), beside).expect("writable");
    }
    Tokenizer::load_with(&path, end)
}

#[test]
fn the_end_of_a_text_is_named_or_stands_beside_or_is_a_known_name() {
    let json = with_ends("<|im_end|>", "<|endoftext|>");
    let word = r#"{"eos_token": "<|im_end|>"}"#;
    let object = r#"{"eos_token": {"content": "<|im_end|>", "lstrip": false}}"#;
    let end = |beside, end| {
        let tokenizer = load_beside(&json, beside, end).expect("well-formed");
        (tokenizer.end_of_text(), tokenizer.doubt().is_some())
    };
    assert_eq!(end("", EndOfText::Found), (1, true));
    assert_eq!(end("{\"eos_token\": null}", EndOfText::Found), (1, true));
    assert_eq!(end(word, EndOfText::Found), (7, false));
    assert_eq!(end(object, EndOfText::Found), (7, false));
    assert_eq!(end(word, EndOfText::Named("<|endoftext|>")), (1, false));
    assert_eq!(end("", EndOfText::Named("b")), (5, false));
    assert_eq!(end("", EndOfText::OrElse(7)), (7, false));
    assert_eq!(end(word, EndOfText::OrElse(5)), (7, false));
    assert_eq!(end("", EndOfText::OrElse(99)), (1, true));
    let doubt = load_beside(&json, "", EndOfText::Found).expect("well-formed");
    let doubt = doubt.doubt().expect("two names");
    for part in ["<|endoftext|> is taken", "<|im_end|>", "end_of_text"] {
        assert!(doubt.contains(part), "{doubt}");
    }
    for name in [
        "<｜end▁of▁sentence｜>",
        "<EOT>",
        "<|eot_id|>",
        "<end_of_turn>",
        "<|return|>",
    ] {
        let tokenizer = load_beside(&with_ends(name, "x"), "", EndOfText::Found);
        assert_eq!(tokenizer.expect(name).end_of_text(), 7);
    }
}

#[test]
fn a_name_that_no_token_has_is_refused_with_what_to_do() {
    let json = with_ends("<|im_end|>", "<stop>");
    for (beside, end, parts) in [
        (
            "",
            EndOfText::Named("<EOT>"),
            &["\"<EOT>\"", "--end-of-text"][..],
        ),
        (
            r#"{"eos_token": "<EOT>"}"#,
            EndOfText::Found,
            &["\"<EOT>\"", "tokenizer_config.json", "end_of_text = "],
        ),
        (
            r#"{"eos_token": 7}"#,
            EndOfText::Found,
            &["tokenizer_config.json", "eos_token must be a word"],
        ),
        (
            "[1",
            EndOfText::Found,
            &["tokenizer_config.json", "not a JSON object"],
        ),
    ] {
        let error = load_beside(&json, beside, end)
            .expect_err(beside)
            .to_string();
        for part in parts {
            assert!(error.contains(part), "{error}");
        }
    }
    let none = load_beside(&with_ends("<halt>", "<stop>"), "", EndOfText::Found);
    let error = none.expect_err("nothing ends a text").to_string();
    for part in ["no token ends a text", "end_of_text = ", "--end-of-text"] {
        assert!(error.contains(part), "{error}");
    }
    // A given name is used whatever the file beside it says.
    load_beside(&json, "[1", EndOfText::Named("<stop>")).expect("named");
}

#[test]
fn the_hash_tells_ends_of_text_apart_and_is_that_of_the_file_for_the_known_one() {
    let json = with_ends("<|im_end|>", "<|endoftext|>");
    let hash = |end| load_beside(&json, "", end).expect("well-formed").hash();
    assert_eq!(
        hash(EndOfText::Found),
        *blake3::hash(json.as_bytes()).as_bytes()
    );
    assert_eq!(
        hash(EndOfText::Named("<|endoftext|>")),
        hash(EndOfText::Found)
    );
    assert_ne!(hash(EndOfText::Named("<|im_end|>")), hash(EndOfText::Found));
    assert_ne!(hash(EndOfText::Named("a")), hash(EndOfText::Named("b")));
}

#[test]
fn the_file_that_records_a_named_end_brings_the_same_tokenizer_back() {
    let json = with_ends("<halt>", "<|endoftext|>");
    let named = load_beside(&json, "", EndOfText::Named("<halt>")).expect("named");
    let config = named.config_file().expect("the list would not find it");
    let config = String::from_utf8(config).expect("text");
    let again = load_beside(&json, &config, EndOfText::Found).expect("its own file");
    assert_eq!((again.hash(), again.end_of_text()), (named.hash(), 7));
    let found = load_beside(&json, "", EndOfText::Found).expect("one known name");
    assert!(found.config_file().is_none() && Tokenizer::bytes().config_file().is_none());
}

#[test]
fn special_tokens_stand_by_name_only_where_asked_for() {
    let text = "a<|im_end|>b";
    let file = load_beside(&with_ends("<|im_end|>", "x"), "", EndOfText::Found).expect("known");
    let plain = file.encode(text).expect("unknown words are a token");
    assert!(!plain.contains(&7), "{plain:?}");
    let file = file.with_special(true);
    assert_eq!(file.encode(text).expect("known words"), [0, 7, 5]);
    let plain = file.with_special(false).encode(text).expect("as before");
    assert!(!plain.contains(&7), "{plain:?}");
    let bytes = Tokenizer::bytes().with_special(true);
    let tokens = bytes.encode("a<|endoftext|>b<|endoftext|>").expect("bytes");
    assert_eq!(tokens, [97, 256, 98, 256]);
    assert_eq!(bytes.encode("").expect("no byte"), [0_u32; 0]);
}

#[test]
fn a_text_is_opened_once() {
    let template = serde_json::json!({
        "type": "TemplateProcessing", "pair": [],
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                   {"SpecialToken": {"id": "</s>", "type_id": 0}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]},
                           "</s>": {"id": "</s>", "ids": [7], "tokens": ["</s>"]}},
    });
    let byte_level = serde_json::json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true,
    });
    let both = serde_json::json!({"type": "Sequence", "processors": [byte_level, template]});
    let plain = with_ends("</s>", "<s>");
    let with = |processor: &serde_json::Value| {
        let mut file: serde_json::Value = serde_json::from_str(&plain).expect("JSON");
        file["post_processor"] = processor.clone();
        file.to_string()
    };
    let class = |name: &str, add: bool| {
        format!(r#"{{"tokenizer_class": "{name}", "bos_token": "<s>", "add_bos_token": {add}}}"#)
    };
    let opening = |json: &str, beside: &str| {
        let tokenizer = load_beside(json, beside, EndOfText::Found).expect("known");
        tokenizer.own_opening()
    };
    for processor in [&template, &both] {
        let json = with(processor);
        assert_eq!(opening(&json, ""), [1]);
        assert_eq!(opening(&json, &class("LlamaTokenizer", false)), [0_u32; 0]);
        assert_eq!(
            opening(&json, &class("PreTrainedTokenizerFast", false)),
            [1]
        );
    }
    assert_eq!(opening(&plain, ""), [0_u32; 0]);
    assert_eq!(opening(&plain, &class("LlamaTokenizer", true)), [1]);
    assert!(Tokenizer::bytes().own_opening().is_empty());

    let tokenizer = load_beside(&plain, "", EndOfText::Found).expect("known");
    let tokenizer = tokenizer.with_special(true).with_opening(vec![1]);
    for (text, expected) in [
        ("a", &[1, 0][..]),
        ("<s>a", &[1, 0]),
        ("", &[1]),
        ("a<s>", &[1, 0, 1]),
    ] {
        assert_eq!(
            tokenizer.encode_prompt(text).expect("known words"),
            expected,
            "{text}"
        );
    }
}

#[test]
fn tokens_beyond_the_vocabulary_have_no_text() {
    let bytes = Tokenizer::bytes();
    assert_eq!(bytes.decode_known(&[97, 300, 98]).expect("bytes"), "ab");
    let file = Tokenizer::from_json("test", ONE_WORD.into()).expect("well-formed");
    assert_eq!(
        file.decode_known(&[0, 4_000_000_000, 5]).expect("words"),
        "a b"
    );
}

#[test]
fn a_folder_stands_for_its_tokenizer_and_settings_alone_are_none() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let error = Tokenizer::load(folder.path()).expect_err("an empty folder");
    assert!(error.to_string().contains("tokenizer.json"), "{error}");
    fs::write(folder.path().join("tokenizer.json"), ONE_WORD).expect("writable");
    assert_eq!(
        Tokenizer::load(folder.path())
            .expect("its file")
            .vocab_size(),
        8
    );
    assert_eq!(
        Tokenizer::vocab_size_of(folder.path()).expect("its file"),
        8
    );
    for (name, json) in [
        (
            "tokenizer_config.json",
            r#"{"eos_token": "</s>", "model_max_length": 512}"#,
        ),
        ("special_tokens_map.json", "{}"),
    ] {
        fs::write(folder.path().join(name), json).expect("writable");
        let error = Tokenizer::load(&folder.path().join(name)).expect_err("no vocabulary");
        assert!(error.to_string().contains("name tokenizer.json"), "{error}");
    }
}

#[test]
fn tokens_stand_for_the_bytes_of_their_text() {
    let bytes = Tokenizer::bytes();
    let json = bytes.file().expect("the library writes it").into_owned();
    let file = Tokenizer::from_json("test", json).expect("well-formed");
    for text in ODD_TEXTS {
        for tokenizer in [&bytes, &file] {
            let mut tokens = tokenizer.encode(text).expect("bytes encode anything");
            tokens.push(tokenizer.end_of_text());
            let found = tokenizer
                .text_bytes(tokens.into_iter())
                .expect("own tokens");
            assert_eq!(found, text.len() as u64);
        }
    }
    assert!(bytes.text_bytes([257].into_iter()).is_err());
}

#[test]
fn marks_of_spaces_and_bytes_alone_count_as_in_the_text() {
    let json = include_bytes!("../../../../tests/corpus/tokenizer/prepends-a-space.json");
    let tokenizer = Tokenizer::from_json("test", json.to_vec()).expect("well-formed");
    let text = "the cat sat on a mat.\nthe mat. ";
    let tokens = tokenizer.encode(text).expect("known letters");
    // The tokenizer itself put the space before the first word.
    let found = tokenizer
        .text_bytes(tokens[1..].iter().copied())
        .expect("own tokens");
    assert_eq!(found, (text.len() - "the".len()) as u64);
    assert_eq!(
        tokenizer
            .text_bytes(tokens[..1].iter().copied())
            .expect("one"),
        4
    );
}
