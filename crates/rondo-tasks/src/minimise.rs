//! Finds a minimum of a smooth function by L-BFGS.
//!
//! D. Liu, J. Nocedal 1989, doi:10.1007/BF01589116. The direction is computed from the last
//! `MEMORY` steps and the changes of the gradient over them. The step along the direction is
//! bisected or doubled until two conditions hold: the value has fallen by a share of the decrease
//! that the slope predicts (Armijo), and the slope is no longer steep (Wolfe).

/// The maximum number of steps that are stored.
const MEMORY: usize = 10;
/// The share of the predicted decrease that a step must reach.
const ARMIJO: f64 = 1e-4;
/// The share of the initial slope that may remain after a step.
const WOLFE: f64 = 0.9;
/// The maximum number of evaluations along one direction.
const MOST_TRIES: usize = 20;

/// The value of a function at a place, and its gradient.
pub type Slope = (f64, Vec<f64>);

/// The result of a search for a minimum.
#[derive(Clone, Debug, PartialEq)]
pub struct Minimum {
    /// The place of the minimum.
    pub at: Vec<f64>,
    /// The value at this place.
    pub value: f64,
    /// The number of steps taken.
    pub steps: usize,
}

/// Searches a minimum of `function` from `start` in at most `steps` steps. The search ends when the
/// largest component of the gradient is at most `tolerance`, or when no step along the direction
/// lowers the value.
///
/// # Errors
///
/// An error of `function`.
pub fn minimise<E>(
    start: Vec<f64>,
    steps: usize,
    tolerance: f64,
    mut function: impl FnMut(&[f64]) -> Result<Slope, E>,
) -> Result<Minimum, E> {
    let (mut value, mut gradient) = function(&start)?;
    let mut at = start;
    let mut past: Vec<Past> = Vec::new();
    let mut taken = 0;
    while taken < steps && gradient.iter().any(|slope| slope.abs() > tolerance) {
        let mut direction = descent(&gradient, &past);
        if dot(&direction, &gradient) >= 0.0 {
            past.clear();
            direction = gradient.iter().map(|slope| -slope).collect();
        }
        // Without stored steps, the right length is unknown. The first try moves by at most one
        // unit.
        let first = match past.is_empty() {
            true => 1.0 / length(&gradient).max(1.0),
            false => 1.0,
        };
        let found = search(&at, value, &gradient, &direction, first, &mut function)?;
        let Some((step, (next_value, next_gradient))) = found else {
            break;
        };
        let moved: Vec<f64> = direction.iter().map(|d| step * d).collect();
        let turned: Vec<f64> = next_gradient
            .iter()
            .zip(&gradient)
            .map(|(a, b)| a - b)
            .collect();
        let curvature = dot(&moved, &turned);
        at.iter_mut().zip(&moved).for_each(|(x, step)| *x += step);
        (value, gradient) = (next_value, next_gradient);
        if curvature > f64::EPSILON * dot(&turned, &turned) {
            if past.len() == MEMORY {
                past.remove(0);
            }
            past.push(Past {
                moved,
                turned,
                curvature,
            });
        }
        taken += 1;
    }
    Ok(Minimum {
        at,
        value,
        steps: taken,
    })
}

/// A step, and the change of the gradient over this step.
struct Past {
    moved: Vec<f64>,
    turned: Vec<f64>,
    /// The product moved · turned.
    curvature: f64,
}

/// Returns −H g. H is the inverse of the matrix of second derivatives, estimated from the stored
/// steps.
fn descent(gradient: &[f64], past: &[Past]) -> Vec<f64> {
    let mut q = gradient.to_vec();
    let mut shares = Vec::with_capacity(past.len());
    for step in past.iter().rev() {
        let share = dot(&step.moved, &q) / step.curvature;
        add(&mut q, -share, &step.turned);
        shares.push(share);
    }
    if let Some(last) = past.last() {
        let scale = last.curvature / dot(&last.turned, &last.turned);
        q.iter_mut().for_each(|x| *x *= scale);
    }
    for (step, share) in past.iter().zip(shares.into_iter().rev()) {
        let back = dot(&step.turned, &q) / step.curvature;
        add(&mut q, share - back, &step.moved);
    }
    q.iter_mut().for_each(|x| *x = -*x);
    q
}

/// Searches a step along a direction by doubling and bisection. Returns `None` if no step lowers
/// the value.
fn search<E>(
    at: &[f64],
    value: f64,
    gradient: &[f64],
    direction: &[f64],
    first: f64,
    function: &mut impl FnMut(&[f64]) -> Result<Slope, E>,
) -> Result<Option<(f64, Slope)>, E> {
    let slope = dot(gradient, direction);
    let (mut low, mut high) = (0.0, f64::INFINITY);
    let mut step = first;
    let mut best: Option<(f64, Slope)> = None;
    for _ in 0..MOST_TRIES {
        let mut there = at.to_vec();
        add(&mut there, step, direction);
        let (next, next_gradient) = function(&there)?;
        // A NaN counts as no decrease.
        let falls = next <= value + ARMIJO * step * slope;
        if falls {
            let flat = dot(&next_gradient, direction) >= WOLFE * slope;
            best = Some((step, (next, next_gradient)));
            if flat {
                return Ok(best);
            }
            low = step;
        } else {
            high = step;
        }
        step = match high.is_finite() {
            true => f64::midpoint(low, high),
            false => 2.0 * step,
        };
    }
    Ok(best)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn length(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

fn add(to: &mut [f64], factor: f64, what: &[f64]) {
    to.iter_mut()
        .zip(what)
        .for_each(|(to, what)| *to += factor * what);
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn found(start: Vec<f64>, function: impl Fn(&[f64]) -> Slope) -> Minimum {
        let wrapped = |x: &[f64]| Ok::<_, Infallible>(function(x));
        match minimise(start, 200, 1e-9, wrapped) {
            Ok(minimum) => minimum,
            Err(never) => match never {},
        }
    }

    #[test]
    fn a_parabola_ends_at_its_lowest_point() {
        let minimum = found(vec![5.0, -3.0], |x| {
            let value = (x[0] - 1.0).powi(2) + 10.0 * (x[1] - 2.0).powi(2);
            (value, vec![2.0 * (x[0] - 1.0), 20.0 * (x[1] - 2.0)])
        });
        assert!(
            (minimum.at[0] - 1.0).abs() < 1e-8 && (minimum.at[1] - 2.0).abs() < 1e-8,
            "{minimum:?}"
        );
    }

    #[test]
    fn rosenbrocks_valley_is_followed_to_its_end() {
        let minimum = found(vec![-1.2, 1.0], |x| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            (
                a * a + 100.0 * b * b,
                vec![-2.0 * a - 400.0 * x[0] * b, 200.0 * b],
            )
        });
        assert!(
            (minimum.at[0] - 1.0).abs() < 1e-6 && (minimum.at[1] - 1.0).abs() < 1e-6,
            "{minimum:?}"
        );
    }

    #[test]
    fn where_the_start_is_the_minimum_nothing_moves() {
        let minimum = found(vec![0.0], |x| (x[0] * x[0], vec![2.0 * x[0]]));
        assert_eq!((minimum.at, minimum.steps), (vec![0.0], 0));
    }
}
