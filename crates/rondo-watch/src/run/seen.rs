//! The state of a run that its records determine.

use std::collections::{BTreeMap, VecDeque};

use rondo_diagnosis::Diagnosis;
use rondo_metrics::names::{
    HIDDEN_STATE_CORR, LOSS, LR, NUM_STEPS_NO_GRAD, NUM_STEPS_WITH_GRAD, RECURRENCE,
    TOKENS_PER_SECOND, VAL_PERPLEXITY,
};
use rondo_metrics::{Event, Kind, Record, Severity, TimeLeft, format};

use crate::plan::Plan;
use crate::series::Series;

/// The maximum number of events in memory. Older events are only in the file.
pub(super) const EVENTS: usize = 200;

/// An event of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// The step of the event.
    pub step: u64,
    /// The name and the details of the event.
    pub text: String,
    /// Whether the event may indicate a problem.
    pub is_warning: bool,
}

/// The state of a run that its records determine.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) diagnosis: Diagnosis,
    pub(super) step: u64,
    pub(super) records: u64,
    pub(super) seconds: Option<f64>,
    pub(super) loss: Series,
    pub(super) correlation: Series,
    pub(super) rate: Series,
    pub(super) speed: Series,
    pub(super) recurrence: Series,
    pub(super) perplexity: BTreeMap<usize, Series>,
    pub(super) drawn: Option<(f64, f64)>,
    pub(super) happenings: VecDeque<Happening>,
    pub(super) time_left: TimeLeft,
    pub(super) was_stopped: bool,
}

impl Seen {
    /// Makes the state of a run without records.
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            diagnosis: Diagnosis::new(&plan.thresholds),
            step: 0,
            records: 0,
            seconds: None,
            loss: Series::default(),
            correlation: Series::default(),
            rate: Series::default(),
            speed: Series::default(),
            recurrence: Series::default(),
            perplexity: BTreeMap::new(),
            drawn: None,
            happenings: VecDeque::new(),
            time_left: TimeLeft::new(0),
            was_stopped: false,
        }
    }

    /// Updates the state with the next record.
    pub(super) fn observe(&mut self, record: &Record) {
        self.diagnosis.observe(record);
        self.records += 1;
        self.step = self.step.max(record.step);
        self.seconds = record.time.or(self.seconds);
        match record.kind {
            Kind::Train => self.train(record),
            Kind::Eval => self.eval(record),
            Kind::Event => self.event(record),
        }
    }

    fn train(&mut self, record: &Record) {
        self.was_stopped = false;
        self.time_left.observe(record);
        for (series, metric) in [
            (&mut self.loss, LOSS),
            (&mut self.correlation, HIDDEN_STATE_CORR),
            (&mut self.rate, LR),
            (&mut self.speed, TOKENS_PER_SECOND),
            (&mut self.recurrence, RECURRENCE),
        ] {
            if let Some(value) = record.get(metric) {
                series.push(record.step, value);
            }
        }
        self.drawn = record
            .get(NUM_STEPS_NO_GRAD)
            .zip(record.get(NUM_STEPS_WITH_GRAD));
    }

    fn eval(&mut self, record: &Record) {
        for (depth, value) in record.per_depth(VAL_PERPLEXITY) {
            let series = self.perplexity.entry(depth).or_default();
            if let Some(value) = value {
                series.push(record.step, value);
            }
        }
    }

    fn event(&mut self, record: &Record) {
        let event = record.which_event();
        match event {
            // A new process continues the run. Its first interval includes the compilation of
            // kernels.
            Some(Event::Resume) => self.time_left = TimeLeft::new(record.step),
            Some(Event::Stopped) => self.was_stopped = true,
            _ => {}
        }
        let severity = event.map_or(Severity::Note, Event::severity);
        if severity == Severity::Silent {
            return;
        }
        let details = record
            .details()
            .map(|(name, value)| format!("  {name} {}", format::value(value)));
        let name = record.event_name().unwrap_or(format::MISSING);
        if self.happenings.len() == EVENTS {
            self.happenings.pop_front();
        }
        self.happenings.push_back(Happening {
            step: record.step,
            text: std::iter::once(name.to_owned()).chain(details).collect(),
            is_warning: severity == Severity::Warning,
        });
    }
}
