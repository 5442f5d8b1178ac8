//! Tasks with generated answers. Each item is answered once at each depth and with each criterion.

use rondo_metrics::Mode;
use rondo_metrics::work::{Unit, WorkBar};
use rondo_tasks::prompt::Template;
use rondo_tasks::report::{ByCondition, Condition, Control};
use rondo_tasks::rows::{Plan, Planned};
use rondo_tasks::task::Task;
use rondo_train::error::Result;
use rondo_train::evaluate::exits::Exit;
use rondo_train::generate::DepthRule;
use rondo_train::initial_states::InitialStates;
use rondo_train::open_run::OpenRun;
use rondo_train::tasks::Reading;
use rondo_train::tasks::generated::Answering;

use super::Benchmarks;
use crate::cli::EvalArgs;

/// The default maximum of tokens in an answer, as in lm-eval.
const MAX_NEW_TOKENS: usize = 256;

/// Generates answers at given depths and with given exit criteria.
pub(super) struct Answers<'a> {
    answering: Answering<'a>,
    rules: Vec<DepthRule>,
}

impl<'a> Answers<'a> {
    pub(super) fn new(
        benchmarks: &'a Benchmarks,
        run: &'a OpenRun<'a>,
        reading: &'a Reading,
        states: &'a InitialStates,
        args: &EvalArgs,
        exits: &[Exit],
        depths: &[usize],
    ) -> Self {
        let max = args
            .max_recurrence
            .unwrap_or_else(|| run.model_config.most_iterations());
        let fixed = depths.iter().map(|depth| DepthRule::Fixed(*depth));
        let adaptive = exits
            .iter()
            .map(|exit| DepthRule::Adaptive { exit: *exit, max });
        Self {
            answering: Answering {
                run,
                reading,
                states,
                max_new_tokens: args.tasks.max_new_tokens.unwrap_or(MAX_NEW_TOKENS),
                stops: &benchmarks.stops,
                matching: &benchmarks.matching,
            },
            rules: fixed.chain(adaptive).collect(),
        }
    }

    /// Checks the items, and counts the tokens that are cut off to fit the context.
    pub(super) fn plan(&self, task: &Task, template: &Template) -> Result<Plan> {
        let prompts = self.answering.prompts(task, template)?;
        let planned = |cut| Planned {
            rows: 0..0,
            cut,
            undecided: false,
        };
        Ok(Plan {
            items: prompts.iter().map(|prompt| planned(prompt.cut)).collect(),
            ..Plan::default()
        })
    }

    /// Answers every item at every depth and with every criterion.
    pub(super) fn outcomes(
        &self,
        task: &Task,
        template: &Template,
    ) -> Result<(Vec<Condition>, ByCondition)> {
        let prompts = self.answering.prompts(task, template)?;
        let total = (self.rules.len() * prompts.len()) as u64;
        let mut bar = WorkBar::new(
            Mode::Auto,
            &task.name,
            total,
            Unit::Items("answer", "answers"),
        );
        let mut outcomes = Vec::new();
        for rule in &self.rules {
            let mut of_rule = Vec::new();
            for (item, prompt) in task.items.iter().zip(&prompts) {
                of_rule.push(Some(self.answering.outcome(
                    &item.question,
                    prompt,
                    *rule,
                )?));
                bar.advance(1);
            }
            outcomes.push(of_rule);
        }
        bar.finish();
        Ok((self.rules.iter().map(condition).collect(), outcomes))
    }
}

fn condition(rule: &DepthRule) -> Condition {
    match rule {
        DepthRule::Fixed(depth) => Condition::depth(*depth),
        DepthRule::Adaptive { exit, max } => Condition {
            recurrence: *max,
            exit: Some(exit.criterion.name().to_owned()),
            control: Control::None,
        },
    }
}
