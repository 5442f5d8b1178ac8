//! Converts cells of a screen to the bytes that draw them: a backend for ratatui that uses
//! crossterm's commands.

use std::io::{self, Write};

use crossterm::style::{Attribute, Color as Ground, Print, SetAttribute, SetForegroundColor};
use crossterm::terminal::{Clear, ClearType as Part};
use crossterm::{cursor, execute, queue, terminal};
use ratatui::backend::{Backend, ClearType, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use ratatui::style::{Color, Modifier};
use ratatui::text::Span;

/// A terminal that receives the bytes through `out`.
#[derive(Debug)]
pub(crate) struct Cells<W: Write> {
    out: W,
}

impl<W: Write> Cells<W> {
    /// Makes a backend that writes to `out`.
    pub(crate) fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write> Backend for Cells<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        // The cursor's position and the current style, if they are known.
        let (mut place, mut style) = (None, None);
        for (x, y, cell) in content {
            if place != Some((x, y)) {
                queue!(self.out, cursor::MoveTo(x, y))?;
            }
            let wanted = (cell.fg, cell.modifier);
            if style != Some(wanted) {
                self.dress(cell)?;
                style = Some(wanted);
            }
            queue!(self.out, Print(cell.symbol()))?;
            place = Some((x + Span::raw(cell.symbol()).width() as u16, y));
        }
        queue!(self.out, SetAttribute(Attribute::Reset))
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        execute!(self.out, cursor::Hide)
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        execute!(self.out, cursor::Show)
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        let (x, y) = cursor::position()?;
        Ok(Position { x, y })
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        let Position { x, y } = position.into();
        execute!(self.out, cursor::MoveTo(x, y))
    }

    fn clear(&mut self) -> io::Result<()> {
        self.clear_region(ClearType::All)
    }

    fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
        let part = match region {
            ClearType::All => Part::All,
            ClearType::AfterCursor => Part::FromCursorDown,
            ClearType::BeforeCursor => Part::FromCursorUp,
            ClearType::CurrentLine => Part::CurrentLine,
            ClearType::UntilNewLine => Part::UntilNewLine,
        };
        execute!(self.out, Clear(part))
    }

    fn size(&self) -> io::Result<Size> {
        let (width, height) = terminal::size()?;
        Ok(Size { width, height })
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        let size = terminal::window_size()?;
        Ok(WindowSize {
            columns_rows: Size::new(size.columns, size.rows),
            pixels: Size::new(size.width, size.height),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<W: Write> Cells<W> {
    /// Sets the style of a cell.
    fn dress(&mut self, cell: &Cell) -> io::Result<()> {
        queue!(self.out, SetAttribute(Attribute::Reset))?;
        for (modifier, attribute) in [
            (Modifier::BOLD, Attribute::Bold),
            (Modifier::DIM, Attribute::Dim),
        ] {
            if cell.modifier.contains(modifier) {
                queue!(self.out, SetAttribute(attribute))?;
            }
        }
        match ground(cell.fg) {
            Some(colour) => queue!(self.out, SetForegroundColor(colour)),
            None => Ok(()),
        }
    }
}

/// Returns a colour of the palette as crossterm's type; `None` for the terminal's default colour.
fn ground(colour: Color) -> Option<Ground> {
    match colour {
        Color::Red => Some(Ground::DarkRed),
        Color::Green => Some(Ground::DarkGreen),
        Color::Yellow => Some(Ground::DarkYellow),
        Color::Magenta => Some(Ground::DarkMagenta),
        Color::Cyan => Some(Ground::DarkCyan),
        Color::LightBlue => Some(Ground::Blue),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a refused write must fail the test")]

    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;
    use crate::palette::Palette;

    /// Returns the bytes that draw a line of text in a style, without the bytes that set colours.
    fn drawn(text: &str, style: Style) -> String {
        let before = Buffer::empty(Rect::new(0, 0, 8, 2));
        let mut after = before.clone();
        after.set_string(0, 1, text, style);
        let mut cells = Cells::new(Vec::new());
        cells.draw(before.diff(&after).into_iter()).unwrap();
        String::from_utf8(cells.out).unwrap()
    }

    #[test]
    fn neighbours_share_one_move_and_one_style() {
        // `2;1H` moves the cursor to the second row, first column. `1m` is bold; `0m` resets the
        // style.
        let text = drawn("ab", Style::new().add_modifier(Modifier::BOLD));
        assert_eq!(text, "\u{1b}[2;1H\u{1b}[0m\u{1b}[1mab\u{1b}[0m");
    }

    #[test]
    fn a_wide_character_moves_the_cursor_by_two() {
        assert_eq!(
            drawn("環x", Style::new()),
            "\u{1b}[2;1H\u{1b}[0m環x\u{1b}[0m"
        );
    }

    #[test]
    fn every_colour_of_the_palette_is_known() {
        for index in 0..6 {
            let colour = Palette::new(true).line(index).fg.unwrap();
            assert!(ground(colour).is_some(), "{colour}");
        }
        assert_eq!(ground(Color::Reset), None);
    }
}
