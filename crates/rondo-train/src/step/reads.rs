//! Counts how often training reads from a GPU. For each read, wgpu-core logs the call that maps a
//! buffer.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use rondo_metrics::Mode;

use super::Learner;
use crate::assemble::open_source;
use crate::config::RunConfig;
use crate::device::{DeviceKind, Listed, choose_kind};
use crate::plan::StepPlan;
use crate::rows::Rows;
use crate::run_dir::RunDir;
use crate::train::{Build, Resume, TrainOptions, train};

/// The environment variable that is set in the process that counts.
const ALONE: &str = "RONDO_TEST_COUNTS_READS";

const RUN: &str = r#"
data = { kind = "word-problem", curriculum = { start = 8, step = 1, max = 8 } }
device = { kind = "wgpu" }
[model]
d_model = 16
n_heads = 2
d_ff = 24
recurrence = { mean = 4, backprop_depth = 2 }
[train]
steps = 9
batch = 2
log_every = 4
[eval]
every = 1000
recurrence = [1, 2]
tokens = 32
[metrics]
tensorboard = false
"#;

/// The number of reads from all devices of this process.
static READS: AtomicUsize = AtomicUsize::new(0);

/// A logger that counts the records of reads.
struct Counter;

impl log::Log for Counter {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("wgpu_core")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata())
            && record.args().to_string().starts_with("Buffer::map_async")
        {
            READS.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn flush(&self) {}
}

/// Does `work` and waits for the device. Returns the result and the number of reads in between.
fn reads_of<T>(listed: &Listed, work: impl FnOnce() -> T) -> (T, usize) {
    listed.sync().expect("the device does not fail");
    let before = READS.load(Ordering::SeqCst);
    let given = work();
    listed.sync().expect("the device does not fail");
    (given, READS.load(Ordering::SeqCst) - before)
}

fn config(overrides: &[&str]) -> RunConfig {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    RunConfig::read("reads", RUN, &overrides).expect("a valid configuration")
}

#[expect(
    clippy::disallowed_methods,
    reason = "the harness would swallow what a passing test prints"
)]
fn say_skipped() {
    use std::io::Write as _;
    let _ = writeln!(
        std::io::stderr(),
        "skipped: this build or machine has no wgpu device"
    );
}

/// A process has only one logger, which would count the reads of all tests. This test therefore
/// starts itself again, alone in a new process.
#[test]
fn a_logged_step_reads_once_and_any_other_step_never() {
    let Ok((wgpu, _)) = choose_kind(DeviceKind::Wgpu) else {
        say_skipped();
        return;
    };
    if std::env::var_os(ALONE).is_none() {
        let (_, module) = module_path!().split_once("::").expect("a crate, a module");
        let name = format!("{module}::a_logged_step_reads_once_and_any_other_step_never");
        let program = std::env::current_exe().expect("a test knows its program");
        let ended = Command::new(program)
            .args(["--exact", &name, "--nocapture"])
            .env(ALONE, "1")
            .output()
            .expect("a test program starts");
        let told = String::from_utf8_lossy(&ended.stdout);
        assert!(ended.status.success(), "{told}{ended:?}");
        assert!(told.contains("1 passed"), "{told}");
        return;
    }
    log::set_logger(&Counter).expect("there is no other logger");
    log::set_max_level(log::LevelFilter::Trace);
    a_read_is_counted(&wgpu);
    for overrides in [
        &[][..],
        &["optimizer={kind=\"muon\"}"],
        &["optimizer={kind=\"adamw\"}", "train.accumulation=2"],
        &[
            "model.recurrence.recompute=\"iteration\"",
            "train.clip=false",
        ],
        &[
            "train.loss=\"mean\"",
            "train.penalty={kind=\"jacobian\"}",
            "train.accumulation=2",
        ],
        &[
            "model.sparsity={gate_bias=0.0}",
            "controller={target={kind=\"absolute\",cross_entropy=9.0}}",
        ],
    ] {
        steps_read(&wgpu, overrides);
    }
    a_session_reads_no_more(&wgpu);
}

fn a_read_is_counted(wgpu: &Listed) {
    let x = burn::tensor::Tensor::<1>::from_data([1.0, 2.0], &wgpu.device);
    let (sum, reads) = reads_of(wgpu, || super::read(x.sum()).expect("a read"));
    assert_eq!((sum, reads), (vec![3.0], 1));
}

/// Asserts that a learner reads once in each logged step, and never in any other step.
fn steps_read(wgpu: &Listed, overrides: &[&str]) {
    let written = config(overrides);
    let source = open_source(&written, Mode::Quiet).expect("a task has no files");
    let config = written.resolve(&source).expect("a valid configuration");
    let rows = Rows::new(&source, &config);
    let mut learner = Learner::fresh(&config, wgpu);
    learner.penalise(0.1);
    for step in 1..=config.train.steps {
        let plan = StepPlan::new(&config, step);
        let batches = rows.micro_batches(step, rows.first_difficulty().as_ref());
        let batches = batches.expect("a task has no files");
        let (taken, reads) = reads_of(wgpu, || learner.step(&plan, &batches));
        let taken = taken.expect("a finite loss");
        assert_eq!(taken.observation.is_some(), plan.logged);
        assert_eq!(
            reads,
            usize::from(plan.logged),
            "step {step}, {overrides:?}"
        );
    }
}

/// Asserts that the records and the screen of a run read nothing. Four more steps, one of them
/// logged, therefore add only one read.
fn a_session_reads_no_more(wgpu: &Listed) {
    let dir = tempfile::tempdir().expect("a folder");
    let run = |steps: usize| {
        let config = config(&[&format!("train.steps={steps}")]);
        let run_dir = RunDir::new(&dir.path().join(steps.to_string()));
        let options = TrainOptions {
            resume: Resume::Never,
            overwrite: false,
            force: false,
            build: Build::default(),
        };
        let trained = || train(&config, &run_dir, &options, Mode::Quiet).map(|_| ());
        let (ended, reads) = reads_of(wgpu, trained);
        ended.expect("a run");
        reads
    };
    assert_eq!(run(12), run(8) + 1);
}
