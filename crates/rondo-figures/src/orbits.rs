//! Trajectories of the states of single tokens, in the planes of the first six principal
//! components.
//!
//! The components are computed from the states of all tokens at all iterations (Geiping et al.
//! 2025, arXiv 2502.05171, the figure of orbits in latent space).

mod plane;

use crate::axis::Axis;
use crate::colour_bar;
use crate::error::FigureError;
use crate::font::Anchor;
use crate::legend::{Entry, Legend};
use crate::palette::INK;
use crate::panel::{LABEL_SIZE, Panel};
use crate::pca::Pca;
use crate::picture::Picture;
use crate::scene::{Area, Scene};
use crate::sheet::Sheet;
use crate::table::{Cell, Table};
use crate::trajectories::Trajectories;

const NAME: &str = "orbits";
const COMPONENTS: usize = 6;
const PLANES: usize = COMPONENTS / 2;
/// The maximum number of tokens in a picture. With more tokens the picture would be too tall.
const MOST_TOKENS: usize = 16;
/// Height in pixels of one token's three panels.
const ROW: f64 = 480.0;
const HEADING: f64 = 42.0;

/// Draws the orbits of `tokens`, given by their positions in the trace. For each token, the planes
/// PC1–PC2, PC3–PC4 and PC5–PC6 are side by side.
///
/// Its table has the columns `row,token,label,iteration,pc1,…,pc6`. One row `share` has the share
/// of the variance along each component. Each token has a row `state` for every iteration, and a
/// row `mean`. The cells of components without variance are empty.
///
/// # Errors
/// [`FigureError`] if the lengths of the states do not agree, if a state is not finite, if all
/// states are equal, or if `tokens` is empty, has more than 16 tokens or has a token beyond the
/// trace.
pub fn orbits(trajectories: &Trajectories<'_>, tokens: &[usize]) -> Result<Picture, FigureError> {
    trajectories.check(NAME)?;
    check_tokens(trajectories, tokens)?;
    let rows: Vec<&[f32]> = trajectories
        .states
        .iter()
        .flat_map(|states| states.chunks_exact(trajectories.d_model))
        .collect();
    let pca = Pca::of(&rows, COMPONENTS);
    if pca.shares().is_empty() {
        return Err(FigureError::empty(NAME, "all states are equal"));
    }
    let orbits: Vec<Orbit> = tokens
        .iter()
        .map(|&token| Orbit::new(trajectories, &pca, token))
        .collect();
    let scene = draw(trajectories, pca.shares(), &orbits);
    Ok(Picture::new(
        NAME,
        scene,
        table(trajectories, pca.shares(), &orbits),
    ))
}

fn check_tokens(trajectories: &Trajectories<'_>, tokens: &[usize]) -> Result<(), FigureError> {
    let refuse = |what: &str, allowed, found| Err(FigureError::range(NAME, what, allowed, found));
    if tokens.is_empty() || tokens.len() > MOST_TOKENS {
        let allowed = format!("1 to {MOST_TOKENS}");
        return refuse("number of tokens", allowed, &tokens.len());
    }
    match tokens.iter().find(|token| **token >= trajectories.tokens) {
        Some(token) => {
            let allowed = format!("0 to {}", trajectories.tokens - 1);
            refuse("token position", allowed, token)
        }
        None => Ok(()),
    }
}

/// The coordinates of one token's states along the components.
struct Orbit {
    token: usize,
    /// The coordinates, `[iterations + 1, components]`.
    states: Vec<Vec<f64>>,
    /// The mean of the states.
    mean: Vec<f64>,
}

impl Orbit {
    fn new(trajectories: &Trajectories<'_>, pca: &Pca, token: usize) -> Self {
        let states: Vec<Vec<f64>> = (0..=trajectories.last())
            .map(|iteration| pca.project(trajectories.state(iteration, token)))
            .collect();
        let mean = (0..pca.shares().len())
            .map(|axis| states.iter().map(|s| s[axis]).sum::<f64>() / states.len() as f64)
            .collect();
        Self {
            token,
            states,
            mean,
        }
    }
}

fn table(trajectories: &Trajectories<'_>, shares: &[f64], orbits: &[Orbit]) -> Table {
    let mut table = Table::new("row,token,label,iteration,pc1,pc2,pc3,pc4,pc5,pc6");
    let mut row = |kind: &str, token: [&dyn Cell; 3], numbers: &[f64]| {
        let numbers: [_; COMPONENTS] = std::array::from_fn(|axis| numbers.get(axis).copied());
        let [pc1, pc2, pc3, pc4, pc5, pc6] = &numbers;
        let [token, label, iteration] = token;
        table.row(&[&kind, token, label, iteration, pc1, pc2, pc3, pc4, pc5, pc6]);
    };
    row("share", [&"", &"", &""], shares);
    for orbit in orbits {
        let token = &orbit.token;
        let label = trajectories.text(*token).unwrap_or("");
        for (iteration, state) in orbit.states.iter().enumerate() {
            row("state", [token, &label, &iteration], state);
        }
        row("mean", [token, &label, &""], &orbit.mean);
    }
    table
}

fn draw(trajectories: &Trajectories<'_>, shares: &[f64], orbits: &[Orbit]) -> Scene {
    let caption = format!(
        "Principal components of all states of the trace (tokens: {}, iterations: 0 to {}); in brackets \
         their share of the variance.",
        trajectories.tokens,
        trajectories.last()
    );
    let Sheet { mut scene, body } = Sheet::new(
        "Orbits in latent space: the states of a token, iteration by iteration",
        ROW * orbits.len() as f64,
        &[caption],
    );
    let marks = [
        (plane::START, "initial state"),
        (plane::END, "last state"),
        (plane::CENTRE, "centre of mass"),
    ];
    let legend = Legend::of(
        marks.map(|((marker, colour), name)| Entry::mark(name.to_owned(), marker, colour)),
    );
    let beside = legend.width();
    let panels = Area {
        right: body.right - beside - 8.0,
        ..body
    };
    let width = panels.width() / PLANES as f64;
    for plane in 0..PLANES {
        let left = panels.left + width * plane as f64;
        let right = left + width - 14.0;
        let place = Area {
            left,
            right,
            ..body
        };
        draw_column(&mut scene, place, plane, shares, orbits);
    }
    for (index, orbit) in orbits.iter().enumerate() {
        let at = (body.left, body.top + ROW * index as f64 + LABEL_SIZE);
        let heading = match trajectories.labels {
            Some(_) => format!("token {}: {}", orbit.token, trajectories.label(orbit.token)),
            None => format!("token {}", orbit.token),
        };
        scene.text(&heading, at, LABEL_SIZE, Anchor::Start, INK);
    }
    let left = body.right - beside;
    let top = body.top + HEADING;
    legend.draw_column(&mut scene, (left, top));
    let bar = Axis::counted("iteration", 0, trajectories.last(), 8);
    let below = top + legend.height() + 20.0;
    let bottom = body.top + ROW - 30.0;
    colour_bar::draw(&mut scene, (left + 8.0, below, bottom), &bar, plane::along);
    scene
}

/// Draws the plane of two components for every orbit. The panels are one below the other, from the
/// top of an area.
fn draw_column(scene: &mut Scene, area: Area, plane: usize, shares: &[f64], orbits: &[Orbit]) {
    let mut column: Vec<Panel> = Vec::new();
    for (index, orbit) in orbits.iter().enumerate() {
        let top = area.top + ROW * index as f64;
        let place = Area {
            top: top + HEADING,
            bottom: top + ROW - 10.0,
            ..area
        };
        column.extend(plane::panel(place, plane, shares, orbit));
    }
    Panel::align(&mut column);
    for (panel, orbit) in column.iter().zip(orbits) {
        plane::draw(scene, panel, plane, shares, orbit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::tests::refused;
    use crate::golden;

    fn trace(states: &[Vec<f32>], d_model: usize) -> Trajectories<'_> {
        Trajectories {
            states,
            tokens: states[0].len() / d_model,
            d_model,
            labels: None,
        }
    }

    #[test]
    fn a_rectangle_has_its_sides_as_components() {
        // The states are the corners (±4, ±3), so the variances are 16 and 9 of 25.
        let states = [
            vec![4.0, 3.0],
            vec![4.0, -3.0],
            vec![-4.0, -3.0],
            vec![-4.0, 3.0],
        ];
        let picture = orbits(&trace(&states, 2), &[0]).expect("a picture");
        let expected = [
            ["share", "", "", "", "0.64", "0.36", "", "", "", ""],
            ["state", "0", "", "0", "4.0", "3.0", "", "", "", ""],
            ["state", "0", "", "1", "4.0", "-3.0", "", "", "", ""],
            ["state", "0", "", "2", "-4.0", "-3.0", "", "", "", ""],
            ["state", "0", "", "3", "-4.0", "3.0", "", "", "", ""],
            ["mean", "0", "", "", "0.0", "0.0", "", "", "", ""],
        ];
        let csv = picture.csv();
        let mut lines = csv.lines();
        let header = "row,token,label,iteration,pc1,pc2,pc3,pc4,pc5,pc6";
        assert_eq!(lines.next(), Some(header));
        assert_eq!(csv.lines().count(), 1 + expected.len());
        for (line, expected) in lines.zip(expected) {
            for (found, expected) in line.split(',').zip(expected) {
                match (found.parse::<f64>(), expected.parse::<f64>()) {
                    (Ok(found), Ok(expected)) => {
                        assert!((found - expected).abs() < 1e-9, "{line}");
                    }
                    _ => assert_eq!(found, expected, "{line}"),
                }
            }
        }
        golden::check(NAME, &picture);
    }

    #[test]
    fn a_picture_drawn_twice_has_the_same_bytes() {
        let states: Vec<Vec<f32>> = (0..9_u8)
            .map(|i| {
                (0..40)
                    .map(|k| (f32::from(i + 1) * (k + 2) as f32).sin())
                    .collect()
            })
            .collect();
        let draw = || orbits(&trace(&states, 20), &[1, 0]).expect("a picture");
        assert!(golden::files(&draw()) == golden::files(&draw()));
    }

    #[test]
    fn tokens_beyond_the_trace_and_no_tokens_are_refused() {
        let states = [vec![0.0, 1.0, 2.0, 3.0], vec![1.0, 1.0, 2.0, 2.0]];
        let drawn = |tokens: &[usize]| orbits(&trace(&states, 2), tokens);
        refused(
            drawn(&[0, 2]),
            "picture orbits: token position: must be 0 to 1, found 2",
        );
        refused(
            drawn(&[]),
            "picture orbits: number of tokens: must be 1 to 16, found 0",
        );
    }

    #[test]
    fn equal_states_have_no_orbit() {
        let states = [vec![1.0, 2.0], vec![1.0, 2.0]];
        refused(orbits(&trace(&states, 2), &[0]), "all states are equal");
    }
}
