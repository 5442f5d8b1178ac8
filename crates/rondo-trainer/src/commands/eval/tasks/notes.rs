//! Prints notes on items that were cut, left out or tokenized differently.

use super::{Benchmarks, OfRun};
use crate::terminal;

/// Prints which items were cut, left out or tokenized differently.
pub(super) fn tell(runs: &[OfRun], asked: &Benchmarks) {
    for run in runs {
        for (task, plan) in asked.tasks.iter().zip(&run.plans) {
            let name = format!("{} in {}", task.name, run.name());
            let (items, tokens) = plan.cuts();
            if items > 0 {
                terminal::note(&format!(
                    "{name}: {items} of {} items are longer than the context and lost {tokens} tokens on the left",
                    task.items.len()
                ));
            }
            match plan.undecided() {
                0 => {}
                count => terminal::note(&format!(
                    "{name}: {count} of {} items are left out: one choice begins another, and nothing of it is scored",
                    task.items.len()
                )),
            }
            if plan.retokenized > 0 {
                terminal::note(&format!(
                    "{name}: in {} items the context has different tokens with the continuation than without it; as in {}, \
                     the tokens after the length of the context alone are scored",
                    plan.retokenized,
                    asked.rules.name()
                ));
            }
        }
    }
}
