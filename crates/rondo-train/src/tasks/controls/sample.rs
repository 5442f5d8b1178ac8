//! Fits the maps of a depth on the tokens of documents.

use burn::tensor::{Device, Int, Tensor, TensorData};
use rondo_model::ops::{head_cross_entropy, head_losses};
use rondo_tasks::minimise::minimise;
use rondo_tasks::report::Control;

use super::map::{Adjusted, Map};
use crate::error::{Error, Result};
use crate::open_run::OpenRun;
use crate::step::read;

/// The values of λ that are tried for the affine map.
const RIDGES: [f64; 3] = [1e-1, 1e-2, 1e-3];
/// The maximum number of optimization steps of a fit.
const STEPS: usize = 20;
/// The maximum temperature. At higher temperatures, predictions are practically uniform.
const HOTTEST: f64 = 1e3;

/// Tokens of documents, and the readout's input at the positions that predict these tokens.
pub(super) struct Sample<'a> {
    run: &'a OpenRun<'a>,
    /// The readout's input at one depth, `[1, tokens, d_model]`.
    hidden: Tensor<3>,
    targets: &'a [i32],
}

impl<'a> Sample<'a> {
    pub(super) fn new(
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

    /// Returns the mean loss with a map, in nats.
    pub(super) fn loss(&self, map: &Map) -> Result<f64> {
        let targets = self.targets(&self.run.listed.device);
        let losses = head_losses(self.adjusted(map), self.run.model.head(), targets, false);
        let losses = read(losses.losses)?;
        Ok(losses.iter().copied().map(f64::from).sum::<f64>() / losses.len() as f64)
    }

    /// Returns the mean loss with a map, and its gradient: first by the factors, then by the
    /// offsets.
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
    pub(super) fn temperature(&self, width: usize) -> Result<f64> {
        let found = minimise(vec![0.0], STEPS, 1e-6, |ln_t: &[f64]| {
            let factor = f64::exp(-ln_t[0]);
            let (loss, slope) = self.slope(&Map::scaled(width, 1.0 / factor))?;
            let by_factor: f64 = slope[..width].iter().sum();
            Ok::<_, Error>((loss, vec![-factor * by_factor]))
        })?;
        Ok(found.at[0].exp().min(HOTTEST))
    }

    /// Returns the best λ, and the affine map that was fitted with it.
    pub(super) fn affine(&self, width: usize) -> Result<(f64, Map)> {
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
