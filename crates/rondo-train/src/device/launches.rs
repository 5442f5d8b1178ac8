//! Counts the kernels that a piece of work launches on a device.

use super::Listed;
use crate::error::Result;

/// The kernels that a piece of work has launched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launches {
    /// The name of each kernel and how often it was launched. The most frequent kernel comes first.
    pub by_kernel: Vec<(String, usize)>,
}

impl Launches {
    /// Returns the total number of launches.
    pub fn total(&self) -> usize {
        self.by_kernel.iter().map(|(_, count)| count).sum()
    }
}

impl Listed {
    /// Does `work` and waits for the device. Returns the result of `work` and the kernels that were
    /// launched. A CPU launches none, because its operations are functions of this process.
    ///
    /// # Errors
    ///
    /// Those of `work`, and when the device fails.
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
