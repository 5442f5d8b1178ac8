//! The states of a trace: the state of every token at every iteration. The states are checked
//! before a picture is drawn.

use crate::error::FigureError;
use crate::font;

/// The states `s_0 … s_N` of some tokens.
#[derive(Clone, Copy, Debug)]
pub struct Trajectories<'a> {
    /// For each iteration 0 to N, the states of all tokens: `[tokens, d_model]`, row major.
    pub states: &'a [Vec<f32>],
    /// The number of tokens.
    pub tokens: usize,
    /// The width of a state.
    pub d_model: usize,
    /// The text of each token, if it is known.
    pub labels: Option<&'a [String]>,
}

impl<'a> Trajectories<'a> {
    /// Returns N, the number of the last iteration.
    pub(crate) fn last(&self) -> usize {
        self.states.len() - 1
    }

    /// Returns the state of a token at an iteration.
    pub(crate) fn state(&self, iteration: usize, token: usize) -> &'a [f32] {
        &self.states[iteration][token * self.d_model..(token + 1) * self.d_model]
    }

    /// Returns a token's text, if it is known.
    pub(crate) fn text(&self, token: usize) -> Option<&'a str> {
        self.labels.map(|labels| labels[token].as_str())
    }

    /// Returns the label of a token in a picture: its text, or its position if the text is not
    /// known.
    pub(crate) fn label(&self, token: usize) -> String {
        match self.text(token) {
            Some(text) => font::token_label(text),
            None => token.to_string(),
        }
    }

    /// Checks, for the picture with this name, that all lengths agree and every number is finite.
    ///
    /// # Errors
    /// [`FigureError::Empty`] without tokens, with states of width 0, or without an iteration
    /// after the initial state; [`FigureError::Length`] if an iteration or the labels have another
    /// size; [`FigureError::Range`] for a state that is not finite.
    pub(crate) fn check(&self, picture: &'static str) -> Result<(), FigureError> {
        if self.states.len() < 2 {
            let reason = "the trace has no iteration after the initial state";
            return Err(FigureError::empty(picture, reason));
        }
        if self.tokens == 0 || self.d_model == 0 {
            let reason = "the trace has no tokens, or states of width 0";
            return Err(FigureError::empty(picture, reason));
        }
        let length = |what: String, expected: usize, found: usize| match expected == found {
            true => Ok(()),
            false => Err(FigureError::Length {
                picture,
                what,
                expected,
                found,
            }),
        };
        let numbers = self.tokens.saturating_mul(self.d_model);
        for (iteration, states) in self.states.iter().enumerate() {
            let what = format!(
                "states of iteration {iteration} ({} tokens of width {})",
                self.tokens, self.d_model
            );
            length(what, numbers, states.len())?;
            if let Some(index) = states.iter().position(|x| !x.is_finite()) {
                let (token, feature) = (index / self.d_model, index % self.d_model);
                let what =
                    format!("state of iteration {iteration}, token {token}, feature {feature}");
                return Err(FigureError::range(picture, what, "finite", &states[index]));
            }
        }
        let labels = self.labels.map_or(self.tokens, <[String]>::len);
        length("labels of tokens".into(), self.tokens, labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::tests::refused;

    #[test]
    fn what_does_not_fit_together_is_told_by_name() {
        let check = |states: &[Vec<f32>], labels| {
            let (tokens, d_model) = (2, 2);
            Trajectories {
                states,
                tokens,
                d_model,
                labels,
            }
            .check("orbits")
        };
        let state = || vec![0.0; 4];
        refused(
            check(&[state()], None),
            "picture orbits: nothing to draw: the trace has no iteration after the initial state",
        );
        refused(
            check(&[state(), vec![0.0; 3]], None),
            "picture orbits: states of iteration 1 (2 tokens of width 2): expected 4, found 3",
        );
        refused(
            check(&[state(), vec![0.0, 0.0, 0.0, f32::NAN]], None),
            "picture orbits: state of iteration 1, token 1, feature 1: must be finite, found NaN",
        );
        refused(
            check(&[state(), state()], Some(&["a".into()])),
            "picture orbits: labels of tokens: expected 2, found 1",
        );
    }

    #[test]
    fn a_trace_without_tokens_is_empty() {
        let trajectories = Trajectories {
            states: &[Vec::new(), Vec::new()],
            tokens: 0,
            d_model: 4,
            labels: None,
        };
        let error = trajectories.check("convergence").expect_err("a refusal");
        assert!(matches!(error, FigureError::Empty { .. }), "{error}");
    }
}
