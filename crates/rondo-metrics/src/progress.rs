//! The terminal output of a run while it trains.

use std::time::{Duration, Instant};

use crate::columns;
use crate::events::{Event, Severity};
use crate::lines;
use crate::record::Record;
use crate::sample::Sample;
use crate::terminal::{Mode, Terminal};
use crate::time_left::TimeLeft;

/// The minimum time between two plain lines of training steps. It keeps the log of a fast run
/// readable.
const PLAIN_PACE: Duration = Duration::from_secs(2);

/// Shows training steps as one live row below the names of its columns, or as plain rows at a
/// limited pace. Shows evaluations and events as permanent lines.
pub struct Progress {
    terminal: Terminal,
    total_steps: u64,
    /// The number of steps between two training records.
    log_every: u64,
    time_left: TimeLeft,
    pace: Duration,
    printed: Option<Instant>,
    /// Whether the legend of the columns has been printed.
    explained: bool,
    /// The column names above the last permanent row.
    header: Option<String>,
    /// The last row with its header, until it is printed permanently.
    pending: Option<(String, String)>,
    /// The last status of the run that was printed, if there is no live line.
    status: Option<String>,
}

impl Progress {
    /// Starts the output at a step: 0, or the step of the checkpoint from which a run resumes.
    pub fn new(mode: Mode, total_steps: u64, start_step: u64) -> Self {
        Self::on(Terminal::open(mode), total_steps, start_step, PLAIN_PACE)
    }

    fn on(terminal: Terminal, total_steps: u64, start_step: u64, pace: Duration) -> Self {
        Self {
            terminal,
            total_steps,
            log_every: 1,
            time_left: TimeLeft::new(start_step),
            pace,
            printed: None,
            explained: false,
            header: None,
            pending: None,
            status: None,
        }
    }

    /// Sets the number of steps between two training records.
    #[must_use]
    pub fn logging_every(mut self, log_every: u64) -> Self {
        self.log_every = log_every;
        self
    }

    /// Shows a training step.
    pub fn train(&mut self, record: &Record) {
        self.time_left.observe(record);
        let eta = self.time_left.until(self.total_steps);
        let width = self.terminal.columns();
        let header = columns::header(record, self.total_steps, width);
        let row = columns::row(record, self.total_steps, eta, width);
        self.explain();
        if let Some(bar) = self.terminal.bar() {
            bar.set_message(format!("{header}\n{row}"));
            self.pending = Some((header, row));
        } else if record.step >= self.total_steps
            || self.printed.is_none_or(|at| at.elapsed() >= self.pace)
        {
            self.print_row(header, &row);
            self.printed = Some(Instant::now());
            self.pending = None;
        } else {
            self.pending = Some((header, row));
        }
    }

    /// Prints the legend of the columns, once.
    fn explain(&mut self) {
        if std::mem::replace(&mut self.explained, true) {
            return;
        }
        let is_live = self.terminal.bar().is_some();
        for line in columns::legend(is_live, self.pace.as_secs(), self.log_every) {
            self.note(&line);
        }
    }

    /// Prints a permanent row. Prints the header of the row first, if that header differs from the
    /// last printed header.
    fn print_row(&mut self, header: String, row: &str) {
        if self.header.as_ref() != Some(&header) {
            self.terminal.line(&header);
            self.header = Some(header);
        }
        self.terminal.line(row);
    }

    /// Prints an evaluation: loss, and perplexity per depth.
    pub fn eval(&mut self, record: &Record) {
        for line in lines::eval(record, self.total_steps, self.terminal.columns()) {
            self.terminal.line(&line);
        }
    }

    /// Prints the text that a model wrote after a prompt, one line per depth.
    pub fn sample(&mut self, sample: &Sample) {
        for line in sample.lines() {
            self.terminal.line(&line);
        }
    }

    /// Prints an event according to its severity.
    pub fn event(&mut self, record: &Record) {
        match record.which_event().map(Event::severity) {
            Some(Severity::Silent) => {}
            Some(Severity::Warning) => self.warn(&self.event_line(record)),
            Some(Severity::Note) | None => self.note(&self.event_line(record)),
        }
    }

    fn event_line(&self, record: &Record) -> String {
        lines::event(record, self.terminal.columns())
    }

    /// Shows what the run does until the next step, for example `first step: compiling kernels`.
    /// Without a live line, the same status is not printed twice in a row.
    pub fn status(&mut self, text: &str) {
        match self.terminal.bar() {
            Some(bar) => {
                let room = self.terminal.columns();
                bar.set_message(text.chars().take(room).collect::<String>());
            }
            None if self.status.as_deref() == Some(text) => {}
            None => {
                self.terminal.line(text);
                self.status = Some(text.to_owned());
            }
        }
    }

    /// Prints a line, except in quiet mode. On a terminal, long lines are broken between words.
    pub fn note(&mut self, text: &str) {
        let text = self.folded(text);
        self.terminal.line(&text);
    }

    /// Prints lines unchanged, for example a table, except in quiet mode.
    pub fn show(&mut self, text: &str) {
        self.terminal.line(text);
    }

    /// Prints a warning, also in quiet mode.
    pub fn warn(&mut self, text: &str) {
        let text = self.folded(&format!("warning: {text}"));
        let text = text.strip_prefix("warning: ").unwrap_or(&text);
        self.terminal.warn(text);
    }

    /// Breaks text to the width of a terminal. Lines that go to a file are not broken.
    fn folded(&self, text: &str) -> String {
        match self.terminal.bar() {
            Some(_) => lines::folded(text, self.terminal.columns()),
            None => text.to_owned(),
        }
    }

    /// Prints the last training step as a permanent row and removes the live row.
    pub fn finish(&mut self) {
        if let Some((header, row)) = self.pending.take() {
            self.print_row(header, &row);
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

    /// Returns the steps and the times left from the rows on a screen.
    fn rows(screen: &Screenshot) -> Vec<(String, String)> {
        let text = screen.text();
        let (_, rows) = text.split_once(" eta\n").unwrap();
        let row = |line: &str| {
            let (left, right) = line.split_at(line.len() - 6);
            let step = left.split_whitespace().next().unwrap();
            (step.to_owned(), right.trim().to_owned())
        };
        rows.lines().map(row).collect()
    }

    #[test]
    fn the_time_left_is_right_after_a_resume() {
        let screen = Screenshot::default();
        let mut progress = Progress::on(screen.plain(), 1000, 900, Duration::ZERO);
        progress.train(&step(910, 2.0));
        // 90 steps remain at 2 s each. An estimate that counts from step 0 would be far lower.
        assert_eq!(rows(&screen)[0].1, "3m 00s");
    }

    #[test]
    fn the_interval_that_compiles_kernels_is_forgotten() {
        let screen = Screenshot::default();
        let mut progress = Progress::on(screen.plain(), 100, 0, Duration::ZERO);
        progress.train(&step(1, 60.0));
        progress.train(&step(2, 1.0));
        progress.train(&step(4, 4.0));
        let etas: Vec<String> = rows(&screen).into_iter().map(|(_, eta)| eta).collect();
        // The values are 99 · 60 s, then 98 · 1 s, then 96 · (1 + 2 · 4)/3 s.
        assert_eq!(etas, ["1h 39m", "1m 38s", "4m 48s"]);
    }

    #[test]
    fn a_plain_log_holds_the_first_and_the_last_step_of_a_fast_run() {
        let screen = Screenshot::default();
        let mut progress = Progress::on(screen.plain(), 3, 0, Duration::MAX);
        (1..=3).for_each(|n| progress.train(&step(n, 0.1)));
        progress.finish();
        let text = screen.text();
        let steps: Vec<(String, String)> = rows(&screen);
        assert_eq!(steps.len(), 2);
        assert_eq!(
            (&*steps[0].0, &*steps[1].0, &*steps[1].1),
            ("1/3", "3/3", "-")
        );
        assert_eq!(text.matches("|g|").count(), 2, "a legend and one header");
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }

    #[test]
    fn a_step_held_back_is_printed_when_the_run_ends_early() {
        let screen = Screenshot::default();
        let mut progress = Progress::on(screen.plain(), 9, 0, Duration::MAX);
        progress.train(&step(1, 0.1));
        progress.train(&step(2, 0.1));
        progress.finish();
        assert!(screen.text().contains("\n 2/9 "), "{}", screen.text());
        progress.status("evaluating");
        progress.status("evaluating");
        assert_eq!(screen.text().matches("evaluating").count(), 1);
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
    fn samples_are_lines_that_quiet_leaves_out() {
        let sample = Sample {
            prompt: "To be".to_owned(),
            texts: vec![(4, ", or".to_owned())],
        };
        let screen = Screenshot::default();
        Progress::on(screen.plain(), 9, 0, Duration::ZERO).sample(&sample);
        assert_eq!(screen.text(), "prompt  To be\n   r 4  , or\n");
        let screen = Screenshot::default();
        Progress::on(screen.quiet(), 9, 0, Duration::ZERO).sample(&sample);
        assert_eq!(screen.text(), "");
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
        for part in [
            "compiling kernels",
            "step    loss",
            "1/9   2.500",
            "a checkpoint",
        ] {
            assert!(text.contains(part), "{part} in {text:?}");
        }
    }
}
