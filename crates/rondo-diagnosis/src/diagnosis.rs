//! Reads the records of a run one after another, and returns findings.

use rondo_metrics::names::{
    HIDDEN_STATE_CORR, LOSS, RECURRENCE, VAL_LOSS, VAL_UNIGRAM_CROSS_ENTROPY,
};
use rondo_metrics::{Event, Kind, Record};

use crate::config::DiagnosisConfig;
use crate::failure::{Failure, Finding, Verdict};
use crate::rules::{Change, Collapse, DepthLosses, IgnoredState, Rising, Spike};

/// The state of the diagnosis of a run after the records read so far.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    collapse: Collapse,
    ignored: IgnoredState,
    rising: Rising,
    spike: Spike,
    /// The loss of a model that has learned nothing about the context.
    reference: Option<f64>,
    recurrence: Mean,
    findings: Vec<Finding>,
}

/// A running mean.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: f64,
    count: f64,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1.0;
    }

    fn value(self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }
}

impl Diagnosis {
    /// Starts the diagnosis of a run, before its first record.
    pub fn new(config: &DiagnosisConfig) -> Self {
        Self {
            collapse: Collapse::new(config.hidden_state_collapse.clone()),
            ignored: IgnoredState::new(config.ignored_state.clone()),
            rising: Rising::new(config.divergence.clone()),
            spike: Spike::new(config.loss_spike.clone()),
            reference: None,
            recurrence: Mean::default(),
            findings: Vec::new(),
        }
    }

    /// Reads all records of a run.
    pub fn of<'a>(config: &DiagnosisConfig, records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut diagnosis = Self::new(config);
        for record in records {
            diagnosis.observe(record);
        }
        diagnosis
    }

    /// Reads the next record and returns the findings that it confirms.
    pub fn observe(&mut self, record: &Record) -> &[Finding] {
        let known = self.findings.len();
        match record.kind {
            Kind::Train => self.train(record),
            Kind::Eval => self.eval(record),
            Kind::Event => self.event(record),
        }
        &self.findings[known..]
    }

    /// Returns every finding, the oldest first. Findings whose failure is over are included.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Returns the findings whose failure is not over.
    pub fn lasting(&self) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(|finding| finding.until.is_none())
    }

    /// Returns the verdict on the run at its last record.
    pub fn verdict(&self) -> Verdict {
        let lasts = |failure| self.lasting().any(|finding| finding.failure == failure);
        // A collapsed run may diverge as well. The rising loss is then the more important verdict.
        [
            Verdict::Divergence,
            Verdict::HiddenStateCollapse,
            Verdict::IgnoredState,
        ]
        .into_iter()
        .find(|verdict| verdict.failure().is_some_and(lasts))
        .unwrap_or(Verdict::Healthy)
    }

    fn train(&mut self, record: &Record) {
        let recurrence = record.get(RECURRENCE);
        recurrence.inspect(|recurrence| self.recurrence.add(*recurrence));
        if let Some(correlation) = record.get(HIDDEN_STATE_CORR) {
            let change = self.collapse.observe(record.step, correlation);
            self.apply(Failure::HiddenStateCollapse, record.step, change);
        }
        let is_shallow = recurrence < self.recurrence.value().map(|mean| mean / 2.0);
        if let Some(loss) = record
            .get(LOSS)
            .filter(|loss| !(is_shallow && loss.is_finite()))
        {
            let change = self.rising.observe(record.step, loss);
            self.apply(Failure::Divergence, record.step, change);
            let change = self.spike.observe(record.step, loss);
            self.apply(Failure::LossSpike, record.step, change);
        }
    }

    fn eval(&mut self, record: &Record) {
        let losses = record.per_depth(VAL_LOSS);
        let losses = losses.filter_map(|(depth, loss)| Some((depth, loss?)));
        let losses = DepthLosses::new(losses.collect());
        let unigram = record.get(VAL_UNIGRAM_CROSS_ENTROPY);
        self.reference = unigram.or(self.reference).or_else(|| losses.best());
        if let (Some(reference), Some(recurrence)) = (self.reference, self.recurrence.value()) {
            let change = self
                .ignored
                .observe(record.step, &losses, reference, recurrence);
            self.apply(Failure::IgnoredState, record.step, change);
        }
    }

    fn event(&mut self, record: &Record) {
        match record.which_event() {
            Some(Event::Curriculum) => {
                self.rising.restart();
                self.spike.restart();
            }
            Some(Event::Nonfinite) => {
                let change = self.rising.nonfinite(record.step);
                self.apply(Failure::Divergence, record.step, change);
            }
            _ => {}
        }
    }

    fn apply(&mut self, failure: Failure, step: u64, change: Option<Change>) {
        match change {
            None => {}
            Some(Change::Begins { since, evidence }) => self.findings.push(Finding {
                failure,
                step,
                since,
                until: None,
                evidence,
            }),
            Some(Change::Ends) => {
                let mut lasting = self.findings.iter_mut().rev();
                if let Some(finding) =
                    lasting.find(|finding| finding.failure == failure && finding.until.is_none())
                {
                    finding.until = Some(step);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
