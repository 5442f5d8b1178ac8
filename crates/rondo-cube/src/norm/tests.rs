use super::*;
use crate::testing::{Numbers, assert_close, device, values};

const SIZES: [[usize; 2]; 9] = [
    [1, 1],
    [1, 24],
    [63, 20],
    [65, 24],
    [7, 33],
    [9, 512],
    [3, 513],
    [2, 5000],
    [4500, 24],
];

/// The results of the norm in f64. The gradients, for the gradient `d_out` of the result, come with
/// the sizes of their terms.
struct Reference {
    out: Vec<f64>,
    d_x: Vec<[f64; 2]>,
    d_scale: Vec<[f64; 2]>,
}

fn reference(x: &[f64], scale: Option<&[f32]>, d_out: &[f32], width: usize, eps: f64) -> Reference {
    let mut found = Reference {
        out: Vec::new(),
        d_x: Vec::new(),
        d_scale: vec![[0.0; 2]; width],
    };
    for (x, d_out) in x.chunks(width).zip(d_out.chunks(width)) {
        let mean = x.iter().map(|x| x * x).sum::<f64>() / width as f64;
        let root = 1.0 / (mean + eps).sqrt();
        let scale = |column: usize| scale.map_or(1.0, |scale| f64::from(scale[column]));
        let terms = || {
            let of = |(column, (x, d)): (usize, (&f64, &f32))| {
                f64::from(*d) * scale(column) * x * root / width as f64
            };
            x.iter().zip(d_out).enumerate().map(of)
        };
        let (sum, size) = (terms().sum::<f64>(), terms().map(f64::abs).sum::<f64>());
        for (column, (x, d)) in x.iter().zip(d_out).enumerate() {
            let (d, unit) = (f64::from(*d), x * root);
            found.out.push(unit * scale(column));
            let direct = root * d * scale(column);
            found.d_x.push([
                direct - root * unit * sum,
                direct.abs() + (root * unit).abs() * size,
            ]);
            found.d_scale[column][0] += d * unit;
            found.d_scale[column][1] += (d * unit).abs();
        }
    }
    found
}

#[test]
fn norms_with_residuals_and_their_gradients_are_those_of_f64() {
    let Some(device) = device() else { return };
    let mut numbers = Numbers::new(3.0);
    let eps = 1e-5_f32;
    for [rows, width] in SIZES {
        let [x, y, d_out] = [(); 3].map(|()| numbers.vector(rows * width));
        let scale = numbers.vector(width);
        let [on_x, on_y, on_d] = [&x, &y, &d_out].map(|v| device.tensor(v, [rows, width]));
        let on_scale = device.tensor(&scale, [width]);
        let sum: Vec<f64> = x.iter().zip(&y).map(|(x, y)| f64::from(x + y)).collect();
        let alone: Vec<f64> = x.iter().copied().map(f64::from).collect();
        for scaled in [false, true] {
            let (host, own) = (scaled.then_some(&scale[..]), scaled.then_some(&on_scale));
            let forms = [
                (Input::Alone(&on_x), &alone, None),
                (Input::Sum(&on_x, &on_y), &sum, Some(&on_y)),
            ];
            for (input, normed, second) in forms {
                let expected = reference(normed, host, &d_out, width, f64::from(eps));
                let out = values(forward(input, own, eps));
                for (found, expected) in out.iter().zip(&expected.out) {
                    assert_close(*found, *expected, expected.abs());
                }
                let found = backward(&on_x, second, own, &on_d, eps);
                for (found, [expected, terms]) in values(found.normed).iter().zip(&expected.d_x) {
                    assert_close(*found, *expected, *terms);
                }
                assert_eq!(found.scale.is_some(), scaled);
                if let Some(d_scale) = found.scale {
                    for (found, [expected, terms]) in values(d_scale).iter().zip(&expected.d_scale)
                    {
                        assert_close(*found, *expected, *terms);
                    }
                }
            }
            let added = values(forward(Input::AddedTo(&on_y, &on_x), own, eps));
            let expected = reference(&alone, host, &d_out, width, f64::from(eps)).out;
            for (found, (y, normed)) in added.iter().zip(y.iter().zip(expected)) {
                let y = f64::from(*y);
                assert_close(*found, y + normed, y.abs() + normed.abs());
            }
        }
    }
}

#[test]
fn a_norm_has_the_same_bits_each_time() {
    let Some(device) = device() else { return };
    let mut numbers = Numbers::new(3.0);
    let shape = [1000, 65];
    let [x, d_out] = [(); 2].map(|()| device.tensor(&numbers.vector(65_000), shape));
    let scale = device.tensor(&numbers.vector(65), [65]);
    let run = || {
        let found = backward(&x, None, Some(&scale), &d_out, 1e-5);
        let d_scale = found.scale.expect("there is a scale");
        let all = [
            forward(Input::Alone(&x), Some(&scale), 1e-5),
            found.normed,
            d_scale,
        ];
        all.map(|x| {
            values(x)
                .into_iter()
                .map(f32::to_bits)
                .collect::<Vec<u32>>()
        })
    };
    assert_eq!(run(), run());
}

#[test]
fn large_rows_give_numbers() {
    let Some(device) = device() else { return };
    let x = device.tensor(&[1e30; 24], [1, 24]);
    let scale = device.tensor(&[2.0; 24], [24]);
    let out = values(forward(Input::Alone(&x), Some(&scale), 1e-5));
    let found = backward(&x, None, Some(&scale), &x, 1e-5);
    let d_scale = found.scale.expect("there is a scale");
    for x in [out, values(found.normed), values(d_scale)].concat() {
        assert!(x.is_finite(), "{x}");
    }
}
