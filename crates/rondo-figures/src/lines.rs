//! Lines in a panel: a missing value interrupts a line, and lines with many more points than pixels
//! are decimated.

use crate::decimate::decimated;
use crate::marker::Marker;
use crate::panel::Panel;
use crate::scene::{Path, Point, Scene, Stroke};

/// The radius of the marks on a line, in pixels.
const MARK: f64 = 5.5;
/// A line with more points than this has no marks.
const MOST_MARKS: usize = 32;

/// The values of one series, and their look.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Pairs of x and y, in the order in which they are joined. A pair that is not finite makes a
    /// gap.
    pub(crate) values: Vec<(f64, f64)>,
    pub(crate) stroke: Stroke,
    /// The mark at each value.
    pub(crate) marker: Option<Marker>,
}

impl Line {
    /// Joins values without marks.
    pub(crate) fn plain(values: Vec<(f64, f64)>, stroke: Stroke) -> Self {
        Self {
            values,
            stroke,
            marker: None,
        }
    }

    /// Joins values, and marks each with a circle unless there are too many.
    pub(crate) fn marked(values: Vec<(f64, f64)>, stroke: Stroke) -> Self {
        let marker = (values.len() <= MOST_MARKS).then_some(Marker::Circle);
        Self {
            values,
            stroke,
            marker,
        }
    }
}

impl Panel {
    /// Draws in this order: grid, dashed lines at the y values `levels`, lines, marks and frame.
    pub(crate) fn plot(&self, scene: &mut Scene, lines: &[Line], levels: &[f64]) {
        self.draw_grid(scene);
        for level in levels {
            self.level(scene, *level);
        }
        for line in lines {
            self.line(scene, &line.values, line.stroke);
        }
        for line in lines {
            let points = line.values.iter().filter_map(|(x, y)| self.point(*x, *y));
            // A line cannot show a single point, so a single point always has a mark.
            let alone = (points.clone().take(2).count() == 1).then_some(Marker::Circle);
            let Some(marker) = line.marker.or(alone) else {
                continue;
            };
            for at in points {
                marker.draw(scene, at, MARK, line.stroke.colour);
            }
        }
        self.draw_frame(scene);
    }

    /// Joins points by a line; a value that is not finite interrupts the line. A single point
    /// between two gaps is drawn as a dot.
    pub(crate) fn line(&self, scene: &mut Scene, values: &[(f64, f64)], stroke: Stroke) {
        let places: Vec<Option<Point>> = values.iter().map(|(x, y)| self.point(*x, *y)).collect();
        for piece in decimated(places).split(Option::is_none) {
            let points: Vec<Point> = piece.iter().copied().flatten().collect();
            match points.as_slice() {
                [] => {}
                [single] => scene.fill(Path::Circle(*single, 1.5 * stroke.width), stroke.colour),
                points => scene.stroke(Path::line(points), stroke),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::palette::BLUE;
    use crate::panel::tests::panel;
    use crate::scene::Item;

    #[test]
    fn a_missing_value_interrupts_a_line() {
        let nan = f64::NAN;
        let values = [
            (0.0, 1.0),
            (1.0, 2.0),
            (2.0, nan),
            (3.0, 1.0),
            (nan, 1.0),
            (5.0, 1.0),
            (6.0, 1.0),
        ];
        let mut scene = Scene::new(800, 600);
        panel().line(&mut scene, &values, Stroke::solid(BLUE, 2.0));
        let kinds: Vec<bool> = scene
            .items
            .iter()
            .map(|item| matches!(item, Item::Stroke(..)))
            .collect();
        assert_eq!(kinds, [true, false, true], "line, dot, line");
    }

    #[test]
    fn few_values_are_marked_and_many_are_not() {
        let line = |count| Line::marked(vec![(0.0, 0.0); count], Stroke::solid(BLUE, 2.0));
        assert_eq!(line(MOST_MARKS).marker, Some(Marker::Circle));
        assert_eq!(line(MOST_MARKS + 1).marker, None);
    }

    #[test]
    fn a_value_alone_is_marked() {
        let items = |values: &[(f64, f64)]| {
            let mut scene = Scene::new(800, 600);
            let line = Line::plain(values.to_vec(), Stroke::solid(BLUE, 2.0));
            panel().plot(&mut scene, &[line], &[]);
            let blue = |item: &&Item| matches!(item, Item::Fill(_, BLUE));
            scene.items.iter().filter(blue).count()
        };
        // The dot of a single point, and its mark.
        assert_eq!(items(&[(1.0, f64::NAN), (5.0, 5.0)]), 2);
        assert_eq!(items(&[(1.0, 1.0), (5.0, 5.0)]), 0);
    }
}
