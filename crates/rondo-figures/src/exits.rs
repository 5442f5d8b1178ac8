//! What adaptive exit measured: quality against work, and where each criterion left the loop.

/// One evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// Mean iterations per token.
    pub iterations: f64,
    /// Perplexity; a number that is not finite is a gap.
    pub perplexity: f64,
}

/// An exit criterion, at one or several thresholds.
#[derive(Clone, Copy, Debug)]
pub struct Criterion<'a> {
    /// Its name, as in `kl`.
    pub name: &'a str,
    /// An evaluation for each threshold.
    pub points: &'a [CurvePoint],
}

/// Perplexity against work, at fixed depths and with adaptive exit.
#[derive(Clone, Copy, Debug)]
pub struct ExitCurve<'a> {
    /// An evaluation for each recurrence depth, in ascending order.
    pub fixed: &'a [CurvePoint],
    /// The criteria.
    pub adaptive: &'a [Criterion<'a>],
}

/// Where one criterion left the loop.
#[derive(Clone, Copy, Debug)]
pub struct ExitSeries<'a> {
    /// The criterion's name.
    pub name: &'a str,
    /// For each token the iteration after which it left, counted from 1.
    pub exits: &'a [usize],
}
