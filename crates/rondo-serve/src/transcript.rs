//! Converts the tokens of a completion to text as they arrive. Each token gets its
//! log-probabilities and its offset in the text.

use std::collections::VecDeque;

use crate::answer::{Marks, Top, finite};
use crate::completer::{Completer, Failure, Next, Position, Reader};
use crate::stops::Stops;

/// A completion in progress. It returns text and log-probabilities as soon as later tokens cannot
/// change them.
pub(crate) struct Transcript<'a> {
    completer: &'a dyn Completer,
    reader: Box<dyn Reader + 'a>,
    stops: Stops<'a>,
    with_marks: bool,
    /// The number of characters decoded from the tokens so far.
    read: usize,
    /// The number of characters returned so far.
    left: usize,
    /// Log-probabilities of the tokens whose text has not been returned yet.
    waiting: VecDeque<Mark>,
}

/// A token with its offset in the text and its log-probabilities.
struct Mark {
    offset: usize,
    token: String,
    log_p: Option<f64>,
    top: Option<Top>,
}

/// A piece of the completion: text, and log-probabilities if the request asks for them.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) marks: Option<Marks>,
}

impl Piece {
    /// Returns whether the piece has neither text nor log-probabilities.
    pub(crate) fn is_empty(&self) -> bool {
        let no_marks = self
            .marks
            .as_ref()
            .is_none_or(|marks| marks.tokens.is_empty());
        self.text.is_empty() && no_marks
    }
}

impl<'a> Transcript<'a> {
    /// Starts a text that follows the tokens `before`. These tokens are not returned.
    pub(crate) fn new(
        completer: &'a dyn Completer,
        before: &[u32],
        stops: &'a [String],
        with_marks: bool,
    ) -> Self {
        Self {
            completer,
            reader: completer.reader(before),
            stops: Stops::new(stops),
            with_marks,
            read: 0,
            left: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Returns the piece for a prompt. `positions` are the log-probabilities of its tokens from the
    /// second one on, if they are known. A stop text in the prompt has no effect.
    pub(crate) fn prompt(
        &mut self,
        tokens: &[u32],
        positions: Option<&[Position]>,
    ) -> Result<Piece, Failure> {
        let mut text = String::new();
        for (place, token) in tokens.iter().enumerate() {
            let position = place.checked_sub(1).zip(positions);
            let position = position.map(|(before, positions)| &positions[before]);
            self.mark(*token, position);
            let piece = self.reader.push(*token)?;
            self.read += piece.chars().count();
            text.push_str(&piece);
        }
        Ok(self.leave(text))
    }

    /// Adds a new token. Returns the piece that is final now.
    pub(crate) fn push(&mut self, next: &Next) -> Result<Piece, Failure> {
        let token = next.position.here.token;
        self.mark(token, Some(&next.position));
        if next.ends {
            return Ok(self.leave(String::new()));
        }
        let piece = self.reader.push(token)?;
        self.read += piece.chars().count();
        let certain = self.stops.push(&piece);
        Ok(self.leave(certain))
    }

    /// Returns whether a stop text was found.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stops.met()
    }

    /// Returns the text that was held back, and whether a stop text was found. Log-probabilities of
    /// tokens after a stop text are dropped.
    pub(crate) fn finish(mut self) -> Result<(Piece, bool), Failure> {
        let rest = std::mem::replace(&mut self.reader, Box::new(Nothing)).finish()?;
        let mut text = self.stops.push(&rest);
        text.push_str(&self.stops.finish());
        let mut piece = self.leave(text);
        if !self.stops.met()
            && let Some(marks) = &mut piece.marks
        {
            marks.extend(self.waiting.drain(..).collect());
        }
        Ok((piece, self.stops.met()))
    }

    fn mark(&mut self, token: u32, position: Option<&Position>) {
        if !self.with_marks {
            return;
        }
        self.waiting.push_back(Mark {
            offset: self.read,
            token: self.completer.name(token),
            log_p: position.map(|position| finite(position.here.log_p)),
            top: position.map(|position| self.top(position)),
        });
    }

    /// Returns the names of the likeliest tokens. The token at the position is added if its name is
    /// not among them. If two tokens have the same name, the likelier one is kept.
    fn top(&self, position: &Position) -> Top {
        let mut top = Top::default();
        for likely in position.top.iter().chain([&position.here]) {
            let name = self.completer.name(likely.token);
            if top.0.iter().all(|(known, _)| *known != name) {
                top.0.push((name, finite(likely.log_p)));
            }
        }
        top
    }

    /// Returns a piece with this text and the log-probabilities of its tokens.
    fn leave(&mut self, text: String) -> Piece {
        self.left += text.chars().count();
        let count = self
            .waiting
            .iter()
            .take_while(|mark| mark.offset < self.left)
            .count();
        let marks = self
            .with_marks
            .then(|| self.waiting.drain(..count).collect());
        Piece { text, marks }
    }
}

impl FromIterator<Mark> for Marks {
    fn from_iter<I: IntoIterator<Item = Mark>>(marks: I) -> Self {
        let mut all = Self::default();
        for mark in marks {
            all.text_offset.push(mark.offset);
            all.tokens.push(mark.token);
            all.token_logprobs.push(mark.log_p);
            all.top_logprobs.push(mark.top);
        }
        all
    }
}

/// A reader without text. It replaces the real reader, which is consumed at the end.
struct Nothing;

impl Reader for Nothing {
    fn push(&mut self, _: u32) -> Result<String, Failure> {
        Ok(String::new())
    }

    fn finish(self: Box<Self>) -> Result<String, Failure> {
        Ok(String::new())
    }
}
