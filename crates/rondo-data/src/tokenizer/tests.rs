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

/// Every byte, characters of all lengths, half of one, and words about the end of a text.
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
    // The tokenizer itself has put the space before the first word.
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
