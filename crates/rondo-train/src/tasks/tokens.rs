//! Turns the texts of items into tokens.

use rondo_data::Tokenizer;
use rondo_tasks::prompt::Template;
use rondo_tasks::rows::{Plan, Window, plan};
use rondo_tasks::rules::Rules;
use rondo_tasks::task::Task;

use crate::error::{Error, Result};
use crate::open_run::OpenRun;
use crate::prompting::Prompting;

/// A run's tokenizer and context, ready for items.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// Number of positions in a row, and the token that begins a text.
    pub window: Window,
}

impl Reading {
    /// Takes the tokenizer of a run.
    ///
    /// By default, no token begins a text under lm-eval's rules, as in lm-eval itself. Under CORE's
    /// rules one always does.
    ///
    /// # Errors
    ///
    /// When the run has no tokenizer, or `--bos` was given under CORE's rules.
    pub fn of(run: &OpenRun<'_>, rules: Rules, prompting: Prompting) -> Result<Self> {
        if rules == Rules::Core && prompting.bos.is_some() {
            return Err(Error::Usage(
                "--bos: under the rules of core a token always begins a text".to_owned(),
            ));
        }
        let bos = Some(prompting.bos.unwrap_or(false));
        let tokenizer = run.reader("--tasks", Prompting { bos, ..prompting })?;
        let named = run
            .run_dir
            .special_tokens()?
            .and_then(|special| special.bos_token_id);
        let opening = tokenizer.own_opening().first().copied().or(named);
        Ok(Self {
            window: Window {
                context: run.model_config.context,
                opening: opening.unwrap_or(tokenizer.end_of_text()),
            },
            tokenizer,
        })
    }

    /// Makes the rows of a task.
    ///
    /// # Errors
    ///
    /// When an item cannot be encoded, or its scored part does not fit into the context; names the
    /// item's line.
    pub fn plan(&self, task: &Task, template: &Template) -> Result<Plan> {
        let encode = |text: &str| {
            self.tokenizer
                .encode_prompt(text)
                .map_err(|e| e.to_string())
        };
        Ok(plan(task, template, self.window, encode)?)
    }
}
