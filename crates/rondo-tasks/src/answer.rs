//! Decides whether a generated text contains the right answer.

use regex::Regex;

use crate::prompt::is_python_space;

/// How the answer is found in a text.
#[derive(Clone, Debug)]
pub struct Matching {
    /// The expression that finds the answer. The answer is the first group of the first match, or
    /// the whole first match if the expression has no group. Without an expression, the whole text
    /// is the answer.
    pub pattern: Option<Regex>,
}

/// The result of a search for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The answer that was found; `None` if the pattern does not match.
    pub answer: Option<String>,
    /// Whether the answer is right.
    pub exact: bool,
}

impl Matching {
    /// Compiles a regular expression. Without an expression, the whole text is the answer.
    ///
    /// # Errors
    ///
    /// A description of the error in the expression.
    pub fn new(pattern: Option<&str>) -> Result<Self, String> {
        let pattern = pattern.map(Regex::new).transpose();
        Ok(Self {
            pattern: pattern.map_err(|error| {
                // The last line of the error gives the reason; the lines before it show the place.
                let text = error.to_string();
                let reason = text.lines().last().unwrap_or(&text);
                format!(
                    "no regular expression: {}",
                    reason.trim_start_matches("error: ")
                )
            })?,
        })
    }

    /// Compares the answer in a text with the right answers, without the white space around them.
    /// If the pattern also matches in a right answer, as in GSM8K, the answer is compared with that
    /// match.
    pub fn check(&self, text: &str, right: &[String]) -> Found {
        let answer = self.find(text);
        let exact = answer.as_deref().is_some_and(|answer| {
            right.iter().any(|right| {
                answer
                    == self
                        .find(right)
                        .as_deref()
                        .unwrap_or(right.trim_matches(is_python_space))
            })
        });
        Found { answer, exact }
    }

    fn find(&self, text: &str) -> Option<String> {
        let found = match &self.pattern {
            None => text,
            Some(pattern) => {
                let captures = pattern.captures(text)?;
                captures.get(1).or_else(|| captures.get(0))?.as_str()
            }
        };
        Some(found.trim_matches(is_python_space).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: Option<&str>, text: &str, right: &str) -> Found {
        let matching = Matching::new(pattern).expect("an expression");
        matching.check(text, &[right.to_owned()])
    }

    #[test]
    fn without_a_pattern_all_of_the_text_is_the_answer() {
        assert!(check(None, " 42\n", "42").exact);
        assert!(!check(None, "42.", "42").exact);
    }

    #[test]
    fn the_first_group_of_the_first_match_is_compared() {
        let pattern = Some(r"#### (-?[0-9.,]+)");
        let found = check(pattern, "so 6 + 6 = 12\n#### 12\n#### 13", "12");
        assert_eq!(found.answer.as_deref(), Some("12"));
        assert!(found.exact);
        assert!(check(pattern, "#### 12", "6 + 6 = 12\n#### 12").exact);
        assert_eq!(
            check(pattern, "12", "12"),
            Found {
                answer: None,
                exact: false
            }
        );
    }

    #[test]
    fn each_alias_is_right_and_a_wrong_expression_is_told() {
        let matching = Matching::new(Some("[a-z]+")).expect("an expression");
        assert!(
            matching
                .check("four", &["4".to_owned(), "four".to_owned()])
                .exact
        );
        assert!(Matching::new(Some("(")).is_err());
    }
}
