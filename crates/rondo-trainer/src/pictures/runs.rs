//! Draws the metrics of runs.

use std::collections::BTreeMap;

use clap::ValueEnum;
use rondo_figures::{
    DepthAccuracy, DepthCurve, DepthLog, DepthReach, IterationProfile, Layout, Logged, Picture,
    RunLog, SampledDepths, SparsityRun,
};
use rondo_metrics::names::{
    HIDDEN_STATE_CORR, ITERATIONS_REL_RESIDUAL, ITERATIONS_RESIDUAL, ITERATIONS_STATE_NORM,
    ITERATIONS_TOKEN_CORR, LOSS, RECURRENCE, REGULARISATION_STRENGTH, SPARSITY,
    TARGET_CROSS_ENTROPY, VAL_ACCURACY_BY_POSITION, VAL_CROSS_ENTROPY, VAL_PERPLEXITY,
};
use rondo_metrics::typed::{PerIteration, Train};
use rondo_metrics::{Event, Kind, Reading, Record};
use rondo_train::config::RunConfig;
use rondo_train::error::Result;
use rondo_train::run_history::RunHistory;

use crate::pictures::sweeps::schedules;

/// The number of steps that are drawn for a single run.
const PROFILES: usize = 5;
/// Instead of a record with few iterations, the record with the most iterations among this number
/// of earlier records is drawn.
const AROUND: usize = 20;
/// The number of draws that approximate the distribution of a depth sampler.
const DRAWS: u64 = 1 << 16;

/// The pictures that can be drawn from the metrics of runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FigureName {
    /// Loss, correlation of hidden states, perplexity per depth.
    TrainingDynamics,
    /// Training loss against steps and tokens.
    LossVsTokens,
    /// Validation perplexity per depth against steps and tokens.
    PplVsTokens,
    /// Accuracy by position of a task, a line per depth.
    DepthReach,
    /// How often each recurrence depth was drawn.
    DepthHistogram,
    /// Correlation, residual and norm by iteration.
    PerIteration,
    /// Perplexity against recurrence depth.
    DepthPerplexity,
    /// Edges kept, strength of their penalty, cross entropy.
    Sparsity,
    /// Learning rates, and final loss against their sum.
    LrSchedules,
}

/// Draws a picture of runs.
///
/// # Errors
///
/// Returns an error if the runs lack the data of the picture.
pub(crate) fn draw(name: FigureName, runs: &[RunHistory]) -> Result<Picture> {
    let logs = || runs.iter().map(log).collect::<Vec<RunLog>>();
    Ok(match name {
        FigureName::TrainingDynamics => rondo_figures::training_dynamics(&logs())?,
        FigureName::LossVsTokens => rondo_figures::loss_vs_tokens(&logs())?,
        FigureName::PplVsTokens => rondo_figures::ppl_vs_tokens(&logs())?,
        FigureName::DepthReach => {
            let reach: Vec<DepthReach> = runs.iter().map(reach).collect();
            rondo_figures::depth_reach(&reach)?
        }
        FigureName::DepthHistogram => {
            let sampled: Vec<SampledDepths> = runs.iter().map(sampled).collect();
            rondo_figures::depth_histogram(&sampled)?
        }
        FigureName::PerIteration => rondo_figures::per_iteration(&profiles(runs))?,
        FigureName::DepthPerplexity => rondo_figures::depth_perplexity(&curves(runs))?,
        FigureName::Sparsity => sparsity(runs, Layout::default())?,
        FigureName::LrSchedules => schedules(runs, None)?.0,
    })
}

/// Draws three curves for each run: the edges kept, the strength of the penalty and the cross
/// entropy. `layout` arranges the panels.
///
/// # Errors
///
/// Returns an error if a run has no gates or no controller.
pub(crate) fn sparsity(runs: &[RunHistory], layout: Layout) -> Result<Picture> {
    let gated: Vec<SparsityRun> = runs.iter().map(gated).collect();
    Ok(rondo_figures::sparsity(&gated, layout)?)
}

fn logged(readings: &[Reading]) -> Vec<Logged> {
    readings
        .iter()
        .map(|reading| Logged {
            step: reading.step,
            tokens: reading.tokens,
            value: reading.value,
        })
        .collect()
}

fn log(run: &RunHistory) -> RunLog {
    let train = |metric| logged(&run.history.series::<Train>(metric));
    let perplexities = run.history.per_depth(VAL_PERPLEXITY);
    RunLog {
        name: run.name.clone(),
        loss: train(LOSS),
        hidden_state_corr: train(HIDDEN_STATE_CORR),
        val_perplexity: perplexities
            .iter()
            .map(|(depth, readings)| DepthLog {
                depth: *depth,
                points: logged(readings),
            })
            .collect(),
    }
}

fn gated(run: &RunHistory) -> SparsityRun {
    let history = &run.history;
    let events = run.history.of(Kind::Event);
    let perturbed = events.filter(|record| record.which_event() == Some(Event::Perturb));
    SparsityRun {
        name: run.name.clone(),
        sparsity: logged(&history.series(SPARSITY)),
        strength: logged(&history.series(REGULARISATION_STRENGTH)),
        cross_entropy: logged(&history.series(VAL_CROSS_ENTROPY)),
        target: history.last(TARGET_CROSS_ENTROPY),
        events: perturbed
            .map(|record| {
                let kind = record.detail("kind").and_then(|value| value.as_text());
                (record.step, kind.unwrap_or("perturb").to_owned())
            })
            .collect(),
    }
}

fn reach(run: &RunHistory) -> DepthReach {
    let depths = run.history.last_series_per_depth(VAL_ACCURACY_BY_POSITION);
    let chance = run
        .config
        .as_ref()
        .and_then(|config| config.data.chance_accuracy());
    DepthReach {
        name: run.name.clone(),
        depths: depths
            .into_iter()
            .map(|(depth, series)| DepthAccuracy {
                depth,
                by_position: numbers(Some(series)),
            })
            .collect(),
        chance,
    }
}

/// Counts the recurrence depths of all steps. Without a configuration, counts only the logged
/// steps.
fn sampled(run: &RunHistory) -> SampledDepths {
    let last = run.history.last_step();
    let drawn = |config: &RunConfig, steps: std::ops::RangeInclusive<u64>| {
        let mut counts: BTreeMap<usize, u64> = BTreeMap::new();
        // For a task, no length of the run is given in tokens, so the row length is irrelevant.
        let extent = config.extent(config.text_seq().unwrap_or(1));
        for step in steps {
            let draw = config.model.recurrence.draw(config.run.seed, step, extent);
            *counts.entry(draw.unroll.total()).or_default() += 1;
        }
        counts
    };
    let counts = match &run.config {
        Some(config) => drawn(config, 1..=last),
        None => {
            let mut counts = BTreeMap::new();
            for reading in run.history.series(RECURRENCE) {
                *counts.entry(reading.value as usize).or_default() += 1;
            }
            counts
        }
    };
    // The distribution is sampled at steps after the end of the run.
    let law = run
        .config
        .as_ref()
        .map(|config| drawn(config, last + 1..=last + DRAWS))
        .unwrap_or_default();
    let share = |count: u64| count as f64 / DRAWS as f64;
    SampledDepths {
        name: run.name.clone(),
        counts: counts.into_iter().collect(),
        expected_mean: (!law.is_empty()).then(|| {
            law.iter()
                .map(|(depth, count)| *depth as f64 * share(*count))
                .sum()
        }),
        mass: law
            .into_iter()
            .map(|(depth, count)| (depth, share(count)))
            .collect(),
    }
}

/// Returns the values of each iteration in a late step of each run. For a single run, returns the
/// values of several steps.
pub(crate) fn profiles(runs: &[RunHistory]) -> Vec<IterationProfile> {
    let has_iterations = |record: &&Record| record.get(ITERATIONS_RESIDUAL).is_some();
    let of_step = |run: &RunHistory, record: &Record| IterationProfile {
        run: run.name.clone(),
        step: record.step,
        token_corr: series(record, ITERATIONS_TOKEN_CORR),
        residual: series(record, ITERATIONS_RESIDUAL),
        rel_residual: series(record, ITERATIONS_REL_RESIDUAL),
        state_norm: series(record, ITERATIONS_STATE_NORM),
    };
    let mut profiles = Vec::new();
    for run in runs {
        let records: Vec<&Record> = run.history.of(Kind::Train).filter(has_iterations).collect();
        let wanted = match runs.len() {
            1 => spread(&records),
            _ => Vec::from_iter(deepest(&records, records.len())),
        };
        profiles.extend(wanted.into_iter().map(|index| of_step(run, records[index])));
    }
    profiles
}

/// Returns the index of the record with the most iterations among the last [`AROUND`] records
/// before `end`.
fn deepest(records: &[&Record], end: usize) -> Option<usize> {
    let iterations = |index: usize| records[index].get(RECURRENCE).unwrap_or(0.0);
    (end.saturating_sub(AROUND)..end).max_by(|a, b| iterations(*a).total_cmp(&iterations(*b)))
}

/// Chooses records over the whole run, so that the ratios between their steps are about equal.
fn spread(records: &[&Record]) -> Vec<usize> {
    let steps: Vec<u64> = records.iter().map(|record| record.step).collect();
    let mut chosen: Vec<usize> = equal_ratios(&steps)
        .into_iter()
        .filter_map(|at| deepest(records, at + 1))
        .collect();
    chosen.dedup();
    chosen
}

fn series(record: &Record, metric: PerIteration<Train>) -> Vec<f64> {
    numbers(record.get(metric))
}

/// Returns the values of a series; missing values become NaN.
fn numbers(series: Option<&[Option<f64>]>) -> Vec<f64> {
    let values = series.unwrap_or_default().iter();
    values.map(|value| value.unwrap_or(f64::NAN)).collect()
}

/// Returns the perplexities of the last evaluation of each run. For a single run, returns those of
/// several evaluations.
pub(crate) fn curves(runs: &[RunHistory]) -> Vec<DepthCurve> {
    if let [run] = runs {
        let evaluations: Vec<&Record> = run.history.of(Kind::Eval).collect();
        let of = |index: usize| DepthCurve {
            name: format!("step {}", evaluations[index].step),
            points: evaluations[index]
                .per_depth(VAL_PERPLEXITY)
                .filter_map(|(depth, perplexity)| Some((depth, perplexity?)))
                .collect(),
        };
        // The first and the last evaluation, and evaluations at equal distances between them.
        let last = evaluations.len().saturating_sub(1);
        let mut chosen: Vec<usize> = (0..PROFILES)
            .map(|part| part * last / (PROFILES - 1))
            .collect();
        chosen.dedup();
        chosen.retain(|index| *index < evaluations.len());
        return chosen.into_iter().map(of).collect();
    }
    let of = |run: &RunHistory| DepthCurve {
        name: run.name.clone(),
        points: run.perplexities().into_iter().collect(),
    };
    runs.iter().map(of).collect()
}

/// Chooses indices of ascending steps, including the first and the last, so that the ratios between
/// chosen steps are equal.
fn equal_ratios(steps: &[u64]) -> Vec<usize> {
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else {
        return Vec::new();
    };
    let (first, last) = ((*first).max(1) as f64, (*last).max(1) as f64);
    let mut chosen: Vec<usize> = (0..PROFILES)
        .map(|part| {
            let power = part as f64 / (PROFILES - 1) as f64;
            let step = first * (last / first).powf(power);
            // Rounding may make the wanted step larger than the last step.
            let at = steps.partition_point(|other| (*other as f64) < step - 0.5);
            at.min(steps.len() - 1)
        })
        .collect();
    chosen.dedup();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_equal_ratios_keep_the_first_and_the_last() {
        assert_eq!(equal_ratios(&[]), [0; 0]);
        assert_eq!(equal_ratios(&[7]), [0]);
        let every: Vec<u64> = (1..=10_000).collect();
        let steps: Vec<u64> = equal_ratios(&every).iter().map(|at| every[*at]).collect();
        assert_eq!(steps, [1, 10, 100, 1000, 10_000]);
    }
}
