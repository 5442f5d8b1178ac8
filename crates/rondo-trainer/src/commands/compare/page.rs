//! A comparison as one HTML page that needs nothing else: no network, no script, no other file.

use std::fmt::Write as _;

use rondo_figures::Picture;

use super::differences::{Difference, grid};
use super::{Grid, Row, Told, WORDS, effort, findings, names, overview, perplexities};

const STYLE: &str = "\
body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#222}\
table{border-collapse:collapse;margin:1rem 0}\
th,td{padding:.25rem .75rem;text-align:right;font-variant-numeric:tabular-nums}\
th{border-bottom:1px solid #999}th,td{white-space:nowrap}.word{text-align:left}\
.wide{overflow-x:auto}svg{width:100%;min-width:44rem;height:auto;margin:1rem 0}small{color:#666}\
@media(prefers-color-scheme:dark){body{background:#161616;color:#ddd}small{color:#999}\
svg{filter:invert(.9) hue-rotate(180deg)}}";

/// Composes the page; `samples` is HTML.
pub(super) fn page(
    rows: &[Row],
    differences: &[Difference],
    pictures: &[Picture],
    samples: &str,
) -> String {
    let mut html = String::from("<!doctype html>\n<html lang=\"en\">\n<head>\n");
    let names = names(rows);
    let title = escaped(&format!("Comparison of {}", names.join(", ")));
    let _ = write!(
        html,
        "<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    );
    if !differences.is_empty() {
        html.push_str("<h2>Keys that differ</h2>\n");
        add_table(&mut html, &grid(&names, differences), 1 + rows.len());
    }
    html.push_str("<h2>Verdicts</h2>\n");
    add_table(&mut html, &overview(rows), WORDS);
    html.push_str("<h2>Speed and duration</h2>\n");
    add_table(&mut html, &effort(rows), WORDS);
    html.push_str("<h2>Validation perplexity by recurrence</h2>\n");
    add_table(&mut html, &perplexities(rows), 1);
    let findings = findings(rows);
    if !findings.is_empty() {
        html.push_str("<h2>Findings</h2>\n<ul>\n");
        for Told {
            what,
            evidence,
            cure,
        } in findings
        {
            let _ = writeln!(
                html,
                "<li>{}<br><small>{}</small><br>{}</li>",
                escaped(&what),
                escaped(&evidence),
                escaped(&cure)
            );
        }
        html.push_str("</ul>\n");
    }
    for picture in pictures {
        let (name, svg) = (picture.name(), picture.svg());
        let _ = writeln!(html, "<h2>{name}</h2>\n<div class=\"wide\">{svg}</div>");
    }
    html.push_str(samples);
    html.push_str("</body>\n</html>\n");
    html
}

/// Adds a table whose first columns are words.
fn add_table(html: &mut String, grid: &Grid, words: usize) {
    html.push_str("<div class=\"wide\"><table>\n");
    let mut add_row = |tag: &str, cells: &[String]| {
        html.push_str("<tr>");
        for (index, cell) in cells.iter().enumerate() {
            let class = if index < words { " class=\"word\"" } else { "" };
            let _ = write!(html, "<{tag}{class}>{}</{tag}>", escaped(cell));
        }
        html.push_str("</tr>\n");
    };
    add_row("th", &grid.header);
    for row in &grid.rows {
        add_row("td", row);
    }
    html.push_str("</table></div>\n");
}

/// Makes text safe between tags and in quoted attributes.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_folders_cannot_become_markup() {
        assert_eq!(
            escaped("<b a=\"1\">&</b>"),
            "&lt;b a=&quot;1&quot;&gt;&amp;&lt;/b&gt;"
        );
    }
}
