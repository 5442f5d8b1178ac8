//! Counts the kernels that some work launches on a device.

use super::Listed;
use crate::error::Result;

/// The kernels that some work launched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launches {
    /// Each kernel with the number of its launches, most launches first.
    pub by_kernel: Vec<(String, usize)>,
}

impl Launches {
    /// Returns the total number of launches.
    pub fn total(&self) -> usize {
        self.by_kernel.iter().map(|(_, count)| count).sum()
    }
}

impl Listed {
    /// Does `work`, waits for the device and returns the kernels that were launched meanwhile. A
    /// CPU launches none: its operations are functions of this process.
    ///
    /// # Errors
    ///
    /// Those of `work`, and when the device failed.
    pub fn count_launches<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<(T, Launches)> {
        self.sync()?;
        let whole = || {
            let given = work()?;
            self.sync()?;
            Ok(given)
        };
        #[cfg(feature = "cube")]
        {
            let (given, launched) = rondo_cube::launches::of(whole);
            let by_kernel = launched.by_kernel();
            given.map(|given| (given, Launches { by_kernel }))
        }
        #[cfg(not(feature = "cube"))]
        whole().map(|given| (given, Launches::default()))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;

    use crate::device::{DeviceKind, choose_kind};

    #[test]
    fn a_processor_launches_nothing() {
        let (flex, _) = choose_kind(DeviceKind::Flex).expect("flex is always there");
        let work = || Ok(Tensor::<1>::from_data([1.0, 2.0], &flex.device).sum());
        let (sum, launches) = flex.count_launches(work).expect("it does not fail");
        assert_eq!(sum.into_scalar::<f32>().to_bits(), 3.0_f32.to_bits());
        assert_eq!(launches.total(), 0);
    }
}
