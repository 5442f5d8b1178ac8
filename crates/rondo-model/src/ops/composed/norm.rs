//! The root-mean-square norm.

use burn::tensor::Tensor;
use rondo_kernels::norm::Norm;

/// See [`crate::ops::Operations::norm`].
pub(crate) fn norm(norm: Norm, x: Tensor<3>, scale: Option<Tensor<1>>) -> Tensor<3> {
    let mean_square = x.clone().square().mean_dim(2);
    let normed = x / (mean_square + norm.eps).sqrt();
    match scale {
        Some(scale) => normed * scale.unsqueeze(),
        None => normed,
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn values(x: Tensor<3>) -> Vec<f32> {
        x.into_data().iter().collect()
    }

    #[test]
    fn the_norm_makes_the_mean_square_one() {
        let x = Tensor::<3>::from_data([[[3.0, 4.0]]], &Device::flex());
        let y = values(norm(Norm { eps: 0.0 }, x.clone(), None));
        let root = 12.5_f32.sqrt();
        assert!((y[0] - 3.0 / root).abs() < 1e-6 && (y[1] - 4.0 / root).abs() < 1e-6);
        let scale = Tensor::<1>::from_data([2.0, 1.0], &Device::flex());
        let scaled = values(norm(Norm { eps: 0.0 }, x, Some(scale)));
        assert!((scaled[0] - 2.0 * y[0]).abs() < 1e-6);
    }
}
