//! Generates one token after another. Each token is computed at a fixed depth, or until an exit
//! criterion is met.

pub mod text_stream;

use std::ops::ControlFlow;

use burn::tensor::{Int, Tensor, TensorData, s};
use rondo_model::exit::ExitMonitor;
use rondo_model::looped::Readout;
use rondo_model::looped::decode::{Chunk, Decoder};
use rondo_model::pass::Pass;
use rondo_model::sampling::Sampling;
use rondo_model::seed::{Stream, generator};

use crate::error::Result;
use crate::evaluate::depths::refuse_depths;
use crate::evaluate::exits::{Exit, refuse_exits};
use crate::initial_states::InitialStates;
use crate::open_run::OpenRun;
use crate::step::read;

/// The number of iterations for each token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DepthRule {
    /// Every token takes this number of iterations.
    Fixed(usize),
    /// Each token takes as many iterations as the criterion requires, but at most `max`.
    Adaptive {
        /// The criterion with its threshold.
        exit: Exit,
        /// The maximum number of iterations.
        max: usize,
    },
}

/// The values of earlier positions that are kept for the next token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Keys and values of every iteration. With a budget, several iterations share one place in the
    /// cache.
    Cache {
        /// Iterations i and i + budget share a place. `None` gives each iteration its own place.
        budget: Option<usize>,
    },
    /// Nothing. For each token the whole sequence is computed again, at a fixed depth.
    Nothing,
}

/// A request to generate tokens.
#[derive(Clone, Debug)]
pub struct Request {
    /// The tokens to continue.
    pub prompt: Vec<u32>,
    /// The number of iterations for each token.
    pub depth: DepthRule,
    /// The values of earlier positions that are kept.
    pub memory: Memory,
    /// Whether the recurrence for a token starts from the final state of the token before.
    pub continuous: bool,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// The seed of the random draws.
    pub seed: u64,
    /// The maximum number of tokens to generate.
    pub max_tokens: usize,
    /// The tokens that end a text.
    pub stops: Vec<u32>,
    /// Only tokens below this id may be chosen.
    pub vocabulary: usize,
}

impl Request {
    /// Draws the token that follows the tokens `all`, from its logits. The result depends only on
    /// the logits, `all` and the request.
    pub fn choose(&self, logits: &[f32], all: &[u32]) -> u32 {
        let mut rng = generator(self.seed, Stream::Sampling, all.len() as u64);
        let choices = &logits[..self.vocabulary.min(logits.len())];
        self.sampling.choose(choices, all, &mut rng)
    }
}

/// Why generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A token that ends a text was drawn.
    EndOfText,
    /// The maximum number of tokens was generated.
    MaxTokens,
    /// The model's context is full.
    Context,
    /// `on_token` has asked to stop.
    Enough,
}

impl Ended {
    /// Returns the reason in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::EndOfText => "end of text",
            Self::MaxTokens => "max tokens",
            Self::Context => "context full",
            Self::Enough => "enough",
        }
    }
}

/// The result of generation. Each list has one element per new token.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The new tokens, including the token that ended the text, if there is one.
    pub tokens: Vec<u32>,
    /// The number of iterations of each token.
    pub iterations: Vec<usize>,
    /// The values of the exit criterion for each token, one per iteration. Empty at a fixed depth.
    pub exit_values: Vec<Vec<f64>>,
    /// Why generation ended.
    pub ended: Ended,
}

/// A token that was just drawn.
#[derive(Clone, Copy, Debug)]
pub struct Drawn<'a> {
    /// The token.
    pub token: u32,
    /// The logits from which it was drawn, one for each token of the model's vocabulary.
    pub logits: &'a [f32],
    /// Whether the token ends the text.
    pub ends: bool,
}

/// The model's prediction of the next token.
struct Prediction {
    logits: Vec<f32>,
    iterations: usize,
    exit_values: Vec<f64>,
}

/// Generates tokens and passes each one to `on_token`, which decides whether to continue. A token
/// that ends the text is not passed.
///
/// # Errors
///
/// When a position has no initial state, the device fails, or `on_token` returns an error.
pub fn generate(
    run: &OpenRun<'_>,
    states: &InitialStates,
    request: &Request,
    mut on_token: impl FnMut(u32) -> Result<ControlFlow<()>>,
) -> Result<Generated> {
    generate_with(run, states, request, |drawn| match drawn.ends {
        true => Ok(ControlFlow::Continue(())),
        false => on_token(drawn.token),
    })
}

/// Does what [`generate`] does, but passes each token together with its logits. A token that ends
/// the text is passed too.
///
/// # Errors
///
/// The errors of [`generate`].
pub fn generate_with(
    run: &OpenRun<'_>,
    states: &InitialStates,
    request: &Request,
    mut on_token: impl FnMut(Drawn<'_>) -> Result<ControlFlow<()>>,
) -> Result<Generated> {
    let is_adaptive = matches!(request.depth, DepthRule::Adaptive { .. });
    refuse_exits(&run.model_config, is_adaptive)?;
    let deepest = match request.depth {
        DepthRule::Fixed(depth) => depth,
        DepthRule::Adaptive { max, .. } => max,
    };
    refuse_depths(&run.model_config, [deepest])?;
    let mut all = request.prompt.clone();
    let mut predictor = Predictor::new(run, states, request);
    let mut generated = Generated {
        tokens: Vec::new(),
        iterations: Vec::new(),
        exit_values: Vec::new(),
        ended: Ended::MaxTokens,
    };
    while generated.tokens.len() < request.max_tokens {
        let prediction = run.listed.compute(|| predictor.next(&all))?;
        let token = request.choose(&prediction.logits, &all);
        all.push(token);
        generated.tokens.push(token);
        generated.iterations.push(prediction.iterations);
        generated.exit_values.push(prediction.exit_values);
        let ends = request.stops.contains(&token);
        let flow = on_token(Drawn {
            token,
            logits: &prediction.logits,
            ends,
        })?;
        if ends {
            generated.ended = Ended::EndOfText;
            break;
        }
        if flow.is_break() {
            generated.ended = Ended::Enough;
            break;
        }
        if all.len() >= run.model_config.context {
            generated.ended = Ended::Context;
            break;
        }
    }
    Ok(generated)
}

/// Predicts the tokens of a growing sequence, one after another.
struct Predictor<'a> {
    run: &'a OpenRun<'a>,
    states: &'a InitialStates,
    request: &'a Request,
    decoder: Decoder<'a>,
    latent: Option<Tensor<3>>,
}

impl<'a> Predictor<'a> {
    fn new(run: &'a OpenRun<'a>, states: &'a InitialStates, request: &'a Request) -> Self {
        let budget = match request.memory {
            Memory::Cache { budget } => budget,
            Memory::Nothing => None,
        };
        let device = &run.listed.device;
        Self {
            run,
            states,
            request,
            decoder: Decoder::new(&run.model, &run.model_config, budget, device),
            latent: None,
        }
    }

    /// Predicts the token that follows the tokens `all`.
    fn next(&mut self, all: &[u32]) -> Result<Prediction> {
        match (self.request.memory, self.request.depth) {
            (Memory::Nothing, DepthRule::Fixed(depth)) => self.without_cache(all, depth),
            _ => self.with_cache(all),
        }
    }

    fn with_cache(&mut self, all: &[u32]) -> Result<Prediction> {
        let first = self.decoder.positions();
        let state = match self.latent.take() {
            Some(latent) => latent,
            None => self.initial(first, all.len() - first)?,
        };
        let depth = match self.request.depth {
            DepthRule::Fixed(depth) => depth,
            DepthRule::Adaptive { max, .. } => max,
        };
        let mut chunk = self.decoder.begin(self.tokens(&all[first..]), state, depth);
        let initial = newest(chunk.state());
        let exit_values = self.iterate(&mut chunk, initial)?;
        let iterations = chunk.iterations();
        let readout = self.decoder.end(chunk);
        if self.request.continuous {
            self.latent = Some(newest(&readout.latent));
        }
        Ok(Prediction {
            logits: values(self.logits(&readout))?,
            iterations,
            exit_values,
        })
    }

    /// Computes as many iterations as the depth rule requires. Returns the values of the exit
    /// criterion, one per iteration, or nothing at a fixed depth.
    fn iterate(&self, chunk: &mut Chunk, initial: Tensor<3>) -> Result<Vec<f64>> {
        let mut seen = Vec::new();
        match self.request.depth {
            DepthRule::Fixed(depth) => {
                for _ in 0..depth {
                    self.decoder.iterate(chunk);
                }
            }
            DepthRule::Adaptive { exit, max } => {
                let mut monitor = ExitMonitor::new(exit.criterion, initial);
                for _ in 0..max {
                    self.decoder.iterate(chunk);
                    let state = newest(chunk.state());
                    let logits = || self.logits(self.decoder.read_out(chunk));
                    let value = monitor.observe(&state, logits);
                    let value = f64::from(read(value.reshape([1]))?[0]);
                    seen.push(value);
                    if exit.criterion.exits(value, exit.threshold) {
                        break;
                    }
                }
            }
        }
        Ok(seen)
    }

    fn without_cache(&self, all: &[u32], depth: usize) -> Result<Prediction> {
        let state = self.initial(0, all.len())?;
        let pass = Pass::new(&self.run.model_config, all.len(), &self.run.listed.device);
        let forward = self
            .run
            .model
            .forward(self.tokens(all), state, &pass, depth, None);
        Ok(Prediction {
            logits: values(self.logits(&forward.readout))?,
            iterations: depth,
            exit_values: Vec::new(),
        })
    }

    /// Returns the logits at the newest position, `[1, 1, vocab]`.
    fn logits(&self, readout: &Readout) -> Tensor<3> {
        self.run.model.logits(newest(&readout.hidden))
    }

    fn initial(&self, first: usize, count: usize) -> Result<Tensor<3>> {
        let device = &self.run.listed.device;
        self.states
            .at(&self.run.model_config, 0, first, [1, count], device)
    }

    fn tokens(&self, ids: &[u32]) -> Tensor<2, Int> {
        let ids: Vec<i32> = ids.iter().map(|id| *id as i32).collect();
        let shape = [1, ids.len()];
        Tensor::from_data(TensorData::new(ids, shape), &self.run.listed.device)
    }
}

/// Returns the last position of `x` `[1, seq, width]` as `[1, 1, width]`.
fn newest(x: &Tensor<3>) -> Tensor<3> {
    let [_, seq, _] = x.dims();
    x.clone().slice(s![.., seq - 1.., ..])
}

fn values(x: Tensor<3>) -> Result<Vec<f32>> {
    let count = x.dims().iter().product::<usize>();
    read(x.reshape([count]))
}
