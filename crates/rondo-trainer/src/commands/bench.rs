//! `trainer bench`: the speed of a training step, a forward pass or an evaluation.

use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Distribution, Tensor};
use rondo_metrics::Table;
use rondo_metrics::format::{bytes, or_missing, significant};
use rondo_model::attention::Rope;
use rondo_model::census::Census;
use rondo_model::depth::{Draw, Unroll};
use serde_json::json;

use crate::batches::DeviceBatch;
use crate::cli::{BenchArgs, BenchWhat};
use crate::commands::dry_run::counting_batch;
use crate::config::RunConfig;
use crate::device::{self, Listed};
use crate::error::{Error, Result};
use crate::evaluate::Evaluation;
use crate::plan::StepPlan;
use crate::states::InitialStates;
use crate::step::Learner;
use crate::terminal;

/// The shape that is measured where no configuration is given.
const DEFAULT: &str = include_str!("../../../../configs/bench.toml");
/// Tokens of the vocabulary where the configuration leaves it to the data.
const VOCABULARY: usize = 4096;
/// Side of the square product that gives the matrix peak.
const PEAK_SIDE: usize = 1024;

/// Times the configuration.
///
/// # Errors
///
/// Where the configuration is not valid, or the device is not there or fails.
pub(crate) fn command(args: &BenchArgs) -> Result<()> {
    let overrides = args.config.all_overrides();
    let (name, mut config) = match &args.config.config {
        Some(path) => (
            path.display().to_string(),
            RunConfig::load(path, &overrides)?,
        ),
        None => {
            let name = "configs/bench.toml";
            (name.to_owned(), RunConfig::read(name, DEFAULT, &overrides)?)
        }
    };
    config.model.vocab_size.get_or_insert(VOCABULARY);
    let Some(seq) = config.train.seq else {
        return Err(Error::Usage(
            "train.seq: a benchmark needs the tokens in a sequence".to_owned(),
        ));
    };
    let (listed, _) = device::choose(config.device)?;
    let unroll = match args.what {
        BenchWhat::Step => config.model.recurrence.planned(),
        BenchWhat::Forward => Unroll {
            no_grad: config.model.recurrence.planned().total(),
            with_grad: 0,
        },
        BenchWhat::Eval => {
            let deepest = config.eval.recurrence.iter().copied().max().unwrap_or(1);
            Unroll {
                no_grad: deepest,
                with_grad: 0,
            }
        }
    };
    let mut subject = Subject::new(&config, seq, unroll, args.what, &listed);
    let mut seconds = Vec::new();
    for round in 0..args.warmup + usize::from(args.steps) {
        let started = Instant::now();
        subject.run(round as u64 + 1)?;
        listed
            .device
            .sync()
            .map_err(|error| Error::Device(format!("the device failed: {error:?}")))?;
        if round >= args.warmup {
            seconds.push(started.elapsed().as_secs_f64());
        }
    }
    let peak_memory = listed.peak_memory_bytes();
    drop(subject);
    seconds.sort_by(f64::total_cmp);
    let tokens = (config.train.batch * seq) as f64
        * match args.what {
            BenchWhat::Step => config.train.accumulation as f64,
            BenchWhat::Forward | BenchWhat::Eval => 1.0,
        };
    let rate = |seconds: f64| tokens / seconds;
    let median = rate(seconds[seconds.len() / 2]);
    let spread = (rate(seconds[0]) - rate(seconds[seconds.len() - 1])) / median;
    let flops_per_token = match args.what {
        BenchWhat::Step => Some(Census::new(&config.model).flops_per_token(unroll, seq)),
        BenchWhat::Forward | BenchWhat::Eval => None,
    };
    let flops = flops_per_token.map(|flops| flops * median);
    let matmul_peak = matmul_peak(&listed)?;
    if args.json.json {
        return terminal::print_json(&json!({
            "config": name,
            "device": listed.label(),
            "what": args.what.name(),
            "tokens_per_second": median,
            "spread": spread,
            "flops_per_second": flops,
            "matmul_peak_flops_per_second": matmul_peak,
            "peak_memory_bytes": peak_memory,
        }));
    }
    let giga = |x: f64| format!("{} GFLOP/s", significant(x / 1e9, 4));
    let mut table = Table::new(&["bench", &name]).left(0);
    table.row(["device".to_owned(), listed.label()]);
    table.row(["what".to_owned(), args.what.name().to_owned()]);
    table.row([
        "iterations (n, k)".to_owned(),
        format!("{}, {}", unroll.no_grad, unroll.with_grad),
    ]);
    table.row(["tokens/s (median)".to_owned(), significant(median, 4)]);
    table.row([
        "spread (max − min) / median".to_owned(),
        format!("{:.1} %", 100.0 * spread),
    ]);
    table.row(["arithmetic".to_owned(), or_missing(flops, giga)]);
    table.row(["matrix product peak".to_owned(), giga(matmul_peak)]);
    let share = flops.map(|flops| 100.0 * flops / matmul_peak);
    table.row([
        "share of that peak".to_owned(),
        or_missing(share, |share| format!("{share:.0} %")),
    ]);
    table.row([
        "peak memory".to_owned(),
        peak_memory.map_or_else(|| "n/a".to_owned(), bytes),
    ]);
    terminal::print(&table.to_string())
}

/// What is timed.
struct Subject<'a> {
    config: &'a RunConfig,
    learner: Learner,
    listed: &'a Listed,
    what: BenchWhat,
    unroll: Unroll,
    seq: usize,
}

impl<'a> Subject<'a> {
    fn new(
        config: &'a RunConfig,
        seq: usize,
        unroll: Unroll,
        what: BenchWhat,
        listed: &'a Listed,
    ) -> Self {
        let learner = Learner::fresh(config, listed);
        Self {
            config,
            learner,
            listed,
            what,
            unroll,
            seq,
        }
    }

    fn run(&mut self, step: u64) -> Result<()> {
        let config = self.config;
        let batch = counting_batch(config.train.batch, self.seq, config.model.vocab());
        match self.what {
            BenchWhat::Step => {
                let draw = Draw {
                    unroll: self.unroll,
                    clamped_from: None,
                };
                let plan = StepPlan {
                    draw,
                    logged: false,
                    ..StepPlan::new(config, step, u64::MAX)
                };
                self.learner
                    .step(&plan, &vec![batch; config.train.accumulation])
                    .map(|_| ())
            }
            BenchWhat::Forward => {
                let device = &self.listed.device;
                let shape = [batch.batch, batch.seq];
                let states = InitialStates::Seed(config.run.seed);
                let state = states.at(&config.model, 0, 0, shape, device)?;
                let rope = Rope::new(&config.model, self.seq, device);
                let tokens = DeviceBatch::new(&batch, device).inputs;
                self.learner
                    .model
                    .valid()
                    .forward(tokens, state, &rope, self.unroll, None);
                Ok(())
            }
            BenchWhat::Eval => {
                let evaluation = Evaluation {
                    config: &config.model,
                    states: &InitialStates::Seed(config.run.seed),
                    depths: &config.eval.recurrence,
                    exits: &[],
                    max_iterations: 0,
                    batches: &[batch],
                    bytes_per_token: None,
                    task: false,
                    device: &self.listed.device,
                };
                evaluation.run(&self.learner.model, |_| {}).map(|_| ())
            }
        }
    }
}

/// Returns the best rate of a square f32 product, FLOP/s.
fn matmul_peak(listed: &Listed) -> Result<f64> {
    let device = &listed.device;
    let matrix = || Tensor::<2>::random([PEAK_SIDE; 2], Distribution::Default, device);
    let (a, b) = (matrix(), matrix());
    let sync = || {
        device
            .sync()
            .map_err(|error| Error::Device(format!("the device failed: {error:?}")))
    };
    let mut best = f64::INFINITY;
    for _ in 0..6 {
        sync()?;
        let started = Instant::now();
        for _ in 0..4 {
            let _ = a.clone().matmul(b.clone());
        }
        sync()?;
        best = best.min(started.elapsed().as_secs_f64() / 4.0);
    }
    Ok(2.0 * (PEAK_SIDE as f64).powi(3) / best)
}
