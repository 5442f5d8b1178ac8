//! Wraps text into lines of a given width.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// Puts pieces into lines, with two spaces between two pieces. A piece that does not fit begins a
/// new line.
pub(super) fn wrapped(pieces: Vec<Span<'_>>, width: u16) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for piece in pieces {
        match lines.last_mut() {
            Some(line) if line.width() + 2 + piece.width() <= usize::from(width) => {
                line.push_span("  ");
                line.push_span(piece);
            }
            _ => lines.push(Line::from(piece)),
        }
    }
    lines
}

/// Wraps a sentence between its words.
pub(super) fn sentence(text: &str, width: u16, style: Style) -> Vec<Line<'static>> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let width_of = |text: &str| Span::raw(text).width();
        match lines.last_mut() {
            Some(line) if width_of(line) + 1 + width_of(word) <= usize::from(width) => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
        .into_iter()
        .map(|line| Line::styled(line, style))
        .collect()
}

/// Cuts a text to a width. An ellipsis marks that the rest is missing.
pub(super) fn cut(text: &str, width: usize) -> String {
    if Span::raw(text).width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    for character in text.chars() {
        kept.push(character);
        if Span::raw(&kept).width() + 1 > width {
            kept.pop();
            break;
        }
    }
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &[Line<'_>]) -> Vec<String> {
        lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_piece_that_does_not_fit_begins_the_next_line() {
        let pieces = ["step 1", "loss 2", "lr 3"].map(Span::raw);
        assert_eq!(
            texts(&wrapped(pieces.to_vec(), 14)),
            ["step 1  loss 2", "lr 3"]
        );
        assert_eq!(
            texts(&wrapped(pieces.to_vec(), 20)),
            ["step 1  loss 2  lr 3"]
        );
    }

    #[test]
    fn a_sentence_is_broken_between_words() {
        assert_eq!(
            texts(&sentence("try a third of it", 7, Style::new())),
            ["try a", "third", "of it"]
        );
    }

    #[test]
    fn what_is_cut_ends_with_an_ellipsis_and_fits() {
        assert_eq!(cut("main", 4), "main");
        assert_eq!(cut("main-peak", 5), "main…");
        // A wide character takes two columns.
        assert_eq!(cut("循環模型", 5), "循環…");
    }
}
