//! Reads tokenizer files.

use rondo_data::Tokenizer;

use crate::scratch;

/// Texts of several kinds: empty, words and spaces, characters beyond ASCII, the names of special
/// tokens.
const TEXTS: [&str; 4] = [
    "",
    "the cat  sat\n\non the hat 123",
    "\0\t aé猫🦀\u{a0}\u{2028}\u{301}",
    "a <|endoftext|> </s> b",
];
/// The number of ids that are decoded.
const DECODED: usize = 300;

/// Loads a `tokenizer.json`, encodes texts with it and decodes the resulting ids.
///
/// The `tokenizers` library can panic on a crafted file; Rondo must report the panic as an error.
/// An accepted tokenizer must return no token outside its vocabulary. The text of the tokenizer
/// must load as the same tokenizer.
///
/// # Panics
///
/// Panics if one of these properties does not hold.
pub fn tokenizer(bytes: &[u8]) {
    let path = scratch::file("tokenizer.json", bytes);
    let Ok(tokenizer) = Tokenizer::load(&path) else {
        return;
    };
    let vocab_size = tokenizer.vocab_size();
    assert!((tokenizer.end_of_text() as usize) < vocab_size);
    assert!(!tokenizer.end_of_text_name().is_empty());
    assert_eq!(
        Tokenizer::vocab_size_of(&path).expect("the same file"),
        vocab_size
    );
    for text in TEXTS {
        if let Ok(tokens) = tokenizer.encode(text) {
            let beyond = tokens.iter().find(|&&id| id as usize >= vocab_size);
            assert_eq!(beyond, None, "{text:?} with {vocab_size} tokens");
            let _ = tokenizer.decode(&tokens);
        }
    }
    let ids: Vec<u32> = (0..).take(vocab_size.min(DECODED)).collect();
    let _ = tokenizer.decode(&ids);
    assert!(vocab_size > u32::MAX as usize || tokenizer.decode(&[vocab_size as u32]).is_err());

    let own = tokenizer.file().expect("a tokenizer has a file");
    let again = Tokenizer::load(&scratch::file("again.json", &own)).expect("its own text");
    assert_eq!(
        (again.hash(), again.vocab_size()),
        (tokenizer.hash(), vocab_size)
    );
}
