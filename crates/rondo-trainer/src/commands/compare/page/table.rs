//! Writes a table as HTML.

use std::fmt::Write as _;

use rondo_figures::chart::escaped;

use super::super::grid::{Cell, Grid};

/// Adds a table. If columns share a heading, the table has a second row of headings.
pub(super) fn add_table(html: &mut String, grid: &Grid) {
    html.push_str("<div class=\"wide\" tabindex=\"0\"><table>\n<thead>\n<tr>");
    let class = |at: usize| {
        if grid.columns[at].words {
            " class=\"word\""
        } else {
            ""
        }
    };
    let heading = |at: usize| escaped(&grid.columns[at].heading);
    let spans = grid.spans();
    let is_deep = grid.columns.iter().any(|column| column.over.is_some());
    for span in &spans {
        let at = span[0];
        let _ = match grid.columns[at].over {
            Some(over) => write!(
                html,
                "<th colspan=\"{}\" scope=\"colgroup\">{}</th>",
                span.len(),
                escaped(over.long)
            ),
            None if is_deep => write!(
                html,
                "<th{} rowspan=\"2\" scope=\"col\">{}</th>",
                class(at),
                heading(at)
            ),
            None => write!(html, "<th{} scope=\"col\">{}</th>", class(at), heading(at)),
        };
    }
    html.push_str("</tr>\n");
    if is_deep {
        html.push_str("<tr>");
        let under = (0..grid.columns.len()).filter(|at| grid.columns[*at].over.is_some());
        for at in under {
            let _ = write!(html, "<th scope=\"col\">{}</th>", heading(at));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</thead>\n<tbody>\n");
    for row in &grid.rows {
        html.push_str("<tr>");
        for (at, cell) in row.iter().enumerate() {
            let _ = write!(html, "<td{}>{}</td>", class(at), content(cell));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table></div>\n");
}

/// Returns the HTML of a cell. Verdicts are coloured.
fn content(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => escaped(text),
        Cell::Verdicts(counts) => {
            let words = Cell::verdicts(counts).into_iter().map(|(verdict, word)| {
                let class = if verdict.failure().is_some() {
                    "bad"
                } else {
                    "good"
                };
                format!("<span class=\"verdict {class}\">{}</span>", escaped(&word))
            });
            words.collect::<Vec<_>>().join(" ")
        }
    }
}
