//! Serves a run as a model of the HTTP server.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::time::{SystemTime, UNIX_EPOCH};

use rondo_data::Tokenizer;
use rondo_model::sampling::Sampling;
use rondo_serve::Completer;
use rondo_serve::completer::{
    Card, Draw, Failure, Likely, Next, Position, Reader, Scored, Scoring, Writing,
};
use rondo_train::error::{Error, Result};
use rondo_train::evaluate::depths::refuse_depths;
use rondo_train::generate::text_stream::TextStream;
use rondo_train::generate::{DepthRule, Memory, Request, generate_with};
use rondo_train::initial_states::InitialStates;
use rondo_train::open_run::OpenRun;
use rondo_train::prompting::Prompting;
use rondo_train::tasks::predicted::predictions;

use crate::terminal;

/// A run with its tokenizer, if it has one.
pub(super) struct Model<'a> {
    run: &'a OpenRun<'a>,
    states: &'a InitialStates,
    tokenizer: Option<Tokenizer>,
    /// The token that replaces an empty text.
    opening: Option<u32>,
    /// The tokens that end a text.
    stops: Vec<u32>,
    card: Card,
}

impl<'a> Model<'a> {
    /// Prepares a run. `recurrence` is the depth for requests that give none; its default is the
    /// mean depth of the run's training.
    ///
    /// # Errors
    ///
    /// Returns an error if `--bos on` is given and no token begins a text, or the special tokens
    /// are damaged.
    pub(super) fn new(
        run: &'a OpenRun<'a>,
        states: &'a InitialStates,
        prompting: Prompting,
        recurrence: Option<usize>,
        max_recurrence: usize,
    ) -> Result<Self> {
        let recurrence =
            recurrence.unwrap_or_else(|| run.model_config.recurrence.planned().total());
        refuse_depths(&run.model_config, [recurrence])?;
        let most = run.model_config.deepest().unwrap_or(max_recurrence);
        let tokenizer = match run.tokenizer_beside_ids(&mut terminal::note) {
            Some(_) => Some(run.reader("a text", prompting)?),
            None => None,
        };
        let special = run.run_dir.special_tokens()?;
        let bos = special.and_then(|special| special.bos_token_id);
        let opening = |tokenizer: &Tokenizer| {
            let own = tokenizer.own_opening().first().copied();
            own.or(bos).unwrap_or(tokenizer.end_of_text())
        };
        let path = run.run_dir.path();
        let name = path.canonicalize().ok();
        let name = name.as_deref().unwrap_or(path).file_name();
        let config = &run.model_config;
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Ok(Self {
            card: Card {
                name: name.map_or_else(
                    || path.display().to_string(),
                    |name| name.to_string_lossy().into_owned(),
                ),
                created: since.map_or(0, |since| since.as_secs()),
                step: run.step,
                context: config.context,
                vocabulary: config.vocab_size,
                recurrence,
                max_recurrence: max_recurrence.min(most).max(recurrence),
            },
            opening: tokenizer.as_ref().map(opening),
            stops: run.stops(tokenizer.as_ref())?,
            tokenizer,
            run,
            states,
        })
    }

    fn request(&self, prompt: &[u32], recurrence: usize, draw: Draw, max_tokens: usize) -> Request {
        Request {
            prompt: prompt.to_vec(),
            depth: DepthRule::Fixed(recurrence),
            memory: Memory::Cache { budget: None },
            continuous: false,
            sampling: Sampling {
                temperature: draw.temperature,
                top_k: draw.top_k,
                top_p: draw.top_p,
                min_p: draw.min_p,
                repetition_penalty: draw.repetition_penalty,
            },
            seed: draw.seed,
            max_tokens,
            stops: self.stops.clone(),
            vocabulary: self
                .tokenizer
                .as_ref()
                .map_or(self.card.vocabulary, Tokenizer::vocab_size),
        }
    }
}

impl Completer for Model<'_> {
    fn card(&self) -> &Card {
        &self.card
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>, Failure> {
        let Some(tokenizer) = &self.tokenizer else {
            return Err(Failure::Refused(
                "this run has no tokenizer; give token ids".to_owned(),
            ));
        };
        let tokens = tokenizer.encode_prompt(text);
        let mut tokens = tokens.map_err(|error| Failure::Refused(error.to_string()))?;
        if tokens.is_empty() {
            tokens.extend(self.opening);
        }
        Ok(tokens)
    }

    fn reader(&self, before: &[u32]) -> Box<dyn Reader + '_> {
        match &self.tokenizer {
            Some(tokenizer) => Box::new(Text(TextStream::new(tokenizer, before))),
            None => Box::new(Numbers),
        }
    }

    fn name(&self, token: u32) -> String {
        let by_id = || format!("token_id:{token}");
        let Some(tokenizer) = &self.tokenizer else {
            return by_id();
        };
        if token == tokenizer.end_of_text() {
            return tokenizer.end_of_text_name();
        }
        match tokenizer.decode_known(&[token]) {
            Ok(text) if !text.is_empty() && !text.contains('\u{fffd}') => text,
            _ => by_id(),
        }
    }

    fn score(
        &self,
        asked: Scoring<'_>,
        go_on: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Vec<Scored>, Failure> {
        let Scoring {
            prompts,
            recurrence,
            top,
            draws,
        } = asked;
        // The last token of a prompt is computed only if a next token is to be drawn.
        let unread = usize::from(draws.is_empty());
        let rows: Vec<&[u32]> = prompts
            .iter()
            .map(|prompt| &prompt[..prompt.len() - unread])
            .collect();
        let found: RefCell<Vec<Scored>> = RefCell::new(
            prompts
                .iter()
                .map(|prompt| Scored {
                    prompt: Vec::with_capacity(prompt.len() - 1),
                    next: Vec::new(),
                })
                .collect(),
        );
        let is_number = RefCell::new(true);
        let mut was_left = false;
        let run = predictions(
            self.run,
            self.states,
            &rows,
            recurrence,
            |prediction| {
                let prompt = &prompts[prediction.row];
                let scores = Scores::new(prediction.logits);
                *is_number.borrow_mut() &= scores.is_some();
                let Some(scores) = scores else {
                    return;
                };
                let found = &mut found.borrow_mut()[prediction.row];
                match prompt.get(prediction.position + 1) {
                    Some(token) => found.prompt.push(scores.position(*token, top)),
                    None => found.next.extend(draws.iter().map(|draw| {
                        let request = self.request(prompt, recurrence, *draw, 1);
                        let token = request.choose(prediction.logits, prompt);
                        Next {
                            position: scores.position(token, top),
                            ends: self.stops.contains(&token),
                        }
                    })),
                }
            },
            || match go_on() {
                ControlFlow::Continue(()) => Ok(()),
                ControlFlow::Break(()) => {
                    was_left = true;
                    Err(Error::Interrupted("cancelled".to_owned()))
                }
            },
        );
        match run {
            Err(_) if was_left => Err(Failure::Cancelled),
            Err(error) => Err(failure(error)),
            Ok(()) if !*is_number.borrow() => Err(no_numbers()),
            Ok(()) => Ok(found.into_inner()),
        }
    }

    fn write(
        &self,
        asked: Writing<'_>,
        on_token: &mut dyn FnMut(Next) -> Result<ControlFlow<()>, Failure>,
    ) -> Result<(), Failure> {
        let request = self.request(asked.prompt, asked.recurrence, asked.draw, asked.max_tokens);
        let mut failed = None;
        let generated = generate_with(self.run, self.states, &request, |drawn| {
            let position = match asked.top {
                None => Some(Position {
                    here: Likely {
                        token: drawn.token,
                        log_p: f64::NAN,
                    },
                    top: Vec::new(),
                }),
                Some(top) => {
                    Scores::new(drawn.logits).map(|scores| scores.position(drawn.token, top))
                }
            };
            let flow = position.ok_or_else(no_numbers).and_then(|position| {
                on_token(Next {
                    position,
                    ends: drawn.ends,
                })
            });
            Ok(flow.unwrap_or_else(|error| {
                failed = Some(error);
                ControlFlow::Break(())
            }))
        });
        match (failed, generated) {
            (Some(failed), _) => Err(failed),
            (None, Err(error)) => Err(failure(error)),
            (None, Ok(_)) => Ok(()),
        }
    }
}

fn no_numbers() -> Failure {
    Failure::Model("the model's logits are not numbers; choose another checkpoint".to_owned())
}

fn failure(error: Error) -> Failure {
    match error {
        // The file with initial states covers fewer positions than the prompt has.
        Error::Foreign(message) => Failure::Refused(message),
        other => Failure::Model(format!("{:#}", anyhow::Error::from(other))),
    }
}

/// The logits, and the logarithm of the sum of their exponentials in f64: log p = logit − ln Σ
/// exp(logits).
struct Scores<'a> {
    logits: &'a [f32],
    log_sum: f64,
}

impl<'a> Scores<'a> {
    /// Prepares the scores; `None` if a logit is NaN or all logits are −∞.
    fn new(logits: &'a [f32]) -> Option<Self> {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let largest = f64::from(largest);
        let sum: f64 = logits
            .iter()
            .map(|logit| (f64::from(*logit) - largest).exp())
            .sum();
        let log_sum = largest + sum.ln();
        log_sum.is_finite().then_some(Self { logits, log_sum })
    }

    fn likely(&self, token: u32) -> Likely {
        Likely {
            token,
            log_p: f64::from(self.logits[token as usize]) - self.log_sum,
        }
    }

    /// Returns the scores of a token and of the `top` likeliest tokens. If two logits are equal,
    /// the token with the lower id comes first.
    fn position(&self, token: u32, top: usize) -> Position {
        let mut best: Vec<(u32, f32)> = Vec::with_capacity(top + 1);
        for (id, logit) in (0..).zip(self.logits.iter().copied()) {
            if best.len() == top && best.last().is_none_or(|(_, least)| logit <= *least) {
                continue;
            }
            let place = best.partition_point(|(_, better)| *better >= logit);
            best.insert(place, (id, logit));
            best.truncate(top);
        }
        Position {
            here: self.likely(token),
            top: best.into_iter().map(|(id, _)| self.likely(id)).collect(),
        }
    }
}

/// Decodes tokens to text.
struct Text<'a>(TextStream<'a>);

impl Reader for Text<'_> {
    fn push(&mut self, token: u32) -> Result<String, Failure> {
        self.0.push(token).map_err(failure)
    }

    fn finish(self: Box<Self>) -> Result<String, Failure> {
        self.0.finish().map_err(failure)
    }
}

/// Shows each token's id followed by a space, for a run without a tokenizer.
struct Numbers;

impl Reader for Numbers {
    fn push(&mut self, token: u32) -> Result<String, Failure> {
        Ok(format!("{token} "))
    }

    fn finish(self: Box<Self>) -> Result<String, Failure> {
        Ok(String::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_probabilities_are_those_of_the_softmax_and_the_likeliest_come_first() {
        // The probabilities are 1/8, 1/2, 1/8 and 1/4.
        let logits = [1.0_f32, 4.0, 1.0, 2.0].map(f32::ln);
        let scores = Scores::new(&logits).expect("numbers");
        let position = scores.position(2, 3);
        assert!((position.here.log_p - 0.125_f64.ln()).abs() < 1e-6);
        let top: Vec<u32> = position.top.iter().map(|likely| likely.token).collect();
        assert_eq!(top, [1, 3, 0]);
        assert!((position.top[0].log_p - 0.5_f64.ln()).abs() < 1e-6);
        assert_eq!(scores.position(1, 0).top, []);
    }

    #[test]
    fn logits_that_are_no_numbers_have_no_probabilities() {
        assert!(Scores::new(&[0.0, f32::NAN]).is_none());
        assert!(Scores::new(&[f32::NEG_INFINITY; 2]).is_none());
        let one = Scores::new(&[0.0, f32::NEG_INFINITY]).expect("one is possible");
        assert!(one.likely(1).log_p.is_infinite());
    }
}
