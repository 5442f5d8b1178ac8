//! Texts that a model writes after a prompt at several recurrence depths. They are recorded as an
//! event whose details are the texts.
//!
//! ```text
//! {"step":128,"tokens":…,"kind":"event","metrics":{"event":"sample","prompt":"ROMEO:","text@1":" the the","text@4":" O, she"}}
//! ```

use console::truncate_str;

use crate::events::Event;
use crate::names::split_depth;
use crate::record::{Record, RecordError};
use crate::value::Value;

const PROMPT: &str = "prompt";
const TEXT: &str = "text";
/// The maximum width of a line on a terminal.
const COLUMNS: usize = 80;

/// A prompt, and the model's continuation at each depth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The prompt.
    pub prompt: String,
    /// The recurrence depths, each with the generated text without the prompt.
    pub texts: Vec<(usize, String)>,
}

impl Sample {
    /// Returns the event that records the sample.
    ///
    /// # Errors
    ///
    /// A depth occurs twice.
    pub fn record(&self, step: u64, tokens: u64) -> Result<Record, RecordError> {
        let mut record = Record::event(step, tokens, Event::Sample);
        record.push(PROMPT, self.prompt.as_str())?;
        for (depth, text) in &self.texts {
            record.push(&format!("{TEXT}@{depth}"), text.as_str())?;
        }
        Ok(record)
    }

    /// Reads a record that [`Self::record`] made. Returns `None` for any other record.
    pub fn read(record: &Record) -> Option<Self> {
        if record.which_event() != Some(Event::Sample) {
            return None;
        }
        let texts = record.details().filter_map(|(name, value)| {
            let (TEXT, Some(depth)) = split_depth(name) else {
                return None;
            };
            Some((depth, words(value)?))
        });
        Some(Self {
            prompt: words(record.detail(PROMPT)?)?,
            texts: texts.collect(),
        })
    }

    /// Returns one line for the prompt and one for each depth. Control characters are made visible,
    /// and lines are cut to 80 columns.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |label: &str, text: &str| {
            let line = format!("{label:>6}  {}", visible(text));
            truncate_str(&line, COLUMNS, "…").into_owned()
        };
        let texts = self.texts.iter();
        let texts = texts.map(|(depth, text)| line(&format!("r {depth}"), text));
        std::iter::once(line(PROMPT, &self.prompt))
            .chain(texts)
            .collect()
    }
}

/// Returns the text of a value. In JSON, the texts `NaN`, `inf` and `-inf` are read as numbers;
/// this function turns them back into text.
fn words(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Number(x) if x.is_nan() => Some("NaN".to_owned()),
        Value::Number(x) if x.is_infinite() => Some(x.to_string()),
        Value::Number(_) | Value::Null | Value::Series(_) => None,
    }
}

/// Returns a text on one line. Line ends, tabs, and characters that are invisible or control a
/// terminal are escaped as in Rust, for example as `\u{1b}`. A backslash is doubled.
pub fn visible(text: &str) -> String {
    // `escape_debug` also escapes quotes. The replacements undo this.
    let escaped = text.escape_debug().to_string();
    escaped.replace("\\\"", "\"").replace("\\'", "'")
}

/// Returns a text with its control characters shown as in [`visible`]. Line ends, tabs and all
/// other characters stay unchanged.
pub fn printable(text: &str) -> String {
    let shown = text.chars().map(|c| match c {
        '\n' | '\t' => c.to_string(),
        c if c.is_control() => c.escape_debug().to_string(),
        c => c.to_string(),
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a refused record must fail the test")]

    use super::*;

    fn sample() -> Sample {
        Sample {
            prompt: "ROMEO:".to_owned(),
            texts: vec![(1, " the".to_owned()), (16, "\nO, \"she\"".to_owned())],
        }
    }

    fn read_back(sample: &Sample) -> Option<Sample> {
        let line = serde_json::to_string(&sample.record(4, 32).unwrap()).unwrap();
        Sample::read(&serde_json::from_str(&line).unwrap())
    }

    #[test]
    fn a_sample_is_an_event_with_a_text_for_each_depth() {
        let record = sample().record(4, 32).unwrap();
        assert_eq!(
            serde_json::to_string(&record).unwrap(),
            r#"{"step":4,"tokens":32,"kind":"event","metrics":{"event":"sample","prompt":"ROMEO:","text@1":" the","text@16":"\nO, \"she\""}}"#
        );
        assert_eq!(read_back(&sample()), Some(sample()));
        assert_eq!(Sample::read(&Record::event(4, 32, Event::Resume)), None);
    }

    #[test]
    fn words_that_json_holds_as_numbers_come_back_as_words() {
        let odd = Sample {
            prompt: "NaN".to_owned(),
            texts: vec![(1, "inf".to_owned()), (2, "-inf".to_owned())],
        };
        assert_eq!(read_back(&odd), Some(odd));
    }

    #[test]
    fn a_depth_that_is_there_twice_is_refused() {
        let mut twice = sample();
        twice.texts.push((1, String::new()));
        assert!(twice.record(4, 32).is_err());
    }

    #[test]
    fn the_prompt_stands_once_and_each_depth_on_a_line() {
        assert_eq!(
            sample().lines(),
            ["prompt  ROMEO:", "   r 1   the", "  r 16  \\nO, \"she\"",]
        );
    }

    #[test]
    fn a_printable_text_keeps_its_lines() {
        assert_eq!(printable("a\tb\n\u{1b}\\"), "a\tb\n\\u{1b}\\");
    }

    #[test]
    fn a_line_holds_no_control_character_and_no_more_than_eighty_columns() {
        let wild = Sample {
            prompt: "tab\tbell\u{7}\u{1b}[31m\u{202e}\\\"'".to_owned(),
            // Each of these characters takes two columns.
            texts: vec![(4, "漢".repeat(60))],
        };
        let lines = wild.lines();
        assert_eq!(lines[0], r#"prompt  tab\tbell\u{7}\u{1b}[31m\u{202e}\\"'"#);
        assert!(lines[1].ends_with('…'), "{lines:?}");
        let width = console::measure_text_width(&lines[1]);
        assert!((COLUMNS - 1..=COLUMNS).contains(&width), "{width}");
    }
}
