//! The look of recurrence depths. Each depth has a line style, the same in every picture. In
//! pictures whose colours do not stand for runs, each depth also has a colour.

use crate::legend::{Entry, Legend};
use crate::palette::{Colour, Dash, INK, SERIES, series};
use crate::runs::RunLog;
use crate::scene::Stroke;
use crate::viridis::{BRIGHTEST, viridis};

const TITLE: &str = "Recurrence";
const WIDTH: f64 = 3.0;

/// The recurrence depths of a picture, in ascending order, each once.
#[derive(Clone, Debug)]
pub(crate) struct Depths(Vec<usize>);

impl Depths {
    /// Collects depths, which may come in any order.
    pub(crate) fn of(depths: impl IntoIterator<Item = usize>) -> Self {
        let mut depths: Vec<usize> = depths.into_iter().collect();
        depths.sort_unstable();
        depths.dedup();
        Self(depths)
    }

    /// Collects the depths at which runs were evaluated.
    pub(crate) fn of_runs(runs: &[RunLog]) -> Self {
        let logs = runs.iter().flat_map(|run| &run.val_perplexity);
        Self::of(logs.map(|log| log.depth))
    }

    /// Returns the depths.
    pub(crate) fn as_slice(&self) -> &[usize] {
        &self.0
    }

    /// Returns the look of a depth in a picture whose colours stand for depths.
    pub(crate) fn stroke(&self, depth: usize) -> Stroke {
        let index = self.0.partition_point(|other| *other < depth);
        let last = self.0.len().saturating_sub(1);
        let colour: Colour = match self.0.len() <= SERIES.len() {
            true => series(index),
            false => viridis(BRIGHTEST * index as f64 / last as f64),
        };
        Stroke::solid(colour, WIDTH).with_dash(Dash::of_depth(depth))
    }

    /// Returns the legend of the depths' colours.
    pub(crate) fn legend(&self) -> Legend {
        let entry = |depth: &usize| Entry::line(depth.to_string(), self.stroke(*depth));
        Legend::titled(TITLE, self.0.iter().map(entry))
    }

    /// Returns the legend of the depths' line styles, for a picture whose colours stand for runs.
    /// Depths with the same style share a row.
    pub(crate) fn styles(&self) -> Legend {
        let alike = |a: &usize, b: &usize| Dash::of_depth(*a) == Dash::of_depth(*b);
        let entry = |depths: &[usize]| {
            let name = match depths {
                [first, .., last] if depths.len() > 2 => format!("{first}–{last}"),
                few => few
                    .iter()
                    .map(usize::to_string)
                    .collect::<Vec<_>>()
                    .join(", "),
            };
            let dash = depths
                .first()
                .map_or(Dash::Solid, |depth| Dash::of_depth(*depth));
            Entry::line(name, Stroke::solid(INK, WIDTH).with_dash(dash))
        };
        Legend::titled(TITLE, self.0.chunk_by(alike).map(entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(legend: &Legend) -> Vec<&str> {
        legend
            .entries
            .iter()
            .map(|entry| entry.name.as_str())
            .collect()
    }

    #[test]
    fn depths_are_sorted_and_each_is_named_once() {
        let depths = Depths::of([16, 1, 4, 16, 1]);
        assert_eq!(names(&depths.legend()), ["1", "4", "16"]);
        assert_eq!(depths.stroke(4).colour, series(1));
    }

    #[test]
    fn depths_of_one_style_share_a_row() {
        let depths = Depths::of([1, 2, 4, 8, 9, 10, 64]);
        assert_eq!(names(&depths.styles()), ["1, 2", "4", "8–10", "64"]);
    }

    #[test]
    fn many_depths_have_colours_of_their_own() {
        let depths = Depths::of(1..=64);
        for depth in 2..=64 {
            assert_ne!(depths.stroke(depth).colour, depths.stroke(depth - 1).colour);
        }
    }
}
