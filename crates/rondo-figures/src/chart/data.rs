//! The numbers of a chart as JSON. The script shows these numbers under the pointer, and uses them
//! to redraw the curves on another scale.

use serde_json::{Value, json};

use super::drawing::{FRAME, HEIGHT, MOST_MARKS, WIDTH};
use super::scale::Axis;
use super::{Chart, Curve};

/// Returns the frame, the axes and the curves of a chart. Values have six significant digits; a gap
/// is `null`.
pub(super) fn json(chart: &Chart) -> Value {
    json!({
        "size": [WIDTH, HEIGHT],
        "frame": [FRAME.left, FRAME.top, FRAME.right, FRAME.bottom],
        "marks": MOST_MARKS,
        "x": axis(&chart.x),
        "y": axis(&chart.y),
        "curves": chart.curves.iter().map(curve).collect::<Vec<_>>(),
    })
}

fn axis(axis: &Axis) -> Value {
    let scales = axis.scales.iter().map(|scale| {
        let ticks = scale
            .ticks
            .iter()
            .map(|tick| json!([tick.value, tick.text]));
        json!({
            "log": scale.log,
            "low": scale.low,
            "high": scale.high,
            "floor": scale.floor,
            "ticks": ticks.collect::<Vec<_>>(),
            "minor": scale.minor,
        })
    });
    json!({"name": axis.name, "first": axis.first, "scales": scales.collect::<Vec<_>>()})
}

fn curve(curve: &Curve) -> Value {
    let points = &curve.points;
    let mut object = json!({
        "name": curve.name,
        "x": points.iter().map(|point| short(point.x)).collect::<Vec<_>>(),
        "y": points.iter().map(|point| short(point.y)).collect::<Vec<_>>(),
    });
    if points.iter().any(|point| point.step.is_some()) {
        object["step"] = points.iter().map(|point| point.step).collect();
    }
    if points.iter().any(|point| point.spread.is_some()) {
        let spreads = points.iter().map(|point| point.spread.map(short));
        object["spread"] = spreads.map(Value::from).collect();
    }
    object
}

/// Rounds a value to six significant digits; integers stay exact.
fn short(value: f64) -> Value {
    if value.fract().abs() <= 0.0 && value.abs() < 1e15 {
        return json!(value as i64);
    }
    let rounded = format!("{value:.5e}").parse::<f64>();
    rounded.map_or(Value::Null, |value| json!(value))
}
