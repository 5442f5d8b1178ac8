//! The subjects of a comparison. Runs that differ only in their seeds are one subject.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rondo_config::flatten;
use rondo_train::run_history::RunHistory;
use serde::Serialize;

use super::mean::Mean;
use super::row::Row;

/// The last part of each key that holds a seed.
const SEED: &str = "seed";

/// A subject of the comparison: a single run, or runs that differ only in their seeds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Subject {
    pub(super) name: String,
    /// The indices of the subject's runs in the list of all runs; at least one.
    pub(super) members: Vec<usize>,
}

impl Subject {
    /// Whether the subject has several runs.
    pub(super) fn is_group(&self) -> bool {
        self.members.len() > 1
    }
}

/// The description of a group of runs, or of a single run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Group {
    #[serde(rename = "group")]
    pub(super) name: String,
    /// The number of runs.
    pub(super) n: usize,
    runs: Vec<String>,
    /// The indices of the group's runs in the list of all runs.
    #[serde(skip)]
    pub(super) members: Vec<usize>,
    /// The number of runs for each verdict.
    verdicts: BTreeMap<String, usize>,
    /// The training loss of the last logged step.
    pub(super) final_loss: Option<Mean>,
    /// The validation cross entropy at the mean depth, from the last evaluation.
    pub(super) val_loss: Option<Mean>,
    /// The perplexity at each recurrence depth, from the last evaluation.
    pub(super) perplexity: BTreeMap<usize, Mean>,
    /// The metric `hidden_state_corr` at the end of training.
    pub(super) hidden_state_corr: Option<Mean>,
    /// The devices of the runs, without duplicates.
    pub(super) devices: BTreeSet<String>,
    /// The tokens per second: the median of each run, averaged over the runs.
    pub(super) tokens_per_second: Option<Mean>,
    pub(super) seconds: Option<Mean>,
}

impl Group {
    /// Whether the group has several runs.
    pub(super) fn has_several(&self) -> bool {
        self.n > 1
    }

    /// Describes a subject.
    pub(super) fn of(subject: &Subject, rows: &[Row]) -> Self {
        let members: Vec<&Row> = subject.members.iter().map(|index| &rows[*index]).collect();
        let mean =
            |value: fn(&Row) -> Option<f64>| Mean::of(members.iter().copied().filter_map(value));
        let mut verdicts = BTreeMap::new();
        for row in &members {
            *verdicts.entry(row.verdict.to_string()).or_default() += 1;
        }
        let depths: BTreeSet<usize> = members
            .iter()
            .flat_map(|row| row.perplexity.keys().copied())
            .collect();
        let at = |depth: usize| {
            let values = members.iter().filter_map(|row| row.perplexity.get(&depth));
            Some((depth, Mean::of(values.copied())?))
        };
        Self {
            name: subject.name.clone(),
            n: members.len(),
            runs: members.iter().map(|row| row.run.clone()).collect(),
            members: subject.members.clone(),
            verdicts,
            final_loss: mean(|row| row.final_loss),
            val_loss: mean(|row| row.val_loss),
            perplexity: depths.into_iter().filter_map(at).collect(),
            hidden_state_corr: mean(|row| row.hidden_state_corr.end),
            devices: members
                .iter()
                .filter_map(|row| row.effort.device.clone())
                .collect(),
            tokens_per_second: mean(|row| row.effort.tokens_per_second),
            seconds: mean(|row| Some(row.effort.seconds).filter(|seconds| *seconds > 0.0)),
        }
    }
}

/// Divides runs into subjects, in the order of their first runs. A run without a configuration is a
/// subject of its own. If two runs have the same configuration and the same seed, all runs with
/// this configuration are subjects of their own.
pub(super) fn subjects(runs: &[RunHistory]) -> Vec<Subject> {
    let keys: Vec<Option<Keys>> = runs.iter().map(Keys::of).collect();
    let mut parts: Vec<Vec<usize>> = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        let alike = |part: &&mut Vec<usize>| {
            let first = keys[part[0]].as_ref();
            matches!((first, key), (Some(a), Some(b)) if a.others == b.others)
        };
        match parts.iter_mut().find(alike) {
            Some(part) => part.push(index),
            None => parts.push(vec![index]),
        }
    }
    let seeds_differ = |part: &[usize]| {
        let seeds: BTreeSet<_> = part
            .iter()
            .map(|index| keys[*index].as_ref().map(|k| &k.seeds))
            .collect();
        seeds.len() == part.len()
    };
    let parts = parts
        .into_iter()
        .flat_map(|part| match seeds_differ(&part) {
            true => vec![part],
            false => part.into_iter().map(|index| vec![index]).collect(),
        });
    let mut subjects: Vec<Subject> = parts
        .map(|members| Subject {
            name: name(runs, &members),
            members,
        })
        .collect();
    subjects.sort_by_key(|subject| subject.members[0]);
    name_apart(&mut subjects);
    subjects
}

/// A configuration, divided into its seeds and all other keys.
struct Keys {
    seeds: BTreeMap<String, String>,
    others: BTreeMap<String, String>,
}

impl Keys {
    fn of(run: &RunHistory) -> Option<Self> {
        let all = flatten(run.config.as_ref()?).ok()?;
        let is_seed = |key: &str| key.rsplit('.').next() == Some(SEED);
        let (seeds, others) = all.into_iter().partition(|(key, _)| is_seed(key));
        Some(Self { seeds, others })
    }
}

/// Returns a name for a subject: the common part of the names of its runs. If there is no common
/// part, returns the name of the folder that contains the runs.
fn name(runs: &[RunHistory], members: &[usize]) -> String {
    let names: Vec<&str> = members
        .iter()
        .map(|index| runs[*index].name.as_str())
        .collect();
    if let [name] = names.as_slice() {
        return (*name).to_owned();
    }
    let common = common_name(&names);
    if !common.is_empty() {
        return common;
    }
    let folder = |index: &usize| -> Option<String> {
        let path = runs[*index].path.canonicalize().ok()?;
        Some(
            path.parent()
                .and_then(Path::file_name)?
                .to_string_lossy()
                .into_owned(),
        )
    };
    let folders: BTreeSet<Option<String>> = members.iter().map(folder).collect();
    match Vec::from_iter(folders).as_slice() {
        [Some(folder)] => folder.clone(),
        _ => format!("{} and {} more", names[0], names.len() - 1),
    }
}

/// Removes the seeds from names and returns their common part; empty if they have none.
fn common_name(names: &[&str]) -> String {
    let bare: BTreeSet<String> = names.iter().map(|name| without_seed(name)).collect();
    if let [one] = Vec::from_iter(bare).as_slice() {
        return one.clone();
    }
    let first: Vec<char> = names[0].chars().collect();
    let shared = names.iter().skip(1).fold(first.len(), |shared, name| {
        first[..shared]
            .iter()
            .zip(name.chars())
            .take_while(|(a, b)| **a == *b)
            .count()
    });
    let prefix: String = first[..shared].iter().collect();
    let prefix = prefix.trim_end_matches(|c: char| c.is_ascii_digit());
    without_seed(prefix.trim_end_matches(is_separator))
}

fn is_separator(c: char) -> bool {
    matches!(c, '-' | '_' | ',' | '.' | '=' | ' ' | '/')
}

/// Removes `seed`, the number after it, and the separators around them from a name. For example,
/// `peak1-seed0` becomes `peak1`.
fn without_seed(name: &str) -> String {
    let Some(at) = name.find(SEED) else {
        return name.to_owned();
    };
    let before = name[..at].trim_end_matches(is_separator);
    let after = name[at + SEED.len()..].trim_start_matches(is_separator);
    let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
    match before.is_empty() {
        true => after.trim_start_matches(is_separator).to_owned(),
        false => format!("{before}{after}"),
    }
}

/// Appends numbers to the names of subjects that would otherwise have the same name.
fn name_apart(subjects: &mut [Subject]) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for subject in subjects {
        let count = seen.entry(subject.name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            subject.name = format!("{} ({count})", subject.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_named_by_its_runs_without_their_seeds() {
        for (names, expected) in [
            (["peak1-seed0", "peak1-seed1"], "peak1"),
            (["peak=1e-3,seed=0", "peak=1e-3,seed=1"], "peak=1e-3"),
            (["seed_3-wide", "seed_4-wide"], "wide"),
            (["main", "main-seed7"], "main"),
            (["main-10", "main-11"], "main"),
            (["v2-0", "v2-1"], "v2"),
            (["seed0", "seed1"], ""),
            (["one", "two"], ""),
        ] {
            assert_eq!(common_name(&names), expected, "{names:?}");
        }
    }

    #[test]
    fn groups_of_one_name_are_numbered() {
        let subject = |name: &str| Subject {
            name: name.to_owned(),
            members: vec![0],
        };
        let mut subjects = [subject("a"), subject("b"), subject("a")];
        name_apart(&mut subjects);
        assert_eq!(subjects.map(|subject| subject.name), ["a", "b", "a (2)"]);
    }
}
