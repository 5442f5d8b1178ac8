//! Writes a comparison as one HTML page that needs no network and no other files. A script makes
//! the charts interactive; the page is also complete without the script.

mod table;

use std::fmt::Write as _;

use rondo_figures::chart::{Chart, SCRIPT, STYLE, escaped, legend};

use self::table::add_table;
use super::charts::Section;
use super::findings::{Told, findings};
use super::{Comparison, samples, tables};

const TABLES: &str = include_str!("page.css");
/// The title names at most this number of subjects. If there are more, it only counts them.
const MOST_NAMED: usize = 6;

/// Returns the page. `saved` lists the files that are written beside the page.
pub(super) fn page(comparison: &Comparison, sections: &[Section], saved: &[String]) -> String {
    let Comparison {
        rows,
        subjects,
        differences,
        ..
    } = comparison;
    let title = escaped(&title(comparison));
    let mut html = String::from("<!doctype html>\n<html lang=\"en\">\n<head>\n");
    let _ = write!(
        html,
        "<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n<style>\n{STYLE}{TABLES}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    );
    if !differences.is_empty() {
        add_heading(&mut html, "Keys that differ");
        add_table(&mut html, &tables::keys(subjects, differences));
    }
    add_numbers(&mut html, comparison);
    let grouped = comparison.has_groups();
    add_findings(&mut html, &findings(rows), !grouped);
    if grouped {
        html.push_str(
            "<p><label><input type=\"checkbox\" id=\"singles\"> Show the single runs in the charts</label></p>\n",
        );
    }
    for section in sections {
        add_section(&mut html, section);
    }
    html.push_str(&samples::section(&comparison.runs));
    if !saved.is_empty() {
        let _ = writeln!(
            html,
            "<p class=\"note\">Saved beside this page: {}.</p>",
            escaped(&saved.join(", "))
        );
    }
    let _ = write!(html, "<script>\n{SCRIPT}</script>\n</body>\n</html>\n");
    html
}

/// Adds the verdicts, the speed and the perplexities of the runs. If there are groups, the page
/// shows their means, and the single runs are folded.
fn add_numbers(html: &mut String, comparison: &Comparison) {
    let Comparison { rows, groups, .. } = comparison;
    let single = [
        ("Verdicts", tables::overview(rows)),
        ("Speed and duration", tables::effort(rows)),
        (
            "Validation perplexity by recurrence",
            tables::perplexities(rows),
        ),
    ];
    if !comparison.has_groups() {
        for (heading, grid) in single {
            add_heading(html, heading);
            add_table(html, &grid);
        }
        return;
    }
    for (heading, grid) in [
        (
            "Verdicts and means over seeds ± standard deviation",
            tables::group_overview(groups, rows),
        ),
        (
            "Speed and duration, means over seeds",
            tables::group_effort(groups),
        ),
        (
            "Validation perplexity by recurrence, means over seeds",
            tables::group_perplexities(groups),
        ),
    ] {
        add_heading(html, heading);
        add_table(html, &grid);
    }
    let _ = write!(
        html,
        "<details>\n<summary>{} single runs: verdict, speed, perplexity</summary>\n",
        rows.len()
    );
    for (_, grid) in single {
        add_table(html, &grid);
    }
    html.push_str("</details>\n");
}

fn title(comparison: &Comparison) -> String {
    let names: Vec<&str> = comparison
        .subjects
        .iter()
        .map(|subject| subject.name.as_str())
        .collect();
    match (comparison.rows.len(), names.len()) {
        (_, count) if count <= MOST_NAMED => format!("Comparison of {}", names.join(", ")),
        (runs, count) if runs == count => format!("Comparison of {runs} runs"),
        (runs, count) => format!("Comparison of {runs} runs of {count} settings"),
    }
}

fn add_heading(html: &mut String, heading: &str) {
    let _ = writeln!(html, "<h2>{}</h2>", escaped(heading));
}

fn add_section(html: &mut String, section: &Section) {
    let title = escaped(section.title);
    let (opening, closing) = match section.folded {
        true => (
            format!(
                "<details>\n<summary>{title}: {} charts</summary>\n",
                section.charts.len()
            ),
            "</details>\n",
        ),
        false => (format!("<h2>{title}</h2>\n"), ""),
    };
    html.push_str(&opening);
    html.push_str(&legend(section.legend.title, &section.legend.entries));
    if section
        .charts
        .iter()
        .any(Chart::begins_before_the_log_scale)
    {
        html.push_str(
            "<p class=\"note\">What was measured before training is drawn at the left edge of the log scale.</p>\n",
        );
    }
    html.push_str("<div class=\"charts\">\n");
    for chart in &section.charts {
        html.push_str(&chart.html());
    }
    html.push_str("</div>\n");
    html.push_str(closing);
}

fn add_findings(html: &mut String, findings: &[Told], open: bool) {
    if findings.is_empty() {
        return;
    }
    let (opening, closing) = match open {
        true => ("<h2>Findings</h2>\n".to_owned(), ""),
        false => (
            format!(
                "<details>\n<summary>{} findings, and what to try</summary>\n",
                findings.len()
            ),
            "</details>\n",
        ),
    };
    html.push_str(&opening);
    html.push_str("<ul>\n");
    for Told {
        what,
        evidence,
        cure,
    } in findings
    {
        let _ = writeln!(
            html,
            "<li>{}<br><span class=\"note\">{}</span><br>{}</li>",
            escaped(what),
            escaped(evidence),
            escaped(cure)
        );
    }
    html.push_str("</ul>\n");
    html.push_str(closing);
}
