//! Converts texts to rows of tokens, and marks the scored positions.
//!
//! A row has the tokens that the model reads and, from one position on, the tokens that it must
//! predict: position `first + j` predicts `targets[j]`. A row that is longer than the context loses
//! its earliest tokens.

use std::ops::Range;

use crate::error::Result;
use crate::item::Kind;
use crate::prompt::{Pair, Template, is_python_space};
use crate::rules::Rules;
use crate::task::Task;

/// The tokens that the model reads, and the tokens that it must predict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The index of the item in its task.
    pub item: usize,
    /// The tokens that the model reads.
    pub inputs: Vec<u32>,
    /// The position that predicts the first target.
    pub first: usize,
    /// The tokens to predict, from position `first` on.
    pub targets: Vec<u32>,
}

/// The rows of an item, as a range of [`Plan::rows`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The item's rows: one for each choice or context, one for a continuation, one for each window
    /// of a text. A generated or an undecided item has none.
    pub rows: Range<usize>,
    /// The number of tokens that were cut off on the left, in all rows of the item.
    pub cut: usize,
    /// Whether the item cannot be decided because a row has no scored tokens. That happens if one
    /// choice is the beginning of another.
    pub undecided: bool,
}

/// The rows of a task.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The rows of all items, in the order of the items.
    pub rows: Vec<Row>,
    /// The rows and the counts of each item.
    pub items: Vec<Planned>,
    /// The number of items whose tokens change where context and continuation meet: the tokens of
    /// the context alone are not the beginning of the tokens of both together.
    pub retokenized: usize,
}

impl Plan {
    /// Returns the number of items that lost tokens on the left, and the number of these tokens.
    pub fn cuts(&self) -> (usize, usize) {
        let cuts = || {
            self.items
                .iter()
                .map(|item| item.cut)
                .filter(|cut| *cut > 0)
        };
        (cuts().count(), cuts().sum())
    }

    /// Returns the number of undecided items.
    pub fn undecided(&self) -> usize {
        self.items.iter().filter(|item| item.undecided).count()
    }
}

/// The context window of the model.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// The maximum number of positions of a row.
    pub context: usize,
    /// The token before a text: the token that begins a text or, if there is none, the token that
    /// ends a text.
    pub opening: u32,
}

/// Makes the rows of a task. `encode` returns the tokens of a text.
///
/// # Errors
///
/// A text has no tokens, a continuation alone does not fit in the context, or `encode` fails. The
/// error names the line of the item.
pub fn plan(
    task: &Task,
    template: &Template,
    window: Window,
    mut encode: impl FnMut(&str) -> Result<Vec<u32>, String>,
) -> Result<Plan> {
    template.check(task)?;
    let mut plan = Plan::default();
    for item in 0..task.items.len() {
        let pairs = template.pairs(task, item);
        let mut of = OfItem {
            window,
            item,
            rows: Vec::new(),
            cut: 0,
            undecided: false,
            retokenized: false,
        };
        let made = match (task.kind, template.rules) {
            (Kind::Text, _) => of.rolling(&pairs[0].continuation, &mut encode),
            (Kind::Generation, _) => Ok(()),
            (_, Rules::LmEval) => pairs
                .iter()
                .try_for_each(|pair| of.harness(pair, &mut encode)),
            (kind, Rules::Core) => of.core(kind, &pairs, &mut encode),
        };
        made.map_err(|message| task.at(item, message))?;
        let start = plan.rows.len();
        plan.rows.extend(of.rows);
        plan.items.push(Planned {
            rows: start..plan.rows.len(),
            cut: of.cut,
            undecided: of.undecided,
        });
        plan.retokenized += usize::from(of.retokenized);
    }
    Ok(plan)
}

/// The rows of one item while they are being made.
struct OfItem {
    window: Window,
    item: usize,
    rows: Vec<Row>,
    cut: usize,
    undecided: bool,
    retokenized: bool,
}

impl OfItem {
    /// Adds a row with all `tokens`. The tokens from index `start` on are scored.
    fn push(&mut self, tokens: &[u32], start: usize) -> Result<(), String> {
        let context = self.window.context;
        let scored = tokens.len() - start;
        if scored > context {
            return Err(format!(
                "the {scored} tokens that are scored do not fit the model's context of {context}"
            ));
        }
        let kept = tokens.len().min(context + 1);
        let cut = tokens.len() - kept;
        self.add(tokens, start, cut);
        Ok(())
    }

    /// Adds a row of `tokens` without the first `cut` tokens. The tokens from index `start` on are
    /// scored.
    fn add(&mut self, tokens: &[u32], start: usize, cut: usize) {
        self.cut += cut;
        self.rows.push(Row {
            item: self.item,
            inputs: tokens[cut..tokens.len() - 1].to_vec(),
            first: start - cut - 1,
            targets: tokens[start..].to_vec(),
        });
    }

    /// Makes a row from a context and a continuation, as lm-eval makes a request.
    fn harness(
        &mut self,
        pair: &Pair,
        encode: &mut impl FnMut(&str) -> Result<Vec<u32>, String>,
    ) -> Result<(), String> {
        // White space at the end of the context is moved to the continuation.
        let context = pair.context.trim_end_matches(is_python_space);
        let mut tokens = encode(&format!("{}{}", pair.context, pair.continuation))?;
        let before = match context.is_empty() {
            true => Vec::new(),
            false => encode(context)?,
        };
        let start = match before.len() {
            0 => {
                // Without the opening, no token precedes the first token and predicts it.
                if tokens.first() != Some(&self.window.opening) {
                    tokens.insert(0, self.window.opening);
                }
                1
            }
            some => {
                self.retokenized |= !tokens.starts_with(&before);
                some
            }
        };
        if start >= tokens.len() {
            return Err("the continuation has no token of its own".to_owned());
        }
        self.push(&tokens, start)
    }

    /// Makes the rows of an item as CORE makes its prompts: all prompts together decide what is
    /// scored.
    fn core(
        &mut self,
        kind: Kind,
        pairs: &[Pair],
        encode: &mut impl FnMut(&str) -> Result<Vec<u32>, String>,
    ) -> Result<(), String> {
        let opening = self.window.opening;
        let mut opened = |text: &str| -> Result<Vec<u32>, String> {
            let tokens = encode(text)?;
            Ok(std::iter::once(opening).chain(tokens).collect())
        };
        let mut prompts = Vec::new();
        for pair in pairs {
            prompts.push(opened(&format!("{}{}", pair.context, pair.continuation))?);
        }
        let starts: Vec<usize> = match kind {
            Kind::Schema => {
                let suffix = common(&prompts, |tokens, at| tokens.iter().rev().nth(at).copied());
                prompts.iter().map(|prompt| prompt.len() - suffix).collect()
            }
            Kind::LanguageModeling => {
                let before = pairs[0].context.trim_matches(is_python_space);
                let before = [opened(before)?, prompts[0].clone()];
                let start = common(&before, |tokens, at| tokens.get(at).copied());
                self.retokenized |= start < before[0].len();
                vec![start]
            }
            _ => {
                let prefix = common(&prompts, |tokens, at| tokens.get(at).copied());
                vec![prefix; prompts.len()]
            }
        };
        // If the prompts differ from their first token on, that token cannot be scored, because no
        // token precedes it.
        let rows = || {
            prompts
                .iter()
                .zip(starts.iter().map(|start| (*start).max(1)))
        };
        if rows().any(|(prompt, start)| start >= prompt.len()) {
            self.undecided = true;
            return Ok(());
        }
        for (prompt, start) in rows() {
            self.push_core(prompt, start)?;
        }
        Ok(())
    }

    /// Adds a prompt of CORE. The kept tokens, including the last one, are at most as many as the
    /// context has positions, although the last one is not read.
    fn push_core(&mut self, tokens: &[u32], start: usize) -> Result<(), String> {
        let context = self.window.context;
        let cut = tokens.len().saturating_sub(context);
        if start < cut + 1 {
            return Err(format!(
                "the {} tokens that are scored and the one before them do not fit the model's context of {context}",
                tokens.len() - start
            ));
        }
        self.add(tokens, start, cut);
        Ok(())
    }

    /// Makes rows as lm-eval's rolling log-likelihood does: windows that together predict every
    /// token once, each with as much context as fits.
    fn rolling(
        &mut self,
        text: &str,
        encode: &mut impl FnMut(&str) -> Result<Vec<u32>, String>,
    ) -> Result<(), String> {
        let tokens = encode(text)?;
        if tokens.iter().all(|token| *token == self.window.opening) {
            return Err("the text has no token of its own".to_owned());
        }
        let opening = Some(self.window.opening).filter(|opening| tokens[0] != *opening);
        let all: Vec<u32> = opening.into_iter().chain(tokens).collect();
        let context = self.window.context;
        // Position `end − 1` predicts `all[end]`.
        let mut done = 0;
        while done + 1 < all.len() {
            let new = context.min(all.len() - 1 - done);
            let end = done + new;
            let start = match done {
                0 => 0,
                _ => end.saturating_sub(context),
            };
            self.rows.push(Row {
                item: self.item,
                inputs: all[start..end].to_vec(),
                first: done - start,
                targets: all[done + 1..=end].to_vec(),
            });
            done = end;
        }
        Ok(())
    }
}

/// Returns how many tokens all lists share at their beginning or end. `at` returns the token at a
/// position, counted from that side.
fn common(lists: &[Vec<u32>], at: impl Fn(&[u32], usize) -> Option<u32>) -> usize {
    let shortest = lists.iter().map(Vec::len).min().unwrap_or(0);
    let same = |position: &usize| {
        let mut tokens = lists.iter().map(|list| at(list, *position));
        let first = tokens.next();
        tokens.all(|token| Some(token) == first)
    };
    (0..shortest).take_while(same).count()
}

#[cfg(test)]
mod tests;
