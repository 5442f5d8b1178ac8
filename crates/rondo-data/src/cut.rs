//! Cuts a text into pieces whose tokens, one after the other, are those of the whole text.
//!
//! A tokenizer needs about 150 bytes of memory for each byte that it encodes at once, so long texts are
//! encoded in pieces. Where a cut changes nothing depends on the tokenizer: most cut the text into words first
//! and a cut may go between any two words, but what a word is differs, and some put a space before every
//! text. So the tokenizer itself says, from the text on both sides of a place, whether a cut there changes
//! anything ([`Seams`]). A text in which no such place is found stays whole.

use std::ops::Range;

use crate::tokenizer::Tokenizer;

/// A piece has at least so many bytes, but for the last one.
pub(crate) const PIECE_BYTES: usize = 64 << 10;

/// Places for a cut are compared within this many bytes.
const STRETCH_BYTES: usize = 64 << 10;

/// The tokenizer sees so many bytes on each side of a place.
const CONTEXT_BYTES: usize = 256;

/// So many places of one kind are tried in a stretch.
const TRIES: usize = 8;

/// How the tokens of a piece inside a text follow from the piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// They are the tokens of the piece.
    Plain,
    /// They are the tokens of the piece without its first byte, a space that the tokenizer puts there itself.
    WithoutSpace,
    /// They are the tokens of the piece without the first, which the tokenizer puts before every text.
    WithoutToken,
}

/// Says where a text may be cut.
pub(crate) trait Seams {
    /// Returns how the tokens of `right` follow where the text `left` + `right` is cut between the two; `None`
    /// where the cut would change them.
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

/// Cuts a text, which comes in stretches, into pieces; where it is cut does not depend on the stretches.
pub(crate) struct Cutter<'s, S> {
    seams: &'s S,
    text: String,
    /// What lies before in `text` has been handed over.
    begin: usize,
    /// Behind `begin`, what lies before has no place for a cut.
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

    /// Returns the next piece: none where more of the text has to be known, or where it has `ended` and there is no
    /// more. Behind the last piece another text may begin.
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

/// Finds the first stretch with a place for a cut, and of its places one of the best kind. What lies before `from`
/// was searched before.
fn cut(text: &str, from: &mut usize, ended: bool, seams: &impl Seams) -> Option<(usize, Start)> {
    while *from < text.len() {
        // A place is judged by what follows, too.
        if !ended && text.len() < *from + STRETCH_BYTES + CONTEXT_BYTES + 4 {
            return None;
        }
        let to = text.len().min(*from + STRETCH_BYTES);
        // What is left behind a line is not worth another kind of place.
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

/// A kind of place between two characters; the best first.
#[derive(Clone, Copy)]
enum Place {
    /// Behind a line feed with a visible ASCII character on both sides.
    Line,
    /// Before or behind line ends of any form.
    LineEnd,
    /// Before a single space.
    Word,
    /// Between characters of different kinds.
    Kinds,
}

impl Place {
    const ALL: [Self; 4] = [Self::Line, Self::LineEnd, Self::Word, Self::Kinds];

    /// Returns whether a text has this kind of place at `at`, inside the text and between two characters.
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

/// Returns a number for blanks, letters, digits and the rest.
fn kind(c: char) -> u8 {
    match c {
        _ if c.is_whitespace() => 0,
        _ if c.is_alphabetic() => 1,
        _ if c.is_numeric() => 2,
        _ => 3,
    }
}

/// Returns the places of one kind within a stretch.
fn places(text: &str, stretch: Range<usize>, kind: Place) -> impl Iterator<Item = usize> {
    stretch.filter(move |&at| text.is_char_boundary(at) && kind.is_at(text, at))
}

#[cfg(test)]
mod tests;
