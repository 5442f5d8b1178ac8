//! Measures the time per token in generation, after two lengths of context, with and without the
//! cache.

use std::time::Instant;

use burn::tensor::{Int, Tensor, TensorData, s};
use rondo_metrics::Table;
use rondo_metrics::format::significant;
use rondo_model::looped::decode::Decoder;
use rondo_model::looped::{LoopedTransformer, Readout};
use rondo_model::ops::Precision;
use rondo_model::pass::Pass;
use rondo_train::config::ResolvedConfig;
use rondo_train::device::Listed;
use rondo_train::error::{Error, Result};
use rondo_train::initial_states::InitialStates;
use rondo_train::step::{fresh_model, read};
use serde_json::json;

use super::memory;
use super::peak::matmul_peak;
use super::samples::Samples;
use crate::cli::{BenchArgs, Rounds};
use crate::terminal;

/// The seconds per token after one length of context.
struct Timed {
    length: usize,
    cached: Samples,
    whole: Samples,
}

/// Times generation with random weights, after a quarter of the context and after nearly all of it.
///
/// # Errors
///
/// Returns an error if the context is too short or the device fails.
pub(super) fn command(
    name: &str,
    config: &ResolvedConfig,
    listed: &Listed,
    args: &BenchArgs,
) -> Result<()> {
    if listed.precision != Precision::F32 {
        return Err(Error::Usage(
            "device.precision: generation computes in f32; tf32 and bf16 are for training"
                .to_owned(),
        ));
    }
    let rounds = args.rounds();
    let generated = rounds.warmup + rounds.counted;
    let context = config.model.context;
    let (short, long) = (context / 4, context.saturating_sub(generated));
    if short == 0 || long <= short {
        return Err(Error::Usage(format!(
            "model.context: generation is timed at two lengths, which needs more than {generated} \
             further tokens; found {context}"
        )));
    }
    let subject = Subject::new(config, listed);
    let mut timed = Vec::new();
    for length in [short, long] {
        timed.push(subject.time(length, rounds)?);
    }
    let rate = |samples: &Samples| 1.0 / samples.median();
    let longest = &timed[1].cached;
    let (matmul_peak, peak_memory) = (matmul_peak(listed)?, listed.peak_memory_bytes());
    let recurrence = subject.recurrence;
    if args.json.json {
        let by_length: Vec<_> = timed
            .iter()
            .map(|timed| {
                json!({
                    "length": timed.length,
                    "tokens_per_second": rate(&timed.cached),
                    "tokens_per_second_without_cache": rate(&timed.whole),
                })
            })
            .collect();
        return terminal::print_json(&json!({
            "config": name,
            "device": listed.label(),
            "what": args.what.name(),
            "recurrence": recurrence,
            "tokens_per_second": rate(longest),
            "spread": longest.spread(),
            "flops_per_second": null,
            "matmul_peak_flops_per_second": matmul_peak,
            "peak_memory_bytes": peak_memory,
            "by_length": by_length,
        }));
    }
    let mut table = Table::new(&["length", "tokens/s", "ms/token", "ms/token without cache"]);
    for timed in &timed {
        let milliseconds = |samples: &Samples| significant(1e3 * samples.median(), 4);
        table.row([
            timed.length.to_string(),
            significant(rate(&timed.cached), 4),
            milliseconds(&timed.cached),
            milliseconds(&timed.whole),
        ]);
    }
    terminal::print(&format!(
        "{name} on {}: one token after another at {recurrence} iterations each\n{table}\n\
         peak memory {}",
        listed.label(),
        memory(peak_memory)
    ))
}

/// A model with random weights that are drawn from the seed.
struct Subject<'a> {
    config: &'a ResolvedConfig,
    model: LoopedTransformer,
    listed: &'a Listed,
    recurrence: usize,
}

impl<'a> Subject<'a> {
    fn new(config: &'a ResolvedConfig, listed: &'a Listed) -> Self {
        Self {
            config,
            model: fresh_model(config, listed, &listed.device),
            listed,
            recurrence: config.model.recurrence.planned().total(),
        }
    }

    /// Times the generation of tokens after a context of `length` tokens.
    fn time(&self, length: usize, rounds: Rounds) -> Result<Timed> {
        let model = &self.config.model;
        let mut decoder = Decoder::new(&self.model, model, None, &self.listed.device);
        self.decode(&mut decoder, length)?;
        let (mut cached, mut whole) = (Vec::new(), Vec::new());
        for _ in 0..rounds.warmup + rounds.counted {
            let started = Instant::now();
            self.decode(&mut decoder, 1)?;
            cached.push(started.elapsed().as_secs_f64());
            let started = Instant::now();
            self.whole(length)?;
            whole.push(started.elapsed().as_secs_f64());
        }
        Ok(Timed {
            length,
            cached: Samples::new(cached.split_off(rounds.warmup)),
            whole: Samples::new(whole.split_off(rounds.warmup)),
        })
    }

    /// Decodes `count` more tokens, and reads the logits of the last of them.
    fn decode(&self, decoder: &mut Decoder<'_>, count: usize) -> Result<()> {
        let first = decoder.positions();
        let mut chunk = decoder.begin(
            self.tokens(first, count),
            self.state(first, count)?,
            self.recurrence,
        );
        for _ in 0..self.recurrence {
            decoder.iterate(&mut chunk);
        }
        self.predict(&decoder.end(chunk))
    }

    /// Computes a whole sequence without the cache, and reads the logits of its last token.
    fn whole(&self, length: usize) -> Result<()> {
        let pass = Pass::new(&self.config.model, length, &self.listed.device);
        let (tokens, state) = (self.tokens(0, length), self.state(0, length)?);
        let forward = self
            .model
            .forward(tokens, state, &pass, self.recurrence, None);
        self.predict(&forward.readout)
    }

    /// Reads the logits of the last position.
    fn predict(&self, readout: &Readout) -> Result<()> {
        let [_, seq, _] = readout.hidden.dims();
        let newest = readout.hidden.clone().slice(s![.., seq - 1.., ..]);
        let vocab = self.config.model.vocab_size;
        read(self.model.logits(newest).reshape([vocab])).map(drop)
    }

    fn tokens(&self, first: usize, count: usize) -> Tensor<2, Int> {
        let vocab = self.config.model.vocab_size;
        let ids: Vec<i32> = (first..first + count).map(|i| (i % vocab) as i32).collect();
        Tensor::from_data(TensorData::new(ids, [1, count]), &self.listed.device)
    }

    fn state(&self, first: usize, count: usize) -> Result<Tensor<3>> {
        let states = InitialStates::Seed(self.config.seed);
        states.at(
            &self.config.model,
            0,
            first,
            [1, count],
            &self.listed.device,
        )
    }
}
