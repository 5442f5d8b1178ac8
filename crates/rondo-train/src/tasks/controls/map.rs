//! Maps of the readout's input, as lists of numbers and as tensors on a device.

use burn::tensor::{Device, Tensor, TensorData};
use rondo_tasks::report::Control;

/// A map that multiplies each feature by a factor and adds an offset.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Map {
    pub(super) factor: Vec<f64>,
    pub(super) offset: Vec<f64>,
}

impl Map {
    pub(super) fn identity(width: usize) -> Self {
        Self::scaled(width, 1.0)
    }

    /// Returns the map that divides every feature by a temperature.
    pub(super) fn scaled(width: usize, temperature: f64) -> Self {
        Self {
            factor: vec![1.0 / temperature; width],
            offset: vec![0.0; width],
        }
    }

    /// Creates a map from a list with all factors, followed by all offsets.
    pub(super) fn of(values: &[f64]) -> Self {
        let (factor, offset) = values.split_at(values.len() / 2);
        Self {
            factor: factor.to_vec(),
            offset: offset.to_vec(),
        }
    }

    pub(super) fn into_list(self) -> Vec<f64> {
        [self.factor, self.offset].concat()
    }

    /// Returns the squared distance from the identity, ‖a − 1‖² + ‖b‖², for factors a and offsets
    /// b.
    pub(super) fn distance(&self) -> f64 {
        let factors = self.factor.iter().map(|a| (a - 1.0) * (a - 1.0));
        let offsets = self.offset.iter().map(|b| b * b);
        factors.chain(offsets).sum()
    }
}

/// A map on a device. It is applied to the readout's input before the loss is computed.
#[derive(Clone, Debug)]
pub struct Adjusted {
    /// The control that the map is a part of.
    pub control: Control,
    /// The factor and the offset of each feature, `[1, 1, d_model]`. `None` changes nothing.
    map: Option<[Tensor<3>; 2]>,
}

impl Adjusted {
    /// Returns the map that changes nothing.
    pub(super) fn nothing() -> Self {
        Self {
            control: Control::None,
            map: None,
        }
    }

    pub(super) fn new(control: Control, map: &Map, device: &Device) -> Self {
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

    /// Returns the input of the head: `hidden` after the map.
    pub fn apply(&self, hidden: Tensor<3>) -> Tensor<3> {
        match &self.map {
            None => hidden,
            Some([factor, offset]) => hidden * factor.clone() + offset.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
