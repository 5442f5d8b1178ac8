//! The routines with which a GPU can multiply matrices, prepared for timing.

#[cfg(feature = "cube")]
use burn::tensor::{Distribution, Tensor};
#[cfg(feature = "cube")]
use rondo_cube::primitive::{self, Cube};
#[cfg(feature = "cube")]
use rondo_cube::product::{Routine, chosen_for, product_by, transposed};

use super::Listed;

/// The shape of a product of f32 matrices, `[rows, inner] · [inner, columns]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProductShape {
    /// The number of rows of the result.
    pub rows: usize,
    /// The length of the dimension that is summed over.
    pub inner: usize,
    /// The number of columns of the result.
    pub columns: usize,
    /// The factor that is stored as its transpose.
    pub turned: Turned,
}

/// Which factor of a product is stored as its transpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// Neither.
    Neither,
    /// The first factor.
    Left,
    /// The second factor.
    Right,
}

/// A routine, prepared to compute one product.
pub struct ProductRoutine {
    /// The name of the routine.
    pub name: &'static str,
    /// Whether the device chooses this routine for the product.
    pub is_chosen: bool,
    /// Starts the computation of the product, without waiting for the device. Returns whether the
    /// device supports the routine.
    pub run: Box<dyn Fn() -> bool>,
}

impl ProductShape {
    /// Returns the number of multiplications and additions of the product.
    pub fn flops(self) -> f64 {
        2.0 * (self.rows * self.inner) as f64 * self.columns as f64
    }
}

impl Listed {
    /// Returns the name under which the table of routines lists this device. `None` for a CPU.
    pub fn adapter(&self) -> Option<&'static str> {
        #[cfg(feature = "cube")]
        if let Some(device) = self.cube_device() {
            return Some(rondo_cube::product::Adapter::of(&device).name());
        }
        None
    }

    /// Returns every routine that can compute a product of this shape. The factors are random
    /// numbers. The list is empty for a CPU, which has only one routine.
    pub fn product_routines(&self, shape: ProductShape) -> Vec<ProductRoutine> {
        #[cfg(feature = "cube")]
        if !self.reads_are_free() {
            return self.routines(shape);
        }
        let _ = shape;
        Vec::new()
    }

    #[cfg(feature = "cube")]
    fn routines(&self, shape: ProductShape) -> Vec<ProductRoutine> {
        let ProductShape {
            rows,
            inner,
            columns,
            turned,
        } = shape;
        let matrix = |first, second| {
            let x = Tensor::<2>::random([first, second], Distribution::Default, &self.device);
            let x = x.try_into_primitive::<Cube>();
            primitive::float(x.expect("a tensor of CubeCL outside the graph"))
        };
        let a = match turned {
            Turned::Left => transposed(&matrix(inner, rows)),
            Turned::Neither | Turned::Right => matrix(rows, inner),
        };
        let b = match turned {
            Turned::Right => transposed(&matrix(columns, inner)),
            Turned::Neither | Turned::Left => matrix(inner, columns),
        };
        let chosen = chosen_for(&a, &b, self.precision);
        let mut routines = Routine::ALL.to_vec();
        if !routines.contains(&chosen) {
            routines.push(chosen);
        }
        let ready = |routine: Routine| {
            let (a, b) = (a.clone(), b.clone());
            ProductRoutine {
                name: routine.name(),
                is_chosen: routine == chosen,
                run: Box::new(move || product_by(routine, a.clone(), b.clone()).is_some()),
            }
        };
        routines.into_iter().map(ready).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{DeviceKind, choose_kind};

    const SHAPE: ProductShape = ProductShape {
        rows: 3,
        inner: 5,
        columns: 7,
        turned: Turned::Left,
    };

    #[test]
    fn a_processor_has_no_routines_to_choose_from() {
        let (flex, _) = choose_kind(DeviceKind::Flex).expect("flex is always there");
        assert!(flex.product_routines(SHAPE).is_empty());
        assert_eq!(flex.adapter(), None);
        assert_eq!(SHAPE.flops().to_bits(), 210.0_f64.to_bits());
    }

    #[cfg(feature = "wgpu")]
    #[test]
    fn a_gpu_takes_one_of_its_routines_and_all_can_be_run() {
        let Ok((wgpu, _)) = choose_kind(DeviceKind::Wgpu) else {
            return;
        };
        for turned in [Turned::Neither, Turned::Left, Turned::Right] {
            let routines = wgpu.product_routines(ProductShape { turned, ..SHAPE });
            let chosen = routines.iter().filter(|routine| routine.is_chosen);
            assert_eq!(chosen.count(), 1);
            assert!(routines.iter().all(|routine| (routine.run)()));
        }
        wgpu.sync().expect("the products are computed");
        assert!(wgpu.adapter().is_some());
    }
}
