//! What is drawn, before it is known as what: paths and text in pixels, y downward.

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

/// A piece of a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Segment {
    Move(Point),
    Line(Point),
    Cubic(Point, Point, Point),
    Close,
}

/// A line or an outline.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Path(pub(crate) Vec<Segment>);

impl Path {
    /// Joins points by straight lines.
    pub(crate) fn line(points: &[Point]) -> Self {
        let segment = |(index, &point)| match index {
            0 => Segment::Move(point),
            _ => Segment::Line(point),
        };
        Self(points.iter().enumerate().map(segment).collect())
    }

    /// Joins points by straight lines, the last to the first too.
    pub(crate) fn polygon(points: &[Point]) -> Self {
        let mut path = Self::line(points);
        path.0.push(Segment::Close);
        path
    }

    /// Goes around a rectangle.
    pub(crate) fn rectangle(area: Area) -> Self {
        let Area {
            left,
            top,
            right,
            bottom,
        } = area;
        Self::polygon(&[(left, top), (right, top), (right, bottom), (left, bottom)])
    }

    /// Goes around a circle, as four cubic arcs.
    pub(crate) fn circle((x, y): Point, r: f64) -> Self {
        // The distance of the control points at which a cubic comes closest to a quarter of a circle.
        let c = 0.552_284_75 * r;
        Self(vec![
            Segment::Move((x + r, y)),
            Segment::Cubic((x + r, y + c), (x + c, y + r), (x, y + r)),
            Segment::Cubic((x - c, y + r), (x - r, y + c), (x - r, y)),
            Segment::Cubic((x - r, y - c), (x - c, y - r), (x, y - r)),
            Segment::Cubic((x + c, y - r), (x + r, y - c), (x + r, y)),
            Segment::Close,
        ])
    }
}

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stroke {
    pub(crate) colour: Colour,
    pub(crate) width: f64,
    pub(crate) dash: Dash,
}

impl Stroke {
    /// Makes an unbroken line.
    pub(crate) fn solid(colour: Colour, width: f64) -> Self {
        Self {
            colour,
            width,
            dash: Dash::Solid,
        }
    }

    /// Breaks the line up.
    pub(crate) fn with_dash(self, dash: Dash) -> Self {
        Self { dash, ..self }
    }
}

/// One line of text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Text {
    pub(crate) content: String,
    /// Where the baseline begins, has its middle or ends, as `anchor` says.
    pub(crate) at: Point,
    pub(crate) size: f64,
    pub(crate) anchor: Anchor,
    pub(crate) colour: Colour,
    /// Whether it reads from below to above.
    pub(crate) upward: bool,
}

/// One thing drawn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    Fill(Path, Colour),
    /// A filled rectangle without soft edges, so that neighbours meet without a seam.
    Cell(Area, Colour),
    Stroke(Path, Stroke),
    Text(Text),
}

/// A picture in the making: items in the order in which they are drawn, on white.
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

    /// Fills whole pixels; an area that rounds to none is left out.
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

    /// Writes a line of text; characters that the font lacks are written as escapes.
    pub(crate) fn text(
        &mut self,
        content: &str,
        at: Point,
        size: f64,
        anchor: Anchor,
        colour: Colour,
    ) {
        self.push_text(content, at, size, anchor, colour, false);
    }

    /// Writes a line of text that reads from below to above, its middle at `at`.
    pub(crate) fn upward_text(&mut self, content: &str, at: Point, size: f64, colour: Colour) {
        self.push_text(content, at, size, Anchor::Middle, colour, true);
    }

    fn push_text(
        &mut self,
        content: &str,
        at: Point,
        size: f64,
        anchor: Anchor,
        colour: Colour,
        upward: bool,
    ) {
        self.items.push(Item::Text(Text {
            content: font::drawable(content),
            at,
            size,
            anchor,
            colour,
            upward,
        }));
    }
}
