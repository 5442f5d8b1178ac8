//! `trainer explain`: explains a key of a configuration, a verdict or a term.
//!
//! The meaning, the default and the range of a key come from the configuration types, as in their
//! JSON Schema. The advice and the source come from `advice.toml`.

mod advice;
mod command_line;
pub(crate) mod commented;
mod exit_codes;
pub(super) mod markdown;
mod page;
mod paragraph;
mod topics;

use rondo_config::reference::{Key, keys};
use rondo_sweep::SweepFile;
use rondo_train::config::file::FileHead;
use rondo_train::config::{RunConfig, alias};
use rondo_train::error::{Error, Result};
use serde_json::{Value, json};

use self::advice::Advice;
use self::topics::{TOPICS, Topic};
use crate::cli::{ExplainArgs, ReferencePage};
use crate::terminal;

/// Prints the explanation of a word, or the list of all words.
///
/// # Errors
///
/// Returns an error if no key or topic has this name. The message proposes the nearest name.
pub(crate) fn command(args: &ExplainArgs) -> Result<()> {
    let reference = Reference::new();
    if let Some(page) = args.markdown {
        return terminal::print(&match page {
            ReferencePage::Keys => markdown::page(&reference),
            ReferencePage::Commands => command_line::page(),
            ReferencePage::Metrics => super::metrics::page(),
            ReferencePage::ExitCodes => exit_codes::page(),
        });
    }
    let Some(word) = &args.word else {
        return match args.json.json {
            true => terminal::print_json(&reference.to_json()),
            false => terminal::print(&page::list(&reference)),
        };
    };
    let found = reference.look_up(word)?;
    match args.json.json {
        true => terminal::print_json(&found.to_json(&reference)),
        false => terminal::print(&page::answer(&reference, &found)),
    }
}

/// Everything that a user can look up.
struct Reference {
    run: Vec<Key>,
    sweep: Vec<Key>,
    advice: Advice,
}

/// The result of a search.
enum Found<'r> {
    Keys(Vec<&'r Key>),
    Topic(&'static Topic),
}

impl Reference {
    fn new() -> Self {
        Self {
            run: [keys::<FileHead>(), keys::<RunConfig>()].concat(),
            sweep: keys::<SweepFile>(),
            advice: Advice::new(),
        }
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        self.run.iter().chain(&self.sweep)
    }

    /// Finds what a name stands for: a topic, a key, all keys that end with the name, or the key
    /// that other trainers call by this name.
    fn look_up(&self, word: &str) -> Result<Found<'_>> {
        let wanted = plain(word);
        if let Some(topic) = TOPICS.iter().find(|topic| topic.is_called(word)) {
            return Ok(Found::Topic(topic));
        }
        let whole = |wanted: &str| -> Vec<&Key> {
            self.keys()
                .filter(|key| plain(&key.path) == wanted)
                .collect()
        };
        let ending = format!(".{wanted}");
        let ending = || -> Vec<&Key> {
            self.keys()
                .filter(|key| plain(&key.path).ends_with(&ending))
                .collect()
        };
        let elsewhere = || alias(word).map(whole).unwrap_or_default();
        let found = [whole(&wanted), ending(), elsewhere()]
            .into_iter()
            .find(|found| !found.is_empty());
        found.map(Found::Keys).ok_or_else(|| self.nothing(word))
    }

    /// Returns the error for an unknown name. Its message proposes the nearest known name.
    fn nothing(&self, word: &str) -> Error {
        let wanted = plain(word);
        let last = wanted.rsplit('.').next().unwrap_or(&wanted).to_owned();
        let mut names: Vec<String> = self.keys().map(|key| plain(&key.path)).collect();
        let parts: Vec<String> = names
            .iter()
            .filter_map(|name| Some(name.rsplit('.').next()?.to_owned()))
            .collect();
        names.extend(parts);
        names.extend(TOPICS.iter().map(|topic| topic.name.to_owned()));
        let known = || names.iter().map(String::as_str);
        let nearest = rondo_config::nearest(&wanted, known())
            .or_else(|| rondo_config::nearest(&last, known()));
        let hint = match nearest {
            Some(name) => format!("did you mean `{name}`?"),
            None => "`trainer explain` lists all of them".to_owned(),
        };
        Error::Usage(format!(
            "no key, verdict or term is called `{word}`; {hint}"
        ))
    }

    fn to_json(&self) -> Value {
        let run: Vec<Value> = self.run.iter().map(|key| self.key_to_json(key)).collect();
        let sweep: Vec<Value> = self.sweep.iter().map(|key| self.key_to_json(key)).collect();
        json!({
            "keys": run,
            "sweep_keys": sweep,
            "topics": TOPICS.iter().map(Topic::to_json).collect::<Vec<_>>(),
        })
    }

    fn key_to_json(&self, key: &Key) -> Value {
        let advice = self.advice.of(key);
        json!({
            "key": key.path,
            "of": key.variants,
            "meaning": key.meaning,
            "form": key.form,
            "default": key.default,
            "required": key.is_required,
            "range": key.range,
            "words": key.words.iter().map(|(word, meaning)| json!({"word": word, "meaning": meaning})).collect::<Vec<_>>(),
            "unit": advice.and_then(|it| it.unit.clone()),
            "when": advice.map(|it| it.when.clone()),
            "source": advice.and_then(|it| it.source.clone()),
            "section": key.is_section,
            "same_as": key.same_as,
        })
    }
}

impl Found<'_> {
    fn to_json(&self, reference: &Reference) -> Value {
        match self {
            Self::Topic(topic) => json!({ "topic": topic.to_json() }),
            Self::Keys(keys) => {
                let keys: Vec<Value> = keys.iter().map(|key| reference.key_to_json(key)).collect();
                json!({ "keys": keys })
            }
        }
    }
}

/// Removes the marks and the indices of arrays from a dotted key: `perturb[].at_step` and
/// `perturb.0.at_step` become `perturb.at_step`.
fn plain(key: &str) -> String {
    let parts = key.trim().trim_matches(['[', ']']).replace("[]", "");
    let parts: Vec<&str> = parts
        .split('.')
        .filter(|part| part.parse::<usize>().is_err())
        .collect();
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(word: &str) -> Vec<String> {
        match Reference::new().look_up(word) {
            Ok(Found::Keys(keys)) => keys.into_iter().map(|key| key.path.clone()).collect(),
            Ok(Found::Topic(topic)) => vec![format!("topic {}", topic.name)],
            Err(error) => vec![error.to_string()],
        }
    }

    #[test]
    fn a_key_is_found_whole_by_its_end_and_by_the_name_that_others_have_for_it() {
        for word in ["schedule.peak", "peak", "lr", "optimizer.lr"] {
            assert_eq!(paths(word), ["schedule.peak"], "{word}");
        }
        assert_eq!(paths("perturb.0.at_step"), ["perturb[].at_step"; 4]);
        assert_eq!(paths("[train]"), ["train"]);
        assert_eq!(paths("grid.key"), ["grid[].key"]);
        assert_eq!(
            paths("hidden-state-collapse"),
            ["topic hidden-state-collapse"]
        );
    }

    #[test]
    fn an_unknown_word_is_answered_with_the_nearest() {
        let told = paths("schedule.paek").remove(0);
        assert!(told.ends_with("did you mean `schedule.peak`?"), "{told}");
        let told = paths("zzzzzzzz").remove(0);
        assert!(
            told.ends_with("`trainer explain` lists all of them"),
            "{told}"
        );
    }
}
