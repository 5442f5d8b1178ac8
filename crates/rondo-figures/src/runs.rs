//! The log of a training run over its steps.

use crate::error::FigureError;

/// A number at a step of training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Logged {
    /// The number of completed updates; 0 for an evaluation before training.
    pub step: u64,
    /// The number of training tokens up to this step.
    pub tokens: u64,
    /// The number. A number that is not finite makes a gap.
    pub value: f64,
}

/// One number per evaluation, at one recurrence depth.
#[derive(Clone, Debug, PartialEq)]
pub struct DepthLog {
    /// The number of iterations of the core block.
    pub depth: usize,
    /// Evaluations, in ascending order of steps.
    pub points: Vec<Logged>,
}

/// The curves of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunLog {
    /// The name of the run in legends and tables.
    pub name: String,
    /// Unsmoothed training loss in nat/token, in ascending order of steps.
    pub loss: Vec<Logged>,
    /// Mean correlation between the final states of two tokens, in ascending order of steps.
    pub hidden_state_corr: Vec<Logged>,
    /// Validation perplexity, for each evaluated recurrence depth.
    pub val_perplexity: Vec<DepthLog>,
}

impl RunLog {
    /// Returns every evaluation at every depth.
    pub(crate) fn evaluations(&self) -> impl Iterator<Item = &Logged> + Clone {
        self.val_perplexity.iter().flat_map(|depth| &depth.points)
    }
}

/// Returns pairs of step and number, for a line.
pub(crate) fn by_step(points: &[Logged]) -> Vec<(f64, f64)> {
    points.iter().map(|p| (p.step as f64, p.value)).collect()
}

/// Checks that there is a run, and that every run has a finite number of the kind `what`.
///
/// # Errors
/// [`FigureError::Empty`] without runs, or with the name of the first run without such a number.
pub(crate) fn check<'a, I: IntoIterator<Item = &'a Logged>>(
    picture: &'static str,
    runs: &'a [RunLog],
    what: &str,
    points: impl Fn(&'a RunLog) -> I,
) -> Result<(), FigureError> {
    if runs.is_empty() {
        return Err(FigureError::empty(picture, "no run is given"));
    }
    for run in runs {
        let (mut any, mut finite) = (false, false);
        for point in points(run) {
            any = true;
            finite |= point.value.is_finite();
        }
        let lacks = match (any, finite) {
            (false, _) => format!("run `{}` has no {what}", run.name),
            (true, false) => format!("run `{}` has no {what} that is finite", run.name),
            (true, true) => continue,
        };
        return Err(FigureError::empty(picture, lacks));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns numbers at steps, with 512 tokens per step.
    pub(crate) fn log(numbers: &[(u64, f64)]) -> Vec<Logged> {
        let logged = |&(step, value)| Logged {
            step,
            tokens: 512 * step,
            value,
        };
        numbers.iter().map(logged).collect()
    }

    /// Returns a run of 100 steps with evaluations at depths 1 and 16.
    pub(crate) fn run(name: &str) -> RunLog {
        let depth = |depth, last| DepthLog {
            depth,
            points: log(&[(0, 1100.0), (100, last)]),
        };
        RunLog {
            name: name.to_owned(),
            loss: log(&[(1, 7.0), (10, 5.0), (100, 3.5)]),
            hidden_state_corr: log(&[(1, 0.9), (100, 0.2)]),
            val_perplexity: vec![depth(1, 40.0), depth(16, 30.0)],
        }
    }

    #[test]
    fn a_line_has_a_place_for_each_number() {
        assert_eq!(
            by_step(&log(&[(1, 7.0), (4, 5.0)])),
            [(1.0, 7.0), (4.0, 5.0)]
        );
    }
}
