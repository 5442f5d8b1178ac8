//! Default names of runs. They consist of the name of the configuration file and the settings.

use std::collections::BTreeMap;
use std::path::Path;

use rondo_config::TAG;

/// The file name of the configuration in a run directory. A run that is started from a file with
/// this name is named after the folder.
const OF_A_RUN: &str = "config.toml";
/// The maximum length of a value in a name, in characters.
const VALUE: usize = 24;
/// The maximum length of all settings in a name, in characters.
const SETTINGS: usize = 80;
/// The number of hexadecimal digits of the hash that follows if the name leaves something out.
const DIGITS: usize = 8;

/// Returns the name of the file at `path` without its extension. For a `config.toml`, returns the
/// name of its folder; for a configuration from a pipe, returns `stdin`.
pub fn of_config(path: &Path) -> String {
    if path.starts_with("/dev") || path.starts_with("/proc") {
        return "stdin".to_owned();
    }
    let folder = || {
        let parent = path.parent()?;
        match parent.file_name() {
            Some(name) => Some(name.to_owned()),
            // The paths `config.toml` and `../config.toml` have no name of a folder.
            None => {
                let here = match parent.as_os_str().is_empty() {
                    true => Path::new("."),
                    false => parent,
                };
                Some(here.canonicalize().ok()?.file_name()?.to_owned())
            }
        }
    };
    let is_of_a_run = path.file_name().is_some_and(|name| name == OF_A_RUN);
    let name = is_of_a_run.then(folder).flatten();
    let name = name.unwrap_or_else(|| path.file_stem().unwrap_or(path.as_os_str()).to_owned());
    name.to_string_lossy().into_owned()
}

/// Returns the part of a run's name that describes its settings, for example `seed=1+peak=1e-3`.
/// `settings` are dotted keys with values in TOML. `None` if there are no settings.
///
/// Of a key, the last part is used; of a number, the shortest form. Only letters, digits and
/// `.+-_=` are used. If this leaves something out, the first digits of a hash of all settings
/// follow.
pub fn of_settings(settings: &BTreeMap<String, String>) -> Option<String> {
    if settings.is_empty() {
        return None;
    }
    let short: Vec<String> = settings.keys().map(|key| last_part(key)).collect();
    let mut is_whole = true;
    let mut parts = Vec::new();
    for ((key, value), name) in settings.iter().zip(&short) {
        let is_alone = short.iter().filter(|other| *other == name).count() == 1;
        let name = plain(if is_alone { name } else { key }, &mut is_whole);
        let value = plain(&shown(value), &mut is_whole);
        let kept: String = value.chars().take(VALUE).collect();
        is_whole &= kept == value;
        parts.push(match kept.is_empty() {
            true => name,
            false => format!("{name}={kept}"),
        });
    }
    let all = parts.join("+");
    let kept: String = all.chars().take(SETTINGS).collect();
    if is_whole && kept == all {
        return Some(all);
    }
    let mut hasher = blake3::Hasher::new();
    for (key, value) in settings {
        hasher.update(format!("{key}={value}\n").as_bytes());
    }
    let digits = &hasher.finalize().to_hex()[..DIGITS];
    Some(format!("{kept}-{digits}"))
}

/// Returns the last part of a dotted key. If this part alone has no meaning, the part before it is
/// included.
fn last_part(key: &str) -> String {
    let parts: Vec<&str> = key.split('.').collect();
    let says_nothing = |part: &&str| *part == TAG || part.chars().all(|c| c.is_ascii_digit());
    let from = match parts.last() {
        Some(last) if says_nothing(last) => parts.len().saturating_sub(2),
        _ => parts.len() - 1,
    };
    parts[from..].join(".")
}

/// Returns a value in the form used in names: a number in its shortest form, a string or a list
/// without its delimiters.
fn shown(value: &str) -> String {
    if value.parse::<i128>().is_err()
        && let Ok(number) = value.parse::<f64>()
    {
        let forms = [format!("{number}"), format!("{number:e}")];
        return match forms[1].len() < forms[0].len() {
            true => forms[1].clone(),
            false => forms[0].clone(),
        };
    }
    let bare = value.trim_matches(['"', '\'', '[', ']', '{', '}']);
    bare.replace(", ", "_")
}

/// Replaces characters that should not be in a file name by `_`. If there are any, sets `is_whole`
/// to false.
fn plain(text: &str, is_whole: &mut bool) -> String {
    let mut plain = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || "._+-".contains(c) {
            plain.push(c);
        } else {
            *is_whole = false;
            if !plain.ends_with('_') {
                plain.push('_');
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(settings: &[(&str, &str)]) -> String {
        let settings = settings
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        of_settings(&settings.collect()).expect("settings")
    }

    #[test]
    fn a_run_is_called_after_its_file_its_folder_or_the_pipe() {
        for (path, name) in [
            ("configs/main.toml", "main"),
            ("main", "main"),
            ("runs/a/config.toml", "a"),
            ("/data/b c/config.toml", "b c"),
            ("/config.toml", "config"),
            ("/dev/fd/63", "stdin"),
            ("/dev/stdin", "stdin"),
            ("/proc/self/fd/0", "stdin"),
        ] {
            assert_eq!(of_config(Path::new(path)), name, "{path}");
        }
        // Tests run in the folder of this crate.
        assert_eq!(of_config(Path::new("config.toml")), "rondo-train");
        assert_eq!(of_config(Path::new("src/../config.toml")), "rondo-train");
    }

    #[test]
    fn settings_are_short_and_safe_in_a_file_system() {
        assert_eq!(named(&[("schedule.peak", "0.001")]), "peak=1e-3");
        assert_eq!(named(&[("schedule.peak", "0.5")]), "peak=0.5");
        assert_eq!(named(&[("train.batch", "100000")]), "batch=100000");
        assert_eq!(
            named(&[("run.seed", "1"), ("schedule.peak", "0.001")]),
            "seed=1+peak=1e-3"
        );
        assert_eq!(
            named(&[("optimizer.kind", "\"muon\"")]),
            "optimizer.kind=muon"
        );
        assert_eq!(named(&[("eval.recurrence.0", "4")]), "recurrence.0=4");
        assert_eq!(named(&[("a.list", "[1, 4]")]), "list=1_4");
        assert_eq!(named(&[("model.sparsity", "{}")]), "sparsity");
        assert_eq!(
            named(&[("model.a.mean", "1"), ("model.b.mean", "2")]),
            "model.a.mean=1+model.b.mean=2"
        );
    }

    #[test]
    fn what_is_not_shown_is_told_apart_by_a_hash() {
        let (slash, line) = (named(&[("a.p", "\"x/y\"")]), named(&[("a.p", "\"x_y\"")]));
        assert_eq!(line, "p=x_y");
        assert!(slash.starts_with("p=x_y-"), "{slash}");
        let long = "x".repeat(300);
        let (one, two) = (format!("{long}1"), format!("{long}2"));
        let (one, two) = (named(&[("a.p", &one)]), named(&[("a.p", &two)]));
        assert_ne!(one, two);
        assert!(one.len() <= 40, "{one}");
        let many: Vec<(String, String)> = (0..50)
            .map(|i| (format!("model.key_{i}"), "1".to_owned()))
            .collect();
        let name = of_settings(&many.into_iter().collect()).expect("settings");
        assert!(name.len() <= SETTINGS + 1 + DIGITS, "{name}");
    }
}
