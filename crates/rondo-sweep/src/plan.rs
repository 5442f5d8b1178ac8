//! The runs of a sweep file.
//!
//! The first axis of the grid changes slowest, then its other axes, the list, the draws and,
//! fastest, the seeds. A run is named by its values, as described in `name`, and its seed:
//! `mean=4,peak=1e-3,seed=7`. Earlier versions named it by the index of each value on its axis,
//! counted from 0: `mean2-peak0-list1-draw3-seed7`.

use rondo_config::path;

use crate::SEED_KEY;
use crate::draw::draw;
use crate::file::{SweepFile, leaves};
use crate::name;

/// In names given by an earlier version, the part that comes from a key has at most this many
/// characters.
const SLUG: usize = 16;

/// How runs are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// By the values of their keys.
    Values,
    /// By the indices of their values on the axes, in sweeps that an earlier version started.
    Places,
}

/// A run of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// The position of the run in the order of the sweep, counted from 0.
    pub index: usize,
    /// The name of the run, unique in the sweep and valid as a folder name.
    pub name: String,
    /// The name without the seed, shared by all seeds of the setting; empty if the sweep has a
    /// single setting.
    pub setting: String,
    /// The values set in the base by grid, list and draws, with their dotted keys.
    pub sets: Vec<(String, toml::Value)>,
    /// The seed of the run.
    pub seed: u64,
}

impl Planned {
    /// Returns all assignments, including the seed's, as `key=value` with the value in TOML on one
    /// line.
    pub fn assignments(&self) -> Vec<String> {
        let sets = self
            .sets
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        sets.chain([format!("{SEED_KEY}={}", self.seed)]).collect()
    }
}

/// A setting: the values that its seeds have in common.
#[derive(Clone, Default)]
struct Setting {
    places: String,
    sets: Vec<(String, toml::Value)>,
}

impl Setting {
    fn with(&self, place: &str, sets: impl IntoIterator<Item = (String, toml::Value)>) -> Self {
        let mut setting = self.clone();
        if !setting.places.is_empty() {
            setting.places.push('-');
        }
        setting.places.push_str(place);
        setting.sets.extend(sets);
        setting
    }
}

/// Returns the runs of a file; the same file always gives the same runs in the same order.
pub(crate) fn expand(file: &SweepFile, naming: Naming) -> Vec<Planned> {
    let settings = settings(file);
    let names = match naming {
        Naming::Places => settings.iter().map(|one| one.places.clone()).collect(),
        Naming::Values => {
            let sets: Vec<_> = settings.iter().map(|one| &one.sets).collect();
            name::of_settings(&sets)
        }
    };
    let (joint, is) = match naming {
        Naming::Places => ("-", ""),
        Naming::Values => (",", "="),
    };
    let mut runs = Vec::new();
    for (setting, name) in settings.iter().zip(&names) {
        for seed in &file.seeds {
            let joint = if name.is_empty() { "" } else { joint };
            runs.push(Planned {
                index: runs.len(),
                name: format!("{name}{joint}seed{is}{seed}"),
                setting: name.clone(),
                sets: setting.sets.clone(),
                seed: *seed,
            });
        }
    }
    runs
}

/// Returns every setting, in order.
fn settings(file: &SweepFile) -> Vec<Setting> {
    let mut settings = vec![Setting::default()];
    for axis in &file.grid {
        let (key, slug) = (canonical(&axis.key), slug(&axis.key));
        settings = product(&settings, &axis.values, |setting, index, value| {
            setting.with(&format!("{slug}{index}"), [(key.clone(), value.clone())])
        });
    }
    if !file.list.is_empty() {
        settings = product(&settings, &file.list, |setting, index, entry| {
            let sets = leaves(entry);
            let set = sets
                .iter()
                .map(|leaf| (path::dotted(&leaf.path), leaf.value.clone()));
            setting.with(&format!("list{index}"), set)
        });
    }
    if !file.random.is_empty() {
        let draws: Vec<u32> = (0..file.draws).collect();
        settings = product(&settings, &draws, |setting, index, &number| {
            let value = |axis| draw(file.draw_seed, number, axis);
            let sets = file.random.iter();
            let set = sets.filter_map(|axis| Some((canonical(&axis.key), value(axis)?)));
            setting.with(&format!("draw{index}"), set)
        });
    }
    settings
}

/// Combines every setting with every value. The values change fastest.
fn product<T>(
    settings: &[Setting],
    values: &[T],
    join: impl Fn(&Setting, usize, &T) -> Setting,
) -> Vec<Setting> {
    let mut joined = Vec::new();
    for setting in settings {
        joined.extend(
            values
                .iter()
                .enumerate()
                .map(|(index, value)| join(setting, index, value)),
        );
    }
    joined
}

/// Returns a key in its canonical form.
fn canonical(key: &str) -> String {
    path::parse(key).map_or_else(|| key.to_owned(), |path| path::dotted(&path))
}

/// Returns the form that a key has in names given by earlier versions: its last part, in characters
/// that every file system allows.
fn slug(key: &str) -> String {
    let last = path::parse(key).and_then(|mut path| path.pop());
    let kept = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    let slug: String = last
        .unwrap_or_default()
        .chars()
        .filter(kept)
        .take(SLUG)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    match slug.is_empty() {
        true => "axis".to_owned(),
        false => slug,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rondo_config::Document;

    use super::*;

    fn plan(text: &str) -> Vec<Planned> {
        let text = format!("base = 'x.toml'\n{text}");
        SweepFile::parse("sweep.toml", &text)
            .expect("a valid file")
            .runs()
    }

    fn full(seeds: &str, draws: u32, means: &str, inits: &str, more: &str) -> Vec<Planned> {
        plan(&format!(
            "seeds = [{seeds}]\ndraws = {draws}\n\
             [[grid]]\nkey = 'model.mean'\nvalues = [{means}]\n\
             [[grid]]\nkey = 'model.init'\nvalues = [{inits}]\n\
             [[random]]\nkey = 'peak'\n\
             distribution = {{ kind = 'uniform', low = 0, high = 1 }}\n\
             [[list]]\nshape.kind = 'a'\n[[list]]\nshape.kind = 'b'\n{more}"
        ))
    }

    fn usual() -> Vec<Planned> {
        full("0, 9", 3, "2, 4", "'x'", "")
    }

    #[test]
    fn the_product_is_whole_and_in_order() {
        let runs = usual();
        assert_eq!(runs.len(), 2 * 2 * 3 * 2);
        let peak = &runs[0].sets[3];
        assert_eq!(peak.0, "peak");
        assert_eq!(
            runs[0].name,
            format!("mean=2,shape=a,peak={},seed=0", peak.1)
        );
        assert_eq!(runs[1].setting, format!("mean=2,shape=a,peak={}", peak.1));
        assert_eq!(runs[1].name, format!("{},seed=9", runs[1].setting));
        assert!(runs[23].name.starts_with("mean=4,shape=b,peak="));
        assert!(
            runs.iter()
                .enumerate()
                .all(|(index, run)| run.index == index)
        );
        let keys: Vec<&str> = runs[0].sets.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["model.mean", "model.init", "shape", "peak"]);
        assert_eq!(plan("")[0].name, "seed=0");
        assert_eq!(plan("")[0].setting, "");
    }

    #[test]
    fn the_names_of_earlier_versions_are_places_on_axes() {
        let text = "base = 'x.toml'\nseeds = [0, 9]\n\
                    [[grid]]\nkey = 'model.mean'\nvalues = [2, 4]\n\
                    [[grid]]\nkey = 'a.\"../B c\"'\nvalues = [1]\n\
                    [[grid]]\nkey = '\"ü\"'\nvalues = [1]\n\
                    [[list]]\nx = 1\n[[random]]\nkey = 'peak'\n\
                    distribution = { kind = 'uniform', low = 0, high = 1 }";
        let file = SweepFile::parse("sweep.toml", text).expect("a valid file");
        let (earlier, runs) = (expand(&file, Naming::Places), file.runs());
        assert_eq!(earlier[0].name, "mean0-bc0-axis0-list0-draw0-seed0");
        assert_eq!(earlier[3].name, "mean1-bc0-axis0-list0-draw0-seed9");
        for (one, other) in earlier.iter().zip(&runs) {
            assert_eq!((&one.sets, one.seed), (&other.sets, other.seed));
        }
    }

    #[test]
    fn names_are_unique_and_fit_for_any_file_system() {
        let runs = usual();
        let names: BTreeSet<&str> = runs.iter().map(|run| run.name.as_str()).collect();
        assert_eq!(names.len(), runs.len());
        let axis = |n: usize| {
            format!("[[grid]]\nkey = 'a_very_long_key_{n}_of_an_axis'\nvalues = [1, 2]\n")
        };
        let axes: String = (0..6).map(axis).collect();
        let runs = plan(&format!("seeds = [{}]\n{axes}", i64::MAX));
        let names: BTreeSet<&str> = runs.iter().map(|run| run.name.as_str()).collect();
        assert_eq!(names.len(), 64);
        assert!(names.iter().all(|name| name.len() < 200));
    }

    #[test]
    fn a_value_appended_to_an_axis_that_varies_renames_no_run() {
        let grown = [
            full("0, 9, 1", 3, "2, 4", "'x'", ""),
            full("0, 9", 4, "2, 4", "'x'", ""),
            full("0, 9", 3, "2, 4, 8", "'x'", ""),
            full("0, 9", 3, "2, 4", "'x'", "[[list]]\nshape.kind = 'c'"),
        ];
        for grown in grown {
            for run in usual() {
                let same = grown.iter().find(|other| other.name == run.name);
                let same = same.map(|other| (&other.sets, other.seed));
                assert_eq!(same, Some((&run.sets, run.seed)));
            }
        }
    }

    #[test]
    fn draws_are_the_same_for_every_other_setting() {
        let runs = usual();
        let peak = |run: &Planned| run.sets.iter().find(|(key, _)| key == "peak").cloned();
        for run in &runs {
            let draw = |run: &Planned| run.name.split(',').nth(2).map(str::to_owned);
            for other in &runs {
                assert_eq!(draw(run) == draw(other), peak(run) == peak(other));
            }
        }
    }

    #[test]
    fn the_files_of_the_project_expand() {
        let count = |text| {
            let file = SweepFile::parse("sweep.toml", text).expect("a valid file");
            let runs = file.runs();
            let distinct: BTreeSet<String> =
                runs.iter().map(|run| run.assignments().join(" ")).collect();
            assert_eq!(distinct.len(), runs.len());
            runs.len()
        };
        assert_eq!(
            count(include_str!("../../../configs/sweeps/depth.toml")),
            54
        );
        assert_eq!(
            count(include_str!("../../../configs/sweeps/lr-schedules.toml")),
            54
        );
        assert_eq!(
            count(include_str!(
                "../../../configs/field/sheets/injections.toml"
            )),
            36
        );
        assert_eq!(
            count(include_str!(
                "../../../configs/field/sheets/fixed-or-random.toml"
            )),
            12
        );
    }

    #[test]
    fn assignments_give_a_configuration_the_values_as_they_were_written() {
        let text = "[[list]]\n\
                    \"a.b\" = { kind = 'x y', at = [1, { c = \"q\\\"=\\n\" }], empty = {} }\n\
                    \"a.text\" = '1'\n\"a.float\" = 1e-300\n\"a.whole\" = 3.0\n\"a.\\\"k.l\\\"\" = true";
        let run = &plan(&format!("seeds = [5]\n{text}"))[0];
        let mut base = Document::parse("base.toml", "[a]\nb = 3").expect("TOML");
        for assignment in run.assignments() {
            base.set(&assignment);
        }
        let read = base.table().expect("values");
        for (key, value) in &run.sets {
            let path = path::parse(key).expect("a key");
            let mut place = &toml::Value::Table(read.clone());
            for part in &path {
                place = &place[part.as_str()];
            }
            assert_eq!(place, value, "{key}");
        }
        assert_eq!(run.sets.len(), 5);
        assert_eq!(read["run"]["seed"], toml::Value::Integer(5));
    }
}
