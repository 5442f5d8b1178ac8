//! The target τ: a fixed number, the loss without the penalty (the dense loss) plus a margin, or a
//! percentile of the losses of a warm-up.

use rondo_config::Report;
use rondo_config::report::{at_least_one, finite, positive};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The target τ of the cross entropy, in nats per token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Target {
    /// A fixed number.
    Absolute(Absolute),
    /// The dense loss, which is the loss without the penalty, plus a margin.
    Dense(Dense),
    /// A percentile of the losses of the warm-up.
    Percentile(Percentile),
}

/// `kind = "absolute"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Absolute {
    /// τ.
    pub cross_entropy: f64,
}

/// `kind = "dense"`: τ is the loss without the penalty plus a margin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dense {
    /// The allowed excess over the dense loss.
    pub margin: Margin,
    /// How the dense loss is determined.
    pub loss: DenseLoss,
}

/// The margin above the dense loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Margin {
    /// A number of nats.
    Absolute {
        /// τ − dense loss.
        nats: f64,
    },
    /// A share of the dense loss.
    Relative {
        /// τ / dense loss − 1.
        share: f64,
    },
}

/// How the dense loss is determined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum DenseLoss {
    /// The loss of another run.
    Run {
        /// The directory of the other run.
        run: String,
    },
    /// The mean loss of the warm-up, in which the strength is 0.
    WarmUp(WarmUp),
}

/// The warm-up: the observations before the controller starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WarmUp {
    /// The number of observations.
    pub observations: usize,
}

/// `kind = "percentile"`: τ is the smallest loss of a warm-up that at least this percentage of the
/// warm-up's losses do not exceed. The strength is 0 in the warm-up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Percentile {
    /// The percentage: 0 gives the smallest loss of the warm-up, 100 the largest.
    pub percentile: f64,
    /// The number of observations in the warm-up.
    pub observations: usize,
}

impl Default for Target {
    fn default() -> Self {
        Self::Dense(Dense::default())
    }
}

impl Default for Margin {
    fn default() -> Self {
        Self::Relative { share: 0.01 }
    }
}

impl Default for DenseLoss {
    fn default() -> Self {
        Self::WarmUp(WarmUp::default())
    }
}

impl Default for WarmUp {
    fn default() -> Self {
        Self { observations: 100 }
    }
}

impl Default for Percentile {
    fn default() -> Self {
        Self {
            percentile: 50.0,
            observations: 100,
        }
    }
}

impl Margin {
    /// Returns the target for a dense loss.
    fn above(self, loss: f64) -> f64 {
        match self {
            Self::Absolute { nats } => loss + nats,
            Self::Relative { share } => loss + share * loss,
        }
    }
}

impl Target {
    /// Returns the target at the start of the run, or `None` if the target needs a warm-up.
    /// `dense_loss` is the given loss without the penalty.
    pub(crate) fn at_start(&self, dense_loss: Option<f64>) -> Option<f64> {
        match self {
            Self::Absolute(target) => Some(target.cross_entropy),
            Self::Dense(Dense {
                margin,
                loss: DenseLoss::Run { .. },
            }) => dense_loss.map(|loss| margin.above(loss)),
            Self::Dense(_) | Self::Percentile(_) => None,
        }
    }

    /// Returns the directory of the run whose loss determines the target, if there is one.
    pub fn dense_run(&self) -> Option<&str> {
        match self {
            Self::Dense(Dense {
                loss: DenseLoss::Run { run },
                ..
            }) => Some(run),
            _ => None,
        }
    }

    /// Returns the target if `losses` has all losses of the warm-up, and `None` before that.
    pub(crate) fn after_warm_up(&self, losses: &[f64]) -> Option<f64> {
        match self {
            Self::Dense(Dense {
                margin,
                loss: DenseLoss::WarmUp(warm_up),
            }) if losses.len() >= warm_up.observations => Some(margin.above(mean(losses))),
            Self::Percentile(target) if losses.len() >= target.observations => {
                percentile(losses, target.percentile)
            }
            Self::Absolute(_) | Self::Dense(_) | Self::Percentile(_) => None,
        }
    }

    /// Reports every violation, each with its key.
    pub(crate) fn validate(&self, report: Report<'_>) {
        match self {
            Self::Absolute(target) => positive("cross_entropy", target.cross_entropy, report),
            Self::Dense(target) => {
                match target.margin {
                    Margin::Absolute { nats } => finite("margin.nats", nats, report),
                    Margin::Relative { share } => finite("margin.share", share, report),
                }
                if let DenseLoss::WarmUp(warm_up) = &target.loss {
                    at_least_one("loss.observations", warm_up.observations, report);
                }
            }
            Self::Percentile(target) => {
                let percentile = target.percentile;
                if !(0.0..=100.0).contains(&percentile) {
                    report(
                        "percentile",
                        format!("must be from 0 to 100, found {percentile}"),
                    );
                }
                at_least_one("observations", target.observations, report);
            }
        }
    }
}

/// Returns the mean of finite numbers. It never computes their sum, which could be infinite.
fn mean(losses: &[f64]) -> f64 {
    (1_u32..).zip(losses).fold(0.0, |mean, (count, loss)| {
        let share = 1.0 / f64::from(count);
        (1.0 - share) * mean + share * loss
    })
}

/// Returns the smallest loss that at least `percentile` percent of the losses do not exceed (the
/// nearest-rank method).
fn percentile(losses: &[f64], percentile: f64) -> Option<f64> {
    let mut sorted = losses.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (percentile / 100.0 * losses.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: Option<f64>, b: f64) -> bool {
        a.is_some_and(|a| (a - b).abs() < 1e-12)
    }

    #[test]
    fn a_margin_is_added_or_multiplied() {
        assert!(near(Some(Margin::Absolute { nats: 0.5 }.above(2.0)), 2.5));
        assert!(near(Some(Margin::Relative { share: 0.1 }.above(2.0)), 2.2));
    }

    #[test]
    fn a_given_loss_makes_the_target_at_once_and_nothing_else_does_later() {
        let target = Target::Dense(Dense {
            margin: Margin::Absolute { nats: 0.25 },
            loss: DenseLoss::Run {
                run: "runs/main".to_owned(),
            },
        });
        assert!(target.dense_run().is_some() && near(target.at_start(Some(2.0)), 2.25));
        assert_eq!(target.at_start(None), None);
        assert_eq!(target.after_warm_up(&[1.0; 1000]), None);
    }

    #[test]
    fn a_warm_up_is_averaged_once_it_is_whole() {
        let target = Target::Dense(Dense {
            margin: Margin::Relative { share: 0.5 },
            loss: DenseLoss::WarmUp(WarmUp { observations: 3 }),
        });
        assert_eq!(target.after_warm_up(&[1.0, 2.0]), None);
        assert!(near(target.after_warm_up(&[1.0, 2.0, 6.0]), 4.5));
        assert!(mean(&[f64::MAX, f64::MAX, f64::MAX]).is_finite());
    }

    #[test]
    fn a_percentile_is_a_loss_that_occurred() {
        let losses = [5.0, 1.0, 4.0, 2.0, 3.0];
        for (percent, loss) in [
            (0.0, 1.0),
            (20.0, 1.0),
            (21.0, 2.0),
            (50.0, 3.0),
            (100.0, 5.0),
        ] {
            assert!(near(percentile(&losses, percent), loss), "{percent}");
        }
    }
}
