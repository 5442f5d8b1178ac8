//! Cuts a text into pieces whose tokens, joined, are the tokens of the whole text.
//!
//! A tokenizer needs about 150 bytes of memory for each byte that it encodes at once, so long texts
//! are encoded in pieces. Which cuts change no token depends on the tokenizer. Most tokenizers
//! first split the text into words, and a cut between two words is safe. But tokenizers differ in
//! what a word is, and some put a space before every text. So [`Seams`] tests with the tokenizer,
//! for each possible place, whether a cut at this place would change any token. A text without a
//! safe place stays whole.

use std::ops::Range;

use crate::tokenizer::Tokenizer;

/// The minimum number of bytes of a piece. The last piece may be shorter.
pub(crate) const PIECE_BYTES: usize = 64 << 10;

/// Candidate cuts are compared within a stretch of this many bytes.
const STRETCH_BYTES: usize = 64 << 10;

/// The number of bytes on each side of a cut that the tokenizer gets.
const CONTEXT_BYTES: usize = 256;

/// The number of candidates of one kind that are tried in a stretch.
const TRIES: usize = 8;

/// How to get the tokens of a piece within the text by encoding the piece alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Encode the piece.
    Plain,
    /// Encode the piece without its first byte, a space that the tokenizer adds itself.
    WithoutSpace,
    /// Encode the piece and drop the first token, which the tokenizer puts before every text.
    WithoutToken,
}

/// Decides where a text may be cut.
pub(crate) trait Seams {
    /// Returns how to get the tokens of `right` if the text `left` + `right` is cut between the two
    /// parts. `None` if the cut would change the tokens.
    fn seam(&self, left: &str, right: &str) -> Option<Start>;
}

impl Seams for Tokenizer {
    fn seam(&self, left: &str, right: &str) -> Option<Start> {
        let encode = |text: &str| self.encode(text).ok();
        let whole = encode(&[left, right].concat())?;
        let tail = whole.strip_prefix(encode(left)?.as_slice())?;
        let alone = encode(right)?;
        if alone == tail {
            return Some(Start::Plain);
        }
        if let Some(right) = right.strip_prefix(' ')
            && encode(right)? == tail
        {
            return Some(Start::WithoutSpace);
        }
        (alone.get(1..) == Some(tail)).then_some(Start::WithoutToken)
    }
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) start: Start,
}

/// Cuts a text that arrives in stretches. The cuts do not depend on how the text is divided into
/// stretches.
pub(crate) struct Cutter<'s, S> {
    seams: &'s S,
    text: String,
    /// The text before this byte has been returned in pieces.
    begin: usize,
    /// Between `begin` and this byte there is no safe cut.
    searched: usize,
    start: Start,
}

impl<'s, S: Seams> Cutter<'s, S> {
    pub(crate) fn new(seams: &'s S) -> Self {
        Self {
            seams,
            text: String::new(),
            begin: 0,
            searched: PIECE_BYTES,
            start: Start::Plain,
        }
    }

    /// Adds the next stretch of the text.
    pub(crate) fn push(&mut self, stretch: &str) {
        self.text.drain(..self.begin);
        self.begin = 0;
        self.text.push_str(stretch);
    }

    /// Returns the next piece. `None` if more of the text is needed, or if the text has `ended` and
    /// was returned completely. After the last piece another text may begin.
    pub(crate) fn next(&mut self, ended: bool) -> Option<Piece> {
        let rest = &self.text[self.begin..];
        let (at, next) = match cut(rest, &mut self.searched, ended, self.seams) {
            Some(found) => found,
            None if ended && !rest.is_empty() => (rest.len(), Start::Plain),
            None => return None,
        };
        let piece = Piece {
            text: rest[..at].to_owned(),
            start: self.start,
        };
        self.begin += at;
        (self.searched, self.start) = (PIECE_BYTES, next);
        Some(piece)
    }
}

/// Finds the first stretch with a safe cut, and in this stretch a cut of the best kind. The text
/// before `from` was already searched.
fn cut(text: &str, from: &mut usize, ended: bool, seams: &impl Seams) -> Option<(usize, Start)> {
    while *from < text.len() {
        // The tokenizer also needs the text after a cut.
        if !ended && text.len() < *from + STRETCH_BYTES + CONTEXT_BYTES + 4 {
            return None;
        }
        let to = text.len().min(*from + STRETCH_BYTES);
        // If less than a stretch follows the smallest possible piece, only a line start is worth a
        // cut.
        let last = *from == PIECE_BYTES && to - *from < STRETCH_BYTES;
        let kinds = if last {
            &Place::ALL[..1]
        } else {
            &Place::ALL[..]
        };
        let found = kinds.iter().find_map(|kind| {
            places(text, *from..to, *kind).take(TRIES).find_map(|at| {
                let left = text.floor_char_boundary(at.saturating_sub(CONTEXT_BYTES));
                let right = text.ceil_char_boundary(at + CONTEXT_BYTES);
                let start = seams.seam(&text[left..at], &text[at..right])?;
                Some((at, start))
            })
        });
        if found.is_some() {
            return found;
        }
        *from = to;
    }
    None
}

/// The kinds of places for a cut, all between two characters. The best kind is first.
#[derive(Clone, Copy)]
enum Place {
    /// After a line feed, with a visible ASCII character on both sides.
    Line,
    /// Before or after line ends of any form.
    LineEnd,
    /// Before a single space.
    Word,
    /// Between characters of different kinds.
    Kinds,
}

impl Place {
    const ALL: [Self; 4] = [Self::Line, Self::LineEnd, Self::Word, Self::Kinds];

    /// Returns whether `at` is this kind of candidate; `at` is inside the text and between two
    /// characters.
    fn is_at(self, text: &str, at: usize) -> bool {
        if let Self::Line = self {
            let bytes = text.as_bytes();
            return bytes[at - 1] == b'\n'
                && bytes[at].is_ascii_graphic()
                && bytes[at - 2].is_ascii_graphic();
        }
        let (left, right) = text.split_at(at);
        let mut behind = right.chars();
        let (Some(before), Some(next)) = (left.chars().next_back(), behind.next()) else {
            return false;
        };
        let is_end = |c| c == '\n' || c == '\r';
        match self {
            Self::Line => false,
            Self::LineEnd => is_end(before) != is_end(next),
            Self::Word => {
                let single = behind.next().is_some_and(|c| !c.is_whitespace());
                next == ' ' && single && !before.is_whitespace()
            }
            Self::Kinds => kind(before) != kind(next),
        }
    }
}

/// Returns the class of a character as a number: blank, letter, digit or other.
fn kind(c: char) -> u8 {
    match c {
        _ if c.is_whitespace() => 0,
        _ if c.is_alphabetic() => 1,
        _ if c.is_numeric() => 2,
        _ => 3,
    }
}

/// Returns the candidates of one kind within a stretch.
fn places(text: &str, stretch: Range<usize>, kind: Place) -> impl Iterator<Item = usize> {
    stretch.filter(move |&at| text.is_char_boundary(at) && kind.is_at(text, at))
}

#[cfg(test)]
mod tests;
