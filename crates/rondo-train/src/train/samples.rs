//! Texts that the model generates during each evaluation, after the configured prompts and at
//! several depths.
//!
//! Each prompt at each depth gives a separate text. N ranks generate N texts at a time, one text on
//! each rank, and then exchange the texts. A text is the same for any number of ranks, because
//! sampling is greedy and the initial states are a function of seed and position.

use std::ops::ControlFlow;

use burn::module::Module;
use rondo_data::{Source, Tokenizer};
use rondo_metrics::Sample;
use rondo_model::sampling::Sampling;

use super::session::{Session, interrupted};
use crate::distributed::World;
use crate::distributed::message::{Reader, Writer};
use crate::error::Result;
use crate::generate::text_stream::TextStream;
use crate::generate::{DepthRule, Memory, Request, generate};
use crate::initial_states::InitialStates;
use crate::interrupt;
use crate::open_run::OpenRun;

impl Session {
    /// Generates a text after every prompt at every depth. The other settings are the defaults of
    /// `trainer generate`. The list is empty if there are no prompts.
    ///
    /// # Errors
    ///
    /// When the device fails, a rank is missing, or any rank has received a signal.
    pub(super) fn samples(&mut self) -> Result<Vec<Sample>> {
        let asked = &self.config.eval.prompts;
        let Source::Text(data) = self.corpora.own() else {
            return Ok(Vec::new());
        };
        if asked.prompts.is_empty() {
            return Ok(Vec::new());
        }
        let tokenizer = data.tokenizer();
        self.journal.status("generating text after the prompts …");
        let run = OpenRun::of_training(
            &self.run_dir,
            &self.config,
            self.progress.step,
            self.learner.model().valid(),
            &self.listed,
        );
        let states = InitialStates::Seed(self.config.seed);
        let texts: Vec<(usize, usize)> = (0..asked.prompts.len())
            .flat_map(|prompt| asked.recurrence.iter().map(move |depth| (prompt, *depth)))
            .collect();
        let mut samples: Vec<Sample> = asked.prompts.iter().map(|(text, _)| new(text)).collect();
        let world = &self.ranks.world;
        for round in texts.chunks(world.world_size()) {
            let own = round.get(world.rank()).map(|(prompt, depth)| {
                let request = Request {
                    prompt: asked.prompts[*prompt].1.clone(),
                    depth: DepthRule::Fixed(*depth),
                    memory: Memory::Cache { budget: None },
                    continuous: false,
                    sampling: Sampling::default(),
                    seed: self.config.seed,
                    max_tokens: asked.tokens,
                    stops: vec![tokenizer.end_of_text()],
                    vocabulary: tokenizer.vocab_size(),
                };
                text_after(&run, &states, &request, tokenizer)
            });
            // A rank with a request to stop has generated only a part of its text.
            let (generated, stop) = gather(world, own.transpose()?)?;
            if stop {
                return Err(interrupted(self.progress.step));
            }
            for ((prompt, depth), text) in round.iter().zip(generated) {
                samples[*prompt].texts.push((*depth, text));
            }
        }
        Ok(samples)
    }
}

/// Creates a sample that has no texts yet.
fn new(prompt: &str) -> Sample {
    Sample {
        prompt: prompt.to_owned(),
        texts: Vec::new(),
    }
}

/// Generates one text. If a stop was requested, ends early.
fn text_after(
    run: &OpenRun<'_>,
    states: &InitialStates,
    request: &Request,
    tokenizer: &Tokenizer,
) -> Result<String> {
    let mut stream = TextStream::new(tokenizer, &request.prompt);
    let mut text = String::new();
    generate(run, states, request, |token| {
        text.push_str(&stream.push(token)?);
        Ok(match interrupt::asked() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
    })?;
    text.push_str(&stream.finish()?);
    Ok(text)
}

/// Returns the texts of a round in the order of ranks, and whether any rank has received a request
/// to stop. `own` is `None` if the round has no text for this rank.
fn gather(world: &World, own: Option<String>) -> Result<(Vec<String>, bool)> {
    let stop = interrupt::asked();
    if world.is_alone() {
        return Ok((own.into_iter().collect(), stop));
    }
    let mut message = Writer::default();
    message.flag(stop);
    message.flag(own.is_some());
    message.bytes(own.unwrap_or_default().as_bytes());
    let (mut texts, mut any_stop) = (Vec::new(), false);
    for message in world.all_gather_bytes(&message.finish())? {
        let mut message = Reader::new(&message);
        any_stop |= message.flag();
        if message.flag() {
            texts.push(String::from_utf8_lossy(message.bytes()).into_owned());
        }
    }
    Ok((texts, any_stop))
}
