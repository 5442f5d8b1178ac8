//! The table of a sweep's settings. It shows means over the seeds of each setting.

use rondo_diagnosis::Verdict;
use rondo_metrics::Table;
use rondo_metrics::format::{MISSING, significant};
use rondo_metrics::names::VAL_PERPLEXITY;
use rondo_sweep::{Results, Setting, Spread};

use super::{FINAL_LOSS, WIDTH, shortened, width};

/// The name of the setting if the sweep has only one.
const BASE: &str = "base";

/// Returns the table of settings, with the best setting first. For the final loss and for the
/// perplexity at the `deepest` depth, it shows the mean ± standard deviation over seeds. It also
/// shows the verdicts.
pub(super) fn table(results: &Results, deepest: Option<usize>) -> String {
    let whole = of(results, deepest, usize::MAX);
    let settings = results.settings();
    let longest = settings.iter().map(|setting| setting.name.len()).max();
    match (longest.unwrap_or(0) + WIDTH).checked_sub(width(&whole)) {
        Some(room) if width(&whole) > WIDTH => of(results, deepest, room),
        _ => whole,
    }
}

fn of(results: &Results, deepest: Option<usize>, room: usize) -> String {
    let perplexity = deepest.map(|depth| format!("ppl at {depth}"));
    let mut header = vec!["setting", "seeds", "val loss"];
    header.extend(perplexity.as_deref());
    header.push("verdicts");
    let mut table = Table::new(&header).left(0);
    let mut settings = results.settings();
    let order = |setting: &Setting<'_>| {
        let loss = setting.spread(FINAL_LOSS.name());
        loss.map_or(f64::INFINITY, |loss| loss.mean)
    };
    settings.sort_by(|a, b| order(a).total_cmp(&order(b)));
    for setting in &settings {
        let name = match setting.name {
            "" => BASE,
            name => name,
        };
        let mut cells = vec![
            shortened(name, room),
            setting.rows.len().to_string(),
            spread(setting.spread(FINAL_LOSS.name())),
        ];
        let at_deepest = deepest.map(|depth| VAL_PERPLEXITY.at(depth).into_name());
        cells.extend(at_deepest.map(|name| spread(setting.spread(&name))));
        cells.push(verdicts(setting));
        table.row(cells);
    }
    format!("mean ± standard deviation over seeds\n{table}")
}

fn spread(spread: Option<Spread>) -> String {
    match spread {
        None => MISSING.to_owned(),
        Some(Spread { mean, sd: None, .. }) => significant(mean, 5),
        Some(Spread {
            mean, sd: Some(sd), ..
        }) => format!("{} ± {}", significant(mean, 5), significant(sd, 2)),
    }
}

/// Describes the verdicts of a setting in words: `3 healthy`, `2 of 3 divergence`.
fn verdicts(setting: &Setting<'_>) -> String {
    let runs = setting.rows.len();
    match setting.verdicts().as_slice() {
        [(verdict, count)] => format!("{count} {verdict}"),
        several => {
            let healthy = Verdict::Healthy.name();
            let worse = several.iter().filter(|(verdict, _)| *verdict != healthy);
            let counts = worse.map(|(verdict, count)| format!("{count} of {runs} {verdict}"));
            counts.collect::<Vec<_>>().join(", ")
        }
    }
}
