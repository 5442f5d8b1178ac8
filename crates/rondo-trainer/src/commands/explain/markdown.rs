//! Generates the book's page on keys: every key with its meaning and all its details.

use rondo_config::reference::Key;

use super::Reference;
use super::topics::TOPICS;

const HEAD: &str = "\
# Keys

Every key of a run configuration and of a sweep file, as `trainer explain KEY` prints it. The page is written by
`trainer explain --markdown` from the types that read the files and from the table beside them; a test compares it with the program.

A run configuration is one TOML file; its [JSON Schema](../../../../configs/schema/run.json) is for editors. `trainer --config FILE --print-config=commented` prints it whole, with the meaning of each
key. Lengths of schedules and curricula are steps, `{ tokens = N }` or `{ fraction = X }` of the run.
";

/// Returns the whole page.
pub(super) fn page(reference: &Reference) -> String {
    let mut lines = vec![HEAD.to_owned()];
    for (title, keys) in [
        ("Run configurations", &reference.run),
        ("Sweep files", &reference.sweep),
    ] {
        lines.push(format!("## {title}\n"));
        for key in keys {
            lines.extend(entry(reference, key));
        }
    }
    lines.push("## Verdicts and terms\n".to_owned());
    for topic in &TOPICS {
        lines.push(format!("**{}**\n", topic.name));
        for (label, text) in topic.parts() {
            lines.push(format!("* {label}: {}", escaped(text)));
        }
        lines.push(String::new());
    }
    lines.join("\n").trim_end().to_owned()
}

fn entry(reference: &Reference, key: &Key) -> Vec<String> {
    let mut lines = Vec::new();
    match key.is_section {
        true => lines.push(format!("### `[{}]`\n", key.path)),
        false => lines.push(format!("**`{}`**", key.path)),
    }
    lines.push(format!("{}\n", escaped(&key.meaning)));
    let advice = reference.advice.of(key);
    let default = match (&key.default, key.is_required) {
        (Some(default), _) => Some(format!("`{default}`")),
        (None, true) => Some("none; the key is required".to_owned()),
        (None, false) => None,
    };
    let form = (!key.is_section && key.words.is_empty()).then(|| key.form.clone());
    let of = (!key.variants.is_empty()).then(|| {
        let variants: Vec<String> = key.variants.iter().map(|one| format!("`{one}`")).collect();
        variants.join(", ")
    });
    let same_as = key
        .same_as
        .as_ref()
        .map(|other| format!("those of `{other}`"));
    for (label, text) in [
        ("of", of),
        ("value", form),
        ("default", default),
        ("range", key.range.clone()),
        ("unit", advice.and_then(|it| it.unit.clone())),
        ("change", advice.map(|it| escaped(&it.when))),
        ("source", advice.and_then(|it| it.source.clone())),
        ("keys", same_as),
    ] {
        lines.extend(text.map(|text| format!("* {label}: {text}")));
    }
    for (word, meaning) in &key.words {
        lines.push(format!(
            "* `{word}`: {}",
            escaped(&meaning.replace('\n', " "))
        ));
    }
    lines.push(String::new());
    lines
}

/// Escapes the characters that Markdown would interpret: angle brackets and stars outside code.
pub(in crate::commands) fn escaped(text: &str) -> String {
    let parts = text
        .split('`')
        .enumerate()
        .map(|(index, part)| match index % 2 {
            0 => part.replace('<', "&lt;").replace('*', "\\*"),
            _ => part.to_owned(),
        });
    parts.collect::<Vec<_>>().join("`")
}
