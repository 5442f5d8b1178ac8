//! Heat map of the distance between each state of a token and the token's last state, with tokens
//! against iterations.
//!
//! The distance is `‖s_i − s_N‖`, the L2 norm over features. It is shown on a log colour scale
//! (Geiping et al. 2025, arXiv 2502.05171, the figure of convergence in latent space).

use crate::axis::Axis;
use crate::colour_bar;
use crate::error::FigureError;
use crate::palette::FRAME;
use crate::panel::Panel;
use crate::picture::Picture;
use crate::scene::{Area, Path, Scene, Stroke};
use crate::sheet::Sheet;
use crate::table::Table;
use crate::ticks::{Tick, number};
use crate::trajectories::Trajectories;
use crate::viridis::viridis;

const NAME: &str = "convergence";
/// If there are more tokens than this, only every second, third, … token is labelled.
const MOST_LABELS: usize = 54;
/// Height in pixels of a row with a label.
const ROW: f64 = 24.0;
/// With more rows than this, a row would be thinner than two pixels.
const MOST_ROWS: usize = MOST_LABELS * ROW as usize / 2;

/// Draws `‖s_i − s_N‖` of every token: iterations 0 to N from left to right, the first token at
/// the top.
///
/// Its table has the columns `token,label,iteration,distance`.
///
/// # Errors
/// [`FigureError`] if the lengths of the states do not agree, if a state is not finite, or if no
/// state differs from its token's last state.
pub fn convergence(trajectories: &Trajectories<'_>) -> Result<Picture, FigureError> {
    trajectories.check(NAME)?;
    let distances = distances(trajectories);
    let all = distances.iter().flatten().copied();
    let colours = Axis::log("distance to the last state", all, 0.0)
        .ok_or_else(|| FigureError::empty(NAME, "no state differs from its token's last"))?;
    let scene = draw(trajectories, &distances, &colours);
    Ok(Picture::new(NAME, scene, table(trajectories, &distances)))
}

/// Returns the distances: one list per token, with one number per iteration.
fn distances(trajectories: &Trajectories<'_>) -> Vec<Vec<f64>> {
    let last = trajectories.last();
    let distance = |iteration, token| {
        let (a, b) = (
            trajectories.state(iteration, token),
            trajectories.state(last, token),
        );
        let squares = a
            .iter()
            .zip(b)
            .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
        squares.sum::<f64>().sqrt()
    };
    (0..trajectories.tokens)
        .map(|token| {
            (0..=last)
                .map(|iteration| distance(iteration, token))
                .collect()
        })
        .collect()
}

fn table(trajectories: &Trajectories<'_>, distances: &[Vec<f64>]) -> Table {
    let mut table = Table::new("token,label,iteration,distance");
    for (token, row) in distances.iter().enumerate() {
        let label = trajectories.text(token).unwrap_or("");
        for (iteration, distance) in row.iter().enumerate() {
            table.row(&[&token, &label, &iteration, distance]);
        }
    }
    table
}

fn draw(trajectories: &Trajectories<'_>, distances: &[Vec<f64>], colours: &Axis) -> Scene {
    let (tokens, last) = (trajectories.tokens, trajectories.last());
    let together = tokens.div_ceil(MOST_ROWS);
    let mut caption = vec![format!(
        "L2 distance of each token's state to its state after the last iteration, {last}; log colours."
    )];
    if colours.clamped() > 0 {
        caption.push(format!(
            "{} distances are zero, the last column's among them, and drawn at the smallest positive \
             one, {}.",
            colours.clamped(),
            number(colours.floor())
        ));
    }
    if together > 1 {
        caption.push(format!("A row is the geometric mean of {together} tokens."));
    }
    let height = (tokens as f64 * ROW).clamp(16.0 * ROW, MOST_LABELS as f64 * ROW) + 90.0;
    let Sheet { mut scene, body } = Sheet::new(
        "Convergence in latent space: how far each token is from its last state",
        height,
        &caption,
    );
    let outer = Area {
        right: body.right - colour_bar::width(colours) - 24.0,
        ..body
    };
    let x = Axis::counted("iteration", 0, last, 16);
    let panel = Panel::fit(outer, x, rows_axis(trajectories));
    for (index, group) in distances.chunks(together).enumerate() {
        let first = (index * together) as f64 - 0.5;
        let (Some(top), Some(bottom)) = (panel.down(first), panel.down(first + group.len() as f64))
        else {
            continue;
        };
        for iteration in 0..=last {
            let (Some(left), Some(right)) = (
                panel.across(iteration as f64 - 0.5),
                panel.across(iteration as f64 + 0.5),
            ) else {
                continue;
            };
            let shares = group.iter().filter_map(|row| colours.share(row[iteration]));
            let share = shares.sum::<f64>() / group.len() as f64;
            let area = Area {
                left,
                top,
                right,
                bottom,
            };
            scene.cell(area, viridis(share));
        }
    }
    panel.draw_frame(&mut scene);
    // If only some rows have labels, a mark shows the row of each label.
    for tick in &panel.y.ticks {
        if let Some(y) = panel.down(tick.value) {
            let mark = Path::line(&[(panel.frame.left - 5.0, y), (panel.frame.left, y)]);
            scene.stroke(mark, Stroke::solid(FRAME, 1.0));
        }
    }
    let at = (outer.right + 24.0, panel.frame.top, panel.frame.bottom);
    colour_bar::draw(&mut scene, at, colours, viridis);
    scene
}

fn rows_axis(trajectories: &Trajectories<'_>) -> Axis {
    let tokens = trajectories.tokens;
    let ticks = (0..tokens)
        .step_by(tokens.div_ceil(MOST_LABELS))
        .map(|token| Tick {
            value: token as f64,
            text: trajectories.label(token),
        });
    let name = match trajectories.labels {
        Some(_) => "token",
        None => "token position",
    };
    Axis::listed(name, tokens, ticks.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::tests::refused;
    use crate::golden;

    fn drawn(states: &[Vec<f32>], tokens: usize, labels: Option<&[String]>) -> Picture {
        let trajectories = Trajectories {
            states,
            tokens,
            d_model: 2,
            labels,
        };
        convergence(&trajectories).expect("a picture")
    }

    #[test]
    fn the_table_holds_distances_that_can_be_redone_by_hand() {
        let states = [
            vec![3.0, 4.0, 1.0, 1.0],
            vec![0.0, 2.0, 1.0, 1.5],
            vec![0.0, 0.0, 1.0, 1.0],
        ];
        let labels = [" a".into(), "b,c".into()];
        let expected = "\
token,label,iteration,distance
0,\" a\",0,5.0
0,\" a\",1,2.0
0,\" a\",2,0.0
1,\"b,c\",0,0.0
1,\"b,c\",1,0.5
1,\"b,c\",2,0.0
";
        let picture = drawn(&states, 2, Some(&labels));
        assert_eq!(picture.csv(), expected);
        golden::check(NAME, &picture);
    }

    #[test]
    fn more_tokens_than_pixels_share_rows_and_few_are_labelled() {
        let tokens = 3 * MOST_ROWS;
        let ramp = |scale: f32| (0..2 * tokens).map(|i| scale * (1.0 + i as f32)).collect();
        let picture = drawn(&[ramp(1.0), ramp(0.5), ramp(0.0)], tokens, None);
        let svg = picture.svg();
        assert!(svg.contains("A row is the geometric mean of 3 tokens."));
        assert!(svg.matches("text-anchor=\"end\"").count() <= MOST_LABELS + 3);
        assert_eq!(picture.csv().lines().count(), 1 + 3 * tokens);
    }

    #[test]
    fn states_that_never_move_are_an_error() {
        let trajectories = Trajectories {
            states: &[vec![1.0, 2.0], vec![1.0, 2.0]],
            tokens: 1,
            d_model: 2,
            labels: None,
        };
        let nothing = "picture convergence: nothing to draw:";
        let still = format!("{nothing} no state differs from its token's last");
        refused(convergence(&trajectories), &still);
    }
}
