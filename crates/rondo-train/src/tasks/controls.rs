//! Controls for a depth curve. The controls show which part of the curve is only due to the
//! calibration of the readout.
//!
//! The readout is trained only at the depths that training draws. At other depths its confidence
//! may be wrong although the state contains the answer. Two maps of the readout's input h are
//! therefore fitted at each depth, on documents that contain no benchmark items:
//!
//! ```text
//! temperature   h / T            minimises the mean loss over T
//! affine        a ⊙ h + b        minimises the mean loss + λ (‖a − 1‖² + ‖b‖²)
//! ```
//!
//! λ is one of 0.1, 0.01 and 0.001: the value with the smallest loss on the last fifth of the
//! tokens. The affine map is then fitted again on all tokens. The method is the Depth Control
//! Protocol (Dau et al. 2026, arXiv 2609.19934). If a control closes most of the gap between a
//! depth and the deepest one, the gap is due to calibration. Otherwise it is due to the iterations.

mod documents;
mod map;
mod sample;

use std::collections::BTreeMap;

use rondo_data::Batch;
use rondo_tasks::report::Control;
use serde::{Deserialize, Serialize};

use self::documents::hidden_states;
pub use self::map::Adjusted;
use self::map::Map;
use self::sample::Sample;
use crate::error::{Error, Result};
use crate::initial_states::InitialStates;
use crate::open_run::OpenRun;

/// The minimum number of tokens in the documents. The maps are fitted on half of the tokens.
const LEAST_TOKENS: usize = 64;

/// The fitted maps of every depth.
#[derive(Clone, Debug)]
pub struct Controls {
    nothing: [Adjusted; 1],
    by_depth: BTreeMap<usize, Vec<Adjusted>>,
    /// The results of the fits, for each depth.
    pub fitted: Vec<Fitted>,
}

/// The maps fitted at a depth, and their losses on tokens that were not used to fit the maps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fitted {
    /// The recurrence depth.
    pub recurrence: usize,
    /// The temperature T.
    pub temperature: f64,
    /// The factor λ of the affine map's penalty.
    pub ridge: f64,
    /// The number of tokens on which the maps were fitted.
    pub fitted_tokens: usize,
    /// The number of tokens over which the losses are averaged.
    pub tokens: usize,
    /// The mean loss without a control, in nats.
    pub loss: f64,
    /// The mean loss with the temperature, in nats.
    pub loss_temperature: f64,
    /// The mean loss with the affine map, in nats.
    pub loss_affine: f64,
    /// The share of the gap between this depth and the deepest one that the temperature closes.
    /// `None` at the deepest depth, and at a depth whose loss is not larger than the loss at the
    /// deepest depth.
    pub closed_by_temperature: Option<f64>,
    /// The share of the same gap that the affine map closes.
    pub closed_by_affine: Option<f64>,
}

impl Controls {
    /// Returns controls without any fitted map.
    pub fn none() -> Self {
        Self {
            nothing: [Adjusted::nothing()],
            by_depth: BTreeMap::new(),
            fitted: Vec::new(),
        }
    }

    /// Returns the maps for a depth. The first one changes nothing; the fitted controls follow.
    pub fn at(&self, depth: usize) -> impl Iterator<Item = &Adjusted> {
        let fitted = self.by_depth.get(&depth).into_iter().flatten();
        self.nothing.iter().chain(fitted)
    }

    /// Fits a temperature and an affine map at each depth. Uses at most `most` tokens of the
    /// batches: the first half to fit the maps, the second half to measure their losses.
    ///
    /// `progress` is called after each depth.
    ///
    /// # Errors
    ///
    /// When there are too few tokens, the device fails, or `progress` returns an error.
    pub fn fit(
        run: &OpenRun<'_>,
        states: &InitialStates,
        depths: &[usize],
        batches: &[Batch],
        most: usize,
        mut progress: impl FnMut() -> Result<()>,
    ) -> Result<Self> {
        let (targets, hidden) = hidden_states(run, states, depths, batches, most)?;
        if targets.len() < LEAST_TOKENS {
            return Err(Error::Usage(format!(
                "--controls: the documents have {} tokens; {LEAST_TOKENS} are the fewest to fit on",
                targets.len()
            )));
        }
        let half = targets.len() / 2;
        let mut controls = Self::none();
        for (depth, hidden) in depths.iter().zip(hidden) {
            let part = |range| Sample::new(run, &hidden, &targets, range);
            let (seen, unseen) = (part(0..half), part(half..targets.len()));
            let width = run.model_config.d_model;
            let temperature = seen.temperature(width)?;
            let (ridge, affine) = seen.affine(width)?;
            let scaled = Map::scaled(width, temperature);
            let device = &run.listed.device;
            controls.by_depth.insert(
                *depth,
                vec![
                    Adjusted::new(Control::Temperature, &scaled, device),
                    Adjusted::new(Control::Affine, &affine, device),
                ],
            );
            controls.fitted.push(Fitted {
                recurrence: *depth,
                temperature,
                ridge,
                fitted_tokens: half,
                tokens: targets.len() - half,
                loss: unseen.loss(&Map::identity(width))?,
                loss_temperature: unseen.loss(&scaled)?,
                loss_affine: unseen.loss(&affine)?,
                closed_by_temperature: None,
                closed_by_affine: None,
            });
            progress()?;
        }
        share_the_gap(&mut controls.fitted);
        Ok(controls)
    }
}

/// Computes for each control the share of the gap to the deepest depth that it closes.
fn share_the_gap(fitted: &mut [Fitted]) {
    let Some((deepest, rest)) = fitted.split_last_mut() else {
        return;
    };
    for one in rest {
        let gap = one.loss - deepest.loss;
        if gap > 0.0 {
            one.closed_by_temperature = Some((one.loss - one.loss_temperature) / gap);
            one.closed_by_affine = Some((one.loss - one.loss_affine) / gap);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(recurrence: usize, loss: f64, loss_temperature: f64, loss_affine: f64) -> Fitted {
        Fitted {
            recurrence,
            temperature: 1.0,
            ridge: 0.1,
            fitted_tokens: 1,
            tokens: 1,
            loss,
            loss_temperature,
            loss_affine,
            closed_by_temperature: None,
            closed_by_affine: None,
        }
    }

    #[test]
    fn shares_are_of_the_gap_to_the_deepest_depth_without_a_control() {
        // The gap at depth 1 is 2. Its controls reduce the loss by 0.5 and by 1.
        let mut all = [
            fitted(1, 5.0, 4.5, 4.0),
            fitted(4, 2.9, 2.9, 2.9),
            fitted(8, 3.0, 2.8, 2.5),
        ];
        share_the_gap(&mut all);
        assert_eq!(
            (all[0].closed_by_temperature, all[0].closed_by_affine),
            (Some(0.25), Some(0.5))
        );
        assert_eq!(
            (all[1].closed_by_affine, all[2].closed_by_affine),
            (None, None)
        );
    }
}
