//! The operations between two iterations. Each operation is one node of the gradient graph.

use burn::backend::Flex;
use rondo_kernels::average::{Blend, BlendTensors, Total, TotalTensors};
use rondo_kernels::injection::channels::{Channels, ChannelsTensors};
use rondo_kernels::injection::history::{Difference, DifferenceTensors};
use rondo_kernels::injection::mix::{Mix, MixTensors};
use rondo_kernels::injection::orthogonal::{Orthogonal, OrthogonalTensors};
use rondo_kernels::lanes::{LaneMix, LaneMixTensors};
use rondo_kernels::matrix::Matrix;

use crate::ops::graph::Function;

/// Implements [`Function`] for an operation that saves nothing for its backward pass and has no
/// results besides its output.
macro_rules! node {
    ($operation:ty, $tensors:ident, $count:literal) => {
        impl Function<Flex, $count> for $operation {
            type Names = Self;
            type Saved = ();
            type Aside = ();

            fn forward(&self, operands: $tensors<Matrix<'_>>, _: bool) -> (Vec<f32>, (), ()) {
                (<$operation>::forward(*self, &operands), (), ())
            }

            fn backward(
                &self,
                operands: $tensors<Matrix<'_>>,
                (): (),
                d_out: Matrix<'_>,
            ) -> $tensors<Vec<f32>> {
                <$operation>::backward(*self, &operands, d_out)
            }
        }
    };
}

node!(Channels, ChannelsTensors, 4);
node!(Orthogonal, OrthogonalTensors, 4);
node!(Mix, MixTensors, 3);
node!(Difference, DifferenceTensors, 4);
node!(LaneMix, LaneMixTensors, 4);
node!(Total, TotalTensors, 4);
node!(Blend, BlendTensors, 4);

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;
    use rondo_kernels::average::Forgetting;
    use rondo_kernels::injection::channels::Coefficient;

    use super::*;
    use crate::ops::{Backend, Operations};
    use crate::seed::Normals;

    /// Runs one operation on tensors of several ranks.
    type Run<'a> =
        &'a dyn Fn(&dyn Operations, [Tensor<3>; 3], [Tensor<1>; 2], Tensor<2>) -> Tensor<3>;

    /// Asserts that the node of an operation and its composition have the same output and the same
    /// gradients.
    fn check(name: &str, coefficients: [usize; 2], run: Run<'_>) {
        let mut normals = Normals::new(0, 1.0);
        let mut normal = |shape: [usize; 3]| normals.tensor::<3>(shape);
        let rows = [(); 4].map(|()| normal([2, 3, 19]));
        let channels = [(); 2].map(|()| normal([1, 1, 19]).flatten::<1>(0, 2));
        let [lags, width] = coefficients;
        let matrix: Tensor<2> = normal([1, lags, width]).reshape([lags, width]);
        let [a, b, c, weights] = rows;
        let of = |backend: Backend| {
            let x = [&a, &b, &c].map(|x| x.clone().autodiff().require_grad());
            let v = channels.clone().map(|x| x.autodiff().require_grad());
            let m = matrix.clone().autodiff().require_grad();
            let y = run(backend.operations(), x.clone(), v.clone(), m.clone());
            let mut gradients = (y.clone() * weights.clone().autodiff()).sum().backward();
            let mut found: Vec<Option<Tensor<1>>> = vec![Some(y.without_autodiff().flatten(0, 2))];
            found.extend(x.map(|x| x.grad_remove(&mut gradients).map(|d| d.flatten(0, 2))));
            found.extend(v.map(|x| x.grad_remove(&mut gradients)));
            found.push(m.grad_remove(&mut gradients).map(|d| d.flatten(0, 1)));
            let values = |x: Tensor<1>| x.into_data().iter::<f32>().collect::<Vec<_>>();
            found.into_iter().map(|x| x.map(values)).collect::<Vec<_>>()
        };
        let (fused, composed) = (of(Backend::Flex), of(Backend::Composed));
        for (which, (fused, composed)) in fused.iter().zip(&composed).enumerate() {
            // `Coefficient::Step` does not use `a_log`. The composition then has no gradient for
            // `a_log`, and the gradient of the node must be zero.
            assert!(
                fused.is_some() || composed.is_none(),
                "{name}, result {which}"
            );
            if composed.is_none() {
                let zero = fused.iter().flatten().all(|d| d.abs() == 0.0);
                assert!(zero, "{name}, result {which}");
            }
            for (a, b) in fused.iter().flatten().zip(composed.iter().flatten()) {
                let close = (a - b).abs() < 1e-5 * (1.0 + b.abs());
                assert!(close, "{name}, result {which}: {a} is not {b}");
            }
        }
    }

    #[test]
    fn every_node_of_an_injection_is_its_composition_with_its_gradients() {
        for coefficient in [Coefficient::Decay, Coefficient::Step, Coefficient::Hold] {
            for based in [false, true] {
                check(
                    &format!("{coefficient:?}"),
                    [1, 1],
                    &|ops, [x, base, _], [a_log, dt_bias], _| {
                        let base = based.then_some(base);
                        ops.channels(
                            Channels { coefficient },
                            ChannelsTensors {
                                x,
                                base,
                                a_log,
                                dt_bias,
                            },
                        )
                    },
                );
            }
        }
        check(
            "orthogonal",
            [1, 1],
            &|ops, [x, update, _], [a_log, dt_bias], _| {
                ops.orthogonal(OrthogonalTensors {
                    x,
                    update,
                    a_log,
                    dt_bias,
                })
            },
        );
        for mix in [Mix::Sum, Mix::Mean] {
            check("mix", [1, 1], &|ops, [x, embedding, _], _, alpha| {
                let alpha = alpha.reshape([1]);
                ops.mix(
                    mix,
                    MixTensors {
                        x,
                        embedding,
                        alpha,
                    },
                )
            });
        }
        for (lag, based, coefficients) in
            [(0, false, [1, 19]), (1, true, [3, 19]), (2, true, [3, 1])]
        {
            check(
                "history",
                coefficients,
                &|ops, [x, past, base], _, coefficients| {
                    let base = based.then_some(base);
                    ops.difference(
                        Difference { lag },
                        DifferenceTensors {
                            x,
                            past,
                            base,
                            coefficients,
                        },
                    )
                },
            );
        }
    }

    #[test]
    fn every_node_of_averages_and_lanes_is_its_composition_with_its_gradients() {
        for forgetting in [Forgetting::Fixed(0.5), Forgetting::Learned] {
            for is_first in [false, true] {
                check("total", [1, 1], &|ops, [z, past, _], [query, _], beta| {
                    let [_, seq, width] = z.dims();
                    let past = past.slice([0..2, 0..seq, 0..1]);
                    let is_learned = forgetting == Forgetting::Learned;
                    let beta = (is_learned && !is_first).then(|| beta.reshape([1]));
                    let past = (!is_first).then_some(past);
                    let tensors = TotalTensors {
                        z,
                        past,
                        query,
                        beta,
                    };
                    let forgetting = match is_first {
                        true => Forgetting::Fixed(0.5),
                        false => forgetting,
                    };
                    // The result is repeated to the width of the weights in `check`.
                    ops.total(Total { forgetting }, tensors)
                        .repeat_dim(2, width)
                });
            }
        }
        for (sums, is_fresh) in [(1, false), (2, true)] {
            let tables = [2, 2 * sums];
            check("lanes", tables, &|ops, [a, b, z], _, weights| {
                let [_, _, width] = z.dims();
                let mix = LaneMix {
                    row: 1,
                    lanes: 2,
                    sums,
                };
                let gains = is_fresh.then(|| weights.clone().slice([0..2, 0..sums]));
                let tensors = LaneMixTensors {
                    lanes: Tensor::cat(vec![a, b], 2),
                    fresh: is_fresh.then_some(z),
                    weights,
                    gains,
                };
                let out = ops.mix_lanes(mix, tensors);
                // The result is cut to the width of the weights in `check`.
                let first = out.clone().slice([0..2, 0..3, 0..width]);
                match sums {
                    1 => first,
                    _ => first + out.slice([0..2, 0..3, width..2 * width]) * 2.0,
                }
            });
        }
        check("blend", [1, 1], &|ops,
                                 [z, average, total],
                                 [query, _],
                                 _| {
            let [_, seq, _] = z.dims();
            let total = total.slice([0..2, 0..seq, 0..1]);
            ops.blend(BlendTensors {
                z,
                average,
                total,
                query,
            })
        });
    }
}
