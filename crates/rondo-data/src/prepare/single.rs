//! A corpus of one document: finds where its tail, the validation part, begins.

use super::Recipe;
use crate::corpus::{Corpus, Span};
use crate::documents::{Stop, Then};
use crate::error::DataError;

/// Returns how many of the document's `bytes` are used for training. The tail begins at the last
/// line start at or before the end of the training share. If that line start is in the first half
/// of the share, the tail begins at the end of the share instead, between two characters.
///
/// # Errors
///
/// When nothing is left for one of the parts, or the corpus cannot be read.
pub(super) fn cut(corpus: &Corpus, recipe: &Recipe<'_>, bytes: u64) -> Result<u64, DataError> {
    let wanted = (bytes as f64 * (1.0 - recipe.val_fraction)) as u64;
    let mut tail = Tail::new(wanted);
    corpus.for_each(&Span::all(recipe.max_bytes), &mut |document| {
        tail.push(document.text);
        Ok(match document.then {
            Then::GoesOn => Stop::No,
            Then::Ends | Then::IsCut => Stop::Here,
        })
    })?;
    match tail.start() {
        start if start > 0 && start < bytes => Ok(start),
        _ => Err(DataError::Corpus(format!(
            "one document of {bytes} bytes cannot be split into training and validation"
        ))),
    }
}

/// Finds the start of the tail in a text that arrives in parts.
struct Tail {
    /// The byte near which the tail begins.
    wanted: u64,
    /// The number of bytes of text so far.
    before: u64,
    /// The last boundary between two characters at or before `wanted`.
    share: u64,
    /// The last line start at or before `wanted`.
    line: Option<u64>,
}

impl Tail {
    fn new(wanted: u64) -> Self {
        Self {
            wanted,
            before: 0,
            share: 0,
            line: None,
        }
    }

    fn push(&mut self, text: &str) {
        let here = usize::try_from(self.wanted.saturating_sub(self.before)).unwrap_or(usize::MAX);
        let share = text.floor_char_boundary(here);
        if self.wanted >= self.before {
            self.share = self.before + share as u64;
            if let Some(line_end) = text[..share].rfind('\n') {
                self.line = Some(self.before + line_end as u64 + 1);
            }
        }
        self.before += text.len() as u64;
    }

    fn start(&self) -> u64 {
        match self.line {
            Some(line) if line > self.share / 2 => line,
            _ => self.share,
        }
    }
}

/// Divides the parts of a document at the cut.
pub(super) struct Parts {
    cut: Option<u64>,
    before: u64,
}

impl Parts {
    /// Divides the document after its first `cut` bytes; `None` divides nothing.
    pub(super) fn new(cut: Option<u64>) -> Self {
        Self { cut, before: 0 }
    }

    /// Returns the text of the next stretch that belongs to the first part, and the text that
    /// belongs to the second part.
    pub(super) fn of<'t>(&mut self, text: &'t str, then: Then) -> [Option<(&'t str, Then)>; 2] {
        let before = self.before;
        self.before += text.len() as u64;
        match self.cut {
            Some(cut) if before >= cut => [None, Some((text, then))],
            Some(cut) if self.before >= cut => {
                let (first, second) = text.split_at((cut - before) as usize);
                [Some((first, Then::Ends)), Some((second, then))]
            }
            _ => [Some((text, then)), None],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(stretches: &[&str], val_fraction: f64) -> u64 {
        let bytes: usize = stretches.iter().map(|text| text.len()).sum();
        let mut tail = Tail::new((bytes as f64 * (1.0 - val_fraction)) as u64);
        for stretch in stretches {
            tail.push(stretch);
        }
        tail.start()
    }

    #[test]
    fn the_tail_begins_at_a_line_or_between_two_characters() {
        let lines = "0123\n".repeat(20);
        assert_eq!(start(&[&lines], 0.1), 90);
        assert_eq!(start(&["ééééé"], 0.5), 4);
        assert_eq!(start(&["é"], 0.1), 0);
        // The only line end is in the first half.
        assert_eq!(start(&["a\nbbbbbbbb"], 0.2), 8);
    }

    #[test]
    fn stretches_do_not_change_where_the_tail_begins() {
        let lines = "0123é\n".repeat(20);
        for fraction in [0.05, 0.1, 0.33, 0.5] {
            let whole = start(&[&lines], fraction);
            for at in (0..lines.len()).filter(|&at| lines.is_char_boundary(at)) {
                let (first, second) = lines.split_at(at);
                assert_eq!(start(&[first, second], fraction), whole, "cut at {at}");
            }
        }
    }

    #[test]
    fn a_stretch_across_the_cut_belongs_to_both_parts() {
        let mut parts = Parts::new(Some(4));
        assert_eq!(
            parts.of("abc", Then::GoesOn),
            [Some(("abc", Then::GoesOn)), None]
        );
        assert_eq!(
            parts.of("def", Then::GoesOn),
            [Some(("d", Then::Ends)), Some(("ef", Then::GoesOn))]
        );
        assert_eq!(parts.of("g", Then::Ends), [None, Some(("g", Then::Ends))]);
        assert_eq!(
            Parts::new(None).of("a", Then::Ends),
            [Some(("a", Then::Ends)), None]
        );
    }
}
