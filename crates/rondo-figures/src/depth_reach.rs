//! Accuracy by position on a task whose difficulty is depth: how far each recurrence depth reaches.

use crate::axis::Axis;
use crate::depths::Depths;
use crate::error::FigureError;
use crate::grid;
use crate::lines::Line;
use crate::page::{Page, same_axes};
use crate::panel::Panel;
use crate::picture::Picture;
use crate::table::Table;

const NAME: &str = "depth-reach";

/// Accuracy at one recurrence depth.
#[derive(Clone, Debug, PartialEq)]
pub struct DepthAccuracy {
    /// The number of iterations of the core block.
    pub depth: usize,
    /// The fraction of right answers at positions 0, 1, …. A position without an answer has a
    /// number that is not finite, which makes a gap.
    pub by_position: Vec<f64>,
}

/// The accuracy of one model at each depth and position.
#[derive(Clone, Debug, PartialEq)]
pub struct DepthReach {
    /// The name of the model.
    pub name: String,
    /// The evaluations of the model, one for each recurrence depth.
    pub depths: Vec<DepthAccuracy>,
    /// The accuracy of guessing, if it is known.
    pub chance: Option<f64>,
}

/// Draws a panel for each model: accuracy against position, a line for each recurrence depth, and
/// the chance level as a dashed line.
///
/// Its table has the columns `run,depth,position,accuracy,chance`.
///
/// # Errors
/// [`FigureError::Empty`] without models, or if a model has no accuracy that is finite.
pub fn depth_reach(models: &[DepthReach]) -> Result<Picture, FigureError> {
    if models.is_empty() {
        return Err(FigureError::empty(NAME, "no run is given"));
    }
    let accuracies = |model: &DepthReach| -> Vec<f64> {
        let values = model.depths.iter().flat_map(|depth| &depth.by_position);
        values.copied().chain(model.chance).collect()
    };
    for model in models {
        let mut values = model.depths.iter().flat_map(|depth| &depth.by_position);
        if !values.any(|value| value.is_finite()) {
            let reason = format!("run `{}` has no accuracy by position", model.name);
            return Err(FigureError::empty(NAME, reason));
        }
    }
    let series = || models.iter().flat_map(|model| &model.depths);
    let longest = series().map(|depth| depth.by_position.len()).max();
    let last = longest.unwrap_or(1).max(1) - 1;
    let values = models.iter().flat_map(accuracies).chain([0.0, 1.0]);
    let y = Axis::linear("Accuracy", values, 0.03)
        .ok_or_else(|| FigureError::empty(NAME, "no accuracy is finite"))?;
    let mut caption = Vec::new();
    if models.iter().any(|model| model.chance.is_some()) {
        caption.push("The dashed black line is chance.".to_owned());
    }
    caption.extend(same_axes(models.len()));
    let depths = Depths::of(series().map(|depth| depth.depth));
    let title = "Reach: accuracy by position at each recurrence depth";
    let (mut scene, places) = Page::of_multiples(title, models.len(), &caption, &depths.legend());
    let most = 24 / grid::columns(models.len());
    for (model, place) in models.iter().zip(places) {
        let lines: Vec<Line> = model
            .depths
            .iter()
            .map(|depth| {
                let values = depth.by_position.iter().enumerate();
                let values = values.map(|(position, accuracy)| (position as f64, *accuracy));
                Line::marked(values.collect(), depths.stroke(depth.depth))
            })
            .collect();
        let x = Axis::counted("Position", 0, last, most);
        let chance: Vec<f64> = model.chance.into_iter().collect();
        Panel::fit(place, x, y.clone())
            .with_heading(&model.name, String::new())
            .plot(&mut scene, &lines, &chance);
    }
    Ok(Picture::new(NAME, scene, table(models)))
}

fn table(models: &[DepthReach]) -> Table {
    let mut table = Table::new("run,depth,position,accuracy,chance");
    for model in models {
        let DepthReach { name, chance, .. } = model;
        for depth in &model.depths {
            for (position, accuracy) in depth.by_position.iter().enumerate() {
                table.row(&[name, &depth.depth, &position, accuracy, chance]);
            }
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::tests::refused;
    use crate::golden;

    fn model(by_position: Vec<f64>, chance: Option<f64>) -> DepthReach {
        DepthReach {
            name: "s3".into(),
            depths: vec![DepthAccuracy {
                depth: 4,
                by_position,
            }],
            chance,
        }
    }

    #[test]
    fn the_table_repeats_the_accuracies_and_the_axes_are_labelled() {
        let picture =
            depth_reach(&[model(vec![1.0, f64::NAN, 0.5], Some(0.25))]).expect("a picture");
        let expected = "\
run,depth,position,accuracy,chance
s3,4,0,1.0,0.25
s3,4,1,,0.25
s3,4,2,0.5,0.25
";
        assert_eq!(picture.csv(), expected);
        golden::check(NAME, &picture);
    }

    #[test]
    fn without_a_chance_level_none_is_drawn() {
        let svg = depth_reach(&[model(vec![1.0], None)])
            .expect("a picture")
            .svg();
        assert!(!svg.contains("chance"));
    }

    #[test]
    fn a_model_without_an_accuracy_is_named() {
        for by_position in [vec![], vec![f64::NAN; 3]] {
            let drawn = depth_reach(&[model(by_position, Some(0.5))]);
            refused(drawn, "run `s3` has no accuracy by position");
        }
        refused(depth_reach(&[]), "no run is given");
    }
}
