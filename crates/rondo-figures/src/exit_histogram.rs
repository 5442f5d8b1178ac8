//! The iterations at which tokens left the loop: a histogram for each criterion, on common axes.

use crate::axis::Axis;
use crate::error::FigureError;
use crate::exits::ExitSeries;
use crate::frame::REFERENCE;
use crate::grid;
use crate::legend::Legend;
use crate::page::{Page, same_axes};
use crate::palette::series;
use crate::panel::Panel;
use crate::picture::Picture;
use crate::scene::Scene;
use crate::table::Table;
use crate::ticks::number;

const NAME: &str = "exit-histogram";
/// The largest iteration that is accepted. With more iterations, bars would be thinner than a
/// pixel.
const LONGEST: usize = 1024;

/// Draws two things for each criterion: the share of tokens that left at each iteration, and the
/// mean iteration.
///
/// Its table has the columns `criterion,iteration,tokens,share`.
///
/// # Errors
/// [`FigureError::Empty`] without criteria, or if a criterion has no tokens;
/// [`FigureError::Range`] if an exit is outside 1 to 1024.
pub fn exit_histogram(criteria: &[ExitSeries<'_>]) -> Result<Picture, FigureError> {
    if criteria.is_empty() {
        return Err(FigureError::empty(NAME, "no criterion is given"));
    }
    let histograms = criteria
        .iter()
        .map(Histogram::of)
        .collect::<Result<Vec<_>, _>>()?;
    let last = histograms.iter().map(|h| h.counts.len()).max().unwrap_or(1);
    let mut table = Table::new("criterion,iteration,tokens,share");
    for histogram in &histograms {
        for iteration in 1..=last {
            let (count, share) = (histogram.count(iteration), histogram.share(iteration));
            table.row(&[&histogram.name, &iteration, &count, &share]);
        }
    }
    Ok(Picture::new(NAME, draw(&histograms, last), table))
}

/// The number of tokens that left at each iteration.
struct Histogram<'a> {
    name: &'a str,
    /// `counts[i]` is the number of tokens that left at iteration i + 1.
    counts: Vec<usize>,
    tokens: usize,
}

impl<'a> Histogram<'a> {
    fn of(series: &ExitSeries<'a>) -> Result<Self, FigureError> {
        let mut counts = Vec::new();
        for (token, &exit) in series.exits.iter().enumerate() {
            if !(1..=LONGEST).contains(&exit) {
                let what = format!("exit of token {token} by `{}`", series.name);
                let allowed = format!("1 to {LONGEST}");
                return Err(FigureError::range(NAME, what, allowed, &exit));
            }
            counts.resize(exit.max(counts.len()), 0);
            counts[exit - 1] += 1;
        }
        if series.exits.is_empty() {
            let reason = format!("criterion `{}` has no tokens", series.name);
            return Err(FigureError::empty(NAME, reason));
        }
        Ok(Self {
            name: series.name,
            counts,
            tokens: series.exits.len(),
        })
    }

    fn count(&self, iteration: usize) -> usize {
        self.counts.get(iteration - 1).copied().unwrap_or(0)
    }

    fn share(&self, iteration: usize) -> f64 {
        self.count(iteration) as f64 / self.tokens as f64
    }

    fn mean(&self) -> f64 {
        let iterations = 1..=self.counts.len();
        let sum: usize = iterations.map(|i| i * self.count(i)).sum();
        sum as f64 / self.tokens as f64
    }
}

fn draw(histograms: &[Histogram<'_>], last: usize) -> Scene {
    let panels = histograms.len();
    let mut caption = vec!["The dashed line is the mean.".to_owned()];
    caption.extend(same_axes(panels));
    let title = "Where adaptive exit leaves the loop";
    let (mut scene, places) = Page::of_multiples(title, panels, &caption, &Legend::default());
    let shares = histograms
        .iter()
        .flat_map(|histogram| (1..=last).map(|iteration| histogram.share(iteration)));
    let highest = 106.0 * shares.fold(0.0, f64::max);
    for (index, (histogram, place)) in histograms.iter().zip(places).enumerate() {
        let x = Axis::counted("exit iteration", 1, last, 24 / grid::columns(panels));
        let Some(y) = Axis::linear("tokens (%)", [0.0, highest], 0.0) else {
            continue;
        };
        let mean = histogram.mean();
        let panel =
            Panel::fit(place, x, y).with_heading(histogram.name, format!("mean {}", number(mean)));
        let bars = (1..=histogram.counts.len())
            .map(|iteration| (iteration as f64, 100.0 * histogram.share(iteration)));
        panel.draw_grid(&mut scene);
        panel.bars(&mut scene, bars, 0.84, series(index + 1));
        panel.upright(&mut scene, mean, REFERENCE);
        panel.draw_frame(&mut scene);
    }
    scene
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::tests::refused;
    use crate::golden;

    #[test]
    fn tokens_are_counted_per_iteration() {
        let criteria = [
            ExitSeries {
                name: "kl",
                exits: &[1, 3, 3, 3],
            },
            ExitSeries {
                name: "cosine",
                exits: &[2, 4],
            },
        ];
        let picture = exit_histogram(&criteria).expect("a picture");
        let expected = "\
criterion,iteration,tokens,share
kl,1,1,0.25
kl,2,0,0.0
kl,3,3,0.75
kl,4,0,0.0
cosine,1,0,0.0
cosine,2,1,0.5
cosine,3,0,0.0
cosine,4,1,0.5
";
        assert_eq!(picture.csv(), expected);
        // The means are (1 + 3 + 3 + 3) / 4 and (2 + 4) / 2.
        golden::check(NAME, &picture);
    }

    #[test]
    fn exits_before_the_first_iteration_and_empty_series_are_refused() {
        let drawn = |exits| exit_histogram(&[ExitSeries { name: "kl", exits }]);
        refused(
            drawn(&[1, 0]),
            "picture exit-histogram: exit of token 1 by `kl`: must be 1 to 1024, found 0",
        );
        refused(
            drawn(&[]),
            "picture exit-histogram: nothing to draw: criterion `kl` has no tokens",
        );
        refused(exit_histogram(&[]), "no criterion is given");
    }
}
