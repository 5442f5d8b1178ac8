//! The tasks to score, and the rules for scoring them, as given on the command line.

use rondo_tasks::answer::Matching;
use rondo_tasks::item::Kind;
use rondo_tasks::prompt::Template;
use rondo_tasks::rules::Rules;
use rondo_tasks::task::Task;
use rondo_train::error::{Error, Result};
use rondo_train::evaluate::exits::Exit;
use rondo_train::initial_states::InitialState;

use crate::cli::{EvalArgs, TaskArgs};
use crate::terminal;

/// The tasks to score, and the rules for scoring them.
pub(super) struct Benchmarks {
    pub(super) tasks: Vec<Task>,
    /// The template that turns items into text, for each task.
    pub(super) templates: Vec<Template>,
    pub(super) rules: Rules,
    pub(super) matching: Matching,
    pub(super) stops: Vec<String>,
}

impl Benchmarks {
    pub(super) fn read(args: &EvalArgs) -> Result<Self> {
        let asked = &args.tasks;
        let usage = |message: String| Err(Error::Usage(message));
        if matches!(args.initial_state, InitialState::File(_)) {
            return usage("--initial-state: with --tasks it is `seed` or `zero`".to_owned());
        }
        if args.data.is_some() && !asked.controls {
            return usage(
                "--data: with --tasks it is the text of --controls, which is not given".to_owned(),
            );
        }
        if args.max_tokens.is_some() {
            return usage(
                "--max-tokens: with --tasks, --limit says how many items are scored".to_owned(),
            );
        }
        let mut runs: Vec<_> = args.runs.iter().map(|run| run.file_name()).collect();
        runs.sort_unstable();
        if asked.out.is_some() && runs.windows(2).any(|pair| pair[0] == pair[1]) {
            return usage(
                "--out: each run has a folder of its name there, and two have the same name"
                    .to_owned(),
            );
        }
        let mut tasks = Vec::new();
        for path in &asked.tasks {
            tasks.extend(Task::read_all(path)?);
        }
        let mut names: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
        if let Some([twice, ..]) = twice {
            return usage(format!(
                "--tasks: two tasks are called {twice}; their outcomes would have one file"
            ));
        }
        if let Some(limit) = asked.limit {
            tasks.iter_mut().for_each(|task| task.limit(limit));
        }
        check_kinds(asked, &tasks)?;
        let rules = Rules::from(asked.rules);
        let matching = Matching::new(asked.pattern.as_deref());
        let template = |task: &Task| Template {
            rules,
            delimiter: match &asked.delimiter {
                Some(delimiter) => delimiter.clone(),
                None => rules.delimiter(task.kind).to_owned(),
            },
            shots: match task.kind {
                // A text is scored from its first token, so no examples precede it.
                Kind::Text => 0,
                _ => asked.shots,
            },
        };
        Ok(Self {
            templates: tasks.iter().map(template).collect(),
            matching: matching.map_err(|error| Error::Usage(format!("--pattern: {error}")))?,
            stops: match asked.stop.is_empty() {
                true => vec!["\n\n".to_owned()],
                false => asked.stop.clone(),
            },
            rules,
            tasks,
        })
    }

    /// Returns an error if exit criteria are given but no task has generated answers.
    pub(super) fn check_exits(&self, exits: &[Exit]) -> Result<()> {
        let generates = |task: &Task| task.kind == Kind::Generation;
        if exits.is_empty() || self.tasks.iter().all(generates) {
            return Ok(());
        }
        if !self.tasks.iter().any(generates) {
            return Err(Error::Usage(
                "--exit: with --tasks it is for generated answers; none of these tasks has any"
                    .to_owned(),
            ));
        }
        terminal::note(
            "--exit is for the tasks whose answers are generated; others are scored at fixed depths",
        );
        Ok(())
    }
}

/// Returns an error if options for generated answers are given but no task has generated answers.
/// Prints a note for tasks with texts, which are scored without the requested examples.
fn check_kinds(asked: &TaskArgs, tasks: &[Task]) -> Result<()> {
    let given = [
        ("--pattern", asked.pattern.is_some()),
        ("--stop", !asked.stop.is_empty()),
        ("--max-new-tokens", asked.max_new_tokens.is_some()),
    ];
    let generated = tasks.iter().any(|task| task.kind == Kind::Generation);
    if let Some((flag, _)) = given.iter().find(|(_, given)| *given && !generated) {
        return Err(Error::Usage(format!(
            "{flag}: this option is for generated answers; none of these tasks has any"
        )));
    }
    for task in tasks.iter().filter(|task| task.kind == Kind::Text) {
        if asked.shots > 0 {
            terminal::note(&format!(
                "{}: only questions have examples; the texts of this task are scored without them",
                task.name
            ));
        }
    }
    Ok(())
}
