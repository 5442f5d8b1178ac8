//! The update of a parameter and its moments in place. AdamW takes one launch; RavenAdam takes two,
//! because its rate depends on a mean over the parameter. The caller computes the global norm
//! before the update.

mod kernels;
mod numbers;

use burn::backend::TensorMetadata;
use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::DType;
use cubecl::prelude::*;
use rondo_kernels::update::{Rule, Step, Update};

use self::kernels::{
    MomentNumbersLaunch, adamw_kernel, moments_kernel, root_kernel, squares_kernel, value_kernel,
};
pub use self::numbers::StepNumbers;
use crate::rows::{LINE, Tile, cube_count};
use crate::tensor::{CubeTensor, check, empty, zeros};

/// The maximum number of cubes that sum over one parameter: as many partial sums as one cube can
/// add in the second launch.
const PARTS: usize = LINE;

/// The lower bound of the second moment under update clipping: ε² with ε = 1e-6.
const SMALLEST_SECOND_MOMENT: f32 = 1e-12;

/// The tensors of an update, which all have the same number of elements.
#[derive(Debug)]
pub struct Parameter {
    /// The value of the parameter, p.
    pub value: CubeTensor,
    /// The first moment, m; `None` before the first update.
    pub first: Option<CubeTensor>,
    /// The second moment, v; `None` before the first update.
    pub second: Option<CubeTensor>,
    /// The gradient.
    pub gradient: CubeTensor,
}

/// A parameter and its moments after an update.
#[derive(Debug)]
pub struct Updated {
    /// The value of the parameter.
    pub value: CubeTensor,
    /// The first moment.
    pub first: CubeTensor,
    /// The second moment.
    pub second: CubeTensor,
}

/// Where the scale of the gradients comes from, and whether an update is applied at all.
#[derive(Clone, Copy, Debug)]
pub enum Gate<'a> {
    /// The scale comes from the host: the numbers of the step contain it. The update is always
    /// applied.
    Host,
    /// The scale comes from the device as a tensor, and so does the decision whether to apply the
    /// update.
    Device {
        /// The factor of the gradient, `[1]`.
        scale: &'a CubeTensor,
        /// The number that decides whether the update is applied, `[1]`. If it is zero, parameter
        /// and moments keep their values.
        counts: &'a CubeTensor,
    },
}

/// Updates a parameter and its moments. This happens in place if there is no other reference to
/// their memory.
///
/// # Panics
///
/// Panics if a tensor is not contiguous f32, if the lengths differ, or if `numbers` belongs to
/// another step.
pub fn update(
    update: Update,
    numbers: &StepNumbers,
    gate: Gate<'_>,
    parameter: Parameter,
) -> Updated {
    let is_first = parameter.first.is_none() && parameter.second.is_none();
    let Parameter {
        value,
        first,
        second,
        gradient,
    } = parameter;
    let moment = |moment: Option<CubeTensor>| moment.map_or_else(|| zeros(&gradient), own);
    let updated = Updated {
        first: moment(first),
        second: moment(second),
        value: own(value),
    };
    let all = [&updated.value, &updated.first, &updated.second, &gradient];
    all.into_iter().for_each(check);
    let count = gradient.shape().num_elements();
    assert!(
        all.iter().all(|x| x.shape().num_elements() == count),
        "moments and gradient of a parameter of {count} numbers"
    );
    let through = Through::new(gate, &gradient);
    let numbers = numbers.buffer_for(update);
    match update.rule {
        Rule::AdamW { .. } => adamw(&updated, &gradient, &through, update.step, numbers),
        Rule::RavenAdam { update_clipping } => {
            let rule = RavenAdam {
                update_clipping,
                is_first,
            };
            rule.update(&updated, &gradient, &through, update.step, numbers);
        }
    }
    updated
}

/// Returns the L2 norm of all tensors together, `[1]`.
///
/// # Panics
///
/// Panics if there are no tensors, or if a tensor is not contiguous f32.
pub fn norm(tensors: &[CubeTensor]) -> CubeTensor {
    let like = tensors.first().expect("a norm of at least one tensor");
    let cubes = |x: &CubeTensor| x.shape().num_elements().div_ceil(LINE).clamp(1, PARTS);
    let count = tensors.iter().map(cubes).sum();
    let parts = empty(like, [count]);
    let mut first = 0;
    for x in tensors {
        check(x);
        squares_kernel::launch(
            &x.client,
            cube_count(cubes(x)),
            CubeDim::new_1d(LINE as u32),
            x.clone().into_buffer_arg(),
            parts.clone().into_buffer_arg(),
            x.shape().num_elements(),
            first,
            Tile::whole(1),
        );
        first += cubes(x);
    }
    let out = empty(like, [1]);
    root_kernel::launch(
        &like.client,
        cube_count(1),
        CubeDim::new_1d(LINE as u32),
        parts.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        count,
        Tile::whole(1),
    );
    out
}

/// The tensors of a gate in the form that kernels read.
struct Through {
    scale: CubeTensor,
    counts: CubeTensor,
    counts_type: ElemType,
    on_device: bool,
}

impl Through {
    fn new(gate: Gate<'_>, gradient: &CubeTensor) -> Self {
        match gate {
            // The gradient is passed in the place of missing tensors; the kernels do not read these
            // arguments.
            Gate::Host => Self {
                scale: gradient.clone(),
                counts: gradient.clone(),
                counts_type: dtype_to_storage_type(DType::U32),
                on_device: false,
            },
            Gate::Device { scale, counts } => Self {
                scale: scale.clone(),
                counts: counts.clone(),
                counts_type: dtype_to_storage_type(counts.dtype),
                on_device: true,
            },
        }
    }
}

fn adamw(
    updated: &Updated,
    gradient: &CubeTensor,
    through: &Through,
    step: Step,
    numbers: &CubeTensor,
) {
    let count = gradient.shape().num_elements();
    adamw_kernel::launch(
        &gradient.client,
        cube_count(count.div_ceil(LINE)),
        CubeDim::new_1d(LINE as u32),
        updated.value.clone().into_buffer_arg(),
        updated.first.clone().into_buffer_arg(),
        updated.second.clone().into_buffer_arg(),
        gradient.clone().into_buffer_arg(),
        through.scale.clone().into_buffer_arg(),
        through.counts.clone().into_buffer_arg(),
        numbers.clone().into_buffer_arg(),
        count,
        moment_numbers(step),
        step.decay > 0.0,
        through.on_device,
        through.counts_type,
    );
}

/// Whether RavenAdam clips the update, and whether this is the first update.
struct RavenAdam {
    update_clipping: bool,
    is_first: bool,
}

impl RavenAdam {
    fn update(
        &self,
        updated: &Updated,
        gradient: &CubeTensor,
        through: &Through,
        step: Step,
        numbers: &CubeTensor,
    ) {
        let count = gradient.shape().num_elements();
        let cubes = count.div_ceil(LINE).clamp(1, PARTS);
        let parts = empty(gradient, [cubes]);
        moments_kernel::launch(
            &gradient.client,
            cube_count(cubes),
            CubeDim::new_1d(LINE as u32),
            updated.first.clone().into_buffer_arg(),
            updated.second.clone().into_buffer_arg(),
            gradient.clone().into_buffer_arg(),
            through.scale.clone().into_buffer_arg(),
            through.counts.clone().into_buffer_arg(),
            parts.clone().into_buffer_arg(),
            numbers.clone().into_buffer_arg(),
            count,
            match self.is_first {
                true => MomentNumbersLaunch::new(0.0, 1.0, 0.0, 1.0),
                false => moment_numbers(step),
            },
            match self.update_clipping {
                true => SMALLEST_SECOND_MOMENT,
                false => 0.0,
            },
            Tile::whole(1),
            through.on_device,
            through.counts_type,
        );
        value_kernel::launch(
            &gradient.client,
            cube_count(count.div_ceil(LINE)),
            CubeDim::new_1d(LINE as u32),
            updated.value.clone().into_buffer_arg(),
            updated.first.clone().into_buffer_arg(),
            updated.second.clone().into_buffer_arg(),
            parts.into_buffer_arg(),
            through.counts.clone().into_buffer_arg(),
            numbers.clone().into_buffer_arg(),
            count,
            cubes,
            1.0 / count as f32,
            Tile::whole(1),
            step.decay > 0.0,
            self.update_clipping,
            through.on_device,
            through.counts_type,
        );
    }
}

fn moment_numbers(step: Step) -> MomentNumbersLaunch {
    MomentNumbersLaunch::new(
        step.beta1 as f32,
        (1.0 - step.beta1) as f32,
        step.beta2 as f32,
        (1.0 - step.beta2) as f32,
    )
}

/// Returns a tensor whose memory has no other reference; copies `x` if necessary.
fn own(x: CubeTensor) -> CubeTensor {
    if x.can_mut() { x } else { x.copy() }
}

#[cfg(test)]
mod tests;
