//! `trainer eval --tasks`: scores benchmark items at every recurrence depth.

mod answers;
mod asked;
mod controls;
mod notes;
mod tables;

use std::path::{Path, PathBuf};

use rondo_metrics::Mode;
use rondo_metrics::work::{Unit, WorkBar};
use rondo_tasks::item::Kind;
use rondo_tasks::prompt::Template;
use rondo_tasks::report::{ByCondition, Items, RunOutcomes, TaskReport};
use rondo_tasks::rows::Plan;
use rondo_tasks::task::Task;
use rondo_train::device::{self, Listed};
use rondo_train::error::Result;
use rondo_train::evaluate::depths::refuse_depths;
use rondo_train::evaluate::exits::Exit;
use rondo_train::initial_states::{InitialState, InitialStates};
use rondo_train::open_run::OpenRun;
use rondo_train::run_dir::outcomes::{Asked, write_outcomes};
use rondo_train::tasks::Reading;
use rondo_train::tasks::controls::Controls;
use rondo_train::tasks::scored::Scoring;
use serde_json::json;

use self::answers::Answers;
use self::asked::Benchmarks;
use crate::cli::EvalArgs;
use crate::{pictures, terminal};

/// The tokens and the outcomes of one run.
struct OfRun {
    path: PathBuf,
    step: u64,
    reading: Reading,
    device: String,
    controls: Controls,
    /// The tokens of the items, for each task.
    plans: Vec<Plan>,
    /// The outcomes of the items, for each task.
    found: Vec<RunOutcomes>,
}

/// Scores the items of every task in every run. Nothing is written until all results are known.
///
/// # Errors
///
/// Returns an error if a task, a run, the device or an option is not valid.
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

impl Benchmarks {
    /// Scores every task in one run.
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
        refuse_depths(&run.model_config, depths.iter().copied())?;
        let states =
            InitialStates::open(&args.initial_state, &run.model_config, run.config.run.seed)?;
        let answers = Answers::new(self, &run, &reading, &states, args, exits, &depths);
        // All items are checked before the first forward pass.
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
            positions: run.batch_positions(),
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
            let items = Items::of(task, plan, self.rules, shots);
            Ok(TaskReport::new(&items, by, &found)?)
        };
        self.tasks.iter().enumerate().map(report).collect()
    }

    /// Writes the outcome of every item.
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

impl OfRun {
    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

/// Scores the rows of a task, with a progress bar.
fn score(
    scoring: &Scoring<'_>,
    task: &Task,
    template: &Template,
    plan: &Plan,
) -> Result<ByCondition> {
    let total = scoring.batches(plan) as u64;
    let mut bar = WorkBar::new(
        Mode::Auto,
        &task.name,
        total,
        Unit::Items("batch", "batches"),
    );
    let outcomes = scoring.outcomes(task, template, plan, || {
        bar.advance(1);
        Ok(())
    })?;
    bar.finish();
    Ok(outcomes)
}
