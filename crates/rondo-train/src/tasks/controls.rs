//! Controls of a depth curve: what of it is only the readout's calibration.
//!
//! The readout is trained at the depths that training draws. At another depth its confidence may be wrong although the state
//! holds the answer. Two maps of the readout's input h are fitted at each depth, on documents that hold no item:
//!
//! ```text
//! temperature   h / T            minimises the mean loss over T
//! affine        a ⊙ h + b        minimises the mean loss + λ (‖a − 1‖² + ‖b‖²)
//! ```
//!
//! λ is the one of 0.1, 0.01 and 0.001 with the smallest loss on the last fifth of the tokens; the maps are then fitted on
//! all of them. Dau et al. 2026, arXiv 2609.19934, the Depth Control Protocol. Where a control closes most of the gap between
//! a depth and the deepest, the depth curve shows calibration; where the gap stays, it shows iterations.

use std::collections::BTreeMap;

use burn::tensor::{Device, Int, Tensor, TensorData};
use rondo_data::{Batch, IGNORE};
use rondo_model::looped::Readout;
use rondo_model::ops::{head_cross_entropy, head_losses};
use rondo_model::pass::Pass;
use rondo_tasks::minimise::minimise;
use rondo_tasks::report::Control;
use serde::Serialize;

use super::scored::{passes, scored_positions};
use crate::error::{Error, Result};
use crate::initial_states::InitialStates;
use crate::open_run::OpenRun;
use crate::step::read;

/// Strengths that the affine map is tried with.
const RIDGES: [f64; 3] = [1e-1, 1e-2, 1e-3];
/// Steps of a fit, at most.
const STEPS: usize = 20;
/// A temperature beyond which a prediction is as good as uniform.
const HOTTEST: f64 = 1e3;
/// Tokens of documents, at least: half of them are fitted on.
const LEAST_TOKENS: usize = 64;

/// What is done to a readout before its loss is taken.
#[derive(Clone, Debug)]
pub struct Adjusted {
    /// Which control this is.
    pub control: Control,
    /// Factor and offset of each feature, `[1, 1, d_model]`.
    map: Option<[Tensor<3>; 2]>,
}

impl Adjusted {
    /// Leaves the readout as it is.
    fn nothing() -> Self {
        Self {
            control: Control::None,
            map: None,
        }
    }

    fn new(control: Control, map: &Map, device: &Device) -> Self {
        let tensor = |values: &[f64]| {
            let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
            let width = values.len();
            Tensor::from_data(TensorData::new(values, [1, 1, width]), device)
        };
        Self {
            control,
            map: Some([tensor(&map.factor), tensor(&map.offset)]),
        }
    }

    /// Returns the input of the head.
    pub fn apply(&self, hidden: Tensor<3>) -> Tensor<3> {
        match &self.map {
            None => hidden,
            Some([factor, offset]) => hidden * factor.clone() + offset.clone(),
        }
    }
}

/// The maps of every depth.
#[derive(Clone, Debug)]
pub struct Controls {
    nothing: [Adjusted; 1],
    by_depth: BTreeMap<usize, Vec<Adjusted>>,
    /// What was fitted at each depth.
    pub fitted: Vec<Fitted>,
}

/// What was fitted at a depth, and what it brings on tokens that nothing was fitted on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fitted {
    /// The depth.
    pub recurrence: usize,
    /// T.
    pub temperature: f64,
    /// λ of the affine map.
    pub ridge: f64,
    /// Tokens that were fitted on.
    pub fitted_tokens: usize,
    /// Tokens that the losses are means over.
    pub tokens: usize,
    /// Mean loss without a control, nats.
    pub loss: f64,
    /// With the temperature.
    pub loss_temperature: f64,
    /// With the affine map.
    pub loss_affine: f64,
    /// The share of the gap to the deepest depth that the temperature closes; none at that depth, and where the depth is not
    /// worse.
    pub closed_by_temperature: Option<f64>,
    /// The share that the affine map closes.
    pub closed_by_affine: Option<f64>,
}

impl Controls {
    /// Fits nothing.
    pub fn none() -> Self {
        Self {
            nothing: [Adjusted::nothing()],
            by_depth: BTreeMap::new(),
            fitted: Vec::new(),
        }
    }

    /// Returns what is done at a depth: nothing first, then each control.
    pub fn at(&self, depth: usize) -> impl Iterator<Item = &Adjusted> {
        let fitted = self.by_depth.get(&depth).into_iter().flatten();
        self.nothing.iter().chain(fitted)
    }

    /// Fits temperature and affine map at each depth on the first half of the batches' tokens, and measures them on the
    /// second half; at most `most` tokens in all.
    ///
    /// `progress` is called after each depth.
    ///
    /// # Errors
    ///
    /// Where there are too few tokens, the device fails, or `progress` says so.
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

/// Computes which share of the gap to the deepest depth each control closes.
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

/// Returns the targets of documents and, for each depth, the readout's input at each of them, `[1, tokens, d_model]`.
fn hidden_states(
    run: &OpenRun<'_>,
    states: &InitialStates,
    depths: &[usize],
    batches: &[Batch],
    most: usize,
) -> Result<(Vec<i32>, Vec<Tensor<3>>)> {
    let (config, device) = (&run.model_config, &run.listed.device);
    let mut targets: Vec<i32> = Vec::new();
    let mut hidden: Vec<Vec<Tensor<3>>> = vec![Vec::new(); depths.len()];
    let mut first_sequence = 0;
    for batch in batches {
        let room = most - targets.len();
        let places: Vec<i32> = (0..)
            .zip(&batch.targets)
            .filter(|(_, target)| **target != IGNORE)
            .map(|(place, _)| place)
            .take(room)
            .collect();
        if places.is_empty() {
            break;
        }
        targets.extend(
            places
                .iter()
                .map(|place| batch.targets[*place as usize] as i32),
        );
        let shape = [batch.batch, batch.seq];
        let inputs: Vec<i32> = batch.inputs.iter().map(|id| *id as i32).collect();
        let inputs = Tensor::from_data(TensorData::new(inputs, shape), device);
        let count = places.len();
        let places: Tensor<1, Int> = Tensor::from_data(TensorData::new(places, [count]), device);
        let pass = Pass::new(config, batch.seq, device);
        for together in passes(config, depths) {
            let state = states.at(config, first_sequence, 0, shape, device)?;
            let visit = |depth: usize, readout: Readout| {
                let place = depths.iter().position(|other| *other == depth);
                let found = scored_positions(readout.hidden, shape, places.clone());
                if let Some(place) = place {
                    hidden[place].push(found);
                }
            };
            run.model
                .forward_at_depths(inputs.clone(), state, &pass, &together, visit);
        }
        first_sequence += batch.batch as u64;
    }
    let hidden = hidden.into_iter().map(|parts| match parts.is_empty() {
        true => Tensor::zeros([1, 0, config.d_model], device),
        false => Tensor::cat(parts, 1),
    });
    Ok((targets, hidden.collect()))
}

/// Factor and offset of each feature.
#[derive(Clone, Debug, PartialEq)]
struct Map {
    factor: Vec<f64>,
    offset: Vec<f64>,
}

impl Map {
    fn identity(width: usize) -> Self {
        Self::scaled(width, 1.0)
    }

    /// Divides by a temperature.
    fn scaled(width: usize, temperature: f64) -> Self {
        Self {
            factor: vec![1.0 / temperature; width],
            offset: vec![0.0; width],
        }
    }

    /// Takes factors and offsets from one list.
    fn of(values: &[f64]) -> Self {
        let (factor, offset) = values.split_at(values.len() / 2);
        Self {
            factor: factor.to_vec(),
            offset: offset.to_vec(),
        }
    }

    fn into_list(self) -> Vec<f64> {
        [self.factor, self.offset].concat()
    }

    /// Returns ‖a − 1‖² + ‖b‖².
    fn distance(&self) -> f64 {
        let factors = self.factor.iter().map(|a| (a - 1.0) * (a - 1.0));
        let offsets = self.offset.iter().map(|b| b * b);
        factors.chain(offsets).sum()
    }
}

/// Tokens with the readout's input at a depth.
struct Sample<'a> {
    run: &'a OpenRun<'a>,
    /// `[1, tokens, d_model]`.
    hidden: Tensor<3>,
    targets: &'a [i32],
}

impl<'a> Sample<'a> {
    fn new(
        run: &'a OpenRun<'a>,
        hidden: &Tensor<3>,
        targets: &'a [i32],
        range: std::ops::Range<usize>,
    ) -> Self {
        let width = hidden.dims()[2];
        Self {
            run,
            hidden: hidden.clone().slice([0..1, range.clone(), 0..width]),
            targets: &targets[range],
        }
    }

    fn targets(&self, device: &Device) -> Tensor<2, Int> {
        let data = TensorData::new(self.targets.to_vec(), [1, self.targets.len()]);
        Tensor::from_data(data, device)
    }

    fn adjusted(&self, map: &Map) -> Tensor<3> {
        let device = &self.run.listed.device;
        Adjusted::new(Control::Affine, map, device).apply(self.hidden.clone())
    }

    /// Returns the mean loss, nats.
    fn loss(&self, map: &Map) -> Result<f64> {
        let targets = self.targets(&self.run.listed.device);
        let losses = head_losses(self.adjusted(map), self.run.model.head(), targets, false);
        let losses = read(losses.losses)?;
        Ok(losses.iter().copied().map(f64::from).sum::<f64>() / losses.len() as f64)
    }

    /// Returns the mean loss and its gradient by factors and offsets, one after the other.
    fn slope(&self, map: &Map) -> Result<(f64, Vec<f64>)> {
        let input = self.adjusted(map).autodiff().require_grad();
        let device = self.run.listed.device.clone().autodiff();
        let head = self.run.model.head().in_graph();
        let scored = head_cross_entropy(input.clone(), head, self.targets(&device), None, false);
        let mut gradients = scored.loss.backward();
        let gradient = input.grad_remove(&mut gradients);
        let gradient = gradient.unwrap_or_else(|| self.hidden.zeros_like());
        let width = self.hidden.dims()[2];
        let by_factor = (gradient.clone() * self.hidden.clone())
            .sum_dim(1)
            .reshape([width]);
        let by_offset = gradient.sum_dim(1).reshape([width]);
        let loss = scored.loss.without_autodiff();
        let values = read(Tensor::cat(vec![loss, by_factor, by_offset], 0))?;
        let mut values = values.into_iter().map(f64::from);
        let loss = values.next().unwrap_or(f64::NAN);
        Ok((loss, values.collect()))
    }

    /// Returns the temperature with the smallest loss.
    fn temperature(&self, width: usize) -> Result<f64> {
        let found = minimise(vec![0.0], STEPS, 1e-6, |ln_t: &[f64]| {
            let factor = f64::exp(-ln_t[0]);
            let (loss, slope) = self.slope(&Map::scaled(width, 1.0 / factor))?;
            let by_factor: f64 = slope[..width].iter().sum();
            Ok::<_, Error>((loss, vec![-factor * by_factor]))
        })?;
        Ok(found.at[0].exp().min(HOTTEST))
    }

    /// Returns λ and the affine map.
    fn affine(&self, width: usize) -> Result<(f64, Map)> {
        let cut = self.targets.len() * 4 / 5;
        let part = |range| Sample::new(self.run, &self.hidden, self.targets, range);
        let (most, rest) = (part(0..cut), part(cut..self.targets.len()));
        let mut best = (f64::INFINITY, RIDGES[0]);
        for ridge in RIDGES {
            let loss = rest.loss(&most.ridged(width, ridge)?)?;
            if loss < best.0 {
                best = (loss, ridge);
            }
        }
        Ok((best.1, self.ridged(width, best.1)?))
    }

    fn ridged(&self, width: usize, ridge: f64) -> Result<Map> {
        let start = Map::identity(width).into_list();
        let found = minimise(start, STEPS, 1e-7, |values: &[f64]| {
            let map = Map::of(values);
            let (loss, mut slope) = self.slope(&map)?;
            let from = Map::identity(width).into_list();
            for (slope, (value, from)) in slope.iter_mut().zip(values.iter().zip(from)) {
                *slope += 2.0 * ridge * (value - from);
            }
            Ok::<_, Error>((loss + ridge * map.distance(), slope))
        })?;
        Ok(Map::of(&found.at))
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
        // The gap of depth 1 is 2; its controls bring 0.5 and 1.
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

    #[test]
    fn a_map_is_a_factor_and_an_offset_for_each_feature() {
        let map = Map {
            factor: vec![2.0, 3.0],
            offset: vec![10.0, 20.0],
        };
        assert!((map.distance() - (1.0 + 4.0 + 100.0 + 400.0)).abs() < 1e-12);
        let device = Device::flex();
        let hidden = Tensor::<3>::from_data([[[1.0, 1.0], [2.0, 0.0]]], &device);
        let found = Adjusted::new(Control::Affine, &map, &device).apply(hidden);
        let found: Vec<f32> = found.into_data().iter().collect();
        assert_eq!(found, [12.0, 23.0, 14.0, 20.0]);
        assert_eq!(Map::of(&map.clone().into_list()), map);
    }
}
