//! `launches.jsonl`: one line for each start of a run's training. Lines are appended and never
//! changed.
//!
//! The file records how each step was trained: with which configuration, by which build and on
//! which machine. A line is valid from its first step on. From the first step of a later line on,
//! the later line is valid instead.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::config::RunConfig;
use crate::device::Listed;
use crate::error::Result;
use crate::run_dir::{CREATED_BY, RunDir};

/// The source code from which a training program was built.
#[derive(Clone, Copy, Debug)]
pub struct Build {
    /// The commit, or `unknown` if the build could not find it.
    pub commit: &'static str,
    /// Whether the build contains changes since the commit. `None` if this is unknown.
    pub changed: Option<bool>,
}

impl Default for Build {
    fn default() -> Self {
        Self {
            commit: "unknown",
            changed: None,
        }
    }
}

/// A line of `launches.jsonl`.
#[derive(Serialize)]
pub(super) struct Launch<'a> {
    /// The time of the launch in UTC, in the form of RFC 3339.
    time: String,
    /// The command line.
    argv: Vec<String>,
    version: &'static str,
    commit: &'static str,
    /// Whether the build contains changes since the commit. `None` if this is unknown.
    dirty: Option<bool>,
    host: Option<String>,
    device: String,
    /// The version of the GPU's driver, if the system reports it.
    driver: Option<String>,
    /// The first step that this launch trains.
    first_step: u64,
    /// The resolved configuration.
    config: &'a RunConfig,
}

/// The fields of a line that are read again.
#[derive(Deserialize)]
struct Past {
    time: String,
    first_step: u64,
    config: RunConfig,
}

impl<'a> Launch<'a> {
    /// Describes a launch that trains from step `first_step` on. `build` is the build of the
    /// program.
    pub(super) fn new(
        config: &'a RunConfig,
        listed: &Listed,
        build: Build,
        first_step: u64,
    ) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let argv = std::env::args_os();
        Self {
            time: rfc_3339(now.map_or(0, |since| since.as_secs())),
            argv: argv.map(|arg| arg.to_string_lossy().into_owned()).collect(),
            version: CREATED_BY,
            commit: build.commit,
            dirty: build.changed,
            host: sysinfo::System::host_name(),
            device: listed.label(),
            driver: listed.driver(),
            first_step,
            config,
        }
    }

    /// Appends the line to the file.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub(super) fn append(&self, run_dir: &RunDir) -> Result<()> {
        let path = run_dir.launches();
        let cannot_write = || format!("cannot write {}", path.display());
        let mut line = serde_json::to_vec(self).map_err(anyhow::Error::from)?;
        line.push(b'\n');
        let is_torn =
            std::fs::read(&path).is_ok_and(|text| !text.is_empty() && !text.ends_with(b"\n"));
        if is_torn {
            // The last line of the file is incomplete, because the disk was full or the power
            // failed. The new line starts after it.
            line.insert(0, b'\n');
        }
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .with_context(cannot_write)?;
        file.write_all(&line).with_context(cannot_write)?;
        file.sync_all().with_context(cannot_write)?;
        Ok(())
    }
}

/// Returns the configuration with which step `step` of a run was trained. `None` if no line is
/// valid for this step.
///
/// # Errors
///
/// When the file exists but cannot be read.
pub(super) fn in_force(run_dir: &RunDir, step: u64) -> Result<Option<RunConfig>> {
    let mut newest_first = past(run_dir)?.into_iter().rev();
    Ok(newest_first
        .find(|launch| launch.first_step <= step)
        .map(|launch| launch.config))
}

/// Returns the time of each launch of a run, by the hash of the launch's configuration. Checkpoints
/// contain this hash. If several launches have the same configuration, returns the time of the
/// newest.
///
/// # Errors
///
/// When the file exists but cannot be read.
pub fn launch_times(run_dir: &RunDir) -> Result<BTreeMap<String, String>> {
    let launches = past(run_dir)?.into_iter();
    launches
        .map(|launch| Ok((launch.config.hash()?, launch.time)))
        .collect()
}

/// Reads all launches, oldest first. Lines that this version cannot read are skipped.
fn past(run_dir: &RunDir) -> Result<Vec<Past>> {
    let path = run_dir.launches();
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines();
    Ok(lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect())
}

/// Formats seconds since 1970 as `2026-11-26T18:21:04Z`.
fn rfc_3339(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Here, years begin in March, so that a leap day is the last day of its year. An era has 400
    // years. March 1 of the year 0 is 719,468 days before 1970.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = 400 * era + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_dates() {
        // The dates are those that `date --utc --date=@SECONDS` prints.
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (1_795_717_264, "2026-11-26T18:21:04Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc_3339(seconds), date);
        }
    }

    #[test]
    fn a_step_was_trained_by_the_last_launch_that_reached_it() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let run_dir = RunDir::new(dir.path());
        let in_force = |step| {
            let config = in_force(&run_dir, step).expect("readable");
            config.map(|config| config.schedule.peak)
        };
        assert_eq!(in_force(1), None);
        let lines = [(1, 0.5), (301, 0.25), (201, 0.125)].map(|(first_step, peak)| {
            let mut config = RunConfig::default();
            config.schedule.peak = peak;
            let line = serde_json::json!({"time": "", "first_step": first_step, "config": config});
            format!("{line}\n")
        });
        let mut text = lines.concat();
        text += "{\"first_step\":1,\"config\":{\"of_a_later_version\":1}}\n{\"first_st";
        std::fs::write(run_dir.launches(), text).expect("writable");
        assert_eq!(in_force(200), Some(0.5));
        assert_eq!(in_force(201), Some(0.125), "the run went back to step 200");
        assert_eq!(in_force(400), Some(0.125));
    }
}
