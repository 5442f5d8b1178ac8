//! Charts of an HTML page: small separate panels, which the page arranges and whose colours it
//! defines.
//!
//! A [`Picture`](crate::Picture) is a file; a [`Chart`] is a part of an HTML page. A chart is an
//! SVG whose colours are CSS variables, followed by the drawn numbers as JSON. [`STYLE`] is the
//! page's theme, light and dark. [`SCRIPT`] reads the JSON, shows the numbers under the pointer,
//! and redraws the curves when the reader switches a scale between linear and logarithmic. Without
//! the script a chart is still complete.
//!
//! In reading order: `scale`, an axis with both scales; `thin`, removal of points; `drawing`, the
//! SVG; `data`, the JSON; `look`, colours, line styles and legends.

mod data;
mod drawing;
mod look;
mod scale;
mod thin;

pub use self::look::{Look, legend};
use self::scale::{Axis, Limits};

/// The theme, the charts and their legends as CSS.
pub const STYLE: &str = include_str!("chart/style.css");
/// The JavaScript that makes charts react to pointer, keyboard and switches.
pub const SCRIPT: &str = include_str!("chart/script.js");

/// The scale on which an axis is shown first. The reader can switch to the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// Linear.
    Linear,
    /// Logarithmic, if any value is positive.
    Log,
    /// Logarithmic, if the largest value is more than ten times the smallest positive value.
    LogOverADecade,
}

/// The quantity on an axis of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantity {
    /// The name of the quantity, without the scale.
    pub name: String,
    /// The scale that is shown first.
    pub first: First,
    /// Values that the axis always includes.
    pub covered: Vec<f64>,
    /// The lower end of a logarithmic scale. Smaller values are drawn there.
    pub lowest: Option<f64>,
    /// The values that have labels. If the list is empty, round numbers have labels.
    pub labelled: Vec<f64>,
}

impl Quantity {
    /// Makes a quantity whose axis spans exactly its values.
    pub fn new(name: &str, first: First) -> Self {
        Self {
            name: name.to_owned(),
            first,
            covered: Vec::new(),
            lowest: None,
            labelled: Vec::new(),
        }
    }
}

/// A point of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChartPoint {
    /// The place of the point on the horizontal axis.
    pub x: f64,
    /// The training step, if x is not the step.
    pub step: Option<u64>,
    /// The value of the point. A value that is not finite makes a gap.
    pub y: f64,
    /// Half the height of the band around the value: one standard deviation.
    pub spread: Option<f64>,
}

/// A line of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The name of the line.
    pub name: String,
    /// The colour and the line style of the line.
    pub look: Look,
    /// Whether the line is a single run of a group whose mean is another curve. Such lines are
    /// hidden until the reader switches them on.
    pub single: bool,
    /// The points of the line, in ascending order of x.
    pub points: Vec<ChartPoint>,
}

/// A panel of a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    title: String,
    x: Axis,
    y: Axis,
    curves: Vec<Curve>,
}

impl Chart {
    /// Makes a chart of curves, with axes that fit them. Returns `None` if no point is finite.
    pub fn new(title: &str, x: &Quantity, y: &Quantity, mut curves: Vec<Curve>) -> Option<Self> {
        curves.retain(|curve| curve.points.iter().any(is_finite));
        let points = || curves.iter().flat_map(|curve| &curve.points);
        let across = points()
            .filter(|point| is_finite(point))
            .map(|point| point.x);
        let upward = points().flat_map(|point| {
            let spread = point.spread.unwrap_or(0.0);
            // The lower edge of a band may be below zero although all values are positive.
            [point.y - spread, point.y, point.y + spread]
        });
        let x = Axis::fit(x, &Limits::across(), &across.collect::<Vec<_>>())?;
        let clamped = points().map(|point| point.y);
        let y = Axis::fit(y, &Limits::upward(), &upward.collect::<Vec<_>>())?.counting(clamped);
        for curve in &mut curves {
            curve.points = thin::thinned(&curve.points, &x);
        }
        Some(Self {
            title: title.to_owned(),
            x,
            y,
            curves,
        })
    }

    /// Returns the chart as an HTML `figure`: heading, SVG, notes, data.
    pub fn html(&self) -> String {
        let title = escaped(&self.title);
        let note = self.y.note().map_or_else(String::new, |note| {
            format!("<p class=\"note\">{}</p>\n", escaped(&note))
        });
        // A `</script>` inside the JSON would end the script element.
        let data = data::json(self).to_string().replace('<', "\\u003c");
        format!(
            "<figure class=\"chart\">\n<figcaption><h3>{title}</h3></figcaption>\n{}{note}\
             <script type=\"application/json\">{data}</script>\n</figure>\n",
            drawing::svg(self)
        )
    }

    /// Returns whether any point is at or below zero on the horizontal axis. The log scale draws
    /// such points at its left edge.
    pub fn begins_before_the_log_scale(&self) -> bool {
        let log = self.x.scales.iter().any(|scale| scale.log);
        let mut points = self.curves.iter().flat_map(|curve| &curve.points);
        log && points.any(|point| point.x <= 0.0)
    }
}

fn is_finite(point: &ChartPoint) -> bool {
    point.x.is_finite() && point.y.is_finite()
}

/// Escapes text for use between tags and in quoted attributes.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests;
