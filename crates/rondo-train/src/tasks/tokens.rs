//! Converts the texts of items to tokens.

use rondo_data::Tokenizer;
use rondo_tasks::prompt::Template;
use rondo_tasks::rows::{Plan, Window, plan};
use rondo_tasks::rules::Rules;
use rondo_tasks::task::Task;

use crate::error::{Error, Result};
use crate::open_run::OpenRun;
use crate::prompting::Prompting;

/// The tokenizer and the context of a run, set up for benchmark items.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// The number of positions in a row, and the token that begins a text.
    pub window: Window,
}

impl Reading {
    /// Prepares the tokenizer of a run for items.
    ///
    /// Under the rules of lm-eval, no token begins a text by default, as in lm-eval itself. Under
    /// the rules of CORE, a token always does.
    ///
    /// # Errors
    ///
    /// When the run has no tokenizer, or `--bos` is given under the rules of CORE.
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

    /// Converts the items of a task to rows of tokens.
    ///
    /// # Errors
    ///
    /// When an item cannot be encoded, or its scored part does not fit into the context. The error
    /// names the line of the item.
    pub fn plan(&self, task: &Task, template: &Template) -> Result<Plan> {
        let encode = |text: &str| {
            self.tokenizer
                .encode_prompt(text)
                .map_err(|e| e.to_string())
        };
        Ok(plan(task, template, self.window, encode)?)
    }
}
