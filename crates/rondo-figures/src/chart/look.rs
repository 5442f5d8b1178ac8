//! The look of curves: they are distinguished by colour and by line style.

use std::fmt::Write as _;

use super::escaped;
use crate::palette::{Dash, SERIES};

/// Width of a line, in units of the SVG.
pub(super) const LINE: f64 = 1.8;
const DASHES: [Dash; 6] = [
    Dash::Solid,
    Dash::Dashed,
    Dash::Dotted,
    Dash::DotDashed,
    Dash::LongDashed,
    Dash::DotDotDashed,
];

/// Colour and line style of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    colour: usize,
    dash: Dash,
}

impl Look {
    /// Returns the look of run number `index`, counted from 0. The nine colours repeat, each time
    /// with another line style.
    pub fn of_run(index: usize) -> Self {
        Self {
            colour: index % SERIES.len(),
            dash: DASHES[index / SERIES.len() % DASHES.len()],
        }
    }

    /// Returns the look of a recurrence depth; `index` is its number among the depths shown.
    pub fn of_depth(index: usize, depth: usize) -> Self {
        Self {
            colour: index % SERIES.len(),
            dash: Dash::of_depth(depth),
        }
    }

    /// Returns the CSS class of the colour.
    pub(super) fn class(self) -> String {
        format!("c{}", self.colour)
    }

    /// Returns the SVG attributes of a line.
    pub(super) fn attributes(self) -> String {
        let mut attributes = format!("stroke-width=\"{LINE}\"");
        let lengths: Vec<String> = self
            .dash
            .pattern()
            .iter()
            .map(|length| format!("{:.1}", length * LINE))
            .collect();
        if !lengths.is_empty() {
            let _ = write!(attributes, " stroke-dasharray=\"{}\"", lengths.join(" "));
        }
        attributes
    }
}

/// Returns the legend of curves as an HTML list under a title.
pub fn legend(title: &str, entries: &[(Look, String)]) -> String {
    let mut html = format!("<ul class=\"legend\" aria-label=\"{}\">\n", escaped(title));
    if !title.is_empty() {
        let _ = writeln!(html, "<li class=\"of\">{}</li>", escaped(title));
    }
    for (look, name) in entries {
        let _ = writeln!(
            html,
            "<li><svg viewBox=\"0 0 36 10\" aria-hidden=\"true\"><path class=\"line {}\" {} \
             d=\"M1 5h34\"/></svg>{}</li>",
            look.class(),
            look.attributes(),
            escaped(name)
        );
    }
    html.push_str("</ul>\n");
    html
}
