//! Shows several runs as a table, which is also the legend of their charts. If the table is too
//! wide, some columns are left out. A run that is drawn in its own column shows all values.

use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use rondo_metrics::format::{learning_rate, short, significant};

use super::words::{cut, sentence};
use super::{Numbered, Scene, header, panels};
use crate::palette::quiet;
use crate::run::Run;
use crate::source::Condition;

/// The columns in order. If there is too little room, those with the highest number are left out
/// first.
const COLUMNS: [(&str, u8); 9] = [
    ("verdict", 3),
    ("step", 4),
    ("loss", 0),
    ("ppl", 1),
    ("corr", 2),
    ("lr", 7),
    ("r", 8),
    ("tok/s", 6),
    ("time", 5),
];

/// The minimum width of the names.
const NAME: usize = 8;

/// Returns the table's header, one line per run, and the failures that have not ended.
pub(super) fn lines(width: u16, scene: &Scene<'_>, runs: &[Numbered<'_>]) -> Vec<Line<'static>> {
    let depth = panels::depth(scene);
    let cells: Vec<[String; 9]> = runs
        .iter()
        .map(|(_, run)| cells(run, scene, depth))
        .collect();
    let mut heads = COLUMNS.map(|(head, _)| head.to_owned());
    if let Some(depth) = depth {
        heads[3] = format!("ppl@{depth}");
    }
    let width_of = |column: usize| {
        let cells = cells.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(heads[column].len())
    };
    let widths: [usize; 9] = std::array::from_fn(width_of);
    let total = scene.runs.len();
    let labelled = |(index, run): &Numbered<'_>| scene.palette.label(*index, total) + run.name();
    let names: Vec<String> = runs.iter().map(labelled).collect();
    let longest = names
        .iter()
        .map(|name| Span::raw(name).width())
        .max()
        .unwrap_or(0);
    let stay = those_that_fit(
        &widths,
        usize::from(width).saturating_sub(longest.clamp(NAME, 24)),
    );
    let taken: usize = stay.iter().map(|column| widths[*column] + 2).sum();
    let name_width = longest.min(usize::from(width).saturating_sub(taken)).max(3);
    let row = |name: Span<'static>, cells: &[String; 9], verdict: Style| {
        let mut line = Line::from(vec![Span::raw(
            " ".repeat(name_width.saturating_sub(name.width())),
        )]);
        line.spans.insert(0, name);
        for column in &stay {
            let style = if *column == 0 { verdict } else { Style::new() };
            // Words are aligned to the left, values to the right.
            let text = match *column {
                0 => format!("  {:<1$}", cells[*column], widths[*column]),
                _ => format!("  {:>1$}", cells[*column], widths[*column]),
            };
            line.push_span(Span::styled(text, style));
        }
        line
    };
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let head = row(Span::raw("run"), &heads, Style::new()).style(quiet());
    let rows = runs
        .iter()
        .zip(&names)
        .zip(&cells)
        .map(|(((index, run), name), cells)| {
            let style = scene.palette.line(*index).patch(bold);
            let name = Span::styled(cut(name, name_width), style);
            row(name, cells, scene.palette.verdict(run.verdict()))
        });
    let findings = runs.iter().filter_map(|(_, run)| {
        let finding = run.finding()?;
        let text = header::found(finding);
        Some(format!("{}: {} {text}", run.name(), finding.failure))
    });
    let findings = findings.flat_map(|text| sentence(&text, width, scene.palette.warning()));
    std::iter::once(head).chain(rows).chain(findings).collect()
}

/// Returns the indices of the columns that fit beside the names, in order.
fn those_that_fit(widths: &[usize; 9], mut room: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..COLUMNS.len()).collect();
    order.sort_by_key(|column| COLUMNS[*column].1);
    let mut stay = Vec::new();
    for column in order {
        let needed = widths[column] + 2;
        if needed > room {
            break;
        }
        room -= needed;
        stay.push(column);
    }
    stay.sort_unstable();
    stay
}

/// Returns the cells of a run. The cell of a missing value is empty.
fn cells(run: &Run, scene: &Scene<'_>, depth: Option<usize>) -> [String; 9] {
    if !run.has_records() {
        let alone = std::iter::once(state(run).to_owned());
        let mut cells = alone.chain(std::iter::repeat(String::new()));
        return std::array::from_fn(|_| cells.next().unwrap_or_default());
    }
    let told = |value: Option<f64>, told: fn(f64) -> String| value.map(told).unwrap_or_default();
    let perplexity = depth.and_then(|depth| run.perplexity().get(&depth)?.last());
    [
        match run.condition() {
            Condition::Reading => run.verdict().name().to_owned(),
            _ => state(run).to_owned(),
        },
        match run.plan().steps {
            Some(steps) => format!("{}/{steps}", run.step()),
            None => run.step().to_string(),
        },
        told(run.loss().last(), |x| significant(x, 4)),
        told(perplexity, |x| significant(x, 4)),
        told(run.correlation().last(), |x| format!("{x:.2}")),
        told(run.rate().last(), learning_rate),
        run.drawn()
            .map(|(n, k)| format!("{n}+{k}"))
            .unwrap_or_default(),
        told(run.speed().last(), short),
        header::time(run, scene),
    ]
}

/// Describes in one word whether a run can be read.
fn state(run: &Run) -> &'static str {
    match run.condition() {
        Condition::Reading => "reading",
        Condition::Waiting => "no records yet",
        Condition::Gone => "gone",
        Condition::Faulty(_) => "unreadable",
    }
}
