//! Draws curves over an axis of steps or depths; only a title, two axes and their end labels take
//! extra cells.

use ratatui::Frame;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::{Axis, Block, Borders, Chart, Dataset, GraphType};

use crate::palette::quiet;

/// A curve: either points that are connected, or bars that stand on the axis.
pub(super) struct Curve {
    pub(super) points: Vec<(f64, f64)>,
    pub(super) style: Style,
    pub(super) marker: Marker,
    pub(super) graph: GraphType,
}

/// How a value is mapped to a height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    Linear,
    Logarithmic,
}

impl Scale {
    pub(super) fn height(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Logarithmic => value.max(f64::MIN_POSITIVE).ln(),
        }
    }

    fn value(self, height: f64) -> f64 {
        match self {
            Self::Linear => height,
            Self::Logarithmic => height.exp(),
        }
    }
}

/// The title, the axes and the scale of a chart.
pub(super) struct Axes {
    pub(super) title: Line<'static>,
    /// Both ends of the horizontal axis, in the units of the points.
    pub(super) x: [f64; 2],
    /// Both ends of the vertical axis, as heights on the chart's scale.
    pub(super) y: [f64; 2],
    pub(super) scale: Scale,
    /// Formats a value for the vertical axis.
    pub(super) told: fn(f64) -> String,
}

/// Draws curves. If there are no points, the chart shows a note instead.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, axes: Axes, curves: &[Curve]) {
    let block = Block::new()
        .borders(Borders::TOP)
        .border_style(quiet())
        .title_style(Style::reset())
        .title(axes.title);
    if curves.iter().all(|curve| curve.points.is_empty()) {
        let inside = block.inner(area);
        frame.render_widget(block, area);
        frame.render_widget(Line::styled("nothing yet", quiet()), inside);
        return;
    }
    let data: Vec<Vec<(f64, f64)>> = curves
        .iter()
        .map(|curve| {
            let points = curve.points.iter();
            points.map(|(x, y)| (*x, axes.scale.height(*y))).collect()
        })
        .collect();
    let datasets = curves.iter().zip(&data).map(|(curve, data)| {
        Dataset::default()
            .data(data)
            .style(curve.style)
            .marker(curve.marker)
            .graph_type(curve.graph)
    });
    let mut heights = vec![axes.y[0], axes.y[1]];
    // The title, the axis and its labels take three rows.
    if area.height >= 10 {
        heights.insert(1, f64::midpoint(axes.y[0], axes.y[1]));
    }
    let labels = heights
        .iter()
        .map(|height| (axes.told)(axes.scale.value(*height)));
    let chart = Chart::new(datasets.collect())
        .block(block)
        .legend_position(None)
        .y_axis(
            Axis::default()
                .bounds(axes.y)
                .labels(labels)
                .labels_alignment(Alignment::Right)
                .style(quiet()),
        )
        .x_axis(
            Axis::default()
                .bounds(axes.x)
                .labels(axes.x.map(|x| format!("{x:.0}")))
                .labels_alignment(Alignment::Right)
                .style(quiet()),
        );
    frame.render_widget(chart, area);
}
