//! A chart as SVG. Its colours are CSS classes, and its text uses the page's font.

use std::fmt::Write as _;

use super::scale::{Axis, Scale, TICK_SIZE};
use super::{Chart, ChartPoint, Curve, escaped};
use crate::scene::{Area, Point};

pub(super) const WIDTH: f64 = 420.0;
pub(super) const HEIGHT: f64 = 300.0;
/// The rectangle in which the curves are drawn.
pub(super) const FRAME: Area = Area {
    left: 72.0,
    top: 8.0,
    right: 406.0,
    bottom: 252.0,
};
/// Curves with more points than this are drawn without marks.
pub(super) const MOST_MARKS: usize = 24;

/// Returns the chart, drawn with the scales that are shown first.
pub(super) fn svg(chart: &Chart) -> String {
    let Area {
        left,
        top,
        right,
        bottom,
    } = FRAME;
    let title = escaped(&chart.title);
    let mut out =
        format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n");
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "<path class=\"minor\" d=\"{}\"/>\n<path class=\"major\" d=\"{}\"/>",
        grid(chart, |scale| scale.minor.clone()),
        grid(chart, |scale| scale.ticks.iter().map(|t| t.value).collect())
    );
    for curve in &chart.curves {
        add_curve(&mut out, chart, curve);
    }
    let _ = writeln!(
        out,
        "<rect class=\"frame\" x=\"{left}\" y=\"{top}\" width=\"{}\" height=\"{}\"/>",
        FRAME.width(),
        FRAME.height()
    );
    add_ticks(&mut out, chart);
    let _ = writeln!(
        out,
        "<text class=\"name x\" x=\"{:.1}\" y=\"{}\">{}</text>",
        f64::midpoint(left, right),
        HEIGHT - 8.0,
        escaped(&label(&chart.x))
    );
    let (x, y) = (12.0, f64::midpoint(top, bottom));
    let _ = writeln!(
        out,
        "<text class=\"name y\" x=\"{x}\" y=\"{y}\" transform=\"rotate(-90 {x} {y})\">{}</text>\n</svg>",
        escaped(&label(&chart.y))
    );
    out
}

/// Returns the name of an axis, with `(log)` if it is shown on its log scale.
fn label(axis: &Axis) -> String {
    match axis.shown().log {
        true => format!("{} (log)", axis.name),
        false => axis.name.clone(),
    }
}

fn across(scale: &Scale, value: f64) -> Option<f64> {
    Some(FRAME.left + scale.share(value)? * FRAME.width())
}

fn down(scale: &Scale, value: f64) -> Option<f64> {
    Some(FRAME.bottom - scale.share(value)? * FRAME.height())
}

fn grid(chart: &Chart, values: fn(&Scale) -> Vec<f64>) -> String {
    let (x, y) = (chart.x.shown(), chart.y.shown());
    let upright = values(x).into_iter().filter_map(|value| across(x, value));
    let upright = upright.map(|x| format!("M{x:.1} {}V{}", FRAME.top, FRAME.bottom));
    let level = values(y).into_iter().filter_map(|value| down(y, value));
    let level = level.map(|y| format!("M{} {y:.1}H{}", FRAME.left, FRAME.right));
    upright.chain(level).collect()
}

fn add_ticks(out: &mut String, chart: &Chart) {
    out.push_str("<g class=\"ticks\">\n");
    let mut add = |class: &str, (x, y): Point, text: &str| {
        let _ = writeln!(
            out,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>",
            escaped(text)
        );
    };
    let (x, y) = (chart.x.shown(), chart.y.shown());
    for tick in x.ticks.iter().filter(|tick| !tick.text.is_empty()) {
        if let Some(at) = across(x, tick.value) {
            add("x", (at, FRAME.bottom + 18.0), &tick.text);
        }
    }
    for tick in &y.ticks {
        if let Some(at) = down(y, tick.value) {
            add("y", (FRAME.left - 6.0, at + 0.36 * TICK_SIZE), &tick.text);
        }
    }
    out.push_str("</g>\n");
}

fn add_curve(out: &mut String, chart: &Chart, curve: &Curve) {
    let place = |point: &ChartPoint, y: f64| -> Option<Point> {
        Some((across(chart.x.shown(), point.x)?, down(chart.y.shown(), y)?))
    };
    let single = if curve.single { " single" } else { "" };
    let _ = writeln!(
        out,
        "<g class=\"curve {}{single}\"><title>{}</title>",
        curve.look.class(),
        escaped(&curve.name)
    );
    let (mut band, mut line, mut dots) = (String::new(), String::new(), String::new());
    let pieces = curve.points.split(|point| place(point, point.y).is_none());
    for piece in pieces.filter(|piece| !piece.is_empty()) {
        let edge = |point: &ChartPoint, sign: f64| {
            place(point, point.y + sign * point.spread.unwrap_or(0.0))
        };
        let upper = piece.iter().filter_map(|point| edge(point, 1.0));
        let lower = piece.iter().rev().filter_map(|point| edge(point, -1.0));
        if piece.iter().any(|point| point.spread.is_some()) {
            join(&mut band, upper.chain(lower));
            band.push('Z');
        }
        let places = || piece.iter().filter_map(|point| place(point, point.y));
        join(&mut line, places());
        if curve.points.len() <= MOST_MARKS || piece.len() == 1 {
            for (x, y) in places() {
                let _ = write!(dots, "M{x:.1} {y:.1}h0");
            }
        }
    }
    let attributes = curve.look.attributes();
    for (class, path, attributes) in [
        ("band", band, ""),
        ("line", line, attributes.as_str()),
        ("dots", dots, ""),
    ] {
        let _ = writeln!(out, "<path class=\"{class}\" {attributes} d=\"{path}\"/>");
    }
    out.push_str("</g>\n");
}

fn join(path: &mut String, places: impl Iterator<Item = Point>) {
    for (index, (x, y)) in places.enumerate() {
        let command = if index == 0 { 'M' } else { 'L' };
        let _ = write!(path, "{command}{x:.1} {y:.1}");
    }
}
