//! Axes, lines and colours of the pictures that show learning-rate schedules.

use crate::axis::Axis;
use crate::error::FigureError;
use crate::legend::Entry;
use crate::lines::Line;
use crate::palette::{Colour, SERIES};
use crate::scene::Stroke;
use crate::viridis::{BRIGHTEST, viridis};

/// The width of the line of a run, in pixels.
pub(crate) const WIDTH: f64 = 2.2;

/// A run with a learning rate at each of its steps.
pub(crate) trait Rated {
    /// Returns the name of the run.
    fn name(&self) -> &str;

    /// Returns pairs of step and learning rate, in ascending order of steps.
    fn rates(&self) -> impl Iterator<Item = (u64, f64)>;

    /// Returns the learning rate summed over all steps.
    fn rate_sum(&self) -> f64;
}

/// Returns the axes of steps and of learning rates, both linear and including zero.
///
/// # Errors
/// [`FigureError::Empty`] without runs, or if a run has no rate that is finite.
pub(crate) fn axes<R: Rated>(
    picture: &'static str,
    runs: &[R],
) -> Result<(Axis, Axis), FigureError> {
    for run in runs {
        if !run.rates().any(|(_, rate)| rate.is_finite()) {
            let reason = format!("run `{}` has no learning rate that is finite", run.name());
            return Err(FigureError::empty(picture, reason));
        }
    }
    let rates = || runs.iter().flat_map(Rated::rates);
    let steps = rates().map(|(step, _)| step as f64);
    let step = Axis::linear("Step", steps.chain([0.0]), 0.0);
    let rate = rates().map(|(_, rate)| rate).chain([0.0]);
    let rate = Axis::linear("Learning Rate", rate, 0.03);
    match (step, rate, runs) {
        (Some(step), Some(rate), [_, ..]) => Ok((step, rate)),
        _ => Err(FigureError::empty(picture, "no run is given")),
    }
}

/// Returns the line of learning rates of each run.
pub(crate) fn lines(runs: &[impl Rated], colours: &[Colour]) -> Vec<Line> {
    let lines = runs.iter().zip(colours).map(|(run, colour)| {
        let values = run.rates().map(|(step, rate)| (step as f64, rate));
        Line::plain(values.collect(), Stroke::solid(*colour, WIDTH))
    });
    lines.collect()
}

/// Returns the colour of each run. Up to nine runs have their own colours; more runs are coloured
/// by their summed learning rates.
pub(crate) fn colours(runs: &[impl Rated]) -> Vec<Colour> {
    if few(runs) {
        return SERIES[..runs.len()].to_vec();
    }
    let sums = || runs.iter().map(Rated::rate_sum);
    let finite = || sums().filter(|sum| sum.is_finite());
    let low = finite().fold(f64::INFINITY, f64::min);
    let high = finite().fold(f64::NEG_INFINITY, f64::max);
    let span = if high > low { high - low } else { 1.0 };
    sums()
        .map(|sum| match sum.is_finite() {
            true => viridis(BRIGHTEST * (sum - low) / span),
            false => SERIES[SERIES.len() - 1],
        })
        .collect()
}

/// Returns the legend entries of runs. There are no entries if the runs are coloured by their
/// summed learning rates.
pub(crate) fn named(runs: &[impl Rated], colours: &[Colour]) -> impl Iterator<Item = Entry> {
    let named = runs.iter().zip(colours).filter(|_| few(runs));
    named.map(|(run, colour)| Entry::line(run.name().to_owned(), Stroke::solid(*colour, 3.0)))
}

/// Returns the caption's sentence about colours, if they stand for summed learning rates.
pub(crate) fn colours_note(runs: &[impl Rated]) -> Option<String> {
    let note =
        "A run has one colour in all panels: the brighter, the larger its summed learning rate.";
    (!few(runs)).then(|| note.to_owned())
}

/// Returns whether there are few enough runs for each to have its own colour.
fn few(runs: &[impl Rated]) -> bool {
    runs.len() <= SERIES.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run whose summed learning rate is the only number that matters.
    struct Sum(f64);

    impl Rated for Sum {
        fn name(&self) -> &'static str {
            "sum"
        }

        fn rates(&self) -> impl Iterator<Item = (u64, f64)> {
            [(1, 0.0), (4, self.0), (8, f64::NAN)].into_iter()
        }

        fn rate_sum(&self) -> f64 {
            self.0
        }
    }

    #[test]
    fn axes_begin_at_zero_and_end_at_the_last_step_and_above_the_highest_rate() {
        let (step, rate) = axes("p", &[Sum(0.5), Sum(1.0)]).expect("axes");
        assert_eq!((step.share(0.0), step.share(8.0)), (Some(0.0), Some(1.0)));
        let margin = 0.03 / 1.06;
        for (value, share) in [(0.0, margin), (1.0, 1.0 - margin)] {
            assert!((rate.share(value).expect("finite") - share).abs() < 1e-12);
        }
    }

    #[test]
    fn nine_runs_have_colours_and_names_and_more_are_coloured_by_their_sums() {
        let few: Vec<Sum> = (0..9).map(|i| Sum(f64::from(i))).collect();
        assert_eq!(colours(&few), SERIES);
        assert_eq!(named(&few, &SERIES).count(), 9);
        assert_eq!(colours_note(&few), None);
        let sums = (0..9).rev().map(f64::from).chain([f64::NAN]);
        let many: Vec<Sum> = sums.map(Sum).collect();
        let coloured = colours(&many);
        assert_eq!(coloured[8], viridis(0.0));
        assert_eq!(coloured[4], viridis(BRIGHTEST / 2.0));
        assert_eq!(coloured[0], viridis(BRIGHTEST));
        assert_eq!(coloured[9], SERIES[8], "a sum that is not finite");
        assert_eq!(named(&many, &coloured).count(), 0);
        assert!(colours_note(&many).is_some());
    }
}
