//! Times the matrix products of a layer by every routine that a GPU offers. These measurements are
//! the source of the device's table of routines.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use rondo_metrics::Table;
use rondo_metrics::format::{MISSING, or_missing, significant};
use rondo_model::config::{InjectionKind, ModelConfig};
use rondo_train::config::ResolvedConfig;
use rondo_train::device::{Listed, ProductRoutine, ProductShape, Turned};
use rondo_train::error::{Error, Result};
use serde_json::{Value, json};

use super::samples::Samples;
use crate::cli::{BenchArgs, Rounds};
use crate::terminal;

/// The minimum duration of a round, in seconds. A short product is repeated in a round, because
/// otherwise the wait for the device would dominate the time.
const ROUND: f64 = 0.02;

/// Times the products and prints their rates.
///
/// # Errors
///
/// Returns an error on a CPU, or if the device fails or standard output cannot be written.
pub(super) fn command(
    name: &str,
    config: &ResolvedConfig,
    listed: &Listed,
    args: &BenchArgs,
) -> Result<()> {
    let Some(adapter) = listed.adapter() else {
        return Err(Error::Usage(format!(
            "`--what products` times the routines of a GPU, and {} has only one routine; name another --device",
            listed.label()
        )));
    };
    let products = products(&config.model, config.train.batch * config.train.seq);
    let timed = products.into_iter().map(|(called, shape)| {
        let routines = listed.product_routines(shape).into_iter();
        let routines = routines.map(|routine| time(&routine, listed, args.rounds()));
        Ok(Timed {
            called,
            shape,
            routines: routines.collect::<Result<_>>()?,
        })
    });
    let timed: Vec<Timed> = timed.collect::<Result<_>>()?;
    if args.json.json {
        return terminal::print_json(&json!({
            "config": name,
            "device": listed.label(),
            "what": args.what.name(),
            "adapter": adapter,
            "products": timed.iter().map(Timed::json).collect::<Vec<_>>(),
        }));
    }
    terminal::print(&format!(
        "{name} on {}, which is {adapter} to the table of routines: GFLOP/s of products\n{}\n* the routine that is taken",
        listed.label(),
        table(&timed)
    ))
}

/// Returns the products of a layer, of a linear injection and of the head for `tokens` tokens. Each
/// has a forward product, and two backward products: for the input and for the weight.
fn products(model: &ModelConfig, tokens: usize) -> Vec<(String, ProductShape)> {
    let (h, f, vocab) = (model.d_model, model.d_ff, model.vocab_size);
    let heads = model.n_heads * model.d_head();
    let qkv = (model.n_heads + 2 * model.n_kv_heads) * model.d_head();
    let injection = (model.injection == InjectionKind::Linear).then_some(("injection", 2 * h, h));
    let head = (!model.tied_head).then_some(("head", h, vocab));
    let layer = [
        ("qkv", h, qkv),
        ("proj", heads, h),
        ("MLP in", h, 2 * f),
        ("MLP out", f, h),
    ];
    let weights = layer.into_iter().chain(injection).chain(head);
    let of = |(called, d_in, d_out): (&str, usize, usize)| {
        [
            named(called, "forward", [tokens, d_in, d_out], Turned::Neither),
            named(called, "dx", [tokens, d_out, d_in], Turned::Right),
            named(called, "dW", [d_in, tokens, d_out], Turned::Left),
        ]
    };
    // A tied head multiplies by the token embedding, which has one row per token of the vocabulary.
    let tied = [
        named("head", "forward", [tokens, h, vocab], Turned::Right),
        named("head", "dx", [tokens, vocab, h], Turned::Neither),
        named("head", "dW", [vocab, tokens, h], Turned::Left),
    ];
    let tied = model.tied_head.then_some(tied);
    let apart = weights.flat_map(of);
    apart.chain(tied.into_iter().flatten()).collect()
}

/// Returns a product and its name. The three sizes are the rows, the length of the sums, and the
/// columns.
fn named(
    called: &str,
    what: &str,
    [rows, inner, columns]: [usize; 3],
    turned: Turned,
) -> (String, ProductShape) {
    let shape = ProductShape {
        rows,
        inner,
        columns,
        turned,
    };
    (format!("{called} {what}"), shape)
}

/// A product, and its rate by every routine.
struct Timed {
    called: String,
    shape: ProductShape,
    routines: Vec<Rate>,
}

/// The measurement of a routine.
struct Rate {
    name: &'static str,
    is_chosen: bool,
    /// The seconds per product; `None` if the device cannot run the routine.
    seconds: Option<f64>,
}

/// Times a product that one routine computes.
///
/// # Errors
///
/// Returns an error if the device fails.
fn time(routine: &ProductRoutine, listed: &Listed, rounds: Rounds) -> Result<Rate> {
    // A driver panics if it refuses a kernel.
    let attempt = catch_unwind(AssertUnwindSafe(|| -> Result<Option<f64>> {
        if !(routine.run)() {
            return Ok(None);
        }
        once(routine, 1, listed)?;
        let repeats = (ROUND / once(routine, 1, listed)?)
            .ceil()
            .clamp(1.0, 1000.0);
        let mut seconds = Vec::new();
        for round in 0..rounds.warmup + rounds.counted {
            let each = once(routine, repeats as usize, listed)? / repeats;
            if round >= rounds.warmup {
                seconds.push(each);
            }
        }
        Ok(Some(Samples::new(seconds).median()))
    }));
    Ok(Rate {
        name: routine.name,
        is_chosen: routine.is_chosen,
        seconds: attempt.unwrap_or(Ok(None))?,
    })
}

/// Runs a product `repeats` times, and returns the seconds of all repeats together.
fn once(routine: &ProductRoutine, repeats: usize, listed: &Listed) -> Result<f64> {
    listed.sync()?;
    let started = Instant::now();
    for _ in 0..repeats {
        (routine.run)();
    }
    listed.sync()?;
    Ok(started.elapsed().as_secs_f64().max(f64::MIN_POSITIVE))
}

impl Timed {
    fn rate(&self, routine: &Rate) -> Option<f64> {
        routine.seconds.map(|seconds| self.shape.flops() / seconds)
    }

    fn json(&self) -> Value {
        let ProductShape {
            rows,
            inner,
            columns,
            turned,
        } = self.shape;
        let routines = self.routines.iter().map(|routine| {
            json!({
                "routine": routine.name,
                "chosen": routine.is_chosen,
                "seconds": routine.seconds,
                "flops_per_second": self.rate(routine),
            })
        });
        json!({
            "product": self.called,
            "rows": rows,
            "inner": inner,
            "columns": columns,
            "turned": match turned {
                Turned::Neither => None,
                Turned::Left => Some("left"),
                Turned::Right => Some("right"),
            },
            "routines": routines.collect::<Vec<_>>(),
        })
    }

    fn cells(&self) -> Vec<String> {
        let ProductShape {
            rows,
            inner,
            columns,
            ..
        } = self.shape;
        let rate = |routine: &Rate| {
            let shown = or_missing(self.rate(routine), |rate| significant(rate / 1e9, 3));
            let mark = if routine.is_chosen { "*" } else { "" };
            format!("{shown}{mark}")
        };
        let shape = format!("{rows}·{inner}·{columns}");
        let first = [self.called.clone(), shape];
        first
            .into_iter()
            .chain(self.routines.iter().map(rate))
            .collect()
    }
}

fn table(timed: &[Timed]) -> Table {
    let names = timed.first().map_or(&[][..], |timed| &timed.routines);
    let names = names.iter().map(|routine| routine.name);
    let header: Vec<&str> = ["product", "shape"].into_iter().chain(names).collect();
    let mut table = Table::new(&header).left(0);
    for one in timed {
        let mut cells = one.cells();
        cells.resize(header.len(), MISSING.to_owned());
        table.row(cells);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_has_three_products_with_the_same_work() {
        let model = ModelConfig {
            d_model: 8,
            n_heads: 2,
            n_kv_heads: 1,
            d_ff: 16,
            vocab_size: 11,
            ..ModelConfig::default()
        };
        let products = products(&model, 6);
        assert_eq!(products.len(), 18);
        let qkv: Vec<_> = products[..3]
            .iter()
            .map(|(called, shape)| (called.as_str(), shape.rows, shape.inner, shape.columns))
            .collect();
        // Two query heads, one key head and one value head, each of width 4.
        assert_eq!(
            qkv,
            [
                ("qkv forward", 6, 8, 16),
                ("qkv dx", 6, 16, 8),
                ("qkv dW", 8, 6, 16)
            ]
        );
        for same in products.chunks(3) {
            let flops = same[0].1.flops();
            assert!(
                same.iter()
                    .all(|(_, shape)| shape.flops().to_bits() == flops.to_bits())
            );
        }
        let shapes = |called: &str| {
            let of = |(name, _): &&(String, ProductShape)| name.starts_with(called);
            let of_shape = |(_, x): &(String, ProductShape)| [x.rows, x.inner, x.columns];
            products.iter().filter(of).map(of_shape).collect::<Vec<_>>()
        };
        assert_eq!(shapes("injection"), [[6, 16, 8], [6, 8, 16], [16, 6, 8]]);
        assert_eq!(shapes("head"), [[6, 8, 11], [6, 11, 8], [11, 6, 8]]);
    }
}
