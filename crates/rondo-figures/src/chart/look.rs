//! How curves are told apart: by colour and by line style.

use std::fmt::Write as _;

use super::escaped;
use crate::palette::{Dash, SERIES};

/// Width of a line, in units of the drawing.
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
    /// Returns the look of run number `index`, counted from 0: nine colours, and with each repetition
    /// of them another line style.
    pub fn of_run(index: usize) -> Self {
        Self {
            colour: index % SERIES.len(),
            dash: DASHES[index / SERIES.len() % DASHES.len()],
        }
    }

    /// Returns the look of a recurrence depth, number `index` of those shown.
    pub fn of_depth(index: usize, depth: usize) -> Self {
        Self {
            colour: index % SERIES.len(),
            dash: Dash::of_depth(depth),
        }
    }

    /// Returns the class of its colour.
    pub(super) fn class(self) -> String {
        format!("c{}", self.colour)
    }

    /// Returns the attributes of its lines.
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
