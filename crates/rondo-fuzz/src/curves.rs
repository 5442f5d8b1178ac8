//! Reads tables of losses.

use std::fmt::Write as _;

use rondo_laws::table::{self, Table};
use rondo_laws::{Curve, Law, LawKind, Point, fit, score};

/// Laws predict only curves with fewer steps than this, because longer curves would take too long.
const PREDICTED_STEPS: u64 = 4096;
/// Laws are fitted only to curves with fewer steps than this.
const FITTED_STEPS: u64 = 12;

/// Reads a CSV table `step,lr,loss` and makes curves of it, with and without a warm-up. Both laws
/// predict the curves with fewer than `PREDICTED_STEPS` steps. They are fitted to the curves
/// without a warm-up that have fewer than `FITTED_STEPS` steps.
///
/// The points, printed as a table, must read back the same, bit for bit.
///
/// # Panics
///
/// Panics if one of these properties does not hold.
pub fn curve(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let Ok(Table { points, .. }) = table::read("input", text) else {
        return;
    };
    let again = table::read("printed", &printed(&points)).expect("what was printed");
    assert_eq!(again.replaced, 0, "{text}");
    let again = again.points;
    assert!(points.iter().map(bits).eq(again.iter().map(bits)), "{text}");

    let middle = points.get(points.len() / 2).map_or(0, |point| point.step);
    for warmup in [0, middle, u64::MAX] {
        let Ok(curve) = Curve::new("input", warmup, &points) else {
            continue;
        };
        assert_eq!(curve.losses().len(), curve.schedule().points().len());
        let steps = curve.schedule().points();
        let length = steps[steps.len() - 1].0 - steps[0].0;
        if length < PREDICTED_STEPS {
            predicted(&curve);
        }
        if warmup == 0 && length < FITTED_STEPS {
            fitted(curve);
        }
    }
}

fn printed(points: &[Point]) -> String {
    let mut text = "step,lr,loss\n".to_owned();
    for Point { step, rate, loss } in points {
        writeln!(text, "{step},{rate},{loss}").expect("a string takes any text");
    }
    text
}

/// Returns the bits of a point's numbers; all NaN values count as equal.
fn bits(point: &Point) -> (u64, Option<u64>, Option<u64>) {
    let bits = |x: f64| (!x.is_nan()).then_some(x.to_bits());
    (point.step, bits(point.rate), bits(point.loss))
}

fn predicted(curve: &Curve) {
    for (kind, constants) in [
        (LawKind::Tissue, vec![3.16, 0.52, 0.51, 0.6, 0.998]),
        (
            LawKind::MultiPower,
            vec![3.04, 0.525, 0.508, 363.8, 2.066, 0.583, 0.641],
        ),
    ] {
        let law = Law::new(kind, constants).expect("the published constants");
        let losses = law.predict(curve.schedule());
        assert_eq!(losses.len(), curve.losses().len());
        score(&law, std::slice::from_ref(curve));
    }
}

fn fitted(curve: Curve) {
    let curves = [curve];
    for kind in LawKind::ALL {
        if let Ok(fit) = fit(kind, &curves) {
            let constants = fit.law.constants();
            assert!(
                constants.iter().all(|constant| constant.is_finite()),
                "{constants:?}"
            );
        }
    }
}
