//! Marks at the points of a series. Series differ in the shape of their marks as well as in colour.

use crate::palette::{Colour, WHITE};
use crate::scene::{Area, Path, Point, Scene, Stroke};

/// The shape of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    Circle,
    Square,
    Diamond,
    Triangle,
    TriangleDown,
    Cross,
    Plus,
}

/// The shapes of series. Circles are not among them: they mark the line with which the series are
/// compared.
const SERIES: [Marker; 6] = [
    Marker::Square,
    Marker::Diamond,
    Marker::Triangle,
    Marker::TriangleDown,
    Marker::Cross,
    Marker::Plus,
];

impl Marker {
    /// Returns the shape of series number `index`, counted from 0; the six shapes repeat.
    pub(crate) fn series(index: usize) -> Self {
        SERIES[index % SERIES.len()]
    }

    /// Draws the mark with a thin white edge, so that marks on top of each other stay apart.
    pub(crate) fn draw(self, scene: &mut Scene, at: Point, radius: f64, colour: Colour) {
        let path = self.outline(at, radius);
        scene.stroke(path.clone(), Stroke::solid(WHITE, 3.0));
        scene.fill(path, colour);
    }

    fn outline(self, (x, y): Point, r: f64) -> Path {
        let around = |offsets: &[Point]| {
            let points = offsets.iter().map(|(dx, dy)| (x + dx * r, y + dy * r));
            Path::Polygon(points.collect())
        };
        // Half the width of the bars of a cross, as a share of the radius.
        let w = 0.36;
        let plus = [
            (-w, -1.1),
            (w, -1.1),
            (w, -w),
            (1.1, -w),
            (1.1, w),
            (w, w),
            (w, 1.1),
            (-w, 1.1),
            (-w, w),
            (-1.1, w),
            (-1.1, -w),
            (-w, -w),
        ];
        match self {
            Self::Circle => Path::Circle((x, y), r),
            Self::Square => {
                let half = 0.9 * r;
                Path::rectangle(Area {
                    left: x - half,
                    top: y - half,
                    right: x + half,
                    bottom: y + half,
                })
            }
            Self::Diamond => around(&[(0.0, -1.3), (1.1, 0.0), (0.0, 1.3), (-1.1, 0.0)]),
            Self::Triangle => around(&[(0.0, -1.2), (1.15, 0.8), (-1.15, 0.8)]),
            Self::TriangleDown => around(&[(0.0, 1.2), (1.15, -0.8), (-1.15, -0.8)]),
            Self::Plus => around(&plus),
            Self::Cross => {
                let turn = std::f64::consts::FRAC_1_SQRT_2;
                around(&plus.map(|(dx, dy)| (turn * (dx - dy), turn * (dx + dy))))
            }
        }
    }
}
