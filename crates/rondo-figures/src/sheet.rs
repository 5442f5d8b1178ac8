//! The layout of a picture: a title, a body, and a caption below it.

use crate::font::{self, Anchor};
use crate::palette::{INK, SOFT_INK};
use crate::scene::{Area, Scene};

/// Width of every picture in pixels.
pub(crate) const WIDTH: f64 = 1600.0;
const MARGIN: f64 = 36.0;
const TITLE_SIZE: f64 = 29.0;
const CAPTION_SIZE: f64 = 20.0;
const CAPTION_LINE: f64 = 28.0;

/// A scene with title and caption, and the area of its body.
pub(crate) struct Sheet {
    pub(crate) scene: Scene,
    pub(crate) body: Area,
}

impl Sheet {
    /// Returns the width of a body.
    pub(crate) fn width() -> f64 {
        WIDTH - 2.0 * MARGIN
    }

    /// Lays out a page whose body is `height` pixels high. The sentences of the caption are joined
    /// and broken into lines.
    pub(crate) fn new(title: &str, height: f64, caption: &[String]) -> Self {
        let top = MARGIN + TITLE_SIZE + 22.0;
        let lines = font::wrapped(
            &font::drawable(&caption.join(" ")),
            CAPTION_SIZE,
            Self::width(),
        );
        let below = match lines.len() {
            0 => 0.0,
            count => 14.0 + CAPTION_LINE * count as f64,
        };
        let total = top + height + below + MARGIN * 0.8;
        let mut scene = Scene::new(WIDTH as u32, total.ceil() as u32);
        let baseline = MARGIN + 0.75 * TITLE_SIZE;
        scene.text(title, (MARGIN, baseline), TITLE_SIZE, Anchor::Start, INK);
        for (index, line) in lines.iter().enumerate() {
            let baseline = top + height + 14.0 + CAPTION_LINE * (index as f64 + 0.75);
            scene.text(
                line,
                (MARGIN, baseline),
                CAPTION_SIZE,
                Anchor::Start,
                SOFT_INK,
            );
        }
        let body = Area {
            left: MARGIN,
            top,
            right: WIDTH - MARGIN,
            bottom: top + height,
        };
        Self { scene, body }
    }
}
