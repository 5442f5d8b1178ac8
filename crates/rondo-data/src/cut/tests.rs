use super::*;
use crate::bpe::{self, BetweenWords, WordCounts};

/// Allows every cut.
struct Anywhere;

impl Seams for Anywhere {
    fn seam(&self, _: &str, _: &str) -> Option<Start> {
        Some(Start::Plain)
    }
}

/// Allows no cut.
struct Nowhere;

impl Seams for Nowhere {
    fn seam(&self, _: &str, _: &str) -> Option<Start> {
        None
    }
}

/// Cuts a text that is given as a whole.
fn pieces(text: &str, seams: &impl Seams) -> Vec<Piece> {
    let mut cutter = Cutter::new(seams);
    cutter.push(text);
    std::iter::from_fn(|| cutter.next(true)).collect()
}

#[test]
fn stretches_do_not_change_where_a_text_is_cut() {
    let words = repeated("let x = 1;\n\n    fn y() {\n}\nz\n", 5 * PIECE_BYTES);
    let russian = repeated(
        "Строки не на английском языке\nи ещё одна\n",
        5 * PIECE_BYTES,
    );
    let run = format!("{}{words}", "a".repeat(4 * PIECE_BYTES));
    for text in [words.as_str(), &russian, &run] {
        let whole = pieces(text, &BetweenWords);
        for bytes in [1000, PIECE_BYTES, 3 * PIECE_BYTES + 1] {
            let mut cutter = Cutter::new(&BetweenWords);
            let (mut rest, mut parts) = (text, Vec::new());
            while !rest.is_empty() {
                let (stretch, behind) = rest.split_at(rest.floor_char_boundary(bytes));
                rest = behind;
                cutter.push(stretch);
                parts.extend(std::iter::from_fn(|| cutter.next(false)));
            }
            parts.extend(std::iter::from_fn(|| cutter.next(true)));
            assert!(parts == whole, "stretches of {bytes} bytes");
        }
    }
}

/// Repeats a text to about `bytes` bytes.
fn repeated(text: &str, bytes: usize) -> String {
    text.repeat(bytes / text.len() + 1)
}

#[test]
fn pieces_make_up_the_text_and_do_not_change_its_words() {
    let text = repeated("let x = 1;\n\n    fn y() {\n}\nz\n", 3 * PIECE_BYTES);
    let parts = pieces(&text, &BetweenWords);
    let parts: Vec<&str> = parts.iter().map(|p| p.text.as_str()).collect();
    assert!(parts.len() >= 2);
    assert_eq!(parts.concat(), text);
    let train = |texts: &[&str]| {
        let mut words = WordCounts::default();
        for text in texts {
            words.add(text).expect("any text");
        }
        bpe::train(&words, 300, &mut |_, _| Ok(())).expect("any text")
    };
    assert_eq!(train(&[&text]).json(), train(&parts).json());
}

#[test]
fn lines_of_visible_characters_are_cut_at_the_first_of_them() {
    for text in [
        repeated("some words in a line\n", 4 * PIECE_BYTES),
        repeated("fn y() {\n    1\n}\nfn\n\n", 3 * PIECE_BYTES),
        format!("{}\nend of it", "x ".repeat(PIECE_BYTES)),
    ] {
        let mut at = 0;
        for piece in pieces(&text, &BetweenWords) {
            let rest = &text.as_bytes()[at..];
            let first = (PIECE_BYTES..rest.len()).find(|&at| {
                rest[at - 1] == b'\n'
                    && rest[at].is_ascii_graphic()
                    && rest[at - 2].is_ascii_graphic()
            });
            let expected = first.unwrap_or(rest.len()).min(2 * PIECE_BYTES);
            assert!(piece.text.len() == expected || expected == 2 * PIECE_BYTES);
            at += piece.text.len();
        }
        assert_eq!(at, text.len());
    }
}

#[test]
fn every_kind_of_text_with_words_is_cut_into_short_pieces() {
    for text in [
        "Lines that end as on Windows.\r\nAnd others.\r\n",
        "Строки не на английском языке\nи ещё одна\n",
        "A paragraph, and a blank line behind it.\n\n",
        "one line of words without an end ",
        "log\rof\ra\rclock\r",
        "{\"minified\":[1,2],\"text\":\"x\"},",
        "没有空格的文字，只有标点。",
        "    indented = more\n\n\t\ttabs\n",
        "dGhlIGNhdCBzYXQ9+/0123",
    ] {
        let long = repeated(text, 10 * PIECE_BYTES);
        let parts: Vec<String> = pieces(&long, &BetweenWords)
            .into_iter()
            .map(|p| p.text)
            .collect();
        assert_eq!(parts.concat(), long);
        for part in parts {
            assert!(part.len() <= 2 * PIECE_BYTES, "{text}: {}", part.len());
        }
    }
}

#[test]
fn a_text_without_a_place_stays_whole() {
    let run = repeated("a", 5 * PIECE_BYTES);
    assert_eq!(
        pieces(&run, &Anywhere).len(),
        1,
        "no two kinds of characters meet"
    );
    let words = repeated("some words\n", 5 * PIECE_BYTES);
    assert_eq!(pieces(&words, &Nowhere).len(), 1);
    assert_eq!(pieces("", &Anywhere).len(), 0);
}

#[test]
fn a_place_far_behind_is_found() {
    let text = format!(
        "{} {}",
        "a".repeat(7 * PIECE_BYTES),
        "b".repeat(PIECE_BYTES)
    );
    let parts = pieces(&text, &BetweenWords);
    let parts: Vec<usize> = parts.iter().map(|p| p.text.len()).collect();
    assert_eq!(parts, [7 * PIECE_BYTES, PIECE_BYTES + 1]);
}
