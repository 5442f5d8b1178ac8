//! Adds a function of tensors to the graph as one node. The function has a handwritten backward
//! pass.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, Backend, DispatchAutodiffContext, DispatchKindConversion, DispatchTensor,
    TensorMetadata,
};
use burn::tensor::{Shape, Tensor};

use super::operands::Names;

type Tracked<B> = FloatTensor<Autodiff<B>>;

/// Gives functions access to the tensors of a Burn backend.
pub(super) trait Access: Backend {
    /// A tensor in the form that functions read.
    type View<'a>;
    /// The values of a tensor that a function has computed.
    type Made;

    /// Returns a tensor in the layout that functions need.
    fn readable(x: &FloatTensor<Self>) -> FloatTensor<Self>;

    /// Returns the view of a readable tensor for functions.
    fn view(x: &FloatTensor<Self>) -> Self::View<'_>;

    /// Creates a tensor from values that a function has computed.
    fn made(values: Self::Made, shape: Shape) -> FloatTensor<Self>;
}

/// The named operands of a function. `M` defines the names, and each operand has type `T`.
pub(super) type Of<M, const N: usize, T> = <M as Names<N>>::Of<T>;

/// A function of at most N tensors of a backend.
pub(super) trait Function<B: Access, const N: usize>:
    Clone + Debug + Send + 'static
{
    /// The names of the operands.
    type Names: Names<N>;
    /// The values that the backward pass needs in addition to the operands.
    type Saved: Clone + Debug + Send + Sync + 'static;
    /// Results of the forward pass besides the output. They have no gradient.
    type Aside;

    /// Returns the output, the values for the backward pass, and the additional results. If
    /// `tracked` is false, no backward pass follows, and the values for the backward pass may be
    /// omitted.
    fn forward(
        &self,
        operands: Of<Self::Names, N, B::View<'_>>,
        tracked: bool,
    ) -> (B::Made, Self::Saved, Self::Aside);

    /// Returns the gradient of every operand from the gradient of the output.
    fn backward(
        &self,
        operands: Of<Self::Names, N, B::View<'_>>,
        saved: Self::Saved,
        d_out: B::View<'_>,
    ) -> Of<Self::Names, N, B::Made>;
}

/// Applies `function` to tensors of a backend. If one of the tensors is in the graph, the output is
/// a node of the graph. The output has the shape `shape`.
///
/// # Panics
///
/// Panics if one of the tensors belongs to another backend.
pub(super) fn apply<B, F, const N: usize, const D: usize>(
    function: F,
    operands: Of<F::Names, N, DispatchTensor>,
    shape: [usize; D],
) -> (Tensor<D>, F::Aside)
where
    B: Access,
    F: Function<B, N>,
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    let operands = F::Names::places(operands);
    if !operands.iter().flatten().any(in_graph) {
        let operands = operands.map(|x| x.map(|x| B::readable(&plain::<B>(x))));
        let (values, _, aside) = function.forward(named::<B, F, N>(&operands), false);
        let out = B::made(values, Shape::from(shape));
        return (Tensor::from_primitive::<B>(out), aside);
    }
    let operands = operands.map(|x| x.map(lifted::<B>));
    let (out, aside) = record(function, operands, Shape::from(shape));
    (Tensor::from_primitive::<Autodiff<B>>(out), aside)
}

fn record<B: Access, F: Function<B, N>, const N: usize>(
    function: F,
    operands: [Option<Tracked<B>>; N],
    shape: Shape,
) -> (Tracked<B>, F::Aside) {
    let readable = |x: &Option<Tracked<B>>| x.as_ref().map(|x| B::readable(x.primitive()));
    let read = operands.each_ref().map(readable);
    let tracked = operands.iter().flatten().any(Tracked::<B>::is_tracked);
    let (values, saved, aside) = function.forward(named::<B, F, N>(&read), tracked);
    let out = B::made(values, shape);
    // A constant replaces a missing operand.
    let constant = || Tracked::<B>::new(out.clone());
    let guards = operands.map(|x| x.unwrap_or_else(constant).into_parts().1);
    let node = Node(PhantomData::<fn() -> (B, F)>);
    let out = match node
        .prepare::<NoCheckpointing>(guards)
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prep) => {
            let state = State {
                function,
                operands: read,
                saved: Arc::new(saved),
            };
            prep.finish(state, out)
        }
        OpsKind::UnTracked(prep) => prep.finish(out),
    };
    (out, aside)
}

/// The node of a function `F` in the graph. [`State`] holds the data for its backward pass.
#[derive(Debug)]
struct Node<B, F>(PhantomData<fn() -> (B, F)>);

#[derive(Debug)]
struct State<B: Access, F: Function<B, N>, const N: usize> {
    function: F,
    operands: [Option<FloatTensor<B>>; N],
    saved: Arc<F::Saved>,
}

impl<B: Access, F: Function<B, N>, const N: usize> Clone for State<B, F, N> {
    fn clone(&self) -> Self {
        Self {
            function: self.function.clone(),
            operands: self.operands.clone(),
            saved: Arc::clone(&self.saved),
        }
    }
}

impl<B: Access, F: Function<B, N>, const N: usize> Backward<B, N> for Node<B, F> {
    type State = State<B, F, N>;

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let State {
            function,
            operands,
            saved,
        } = ops.state;
        let d_out = B::readable(&gradients.consume::<B>(&ops.node));
        let (named, saved) = (named::<B, F, N>(&operands), Arc::unwrap_or_clone(saved));
        let found = F::Names::places(function.backward(named, saved, B::view(&d_out)));
        for ((parent, operand), gradient) in ops.parents.into_iter().zip(operands).zip(found) {
            if let Some(parent) = parent {
                let (operand, values) = operand.zip(gradient).expect("one for each operand");
                gradients.register::<B>(parent.id, B::made(values, operand.shape()));
            }
        }
    }
}

fn named<B: Access, F: Function<B, N>, const N: usize>(
    operands: &[Option<FloatTensor<B>>; N],
) -> Of<F::Names, N, B::View<'_>> {
    F::Names::named(operands.each_ref().map(|x| x.as_ref().map(B::view)))
}

fn in_graph(x: &DispatchTensor) -> bool {
    x.autodiff != DispatchAutodiffContext::Disabled
}

/// Returns the primitive of a tensor of backend `B`. For a tensor in the graph, `B` must be an
/// [`Autodiff`] backend.
///
/// # Panics
///
/// Panics if the tensor belongs to another backend.
pub(super) fn plain<B: Backend>(x: DispatchTensor) -> FloatTensor<B>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    let x = <DispatchTensor as DispatchKindConversion<B>>::try_into_backend(x);
    x.expect("a tensor of the backend that was chosen").float()
}

/// Returns the primitive of `x` in the graph. A tensor outside the graph becomes a constant.
fn lifted<B: Backend>(x: DispatchTensor) -> Tracked<B>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    if in_graph(&x) {
        plain::<Autodiff<B>>(x)
    } else {
        Tracked::<B>::new(plain::<B>(x))
    }
}
