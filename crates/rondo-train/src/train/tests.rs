//! Trains whole runs on ranks that are threads. Compares their records and checkpoints with those
//! of a run in one process.

use std::fs;
use std::path::{Path, PathBuf};

use rondo_metrics::jsonl;
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::distributed::testing::on_ranks;
use crate::weights::{MODEL_FILE, OPTIMIZER_FILE};

/// The settings of a model with a few thousand parameters and of steps with eight micro-batches of
/// two rows.
const BASE: &str = r"
[device]
kind = 'flex'
[model]
d_model = 16
n_heads = 2
d_ff = 32
layers = { prelude = 1, core = 1, coda = 1 }
recurrence = { mean = 3, backprop_depth = 2, max = 6 }
[schedule]
peak = 5e-3
[train]
steps = 6
batch = 2
accumulation = 8
log_every = 2
[eval]
every = 3
recurrence = [1, 4]
tokens = 80
[checkpoint]
every = 3
[metrics]
tensorboard = false
";

const TASK: &str = "data={kind='word-problem',curriculum={start=2,step=1,max=6,pass_accuracy=0.1}}";

/// A temporary folder for runs and their text.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a temporary folder"));
        let words = ["loop", "state", "depth", "core", "norm", "gate", "token"];
        let text: String = (0_usize..900)
            .flat_map(|i| [words[i * i % 7], if i % 5 == 0 { ".\n" } else { " " }])
            .collect();
        fs::write(place.0.path().join("text.txt"), text).expect("writable");
        place
    }

    /// Returns the settings for data from a text.
    fn text(&self) -> [String; 2] {
        let shown = |name: &str| self.0.path().join(name).display().to_string();
        let (text, cache) = (shown("text.txt"), shown("cache"));
        let data = format!(
            "data={{kind='text',paths=['{text}'],cache='{cache}',tokenizer={{kind='bytes'}},val_fraction=0.2}}"
        );
        [data, "train.seq=8".to_owned()]
    }

    /// Trains a run on `ranks` ranks. Returns the result of each rank.
    fn train(&self, ranks: usize, run: &str, settings: &[String]) -> Vec<Result<Outcome>> {
        self.train_staged(ranks, run, settings, None)
    }

    /// Does what [`Self::train`] does. `staging` decides when inputs are made.
    fn train_staged(
        &self,
        ranks: usize,
        run: &str,
        settings: &[String],
        staging: Option<Staging>,
    ) -> Vec<Result<Outcome>> {
        let config = RunConfig::read("base", BASE, settings).expect("valid");
        let run_dir = RunDir::new(&self.run(run));
        on_ranks(ranks, |world| {
            train_staged(&world, &config, &run_dir, &options(), Mode::Silent, staging)
        })
    }

    fn run(&self, run: &str) -> PathBuf {
        self.0.path().join(run)
    }

    /// Trains a run on `ranks` ranks to its end. Returns what the run has written.
    fn written(&self, ranks: usize, run: &str, settings: &[String]) -> Written {
        self.written_staged(ranks, run, settings, None)
    }

    /// Does what [`Self::written`] does. `staging` decides when inputs are made.
    fn written_staged(
        &self,
        ranks: usize,
        run: &str,
        settings: &[String],
        staging: Option<Staging>,
    ) -> Written {
        for outcome in self.train_staged(ranks, run, settings, staging) {
            assert!(
                matches!(outcome, Ok(Outcome::Trained(_))),
                "{run} on {ranks}"
            );
        }
        Written::of(&self.run(run))
    }
}

fn options() -> TrainOptions {
    TrainOptions {
        resume: Resume::Auto,
        overwrite: false,
        force: true,
        build: Build::default(),
    }
}

fn settings(keys: &[&str], more: &[String]) -> Vec<String> {
    let keys = keys.iter().map(|key| (*key).to_owned());
    keys.chain(more.iter().cloned()).collect()
}

/// The parts of a run that are compared: hashes of weights and moments, and all records without the
/// values that depend on clocks and machines.
#[derive(Debug, PartialEq)]
struct Written {
    weights: String,
    moments: String,
    records: Vec<Value>,
}

impl Written {
    fn of(run: &Path) -> Self {
        let latest = RunDir::new(run).checkpoint(crate::run_dir::CheckpointChoice::Latest);
        let latest = latest.expect("a checkpoint");
        let hash = |name: &str| {
            let bytes = latest.read(name).expect("readable");
            blake3::hash(&bytes).to_hex().to_string()
        };
        let records = jsonl::read(&run.join("metrics.jsonl")).expect("records");
        let records = records.iter().filter_map(|record| {
            let mut row = serde_json::to_value(record).expect("a record is JSON");
            // Events about resumes and committed checkpoints are left out, because they do not
            // belong to the numbers of a run.
            if ["resume", "checkpoint"]
                .iter()
                .any(|name| row["metrics"]["event"] == *name)
            {
                return None;
            }
            row.as_object_mut().expect("an object").remove("time");
            if let Some(metrics) = row["metrics"].as_object_mut() {
                for name in [
                    "tokens_per_second",
                    "step_seconds",
                    "memory_bytes",
                    "world_size",
                    "reduce_seconds",
                    "wait_seconds",
                ] {
                    metrics.remove(name);
                }
            }
            Some(row)
        });
        Self {
            weights: hash(MODEL_FILE),
            moments: hash(OPTIMIZER_FILE),
            records: records.collect(),
        }
    }
}

#[test]
fn ranks_write_what_one_process_writes_with_every_optimizer_on_text_and_tasks() {
    let place = Place::new();
    for optimizer in ["adamw", "raven-adam", "muon"] {
        for (data, more) in [
            ("text", place.text().to_vec()),
            ("task", vec![TASK.to_owned()]),
        ] {
            let kind = format!("optimizer.kind='{optimizer}'");
            let name = |ranks: usize, how: &str| format!("{optimizer}-{data}-{ranks}-{how}");
            let settings = settings(&[&kind], &more);
            let alone = place.written(1, &name(1, "all"), &settings);
            assert!(alone.records.len() >= 6, "{:?}", alone.records);
            for ranks in [2, 4] {
                let all = place.written(ranks, &name(ranks, "all"), &settings);
                assert_eq!(all, alone, "{optimizer} on {data}, {ranks} ranks");
                let sharded = [
                    &settings[..],
                    &["distributed.shard_optimizer=true".to_owned()],
                ];
                let zero = place.written(ranks, &name(ranks, "zero"), &sharded.concat());
                assert_eq!(zero, alone, "{optimizer} on {data}, {ranks} ranks, ZeRO-1");
            }
        }
    }
}

#[test]
fn penalties_and_losses_after_several_iterations_are_the_same_on_every_rank_and_after_a_resume() {
    let place = Place::new();
    let several = "train.loss={kind='mean',weights='rising'}";
    for (kind, keys) in [
        (
            "jacobian",
            [several, "train.penalty={kind='jacobian',warmup=1}"],
        ),
        (
            "fixed-point",
            [several, "train.penalty={kind='fixed-point',warmup=1}"],
        ),
        (
            "norm",
            [
                "model.block='pre-norm'",
                "train.penalty={kind='norm',warmup=1}",
            ],
        ),
    ] {
        let settings = |steps: &str| {
            let constant = "schedule.shape={kind='constant'}";
            let keys = [&keys[..], &[constant, steps, "train.log_every=1"]].concat();
            self::settings(&keys, &place.text())
        };
        let whole = settings("train.steps=6");
        let alone = place.written(1, kind, &whole);
        let penalties: Vec<Option<f64>> = (alone.records.iter())
            .filter(|row| row["kind"] == "train")
            .map(|row| row["metrics"]["penalty"].as_f64())
            .collect();
        assert_eq!(penalties.len(), 6, "{kind}");
        let begun = penalties
            .iter()
            .map(|penalty| penalty.is_some_and(|p| p > 0.0));
        assert_eq!(
            begun.collect::<Vec<_>>(),
            [false, true, true, true, true, true],
            "{kind}"
        );
        for ranks in [2, 4] {
            let all = place.written(ranks, &format!("{kind}-{ranks}"), &whole);
            assert_eq!(all, alone, "{kind}, {ranks} ranks");
        }
        let resumed = format!("{kind}-resumed");
        place.written(2, &resumed, &settings("train.steps=3"));
        let resumed = place.written(4, &resumed, &whole);
        assert_eq!(
            (resumed.weights, resumed.moments),
            (alone.weights, alone.moments),
            "{kind}"
        );
    }
}

#[test]
fn attention_within_documents_is_the_same_on_every_rank_and_after_a_resume() {
    let place = Place::new();
    let shown = |name: &str| place.0.path().join(name).display().to_string();
    let line = |i: usize| format!("{{\"text\": \"{} {i}\"}}\n", ["a", "bc", "d e"][i % 3]);
    let lines: String = (0..300).map(line).collect();
    fs::write(shown("documents.jsonl"), lines).expect("writable");
    let data = |mask: &str| {
        format!(
            "data={{kind='text',paths=['{}'],cache='{}',tokenizer={{kind='bytes'}},val_fraction=0.2{mask}}}",
            shown("documents.jsonl"),
            shown("cache")
        )
    };
    let settings = |steps: &str, mask: &str| {
        let constant = "schedule.shape={kind='constant'}";
        settings(&[constant, "train.seq=16", steps], &[data(mask)])
    };
    let masked = settings("train.steps=6", ",document_mask=true");
    let alone = place.written(1, "one", &masked);
    assert!(alone.records.len() >= 6, "{:?}", alone.records);
    assert_eq!(place.written(4, "four", &masked), alone);
    let half = settings("train.steps=3", ",document_mask=true");
    place.written(2, "parts", &half);
    let parts = place.written(2, "parts", &masked);
    assert_eq!(
        (&parts.weights, &parts.moments),
        (&alone.weights, &alone.moments)
    );
    let open = place.written(1, "open", &settings("train.steps=6", ""));
    assert_ne!(open.weights, alone.weights);
}

#[test]
fn gates_their_controller_skips_and_perturbations_are_the_same_on_every_rank() {
    let place = Place::new();
    let keys = [
        "model.sparsity={gate_bias=0.5,learned_bias=true}",
        "controller={target={kind='absolute',cross_entropy=5.0}}",
        "train.nonfinite={kind='skip'}",
        "train.skip_spikes={deviations=0.2,window=2,in_a_row=2}",
        "train.steps=9",
        "perturb=[{kind='weight-noise',at_step=4,std=0.5},{kind='optimizer-reset',at_step=6},{kind='lr-spike',at_step=7,factor=3.0}]",
    ];
    let settings = settings(&keys, &place.text());
    let alone = place.written(1, "one", &settings);
    let skipped = alone
        .records
        .iter()
        .filter(|row| row["metrics"]["event"] == "loss-spike");
    assert!(skipped.count() > 0, "{:?}", alone.records);
    for ranks in [2, 4] {
        let run = format!("many-{ranks}");
        assert_eq!(
            place.written(ranks, &run, &settings),
            alone,
            "{ranks} ranks"
        );
    }
}

#[test]
fn inputs_that_are_made_a_step_ahead_change_no_bit_of_a_run_alone_on_ranks_or_resumed() {
    let place = Place::new();
    let constant = "schedule.shape={kind='constant'}";
    let depths = "model.recurrence.curriculum={mean={from=1,over=6}}";
    let gates = "model.sparsity={gate_bias=0.5,learned_bias=true}";
    let perturbed =
        "perturb=[{kind='weight-noise',at_step=3,std=0.5},{kind='lr-spike',at_step=4,factor=3.0}]";
    // The difficulty rises after logged steps. At this time, the inputs of the next step have
    // already been requested.
    let task = TASK.replace("pass_accuracy=0.1", "pass_accuracy=0.1,pass_recurrence=1");
    for (name, keys, data) in [
        ("depths", &[constant, depths][..], place.text().to_vec()),
        (
            "gates",
            &[constant, gates, perturbed],
            place.text().to_vec(),
        ),
        ("task", &[constant, "train.log_every=1"], vec![task]),
    ] {
        let of = |steps: &str| settings(&[keys, &[steps]].concat(), &data);
        let whole = of("train.steps=6");
        let (in_step, ahead) = (Some(Staging::InStep), Some(Staging::Ahead));
        let expected = place.written_staged(1, &format!("{name}-plain"), &whole, in_step);
        assert!(expected.records.len() >= 6, "{:?}", expected.records);
        if name == "task" {
            let mut records = expected.records.iter();
            let rises = records.any(|row| row["metrics"]["event"] == "curriculum");
            assert!(rises, "{:?}", expected.records);
        }
        for ranks in [1, 2] {
            let run = format!("{name}-ahead-{ranks}");
            let staged = place.written_staged(ranks, &run, &whole, ahead);
            assert_eq!(staged, expected, "{name} on {ranks} ranks");
        }
        let parts = format!("{name}-parts");
        place.written_staged(1, &parts, &of("train.steps=3"), ahead);
        let resumed = place.written_staged(2, &parts, &whole, ahead);
        assert_eq!(
            (&resumed.weights, &resumed.moments),
            (&expected.weights, &expected.moments),
            "{name} resumed"
        );
    }
}

#[cfg(feature = "wgpu")]
#[test]
fn a_gpu_computes_the_same_bits_from_inputs_that_are_made_ahead() {
    use crate::device::{DeviceKind, choose_kind};
    if choose_kind(DeviceKind::Wgpu).is_err() {
        return;
    }
    let place = Place::new();
    let keys = ["device.kind='wgpu'", "train.accumulation=2"];
    let settings = settings(&keys, &place.text());
    let in_step = place.written_staged(1, "plain", &settings, Some(Staging::InStep));
    let ahead = place.written_staged(1, "ahead", &settings, Some(Staging::Ahead));
    assert_eq!(ahead, in_step);
    // When the device chooses the staging, the result is the same.
    assert_eq!(place.written(1, "own", &settings), in_step);
}

#[test]
fn texts_after_prompts_are_the_same_on_any_number_of_ranks() {
    let place = Place::new();
    let keys = [
        // There are five prompts at two depths. With four ranks, the last round has two texts.
        "eval.prompts=['loop','state depth','core','norm gate','token']",
        "eval.prompt_tokens=5",
        "eval.prompt_recurrence=[1,3]",
    ];
    let settings = settings(&keys, &place.text());
    let alone = place.written(1, "one", &settings);
    let is_sample = |row: &&Value| row["metrics"]["event"] == "sample";
    assert_eq!(alone.records.iter().filter(is_sample).count(), 3 * 5);
    for ranks in [2, 4] {
        let many = place.written(ranks, &format!("many-{ranks}"), &settings);
        assert_eq!(many, alone, "{ranks} ranks");
    }
}

#[test]
fn a_run_goes_on_with_any_number_of_ranks() {
    let place = Place::new();
    let more = [
        &place.text()[..],
        &["schedule.shape={kind='constant'}".to_owned()],
    ]
    .concat();
    let whole = place.written(1, "whole", &settings(&["train.steps=9"], &more));
    for (run, sharded) in [("parts", false), ("zero", true)] {
        for (ranks, steps) in [(2, 3), (4, 6), (1, 9)] {
            let steps = format!("train.steps={steps}");
            let sharded = format!("distributed.shard_optimizer={sharded}");
            place.written(ranks, run, &settings(&[&steps, &sharded], &more));
        }
        let parts = Written::of(&place.run(run));
        assert_eq!(
            (&parts.weights, &parts.moments),
            (&whole.weights, &whole.moments)
        );
        let of_kind = |written: &Written, kind: &str| -> Vec<Value> {
            let rows = written.records.iter().filter(|row| row["kind"] == kind);
            rows.cloned().collect()
        };
        assert_eq!(of_kind(&parts, "eval"), of_kind(&whole, "eval"));
    }
}

#[test]
fn the_engines_own_sum_and_bf16_train_to_nearly_the_same_losses() {
    let place = Place::new();
    let loss = |run: &str, keys: &[&str]| {
        let written = place.written(4, run, &settings(keys, &place.text()));
        let row = written.records.iter().rfind(|row| row["kind"] == "train");
        row.expect("a row")["metrics"]["loss"]
            .as_f64()
            .expect("a loss")
    };
    let ordered = loss("ordered", &[]);
    let fast = loss("fast", &["distributed.reduce='fast'"]);
    assert!((fast - ordered).abs() < 1e-4, "{fast} and {ordered}");
    let keys = [
        "distributed.reduce='fast'",
        "distributed.gradient_dtype='bf16'",
    ];
    let bf16 = loss("bf16", &keys);
    assert!((bf16 - ordered).abs() < 1e-2, "{bf16} and {ordered}");
    let sharded = [&keys[..], &["distributed.shard_optimizer=true"]].concat();
    // Sharding changes neither the sum nor the update of a tensor.
    assert_eq!(loss("sharded", &sharded).to_bits(), bf16.to_bits());
}

/// Asserts that every rank returns the same error, with this exit code. Returns the message.
#[track_caller]
fn refused(outcomes: Vec<Result<Outcome>>, code: u8) -> String {
    let told: Vec<String> = outcomes
        .into_iter()
        .map(|outcome| match outcome {
            Ok(_) => panic!("it trains"),
            Err(error) => {
                assert_eq!(error.exit_code(), code, "{error}");
                assert!(error.is_of_all_ranks(), "{error:?}");
                error.to_string()
            }
        })
        .collect();
    assert!(told.iter().all(|one| *one == told[0]), "{told:?}");
    told[0].clone()
}

#[test]
fn what_cannot_start_is_refused_on_all_ranks_with_one_sentence() {
    let place = Place::new();
    let six = settings(&["train.accumulation=6"], &place.text());
    let told = refused(place.train(4, "six", &six), 2);
    assert_eq!(
        told,
        "train.accumulation = 6 cannot be shared by 4 ranks: start 1, 2, 3 or 6, or set train.accumulation to a \
         multiple of 4"
    );
    let nowhere = "data={kind='text',paths=['nowhere.txt'],tokenizer={kind='bytes'}}".to_owned();
    let none = settings(&["train.seq=8"], &[nowhere]);
    refused(place.train(2, "none", &none), 3);
    let run = place.run("taken");
    let _lock = RunDir::new(&run).lock().expect("free");
    let told = refused(place.train(2, "taken", &settings(&[], &place.text())), 4);
    assert!(told.contains("another process"), "{told}");
    assert!(!run.join("config.toml").exists());
}

#[test]
fn ranks_with_other_configurations_are_named() {
    let place = Place::new();
    let run_dir = RunDir::new(&place.run("two"));
    let outcomes = on_ranks(2, |world| {
        let seed = format!("run.seed={}", world.rank());
        let settings = settings(&[&seed], &place.text());
        let config = RunConfig::read("base", BASE, &settings).expect("valid");
        train_on(&world, &config, &run_dir, &options(), Mode::Silent)
    });
    let told = refused(outcomes, 2);
    assert!(
        told.starts_with("rank 1 on thread1 has another configuration"),
        "{told}"
    );
}

#[test]
fn ranks_with_other_tokens_are_named() {
    let place = Place::new();
    let run_dir = RunDir::new(&place.run("two"));
    let other = place.run("other.txt");
    fs::write(
        &other,
        "another text, as long as it needs to be\n".repeat(90),
    )
    .expect("writable");
    let outcomes = on_ranks(2, |world| {
        // This simulates two hosts that have different files of the same name.
        let mut config = RunConfig::read("base", BASE, &place.text()).expect("valid");
        if world.rank() == 1
            && let DataConfig::Text { paths, .. } = &mut config.data
        {
            *paths = vec![other.display().to_string()];
        }
        world.agree(Ok(()))?;
        let share = Share::of(8, world.rank(), 2)?;
        let beginning = match Found::by_first(&world, &run_dir, || Ok(Start::New))? {
            Found::Begins(beginning) => beginning,
            Found::Finished(_) => unreachable!("it is new"),
        };
        let ranks = Ranks { world, share };
        let run_dir = run_dir.clone();
        let mode = Mode::Silent;
        open(
            &config,
            run_dir,
            beginning,
            &options(),
            Vec::new(),
            mode,
            ranks,
        )?;
        Ok(Outcome::WasFinished(0))
    });
    let told = refused(outcomes, 3);
    assert!(
        told.starts_with("rank 1 on thread1 has other tokens"),
        "{told}"
    );
}

#[test]
fn a_rank_that_does_not_come_ends_the_others_with_its_name() {
    let place = Place::new();
    let keys = ["distributed.start_timeout=1"];
    let config = RunConfig::read("base", BASE, &settings(&keys, &place.text())).expect("valid");
    let run_dir = RunDir::new(&place.run("lost"));
    let errors = on_ranks(3, |world| {
        let is_lost = world.rank() == 2;
        let trained =
            (!is_lost).then(|| train_on(&world, &config, &run_dir, &options(), Mode::Silent));
        trained.map(|outcome| outcome.map(|_| ()).expect_err("rank 2 is missing"))
    });
    for error in errors.into_iter().flatten() {
        assert_eq!(error.exit_code(), 7, "{error}");
        assert!(!error.is_of_all_ranks());
        assert!(error.to_string().contains("1 s without"), "{error}");
        assert!(error.to_string().contains("rank 2 (thread2"), "{error}");
    }
}
