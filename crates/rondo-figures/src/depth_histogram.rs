//! The recurrence depths that training drew, and the distribution from which they were drawn.

use crate::axis::Axis;
use crate::error::FigureError;
use crate::frame::REFERENCE;
use crate::grid;
use crate::legend::Legend;
use crate::page::Page;
use crate::palette::{Colour, INK, series};
use crate::panel::Panel;
use crate::picture::Picture;
use crate::sampled::{Bars, Histogram, SampledDepths};
use crate::scene::{Area, Scene, Stroke};
use crate::table::Table;

const NAME: &str = "depth-histogram";
/// If a row of panels would have more bars than this, neighbouring bars are merged.
const MOST_BARS: usize = 192;

/// Draws a panel for each run: the share of steps at each depth as bars, the mean depth as a dashed
/// line, and the distribution as a solid line.
///
/// Its table has the columns `run,depth,steps,share,mass`.
///
/// # Errors
/// [`FigureError::Empty`] without runs, or if a run has no steps; [`FigureError::Range`] for a
/// depth outside 1 to 65536.
pub fn depth_histogram(runs: &[SampledDepths]) -> Result<Picture, FigureError> {
    let histograms = runs
        .iter()
        .map(|run| Histogram::of(NAME, run))
        .collect::<Result<Vec<_>, _>>()?;
    if histograms.is_empty() {
        return Err(FigureError::empty(NAME, "no run is given"));
    }
    let mut caption = vec!["Dashed: the mean of the steps.".to_owned()];
    if runs.iter().any(|run| !run.mass.is_empty()) {
        caption.push("Line: the distribution they are drawn from.".to_owned());
    }
    let columns = grid::columns(runs.len());
    for histogram in &histograms {
        let together = histogram.together(MOST_BARS / columns);
        if together > 1 {
            let name = &histogram.run.name;
            caption.push(format!("A bar is {together} depths in {name}."));
        }
    }
    let title = "Sampled recurrence depths";
    let (mut scene, places) = Page::of_multiples(title, runs.len(), &caption, &Legend::default());
    for (index, (histogram, place)) in histograms.iter().zip(places).enumerate() {
        draw_panel(histogram, &mut scene, place, columns, series(index))?;
    }
    Ok(Picture::new(NAME, scene, table(&histograms)))
}

/// Draws the panel of a run.
fn draw_panel(
    histogram: &Histogram<'_>,
    scene: &mut Scene,
    place: Area,
    columns: usize,
    colour: Colour,
) -> Result<(), FigureError> {
    let together = histogram.together(MOST_BARS / columns);
    let Bars { shares, mass } = histogram.bars(together);
    let heights = shares.iter().chain(&mass).map(|(_, height)| *height);
    let highest = heights.filter(|y| y.is_finite()).fold(0.0, f64::max);
    let last = histogram.last().next_multiple_of(together);
    let x = Axis::counted("Recurrence Depth", 1, last, 24 / columns);
    let y = Axis::linear("Steps (%)", [0.0, 1.06 * highest], 0.0)
        .ok_or_else(|| FigureError::empty(NAME, "no share is finite"))?;
    let panel = Panel::fit(place, x, y).with_heading(&histogram.run.name, histogram.summary());
    panel.draw_grid(scene);
    panel.bars(scene, shares, 0.84 * together as f64, colour);
    panel.line(scene, &mass, Stroke::solid(INK, 2.4));
    panel.upright(scene, histogram.mean(), REFERENCE);
    panel.draw_frame(scene);
    Ok(())
}

fn table(histograms: &[Histogram<'_>]) -> Table {
    let mut table = Table::new("run,depth,steps,share,mass");
    for histogram in histograms {
        let Histogram {
            run, counts, mass, ..
        } = histogram;
        let mut depths: Vec<usize> = counts.keys().chain(mass.keys()).copied().collect();
        depths.sort_unstable();
        depths.dedup();
        for depth in depths {
            let steps = counts.get(&depth).copied().unwrap_or(0);
            let share = steps as f64 / histogram.steps;
            let mass = mass.get(&depth).copied();
            table.row(&[&run.name, &depth, &steps, &share, &mass]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::tests::refused;
    use crate::golden;

    fn run(counts: &[(usize, u64)], mass: &[(usize, f64)]) -> SampledDepths {
        SampledDepths {
            name: "main".into(),
            counts: counts.to_vec(),
            expected_mean: None,
            mass: mass.to_vec(),
        }
    }

    #[test]
    fn steps_are_counted_beside_their_probability() {
        let mut run = run(&[(3, 1), (1, 2), (3, 1)], &[(1, 0.5), (2, 0.25), (3, 0.25)]);
        run.expected_mean = Some(1.75);
        let picture = depth_histogram(&[run]).expect("a picture");
        let expected = "\
run,depth,steps,share,mass
main,1,2,0.5,0.5
main,2,0,0.0,0.25
main,3,2,0.5,0.25
";
        assert_eq!(picture.csv(), expected);
        // The mean is (2 · 1 + 2 · 3) / 4.
        golden::check(NAME, &picture);
    }

    #[test]
    fn a_run_of_one_depth_is_one_bar_and_a_long_tail_is_put_together() {
        let svg = |counts: &[(usize, u64)]| {
            depth_histogram(&[run(counts, &[])])
                .expect("a picture")
                .svg()
        };
        assert!(svg(&[(8, 100)]).contains("steps 100, mean 8"));
        assert!(svg(&[(1, 5), (65_536, 1)]).contains("A bar is 342 depths in main."));
    }

    #[test]
    fn depths_that_no_loop_has_and_runs_without_steps_are_refused() {
        let drawn = |counts| depth_histogram(&[run(counts, &[])]);
        refused(
            drawn(&[(0, 1)]),
            "picture depth-histogram: depth of run `main`: must be 1 to 65536, found 0",
        );
        refused(drawn(&[(4, 0)]), "run `main` has no sampled depths");
        refused(depth_histogram(&[]), "no run is given");
    }
}
