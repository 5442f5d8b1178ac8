//! A scene as SVG: text stays text, in a generic font stack.

use std::fmt::{self, Write};

use crate::font::{Anchor, STACK};
use crate::palette::{Colour, WHITE};
use crate::scene::{Area, Item, Path, Scene, Segment, Text};

/// Returns the scene as a document.
pub(crate) fn document(scene: &Scene) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_document(&mut out, scene);
    out
}

fn write_document(out: &mut String, scene: &Scene) -> fmt::Result {
    let Scene { width, height, .. } = scene;
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"{STACK}\">"
    )?;
    let white = Hex(WHITE);
    writeln!(
        out,
        "<rect width=\"{width}\" height=\"{height}\" fill=\"{white}\"/>"
    )?;
    for item in &scene.items {
        match item {
            Item::Fill(path, colour) => {
                writeln!(
                    out,
                    "<path d=\"{}\" fill=\"{}\"/>",
                    Data(path),
                    Hex(*colour)
                )?;
            }
            Item::Cell(area, colour) => write_cell(out, *area, *colour)?,
            Item::Stroke(path, stroke) => {
                write!(
                    out,
                    "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" \
                     stroke-linejoin=\"round\"",
                    Data(path),
                    Hex(stroke.colour),
                    Short(stroke.width)
                )?;
                let pattern = stroke.dash.pattern();
                if !pattern.is_empty() {
                    let lengths: Vec<String> = pattern
                        .iter()
                        .map(|length| Short(length * stroke.width).to_string())
                        .collect();
                    write!(out, " stroke-dasharray=\"{}\"", lengths.join(" "))?;
                }
                writeln!(out, "/>")?;
            }
            Item::Text(text) => write_text(out, text)?,
        }
    }
    writeln!(out, "</svg>")
}

fn write_cell(out: &mut String, area: Area, colour: Colour) -> fmt::Result {
    writeln!(
        out,
        "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\" \
         shape-rendering=\"crispEdges\"/>",
        Short(area.left),
        Short(area.top),
        Short(area.width()),
        Short(area.height()),
        Hex(colour)
    )
}

fn write_text(out: &mut String, text: &Text) -> fmt::Result {
    let (x, y) = (Short(text.at.0), Short(text.at.1));
    write!(
        out,
        "<text x=\"{x}\" y=\"{y}\" font-size=\"{}\" fill=\"{}\"",
        Short(text.size),
        Hex(text.colour)
    )?;
    match text.anchor {
        Anchor::Start => {}
        Anchor::Middle => write!(out, " text-anchor=\"middle\"")?,
        Anchor::End => write!(out, " text-anchor=\"end\"")?,
    }
    if text.upward {
        write!(out, " transform=\"rotate(-90 {x} {y})\"")?;
    }
    writeln!(out, ">{}</text>", escaped(&text.content))
}

/// Returns text that cannot end its element.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
    out
}

/// `#rrggbb`
struct Hex(Colour);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Colour { red, green, blue } = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

/// A length with at most two decimals.
struct Short(f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.2}", self.0);
        match text.trim_end_matches('0').trim_end_matches('.') {
            "-0" => f.write_str("0"),
            short => f.write_str(short),
        }
    }
}

/// The `d` of a path.
struct Data<'a>(&'a Path);

impl fmt::Display for Data<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.0.0 {
            match *segment {
                Segment::Move((x, y)) => write!(f, "M{} {}", Short(x), Short(y))?,
                Segment::Line((x, y)) => write!(f, "L{} {}", Short(x), Short(y))?,
                Segment::Cubic(a, b, to) => {
                    f.write_char('C')?;
                    for (index, (x, y)) in [a, b, to].into_iter().enumerate() {
                        let space = if index == 0 { "" } else { " " };
                        write!(f, "{space}{} {}", Short(x), Short(y))?;
                    }
                }
                Segment::Close => f.write_char('Z')?,
            }
        }
        Ok(())
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
        scene.fill(Path::polygon(&[(1.0, 2.0), (3.5, 2.0), (3.5, 4.125)]), BLUE);
        let dashed = Stroke::solid(BLUE, 2.0).with_dash(Dash::Dashed);
        scene.stroke(Path::line(&[(0.0, 0.0), (9.0, -0.001)]), dashed);
        scene.text("a < b", (5.0, 6.0), 10.0, Anchor::End, INK);
        scene.upward_text("up", (1.0, 2.0), 10.0, INK);
        let expected = "\
<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"40\" height=\"20\" viewBox=\"0 0 40 20\" font-family=\"'DejaVu Sans', Verdana, Geneva, sans-serif\">
<rect width=\"40\" height=\"20\" fill=\"#ffffff\"/>
<path d=\"M1 2L3.5 2L3.5 4.12Z\" fill=\"#1f77b4\"/>
<path d=\"M0 0L9 0\" fill=\"none\" stroke=\"#1f77b4\" stroke-width=\"2\" stroke-linejoin=\"round\" stroke-dasharray=\"8 5\"/>
<text x=\"5\" y=\"6\" font-size=\"10\" fill=\"#262626\" text-anchor=\"end\">a &lt; b</text>
<text x=\"1\" y=\"2\" font-size=\"10\" fill=\"#262626\" text-anchor=\"middle\" transform=\"rotate(-90 1 2)\">up</text>
</svg>
";
        assert_eq!(document(&scene), expected);
    }
}
