//! The scores of an item under one condition (a recurrence depth, perhaps with a control).
//!
//! ```text
//! acc              the choice with the largest Σ ln p is the right one; of a continuation: every token is the likeliest;
//!                  under CORE's rules: the choice with the smallest mean loss per token; of an answer: it matches
//! acc_norm         as acc, with Σ ln p / characters of each choice
//! acc_norm_bytes   as acc, with Σ ln p / bytes of each choice
//! bits_per_byte    −Σ ln p / ln 2 / bytes, of the right continuation with its delimiter or of a text
//! ```
//!
//! Of several equally good choices, the first is used.

use serde::{Deserialize, Deserializer, Serialize};

use crate::item::{Item, Question};
use crate::rules::Rules;

/// The score of a row of tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowScore {
    /// The negative log-likelihood of the row's targets, −Σ ln p, in nats.
    pub loss: f64,
    /// The number of targets.
    pub tokens: usize,
    /// Whether every target is the likeliest token.
    pub greedy: bool,
}

/// A measure by which an item is scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Accuracy by sums of log-likelihoods, by mean losses (CORE), or by generated answers.
    Acc,
    /// Accuracy by log-likelihoods per character.
    AccNorm,
    /// Accuracy by log-likelihoods per byte.
    AccNormBytes,
    /// Bits per byte of the right text.
    BitsPerByte,
}

impl Measure {
    /// Every measure.
    pub const ALL: [Self; 4] = [
        Self::Acc,
        Self::AccNorm,
        Self::AccNormBytes,
        Self::BitsPerByte,
    ];

    /// Returns the name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Acc => "acc",
            Self::AccNorm => "acc_norm",
            Self::AccNormBytes => "acc_norm_bytes",
            Self::BitsPerByte => "bits_per_byte",
        }
    }

    /// Returns whether the measure is true or false for a single item.
    pub fn is_accuracy(self) -> bool {
        self != Self::BitsPerByte
    }
}

/// The outcome of an item: its scores, and the numbers from which they follow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// Σ ln p of each choice, of the continuation, or of the text, in nats.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "numbers")]
    pub loglikelihoods: Vec<f64>,
    /// The mean loss of each choice, in nats per scored token; only under CORE's rules.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "numbers")]
    pub mean_losses: Vec<f64>,
    /// The number of scored tokens of each choice; only under CORE's rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scored_tokens: Vec<usize>,
    /// For each choice, whether every scored token is the likeliest token.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub is_greedy: Vec<bool>,
    /// Whether the item is right by the measure `acc`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acc: Option<bool>,
    /// Whether the item is right by the measure `acc_norm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acc_norm: Option<bool>,
    /// Whether the item is right by the measure `acc_norm_bytes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acc_norm_bytes: Option<bool>,
    /// −Σ ln p of the right text, in nats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// The number of bytes of the right text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<usize>,
    /// The number of words of a text, counted as `re.split(r"\s+", text)` does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<usize>,
    /// The generated text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generated: Option<String>,
    /// The answer found in the generated text; `None` if none was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// The mean number of iterations per generated token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_iterations: Option<f64>,
}

impl Outcome {
    /// Scores an item from the scores of its rows. `delimiter` is the text before each
    /// continuation.
    ///
    /// # Panics
    ///
    /// Panics where the rows do not belong to the item.
    pub fn of_rows(item: &Item, rules: Rules, delimiter: &str, rows: &[RowScore]) -> Self {
        let log_p: Vec<f64> = rows.iter().map(|row| -row.loss).collect();
        let greedy: Vec<bool> = rows.iter().map(|row| row.greedy).collect();
        let outcome = match &item.question {
            Question::MultipleChoice { choices, gold, .. } => {
                assert_eq!(choices.len(), rows.len(), "a row for each choice");
                let per = |length: &dyn Fn(&str) -> usize| {
                    let each = choices.iter().zip(&log_p);
                    let scores: Vec<f64> = each
                        .map(|(choice, log_p)| log_p / length(choice) as f64)
                        .collect();
                    largest(&scores) == *gold
                };
                Self {
                    acc: Some(largest(&log_p) == *gold),
                    acc_norm: Some(per(&|choice| choice.chars().count())),
                    acc_norm_bytes: Some(per(&str::len)),
                    loss: Some(rows[*gold].loss),
                    bytes: Some(delimiter.len() + choices[*gold].len()),
                    ..Self::default()
                }
            }
            Question::Schema {
                contexts,
                continuation,
                gold,
            } => {
                assert_eq!(contexts.len(), rows.len(), "a row for each context");
                Self {
                    acc: Some(largest(&log_p) == *gold),
                    loss: Some(rows[*gold].loss),
                    bytes: Some(delimiter.len() + continuation.len()),
                    ..Self::default()
                }
            }
            Question::LanguageModeling { continuation, .. } => Self {
                acc: Some(greedy[0]),
                loss: Some(rows[0].loss),
                bytes: Some(delimiter.len() + continuation.len()),
                ..Self::default()
            },
            Question::Text { text } => {
                let loss: f64 = rows.iter().map(|row| row.loss).sum();
                return Self {
                    loglikelihoods: vec![-loss],
                    loss: Some(loss),
                    bytes: Some(text.len()),
                    words: Some(words(text)),
                    ..Self::default()
                };
            }
            Question::Generation { .. } => panic!("an item that is generated has no rows"),
        };
        let outcome = Self {
            loglikelihoods: log_p,
            is_greedy: greedy,
            ..outcome
        };
        match rules {
            Rules::LmEval => outcome,
            Rules::Core => outcome.by_mean_losses(item, rows),
        }
    }

    /// Decides as CORE does, by the mean loss per scored token. The scored tokens do not form a
    /// whole continuation, so the outcome has no bits per byte.
    fn by_mean_losses(self, item: &Item, rows: &[RowScore]) -> Self {
        let means: Vec<f64> = rows
            .iter()
            .map(|row| row.loss / row.tokens as f64)
            .collect();
        let negative: Vec<f64> = means.iter().map(|mean| -mean).collect();
        let acc = match &item.question {
            Question::MultipleChoice { gold, .. } | Question::Schema { gold, .. } => {
                Some(largest(&negative) == *gold)
            }
            _ => self.acc,
        };
        Self {
            mean_losses: means,
            scored_tokens: rows.iter().map(|row| row.tokens).collect(),
            is_greedy: self.is_greedy,
            acc,
            ..Self::default()
        }
    }

    /// Returns the value and the weight of a measure. Over several items, the measure is Σ values /
    /// Σ weights.
    pub fn value(&self, measure: Measure) -> Option<(f64, f64)> {
        let share = |right: Option<bool>| right.map(|right| (f64::from(u8::from(right)), 1.0));
        match measure {
            Measure::Acc => share(self.acc),
            Measure::AccNorm => share(self.acc_norm),
            Measure::AccNormBytes => share(self.acc_norm_bytes),
            Measure::BitsPerByte => {
                let bytes = self.bytes.filter(|bytes| *bytes > 0)?;
                Some((self.loss? / std::f64::consts::LN_2, bytes as f64))
            }
        }
    }
}

/// Reads numbers. A null is read as NaN, because JSON has neither NaN nor infinities.
fn numbers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
    let read: Vec<Option<f64>> = Vec::deserialize(from)?;
    Ok(read.into_iter().map(|x| x.unwrap_or(f64::NAN)).collect())
}

/// Returns the index of the largest score; of equal scores, the index of the first.
fn largest(scores: &[f64]) -> usize {
    let mut best = 0;
    for (index, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = index;
        }
    }
    best
}

/// Returns the number of pieces between white space in a text. Empty pieces at the ends of the text
/// count.
fn words(text: &str) -> usize {
    let spaces: Vec<bool> = text.chars().map(crate::prompt::is_python_space).collect();
    1 + spaces.chunk_by(|a, b| a == b).filter(|run| run[0]).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::task;

    fn row(loss: f64, tokens: usize) -> RowScore {
        RowScore {
            loss,
            tokens,
            greedy: false,
        }
    }

    #[test]
    fn sums_characters_and_bytes_can_each_prefer_another_choice() {
        // By sums, −6 is better than −8: the first choice. Per character, −8/4 is better than −6/2:
        // the second. Per byte, −6/6 is better than −8/4: the first.
        let task = task(&[r#"{"query":"q","choices":["日本","abcd"],"gold":1}"#]);
        let rows = [row(6.0, 2), row(8.0, 4)];
        let outcome = Outcome::of_rows(&task.items[0], Rules::LmEval, " ", &rows);
        assert_eq!(
            (outcome.acc, outcome.acc_norm, outcome.acc_norm_bytes),
            (Some(false), Some(true), Some(false))
        );
        // The right choice costs 8 nats for a space and four bytes.
        let (bits, bytes) = outcome.value(Measure::BitsPerByte).expect("text");
        assert!((bits - 8.0 / std::f64::consts::LN_2).abs() < 1e-12 && (bytes - 5.0).abs() < 1e-12);
    }

    #[test]
    fn core_takes_the_smallest_mean_loss_and_the_first_of_equals() {
        let task = task(&[r#"{"query":"q","choices":["aa","bbbb"],"gold":1}"#]);
        let outcome =
            |rows: [RowScore; 2]| Outcome::of_rows(&task.items[0], Rules::Core, " ", &rows);
        assert_eq!(outcome([row(6.0, 2), row(8.0, 4)]).acc, Some(true));
        assert_eq!(outcome([row(4.0, 2), row(8.0, 4)]).acc, Some(false));
        assert_eq!(outcome([row(6.0, 2), row(8.0, 4)]).mean_losses, [3.0, 2.0]);
    }

    #[test]
    fn a_continuation_is_right_where_every_token_is_the_likeliest() {
        let task = task(&[r#"{"context":"c","continuation":"ab"}"#]);
        for greedy in [false, true] {
            let row = RowScore {
                greedy,
                ..row(3.0, 2)
            };
            let outcome = Outcome::of_rows(&task.items[0], Rules::LmEval, "", &[row]);
            assert_eq!(outcome.acc, Some(greedy));
        }
    }

    #[test]
    fn an_outcome_is_read_as_it_is_written() {
        let task = task(&[r#"{"query":"q","choices":["aa","bbbb"],"gold":1}"#]);
        for rules in [Rules::LmEval, Rules::Core] {
            let written = Outcome::of_rows(&task.items[0], rules, " ", &[row(6.0, 2), row(8.0, 4)]);
            let text = serde_json::to_string(&written).expect("JSON");
            assert_eq!(
                serde_json::from_str::<Outcome>(&text).expect("read"),
                written
            );
        }
        let infinite: Outcome =
            serde_json::from_str(r#"{"loglikelihoods":[-1.0,null],"acc":true}"#).expect("read");
        assert_eq!(
            (infinite.acc, infinite.loglikelihoods.len()),
            (Some(true), 2)
        );
        assert!(infinite.loglikelihoods[1].is_nan());
    }

    #[test]
    fn words_are_counted_as_a_split_at_white_space_counts_them() {
        assert_eq!(words("a b  c"), 3);
        assert_eq!(words(" a\u{1c}"), 3);
        assert_eq!(words("abc"), 1);
    }
}
