//! Benchmarks as items, tokens, scores and statistics: what lm-evaluation-harness and CORE do around a model.
//!
//! ```text
//! Σ_j ln p(t_j | t_<j)     of the tokens t_j of a choice, at every recurrence depth
//! ```
//!
//! In reading order:
//!
//! * [`item`] (what is asked), [`task`] (files of items), [`rules`] (whose conventions), [`prompt`] (examples, context,
//!   continuation; `mersenne` draws examples as Python does), [`rows`] (tokens, with what is scored and what is cut)
//! * [`outcome`] (what an item came to), [`answer`] (whether a generated text is right)
//! * [`statistics`] (intervals and tests of paired outcomes), [`report`] (what a task came to, by depth, stratum and run)
//! * [`minimise`]: L-BFGS, for the controls that are fitted at each depth
//! * [`error`]: what can be wrong with a file of items
//!
//! Absences: Burn, models, tokenizers (the caller's function gives tokens), a terminal, a clock, ambient randomness. It
//! reads the files of items and writes none.

pub mod answer;
pub mod error;
#[cfg(test)]
mod golden;
pub mod item;
mod mersenne;
pub mod minimise;
pub mod outcome;
pub mod prompt;
pub mod report;
pub mod rows;
pub mod rules;
pub mod statistics;
pub mod task;

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::item::Item;
    use crate::task::Task;

    /// Makes a task of lines, as if they stood in t.jsonl.
    pub(crate) fn task(lines: &[&str]) -> Task {
        let item = |(number, line): (usize, &&str)| {
            let object = serde_json::from_str(line).expect("an object");
            Item::read(number + 1, &object).expect("an item")
        };
        let items: Vec<Item> = lines.iter().enumerate().map(item).collect();
        Task {
            name: "t".to_owned(),
            path: PathBuf::from("t.jsonl"),
            kind: items[0].question.kind(),
            items,
            examples: None,
        }
    }
}
