//! A scene as PNG: the same paths, text as the outlines of the embedded font.

use tiny_skia::{
    FillRule, LineJoin, Paint, PathBuilder, Pixmap, Rect, Stroke, StrokeDash, Transform,
};
use ttf_parser::OutlineBuilder;

use crate::font;
use crate::palette::{Colour, WHITE};
use crate::png;
use crate::scene::{Area, Item, Path, Scene, Segment, Text};

/// Returns the scene as the bytes of a PNG file.
///
/// # Errors
/// What the rasteriser says: the picture is larger than it can hold.
pub(crate) fn png(scene: &Scene) -> Result<Vec<u8>, String> {
    // Every pixel is opaque: items are drawn on white.
    let rgb: Vec<u8> = pixels(scene)?
        .data()
        .chunks_exact(4)
        .flat_map(|rgba| [rgba[0], rgba[1], rgba[2]])
        .collect();
    png::file(scene.width, scene.height, &rgb).map_err(|error| error.to_string())
}

fn pixels(scene: &Scene) -> Result<Pixmap, String> {
    let (width, height) = (scene.width, scene.height);
    let mut pixels =
        Pixmap::new(width, height).ok_or_else(|| format!("{width} × {height} pixels"))?;
    let Colour { red, green, blue } = WHITE;
    pixels.fill(tiny_skia::Color::from_rgba8(red, green, blue, 255));
    for item in &scene.items {
        match item {
            Item::Fill(path, colour) => fill(&mut pixels, builder(path), *colour),
            Item::Cell(area, colour) => cell(&mut pixels, *area, *colour),
            Item::Stroke(path, stroke) => {
                let width = stroke.width as f32;
                let dashes = stroke.dash.pattern();
                let lengths = dashes.iter().map(|part| *part as f32 * width).collect();
                let stroke_style = Stroke {
                    width,
                    line_join: LineJoin::Round,
                    dash: StrokeDash::new(lengths, 0.0),
                    ..Stroke::default()
                };
                if let Some(path) = builder(path).finish() {
                    let identity = Transform::identity();
                    let paint = paint(stroke.colour);
                    pixels.stroke_path(&path, &paint, &stroke_style, identity, None);
                }
            }
            Item::Text(text) => fill(&mut pixels, glyphs(text), text.colour),
        }
    }
    Ok(pixels)
}

fn paint(colour: Colour) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color_rgba8(colour.red, colour.green, colour.blue, 255);
    paint
}

fn fill(pixels: &mut Pixmap, path: PathBuilder, colour: Colour) {
    if let Some(path) = path.finish() {
        let rule = FillRule::Winding;
        pixels.fill_path(&path, &paint(colour), rule, Transform::identity(), None);
    }
}

fn cell(pixels: &mut Pixmap, area: Area, colour: Colour) {
    let [left, top, right, bottom] =
        [area.left, area.top, area.right, area.bottom].map(|edge| edge as f32);
    if let Some(rect) = Rect::from_ltrb(left, top, right, bottom) {
        let hard = Paint {
            anti_alias: false,
            ..paint(colour)
        };
        pixels.fill_rect(rect, &hard, Transform::identity(), None);
    }
}

fn builder(path: &Path) -> PathBuilder {
    let mut out = PathBuilder::new();
    for segment in &path.0 {
        match *segment {
            Segment::Move((x, y)) => out.move_to(x as f32, y as f32),
            Segment::Line((x, y)) => out.line_to(x as f32, y as f32),
            Segment::Cubic(a, b, to) => out.cubic_to(
                a.0 as f32,
                a.1 as f32,
                b.0 as f32,
                b.1 as f32,
                to.0 as f32,
                to.1 as f32,
            ),
            Segment::Close => out.close(),
        }
    }
    out
}

/// Collects the outlines of a text.
fn glyphs(text: &Text) -> PathBuilder {
    let scale = font::scale(text.size) as f32;
    let start = text.anchor.offset(font::width(&text.content, text.size)) as f32;
    let (x, y) = (text.at.0 as f32, text.at.1 as f32);
    let glyphs = font::outline(&text.content, |along| Glyph {
        path: PathBuilder::new(),
        place: move |gx: f32, gy: f32| {
            let (forward, up) = ((along + gx) * scale - start, gy * scale);
            match text.upward {
                false => (x + forward, y - up),
                true => (x - up, y - forward),
            }
        },
    });
    let mut all = PathBuilder::new();
    for path in glyphs.into_iter().filter_map(|glyph| glyph.path.finish()) {
        all.push_path(&path);
    }
    all
}

/// One glyph's outline, moved from font units to its place in the picture.
struct Glyph<F> {
    path: PathBuilder,
    place: F,
}

impl<F: Fn(f32, f32) -> (f32, f32)> OutlineBuilder for Glyph<F> {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = (self.place)(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = (self.place)(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = ((self.place)(x1, y1), (self.place)(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let (a, b, to) = (
            (self.place)(x1, y1),
            (self.place)(x2, y2),
            (self.place)(x, y),
        );
        self.path.cubic_to(a.0, a.1, b.0, b.1, to.0, to.1);
    }

    fn close(&mut self) {
        self.path.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::font::Anchor;
    use crate::palette::{BLUE, INK};

    fn rgb(pixels: &Pixmap, x: u32, y: u32) -> [u8; 3] {
        let pixel = pixels.pixel(x, y).expect("a pixel inside");
        [pixel.red(), pixel.green(), pixel.blue()]
    }

    #[test]
    fn a_cell_covers_exactly_its_pixels() {
        let mut scene = Scene::new(6, 6);
        let area = Area {
            left: 1.6,
            top: 1.0,
            right: 4.4,
            bottom: 3.0,
        };
        scene.cell(area, BLUE);
        let pixels = pixels(&scene).expect("a small picture");
        for y in 0..6 {
            for x in 0..6 {
                let inside = (2..4).contains(&x) && (1..3).contains(&y);
                let expected = if inside { [0x1f, 0x77, 0xb4] } else { [255; 3] };
                assert_eq!(rgb(&pixels, x, y), expected, "({x}, {y})");
            }
        }
    }

    #[test]
    fn text_stands_on_its_baseline_within_its_width() {
        let mut scene = Scene::new(100, 60);
        scene.text("HH", (50.0, 40.0), 20.0, Anchor::Middle, INK);
        let pixels = pixels(&scene).expect("a small picture");
        let half = font::width("HH", 20.0) / 2.0;
        let mut dark = 0;
        for y in 0..60 {
            for x in 0..100 {
                if rgb(&pixels, x, y)[0] < 128 {
                    dark += 1;
                    assert!((f64::from(x) + 0.5 - 50.0).abs() < half, "({x}, {y})");
                    assert!((24..40).contains(&y), "({x}, {y})");
                }
            }
        }
        assert!(dark > 100, "{dark}");
    }

    #[test]
    fn a_picture_without_pixels_is_an_error() {
        assert_eq!(png(&Scene::new(0, 5)), Err("0 × 5 pixels".into()));
    }
}
