//! The compute-quality curve: perplexity against mean iterations per token.

use crate::axis::Axis;
use crate::error::FigureError;
use crate::exits::{CurvePoint, ExitCurve};
use crate::legend::{Entry, Legend};
use crate::marker::Marker;
use crate::page::Page;
use crate::palette::series;
use crate::panel::Panel;
use crate::picture::Picture;
use crate::scene::{Scene, Stroke};
use crate::table::Table;

const NAME: &str = "exit-curve";
const FIXED: &str = "fixed depth";
const HEIGHT: f64 = 820.0;

/// Draws fixed depths as a line, and each exit criterion with its own marks. Both axes are log
/// axes.
///
/// Its table has the columns `series,iterations,perplexity`.
///
/// # Errors
/// [`FigureError::Empty`] if no point has a positive number of iterations and a positive
/// perplexity.
pub fn exit_curve(curve: &ExitCurve<'_>) -> Result<Picture, FigureError> {
    let series = lines(curve);
    let values = |pick: fn(&CurvePoint) -> f64| {
        let shown = series.iter().flat_map(|line| line.points.iter());
        let shown = shown.filter(|p| p.iterations.is_finite() && p.perplexity.is_finite());
        shown.map(pick).collect::<Vec<_>>()
    };
    let x = Axis::powers_of_two("mean iterations per token", values(|p| p.iterations));
    let y = Axis::log("perplexity", values(|p| p.perplexity), 0.06);
    let (Some(x), Some(y)) = (x, y) else {
        let reason = "no point has positive iterations and a positive perplexity";
        return Err(FigureError::empty(NAME, reason));
    };
    let scene = draw(&series, x, y);
    let mut table = Table::new("series,iterations,perplexity");
    for line in &series {
        for point in line.points {
            table.row(&[&line.entry.name, &point.iterations, &point.perplexity]);
        }
    }
    Ok(Picture::new(NAME, scene, table))
}

/// A series with its legend entry. The entry also defines the look of the series.
struct Series<'a> {
    entry: Entry,
    points: &'a [CurvePoint],
}

fn lines<'a>(curve: &ExitCurve<'a>) -> Vec<Series<'a>> {
    let of = |name: &str, marker, index, joined: bool, points| {
        let colour = series(index);
        let entry = Entry {
            line: joined.then_some(Stroke::solid(colour, 3.0)),
            ..Entry::mark(name.to_owned(), marker, colour)
        };
        Series { entry, points }
    };
    let fixed = of(FIXED, Marker::Circle, 0, true, curve.fixed);
    let adaptive = curve.adaptive.iter().enumerate().map(|(index, criterion)| {
        let joined = criterion.points.len() > 1;
        let marker = Marker::series(index);
        of(criterion.name, marker, index + 1, joined, criterion.points)
    });
    std::iter::once(fixed)
        .chain(adaptive)
        .filter(|line| !line.points.is_empty())
        .collect()
}

fn draw(lines: &[Series<'_>], x: Axis, y: Axis) -> Scene {
    let mut caption = vec!["Further left is less work, lower is better.".to_owned()];
    caption.extend([&x, &y].into_iter().filter_map(Axis::clamp_note));
    let title = "Perplexity against work: fixed depths and adaptive exit";
    let legend = Legend::of(lines.iter().map(|line| line.entry.clone()));
    let Page { mut scene, body } = Page::new(title, HEIGHT, &caption, &legend, &Legend::default());
    let panel = Panel::fit(body, x, y);
    panel.draw_grid(&mut scene);
    panel.draw_frame(&mut scene);
    for Series { entry, points } in lines {
        let values: Vec<(f64, f64)> = points
            .iter()
            .map(|point| (point.iterations, point.perplexity))
            .collect();
        if let Some(stroke) = entry.line {
            panel.line(&mut scene, &values, stroke);
        }
        if let Some((marker, colour)) = entry.mark {
            for at in values.iter().filter_map(|(x, y)| panel.point(*x, *y)) {
                marker.draw(&mut scene, at, 9.0, colour);
            }
        }
    }
    scene
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::tests::refused;
    use crate::exits::Criterion;
    use crate::golden;

    fn point(iterations: f64, perplexity: f64) -> CurvePoint {
        CurvePoint {
            iterations,
            perplexity,
        }
    }

    #[test]
    fn the_table_repeats_the_numbers_and_the_axes_are_labelled() {
        let curve = ExitCurve {
            fixed: &[point(1.0, 13.5), point(4.0, f64::NAN), point(16.0, 10.8)],
            adaptive: &[Criterion {
                name: "kl, strict",
                points: &[point(5.25, 10.9)],
            }],
        };
        let picture = exit_curve(&curve).expect("a picture");
        let expected = "\
series,iterations,perplexity
fixed depth,1.0,13.5
fixed depth,4.0,
fixed depth,16.0,10.8
\"kl, strict\",5.25,10.9
";
        assert_eq!(picture.csv(), expected);
        golden::check(NAME, &picture);
    }

    #[test]
    fn values_that_a_log_axis_cannot_hold_are_told_in_the_caption() {
        let curve = ExitCurve {
            fixed: &[point(1.0, 0.0), point(2.0, 3.0)],
            adaptive: &[],
        };
        let svg = exit_curve(&curve).expect("a picture").svg();
        assert!(
            svg.contains("1 value of perplexity at or below zero is drawn at"),
            "{svg}"
        );
    }

    #[test]
    fn points_that_cannot_be_drawn_leave_nothing() {
        for points in [&[][..], &[point(1.0, f64::INFINITY)], &[point(0.0, 2.0)]] {
            let curve = ExitCurve {
                fixed: points,
                adaptive: &[],
            };
            let nothing = "no point has positive iterations and a positive perplexity";
            refused(exit_curve(&curve), nothing);
        }
    }
}
