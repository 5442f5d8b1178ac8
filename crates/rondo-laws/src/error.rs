//! The errors of fitting a law and of searching a schedule.

/// The errors of this crate: in a curve, in a law's constants, or in a request.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LawError {
    /// A line of a table cannot be read.
    #[error("curve `{curve}`, line {line}: {problem}")]
    Table {
        /// The curve's name.
        curve: String,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A law cannot be applied to the points of a curve or a schedule.
    #[error("curve `{curve}`: {problem}")]
    Curve {
        /// The curve's name.
        curve: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A constant of a law is missing, or the law has no value for it.
    #[error("law {law}: {problem}")]
    Constants {
        /// The law's name.
        law: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The curves together cannot determine the law.
    #[error("cannot fit law {law}: {problem}")]
    Fit {
        /// The law's name.
        law: &'static str,
        /// What is missing.
        problem: String,
    },
    /// No schedule can be searched.
    #[error("cannot search a schedule: {problem}")]
    Search {
        /// Which number is wrong, and what it may be.
        problem: String,
    },
    /// Two lists that belong together differ in length, or have too few pairs.
    #[error("cannot rank: {problem}")]
    Ranks {
        /// What is wrong, and what would be right.
        problem: String,
    },
}
