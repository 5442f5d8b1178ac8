//! The mean loss of a batch as one node. The node never holds the logits of all tokens.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use rondo_kernels::cross_entropy::{self, Head, loss_with_gradients};
use rondo_kernels::matrix::Matrix;
use rondo_kernels::rows;

use crate::ops::graph::{Access, Function};
use crate::ops::operands::HeadTensors;

/// The mean loss of a batch.
#[derive(Clone, Debug)]
pub(super) struct CrossEntropy {
    pub(super) head: Head,
    pub(super) targets: Vec<i32>,
    pub(super) weights: Option<FloatTensor<Flex>>,
}

impl Function<Flex, 2> for CrossEntropy {
    type Names = Head;
    /// The gradients of the loss, computed together with the loss.
    type Saved = [Vec<f32>; 2];
    /// 1 for every correctly predicted target, otherwise 0, `[tokens]`.
    type Aside = Vec<f32>;

    fn forward(
        &self,
        HeadTensors { hidden, matrix }: HeadTensors<Matrix<'_>>,
        tracked: bool,
    ) -> (Vec<f32>, Self::Saved, Vec<f32>) {
        let (head, targets) = (self.head, &self.targets);
        let weights = self.weights.as_ref().map(|x| Flex::view(x).elements());
        if tracked {
            let found = loss_with_gradients(head, hidden, matrix, targets, weights);
            return (vec![found.loss], [found.d_hidden, found.d_head], found.hits);
        }
        let found = cross_entropy::losses(head, hidden, matrix, targets);
        let loss = cross_entropy::mean(&found.nll, weights);
        (vec![loss], Self::Saved::default(), found.hits)
    }

    fn backward(
        &self,
        _: HeadTensors<Matrix<'_>>,
        saved: Self::Saved,
        d_out: Matrix<'_>,
    ) -> HeadTensors<Vec<f32>> {
        let [hidden, matrix] = saved.map(|mut gradient| {
            rows::scale(&mut gradient, d_out.elements()[0]);
            gradient
        });
        HeadTensors { hidden, matrix }
    }
}
