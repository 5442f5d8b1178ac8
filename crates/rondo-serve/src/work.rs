//! Answers one request, from its prompts to its choices.

use std::ops::ControlFlow;

use crate::answer::{Choice, Finish, Usage};
use crate::completer::{Completer, Draw, Failure, Scored, Scoring, Writing};
use crate::error::ApiError;
use crate::request::{Prompts, Request};
use crate::transcript::{Piece, Transcript};

/// Answers a request. `emit` receives the pieces of the choices in order. The last piece of each
/// choice says why the choice ended.
///
/// `go_on` is called between parts of the work.
///
/// # Errors
///
/// Where a prompt is wrong or too long, the model fails, or `go_on` reports that the client has
/// left.
pub(crate) fn complete(
    completer: &dyn Completer,
    request: &Request,
    go_on: &dyn Fn() -> ControlFlow<()>,
    emit: &mut dyn FnMut(Choice),
) -> Result<Usage, ApiError> {
    let prompts = tokens(completer, &request.prompts)?;
    request.check_lengths(&prompts, completer.card())?;
    let draws: Vec<Draw> = (0..request.n)
        .map(|choice| Draw {
            seed: request.draw.seed.wrapping_add(choice as u64),
            ..request.draw
        })
        .collect();
    let scored = scored(completer, request, &prompts, &draws, go_on)?;
    let mut usage = Usage {
        prompt_tokens: prompts.iter().map(Vec::len).sum(),
        ..Usage::default()
    };
    for (place, prompt) in prompts.iter().enumerate() {
        let found = scored.as_ref().map(|scored| &scored[place]);
        for (choice, draw) in draws.iter().enumerate() {
            let one = OneChoice {
                completer,
                request,
                index: place * request.n + choice,
                prompt,
                found,
                choice,
                draw: *draw,
            };
            usage.completion_tokens += one.complete(go_on, emit)?;
        }
    }
    usage.total_tokens = usage.prompt_tokens + usage.completion_tokens;
    Ok(usage)
}

/// Returns the prompts as tokens. Encodes texts.
fn tokens(completer: &dyn Completer, prompts: &Prompts) -> Result<Vec<Vec<u32>>, ApiError> {
    match prompts {
        Prompts::Tokens(rows) => Ok(rows.clone()),
        Prompts::Texts(texts) => {
            let tokens = texts.iter().map(|text| completer.encode(text));
            tokens
                .collect::<Result<_, _>>()
                .map_err(|failure| match failure {
                    Failure::Refused(message) => ApiError::field("prompt", message),
                    other => other.into(),
                })
        }
    }
}

/// Scores the prompts if the request asks for their log-probabilities. If one new token is
/// requested, the same pass also draws this token.
fn scored(
    completer: &dyn Completer,
    request: &Request,
    prompts: &[Vec<u32>],
    draws: &[Draw],
    go_on: &dyn Fn() -> ControlFlow<()>,
) -> Result<Option<Vec<Scored>>, ApiError> {
    let Some(top) = request.logprobs.filter(|_| request.echo) else {
        return Ok(None);
    };
    let asked = Scoring {
        prompts,
        recurrence: request.recurrence,
        top,
        draws: match request.max_tokens {
            1 => draws,
            _ => &[],
        },
    };
    Ok(Some(completer.score(asked, &mut || go_on())?))
}

/// One choice of one prompt.
struct OneChoice<'a> {
    completer: &'a dyn Completer,
    request: &'a Request,
    index: usize,
    prompt: &'a [u32],
    found: Option<&'a Scored>,
    choice: usize,
    draw: Draw,
}

impl OneChoice<'_> {
    /// Passes the pieces of the choice to `emit`. Returns the number of new tokens.
    fn complete(
        &self,
        go_on: &dyn Fn() -> ControlFlow<()>,
        emit: &mut dyn FnMut(Choice),
    ) -> Result<usize, Failure> {
        let request = self.request;
        let before: &[u32] = match request.echo {
            true => &[],
            false => self.prompt,
        };
        let with_marks = request.logprobs.is_some();
        let mut transcript = Transcript::new(self.completer, before, &request.stops, with_marks);
        if request.echo {
            let positions = self.found.map(|found| found.prompt.as_slice());
            self.emit(transcript.prompt(self.prompt, positions)?, emit);
        }
        let (mut count, mut ended) = (0, false);
        match self.found.and_then(|found| found.next.get(self.choice)) {
            Some(next) => {
                (count, ended) = (1, next.ends);
                self.emit(transcript.push(next)?, emit);
            }
            None if request.max_tokens == 0 => {}
            None => {
                let asked = Writing {
                    prompt: self.prompt,
                    recurrence: request.recurrence,
                    top: request.logprobs,
                    draw: self.draw,
                    max_tokens: request.max_tokens,
                };
                self.completer.write(asked, &mut |next| {
                    if go_on().is_break() {
                        return Err(Failure::Cancelled);
                    }
                    count += 1;
                    ended |= next.ends;
                    self.emit(transcript.push(&next)?, emit);
                    Ok(match transcript.is_stopped() {
                        true => ControlFlow::Break(()),
                        false => ControlFlow::Continue(()),
                    })
                })?;
            }
        }
        let (piece, stopped) = transcript.finish()?;
        emit(Choice {
            index: self.index,
            text: piece.text,
            logprobs: piece.marks,
            finish_reason: Some(match ended || stopped {
                true => Finish::Stop,
                false => Finish::Length,
            }),
        });
        Ok(count)
    }

    fn emit(&self, piece: Piece, emit: &mut dyn FnMut(Choice)) {
        if !piece.is_empty() {
            emit(Choice {
                index: self.index,
                text: piece.text,
                logprobs: piece.marks,
                finish_reason: None,
            });
        }
    }
}
