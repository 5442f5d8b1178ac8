//! How a run reacts to failures that its metrics show.

use rondo_diagnosis::{Diagnosis, DiagnosisConfig, Failure, Finding, Policy, Verdict};
use rondo_metrics::Record;

use crate::error::{Error, Result};

/// The diagnosis of a run in progress, and the policy for each failure.
pub(super) struct Watch {
    config: DiagnosisConfig,
    diagnosis: Diagnosis,
    /// The finding that stops the run, if there is one.
    stopping: Option<Finding>,
}

impl Watch {
    /// Creates the diagnosis of a new run.
    pub(super) fn new(config: &DiagnosisConfig) -> Self {
        Self {
            config: config.clone(),
            diagnosis: Diagnosis::new(config),
            stopping: None,
        }
    }

    /// Creates the diagnosis of a resumed run. Observes all earlier records again, so that a
    /// resumed run finds the same failures as an uninterrupted one. A failure that still lasts and
    /// has the policy to stop will stop the run again.
    ///
    /// # Errors
    ///
    /// When a record cannot be read.
    pub(super) fn resume(
        config: &DiagnosisConfig,
        records: impl Iterator<Item = Result<Record>>,
    ) -> Result<Self> {
        let mut watch = Self::new(config);
        for record in records {
            watch.diagnosis.observe(&record?);
        }
        let mut lasting = watch.diagnosis.lasting();
        watch.stopping = lasting
            .find(|finding| config.policy(finding.failure) == Policy::Stop)
            .cloned();
        drop(lasting);
        Ok(watch)
    }

    /// Observes a record. Returns the findings to report.
    pub(super) fn observe(&mut self, record: &Record) -> Vec<Finding> {
        let policy = |finding: &Finding| self.config.policy(finding.failure);
        let found = self.diagnosis.observe(record).iter();
        let told: Vec<Finding> = found
            .filter(|finding| policy(finding) != Policy::Off)
            .cloned()
            .collect();
        let stopping = told.iter().find(|finding| policy(finding) == Policy::Stop);
        self.stopping = self.stopping.take().or_else(|| stopping.cloned());
        told
    }

    /// Returns an error if a failure was found whose policy is to stop the run.
    ///
    /// # Errors
    ///
    /// When there is such a failure. The error names the failure, and the key with which the run
    /// may continue.
    pub(super) fn check(&self) -> Result<()> {
        let Some(finding) = &self.stopping else {
            return Ok(());
        };
        let Finding { failure, since, .. } = finding;
        let section = section(*failure);
        Err(Error::Stopped(format!(
            "{failure} since step {since}: stopped by diagnosis.{section}.policy; \
             continue with --set diagnosis.{section}.policy=warn"
        )))
    }

    pub(super) fn verdict(&self) -> Verdict {
        self.diagnosis.verdict()
    }

    pub(super) fn findings(&self) -> &[Finding] {
        self.diagnosis.findings()
    }

    /// Describes the failure that the verdict names. `None` for a healthy run.
    pub(super) fn lasting(&self) -> Option<String> {
        let verdict = self.verdict();
        let finding = self
            .diagnosis
            .lasting()
            .find(|finding| Some(finding.failure) == verdict.failure())?;
        Some(format!("{verdict} since step {}", finding.since))
    }
}

/// Returns the name of the section of `[diagnosis]` for a failure.
fn section(failure: Failure) -> String {
    failure.event().name().replace('-', "_")
}
