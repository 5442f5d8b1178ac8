//! The metric that a sheet shows for each run, and where the records contain it.

use std::collections::BTreeSet;

use clap::ValueEnum;
use rondo_figures::Better;
use rondo_metrics::History;
use rondo_metrics::names::{
    LOSS, VAL_ACCURACY, VAL_BITS_PER_BYTE, VAL_CROSS_ENTROPY, VAL_LOSS, VAL_PERPLEXITY,
};
use rondo_metrics::typed::{Eval, PerDepth, Scalar, Train};
use rondo_sweep::Sheet;
use rondo_train::error::{Error, Result};

/// A metric that compares runs by its last value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum SheetMetric {
    /// Validation loss at the mean recurrence depth.
    ValCrossEntropy,
    /// Validation loss at the mean recurrence depth, in bits per byte of text.
    ValBitsPerByte,
    /// Validation loss at each depth.
    ValLoss,
    /// Validation perplexity at each depth.
    ValPerplexity,
    /// Validation accuracy of a task at each depth.
    ValAccuracy,
    /// Training loss of the last logged step.
    Loss,
}

/// How the records contain a metric.
enum Form {
    Train(Scalar<Train>),
    Eval(Scalar<Eval>),
    PerDepth(PerDepth<Eval>),
}

/// Where the records of a run contain a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    Train(Scalar<Train>),
    Eval(Scalar<Eval>),
    AtDepth(PerDepth<Eval>, usize),
}

impl SheetMetric {
    /// Returns the metric of a layout. If the layout names no metric, the default is perplexity if
    /// it names depths, and validation loss otherwise.
    pub(super) fn of(sheet: &Sheet) -> Result<Self> {
        match &sheet.metric {
            None if sheet.depths.is_empty() => Ok(Self::ValCrossEntropy),
            None => Ok(Self::ValPerplexity),
            Some(name) => Self::from_str(name, false).map_err(|_| {
                let all: Vec<&str> = Self::value_variants()
                    .iter()
                    .map(|one| one.name())
                    .collect();
                let all = all.join(", ");
                Error::Usage(format!(
                    "sheet.metric: found {name:?}, expected one of {all}"
                ))
            }),
        }
    }

    fn form(self) -> Form {
        match self {
            Self::ValCrossEntropy => Form::Eval(VAL_CROSS_ENTROPY),
            Self::ValBitsPerByte => Form::Eval(VAL_BITS_PER_BYTE),
            Self::ValLoss => Form::PerDepth(VAL_LOSS),
            Self::ValPerplexity => Form::PerDepth(VAL_PERPLEXITY),
            Self::ValAccuracy => Form::PerDepth(VAL_ACCURACY),
            Self::Loss => Form::Train(LOSS),
        }
    }

    /// Returns the name of the metric in the records, without a depth.
    pub(crate) fn name(self) -> &'static str {
        match self.form() {
            Form::Train(metric) => metric.name(),
            Form::Eval(metric) => metric.name(),
            Form::PerDepth(metric) => metric.name(),
        }
    }

    /// Returns the name of the metric, with its unit if there is one.
    pub(super) fn quantity(self) -> String {
        let metric = match self.form() {
            Form::Train(metric) => metric.metric(),
            Form::Eval(metric) => metric.metric(),
            Form::PerDepth(metric) => metric.metric(),
        };
        match metric.unit {
            "1" => metric.name.to_owned(),
            unit => format!("{} ({unit})", metric.name),
        }
    }

    pub(super) fn better(self) -> Better {
        match self {
            Self::ValAccuracy => Better::Higher,
            _ => Better::Lower,
        }
    }

    /// Returns the depths at which a run measured the metric.
    pub(super) fn depths(self, history: &History) -> BTreeSet<usize> {
        match self.form() {
            Form::PerDepth(metric) => history.per_depth(metric).into_keys().collect(),
            Form::Train(_) | Form::Eval(_) => BTreeSet::new(),
        }
    }

    /// Returns where the records contain the values to show: one place, or one place for each depth
    /// in `asked`. If `asked` is empty, all `measured` depths are used.
    pub(super) fn sources(
        self,
        asked: &[usize],
        measured: &BTreeSet<usize>,
    ) -> Result<Vec<Source>> {
        let name = self.name();
        let metric = match self.form() {
            Form::PerDepth(metric) => metric,
            Form::Train(_) | Form::Eval(_) if !asked.is_empty() => {
                return Err(Error::Usage(format!(
                    "depths: {name} is not measured at several depths; val_perplexity is"
                )));
            }
            Form::Train(metric) => return Ok(vec![Source::Train(metric)]),
            Form::Eval(metric) => return Ok(vec![Source::Eval(metric)]),
        };
        if let Some(missing) = asked.iter().find(|depth| !measured.contains(depth)) {
            let measured: Vec<String> = measured.iter().map(usize::to_string).collect();
            return Err(Error::Usage(format!(
                "depths: no run was evaluated for {name} at depth {missing}; there are {}",
                match measured.is_empty() {
                    true => "none".to_owned(),
                    false => measured.join(", "),
                }
            )));
        }
        let at = |depth: &usize| Source::AtDepth(metric, *depth);
        match asked.is_empty() {
            true if measured.is_empty() => Err(Error::Usage(format!(
                "no run has an evaluation with {name}: choose another --metric"
            ))),
            true => Ok(measured.iter().map(at).collect()),
            false => Ok(asked.iter().map(at).collect()),
        }
    }
}

impl Source {
    /// Returns the last value in the records of a run.
    pub(super) fn last(self, history: &History) -> Option<f64> {
        match self {
            Self::Train(metric) => history.last(metric),
            Self::Eval(metric) => history.last(metric),
            Self::AtDepth(metric, depth) => {
                let depths = history.per_depth(metric);
                Some(depths.get(&depth)?.last()?.value)
            }
        }
    }

    /// Returns the recurrence depth; `None` if the metric is not measured at several depths.
    pub(super) fn depth(self) -> Option<usize> {
        match self {
            Self::AtDepth(_, depth) => Some(depth),
            Self::Train(_) | Self::Eval(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(text: &str) -> Sheet {
        toml::from_str(text).expect("a sheet")
    }

    #[test]
    fn a_layout_with_depths_alone_shows_perplexity_and_one_without_the_loss() {
        let of = |text: &str| SheetMetric::of(&sheet(text)).expect("a metric");
        assert_eq!(of(""), SheetMetric::ValCrossEntropy);
        assert_eq!(of("depths = [8]"), SheetMetric::ValPerplexity);
        assert_eq!(of("metric = 'val_accuracy'"), SheetMetric::ValAccuracy);
        let error = SheetMetric::of(&sheet("metric = 'val_los'")).expect_err("no metric");
        assert!(error.to_string().contains("val_loss"), "{error}");
    }

    #[test]
    fn every_name_on_the_command_line_is_the_name_in_records() {
        for metric in SheetMetric::value_variants() {
            let value = metric.to_possible_value().expect("a value");
            assert_eq!(value.get_name(), metric.name());
        }
    }

    #[test]
    fn depths_are_those_asked_for_or_all_and_one_that_no_run_has_is_refused() {
        let measured = BTreeSet::from([4, 8, 16]);
        let of = |asked: &[usize]| {
            let sources = SheetMetric::ValPerplexity.sources(asked, &measured);
            sources.map(|found| {
                found
                    .iter()
                    .filter_map(|one| one.depth())
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(of(&[]).ok(), Some(vec![4, 8, 16]));
        assert_eq!(of(&[16, 8]).ok(), Some(vec![16, 8]));
        let error = of(&[12]).expect_err("not measured").to_string();
        assert!(error.contains("depth 12; there are 4, 8, 16"), "{error}");
        let error = SheetMetric::Loss
            .sources(&[8], &measured)
            .expect_err("one depth");
        assert!(
            error
                .to_string()
                .contains("loss is not measured at several"),
            "{error}"
        );
    }
}
