//! A drawing, independent of the file format: paths and text in pixels, with y downward.

use crate::font::{self, Anchor};
use crate::palette::{Colour, Dash};

/// A place in pixels: x to the right, y downward.
pub(crate) type Point = (f64, f64);

/// A rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Area {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
}

impl Area {
    pub(crate) fn width(self) -> f64 {
        self.right - self.left
    }

    pub(crate) fn height(self) -> f64 {
        self.bottom - self.top
    }
}

/// A line or an outline.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Path {
    /// Points joined by straight lines.
    Line(Vec<Point>),
    /// Points joined by straight lines; the last point is also joined to the first.
    Polygon(Vec<Point>),
    /// A centre and a radius.
    Circle(Point, f64),
}

impl Path {
    /// Joins points by straight lines.
    pub(crate) fn line(points: &[Point]) -> Self {
        Self::Line(points.to_vec())
    }

    /// Returns the outline of a rectangle.
    pub(crate) fn rectangle(area: Area) -> Self {
        let Area {
            left,
            top,
            right,
            bottom,
        } = area;
        Self::Polygon(vec![
            (left, top),
            (right, top),
            (right, bottom),
            (left, bottom),
        ])
    }
}

/// The look of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stroke {
    pub(crate) colour: Colour,
    pub(crate) width: f64,
    pub(crate) dash: Dash,
}

impl Stroke {
    /// Makes a solid line.
    pub(crate) fn solid(colour: Colour, width: f64) -> Self {
        Self {
            colour,
            width,
            dash: Dash::Solid,
        }
    }

    /// Returns the same line with another dash style.
    pub(crate) fn with_dash(self, dash: Dash) -> Self {
        Self { dash, ..self }
    }
}

/// One line of text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Text {
    pub(crate) content: String,
    /// The point of the baseline that `anchor` names: its start, middle or end.
    pub(crate) at: Point,
    pub(crate) size: f64,
    pub(crate) anchor: Anchor,
    pub(crate) colour: Colour,
    /// Whether the text is turned by 90 degrees and reads upward.
    pub(crate) upward: bool,
}

/// One item of a drawing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    Fill(Path, Colour),
    /// A filled rectangle with hard edges, so that there is no gap between neighbours.
    Cell(Area, Colour),
    Stroke(Path, Stroke),
    Text(Text),
}

/// An unfinished picture: items in the order in which they are drawn, on a white background.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scene {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) items: Vec<Item>,
}

impl Scene {
    /// Starts an empty picture.
    pub(crate) fn new(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            items: Vec::new(),
        }
    }

    pub(crate) fn fill(&mut self, path: Path, colour: Colour) {
        self.items.push(Item::Fill(path, colour));
    }

    /// Fills whole pixels; an area that rounds to no pixel is left out.
    pub(crate) fn cell(&mut self, area: Area, colour: Colour) {
        let area = Area {
            left: area.left.round(),
            top: area.top.round(),
            right: area.right.round(),
            bottom: area.bottom.round(),
        };
        if area.width() > 0.0 && area.height() > 0.0 {
            self.items.push(Item::Cell(area, colour));
        }
    }

    pub(crate) fn stroke(&mut self, path: Path, stroke: Stroke) {
        self.items.push(Item::Stroke(path, stroke));
    }

    /// Writes a line of text; characters that are missing in the font are escaped.
    pub(crate) fn text(
        &mut self,
        content: &str,
        at: Point,
        size: f64,
        anchor: Anchor,
        colour: Colour,
    ) {
        self.items.push(Item::Text(Text {
            content: font::drawable(content),
            at,
            size,
            anchor,
            colour,
            upward: false,
        }));
    }

    /// Writes a line of text that reads upward; its middle is at `at`.
    pub(crate) fn upward_text(&mut self, content: &str, at: Point, size: f64, colour: Colour) {
        self.items.push(Item::Text(Text {
            content: font::drawable(content),
            at,
            size,
            anchor: Anchor::Middle,
            colour,
            upward: true,
        }));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns the texts of a scene.
    pub(crate) fn texts(scene: &Scene) -> Vec<&Text> {
        let items = scene.items.iter();
        let texts = items.filter_map(|item| match item {
            Item::Text(text) => Some(text),
            _ => None,
        });
        texts.collect()
    }

    /// Returns the rectangle that a text covers, from the baseline upward.
    pub(crate) fn covered(text: &Text) -> Area {
        let (x, y) = text.at;
        let width = font::width(&text.content, text.size);
        let start = match text.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => width / 2.0,
            Anchor::End => width,
        };
        let height = 0.73 * text.size;
        match text.upward {
            false => Area {
                left: x - start,
                top: y - height,
                right: x - start + width,
                bottom: y,
            },
            true => Area {
                left: x - height,
                top: y + start - width,
                right: x,
                bottom: y + start,
            },
        }
    }
}
