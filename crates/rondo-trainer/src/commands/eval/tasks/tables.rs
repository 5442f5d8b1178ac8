//! Formats the scores of tasks as tables.

use rondo_metrics::Table;
use rondo_metrics::format::{MISSING, or_missing, significant};
use rondo_tasks::item::Kind;
use rondo_tasks::outcome::Measure;
use rondo_tasks::report::{Comparison, Condition, Control, RunReport, Scored, Stratum, TaskReport};
use rondo_tasks::statistics::Interval;
use rondo_train::tasks::controls::Fitted;

/// Returns the tables of a task. For each stratum of its items, they show the scores of each run,
/// the comparisons between the depths of a run, and the comparisons between runs.
pub(super) fn report(report: &TaskReport) -> String {
    let shots = match report.shots {
        0 => String::new(),
        1 => ", 1 example".to_owned(),
        several => format!(", {several} examples"),
    };
    let mut parts = vec![format!(
        "{}: {} items, {}{shots}, rules of {}",
        report.task,
        report.items,
        report.kind.name(),
        report.rules.name()
    )];
    for stratum in &report.strata {
        if let Some(name) = &stratum.stratum {
            parts.push(format!("{}: {name}, {} items", report.task, stratum.items));
        }
        for run in &stratum.runs {
            parts.push(format!("{} at step {}", run.run, run.step));
            parts.push(format!("{}\n", scores(run, report.kind)));
            let shown: Vec<_> = run
                .pairs
                .iter()
                .filter(|pair| is_shown(pair, run))
                .collect();
            if !shown.is_empty() {
                parts.push(format!("{}\n", comparisons(&shown, Sides::Depths)));
            }
        }
        parts.extend(between(stratum));
    }
    parts.join("\n")
}

/// Returns a table that shows the effect of the controls on documents.
pub(super) fn controls(run: &str, fitted: &[Fitted]) -> String {
    let mut table = Table::new(&[
        "recurrence",
        "loss",
        "T",
        "loss with T",
        "with affine",
        "closed by T",
        "by affine",
    ]);
    let number = |x: f64| format!("{x:.4}");
    let share = |x: Option<f64>| or_missing(x, |x| format!("{:.1} %", 100.0 * x));
    for one in fitted {
        table.row([
            one.recurrence.to_string(),
            number(one.loss),
            format!("{:.3}", one.temperature),
            number(one.loss_temperature),
            number(one.loss_affine),
            share(one.closed_by_temperature),
            share(one.closed_by_affine),
        ]);
    }
    let tokens = fitted.first().map_or(0, |one| one.tokens);
    format!("controls of {run}: losses of {tokens} tokens outside the fitted ones\n{table}\n")
}

/// Whether the tables show a comparison. They show only accuracy (for a text: bits) without a
/// control. They compare only neighbouring depths, and the shallowest depth with the deepest. The
/// JSON contains all comparisons.
fn is_shown(pair: &Comparison, run: &RunReport) -> bool {
    let plain: Vec<&Condition> = run
        .conditions
        .iter()
        .map(|scored| &scored.condition)
        .filter(|condition| condition.control == Control::None)
        .collect();
    let place = |condition: &Condition| plain.iter().position(|other| *other == condition);
    let sides = place(&pair.first.condition).zip(place(&pair.second.condition));
    let neighbours_or_ends = |(first, second): (usize, usize)| {
        second == first + 1 || (first == 0 && second + 1 == plain.len())
    };
    pair.measure == leading(run) && sides.is_some_and(neighbours_or_ends)
}

/// Returns the measure that the tables compare: accuracy, or bits for texts.
fn leading(run: &RunReport) -> Measure {
    let mut conditions = run.conditions.iter();
    match conditions.any(|scored| scored.scores.contains_key(&Measure::Acc)) {
        true => Measure::Acc,
        false => Measure::BitsPerByte,
    }
}

fn scores(run: &RunReport, kind: Kind) -> Table {
    let has = |measure: &Measure| {
        let mut conditions = run.conditions.iter();
        conditions.any(|scored| scored.scores.contains_key(measure))
    };
    let measures: Vec<Measure> = Measure::ALL.into_iter().filter(has).collect();
    let leading = leading(run);
    let mut header = vec!["recurrence"];
    for measure in &measures {
        header.push(measure.name());
        header.extend((*measure == leading).then_some("95 %"));
    }
    header.extend(match kind {
        Kind::LanguageModeling => Some("perplexity"),
        Kind::Text => Some("byte perplexity"),
        Kind::Generation => Some("iterations"),
        Kind::MultipleChoice | Kind::Schema => None,
    });
    let mut table = Table::new(&header).left(0);
    for scored in &run.conditions {
        let mut row = vec![scored.condition.to_string()];
        for measure in &measures {
            let score = scored.scores.get(measure);
            row.push(or_missing(score.map(|score| score.value), |x| {
                format!("{x:.4}")
            }));
            if *measure == leading {
                row.push(interval(score.and_then(|score| score.interval)));
            }
        }
        row.extend(last(scored, kind));
        table.row(row);
    }
    table
}

/// Returns the content of the last column, whose meaning depends on the kind of task.
fn last(scored: &Scored, kind: Kind) -> Option<String> {
    let number = |x: Option<f64>| or_missing(x, |x| significant(x, 5));
    match kind {
        Kind::LanguageModeling => Some(number(scored.perplexity)),
        Kind::Text => Some(number(scored.byte_perplexity)),
        Kind::Generation => Some(or_missing(scored.mean_iterations, |x| format!("{x:.2}"))),
        Kind::MultipleChoice | Kind::Schema => None,
    }
}

fn interval(interval: Option<Interval>) -> String {
    interval.map_or_else(
        || MISSING.to_owned(),
        |Interval { low, high }| format!("{low:.4} to {high:.4}"),
    )
}

/// Returns the table of comparisons between runs, by the measure of [`leading`] and without a
/// control.
fn between(stratum: &Stratum) -> Option<String> {
    let leading = stratum.runs.first().map_or(Measure::Acc, leading);
    let plain =
        |one: &&Comparison| one.measure == leading && one.first.condition.control == Control::None;
    let shown: Vec<&Comparison> = stratum.between_runs.iter().filter(plain).collect();
    (!shown.is_empty()).then(|| format!("{}\n", comparisons(&shown, Sides::Runs)))
}

/// What differs between the two sides of a comparison.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sides {
    Depths,
    Runs,
}

fn comparisons(shown: &[&Comparison], sides: Sides) -> Table {
    let first = match sides {
        Sides::Depths => "recurrence",
        Sides::Runs => "recurrence: runs",
    };
    let mut header = vec![first, "difference", "95 %"];
    let tested = shown.iter().any(|one| one.test.is_some());
    if tested {
        header.extend(["only first", "only second", "mid-p", "Holm"]);
    }
    let mut table = Table::new(&header).left(0);
    let p = |p: f64| match p < 1e-4 {
        true => format!("{p:.1e}"),
        false => format!("{p:.4}"),
    };
    for one in shown {
        let (a, b) = (&one.first, &one.second);
        let mut row = vec![
            match sides {
                Sides::Depths => format!("{} → {}", a.condition, b.condition),
                Sides::Runs => format!("{}: {} → {}", a.condition, a.run, b.run),
            },
            format!("{:+.4}", one.difference),
            interval(one.interval),
        ];
        if tested {
            let count = |count: Option<u64>| {
                count.map_or_else(|| MISSING.to_owned(), |count| count.to_string())
            };
            row.push(count(one.test.map(|test| test.only_first)));
            row.push(count(one.test.map(|test| test.only_second)));
            row.push(or_missing(one.test.map(|test| test.mid_p), p));
            row.push(or_missing(one.mid_p_holm, p));
        }
        table.row(row);
    }
    table
}
