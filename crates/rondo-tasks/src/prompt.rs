//! The texts of an item: its examples, its context and its continuation.
//!
//! ```text
//! example ++ delimiter ++ its answer ++ "\n\n"      for each example
//! context ++ delimiter ++ continuation
//! ```

use crate::item::{Item, Question};
use crate::mersenne::Python;
use crate::rules::Rules;
use crate::task::Task;

/// The text between an example and the text after it.
const BETWEEN: &str = "\n\n";

/// The seed for the first item: CORE draws the examples of item i with the seed 1234 + i.
const SEED: u32 = 1234;

/// How items are turned into text.
#[derive(Clone, Debug)]
pub struct Template {
    /// The conventions that the texts follow.
    pub rules: Rules,
    /// The text between a context and its continuation.
    pub delimiter: String,
    /// The number of examples before each item.
    pub shots: usize,
}

/// A context and its continuation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The context, including the examples before it.
    pub context: String,
    /// The text to be scored, including the delimiter.
    pub continuation: String,
}

/// Returns whether Python's `str.strip` would remove the character.
pub(crate) fn is_python_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

impl Template {
    /// Checks that there are enough examples for every item of a task.
    ///
    /// # Errors
    ///
    /// There are too few examples. The message contains their number.
    pub fn check(&self, task: &Task) -> crate::error::Result<()> {
        let (found, what) = match self.given(task) {
            Some(examples) => (examples.len(), "examples in the file beside it"),
            None => (task.items.len() - 1, "other items to draw examples from"),
        };
        match self.shots <= found {
            true => Ok(()),
            false => Err(crate::error::TaskError::file(
                &task.path,
                format!("{found} {what}; {} are asked for", self.shots),
            )),
        }
    }

    /// Returns the examples from the file beside the task, which are the same for every item. CORE
    /// does not use such a file.
    fn given<'a>(&self, task: &'a Task) -> Option<&'a [Item]> {
        match self.rules {
            Rules::LmEval => task.examples.as_deref(),
            Rules::Core => None,
        }
    }

    /// Returns the texts of an item of `task`. There is one pair for each choice or context, and
    /// one pair for a continuation. A generated answer has one pair with an empty continuation, and
    /// a text has one pair with an empty context.
    ///
    /// # Panics
    ///
    /// Panics where [`Template::check`] returns an error.
    pub fn pairs(&self, task: &Task, item: usize) -> Vec<Pair> {
        let before = self.examples(task, item);
        let delimiter = &self.delimiter;
        let pair = |context: &str, continuation: &str| Pair {
            context: format!("{before}{context}"),
            continuation: format!("{delimiter}{continuation}"),
        };
        match &task.items[item].question {
            Question::MultipleChoice { query, choices, .. } => {
                choices.iter().map(|choice| pair(query, choice)).collect()
            }
            Question::Schema {
                contexts,
                continuation,
                ..
            } => contexts
                .iter()
                .map(|context| pair(context, continuation))
                .collect(),
            Question::LanguageModeling {
                context,
                continuation,
            } => vec![pair(self.trimmed(context), continuation)],
            Question::Generation { context, .. } => vec![Pair {
                context: format!("{before}{context}"),
                continuation: String::new(),
            }],
            Question::Text { text } => vec![Pair {
                context: String::new(),
                continuation: text.clone(),
            }],
        }
    }

    /// Returns a context. Under CORE's rules, the white space around it is removed.
    fn trimmed<'a>(&self, context: &'a str) -> &'a str {
        match self.rules {
            Rules::Core => context.trim_matches(is_python_space),
            Rules::LmEval => context,
        }
    }

    /// Returns the text of the examples before an item.
    fn examples(&self, task: &Task, item: usize) -> String {
        self.drawn(task, item)
            .into_iter()
            .map(|example| self.example(example) + BETWEEN)
            .collect()
    }

    /// Returns the items that serve as examples before an item.
    fn drawn<'a>(&self, task: &'a Task, item: usize) -> Vec<&'a Item> {
        if self.shots == 0 {
            return Vec::new();
        }
        if let Some(given) = self.given(task) {
            return given.iter().take(self.shots).collect();
        }
        let mut python = Python::new(SEED.wrapping_add(item as u32));
        python
            .sample(task.items.len() - 1, self.shots)
            .into_iter()
            .map(|other| &task.items[other + usize::from(other >= item)])
            .collect()
    }

    /// Returns the text of an example with its right answer.
    fn example(&self, item: &Item) -> String {
        let delimiter = &self.delimiter;
        match &item.question {
            Question::MultipleChoice {
                query,
                choices,
                gold,
            } => format!("{query}{delimiter}{}", choices[*gold]),
            Question::Schema {
                contexts,
                continuation,
                gold,
            } => format!("{}{delimiter}{continuation}", contexts[*gold]),
            Question::LanguageModeling {
                context,
                continuation,
            } => format!("{}{delimiter}{continuation}", self.trimmed(context)),
            Question::Generation { context, answers } => {
                format!("{context}{delimiter}{}", answers[0])
            }
            Question::Text { text } => text.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::task;

    fn template(rules: Rules, shots: usize) -> Template {
        Template {
            rules,
            delimiter: " ".to_owned(),
            shots,
        }
    }

    #[test]
    fn a_choice_follows_the_examples_and_the_query() {
        let mut of = task(&[
            r#"{"query":"1+1=","choices":["2","3"],"gold":0}"#,
            r#"{"query":"2+2=","choices":["5","4"],"gold":1}"#,
        ]);
        of.examples = Some(of.items.split_off(1));
        let pairs = template(Rules::LmEval, 1).pairs(&of, 0);
        assert_eq!(pairs[1].context, "2+2= 4\n\n1+1=");
        assert_eq!(pairs[1].continuation, " 3");
        assert!(template(Rules::LmEval, 2).check(&of).is_err());
    }

    #[test]
    fn examples_are_drawn_from_the_other_items_as_nanochat_draws_them() {
        let lines: Vec<String> = (0..60)
            .map(|i| {
                format!(r#"{{"context_options":["a{i}","b{i}"],"continuation":"c","gold":1}}"#)
            })
            .collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let of = task(&lines);
        // In Python, random.Random(1234).sample([1, .., 59], 2) is [50, 29].
        let pairs = template(Rules::Core, 2).pairs(&of, 0);
        assert_eq!(pairs[0].context, "b50 c\n\nb29 c\n\na0");
        let few = task(&lines[..2]);
        let message = template(Rules::Core, 2)
            .check(&few)
            .expect_err("one other item");
        assert!(
            message.to_string().contains("1 other items to draw"),
            "{message}"
        );
    }

    #[test]
    fn core_trims_the_context_of_a_continuation_and_lm_eval_does_not() {
        let of = task(&["{\"context\":\"\\u001c a \",\"continuation\":\"b\"}"]);
        assert_eq!(template(Rules::Core, 0).pairs(&of, 0)[0].context, "a");
        assert_eq!(
            template(Rules::LmEval, 0).pairs(&of, 0)[0].context,
            "\u{1c} a "
        );
    }
}
