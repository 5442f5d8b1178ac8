//! A scene as SVG. Text stays text; the SVG names a list of common fonts for it.

use std::fmt::{self, Display, Write};

use crate::font::{Anchor, STACK};
use crate::palette::{Colour, WHITE};
use crate::scene::{Area, Item, Path, Scene, Stroke, Text};

/// Returns the scene as an SVG document.
pub(crate) fn document(scene: &Scene) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_document(&mut out, scene);
    out
}

fn write_document(out: &mut String, scene: &Scene) -> fmt::Result {
    let (width, height, white) = (scene.width, scene.height, Hex(WHITE));
    // The layout computes widths without kerning, so the renderer must not use kerning either.
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"{STACK}\" style=\"font-kerning:none\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"{white}\"/>"
    )?;
    for item in &scene.items {
        match item {
            Item::Fill(path, colour) => {
                writeln!(out, "<{} fill=\"{}\"/>", Shape(path), Hex(*colour))?;
            }
            Item::Cell(area, colour) => write_cell(out, *area, *colour)?,
            Item::Stroke(path, stroke) => write_stroke(out, path, *stroke)?,
            Item::Text(text) => write_text(out, text)?,
        }
    }
    writeln!(out, "</svg>")
}

fn write_cell(out: &mut String, area: Area, colour: Colour) -> fmt::Result {
    let [x, y, width, height] = [area.left, area.top, area.width(), area.height()].map(Short);
    let fill = Hex(colour);
    writeln!(
        out,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{fill}\" \
         shape-rendering=\"crispEdges\"/>"
    )
}

fn write_stroke(out: &mut String, path: &Path, stroke: Stroke) -> fmt::Result {
    let (shape, colour, width) = (Shape(path), Hex(stroke.colour), Short(stroke.width));
    write!(
        out,
        "<{shape} fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" \
         stroke-linejoin=\"round\""
    )?;
    let lengths = stroke.dash.pattern().iter();
    let lengths = lengths.map(|length| Short(length * stroke.width).to_string());
    let lengths: Vec<String> = lengths.collect();
    if !lengths.is_empty() {
        write!(out, " stroke-dasharray=\"{}\"", lengths.join(" "))?;
    }
    writeln!(out, "/>")
}

fn write_text(out: &mut String, text: &Text) -> fmt::Result {
    let [x, y, size] = [text.at.0, text.at.1, text.size].map(Short);
    let fill = Hex(text.colour);
    write!(
        out,
        "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" fill=\"{fill}\""
    )?;
    match text.anchor {
        Anchor::Start => {}
        Anchor::Middle => write!(out, " text-anchor=\"middle\"")?,
        Anchor::End => write!(out, " text-anchor=\"end\"")?,
    }
    if text.upward {
        write!(out, " transform=\"rotate(-90 {x} {y})\"")?;
    }
    // Escapes characters that could end the element.
    let content = text
        .content
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    writeln!(out, ">{content}</text>")
}

/// `#rrggbb`
struct Hex(Colour);

impl Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Colour { red, green, blue } = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

/// A length, written with at most two decimals.
#[derive(Clone, Copy)]
struct Short(f64);

impl Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.2}", self.0);
        match text.trim_end_matches('0').trim_end_matches('.') {
            "-0" => f.write_str("0"),
            short => f.write_str(short),
        }
    }
}

/// An element's name and its geometric attributes.
struct Shape<'a>(&'a Path);

impl Display for Shape<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (points, end) = match self.0 {
            Path::Line(points) => (points, ""),
            Path::Polygon(points) => (points, "Z"),
            Path::Circle((x, y), r) => {
                let [x, y, r] = [*x, *y, *r].map(Short);
                return write!(f, "circle cx=\"{x}\" cy=\"{y}\" r=\"{r}\"");
            }
        };
        f.write_str("path d=\"")?;
        for (index, (x, y)) in points.iter().enumerate() {
            let command = if index == 0 { 'M' } else { 'L' };
            write!(f, "{command}{} {}", Short(*x), Short(*y))?;
        }
        write!(f, "{end}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::palette::{BLUE, Dash, INK};
    use crate::scene::Stroke;

    #[test]
    fn a_small_scene_is_the_text_one_would_write_by_hand() {
        let mut scene = Scene::new(40, 20);
        scene.fill(
            Path::Polygon(vec![(1.0, 2.0), (3.5, 2.0), (3.5, 4.125)]),
            BLUE,
        );
        scene.fill(Path::Circle((7.0, 8.0), 1.5), BLUE);
        let dashed = Stroke::solid(BLUE, 2.0).with_dash(Dash::Dashed);
        scene.stroke(Path::line(&[(0.0, 0.0), (9.0, -0.001)]), dashed);
        scene.text("a < b", (5.0, 6.0), 10.0, Anchor::End, INK);
        scene.upward_text("up", (1.0, 2.0), 10.0, INK);
        let expected = "\
<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"40\" height=\"20\" viewBox=\"0 0 40 20\" font-family=\"'DejaVu Sans', Verdana, Geneva, sans-serif\" style=\"font-kerning:none\">
<rect width=\"40\" height=\"20\" fill=\"#ffffff\"/>
<path d=\"M1 2L3.5 2L3.5 4.12Z\" fill=\"#1f77b4\"/>
<circle cx=\"7\" cy=\"8\" r=\"1.5\" fill=\"#1f77b4\"/>
<path d=\"M0 0L9 0\" fill=\"none\" stroke=\"#1f77b4\" stroke-width=\"2\" stroke-linejoin=\"round\" stroke-dasharray=\"8 5\"/>
<text x=\"5\" y=\"6\" font-size=\"10\" fill=\"#262626\" text-anchor=\"end\">a &lt; b</text>
<text x=\"1\" y=\"2\" font-size=\"10\" fill=\"#262626\" text-anchor=\"middle\" transform=\"rotate(-90 1 2)\">up</text>
</svg>
";
        assert_eq!(document(&scene), expected);
    }
}
