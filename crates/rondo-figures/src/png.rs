//! Draws an SVG as PNG: `resvg` draws it with the embedded font, and uses no other font.

use std::sync::LazyLock;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

use crate::font;

static OPTIONS: LazyLock<Options<'static>> = LazyLock::new(|| {
    let mut options = Options::default();
    options.fontdb_mut().load_font_data(font::DATA.to_vec());
    options
});

/// Returns an SVG of this size as the bytes of a PNG file.
///
/// # Errors
/// The message of the renderer, if it cannot make a picture of this size or cannot read the SVG.
pub(crate) fn file(svg: &str, width: u32, height: u32) -> Result<Vec<u8>, String> {
    let mut pixels =
        Pixmap::new(width, height).ok_or_else(|| format!("{width} × {height} pixels"))?;
    let tree = Tree::from_str(svg, &OPTIONS).map_err(|error| error.to_string())?;
    resvg::render(&tree, Transform::identity(), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use resvg::usvg::Node;

    use super::*;
    use crate::font::Anchor;
    use crate::palette::{BLUE, INK};
    use crate::scene::{Area, Scene};
    use crate::svg;

    fn pixels(scene: &Scene) -> Pixmap {
        let file = file(&svg::document(scene), scene.width, scene.height);
        Pixmap::decode_png(&file.expect("a file")).expect("pixels")
    }

    fn rgb(pixels: &Pixmap, x: u32, y: u32) -> [u8; 3] {
        let pixel = pixels.pixel(x, y).expect("a pixel inside");
        assert_eq!(pixel.alpha(), 255);
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
        let pixels = pixels(&scene);
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
        let pixels = pixels(&scene);
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
    fn text_is_as_wide_as_the_layout_takes_it_to_be() {
        let texts = ["AVATAR To Ty", "office fl ffi", "‖s_i − s_N‖ µ τ", "10⁻⁵ …"];
        let mut scene = Scene::new(400, 200);
        for (text, y) in texts.iter().zip(1..) {
            let at = (10.0, 40.0 * f64::from(y));
            scene.text(text, at, 24.0, Anchor::Start, INK);
        }
        let tree = Tree::from_str(&svg::document(&scene), &OPTIONS).expect("a document");
        let widths = tree.root().children().iter().filter_map(|node| match node {
            Node::Text(text) => Some(f64::from(text.bounding_box().width())),
            _ => None,
        });
        let widths: Vec<f64> = widths.collect();
        assert_eq!(widths.len(), texts.len());
        for (text, found) in texts.iter().zip(widths) {
            let expected = font::width(text, 24.0);
            assert!(
                (found - expected).abs() < 0.01,
                "{text}: {found} {expected}"
            );
        }
    }

    #[test]
    fn a_picture_without_pixels_is_an_error() {
        assert_eq!(file("", 0, 5), Err("0 × 5 pixels".into()));
    }
}
