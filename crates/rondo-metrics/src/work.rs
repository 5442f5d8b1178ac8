//! The progress of work of known size, in phases such as reading, tokenizing and writing shards.

use crate::format::{bytes, thousands};
use crate::terminal::{Mode, Terminal, style};

const BYTES: &str =
    "{prefix} [{bar:20}] {percent:>3}%  {binary_bytes}/{binary_total_bytes}  eta {eta}";
const ITEMS: &str = "{prefix} [{bar:20}] {percent:>3}%  {human_pos}/{human_len} {msg}  eta {eta}";

/// The unit of an amount of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Items with the name of one and of several, for example `file` and `files`.
    Items(&'static str, &'static str),
}

impl Unit {
    fn show(self, amount: u64) -> String {
        match self {
            Self::Bytes => bytes(amount),
            Self::Items(one, _) if amount == 1 => format!("1 {one}"),
            Self::Items(_, several) => format!("{} {several}", thousands(amount)),
        }
    }
}

/// A progress bar on a terminal. Any other output has one line at the start of a phase and one
/// after each quarter of the phase.
pub struct WorkBar {
    terminal: Terminal,
    label: String,
    unit: Unit,
    total: u64,
    done: u64,
}

impl WorkBar {
    /// Starts the first phase.
    pub fn new(mode: Mode, label: &str, total: u64, unit: Unit) -> Self {
        Self::on(Terminal::open(mode), label, total, unit)
    }

    fn on(terminal: Terminal, label: &str, total: u64, unit: Unit) -> Self {
        let mut bar = Self {
            terminal,
            label: String::new(),
            unit,
            total: 0,
            done: 0,
        };
        bar.phase(label, total, unit);
        bar
    }

    /// Starts another phase with its own total.
    pub fn phase(&mut self, label: &str, total: u64, unit: Unit) {
        (self.total, self.done, self.unit) = (total, 0, unit);
        label.clone_into(&mut self.label);
        if let Some(bar) = self.terminal.bar() {
            let (template, name) = match unit {
                Unit::Bytes => (BYTES, ""),
                Unit::Items(one, _) if total == 1 => (ITEMS, one),
                Unit::Items(_, several) => (ITEMS, several),
            };
            bar.set_style(style(template).progress_chars("=> "));
            bar.set_prefix(label.to_owned());
            bar.set_message(name);
            bar.set_length(total);
            bar.set_position(0);
            bar.reset_eta();
        } else {
            self.terminal
                .line(&format!("{label}: {}", unit.show(total)));
        }
    }

    /// Counts work as done, up to the total.
    pub fn advance(&mut self, amount: u64) {
        let before = self.quarters();
        self.done = self.done.saturating_add(amount).min(self.total);
        if let Some(bar) = self.terminal.bar() {
            bar.set_position(self.done);
        } else if self.quarters() > before {
            let (label, percent) = (&self.label, 25 * self.quarters());
            let line = format!("{label}: {percent:>3}%  {}", self.unit.show(self.done));
            self.terminal.line(&line);
        }
    }

    /// Returns the number of completed quarters of the phase.
    fn quarters(&self) -> u64 {
        (u128::from(self.done) * 4)
            .checked_div(u128::from(self.total))
            .unwrap_or(0) as u64
    }

    /// Prints a line, except in quiet mode.
    pub fn note(&mut self, text: &str) {
        self.terminal.line(text);
    }

    /// Prints a warning, also in quiet mode.
    pub fn warn(&mut self, text: &str) {
        self.terminal.warn(text);
    }

    /// Removes the bar.
    pub fn finish(&mut self) {
        self.terminal.clear();
    }
}

#[cfg(test)]
mod tests {
    use indicatif::ProgressStyle;

    use super::*;
    use crate::terminal::tests::Screenshot;

    #[test]
    fn a_plain_log_tells_each_phase_and_its_quarters() {
        let screen = Screenshot::default();
        let mut bar = WorkBar::on(screen.plain(), "reading", 2048, Unit::Bytes);
        for _ in 0..16 {
            bar.advance(128);
        }
        bar.phase("writing", 3, Unit::Items("shard", "shards"));
        bar.advance(2);
        bar.advance(9);
        bar.warn("one file was empty");
        bar.phase("training", 1, Unit::Items("run", "runs"));
        bar.finish();
        let golden = "\
reading: 2.00 KiB
reading:  25%  512 B
reading:  50%  1.00 KiB
reading:  75%  1.50 KiB
reading: 100%  2.00 KiB
writing: 3 shards
writing:  50%  2 shards
writing: 100%  3 shards
warning: one file was empty
training: 1 run
";
        assert_eq!(screen.text(), golden);
    }

    #[test]
    fn a_live_bar_shows_label_and_share() {
        let screen = Screenshot::default();
        let mut bar = WorkBar::on(screen.live(false), "tokenizing", 4096, Unit::Bytes);
        bar.advance(1024);
        bar.note("a note");
        bar.phase("writing", 3, Unit::Items("shard", "shards"));
        bar.advance(1);
        bar.finish();
        let text = screen.text();
        assert!(
            text.contains("tokenizing [=====>") && text.contains(" 25%"),
            "{text:?}"
        );
        assert!(
            text.contains("a note") && text.contains("1/3 shards"),
            "{text:?}"
        );
    }

    #[test]
    fn work_without_an_amount_is_no_error() {
        let screen = Screenshot::default();
        let mut bar = WorkBar::on(screen.plain(), "reading", 0, Unit::Items("file", "files"));
        bar.advance(1);
        bar.finish();
        assert_eq!(screen.text(), "reading: 0 files\n");
    }

    #[test]
    fn the_templates_are_well_formed() {
        for template in [BYTES, ITEMS, "{msg}"] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
