//! Describes one run: its name and verdict, its progress, its last values, and notes.

use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use rondo_diagnosis::Finding;
use rondo_metrics::format::{duration, learning_rate, rate, significant};

use super::words::{cut, sentence, wrapped};
use super::{Numbered, Scene};
use crate::palette::quiet;
use crate::run::{Run, Stage};
use crate::source::Condition;

/// Returns the lines that describe a run.
pub(super) fn lines(width: u16, scene: &Scene<'_>, (_, run): Numbered<'_>) -> Vec<Line<'static>> {
    let palette = scene.palette;
    let name = cut(run.name(), usize::from(width));
    let mut pieces = vec![Span::styled(
        name,
        Style::new().add_modifier(Modifier::BOLD),
    )];
    if run.has_records() {
        pieces.push(Span::styled(
            run.verdict().name(),
            palette.verdict(run.verdict()),
        ));
    }
    pieces.extend(numbers(run, scene).into_iter().map(Span::raw));
    let mut lines = wrapped(pieces, width);
    if let Some(finding) = run.finding() {
        lines.extend(sentence(&found(finding), width, palette.warning()));
    }
    if let Some(text) = trouble(run) {
        lines.extend(sentence(&text, width, palette.warning()));
    }
    if let Some(note) = &run.plan().note {
        lines.extend(sentence(note, width, quiet()));
    }
    lines
}

/// Describes when a failure began, and what to try.
pub(super) fn found(finding: &Finding) -> String {
    format!(
        "since step {}; try: {}",
        finding.since,
        finding.failure.cure()
    )
}

/// Returns the last values of a run with their names. Values that the run does not have are left
/// out.
fn numbers(run: &Run, scene: &Scene<'_>) -> Vec<String> {
    if !run.has_records() {
        return Vec::new();
    }
    let step = match run.plan().steps {
        Some(steps) => format!("step {}/{steps}", run.step()),
        None => format!("step {}", run.step()),
    };
    let share = run.plan().steps.filter(|steps| *steps > 0);
    let share = share.map(|steps| format!("{} %", 100 * run.step() / steps));
    let shown = |name: &str, value: Option<f64>, told: fn(f64) -> String| {
        value.map(|value| format!("{name} {}", told(value)).trim_start().to_owned())
    };
    let drawn = run.drawn().map(|(n, k)| format!("r {n}+{k}"));
    [
        Some(step),
        share.filter(|_| run.stage() != Stage::Finished),
        Some(time(run, scene)).filter(|text| !text.is_empty()),
        shown("loss", run.loss().last(), |x| significant(x, 4)),
        shown("lr", run.rate().last(), learning_rate),
        drawn,
        shown("corr", run.correlation().last(), |x| format!("{x:.2}")),
        shown("", run.speed().last(), |x| rate(x, "tok")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Returns the time left or how the run has ended; empty if neither is known.
pub(super) fn time(run: &Run, scene: &Scene<'_>) -> String {
    match (run.stage(), run.silence(scene.now)) {
        (Stage::Finished, _) => match run.seconds() {
            Some(seconds) => format!("finished in {}", duration(seconds)),
            None => "finished".to_owned(),
        },
        (Stage::Stopped, _) => "stopped".to_owned(),
        (Stage::Training, Some(silence)) => format!("silent for {}", duration(silence)),
        (Stage::Training, None) => match run.seconds_left() {
            Some(seconds) => format!("{} left", duration(seconds)),
            None => String::new(),
        },
    }
}

/// Returns why a run cannot be read; `None` if it can.
pub(super) fn trouble(run: &Run) -> Option<String> {
    match run.condition() {
        Condition::Reading => None,
        Condition::Waiting => Some(format!(
            "no records yet: waiting for {}",
            run.dir().join("metrics.jsonl").display()
        )),
        Condition::Gone => Some(format!(
            "{} is gone; these are the last numbers of it",
            run.dir().display()
        )),
        Condition::Faulty(reason) => Some(reason.clone()),
    }
}
