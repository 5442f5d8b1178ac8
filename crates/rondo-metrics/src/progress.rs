//! What a person sees of a run while it trains.

use std::time::{Duration, Instant};

use crate::events::{Event, Severity};
use crate::lines;
use crate::record::Record;
use crate::terminal::{Mode, Terminal};
use crate::time_left::TimeLeft;

/// The shortest time between two plain lines of training, so that a log of a fast run stays readable.
const PLAIN_PACE: Duration = Duration::from_secs(2);

/// Shows training steps on a live line, or as plain lines at a calm pace; evaluations and events as
/// permanent lines.
pub struct Progress {
    terminal: Terminal,
    total_steps: u64,
    time_left: TimeLeft,
    pace: Duration,
    printed: Option<Instant>,
    /// The last training line, as long as it is not printed permanently.
    pending: Option<String>,
}

impl Progress {
    /// Starts at a step: 0, or the step of the checkpoint that a run resumes from.
    pub fn new(mode: Mode, total_steps: u64, start_step: u64) -> Self {
        Self::on(Terminal::open(mode), total_steps, start_step, PLAIN_PACE)
    }

    fn on(terminal: Terminal, total_steps: u64, start_step: u64, pace: Duration) -> Self {
        Self {
            terminal,
            total_steps,
            time_left: TimeLeft::new(start_step),
            pace,
            printed: None,
            pending: None,
        }
    }

    /// Shows a training step.
    pub fn train(&mut self, record: &Record) {
        self.time_left.observe(record);
        let eta = self.time_left.until(self.total_steps);
        let line = lines::train(record, self.total_steps, eta);
        if let Some(bar) = self.terminal.bar() {
            bar.set_message(line.clone());
            self.pending = Some(line);
        } else if record.step >= self.total_steps
            || self.printed.is_none_or(|at| at.elapsed() >= self.pace)
        {
            self.terminal.line(&line);
            self.printed = Some(Instant::now());
            self.pending = None;
        } else {
            self.pending = Some(line);
        }
    }

    /// Prints an evaluation: loss, and perplexity per depth.
    pub fn eval(&mut self, record: &Record) {
        for line in lines::eval(record, self.total_steps) {
            self.terminal.line(&line);
        }
    }

    /// Prints an event as loudly as its severity asks.
    pub fn event(&mut self, record: &Record) {
        match record.which_event().map(Event::severity) {
            Some(Severity::Silent) => {}
            Some(Severity::Warning) => self.warn(&lines::event(record)),
            Some(Severity::Note) | None => self.note(&lines::event(record)),
        }
    }

    /// Says what the run is busy with until the next step: `first step: compiling kernels`.
    pub fn status(&mut self, text: &str) {
        match self.terminal.bar() {
            Some(bar) => bar.set_message(text.to_owned()),
            None => self.terminal.line(text),
        }
    }

    /// Prints a line, unless quiet.
    pub fn note(&mut self, text: &str) {
        self.terminal.line(text);
    }

    /// Prints a warning, always.
    pub fn warn(&mut self, text: &str) {
        self.terminal.warn(text);
    }

    /// Leaves the last training step as a permanent line and removes the live one.
    pub fn finish(&mut self) {
        if let Some(line) = self.pending.take() {
            self.terminal.line(&line);
        }
        self.terminal.clear();
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a line without its parts must fail the test"
    )]

    use super::*;
    use crate::events::Event;
    use crate::names::{LOSS, STEP_SECONDS};
    use crate::terminal::tests::Screenshot;

    fn step(step: u64, step_seconds: f64) -> Record {
        let mut draft = Record::train(step, 0);
        draft.set(LOSS, 2.5).set(STEP_SECONDS, step_seconds);
        draft.finish()
    }

    fn eta_of(line: &str) -> &str {
        line.split_once("eta ").unwrap().1
    }

    #[test]
    fn the_time_left_is_right_after_a_resume() {
        let screen = Screenshot::default();
        let mut progress = Progress::on(screen.plain(), 1000, 900, Duration::ZERO);
        progress.train(&step(910, 2.0));
        // 90 steps remain at 2 s each; counted from step 0 it would be far less.
        assert_eq!(eta_of(&screen.text()), "3m 00s\n");
    }

    #[test]
    fn the_interval_that_compiles_kernels_is_forgotten() {
        let screen = Screenshot::default();
        let mut progress = Progress::on(screen.plain(), 100, 0, Duration::ZERO);
        progress.train(&step(1, 60.0));
        progress.train(&step(2, 1.0));
        progress.train(&step(4, 4.0));
        let etas: Vec<String> = screen
            .text()
            .lines()
            .map(|l| eta_of(l).to_owned())
            .collect();
        // 99 · 60 s, then 98 · 1 s, then 96 · (1 + 2 · 4)/3 s.
        assert_eq!(etas, ["1h 39m", "1m 38s", "4m 48s"]);
    }

    #[test]
    fn a_plain_log_holds_the_first_and_the_last_step_of_a_fast_run() {
        let screen = Screenshot::default();
        let mut progress = Progress::on(screen.plain(), 3, 0, Duration::MAX);
        (1..=3).for_each(|n| progress.train(&step(n, 0.1)));
        progress.finish();
        let text = screen.text();
        let steps: Vec<&str> = text
            .lines()
            .map(|line| line.split_once(' ').unwrap().0)
            .collect();
        assert_eq!(steps, ["1/3", "3/3"]);
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }

    #[test]
    fn a_step_held_back_is_printed_when_the_run_ends_early() {
        let screen = Screenshot::default();
        let mut progress = Progress::on(screen.plain(), 9, 0, Duration::MAX);
        progress.train(&step(1, 0.1));
        progress.train(&step(2, 0.1));
        progress.finish();
        assert!(screen.text().contains("\n2/9 "), "{}", screen.text());
    }

    #[test]
    fn quiet_prints_failures_and_nothing_else() {
        let screen = Screenshot::default();
        let mut progress = Progress::on(screen.quiet(), 9, 0, Duration::ZERO);
        progress.train(&step(1, 0.1));
        progress.eval(&Record::eval(1, 0).finish());
        progress.status("compiling kernels");
        progress.note("a note");
        progress.event(&Record::event(1, 0, Event::Checkpoint));
        progress.event(&Record::event(1, 0, Event::IgnoredState));
        progress.finish();
        assert_eq!(screen.text(), "warning: step 1  ignored-state\n");
    }

    #[test]
    fn frequent_events_stay_off_the_terminal() {
        let screen = Screenshot::default();
        let mut progress = Progress::on(screen.plain(), 9, 0, Duration::ZERO);
        progress.event(&Record::event(1, 0, Event::DepthClamped));
        progress.event(&Record::event(2, 0, Event::Resume));
        assert_eq!(screen.text(), "step 2  resume\n");
    }

    #[test]
    fn the_live_line_shows_the_step_and_leaves_it_behind() {
        let screen = Screenshot::default();
        let mut progress = Progress::on(screen.live(false), 9, 0, Duration::ZERO);
        progress.status("first step: compiling kernels");
        progress.train(&step(1, 0.1));
        progress.note("a checkpoint");
        progress.finish();
        let text = screen.text();
        for part in ["compiling kernels", "1/9  loss 2.500", "a checkpoint"] {
            assert!(text.contains(part), "{part} in {text:?}");
        }
    }
}
