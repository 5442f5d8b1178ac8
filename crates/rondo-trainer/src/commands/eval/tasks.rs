//! `trainer eval --tasks`: items of benchmarks at every recurrence depth.

mod answers;
mod controls;
mod notes;
mod tables;

use std::path::{Path, PathBuf};

use rondo_metrics::Mode;
use rondo_metrics::work::{Unit, WorkBar};
use rondo_tasks::answer::Matching;
use rondo_tasks::item::Kind;
use rondo_tasks::prompt::Template;
use rondo_tasks::report::{ByCondition, RunOutcomes, TaskReport};
use rondo_tasks::rows::Plan;
use rondo_tasks::rules::Rules;
use rondo_tasks::task::Task;
use rondo_train::device::{self, Listed};
use rondo_train::error::{Error, Result};
use rondo_train::evaluate::exits::Exit;
use rondo_train::initial_states::{InitialState, InitialStates};
use rondo_train::open_run::OpenRun;
use rondo_train::run_dir::outcomes::{Asked, write_outcomes};
use rondo_train::tasks::Reading;
use rondo_train::tasks::controls::Controls;
use rondo_train::tasks::scored::Scoring;
use serde_json::json;

use self::answers::Answers;
use crate::cli::{EvalArgs, TaskArgs};
use crate::{pictures, terminal};

/// What was asked and found of one run.
struct OfRun {
    path: PathBuf,
    step: u64,
    reading: Reading,
    device: String,
    controls: Controls,
    /// For each task how its items became tokens.
    plans: Vec<Plan>,
    /// For each task what they came to.
    found: Vec<RunOutcomes>,
}

/// Scores the items of every task in every run; nothing is written before all of it is known.
///
/// # Errors
///
/// Where a task, a run, the device or an option is wrong.
pub(super) fn command(args: &EvalArgs, exits: &[Exit]) -> Result<()> {
    let asked = Benchmarks::read(args)?;
    asked.check_exits(exits)?;
    let (listed, _) = device::choose_kind(args.device.into())?;
    let mut runs = Vec::new();
    for path in &args.runs {
        runs.push(asked.of_run(path, args, exits, &listed)?);
    }
    let reports = asked.reports(args, &runs)?;
    notes::tell(&runs, &asked);
    let written = asked.write(args, &runs)?;
    let drawn = match &args.figures {
        Some(dir) => {
            let fitted: Vec<_> = runs
                .iter()
                .map(|run| (run.name(), run.controls.fitted.as_slice()))
                .collect();
            pictures::tasks::of_tasks(&reports, &fitted, dir)?
        }
        None => Vec::new(),
    };
    if args.json.json {
        let controls: Vec<_> = runs
            .iter()
            .filter(|run| !run.controls.fitted.is_empty())
            .map(|run| json!({"run": run.name(), "depths": run.controls.fitted}))
            .collect();
        let files: Vec<_> = written
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        return terminal::print_json(
            &json!({"tasks": reports, "controls": controls, "outcomes": files}),
        );
    }
    for report in &reports {
        terminal::print(&tables::report(report))?;
    }
    for run in runs.iter().filter(|run| !run.controls.fitted.is_empty()) {
        terminal::print(&tables::controls(&run.name(), &run.controls.fitted))?;
    }
    for file in written.iter().chain(&drawn) {
        terminal::print(&file.display().to_string())?;
    }
    Ok(())
}

/// The tasks, and how they are asked.
struct Benchmarks {
    tasks: Vec<Task>,
    /// For each task how its items become text.
    templates: Vec<Template>,
    rules: Rules,
    matching: Matching,
    stops: Vec<String>,
}

impl Benchmarks {
    fn read(args: &EvalArgs) -> Result<Self> {
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
                // A text is scored from its first token on.
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

    /// Refuses criteria by which no task exits.
    fn check_exits(&self, exits: &[Exit]) -> Result<()> {
        let generates = |task: &Task| task.kind == Kind::Generation;
        if exits.is_empty() || self.tasks.iter().all(generates) {
            return Ok(());
        }
        if !self.tasks.iter().any(generates) {
            return Err(Error::Usage(
                "--exit: with --tasks it is for answers that are generated; these items are chosen from or scored"
                    .to_owned(),
            ));
        }
        terminal::note(
            "--exit is for the tasks whose answers are generated; others are scored at fixed depths",
        );
        Ok(())
    }

    /// Answers every task.
    fn of_run(
        &self,
        path: &Path,
        args: &EvalArgs,
        exits: &[Exit],
        listed: &Listed,
    ) -> Result<OfRun> {
        let run = OpenRun::open(path, args.checkpoint, listed)?;
        let reading = Reading::of(&run, self.rules, args.prompting.prompting())?;
        let mut depths = match args.recurrence.is_empty() {
            true => run.config.eval.recurrence.clone(),
            false => args.recurrence.clone(),
        };
        depths.sort_unstable();
        depths.dedup();
        let states =
            InitialStates::open(&args.initial_state, &run.model_config, run.config.run.seed)?;
        let answers = Answers::new(self, &run, &reading, &states, args, exits, &depths);
        // Everything that can be wrong with an item is found before the first pass.
        let mut plans = Vec::new();
        for (task, template) in self.tasks.iter().zip(&self.templates) {
            plans.push(match task.kind {
                Kind::Generation => answers.plan(task, template)?,
                _ => reading.plan(task, template)?,
            });
        }
        let controls = match args.tasks.controls {
            true => controls::fit(&run, &states, &depths, args)?,
            false => Controls::none(),
        };
        let scoring = Scoring {
            run: &run,
            states: &states,
            depths: &depths,
            controls: &controls,
            positions: positions(&run),
        };
        let mut found = Vec::new();
        for ((task, template), plan) in self.tasks.iter().zip(&self.templates).zip(&plans) {
            let (conditions, outcomes) = match task.kind {
                Kind::Generation => answers.outcomes(task, template)?,
                _ => (scoring.conditions(), score(&scoring, task, template, plan)?),
            };
            found.push(RunOutcomes {
                run: path.display().to_string(),
                step: run.step,
                conditions,
                outcomes,
            });
        }
        Ok(OfRun {
            path: path.to_owned(),
            step: run.step,
            device: listed.label(),
            reading,
            controls,
            plans,
            found,
        })
    }

    fn reports(&self, args: &EvalArgs, runs: &[OfRun]) -> Result<Vec<TaskReport>> {
        let by = args.tasks.by.as_deref();
        let report = |(place, task): (usize, &Task)| {
            let found: Vec<RunOutcomes> = runs.iter().map(|run| run.found[place].clone()).collect();
            let (plan, shots) = (&runs[0].plans[place], self.templates[place].shots);
            Ok(TaskReport::new(task, plan, self.rules, shots, by, &found)?)
        };
        self.tasks.iter().enumerate().map(report).collect()
    }

    /// Writes every item's outcome.
    fn write(&self, args: &EvalArgs, runs: &[OfRun]) -> Result<Vec<PathBuf>> {
        let mut written = Vec::new();
        for run in runs {
            let folder = match (&args.tasks.out, runs.len(), run.path.file_name()) {
                (None, ..) => rondo_train::run_dir::RunDir::new(&run.path).outcomes(run.step),
                (Some(out), 1, _) | (Some(out), _, None) => out.clone(),
                (Some(out), _, Some(name)) => out.join(name),
            };
            for (place, task) in self.tasks.iter().enumerate() {
                let asked = Asked {
                    task,
                    template: &self.templates[place],
                    plan: &run.plans[place],
                    tokenizer: &run.reading.tokenizer,
                    initial_state: match args.initial_state {
                        InitialState::Zero => "zero",
                        _ => "seed",
                    },
                    device: run.device.clone(),
                    controls: match run.controls.fitted.as_slice() {
                        [] => serde_json::Value::Null,
                        fitted => json!(fitted),
                    },
                };
                written.push(write_outcomes(&folder, &asked, &run.found[place])?);
            }
        }
        Ok(written)
    }
}

/// Refuses options about generated answers where nothing is generated, and says where examples are left out.
fn check_kinds(asked: &TaskArgs, tasks: &[Task]) -> Result<()> {
    let given = [
        ("--pattern", asked.pattern.is_some()),
        ("--stop", !asked.stop.is_empty()),
        ("--max-new-tokens", asked.max_new_tokens.is_some()),
    ];
    let generated = tasks.iter().any(|task| task.kind == Kind::Generation);
    if let Some((flag, _)) = given.iter().find(|(_, given)| *given && !generated) {
        return Err(Error::Usage(format!(
            "{flag}: this is about answers that are generated; none of these tasks has any"
        )));
    }
    for task in tasks.iter().filter(|task| task.kind == Kind::Text) {
        if asked.shots > 0 {
            terminal::note(&format!(
                "{}: examples stand before questions; its texts are scored without them",
                task.name
            ));
        }
    }
    Ok(())
}

impl OfRun {
    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

/// Returns the positions of a batch: as many as a batch of the run's own evaluations has.
fn positions(run: &OpenRun<'_>) -> usize {
    let seq = run.config.text_seq().unwrap_or(run.model_config.context);
    run.config.eval_batch() * seq
}

/// Scores the rows of a task, with a bar.
fn score(
    scoring: &Scoring<'_>,
    task: &Task,
    template: &Template,
    plan: &Plan,
) -> Result<ByCondition> {
    let total = scoring.batches(plan) as u64;
    let mut bar = WorkBar::new(Mode::Auto, &task.name, total, Unit::Items("batches"));
    let outcomes = scoring.outcomes(task, template, plan, || {
        bar.advance(1);
        Ok(())
    })?;
    bar.finish();
    Ok(outcomes)
}
