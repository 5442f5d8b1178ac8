//! Benchmark items whose answer the model writes. Generates text up to a stop text, and judges the
//! answer that this text contains.

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

/// How answers are generated and judged.
pub struct Answering<'a> {
    /// The run whose model answers.
    pub run: &'a OpenRun<'a>,
    /// The tokenizer and the context of the run.
    pub reading: &'a Reading,
    /// The source of the initial states s_0.
    pub states: &'a InitialStates,
    /// The maximum number of new tokens in an answer.
    pub max_new_tokens: usize,
    /// Texts at which an answer ends. They are not part of the answer.
    pub stops: &'a [String],
    /// The rule that decides which answers are right.
    pub matching: &'a Matching,
}

/// The prompt of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The tokens of the prompt.
    pub tokens: Vec<u32>,
    /// The number of tokens cut off at the left, so that the answer fits into the context.
    pub cut: usize,
}

impl Answering<'_> {
    /// Returns the prompts of a task's items.
    ///
    /// # Errors
    ///
    /// When the new tokens leave no room for a prompt, or a text has no tokens. The error names the
    /// line of the item.
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

    /// Generates the answer to an item and judges it. Each token is the likeliest one.
    ///
    /// # Errors
    ///
    /// When the device fails.
    ///
    /// # Panics
    ///
    /// Panics if the question has choices, because then no answer is generated.
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

    /// Returns the position of the first stop text, at which the answer ends. `None` without a stop
    /// text.
    fn end(&self, text: &str) -> Option<usize> {
        self.stops
            .iter()
            .filter_map(|stop| text.find(stop.as_str()))
            .min()
    }
}
