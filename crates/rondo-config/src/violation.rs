//! A problem, its place in the text, and its printed form.

use std::fmt;
use std::ops::Deref;

/// The width to which printed violations are wrapped, in columns.
const COLUMNS: usize = 80;

/// Where a key was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A line of the document's text, counted from 1.
    File {
        /// The line number.
        line: usize,
    },
    /// A line of a base document.
    Base {
        /// The name of the base document in messages.
        name: String,
        /// The line number.
        line: usize,
    },
    /// The command line.
    Override {
        /// The assignment as typed, `a.b=value`.
        text: String,
    },
    /// Nowhere: neither the key nor its section is written.
    Missing,
}

/// One problem of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The dotted key; array elements are given by their index. Empty if the text is not TOML.
    pub key: String,
    /// The place of the key, or of the nearest section around the key that is written.
    pub origin: Origin,
    /// The problem, in lower case and without the key.
    pub message: String,
    /// The word that the user probably meant.
    pub suggestion: Option<String>,
}

impl Violation {
    fn label(&self) -> String {
        match &self.origin {
            Origin::File { line } => format!("line {line}"),
            Origin::Base { name, line } => format!("{name} line {line}"),
            Origin::Override { .. } => "--set".to_owned(),
            Origin::Missing => "not set".to_owned(),
        }
    }

    /// The sorting order: by line, then missing keys, then overrides in the order given.
    fn rank(&self) -> (u8, usize) {
        match self.origin {
            Origin::File { line } => (0, line),
            Origin::Base { line, .. } => (1, line),
            Origin::Missing => (2, 0),
            Origin::Override { .. } => (3, 0),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Override { text } => {
                write!(out, "{text}: ")?;
                let assigned = text.split_once('=').map_or("", |(key, _)| key.trim());
                if !self.key.is_empty() && self.key != assigned {
                    write!(out, "{}: ", self.key)?;
                }
            }
            Origin::File { .. } | Origin::Base { .. } | Origin::Missing if self.key.is_empty() => {}
            Origin::File { .. } | Origin::Base { .. } | Origin::Missing => {
                write!(out, "{}: ", self.key)?;
            }
        }
        out.write_str(&self.message)?;
        match &self.suggestion {
            Some(word) => write!(out, "; did you mean `{word}`?"),
            None => Ok(()),
        }
    }
}

/// All problems of one configuration, sorted by line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violations {
    name: String,
    list: Vec<Violation>,
}

impl Violations {
    /// Collects the violations of the configuration `name` and sorts them by line.
    pub fn new(name: &str, mut list: Vec<Violation>) -> Self {
        list.sort_by_key(Violation::rank);
        Self {
            name: name.to_owned(),
            list,
        }
    }
}

impl Deref for Violations {
    type Target = [Violation];

    fn deref(&self) -> &[Violation] {
        &self.list
    }
}

impl std::error::Error for Violations {}

impl fmt::Display for Violations {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.len() == 1 {
            "problem"
        } else {
            "problems"
        };
        write!(out, "{}: {} {noun}", self.name, self.len())?;
        let width = self
            .iter()
            .map(|violation| violation.label().len())
            .max()
            .unwrap_or(0);
        for violation in self.iter() {
            write!(out, "\n  {:<width$}  ", violation.label())?;
            write_wrapped(out, &violation.to_string(), width + 4)?;
        }
        Ok(())
    }
}

/// Writes words up to column [`COLUMNS`]; further lines start at column `indent`.
fn write_wrapped(out: &mut fmt::Formatter<'_>, text: &str, indent: usize) -> fmt::Result {
    let mut column = indent;
    for (index, word) in text.split_whitespace().enumerate() {
        let width = word.chars().count();
        if index > 0 && column + 1 + width > COLUMNS {
            write!(out, "\n{:indent$}", "")?;
            column = indent;
        } else if index > 0 {
            out.write_str(" ")?;
            column += 1;
        }
        if indent + width > COLUMNS {
            // A word too long for a line is probably a pasted value; its start identifies it.
            write!(
                out,
                "{}...",
                word.chars()
                    .take(COLUMNS.saturating_sub(indent + 3))
                    .collect::<String>()
            )?;
        } else {
            out.write_str(word)?;
        }
        column += width;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violation(key: &str, origin: Origin, message: &str, suggestion: Option<&str>) -> Violation {
        let suggestion = suggestion.map(str::to_owned);
        Violation {
            key: key.to_owned(),
            origin,
            message: message.to_owned(),
            suggestion,
        }
    }

    #[test]
    fn violations_print_sorted_aligned_and_within_eighty_columns() {
        let set = |text: &str| Origin::Override {
            text: text.to_owned(),
        };
        let variant = "unknown variant \"adan\" (one of raven-adam, adamw, muon)";
        let violations = Violations::new(
            "configs/main.toml",
            vec![
                violation(
                    "optimizer.kind",
                    set("optimizer.kind=adan"),
                    variant,
                    Some("adamw"),
                ),
                violation("a.b", set("a={b=1}"), "unknown key", None),
                violation("data.path", Origin::Missing, "a value is required", None),
                violation(
                    "train.steps",
                    Origin::File { line: 14 },
                    "expected a number",
                    None,
                ),
                violation(
                    "modle",
                    Origin::File { line: 2 },
                    "unknown key",
                    Some("model"),
                ),
            ],
        );
        assert_eq!(
            violations.to_string(),
            "configs/main.toml: 5 problems
  line 2   modle: unknown key; did you mean `model`?
  line 14  train.steps: expected a number
  not set  data.path: a value is required
  --set    optimizer.kind=adan: unknown variant \"adan\" (one of raven-adam,
           adamw, muon); did you mean `adamw`?
  --set    a={b=1}: a.b: unknown key"
        );
    }
}
