//! Charts of a page: panels that are drawn small, one by one, so that they can stand side by side or one
//! below the other, in colours that the page chooses.
//!
//! A [`Picture`](crate::Picture) is a file; a [`Chart`] is a part of an HTML page. It is an SVG whose
//! colours are CSS variables, with the drawn numbers as JSON beside it. [`STYLE`] is the page's theme, light
//! and dark; [`SCRIPT`] reads the JSON, shows the numbers under the pointer and redraws the curves when
//! the reader changes a scale from linear to logarithmic. Without the script the chart is complete.
//!
//! In reading order: `scale`, an axis on either scale; `thin`, fewer points than pixels; `drawing`, the
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
/// What makes charts answer to pointer, keyboard and switches, as JavaScript.
pub const SCRIPT: &str = include_str!("chart/script.js");

/// On which scale an axis is shown first. The reader can choose the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// Linear.
    Linear,
    /// Logarithmic, where a value is positive.
    Log,
    /// Logarithmic where the largest value is more than ten times the smallest positive one.
    LogOverADecade,
}

/// What an axis of a chart shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantity {
    /// Its name, without the scale.
    pub name: String,
    /// The scale shown first.
    pub first: First,
    /// Values that the axis shows in any case.
    pub covered: Vec<f64>,
    /// The smallest value that a logarithmic scale shows; those below are drawn at it.
    pub lowest: Option<f64>,
    /// The values that are labelled; round numbers where there are none.
    pub labelled: Vec<f64>,
}

impl Quantity {
    /// Names a quantity whose axis spans its values.
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
    /// Where it lies on the horizontal axis.
    pub x: f64,
    /// The training step, where x is something else.
    pub step: Option<u64>,
    /// Its value; one that is not finite is a gap.
    pub y: f64,
    /// Half the height of the band around it: a standard deviation.
    pub spread: Option<f64>,
}

/// A line of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// What the line is called.
    pub name: String,
    /// Its colour and style.
    pub look: Look,
    /// Whether it is one run of several whose mean is another curve. Such curves are shown on request.
    pub single: bool,
    /// Its points in ascending order of x.
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
    /// Fits axes around curves; `None` where no point is finite.
    pub fn new(title: &str, x: &Quantity, y: &Quantity, mut curves: Vec<Curve>) -> Option<Self> {
        curves.retain(|curve| curve.points.iter().any(is_finite));
        let points = || curves.iter().flat_map(|curve| &curve.points);
        let across = points()
            .filter(|point| is_finite(point))
            .map(|point| point.x);
        let upward = points().flat_map(|point| {
            let spread = point.spread.unwrap_or(0.0);
            // The lower edge of a band may lie below zero where no value does.
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
        // JSON in a script element ends where a tag does.
        let data = data::json(self).to_string().replace('<', "\\u003c");
        format!(
            "<figure class=\"chart\">\n<figcaption><h3>{title}</h3></figcaption>\n{}{note}\
             <script type=\"application/json\">{data}</script>\n</figure>\n",
            drawing::svg(self)
        )
    }

    /// Returns whether it has points at or below zero on the horizontal axis, which its log scale draws at the
    /// left edge.
    pub fn begins_before_the_log_scale(&self) -> bool {
        let log = self.x.scales.iter().any(|scale| scale.log);
        let mut points = self.curves.iter().flat_map(|curve| &curve.points);
        log && points.any(|point| point.x <= 0.0)
    }
}

fn is_finite(point: &ChartPoint) -> bool {
    point.x.is_finite() && point.y.is_finite()
}

/// Makes text safe between tags and in quoted attributes.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests;
