//! The states inside the loop: correlation of tokens, residual and norm of the state by iteration.

use crate::axis::Axis;
use crate::error::FigureError;
use crate::grid;
use crate::legend::{Entry, Legend};
use crate::lines::Line;
use crate::page::Page;
use crate::palette::{Colour, Dash, series};
use crate::panel::Panel;
use crate::picture::Picture;
use crate::scene::{Scene, Stroke};
use crate::table::Table;
use crate::viridis::{BRIGHTEST, viridis};

const NAME: &str = "per-iteration";
const HEIGHT: f64 = 520.0;
const PANELS: usize = 3;
/// The maximum number of steps in the legend. If there are more, only some of them are named.
const MOST_NAMED: usize = 12;

/// The measurements of one training step at iterations 1, 2, …, r. All series have the length r. A
/// number that is not finite makes a gap.
#[derive(Clone, Debug, PartialEq)]
pub struct IterationProfile {
    /// The name of the run.
    pub run: String,
    /// The training step.
    pub step: u64,
    /// The mean correlation between the states of two tokens.
    pub token_corr: Vec<f64>,
    /// The mean over tokens of `‖s_i − s_{i−1}‖`.
    pub residual: Vec<f64>,
    /// The mean over tokens of `‖s_i − s_{i−1}‖ / ‖s_i‖`; empty if it is not known.
    pub rel_residual: Vec<f64>,
    /// The mean over tokens of `‖s_i‖`.
    pub state_norm: Vec<f64>,
}

/// Draws three panels against the iteration, with a line for each profile: token correlation,
/// residual (on a log axis; the relative residual is dashed) and norm of the state. If all
/// profiles are of one run, they are coloured by step, from dark to bright; otherwise each profile
/// has its own colour.
///
/// Its table has the columns `run,step,iteration,token_corr,residual,rel_residual,state_norm`.
///
/// # Errors
/// [`FigureError::Empty`] without profiles, if a profile has no iterations, if no residual is
/// positive, or if no correlation or norm is finite; [`FigureError::Length`] if the series of a
/// profile differ in length.
pub fn per_iteration(profiles: &[IterationProfile]) -> Result<Picture, FigureError> {
    profiles.iter().try_for_each(check)?;
    let Some(last) = profiles.iter().map(|p| p.token_corr.len()).max() else {
        return Err(FigureError::empty(NAME, "no profile is given"));
    };
    let all = |series: fn(&IterationProfile) -> &[f64]| {
        profiles
            .iter()
            .flat_map(move |profile| series(profile).iter().copied())
    };
    let residuals = all(|p| &p.residual).chain(all(|p| &p.rel_residual));
    let correlations = all(|p| &p.token_corr).chain([0.0, 1.0]);
    let no = |what| FigureError::empty(NAME, format!("no {what}"));
    let correlation = Axis::linear("Token Correlation", correlations, 0.04)
        .ok_or_else(|| no("correlation is finite"))?;
    let residual =
        Axis::log("Residual (log)", residuals, 0.06).ok_or_else(|| no("residual is positive"))?;
    let norm = Axis::linear("State Norm", all(|p| &p.state_norm), 0.08)
        .ok_or_else(|| no("state norm is finite"))?;
    let x = Axis::counted("Iteration", 1, last, 10);
    let scene = draw(profiles, &x, [correlation, residual, norm]);
    Ok(Picture::new(NAME, scene, table(profiles)))
}

fn check(profile: &IterationProfile) -> Result<(), FigureError> {
    let IterationProfile { run, step, .. } = profile;
    let iterations = profile.token_corr.len();
    if iterations == 0 {
        let reason = format!("run `{run}` has no iterations at step {step}");
        return Err(FigureError::empty(NAME, reason));
    }
    let relative = profile.rel_residual.len();
    let lengths = [
        ("residual", profile.residual.len()),
        (
            "rel_residual",
            if relative == 0 { iterations } else { relative },
        ),
        ("state_norm", profile.state_norm.len()),
    ];
    match lengths
        .into_iter()
        .find(|(_, length)| *length != iterations)
    {
        None => Ok(()),
        Some((name, found)) => Err(FigureError::Length {
            picture: NAME,
            what: format!("{name} of run `{run}` at step {step}"),
            expected: iterations,
            found,
        }),
    }
}

fn draw(profiles: &[IterationProfile], x: &Axis, axes: [Axis; PANELS]) -> Scene {
    let mut caption = vec!["Residual: ‖s_i − s_(i−1)‖, the mean over tokens.".to_owned()];
    if profiles
        .iter()
        .any(|profile| !profile.rel_residual.is_empty())
    {
        caption.push("Dashed: its share of the state's norm, ‖s_i − s_(i−1)‖ / ‖s_i‖.".to_owned());
    }
    caption.extend(axes.iter().filter_map(Axis::clamp_note));
    let (colours, beside, below) = look(profiles);
    let title = "Within the loop: correlation of tokens, residual and norm of the state";
    let Page { mut scene, body } = Page::new(title, HEIGHT, &caption, &beside, &below);
    let places = grid::places(body, PANELS, PANELS);
    let lines = |series: fn(&IterationProfile) -> &[f64], dash: Dash| {
        let lines = profiles.iter().zip(&colours).map(move |(profile, colour)| {
            let numbers = series(profile).iter().enumerate();
            let values = numbers.map(|(index, value)| ((index + 1) as f64, *value));
            let stroke = Stroke::solid(*colour, 2.6).with_dash(dash);
            Line::plain(values.collect(), stroke)
        });
        lines.collect::<Vec<_>>()
    };
    let mut residuals = lines(|p| &p.residual, Dash::Solid);
    residuals.extend(lines(|p| &p.rel_residual, Dash::Dashed));
    let panels = [
        lines(|p| &p.token_corr, Dash::Solid),
        residuals,
        lines(|p| &p.state_norm, Dash::Solid),
    ];
    for ((place, y), lines) in places.into_iter().zip(axes).zip(panels) {
        Panel::fit(place, x.clone(), y).plot(&mut scene, &lines, &[]);
    }
    scene
}

/// Returns the colour of each profile, and the legends beside and below the panels.
fn look(profiles: &[IterationProfile]) -> (Vec<Colour>, Legend, Legend) {
    let one_run = profiles.windows(2).all(|pair| pair[0].run == pair[1].run);
    let last = profiles.len() - 1;
    let colour = |index: usize| match one_run && last > 0 {
        true => viridis(BRIGHTEST * index as f64 / last as f64),
        false => series(index),
    };
    let colours: Vec<Colour> = (0..=last).map(colour).collect();
    let entry = |index: usize, name: String| Entry::line(name, Stroke::solid(colours[index], 3.0));
    if one_run {
        // The last step is always named; of the steps before it, every second, third, … step is
        // named.
        let stride = profiles.len().div_ceil(MOST_NAMED);
        let named = (0..=last).filter(|index| (last - index).is_multiple_of(stride));
        let entries = named.map(|index| entry(index, profiles[index].step.to_string()));
        let beside = Legend::titled("Step", entries);
        return (colours, beside, Legend::default());
    }
    let entries = profiles
        .iter()
        .enumerate()
        .map(|(index, profile)| entry(index, format!("{}, step {}", profile.run, profile.step)));
    let below = Legend::of(entries);
    (colours, Legend::default(), below)
}

fn table(profiles: &[IterationProfile]) -> Table {
    let series = ["token_corr", "residual", "rel_residual", "state_norm"];
    let mut table = Table::new(&format!("run,step,iteration,{}", series.join(",")));
    for profile in profiles {
        for (index, corr) in profile.token_corr.iter().enumerate() {
            let at = |series: &[f64]| series.get(index).copied();
            table.row(&[
                &profile.run,
                &profile.step,
                &(index + 1),
                corr,
                &at(&profile.residual),
                &at(&profile.rel_residual),
                &at(&profile.state_norm),
            ]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::tests::refused;
    use crate::golden;

    fn profile(run: &str, step: u64) -> IterationProfile {
        IterationProfile {
            run: run.into(),
            step,
            token_corr: vec![0.5, 0.25],
            residual: vec![8.0, 2.0],
            rel_residual: vec![0.5, 0.125],
            state_norm: vec![16.0, f64::NAN],
        }
    }

    #[test]
    fn the_table_has_a_row_for_each_iteration() {
        let picture = per_iteration(&[profile("main", 400)]).expect("a picture");
        let expected = "\
run,step,iteration,token_corr,residual,rel_residual,state_norm
main,400,1,0.5,8.0,0.5,16.0
main,400,2,0.25,2.0,0.125,
";
        assert_eq!(picture.csv(), expected);
        golden::check(NAME, &picture);
    }

    #[test]
    fn steps_of_one_run_go_from_dark_to_bright_and_runs_have_a_colour_each() {
        let svg = |profiles: &[IterationProfile]| per_iteration(profiles).expect("a picture").svg();
        let steps = svg(&[profile("a", 1), profile("a", 400), profile("a", 800)]);
        assert!(steps.contains("#440154") && steps.contains(">800<"));
        let runs = svg(&[profile("a", 1), profile("b", 1)]);
        assert!(runs.contains("#1f77b4") && runs.contains(">b, step 1<"));
    }

    #[test]
    fn many_steps_are_named_in_part_the_last_always() {
        let profiles: Vec<IterationProfile> = (1..=100).map(|step| profile("a", step)).collect();
        let (_, beside, _) = look(&profiles);
        assert!(beside.entries.len() <= MOST_NAMED);
        assert_eq!(beside.entries.last().map(|e| e.name.as_str()), Some("100"));
    }

    #[test]
    fn a_relative_residual_is_optional_and_other_lengths_must_agree() {
        let mut bare = profile("a", 1);
        bare.rel_residual.clear();
        let svg = per_iteration(&[bare]).expect("a picture").svg();
        assert!(!svg.contains("Dashed"));
        let mut short = profile("a", 1);
        short.state_norm.pop();
        refused(
            per_iteration(&[short]),
            "picture per-iteration: state_norm of run `a` at step 1: expected 2, found 1",
        );
    }

    #[test]
    fn nothing_to_draw_is_told() {
        refused(per_iteration(&[]), "no profile is given");
        let mut still = profile("a", 7);
        (still.residual, still.rel_residual) = (vec![0.0; 2], Vec::new());
        refused(per_iteration(&[still]), "no residual is positive");
        let mut bare = profile("a", 7);
        bare.token_corr.clear();
        refused(
            per_iteration(&[bare]),
            "run `a` has no iterations at step 7",
        );
    }
}
