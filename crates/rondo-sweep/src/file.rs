//! The sweep file.
//!
//! ```toml
//! base = "configs/small.toml"
//! seeds = [0, 1]
//! draws = 3
//!
//! [[grid]]
//! key = "model.recurrence.mean"
//! values = [2, 4, 8]
//!
//! [[list]]
//! "schedule.shape" = { kind = "cosine" }
//! [[list]]
//! "schedule.shape" = { kind = "trapezoid", cooldown = 40 }
//!
//! [[random]]
//! key = "schedule.peak"
//! distribution = { kind = "log-uniform", low = 3e-4, high = 3e-3 }
//! ```
//!
//! `[sheet]` defines the layout of the results and does not change any run: see
//! [`sheet`](crate::sheet).
//!
//! In an entry of the list, a table without a `kind` is a section whose keys are set one by one; a
//! table with a `kind` is a value. Dotted keys may therefore be written without quotes.

use std::collections::BTreeMap;
use std::slice;

use rondo_config::{Document, TAG, Violations, path};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
// `Any` gives the schema of a value of any type.
use serde_json::Value as Any;

use crate::check;
use crate::plan::{Naming, Planned, expand};
use crate::sheet::Sheet;

/// A sweep: a base configuration, and the values that are set in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SweepFile {
    /// The run configuration in which values are set, relative to the current folder.
    pub(crate) base: String,
    /// The seeds; every setting is run with each of them.
    #[serde(default = "one_seed")]
    pub(crate) seeds: Vec<u64>,
    /// How many times the random axes are drawn; each time, all of them are drawn anew.
    #[serde(default = "one_draw")]
    pub(crate) draws: u32,
    /// The seed of the draws.
    #[serde(default)]
    pub(crate) draw_seed: u64,
    /// Axes with given values. Every combination of their values is run.
    #[serde(default)]
    pub(crate) grid: Vec<Grid>,
    /// Entries, each with values that belong together. Every entry is run.
    #[serde(default)]
    #[schemars(with = "Vec<BTreeMap<String, Any>>")]
    pub(crate) list: Vec<Entry>,
    /// Axes with random values.
    #[serde(default)]
    pub(crate) random: Vec<Random>,
    /// The layout of the results; it does not change any run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sheet: Option<Sheet>,
}

/// An entry of the list: keys and values.
pub(crate) type Entry = BTreeMap<String, toml::Value>;

/// `[[grid]]`: an axis with all its values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// The dotted key.
    pub key: String,
    /// The values of the key.
    #[schemars(with = "Vec<Any>")]
    pub values: Vec<toml::Value>,
}

/// `[[random]]`: an axis and the distribution of its values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Random {
    /// The dotted key.
    pub key: String,
    /// The distribution of the key's values.
    pub distribution: Distribution,
}

/// The distribution of a random value. Numbers are rounded to six digits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Distribution {
    /// Every number between the bounds is equally likely.
    Uniform {
        /// The smallest number.
        low: f64,
        /// The largest number.
        high: f64,
    },
    /// The logarithm of the value is uniformly distributed between the logarithms of the bounds.
    LogUniform {
        /// The smallest number, above 0.
        low: f64,
        /// The largest number.
        high: f64,
    },
    /// Every value is equally likely.
    Choice {
        /// The values.
        #[schemars(with = "Vec<Any>")]
        values: Vec<toml::Value>,
    },
}

fn one_seed() -> Vec<u64> {
    vec![0]
}

fn one_draw() -> u32 {
    1
}

impl SweepFile {
    /// The top-level keys of a sweep file that a run configuration does not have.
    pub const OWN_KEYS: [&'static str; 7] = [
        "seeds",
        "draws",
        "draw_seed",
        "grid",
        "list",
        "random",
        "sheet",
    ];

    /// Reads the text of a sweep file. Messages use `name` for it.
    ///
    /// # Errors
    ///
    /// Returns all violations at once, with key and line.
    pub fn parse(name: &str, text: &str) -> Result<Self, Violations> {
        let document = Document::parse(name, text)?;
        document.read_checked(&check::check)
    }

    /// Returns the runs in order, named by their values.
    pub fn runs(&self) -> Vec<Planned> {
        expand(self, Naming::Values)
    }

    /// Returns the path of the run configuration, relative to the current folder.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Returns the layout of the results, if the file has one.
    pub fn sheet(&self) -> Option<&Sheet> {
        self.sheet.as_ref()
    }

    /// Returns whether another file expands to the same runs. The layout of the results is ignored.
    pub(crate) fn has_the_runs_of(&self, other: &Self) -> bool {
        let bare = |file: &Self| Self {
            sheet: None,
            ..file.clone()
        };
        bare(self) == bare(other)
    }
}

/// A key that an entry of the list sets.
pub(crate) struct Leaf<'a> {
    /// The place of the key in the entry, for messages.
    pub(crate) place: String,
    pub(crate) path: Vec<String>,
    pub(crate) value: &'a toml::Value,
}

/// Returns the keys that an entry sets, sorted. A text that is not a valid dotted key counts as one
/// part.
pub(crate) fn leaves(entry: &Entry) -> Vec<Leaf<'_>> {
    let mut leaves = Vec::new();
    for (key, value) in entry {
        let path = path::parse(key).unwrap_or_else(|| vec![key.clone()]);
        let place = path::dotted(slice::from_ref(key));
        collect(Leaf { place, path, value }, &mut leaves);
    }
    leaves.sort_by(|a, b| a.path.cmp(&b.path));
    leaves
}

/// Adds a value. If the value is a section, adds the values in the section instead.
fn collect<'a>(leaf: Leaf<'a>, leaves: &mut Vec<Leaf<'a>>) {
    let section = leaf.value.as_table().filter(|table| !table.is_empty());
    match section.filter(|table| !table.contains_key(TAG)) {
        None => leaves.push(leaf),
        Some(section) => {
            for (key, value) in section {
                let key = slice::from_ref(key);
                let below = Leaf {
                    place: format!("{}.{}", leaf.place, path::dotted(key)),
                    path: [&leaf.path, key].concat(),
                    value,
                };
                collect(below, leaves);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = r#"
base = "configs/small.toml"
seeds = [0, 7]
draws = 2
draw_seed = 5

[[grid]]
key = "model.recurrence.mean"
values = [2, 4.5, "many", { kind = "x", at = [1, 2] }]

[[list]]
"schedule.shape" = { kind = "cosine" }
schedule.warmup = 10

[[random]]
key = "schedule.peak"
distribution = { kind = "log-uniform", low = 1e-4, high = 1 }

[[random]]
key = "optimizer.kind"
distribution = { kind = "choice", values = ["muon", "adamw"] }

[sheet]
rows = ["schedule.shape"]
depths = [8, 16]
names = { cosine = "a cosine" }
"#;

    #[test]
    fn a_file_prints_as_one_that_reads_back_the_same() {
        let file = SweepFile::parse("sweep.toml", ALL).expect("a valid file");
        let text = rondo_config::to_toml(&file).expect("TOML");
        assert_eq!(SweepFile::parse("again.toml", &text), Ok(file), "{text}");
    }

    #[test]
    fn a_section_in_an_entry_is_the_same_with_and_without_quotes() {
        let entry = |text: &str| -> Entry { toml::from_str(text).expect("TOML") };
        let shown = |entry: &Entry| -> Vec<String> {
            let show = |leaf: &Leaf<'_>| format!("{}={}", path::dotted(&leaf.path), leaf.value);
            leaves(entry).iter().map(show).collect()
        };
        let quoted = entry("\"a.shape\" = { kind = 'x', at = 1 }\n\"a.b\" = 2");
        let bare = entry("a.shape = { kind = 'x', at = 1 }\na.b = 2");
        let sections = entry("[a]\nb = 2\n[a.shape]\nkind = 'x'\nat = 1");
        assert_eq!(shown(&quoted)[0], "a.b=2");
        assert_eq!(shown(&quoted).len(), 2);
        assert_eq!(shown(&quoted), shown(&bare));
        assert_eq!(shown(&quoted), shown(&sections));
    }

    #[test]
    fn what_is_left_out_is_one_run() {
        let file = SweepFile::parse("sweep.toml", "base = 'x.toml'").expect("a valid file");
        assert_eq!((file.seeds, file.draws), (vec![0], 1));
    }

    #[test]
    fn no_text_is_a_panic() {
        for end in (0..ALL.len()).filter(|&end| ALL.is_char_boundary(end)) {
            let (before, after) = ALL.split_at(end);
            for text in [before.to_owned(), format!("{before}-{}", &after[1..])] {
                if let Ok(file) = SweepFile::parse("sweep.toml", &text) {
                    assert!(!file.runs().is_empty(), "{text}");
                }
            }
        }
    }
}
