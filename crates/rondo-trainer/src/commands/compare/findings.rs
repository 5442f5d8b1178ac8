//! Describes findings in words, with the readings that support each finding and a remedy to try.

use rondo_diagnosis::Finding;
use rondo_metrics::format::significant;

use super::row::Row;

/// The description of a finding.
pub(super) struct Told {
    pub(super) what: String,
    pub(super) evidence: String,
    pub(super) cure: String,
}

/// Describes the findings of all runs, in the order of the runs.
pub(super) fn findings(rows: &[Row]) -> Vec<Told> {
    let told = |row: &Row, finding: &Finding| {
        let Finding { failure, since, .. } = finding;
        let until = finding.until.map(|step| format!(" until {step}"));
        let evidence = finding.evidence.iter();
        Told {
            what: format!(
                "{}: {failure} since step {since}{}",
                row.run,
                until.unwrap_or_default()
            ),
            evidence: evidence
                .map(|reading| format!("{} {}", reading.name, significant(reading.value, 4)))
                .collect::<Vec<_>>()
                .join("  "),
            cure: format!("try: {}", failure.cure()),
        }
    };
    rows.iter()
        .flat_map(|row| row.findings.iter().map(move |finding| told(row, finding)))
        .collect()
}
