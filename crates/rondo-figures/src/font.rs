//! The embedded font: its characters and their widths.

use std::fmt::Write;
use std::sync::LazyLock;

use skrifa::charmap::Charmap;
use skrifa::metrics::GlyphMetrics;
use skrifa::prelude::{FontRef, LocationRef, MetadataProvider, Size};

/// The font's file.
pub(crate) const DATA: &[u8] = include_bytes!("../fonts/DejaVuSans-subset.ttf");

static FACE: LazyLock<Face> = LazyLock::new(|| {
    let font = FontRef::new(DATA).expect("the embedded font is whole");
    let (unscaled, regular) = (Size::unscaled(), LocationRef::default());
    Face {
        characters: font.charmap(),
        glyphs: font.glyph_metrics(unscaled, regular),
        units_per_em: f64::from(font.metrics(unscaled, regular).units_per_em),
    }
});

/// The tables of the font that the layout needs.
struct Face {
    characters: Charmap<'static>,
    glyphs: GlyphMetrics<'static>,
    units_per_em: f64,
}

impl Face {
    fn has(&self, c: char) -> bool {
        self.characters.map(c).is_some()
    }

    /// Returns the width of a character in ems.
    fn advance(&self, c: char) -> f64 {
        let glyph = self.characters.map(c).unwrap_or_default();
        f64::from(self.glyphs.advance_width(glyph).unwrap_or(0.0)) / self.units_per_em
    }
}

/// The font names in an SVG: the embedded font, then others with similar widths.
pub(crate) const STACK: &str = "'DejaVu Sans', Verdana, Geneva, sans-serif";

/// The height of the middle of a digit above the baseline, as a share of the font size.
pub(crate) const HALF_DIGIT: f64 = 0.36;

/// The maximum number of characters in a line. No panel has room for more.
const MOST_IN_A_LINE: usize = 256;

/// The point of a text that is placed at a given position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// Returns the text with control characters, and characters without a glyph, escaped.
pub(crate) fn drawable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || !FACE.has(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Returns the text, cut to at most `most` characters. If it was cut, it ends with `…`.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    kept + "…"
}

/// Returns the text, cut to at most `most` characters. If it was cut, `…` is in its middle, because
/// names of runs can differ at their beginning or at their end.
pub(crate) fn shortened_inside(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let kept = most.saturating_sub(1);
    let begin: String = text.chars().take(kept.div_ceil(2)).collect();
    let end: String = text.chars().skip(count - kept / 2).collect();
    begin + "…" + &end
}

/// Returns the text, cut in its middle so that it is at most `room` pixels wide.
pub(crate) fn fitted(text: &str, size: f64, room: f64) -> String {
    let count = text.chars().count();
    let fitting = (1..=count.min(MOST_IN_A_LINE))
        .rev()
        .map(|most| shortened_inside(text, most))
        .find(|short| width(short, size) <= room);
    fitting.unwrap_or_else(|| "…".to_owned())
}

/// Returns a token's text as a label of at most 16 characters, escaped and with visible spaces.
pub(crate) fn token_label(text: &str) -> String {
    shortened(&drawable(&text.replace(' ', "␣")), 16)
}

/// Returns the integer `n` as a superscript.
pub(crate) fn superscript(n: i32) -> String {
    let mut out = String::new();
    for c in n.to_string().chars() {
        out.push(match c {
            '-' => '⁻',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            digit => char::from_u32(0x2070 + digit.to_digit(10).unwrap_or(0)).unwrap_or(digit),
        });
    }
    out
}

/// Returns the width of a text in pixels.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(|c| FACE.advance(c)).sum::<f64>() * size
}

/// Breaks a text at spaces into lines of at most `most` pixels. A longer word has its own line.
pub(crate) fn wrapped(text: &str, size: f64, most: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(&format!("{line} {word}"), size) <= most => {
                let _ = write!(line, " {word}");
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_has_what_the_pictures_write() {
        for c in "azAZ09 ‖−×⁻⁰¹²³⁴⁵⁶⁷⁸⁹…␣γµτσ·–é".chars() {
            assert!(FACE.has(c), "{c}");
        }
    }

    #[test]
    fn what_cannot_be_drawn_is_escaped() {
        assert_eq!(drawable("a\n\u{0}"), "a\\n\\u{0}");
        assert_eq!(drawable("語é"), "\\u{8a9e}é");
        assert_eq!(token_label(" the\t"), "␣the\\t");
    }

    #[test]
    fn a_long_label_is_cut_to_sixteen_characters() {
        assert_eq!(token_label("0123456789abcdef"), "0123456789abcdef");
        assert_eq!(token_label("0123456789abcdefg"), "0123456789abcde…");
    }

    #[test]
    fn a_long_name_is_cut_in_its_middle() {
        assert_eq!(shortened_inside("0123456789", 10), "0123456789");
        assert_eq!(shortened_inside("0123456789", 6), "012…89");
        let room = width("012…89", 20.0) + 0.1;
        assert_eq!(fitted("0123456789", 20.0, room), "012…89");
        assert_eq!(fitted("0123456789", 20.0, 0.0), "…");
    }

    #[test]
    fn digits_are_of_one_width_and_widths_add_up() {
        assert!((width("1", 20.0) - width("8", 20.0)).abs() < 1e-9);
        assert!((width("12", 20.0) - 2.0 * width("1", 20.0)).abs() < 1e-9);
        assert!((width("1", 40.0) - 2.0 * width("1", 20.0)).abs() < 1e-9);
    }

    #[test]
    fn lines_break_at_spaces_and_keep_every_word() {
        let most = width("one two", 10.0) + 0.1;
        assert_eq!(wrapped("one two three", 10.0, most), ["one two", "three"]);
    }

    #[test]
    fn exponents_are_raised() {
        assert_eq!(superscript(-12), "⁻¹²");
        assert_eq!(superscript(3045), "³⁰⁴⁵");
    }
}
