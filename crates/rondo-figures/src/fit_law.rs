//! Loss curves and the predictions of a law for them.

use crate::axis::Axis;
use crate::error::FigureError;
use crate::legend::{Entry, Legend};
use crate::lines::Line;
use crate::page::Page;
use crate::palette::{Dash, WHITE, series};
use crate::picture::Picture;
use crate::scene::{Scene, Stroke};
use crate::stack;
use crate::table::Table;

const NAME: &str = "fit-law";
/// The heights of the two frames, in pixels: losses, and errors below them.
const HEIGHTS: [f64; 2] = [520.0, 260.0];
/// The share of white in the colour of a measured loss.
const PALE: f64 = 0.55;

/// A curve with its prediction.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictedCurve {
    /// The name of the curve.
    pub name: String,
    /// Whether the law was fitted to this curve.
    pub fitted: bool,
    /// The points of the curve, in ascending order of steps.
    pub points: Vec<PredictedPoint>,
}

/// A loss and its prediction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PredictedPoint {
    /// The number of completed updates.
    pub step: u64,
    /// The loss, in nat/token. A loss that is not finite makes a gap.
    pub loss: f64,
    /// The loss that the law predicts.
    pub predicted: f64,
}

impl PredictedPoint {
    /// Returns the error of the prediction, in percent of the loss.
    fn error(&self) -> f64 {
        100.0 * (self.predicted - self.loss) / self.loss
    }
}

/// Draws two panels, one above the other, against the step on a shared linear axis. The upper
/// panel shows every curve's loss as a pale line, and its prediction over it. The lower panel
/// shows the error of the prediction in percent. Predictions are dashed for curves to which the
/// law was not fitted.
///
/// Its table has the columns `curve,fitted,step,loss,predicted,error_percent`.
///
/// # Errors
/// [`FigureError::Empty`] without curves, or if a curve has no point with a finite loss and
/// prediction.
pub fn fit_law(law: &str, curves: &[PredictedCurve]) -> Result<Picture, FigureError> {
    for curve in curves {
        if !curve.points.iter().any(|point| point.error().is_finite()) {
            let reason = format!("curve `{}` has no loss with a prediction", curve.name);
            return Err(FigureError::empty(NAME, reason));
        }
    }
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let steps = points().map(|point| point.step as f64);
    let x = Axis::linear("Step", steps.chain([0.0]), 0.0);
    let losses = points().flat_map(|point| [point.loss, point.predicted]);
    let loss = Axis::linear("Loss", losses, 0.04);
    let errors = points().map(PredictedPoint::error).chain([0.0]);
    let error = Axis::linear("Error (%)", errors, 0.06);
    let (Some(x), Some(loss), Some(error), [_, ..]) = (x, loss, error, curves) else {
        return Err(FigureError::empty(NAME, "no curve is given"));
    };
    Ok(Picture::new(
        NAME,
        draw(law, curves, &x, [loss, error]),
        table(curves),
    ))
}

fn draw(law: &str, curves: &[PredictedCurve], x: &Axis, axes: [Axis; 2]) -> Scene {
    let mut caption = vec![
        "Pale lines are measured, clear ones predicted; the error is prediction less loss."
            .to_owned(),
    ];
    if curves.iter().any(|curve| !curve.fitted) {
        caption.push("Dashed curves were predicted without having been fitted.".to_owned());
    }
    let strokes: Vec<Stroke> = curves
        .iter()
        .enumerate()
        .map(|(index, curve)| {
            let dash = match curve.fitted {
                true => Dash::Solid,
                false => Dash::Dashed,
            };
            Stroke::solid(series(index), 2.6).with_dash(dash)
        })
        .collect();
    let legend = Legend::of(
        curves
            .iter()
            .zip(&strokes)
            .map(|(curve, stroke)| Entry::line(curve.name.clone(), *stroke)),
    );
    let title = format!("Loss and the prediction of law {law}");
    let height = stack::height(&HEIGHTS);
    let Page { mut scene, body } = Page::new(&title, height, &caption, &Legend::default(), &legend);
    let panels = stack::panels(body, x, &HEIGHTS, axes);
    let line = |curve: &PredictedCurve, stroke, value: fn(&PredictedPoint) -> f64| {
        let values = curve
            .points
            .iter()
            .map(|point| (point.step as f64, value(point)));
        Line::plain(values.collect(), stroke)
    };
    let pairs = || curves.iter().zip(&strokes);
    let measured = pairs().map(|(curve, stroke)| {
        let pale = Stroke::solid(stroke.colour.toward(WHITE, PALE), 6.0);
        line(curve, pale, |point| point.loss)
    });
    let predicted = pairs().map(|(curve, stroke)| line(curve, *stroke, |point| point.predicted));
    let losses: Vec<Line> = measured.chain(predicted).collect();
    panels[0].plot(&mut scene, &losses, &[]);
    let errors: Vec<Line> = pairs()
        .map(|(curve, stroke)| {
            let thin = Stroke {
                width: 1.8,
                ..*stroke
            };
            line(curve, thin, PredictedPoint::error)
        })
        .collect();
    panels[1].plot(&mut scene, &errors, &[0.0]);
    scene
}

fn table(curves: &[PredictedCurve]) -> Table {
    let mut table = Table::new("curve,fitted,step,loss,predicted,error_percent");
    for curve in curves {
        let (name, fitted) = (&curve.name, &curve.fitted.to_string());
        for p in &curve.points {
            table.row(&[name, fitted, &p.step, &p.loss, &p.predicted, &p.error()]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::tests::refused;
    use crate::golden;

    fn curve(name: &str, fitted: bool) -> PredictedCurve {
        let point = |step, loss, predicted| PredictedPoint {
            step,
            loss,
            predicted,
        };
        PredictedCurve {
            name: name.into(),
            fitted,
            points: vec![
                point(100, 4.0, 4.5),
                point(200, f64::NAN, 3.5),
                point(300, 2.0, 2.0),
            ],
        }
    }

    #[test]
    fn curves_and_errors_share_the_axis_of_steps() {
        let curves = [curve("cosine", true), curve("wsd", false)];
        let picture = fit_law("tissue", &curves).expect("a picture");
        golden::check(NAME, &picture);
        let expected = "\
curve,fitted,step,loss,predicted,error_percent
cosine,true,100,4.0,4.5,12.5
cosine,true,200,,3.5,
cosine,true,300,2.0,2.0,0.0
";
        assert!(picture.csv().starts_with(expected), "{}", picture.csv());
    }

    #[test]
    fn curves_without_a_prediction_are_refused() {
        let mut bare = curve("b", false);
        bare.points.truncate(0);
        let refusal = "curve `b` has no loss with a prediction";
        refused(fit_law("tissue", &[curve("a", true), bare]), refusal);
        refused(fit_law("tissue", &[]), "no curve is given");
    }
}
