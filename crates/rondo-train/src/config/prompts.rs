//! The prompts of `[eval]`: checks their keys and encodes the texts.

use rondo_config::Report;
use rondo_config::report::at_least_one;
use rondo_data::Source;
use rondo_model::depth::MAX_EVALUATED;

use super::RunConfig;
use super::validate::beyond;
use crate::error::{Error, Result};

/// The default maximum number of tokens after a prompt.
const TOKENS: usize = 48;
/// The default depths for the text after a prompt, in addition to the mean recurrence.
const SHALLOW: [usize; 2] = [1, 4];

/// The prompts of an evaluation, with the length and the depths of the text after them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompts {
    /// The text and the tokens of each prompt. A prompt has at least one token, and fewer tokens
    /// than the context.
    pub prompts: Vec<(String, Vec<u32>)>,
    /// The maximum number of tokens after each prompt.
    pub tokens: usize,
    /// The recurrence depths at which prompts are continued, in ascending order.
    pub recurrence: Vec<usize>,
}

impl Prompts {
    /// Takes the number of tokens and the depths from a configuration. The prompts are added later.
    pub(super) fn new(config: &RunConfig) -> Self {
        let eval = &config.eval;
        let mean = config.model.recurrence.planned().total();
        let mut recurrence = eval.prompt_recurrence.clone().unwrap_or_else(|| {
            let shallow = SHALLOW.into_iter().filter(|depth| *depth < mean);
            shallow.chain([mean]).collect()
        });
        recurrence.sort_unstable();
        recurrence.dedup();
        Self {
            prompts: Vec::new(),
            tokens: eval.prompt_tokens.unwrap_or(TOKENS),
            recurrence,
        }
    }

    /// Encodes the prompts with the data's tokenizer and adds them.
    ///
    /// # Errors
    ///
    /// When the data has no tokenizer, or a prompt has no tokens, or a prompt fills the context of
    /// `context` tokens.
    pub(super) fn encode(
        &mut self,
        prompts: &[String],
        source: &Source,
        context: usize,
    ) -> Result<()> {
        for (index, text) in prompts.iter().enumerate() {
            let refuse = |why: String| {
                let number = index + 1;
                Err(Error::Usage(format!("eval.prompts: prompt {number} {why}")))
            };
            let Source::Text(data) = source else {
                return refuse("needs a tokenizer, and the data has none".to_owned());
            };
            let tokens = match data.tokenizer().encode_prompt(text) {
                Ok(tokens) => tokens,
                Err(error) => return refuse(format!("has no tokens: {error}")),
            };
            match tokens.len() {
                0 => return refuse("has no tokens in the data's tokenizer".to_owned()),
                count if count >= context => {
                    return refuse(format!(
                        "has {count} tokens, which leave no room for another one in model.context = {context}; shorten it"
                    ));
                }
                _ => self.prompts.push((text.clone(), tokens)),
            }
        }
        Ok(())
    }
}

impl RunConfig {
    /// Reports every violation of the prompts' keys.
    pub(super) fn validate_prompts(&self, report: Report<'_>) {
        let eval = &self.eval;
        let prompts = &eval.prompts;
        if !prompts.is_empty() && self.data.is_task() {
            report(
                "prompts",
                "a task has no text and no tokenizer; remove this key".into(),
            );
        }
        for (index, prompt) in prompts.iter().enumerate() {
            let number = index + 1;
            if prompt.is_empty() {
                report("prompts", format!("prompt {number} is empty; give it text"));
            } else if let Some(first) = prompts[..index].iter().position(|one| one == prompt) {
                let first = first + 1;
                report(
                    "prompts",
                    format!("prompt {number} is the same text as prompt {first}; remove one"),
                );
            }
        }
        if prompts.is_empty() {
            let without = "has no meaning without eval.prompts; give prompts, or remove this key";
            for (key, is_given) in [
                ("prompt_tokens", eval.prompt_tokens.is_some()),
                ("prompt_recurrence", eval.prompt_recurrence.is_some()),
            ] {
                if is_given {
                    report(key, without.into());
                }
            }
        }
        at_least_one("prompt_tokens", eval.prompt_tokens.unwrap_or(1), report);
        let depths = eval.prompt_recurrence.as_deref();
        if depths.is_some_and(<[usize]>::is_empty) {
            report("prompt_recurrence", "must name at least one depth".into());
        }
        for depth in depths.unwrap_or_default() {
            if !(1..=MAX_EVALUATED).contains(depth) {
                report(
                    "prompt_recurrence",
                    format!("each depth must be 1 to {MAX_EVALUATED}, found {depth}"),
                );
            } else if let Some(deepest) = self.deepest().filter(|deepest| depth > deepest) {
                report("prompt_recurrence", beyond(*depth, deepest));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(eval: &str) -> Result<RunConfig> {
        let text = format!("[train]\nsteps = 3\nseq = 16\n[eval]\n{eval}");
        RunConfig::read("test.toml", &text, &[])
    }

    fn depths(eval: &str, mean: usize) -> Vec<usize> {
        let mut config = read(eval).expect("valid");
        config.model.recurrence.mean = mean;
        Prompts::new(&config).recurrence
    }

    #[test]
    fn depths_are_one_four_and_the_mean_where_none_are_written() {
        assert_eq!(depths("prompts = ['a']", 16), [1, 4, 16]);
        assert_eq!(depths("prompts = ['a']", 4), [1, 4]);
        assert_eq!(depths("prompts = ['a']", 3), [1, 3]);
        let written = "prompts = ['a']\nprompt_recurrence = [8, 2, 8]";
        assert_eq!(depths(written, 16), [2, 8]);
    }

    #[test]
    fn every_wrong_key_is_told_at_once() {
        let wrong = "prompts = ['', 'a', 'a']\nprompt_tokens = 0\nprompt_recurrence = [0]";
        let message = read(wrong).expect_err("not valid").to_string();
        for part in [
            "prompt 1 is empty",
            "prompt 3 is the same text as prompt 2",
            "eval.prompt_tokens: must be at least 1, found 0",
            "each depth must be 1 to",
        ] {
            assert!(message.contains(part), "{part} in {message}");
        }
        let alone = read("prompt_tokens = 3")
            .expect_err("not valid")
            .to_string();
        assert!(alone.contains("eval.prompt_tokens: has no meaning without eval.prompts"));
    }
}
