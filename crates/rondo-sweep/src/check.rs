//! The rules for sweep files.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::Bound;

use rondo_config::report::{at_least_one, finite};
use rondo_config::{Report, path};

use crate::SEED_KEY;
use crate::file::{Distribution, Entry, SweepFile, leaves};
use crate::same::{entry_form, form};

/// The largest number of runs.
const MAX_RUNS: usize = 10_000;
/// The largest number of grid axes. Each axis adds a part to the names of the runs.
const MAX_GRID: usize = 8;

/// The largest total size of the values of all runs as text, in bytes.
const MAX_BYTES: usize = 1 << 28;

/// Keys with the places where they are set.
type Sets = BTreeMap<Vec<String>, String>;

/// Reports every violation with its key.
pub(crate) fn check(file: &SweepFile, report: Report<'_>) {
    if file.base.is_empty() {
        report("base", "must name a run configuration".to_owned());
    }
    distinct("seeds", &file.seeds, u64::to_string, report);
    for (key, seeds) in [("seeds", &file.seeds[..]), ("draw_seed", &[file.draw_seed])] {
        // The largest whole number in TOML is `i64::MAX`.
        if let Some(seed) = seeds.iter().find(|&&seed| i64::try_from(seed).is_err()) {
            report(key, format!("must be at most {}, found {seed}", i64::MAX));
        }
    }
    if file.grid.len() > MAX_GRID {
        report(
            "grid",
            format!("has {} axes, more than {MAX_GRID}", file.grid.len()),
        );
    }
    let mut fixed = Sets::new();
    for (index, grid) in file.grid.iter().enumerate() {
        distinct(&format!("grid.{index}.values"), &grid.values, form, report);
        let place = format!("grid.{index}.key");
        let set = key(&grid.key, place, &fixed, report);
        fixed.extend(set);
    }
    for (index, random) in file.random.iter().enumerate() {
        distribution(index, &random.distribution, report);
        let place = format!("random.{index}.key");
        let set = key(&random.key, place, &fixed, report);
        fixed.extend(set);
    }
    list(file, &fixed, report);
    at_least_one("draws", file.draws, report);
    if file.draws > 1 && file.random.is_empty() {
        report(
            "draws",
            "there is nothing to draw: add [[random]], or leave it out".to_owned(),
        );
    }
    if let Some(sheet) = &file.sheet {
        let mut depths = sheet.depths.iter().enumerate();
        if let Some((index, _)) = depths.find(|(_, depth)| **depth == 0) {
            report(
                &format!("sheet.depths.{index}"),
                "must be at least 1, found 0".to_owned(),
            );
        }
    }
    if file.count().is_none_or(|runs| runs > MAX_RUNS) {
        report("", format!("expands to more than {MAX_RUNS} runs"));
    } else if file.bytes().is_none_or(|bytes| bytes > MAX_BYTES) {
        report(
            "",
            format!("expands to more than {MAX_BYTES} bytes of values over all runs"),
        );
    }
}

impl SweepFile {
    /// Returns the number of runs; `None` if it overflows.
    fn count(&self) -> Option<usize> {
        let axes = self.grid.iter().map(|grid| grid.values.len());
        let others = [
            self.list.len().max(1),
            self.draws as usize,
            self.seeds.len(),
        ];
        axes.chain(others).try_fold(1_usize, usize::checked_mul)
    }

    /// Returns an upper bound of the size of all runs' values as text, in bytes; `None` if it
    /// overflows.
    fn bytes(&self) -> Option<usize> {
        let longest = |values: &[toml::Value]| {
            let lengths = values.iter().map(|value| value.to_string().len());
            lengths.max().unwrap_or(0)
        };
        let grid = self.grid.iter().map(|grid| longest(&grid.values));
        let random = self.random.iter().map(|random| match &random.distribution {
            Distribution::Choice { values } => longest(values),
            Distribution::Uniform { .. } | Distribution::LogUniform { .. } => 0,
        });
        let list = self.list.iter().map(|entry| text(entry).len()).max();
        let run: usize = grid.chain(random).chain(list).sum();
        run.checked_mul(self.count()?)
    }
}

/// Returns an entry as text.
fn text(entry: &Entry) -> String {
    let set = |(key, value)| format!("{key:?}={value}\n");
    entry.iter().map(set).collect::<Vec<_>>().concat()
}

/// Checks the entries of the list. Two entries never apply to the same run, so their keys may be
/// equal.
fn list(file: &SweepFile, fixed: &Sets, report: Report<'_>) {
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for (index, entry) in file.list.iter().enumerate() {
        let earlier = *known.entry(entry_form(entry)).or_insert(index);
        if earlier < index {
            report(
                &format!("list.{index}"),
                format!("is the same as list.{earlier}"),
            );
        }
        for written in entry
            .keys()
            .filter(|written| path::parse(written).is_none())
        {
            let quoted = path::dotted(std::slice::from_ref(written));
            report(
                &format!("list.{index}.{quoted}"),
                "is not a dotted key".to_owned(),
            );
        }
        let mut own = Sets::new();
        for leaf in leaves(entry) {
            let place = format!("list.{index}.{}", leaf.place);
            let set = set(leaf.path, place, &[fixed, &own], report);
            own.extend(set);
        }
    }
}

/// Checks a key that is given as a string.
fn key(
    written: &str,
    place: String,
    before: &Sets,
    report: Report<'_>,
) -> Option<(Vec<String>, String)> {
    match path::parse(written) {
        Some(path) => set(path, place, &[before], report),
        None => {
            report(&place, format!("{written:?} is not a dotted key"));
            None
        }
    }
}

/// Checks that a key is not the seed's, and that no earlier key equals it, contains it or is inside
/// it.
fn set(
    path: Vec<String>,
    place: String,
    before: &[&Sets],
    report: Report<'_>,
) -> Option<(Vec<String>, String)> {
    let shown = path::dotted(&path);
    if shown == SEED_KEY || path.len() == 1 && SEED_KEY.starts_with(&format!("{shown}.")) {
        report(&place, format!("{SEED_KEY} is set by seeds"));
        return None;
    }
    if let Some((other, where_)) = before.iter().find_map(|sets| meeting(sets, &path)) {
        let theirs = path::dotted(other);
        let message = match *other == path {
            true => format!("{shown} is set twice: here and by {where_}"),
            false => {
                format!("{shown} is set here, and {theirs} by {where_}: one is part of the other")
            }
        };
        report(&place, message);
        return None;
    }
    Some((path, place))
}

/// Returns an earlier key that equals this one, is inside it, or contains it.
fn meeting<'s>(sets: &'s Sets, path: &[String]) -> Option<(&'s Vec<String>, &'s String)> {
    let around = (1..=path.len()).find_map(|length| sets.get_key_value(&path[..length]));
    around.or_else(|| {
        let from: (Bound<&[String]>, Bound<&[String]>) = (Bound::Included(path), Bound::Unbounded);
        let next = sets.range::<[String], _>(from).next();
        next.filter(|(other, _)| other.starts_with(path))
    })
}

/// Checks that there is at least one value, and that no two values have the same `form`.
fn distinct<T: Display>(key: &str, values: &[T], form: fn(&T) -> String, report: Report<'_>) {
    if values.is_empty() {
        report(key, "must have at least one value".to_owned());
    }
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for value in values {
        let written = value.to_string();
        let Some(earlier) = known.insert(form(value), written.clone()) else {
            continue;
        };
        return report(
            key,
            match earlier == written {
                true => format!("has {written} twice"),
                false => format!("has {earlier} and {written}, which are the same"),
            },
        );
    }
}

fn distribution(index: usize, distribution: &Distribution, report: Report<'_>) {
    let place = |field: &str| format!("random.{index}.distribution.{field}");
    let (low, high) = match distribution {
        Distribution::Uniform { low, high } => (*low, *high),
        Distribution::LogUniform { low, high } => {
            if *low <= 0.0 {
                report(
                    &place("low"),
                    format!("must be above 0 for a logarithm, found {low}"),
                );
                return;
            }
            (*low, *high)
        }
        Distribution::Choice { values } => return distinct(&place("values"), values, form, report),
    };
    if !low.is_finite() {
        return finite(&place("low"), low, report);
    }
    // If the span or ratio of the bounds overflows, they are not valid bounds either.
    let (span, ratio) = (high - low, high / low);
    let spread = match distribution {
        Distribution::LogUniform { .. } => ratio,
        _ => span,
    };
    if !(high > low && spread.is_finite()) {
        report(
            &place("high"),
            format!("must be a number above low = {low}, found {high}"),
        );
    }
}

#[cfg(test)]
mod tests;
