//! Formats the answers of `trainer explain` as text.

use rondo_config::reference::Key;

use super::paragraph::paragraph;
use super::topics::{TOPICS, Topic};
use super::{Found, Reference};

const INDENT: &str = "    ";
/// The width of the names in a list, in columns.
const NAME: usize = 26;

/// Lists every key and topic. Each takes one or two lines.
pub(super) fn list(reference: &Reference) -> String {
    let mut lines = Vec::new();
    for (title, keys) in [
        ("Keys of a run configuration", &reference.run),
        ("Keys of a sweep file", &reference.sweep),
    ] {
        lines.push(title.to_owned());
        for key in keys {
            lines.extend(line(key));
        }
        lines.push(String::new());
    }
    lines.push("Verdicts and terms".to_owned());
    for topic in &TOPICS {
        lines.extend(entry(topic.name, topic.summary));
    }
    lines.push(String::new());
    lines.push(
        "trainer explain KEY says when to change a key, its range and its source.".to_owned(),
    );
    lines.join("\n")
}

/// Returns the lines about a key or section in the list, with the first sentence of its meaning.
fn line(key: &Key) -> Vec<String> {
    match key.is_section {
        true => entry(&format!("[{}]", key.path), &first_sentence(&key.meaning)),
        false => entry(&key.path, &first_sentence(&key.meaning)),
    }
}

fn entry(name: &str, text: &str) -> Vec<String> {
    let rest = " ".repeat(NAME + 4);
    match name.chars().count() <= NAME {
        true => paragraph(text, &format!("  {name:<NAME$}  "), &rest),
        false => {
            let mut lines = vec![format!("  {name}")];
            lines.extend(paragraph(text, &rest, &rest));
            lines
        }
    }
}

fn first_sentence(text: &str) -> String {
    let paragraph = text.lines().next().unwrap_or_default();
    match paragraph.find(". ") {
        Some(end) => paragraph[..=end].to_owned(),
        None => paragraph.to_owned(),
    }
}

/// Explains the keys or the topic that a search found.
pub(super) fn answer(reference: &Reference, found: &Found<'_>) -> String {
    let lines = match found {
        Found::Topic(topic) => explain_topic(topic),
        Found::Keys(keys) => {
            let explained = keys.iter().map(|key| explain_key(reference, key));
            explained.collect::<Vec<_>>().join(&String::new())
        }
    };
    lines.join("\n")
}

fn explain_topic(topic: &Topic) -> Vec<String> {
    let mut lines = vec![topic.name.to_owned()];
    for (label, text) in topic.parts() {
        lines.extend(labelled(label, text));
    }
    lines
}

fn explain_key(reference: &Reference, key: &Key) -> Vec<String> {
    let mut lines = paragraph(&heading(key), "", INDENT);
    for text in key.meaning.lines() {
        lines.extend(paragraph(text, INDENT, INDENT));
    }
    if !key.variants.is_empty() {
        lines.extend(labelled("of", &key.variants.join(", ")));
    }
    let advice = reference.advice.of(key);
    if let Some(unit) = advice.and_then(|it| it.unit.as_deref()) {
        lines.extend(labelled("unit", unit));
    }
    let words: Vec<String> = key
        .words
        .iter()
        .flat_map(|(word, meaning)| {
            let first = format!("{INDENT}        {word}: ");
            paragraph(
                &meaning.replace('\n', " "),
                &first,
                &format!("{INDENT}            "),
            )
        })
        .collect();
    if !words.is_empty() {
        lines.push(format!("{INDENT}values"));
        lines.extend(words);
    }
    if let Some(advice) = advice {
        lines.extend(labelled("change", &advice.when));
        if let Some(source) = &advice.source {
            lines.extend(labelled("source", source));
        }
    }
    if let Some(other) = &key.same_as {
        lines.extend(labelled("keys", &format!("those of {other}")));
    }
    let below = format!("{}.", key.path);
    for inner in reference
        .keys()
        .filter(|inner| inner.path.starts_with(&below))
    {
        lines.extend(line(inner));
    }
    lines
}

/// Returns the line with the key, the form of its value, its default and its range.
fn heading(key: &Key) -> String {
    let default = match (&key.default, key.is_required) {
        (Some(default), _) => Some(format!("default {default}")),
        (None, true) => Some("required".to_owned()),
        (None, false) => None,
    };
    let form = match key.words.is_empty() {
        true => Some(key.form.clone()),
        false => None,
    };
    let about: Vec<String> = [form, default, key.range.clone()]
        .into_iter()
        .flatten()
        .collect();
    match (key.is_section, about.is_empty()) {
        (true, _) => format!("[{}]", key.path),
        (false, true) => key.path.clone(),
        (false, false) => format!("{} ({})", key.path, about.join(", ")),
    }
}

fn labelled(label: &str, text: &str) -> Vec<String> {
    let rest = " ".repeat(INDENT.len() + 8);
    paragraph(text, &format!("{INDENT}{label:<8}"), &rest)
}

#[cfg(test)]
mod tests {
    use super::super::paragraph::WIDTH;
    use super::*;

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        let reference = Reference::new();
        let mut text = list(&reference);
        for key in reference.keys() {
            text.push('\n');
            text.push_str(&answer(&reference, &Found::Keys(vec![key])));
        }
        for topic in &TOPICS {
            text.push('\n');
            text.push_str(&answer(&reference, &Found::Topic(topic)));
        }
        for line in text.lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
    }

    #[test]
    fn an_answer_has_meaning_unit_default_range_advice_and_source() {
        let reference = Reference::new();
        let mean = reference.look_up("model.recurrence.mean").expect("a key");
        let text = answer(&reference, &mean);
        for part in [
            "model.recurrence.mean (a positive whole number, default 16",
            "Mean recurrence r̄.",
            "unit    iterations",
            "change  More iterations",
            "source  Geiping et al. 2025, arXiv 2502.05171",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
