//! The mean loss of a batch as one node. The node never holds the logits of all tokens.

use rondo_cube::cross_entropy::{self, loss_with_gradients};
use rondo_cube::primitive::Cube;
use rondo_cube::tensor::{CubeTensor, reshaped, scaled};
use rondo_kernels::cross_entropy::Head;

use crate::ops::graph::Function;
use crate::ops::operands::HeadTensors;

/// The mean loss of a batch.
#[derive(Clone, Debug)]
pub(super) struct CrossEntropy {
    pub(super) operation: Head,
    pub(super) targets: CubeTensor,
    pub(super) weights: Option<CubeTensor>,
}

impl Function<Cube, 2> for CrossEntropy {
    type Names = Head;
    /// The gradients of the loss, computed together with the loss; `None` without a graph.
    type Saved = Option<HeadTensors<CubeTensor>>;
    /// 1 for every correctly predicted target, otherwise 0, `[tokens]`.
    type Aside = CubeTensor;

    fn forward(
        &self,
        HeadTensors { hidden, matrix }: HeadTensors<CubeTensor>,
        tracked: bool,
    ) -> (CubeTensor, Self::Saved, CubeTensor) {
        let head = cross_entropy::Head {
            hidden: &tokens(hidden),
            matrix: &matrix,
            tied: self.operation.tied,
            targets: &self.targets,
            precision: self.operation.precision,
        };
        let weights = self.weights.as_ref();
        if tracked {
            let found = loss_with_gradients(head, weights);
            let gradients = HeadTensors {
                hidden: found.d_hidden,
                matrix: found.d_matrix,
            };
            return (found.loss, Some(gradients), found.hits);
        }
        let found = cross_entropy::losses(head);
        (cross_entropy::mean(&found.nll, weights), None, found.hits)
    }

    fn backward(
        &self,
        _: HeadTensors<CubeTensor>,
        saved: Self::Saved,
        d_out: CubeTensor,
    ) -> HeadTensors<CubeTensor> {
        let HeadTensors { hidden, matrix } = saved.expect("the gradients of a loss in the graph");
        HeadTensors {
            hidden: scaled(hidden, &d_out),
            matrix: scaled(matrix, &d_out),
        }
    }
}

/// Returns hidden states `[batch, seq, d_model]` as `[tokens, d_model]`.
pub(super) fn tokens(hidden: CubeTensor) -> CubeTensor {
    let [batch, seq, width] = hidden.meta.shape().dims();
    reshaped(hidden, [batch * seq, width])
}
