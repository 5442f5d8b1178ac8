//! Tokens per step, for a second scale on the axis of steps.

use crate::error::FigureError;
use crate::runs::Logged;

/// Two numbers of tokens per step are treated as equal up to this relative difference.
const SAME: f64 = 0.01;

/// The number of tokens per step of one run.
#[derive(Clone, Debug)]
pub(crate) struct TokenRate<'a> {
    run: &'a str,
    /// The number of tokens at the last point, divided by its step.
    pub(crate) per_step: f64,
    varies: bool,
}

impl<'a> TokenRate<'a> {
    /// Computes the rate from the last point of a run.
    ///
    /// # Errors
    /// [`FigureError::Empty`] if no point after step 0 has tokens.
    pub(crate) fn of<'p>(
        picture: &'static str,
        run: &'a str,
        points: impl Iterator<Item = &'p Logged> + Clone,
    ) -> Result<Self, FigureError> {
        let trained = points.filter(|p| p.step > 0 && p.tokens > 0);
        let rate = |p: &Logged| p.tokens as f64 / p.step as f64;
        let Some(last) = trained.clone().max_by_key(|p| p.step) else {
            let reason = format!("run `{run}` has no point after step 0 with a number of tokens");
            return Err(FigureError::empty(picture, reason));
        };
        let per_step = rate(last);
        let varies = trained.map(rate).any(|rate| !same(rate, per_step));
        Ok(Self {
            run,
            per_step,
            varies,
        })
    }

    /// Returns sentences for the caption if this rate does not hold for all points of the run, or
    /// differs from a rate in `others`.
    pub(crate) fn notes(&self, others: &[Self]) -> Vec<String> {
        let mut notes = Vec::new();
        if self.varies {
            notes.push(format!(
                "Tokens per step vary in {}; its upper axis is right at the last step.",
                self.run
            ));
        }
        for other in others.iter().filter(|o| !same(o.per_step, self.per_step)) {
            notes.push(format!(
                "The upper axis is that of {}, {} tokens per step; {} has {}.",
                self.run,
                self.per_step.round(),
                other.run,
                other.per_step.round()
            ));
        }
        notes
    }
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= SAME * b
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::tests::refused;

    fn points(counts: &[(u64, u64)]) -> Vec<Logged> {
        let point = |&(step, tokens)| Logged {
            step,
            tokens,
            value: 1.0,
        };
        counts.iter().map(point).collect()
    }

    #[test]
    fn the_last_point_gives_the_rate() {
        let points = points(&[(0, 0), (1, 512), (4, 2048)]);
        let rate = TokenRate::of("p", "a", points.iter()).expect("a rate");
        assert!((rate.per_step - 512.0).abs() < 1e-12);
        assert!(rate.notes(&[]).is_empty());
    }

    #[test]
    fn rates_that_vary_or_differ_are_told() {
        let (grown, other) = (points(&[(1, 512), (2, 1536)]), points(&[(2, 2048)]));
        let rate = TokenRate::of("p", "a", grown.iter()).expect("a rate");
        let other = TokenRate::of("p", "b", other.iter()).expect("a rate");
        assert_eq!(
            rate.notes(&[other]),
            [
                "Tokens per step vary in a; its upper axis is right at the last step.",
                "The upper axis is that of a, 768 tokens per step; b has 1024."
            ]
        );
    }

    #[test]
    fn a_run_without_tokens_is_named() {
        let points = points(&[(0, 0), (5, 0)]);
        refused(
            TokenRate::of("p", "a", points.iter()),
            "run `a` has no point after step 0 with a number of tokens",
        );
    }
}
