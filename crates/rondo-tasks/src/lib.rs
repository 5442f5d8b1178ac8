//! The parts of a benchmark around a model, as in lm-evaluation-harness and CORE: items, tokens,
//! scores and statistics.
//!
//! ```text
//! Σ_j ln p(t_j | t_<j)     over the tokens t_j of a choice, at every recurrence depth
//! ```
//!
//! Reading order:
//!
//! * [`item`] (questions), [`task`] (files of items), [`rules`] (the conventions of lm-eval or
//!   CORE), [`prompt`] (examples, context, continuation; `mersenne` draws examples as Python does),
//!   [`rows`] (tokens, and which of them are scored or cut off)
//! * [`outcome`] (the scores of an item), [`answer`] (whether a generated text is right)
//! * [`statistics`] (intervals and tests of paired outcomes), [`report`] (the scores of a task by
//!   depth, stratum and run)
//! * [`minimise`]: L-BFGS, which fits the temperatures or the factors and offsets of a control at
//!   each depth
//! * [`error`]: the errors in files of items
//!
//! # Limits
//!
//! The crate does not use Burn, models, tokenizers (a function of the caller returns tokens), a
//! terminal, a clock or ambient randomness. It reads files of items and writes none.

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

    /// Makes a task from lines as if they were the lines of a file `t.jsonl`.
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
