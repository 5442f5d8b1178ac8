//! Benchmarks as items, tokens, scores and statistics: the parts of lm-evaluation-harness and CORE
//! around a model.
//!
//! ```text
//! Σ_j ln p(t_j | t_<j)     of the tokens t_j of a choice, at every recurrence depth
//! ```
//!
//! In reading order:
//!
//! * [`item`] (questions), [`task`] (files of items), [`rules`] (the conventions of lm-eval or
//!   CORE), [`prompt`] (examples, context, continuation; `mersenne` draws examples as Python does),
//!   [`rows`] (tokens, and which are scored and cut)
//! * [`outcome`] (the scores of an item), [`answer`] (whether a generated text is right)
//! * [`statistics`] (intervals and tests of paired outcomes), [`report`] (the scores of a task by
//!   depth, stratum and run)
//! * [`minimise`]: L-BFGS, which fits the controls at each depth
//! * [`error`]: what can be wrong with a file of items
//!
//! Absences: Burn, models, tokenizers (the caller's function returns tokens), a terminal, a clock,
//! ambient randomness. The crate reads files of items and writes none.

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

    /// Makes a task from lines, as if they were in t.jsonl.
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
