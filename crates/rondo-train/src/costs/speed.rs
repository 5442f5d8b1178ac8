//! Reads the speed of a similar run on this machine from the records of that run.

use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rondo_metrics::format::duration;
use rondo_metrics::names::{STEP_SECONDS, WORLD_SIZE};
use rondo_metrics::{History, Kind, Record, TimeLeft};
use serde::Deserialize;

use super::Work;
use crate::config::{ResolvedConfig, RunConfig};
use crate::device::Listed;
use crate::run_dir::RunDir;

/// The maximum number of other runs to look at, newest first.
const LOOKED_AT: usize = 32;
/// The maximum size in bytes of a file of records. Larger files are not read.
const LARGEST: u64 = 64 << 20;

/// The measured speed of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Speed {
    /// Seconds per step, without evaluations and checkpoints.
    pub step_seconds: f64,
    /// Seconds per evaluation. `None` if the evaluations of the measured run were configured
    /// differently.
    pub evaluation_seconds: Option<f64>,
    /// The directory of the measured run.
    pub run: PathBuf,
    /// The day on which the measured run was launched, for example `2026-11-27`.
    pub day: String,
}

impl Speed {
    /// Formats the expected time for `work` at this speed.
    pub fn line(&self, work: &Work) -> String {
        let speed = format!("at the speed of {} on {}", self.run.display(), self.day);
        expected(work, self.step_seconds, self.evaluation_seconds, &speed)
    }
}

/// Formats the expected time for `work`, from the seconds per step and per evaluation. `why` says
/// where these seconds come from.
pub fn expected(
    work: &Work,
    step_seconds: f64,
    evaluation_seconds: Option<f64>,
    why: &str,
) -> String {
    let training = duration(work.steps as f64 * step_seconds);
    let evaluations = evaluation_seconds.filter(|_| work.evaluations > 0);
    let evaluations = evaluations.map(|seconds| {
        let count = work.evaluations;
        let plural = if count == 1 { "" } else { "s" };
        let all = duration(count as f64 * seconds);
        format!(", and {all} for {count} evaluation{plural}")
    });
    format!(
        "time    about {training} {why}{}",
        evaluations.unwrap_or_default()
    )
}

/// The fields of a line in `launches.jsonl` that identify what was timed.
#[derive(Deserialize)]
struct Launch {
    time: String,
    host: Option<String>,
    device: String,
    config: RunConfig,
}

/// Returns the speed of a run whose steps did the same work as steps of `config`, on this machine
/// and the same device. Checks the run in `run_dir` first, then the other runs in the same parent
/// folder, newest first. Returns `None` if no run has the same steps and a known speed.
pub fn find(run_dir: &RunDir, config: &ResolvedConfig, listed: &Listed) -> Option<Speed> {
    let host = sysinfo::System::host_name()?;
    let own = run_dir.path();
    let is_alike = |launch: &Launch| {
        launch.host.as_ref() == Some(&host)
            && launch.device == listed.label()
            && has_same_steps(&launch.config, config.recorded())
    };
    let candidates = std::iter::once(own.to_owned()).chain(beside(own));
    candidates.into_iter().find_map(|path| {
        let run = RunDir::new(&path);
        let launches = read_to_string(run.launches()).ok()?;
        let launch: Launch = serde_json::from_str(launches.lines().last()?).ok()?;
        if !is_alike(&launch) {
            return None;
        }
        let has_same_evaluations = launch.config.eval == config.recorded().eval;
        measured(&run, has_same_evaluations, &launch.time)
    })
}

/// Returns whether a step does the same work with both configurations.
fn has_same_steps(one: &RunConfig, other: &RunConfig) -> bool {
    let sizes = |config: &RunConfig| {
        let train = &config.train;
        (train.batch, train.seq, train.accumulation)
    };
    one.model == other.model
        && one.optimizer == other.optimizer
        && one.device == other.device
        && sizes(one) == sizes(other)
        && (one.data.is_task() == other.data.is_task())
        && (!one.data.is_task() || one.data == other.data)
}

/// Returns the directories of launched runs in the parent folder of `run`, without `run` itself,
/// newest first.
fn beside(run: &Path) -> Vec<PathBuf> {
    let parent = run.parent().filter(|path| !path.as_os_str().is_empty());
    let entries = read_dir(parent.unwrap_or(Path::new(".")));
    let mut found: Vec<(SystemTime, PathBuf)> = entries
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let about = RunDir::new(&path).launches().metadata().ok()?;
            Some((about.modified().ok()?, path)).filter(|(_, path)| path != run)
        })
        .collect();
    found.sort_unstable_by(|one, other| other.cmp(one));
    found.truncate(LOOKED_AT);
    found.into_iter().map(|(_, path)| path).collect()
}

/// Reads the speed of a run from its records.
fn measured(run: &RunDir, has_same_evaluations: bool, time: &str) -> Option<Speed> {
    let metrics = run.metrics();
    if metrics.metadata().ok()?.len() > LARGEST {
        return None;
    }
    let history = History::read(&metrics).ok()?;
    let records = history.records();
    if records
        .iter()
        .any(|record| record.get(WORLD_SIZE).is_some())
    {
        return None;
    }
    let mut recent = TimeLeft::new(0);
    let timed = records
        .iter()
        .filter(|record| record.get(STEP_SECONDS).is_some());
    let mut last = None;
    let mut count = 0;
    for record in timed {
        // If the run was resumed from an earlier step, the step number decreases. `observe` then
        // adds no steps and no time for this record.
        recent.observe(record);
        (last, count) = (Some(record.step), count + 1);
    }
    // At least two records are needed, because the first record includes the time for compiling
    // kernels and filling caches.
    let step_seconds = recent.until(last.filter(|_| count > 1)? + 1)?;
    Some(Speed {
        step_seconds,
        evaluation_seconds: has_same_evaluations
            .then(|| evaluation_seconds(records))
            .flatten(),
        run: run.path().to_owned(),
        day: time.chars().take(10).collect(),
    })
}

/// Returns the mean seconds of an evaluation. Uses only evaluations whose record directly follows
/// the record of a training step. The difference between the times of these two records is the
/// time of the evaluation.
fn evaluation_seconds(records: &[Record]) -> Option<f64> {
    let pairs = records.windows(2).filter_map(|pair| {
        let [train, eval] = pair else {
            return None;
        };
        let follows =
            train.kind == Kind::Train && eval.kind == Kind::Eval && train.step == eval.step;
        let seconds = eval.time? - train.time?;
        (follows && seconds >= 0.0).then_some(seconds)
    });
    let seconds: Vec<f64> = pairs.collect();
    (!seconds.is_empty()).then(|| seconds.iter().sum::<f64>() / seconds.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{DeviceKind, choose_kind};

    fn config(rest: &str) -> ResolvedConfig {
        let text = format!("[train]\nsteps = 10\nseq = 8\n{rest}");
        let written = RunConfig::read("a.toml", &text, &[]).expect("valid");
        written.resolve_for(16, 8)
    }

    /// Writes a run in which a step took 0.5 s from step 2 on, and an evaluation took 2 s.
    fn write_run(path: &Path, config: &ResolvedConfig, host: &str, device: &str) {
        std::fs::create_dir_all(path).expect("a folder");
        let run = RunDir::new(path);
        let launch = serde_json::json!({
            "time": "2026-11-27T10:00:00Z",
            "host": host,
            "device": device,
            "first_step": 1,
            "config": config.recorded(),
        });
        std::fs::write(run.launches(), format!("{launch}\n")).expect("written");
        let train = |step: u64, seconds: f64, time: f64| {
            format!(
                "{{\"step\":{step},\"tokens\":{step},\"kind\":\"train\",\"time\":{time},\"metrics\":{{\"loss\":1.0,\"step_seconds\":{seconds}}}}}\n"
            )
        };
        let eval = "{\"step\":4,\"tokens\":4,\"kind\":\"eval\",\"time\":32.5,\"metrics\":{}}\n";
        let text = [train(1, 30.0, 29.0), train(4, 0.5, 30.5), eval.to_owned()].concat();
        std::fs::write(run.metrics(), text).expect("written");
    }

    #[test]
    fn a_run_of_the_same_shape_beside_it_tells_the_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let (listed, _) = choose_kind(DeviceKind::Flex).expect("flex is always there");
        let host = sysinfo::System::host_name().expect("a name");
        let new = RunDir::new(&folder.path().join("new"));
        let mine = config("");
        assert_eq!(find(&new, &mine, &listed), None);
        let old = folder.path().join("old");
        for (host, device, other) in [
            ("another", &*listed.label(), ""),
            (&*host, "a GPU", ""),
            (&*host, &*listed.label(), "[model]\nd_model = 32\n"),
        ] {
            write_run(&old, &config(other), host, device);
            assert_eq!(find(&new, &mine, &listed), None, "{host} {device} {other}");
        }
        write_run(
            &old,
            &config("[schedule]\npeak = 5e-4\n"),
            &host,
            &listed.label(),
        );
        let speed = find(&new, &mine, &listed).expect("the same steps");
        assert_eq!(
            (speed.step_seconds, speed.evaluation_seconds),
            (0.5, Some(2.0))
        );
        let work = Work {
            steps: 100,
            tokens: 1,
            flops: 1.0,
            evaluations: 3,
            evaluation_flops: 1.0,
        };
        let line = speed.line(&work);
        assert!(
            line.starts_with("time    about 50.0s at the speed of ")
                && line.ends_with("old on 2026-11-27, and 6.0s for 3 evaluations"),
            "{line}"
        );
        write_run(
            &old,
            &config("[eval]\ntokens = 64\n"),
            &host,
            &listed.label(),
        );
        let speed = find(&new, &mine, &listed).expect("the same steps");
        assert_eq!(speed.evaluation_seconds, None, "it evaluated otherwise");
    }
}
