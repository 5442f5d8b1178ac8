//! Chooses the routine for a product of f32 tensors. The choice depends only on the kind of the
//! device and on the form of the product. So the first product needs no tuning, and a product has
//! the same bits in every run.

use cubecl::client::Client;
use cubecl::device::{WgpuDevice, WgpuDeviceKind};

use super::routine::{Routine, Stages, Tile};
use crate::primitive::CubeDevice;
use crate::tensor::CubeTensor;

/// The kind of a device. The choice of a routine distinguishes only these kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adapter {
    /// A driver that computes on the processor, such as Mesa's llvmpipe.
    Software,
    /// A GPU that shares the processor's memory, with tens of cores.
    Integrated,
    /// A graphics card, with about a hundred cores.
    Discrete,
}

impl Adapter {
    /// Returns the kind of a device.
    pub fn of(device: &CubeDevice) -> Self {
        Self::with_client(device, &device.client())
    }

    pub(super) fn of_tensor(x: &CubeTensor) -> Self {
        Self::with_client(&x.device, &x.client)
    }

    fn with_client(device: &CubeDevice, client: &Client) -> Self {
        if client.properties().identity.physical.is_none() {
            return Self::Software;
        }
        let integrated = matches!(
            device,
            CubeDevice::Wgpu(WgpuDevice {
                kind: WgpuDeviceKind::IntegratedGpu(_),
                ..
            }) | CubeDevice::Metal(_)
        );
        if integrated {
            Self::Integrated
        } else {
            Self::Discrete
        }
    }

    /// Returns the name that benchmarks print.
    pub fn name(self) -> &'static str {
        match self {
            Self::Software => "software",
            Self::Integrated => "integrated",
            Self::Discrete => "discrete",
        }
    }
}

/// The properties of a product on which the choice of a routine depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// The number of products in a batch.
    pub batch: usize,
    /// The number of rows of the result.
    pub rows: usize,
    /// The length of the inner dimension, which is summed over.
    pub inner: usize,
    /// The number of columns of the result.
    pub columns: usize,
    /// Whether the first factor is stored column by column.
    pub left_turned: bool,
    /// Whether the second factor is stored column by column.
    pub right_turned: bool,
}

impl Form {
    /// Returns the form of `a · b`.
    pub(super) fn of(a: &CubeTensor, b: &CubeTensor) -> Self {
        let (left, right) = (a.meta.shape(), b.meta.shape());
        let axes = left.num_dims();
        Self {
            batch: left[..axes - 2].iter().product(),
            rows: left[axes - 2],
            inner: left[axes - 1],
            columns: right[axes - 1],
            left_turned: is_turned(a),
            right_turned: is_turned(b),
        }
    }
}

fn is_turned(x: &CubeTensor) -> bool {
    let (shape, strides) = (x.meta.shape(), x.meta.strides());
    let axes = shape.num_dims();
    strides[axes - 1] != 1 && shape[axes - 1] > 1 && strides[axes - 2] == 1
}

/// The number of elements of the result that a group of units computes with [`Stages::One`] and
/// [`Tile::Large`]. A group has 256 units, and each unit computes 16 rows and 8 columns. With
/// [`Stages::Two`], a group computes a quarter of this number.
const NUMBERS_OF_A_GROUP: usize = 256 * 16 * 8;

/// Returns the routine for a product in f32 in builds without tuning.
///
/// The routine for software drivers was chosen by measurement. The routines for GPUs were not
/// measured. They were chosen by the sizes of cubek's tiles: [`Routine::LARGE`] reads the least
/// memory, but its groups may be too few to use all cores. In that case [`Stages::Two`] uses more
/// cores, because its groups compute fewer numbers.
pub fn chosen(adapter: Adapter, form: Form) -> Routine {
    let is_vector = form.rows == 1 || form.columns == 1;
    let cores = match adapter {
        Adapter::Software => return Routine::LARGE,
        Adapter::Integrated => 32,
        Adapter::Discrete => 128,
    };
    let groups = form.batch * (form.rows * form.columns).div_ceil(NUMBERS_OF_A_GROUP);
    if groups < cores && !is_vector {
        Routine::Units(Stages::Two, Tile::Large)
    } else {
        Routine::LARGE
    }
}
