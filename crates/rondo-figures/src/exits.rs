//! The measurements of adaptive exits: quality against work, and the exits of each criterion.

/// One evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// The mean number of iterations per token.
    pub iterations: f64,
    /// The perplexity. A perplexity that is not finite makes a gap.
    pub perplexity: f64,
}

/// An exit criterion, at one or several thresholds.
#[derive(Clone, Copy, Debug)]
pub struct Criterion<'a> {
    /// The name of the criterion, such as `kl`.
    pub name: &'a str,
    /// An evaluation for each threshold.
    pub points: &'a [CurvePoint],
}

/// Perplexity against work, at fixed depths and with adaptive exits.
#[derive(Clone, Copy, Debug)]
pub struct ExitCurve<'a> {
    /// An evaluation for each recurrence depth, in ascending order.
    pub fixed: &'a [CurvePoint],
    /// The criteria.
    pub adaptive: &'a [Criterion<'a>],
}

/// The exits of one criterion.
#[derive(Clone, Copy, Debug)]
pub struct ExitSeries<'a> {
    /// The criterion's name.
    pub name: &'a str,
    /// For each token, the iteration after which it left the loop, counted from 1.
    pub exits: &'a [usize],
}
