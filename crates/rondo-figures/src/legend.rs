//! Legends of lines and marks. They are outside the panels, so they never hide data.

use crate::font::{self, Anchor, HALF_DIGIT};
use crate::marker::Marker;
use crate::palette::{Colour, INK};
use crate::panel::LABEL_SIZE;
use crate::scene::{Area, Path, Point, Scene, Stroke};

/// The height of a row, in pixels.
const ROW: f64 = 37.0;
const SAMPLE: f64 = 56.0;
const RADIUS: f64 = 8.0;
/// The distance from a sample to its name, in pixels.
const BESIDE: f64 = 12.0;
/// The distance between the entries of a row, in pixels.
const BETWEEN: f64 = 40.0;
/// The maximum number of characters of a name. Longer names are cut.
const LONGEST: usize = 28;

/// A name with the line or mark that it explains.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) line: Option<Stroke>,
    pub(crate) mark: Option<(Marker, Colour)>,
}

impl Entry {
    /// Makes an entry for a line without marks.
    pub(crate) fn line(name: String, stroke: Stroke) -> Self {
        Self {
            name,
            line: Some(stroke),
            mark: None,
        }
    }

    /// Makes an entry for marks that are not joined by a line.
    pub(crate) fn mark(name: String, marker: Marker, colour: Colour) -> Self {
        Self {
            name,
            line: None,
            mark: Some((marker, colour)),
        }
    }

    fn text(&self) -> String {
        font::shortened_inside(&font::drawable(&self.name), LONGEST)
    }

    fn width(&self) -> f64 {
        SAMPLE + BESIDE + font::width(&self.text(), LABEL_SIZE)
    }

    fn draw(&self, scene: &mut Scene, (left, middle): Point) {
        if let Some(stroke) = self.line {
            let sample = Path::line(&[(left, middle), (left + SAMPLE, middle)]);
            scene.stroke(sample, stroke);
        }
        if let Some((marker, colour)) = self.mark {
            marker.draw(scene, (left + SAMPLE / 2.0, middle), RADIUS, colour);
        }
        let at = (left + SAMPLE + BESIDE, middle + HALF_DIGIT * LABEL_SIZE);
        scene.text(&self.text(), at, LABEL_SIZE, Anchor::Start, INK);
    }
}

/// Entries under a title.
#[derive(Clone, Debug, Default)]
pub(crate) struct Legend {
    pub(crate) title: Option<&'static str>,
    pub(crate) entries: Vec<Entry>,
}

impl Legend {
    /// Makes a legend without a title.
    pub(crate) fn of(entries: impl IntoIterator<Item = Entry>) -> Self {
        Self {
            title: None,
            entries: entries.into_iter().collect(),
        }
    }

    /// Makes a legend of runs without a title. It is empty for a single run, which needs no legend.
    pub(crate) fn of_several(entries: impl IntoIterator<Item = Entry>) -> Self {
        let legend = Self::of(entries);
        match legend.entries.len() {
            1 => Self::default(),
            _ => legend,
        }
    }

    /// Makes a legend with a title.
    pub(crate) fn titled(title: &'static str, entries: impl IntoIterator<Item = Entry>) -> Self {
        Self {
            title: Some(title),
            ..Self::of(entries)
        }
    }

    /// Returns the width of the legend as a column.
    pub(crate) fn width(&self) -> f64 {
        let title = self
            .title
            .map_or(0.0, |title| font::width(title, LABEL_SIZE));
        self.entries.iter().map(Entry::width).fold(title, f64::max)
    }

    /// Returns the height of the legend as a column.
    pub(crate) fn height(&self) -> f64 {
        ROW * (self.entries.len() + usize::from(self.title.is_some())) as f64
    }

    /// Draws the entries one below the other; the top left corner is at `(left, top)`.
    pub(crate) fn draw_column(&self, scene: &mut Scene, (left, top): Point) {
        let mut middle = top + 0.5 * ROW;
        if let Some(title) = self.title {
            let at = (left, middle + HALF_DIGIT * LABEL_SIZE);
            scene.text(title, at, LABEL_SIZE, Anchor::Start, INK);
            middle += ROW;
        }
        for entry in &self.entries {
            entry.draw(scene, (left, middle));
            middle += ROW;
        }
    }

    /// Returns the height of the legend as rows of at most this width.
    pub(crate) fn height_across(&self, width: f64) -> f64 {
        ROW * self.rows(width).len() as f64
    }

    /// Draws the entries side by side, in centred rows from the top of `area`.
    pub(crate) fn draw_across(&self, scene: &mut Scene, area: Area) {
        let centre = f64::midpoint(area.left, area.right);
        for (index, row) in self.rows(area.width()).into_iter().enumerate() {
            let middle = area.top + ROW * (index as f64 + 0.5);
            let mut left = centre - across(row) / 2.0;
            for entry in row {
                entry.draw(scene, (left, middle));
                left += entry.width() + BETWEEN;
            }
        }
    }

    /// Breaks the entries into rows of at most this width. A wider entry has its own row.
    fn rows(&self, width: f64) -> Vec<&[Entry]> {
        let mut rows = Vec::new();
        let mut rest = self.entries.as_slice();
        while !rest.is_empty() {
            let fitting = (1..=rest.len())
                .rev()
                .find(|n| across(&rest[..*n]) <= width);
            let (row, others) = rest.split_at(fitting.unwrap_or(1));
            rows.push(row);
            rest = others;
        }
        rows
    }
}

/// Returns the width of entries side by side.
fn across(entries: &[Entry]) -> f64 {
    let widths: f64 = entries.iter().map(Entry::width).sum();
    widths + BETWEEN * entries.len().saturating_sub(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::palette::BLUE;
    use crate::scene::Item;

    fn legend(names: &[&str]) -> Legend {
        Legend::of(
            names
                .iter()
                .map(|name| Entry::line((*name).to_owned(), Stroke::solid(BLUE, 2.0))),
        )
    }

    #[test]
    fn entries_that_do_not_fit_begin_a_new_row() {
        let legend = legend(&["one", "two", "six"]);
        let all = across(&legend.entries);
        assert!((legend.height_across(all + 1.0) - ROW).abs() < 1e-9);
        assert!((legend.height_across(all - 1.0) - 2.0 * ROW).abs() < 1e-9);
        assert!((legend.height_across(1.0) - 3.0 * ROW).abs() < 1e-9);
    }

    #[test]
    fn a_row_stands_in_the_middle() {
        let legend = legend(&["one"]);
        let mut scene = Scene::new(800, 40);
        let area = Area {
            left: 0.0,
            top: 0.0,
            right: 800.0,
            bottom: 40.0,
        };
        legend.draw_across(&mut scene, area);
        let expected = Path::line(&[
            (400.0 - legend.width() / 2.0, ROW / 2.0),
            (400.0 - legend.width() / 2.0 + SAMPLE, ROW / 2.0),
        ]);
        assert!(matches!(&scene.items[0], Item::Stroke(path, _) if *path == expected));
    }

    #[test]
    fn two_long_names_that_differ_at_their_ends_stay_apart() {
        let text = |seed| {
            legend(&[&format!(
                "a-long-name-of-a-sweep-of-learning-rates-seed-{seed}"
            )])
            .entries[0]
                .text()
        };
        assert_eq!(text(1).chars().count(), LONGEST);
        assert_ne!(text(1), text(2));
    }
}
