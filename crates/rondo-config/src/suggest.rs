//! Finds the known word that the user probably meant.

use std::collections::BTreeSet;

/// Returns the nearest known word, if at most a third of the letters differ.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let word = word.to_lowercase();
    known
        .into_iter()
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&word, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, candidate)| {
            let longer = word.chars().count().max(candidate.chars().count());
            *distance <= longer.div_ceil(3) && *distance < longer
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate.to_owned())
}

/// Finds a key of another section that probably means the same as `name`: all words of `name` occur
/// in the key, and all words of the key's last part occur in `name`. Returns the shortest such key.
///
/// `mean_recurrence` finds `model.recurrence.mean`.
pub(crate) fn elsewhere(name: &str, known: &[String]) -> Option<String> {
    let wanted = words(name);
    known
        .iter()
        .filter(|key| {
            let last = key.rsplit('.').next().unwrap_or(key);
            wanted.is_subset(&words(key)) && words(last).is_subset(&wanted)
        })
        .min_by_key(|key| key.len())
        .cloned()
}

fn words(key: &str) -> BTreeSet<&str> {
    key.split(['.', '_', '-'])
        .filter(|word| !word.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_finds_its_neighbour_and_a_strange_one_nothing() {
        let known = ["raven-adam", "adamw", "muon", "recurrence", "lr"];
        let find = |word| nearest(word, known);
        assert_eq!(find("adan").as_deref(), Some("adamw"));
        assert_eq!(find("AdamW").as_deref(), Some("adamw"));
        assert_eq!(find("recurence").as_deref(), Some("recurrence"));
        assert_eq!(find("rl").as_deref(), Some("lr"));
        assert_eq!(find("x"), None);
        assert_eq!(find("tokenizer"), None);
    }

    #[test]
    fn a_key_in_the_wrong_section_finds_the_right_one() {
        let known = ["model.recurrence.mean", "model.d_model", "train.lr"].map(str::to_owned);
        assert_eq!(
            elsewhere("mean_recurrence", &known).as_deref(),
            Some("model.recurrence.mean")
        );
        assert_eq!(
            elsewhere("mean", &known).as_deref(),
            Some("model.recurrence.mean")
        );
        assert_eq!(
            elsewhere("d_model", &known).as_deref(),
            Some("model.d_model")
        );
        assert_eq!(elsewhere("model", &known), None);
        assert_eq!(elsewhere("___", &known), None);
    }
}
