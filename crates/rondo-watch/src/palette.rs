//! Colours, or letters if there are no colours. Only the terminal's own sixteen colours are used,
//! because the terminal's theme makes them readable on light and dark backgrounds.

use std::ffi::OsStr;

use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use rondo_diagnosis::Verdict;

const COLOURS: [Color; 6] = [
    Color::Cyan,
    Color::Yellow,
    Color::Magenta,
    Color::Green,
    Color::LightBlue,
    Color::Red,
];

/// How lines and words are marked to distinguish them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    has_colour: bool,
}

impl Palette {
    /// Makes a palette with or without colours.
    pub fn new(has_colour: bool) -> Self {
        Self { has_colour }
    }

    /// Uses colours, unless the environment variable `NO_COLOR` is set and not empty, see
    /// <https://no-color.org>.
    pub fn of_environment(no_color: Option<&OsStr>) -> Self {
        Self::new(no_color.is_none_or(OsStr::is_empty))
    }

    /// Whether there are colours.
    pub fn has_colour(self) -> bool {
        self.has_colour
    }

    /// Returns the style of the line at `index`, from 0.
    pub(crate) fn line(self, index: usize) -> Style {
        self.coloured(COLOURS[index % COLOURS.len()])
    }

    /// Returns the marker of the line at `index` among `of` lines: fine dots or, without colours,
    /// the line's letter.
    pub(crate) fn marker(self, index: usize, of: usize) -> Marker {
        match self.has_colour || of == 1 {
            true => Marker::Braille,
            false => Marker::Custom(letter(index)),
        }
    }

    /// Returns the prefix of a line's name. It identifies the line if there are no colours.
    pub(crate) fn label(self, index: usize, of: usize) -> String {
        match self.has_colour || of == 1 {
            true => String::new(),
            false => format!("{} ", letter(index)),
        }
    }

    /// Returns the style of a verdict.
    pub(crate) fn verdict(self, verdict: Verdict) -> Style {
        match verdict.failure() {
            None => self.coloured(Color::Green),
            Some(_) => self.warning(),
        }
    }

    /// Returns the style of a warning.
    pub(crate) fn warning(self) -> Style {
        self.coloured(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn coloured(self, colour: Color) -> Style {
        match self.has_colour {
            true => Style::new().fg(colour),
            false => Style::new(),
        }
    }
}

/// Returns the style of less important text.
pub(crate) fn quiet() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

/// Returns the letter of a line: `a`, `b` and so on, and `a` again after `z`.
fn letter(index: usize) -> char {
    char::from(b'a' + (index % 26) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_color_declines_colours_unless_it_is_empty() {
        let has = |value: Option<&str>| Palette::of_environment(value.map(OsStr::new)).has_colour();
        assert!(has(None) && has(Some("")));
        assert!(!has(Some("1")));
    }

    #[test]
    fn without_colours_lines_are_told_by_letters() {
        let plain = Palette::new(false);
        assert_eq!(plain.line(1), Style::new());
        assert_eq!(plain.marker(1, 3), Marker::Custom('b'));
        assert_eq!(plain.label(27, 30), "b ");
        assert_eq!(
            plain.marker(0, 1),
            Marker::Braille,
            "one line needs no letter"
        );
        let coloured = Palette::new(true);
        assert_eq!(coloured.marker(1, 3), Marker::Braille);
        assert_ne!(coloured.line(0), coloured.line(1));
    }
}
