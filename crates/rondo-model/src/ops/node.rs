//! A function of tensors on flex whose backward is written by hand, as one node of the graph.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, BackendTensor, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind, Flex,
    TensorMetadata,
};
use burn::tensor::{DType, Int, Tensor, TensorData};
use rondo_kernels::matrix::Matrix;

type Primitive = FloatTensor<Flex>;
type Tracked = FloatTensor<Autodiff<Flex>>;

/// A function of contiguous f32 tensors.
pub(super) trait Function: Clone + Debug + Send + 'static {
    /// What the backward pass needs besides the inputs.
    type Saved: Clone + Debug + Send + Sync + 'static;
    /// What the forward pass finds besides the output, without gradient.
    type Aside;

    /// Returns what the function gives; what only the backward pass reads may be left out where
    /// there will be none: where nothing is `tracked`.
    fn forward(&self, inputs: &[Values], tracked: bool) -> Output<Self>;

    /// Returns the gradient of every input for that of the output.
    fn backward(&self, inputs: &[Values], saved: Self::Saved, d_out: &[f32]) -> Vec<Vec<f32>>;
}

/// What a function gives.
pub(super) struct Output<F: Function> {
    /// The output, row after row.
    pub(super) values: Vec<f32>,
    /// The sizes of its axes.
    pub(super) shape: Vec<usize>,
    /// What the backward pass needs.
    pub(super) saved: F::Saved,
    /// What was found besides.
    pub(super) aside: F::Aside,
}

/// The elements of a contiguous f32 tensor.
#[derive(Clone, Debug)]
pub(super) struct Values(Primitive);

impl Values {
    /// Returns the elements, row after row.
    pub(super) fn elements(&self) -> &[f32] {
        self.0
            .as_slice()
            .expect("a contiguous f32 tensor is a slice")
    }

    /// Returns the elements as rows of the last axis.
    pub(super) fn rows(&self) -> Matrix<'_> {
        let elements = self.elements();
        let width = self.0.shape().last().copied().unwrap_or(1);
        Matrix::new(elements, elements.len() / width, width)
    }

    /// Returns the sizes of the axes.
    pub(super) fn shape(&self) -> Vec<usize> {
        self.0.shape().to_vec()
    }
}

/// Whether a tensor holds f32 values on flex: in this process's memory, where kernels reach them.
pub fn on_flex<const D: usize>(x: &Tensor<D>) -> bool {
    fn flex(kind: &DispatchTensorKind) -> bool {
        if let DispatchTensorKind::Autodiff(inner) = kind {
            return flex(inner);
        }
        matches!(kind, DispatchTensorKind::Flex(_))
    }
    x.dtype() == DType::F32 && flex(&x.clone().into_dispatch().kind)
}

/// Applies `function` to tensors of flex, with a node in the graph where one of them is tracked.
///
/// # Panics
///
/// Panics where [`on_flex`] does not hold for one of them, or there are none or too many.
pub(super) fn apply<F: Function, const D: usize>(
    function: F,
    inputs: Vec<DispatchTensor>,
) -> (Tensor<D>, F::Aside) {
    let in_graph = |input: &DispatchTensor| input.autodiff != DispatchAutodiffContext::Disabled;
    if !inputs.iter().any(in_graph) {
        let inputs: Vec<Values> = inputs.into_iter().map(|x| values(&plain(x))).collect();
        let output = function.forward(&inputs, false);
        let out = primitive(output.values, output.shape);
        return (Tensor::from_primitive::<Flex>(out), output.aside);
    }
    let inputs: Vec<Tracked> = inputs.into_iter().map(lifted).collect();
    let (out, aside) = match inputs.len() {
        1 => record::<F, 1>(function, inputs),
        2 => record::<F, 2>(function, inputs),
        3 => record::<F, 3>(function, inputs),
        4 => record::<F, 4>(function, inputs),
        5 => record::<F, 5>(function, inputs),
        6 => record::<F, 6>(function, inputs),
        7 => record::<F, 7>(function, inputs),
        count => unreachable!("no function has {count} inputs"),
    };
    (Tensor::from_primitive::<Autodiff<Flex>>(out), aside)
}

fn record<F: Function, const N: usize>(function: F, inputs: Vec<Tracked>) -> (Tracked, F::Aside) {
    let inputs: [Tracked; N] = inputs.try_into().expect("the caller counted them");
    let values: Vec<Values> = inputs.iter().map(|x| values(x.primitive())).collect();
    let tracked = inputs.iter().any(Tracked::is_tracked);
    let output = function.forward(&values, tracked);
    let out = primitive(output.values, output.shape);
    let guards = inputs.map(|input| input.into_parts().1);
    let node = Node(PhantomData);
    let out = match node
        .prepare::<NoCheckpointing>(guards)
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prep) => {
            let state = State {
                function,
                inputs: values,
                saved: Arc::new(output.saved),
            };
            prep.finish(state, out)
        }
        OpsKind::UnTracked(prep) => prep.finish(out),
    };
    (out, output.aside)
}

/// Returns the values of a tensor of flex as a constant, whether it is in the graph or not.
///
/// # Panics
///
/// As [`apply`].
pub(super) fn constant<const D: usize>(x: Tensor<D>) -> Values {
    values(&plain(x.without_autodiff().into_dispatch()))
}

/// Returns the elements of an integer tensor of flex.
///
/// # Panics
///
/// As [`apply`].
pub(super) fn ids(x: Tensor<2, Int>) -> Vec<i32> {
    x.into_data().iter::<i32>().collect()
}

/// Returns a vector outside the graph.
pub(super) fn vector(values: Vec<f32>) -> Tensor<1> {
    let length = values.len();
    Tensor::from_primitive::<Flex>(primitive(values, vec![length]))
}

/// The backward step of `F`; everything it knows is in its state.
#[derive(Debug)]
struct Node<F>(PhantomData<fn() -> F>);

#[derive(Debug)]
struct State<F: Function> {
    function: F,
    inputs: Vec<Values>,
    saved: Arc<F::Saved>,
}

impl<F: Function> Clone for State<F> {
    fn clone(&self) -> Self {
        Self {
            function: self.function.clone(),
            inputs: self.inputs.clone(),
            saved: Arc::clone(&self.saved),
        }
    }
}

impl<F: Function, const N: usize> Backward<Flex, N> for Node<F> {
    type State = State<F>;

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let State {
            function,
            inputs,
            saved,
        } = ops.state;
        let d_out = values(&gradients.consume::<Flex>(&ops.node));
        let d_inputs = function.backward(&inputs, Arc::unwrap_or_clone(saved), d_out.elements());
        for ((parent, input), d_input) in ops.parents.into_iter().zip(inputs).zip(d_inputs) {
            if let Some(parent) = parent {
                gradients.register::<Flex>(parent.id, primitive(d_input, input.shape()));
            }
        }
    }
}

fn values(x: &Primitive) -> Values {
    Values(x.to_contiguous())
}

fn primitive(values: Vec<f32>, shape: Vec<usize>) -> Primitive {
    Primitive::from_data(TensorData::new(values, shape))
}

/// Returns the values of a tensor outside the graph.
fn plain(x: DispatchTensor) -> Primitive {
    if let DispatchTensorKind::Flex(x) = x.kind {
        return x.float();
    }
    unreachable!("the tensor is on flex, outside the graph")
}

/// Returns a tensor as one of the graph, a constant where it was outside.
fn lifted(x: DispatchTensor) -> Tracked {
    if let DispatchTensorKind::Autodiff(inner) = x.kind {
        if let DispatchTensorKind::Flex(BackendTensor::Autodiff(x)) = *inner {
            return x;
        }
        unreachable!("the tensor is on flex")
    }
    Tracked::new(plain(x))
}
