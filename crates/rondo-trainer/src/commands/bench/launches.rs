//! Counts how many kernels a step, a forward pass and an evaluation launch. The host of a GPU needs
//! time for each launch, whatever the sizes of the tensors.

use rondo_metrics::Table;
use rondo_train::config::ResolvedConfig;
use rondo_train::device::{Launches, Listed};
use rondo_train::distributed::World;
use rondo_train::error::Result;
use serde_json::{Value, json};

use super::subject::{Subject, Work};
use crate::cli::{BenchArgs, Rounds};
use crate::terminal;

/// The kinds of work whose launches are counted, each with its name.
const WORK: [(Work, &str); 4] = [
    (Work::Step, "training step"),
    (Work::LoggedStep, "training step that is logged"),
    (Work::Forward, "forward pass"),
    (Work::Eval, "evaluation"),
];

/// How many kernels of a step the table lists by name.
const NAMED: usize = 12;

/// Counts the launches and prints them.
///
/// # Errors
///
/// Returns an error if the device fails or standard output cannot be written.
pub(super) fn command(
    name: &str,
    config: &ResolvedConfig,
    listed: &Listed,
    args: &BenchArgs,
) -> Result<()> {
    let count = |(work, called)| Counted::new(config, work, called, listed, args.rounds());
    let counted: Vec<Counted> = WORK.into_iter().map(count).collect::<Result<_>>()?;
    if args.json.json {
        return terminal::print_json(&json!({
            "config": name,
            "device": listed.label(),
            "what": args.what.name(),
            "launches": counted.iter().map(Counted::json).collect::<Vec<_>>(),
        }));
    }
    let (label, step) = (listed.label(), &counted[0]);
    let of_step = match step.last.total() {
        0 => "It launches nothing: a processor's operations are functions of this process."
            .to_owned(),
        _ => kernels(&step.last).to_string(),
    };
    terminal::print(&format!(
        "{name} on {label}: kernels launched\n{}\n\n{of_step}",
        table(&counted)
    ))
}

/// The launches of one kind of work, counted several times.
struct Counted {
    called: &'static str,
    /// The number of launches in each round.
    totals: Vec<usize>,
    /// The launches of the last round.
    last: Launches,
}

impl Counted {
    /// Counts the launches of `rounds`. Kernels may be tuned in the warm-up rounds, which are not
    /// counted.
    fn new(
        config: &ResolvedConfig,
        work: Work,
        called: &'static str,
        listed: &Listed,
        rounds: Rounds,
    ) -> Result<Self> {
        let mut subject = Subject::new(config, work, work.unroll(config), listed, &World::alone())?;
        let mut counted = Self {
            called,
            totals: Vec::new(),
            last: Launches::default(),
        };
        for round in 0..rounds.warmup + rounds.counted {
            let ((), launches) = listed.count_launches(|| subject.run(round as u64 + 1))?;
            if round >= rounds.warmup {
                counted.totals.push(launches.total());
                counted.last = launches;
            }
        }
        Ok(counted)
    }

    fn json(&self) -> Value {
        let kernels = self.last.by_kernel.iter();
        let kernels = kernels.map(|(kernel, count)| json!({"kernel": kernel, "launches": count}));
        json!({
            "work": self.called,
            "launches": self.last.total(),
            "rounds": self.totals,
            "by_kernel": kernels.collect::<Vec<_>>(),
        })
    }

    /// Returns the number of launches in a round, or the range of the numbers if the rounds differ.
    fn shown(&self) -> String {
        let [least, most] = [self.totals.iter().min(), self.totals.iter().max()];
        let [least, most] = [least, most].map(|count| count.copied().unwrap_or(0));
        match least == most {
            true => least.to_string(),
            false => format!("{least} to {most}"),
        }
    }
}

fn table(counted: &[Counted]) -> Table {
    let mut table = Table::new(&["work", "launches"]).left(0);
    for one in counted {
        table.row([one.called.to_owned(), one.shown()]);
    }
    table
}

/// Returns the kernels that a step launches most often.
fn kernels(step: &Launches) -> Table {
    let mut table = Table::new(&["kernel of a training step", "launches"]).left(0);
    let (named, others) = step.by_kernel.split_at(NAMED.min(step.by_kernel.len()));
    for (kernel, count) in named {
        table.row([kernel.clone(), count.to_string()]);
    }
    if !others.is_empty() {
        let count: usize = others.iter().map(|(_, count)| count).sum();
        table.row([format!("{} others", others.len()), count.to_string()]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launches(counts: impl IntoIterator<Item = usize>) -> Launches {
        let counts = counts.into_iter().enumerate();
        Launches {
            by_kernel: counts.map(|(i, n)| (format!("k{i}"), n)).collect(),
        }
    }

    #[test]
    fn rounds_that_differ_show_as_a_range() {
        let counted = |totals: &[usize]| Counted {
            called: "forward pass",
            totals: totals.to_vec(),
            last: launches([3]),
        };
        assert_eq!(counted(&[3, 3]).shown(), "3");
        assert_eq!(counted(&[5, 3]).shown(), "3 to 5");
    }

    #[test]
    fn kernels_beyond_the_first_dozen_share_a_row() {
        let text = kernels(&launches((1..=14).rev())).to_string();
        assert!(text.contains("k0 "), "{text}");
        let last = text.lines().last().expect("a row");
        assert!(
            last.starts_with("2 others") && last.ends_with(" 3"),
            "{text}"
        );
    }
}
