//! Items whose answer is written: generation up to a stop, and what is found in it.

use std::ops::ControlFlow;

use rondo_model::sampling::Sampling;
use rondo_tasks::answer::Matching;
use rondo_tasks::item::Question;
use rondo_tasks::outcome::Outcome;
use rondo_tasks::prompt::Template;
use rondo_tasks::task::Task;

use super::Reading;
use crate::error::{Error, Result};
use crate::generate::text_stream::TextStream;
use crate::generate::{DepthRule, Memory, Request, generate};
use crate::initial_states::InitialStates;
use crate::open_run::OpenRun;

/// How answers are written and judged.
pub struct Answering<'a> {
    /// The run.
    pub run: &'a OpenRun<'a>,
    /// Its tokenizer and context.
    pub reading: &'a Reading,
    /// Where s_0 comes from.
    pub states: &'a InitialStates,
    /// New tokens, at most.
    pub max_new_tokens: usize,
    /// Texts at which an answer ends; they are no part of it.
    pub stops: &'a [String],
    /// What is right.
    pub matching: &'a Matching,
}

/// An item's prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Its tokens.
    pub tokens: Vec<u32>,
    /// Tokens that were cut off on the left so that the answer fits.
    pub cut: usize,
}

impl Answering<'_> {
    /// Returns the prompts of a task's items.
    ///
    /// # Errors
    ///
    /// Where the answers leave no room for a prompt, or a text has no tokens; names the item's line.
    pub fn prompts(&self, task: &Task, template: &Template) -> Result<Vec<Prompt>> {
        template.check(task)?;
        let context = self.reading.window.context;
        let room = context.saturating_sub(self.max_new_tokens);
        if room == 0 {
            return Err(Error::Usage(format!(
                "--max-new-tokens: {} new tokens leave no room for a prompt in the model's context of {context}",
                self.max_new_tokens
            )));
        }
        let prompt = |item: usize| {
            let pairs = template.pairs(task, item);
            let mut tokens = self
                .reading
                .tokenizer
                .encode_prompt(&pairs[0].context)
                .map_err(|error| task.at(item, error))?;
            if tokens.is_empty() {
                tokens.push(self.reading.window.opening);
            }
            let cut = tokens.len().saturating_sub(room);
            Ok(Prompt {
                tokens: tokens.split_off(cut),
                cut,
            })
        };
        (0..task.items.len()).map(prompt).collect()
    }

    /// Writes and judges the answer of an item; each token is the likeliest.
    ///
    /// # Errors
    ///
    /// Where the device fails.
    ///
    /// # Panics
    ///
    /// Panics where the question is of another kind.
    pub fn outcome(
        &self,
        question: &Question,
        prompt: &Prompt,
        depth: DepthRule,
    ) -> Result<Outcome> {
        let Question::Generation { answers, .. } = question else {
            panic!("an answer is chosen where there are choices")
        };
        let tokenizer = &self.reading.tokenizer;
        let request = Request {
            prompt: prompt.tokens.clone(),
            depth,
            memory: Memory::Cache { budget: None },
            continuous: false,
            sampling: Sampling::default(),
            seed: 0,
            max_tokens: self.max_new_tokens,
            stops: self.run.stops(Some(tokenizer))?,
            vocabulary: tokenizer.vocab_size(),
        };
        let mut stream = TextStream::new(tokenizer, &request.prompt);
        let mut text = String::new();
        let generated = generate(self.run, self.states, &request, |token| {
            text.push_str(&stream.push(token)?);
            Ok(match self.end(&text) {
                Some(_) => ControlFlow::Break(()),
                None => ControlFlow::Continue(()),
            })
        })?;
        text.push_str(&stream.finish()?);
        if let Some(end) = self.end(&text) {
            text.truncate(end);
        }
        let found = self.matching.check(&text, answers);
        let count = generated.iterations.len() as f64;
        Ok(Outcome {
            acc: Some(found.exact),
            generated: Some(text),
            found: found.answer,
            mean_iterations: Some(generated.iterations.iter().sum::<usize>() as f64 / count),
            ..Outcome::default()
        })
    }

    /// Returns where an answer ends: before the first of the texts that end it.
    fn end(&self, text: &str) -> Option<usize> {
        self.stops
            .iter()
            .filter_map(|stop| text.find(stop.as_str()))
            .min()
    }
}
