//! The section of the page that shows the texts that runs wrote after the prompts of `[eval]`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rondo_figures::chart::escaped;
use rondo_metrics::sample::printable;
use rondo_metrics::{History, Sample};
use rondo_train::run_history::RunHistory;

/// The maximum number of evaluations that are shown for a run.
const EVALUATIONS: usize = 20;

/// The texts of a run after one prompt. For each step, there is a text for each depth.
type Texts = BTreeMap<u64, Vec<(usize, String)>>;

/// Returns the section as HTML. The newest texts of all runs are side by side; earlier texts are
/// folded. The section is empty if no run has texts.
pub(super) fn section(runs: &[RunHistory]) -> String {
    let named = |run: &RunHistory| (run.name.clone(), by_prompt(&run.history));
    of_runs(&runs.iter().map(named).collect::<Vec<_>>())
}

/// Returns the texts of a run by prompt. The prompts have the order of their first appearance.
fn by_prompt(history: &History) -> Vec<(String, Texts)> {
    let mut found: Vec<(String, Texts)> = Vec::new();
    for record in history.records() {
        let Some(Sample { prompt, texts }) = Sample::read(record) else {
            continue;
        };
        let place = found.iter().position(|(known, _)| *known == prompt);
        let place = place.unwrap_or_else(|| {
            found.push((prompt, Texts::new()));
            found.len() - 1
        });
        found[place].1.insert(record.step, texts);
    }
    found
}

fn of_runs(runs: &[(String, Vec<(String, Texts)>)]) -> String {
    let mut prompts: Vec<&str> = Vec::new();
    for (prompt, _) in runs.iter().flat_map(|(_, found)| found) {
        if !prompts.contains(&prompt.as_str()) {
            prompts.push(prompt);
        }
    }
    let mut html = String::new();
    if prompts.is_empty() {
        return html;
    }
    html.push_str("<h2>Text after prompts</h2>\n");
    for prompt in prompts {
        let _ = writeln!(html, "<h3 class=\"text\">{}</h3>", markup(prompt));
        let of_prompt = runs.iter().filter_map(|(run, found)| {
            let texts = found.iter().find(|(known, _)| known == prompt)?;
            Some((run.as_str(), &texts.1))
        });
        let of_prompt: Vec<(&str, &Texts)> = of_prompt.collect();
        open_table(&mut html);
        for (run, texts) in &of_prompt {
            let newest = texts.iter().next_back();
            newest
                .into_iter()
                .for_each(|(step, texts)| add_rows(&mut html, run, *step, texts));
        }
        html.push_str("</table></div>\n");
        for (run, texts) in of_prompt.iter().filter(|(_, texts)| texts.len() > 1) {
            let _ = writeln!(
                html,
                "<details><summary>{} over its steps</summary>",
                markup(run)
            );
            open_table(&mut html);
            for (step, texts) in spread(texts) {
                add_rows(&mut html, run, step, texts);
            }
            html.push_str("</table></div></details>\n");
        }
    }
    html
}

/// Chooses at most [`EVALUATIONS`] evenly spaced evaluations of a run. The first and the last
/// evaluation are among them.
fn spread(texts: &Texts) -> Vec<(u64, &[(usize, String)])> {
    let all: Vec<(u64, &[(usize, String)])> = texts
        .iter()
        .map(|(step, texts)| (*step, texts.as_slice()))
        .collect();
    let last = all.len() - 1;
    if last < EVALUATIONS {
        return all;
    }
    (0..EVALUATIONS)
        .map(|i| all[i * last / (EVALUATIONS - 1)])
        .collect()
}

fn open_table(html: &mut String) {
    html.push_str(
        "<div class=\"wide\" tabindex=\"0\"><table>\n<tr><th class=\"word\">run</th><th>step</th><th>recurrence</th>\
         <th class=\"word\">text</th></tr>\n",
    );
}

/// Adds a row for each depth of one evaluation.
fn add_rows(html: &mut String, run: &str, step: u64, texts: &[(usize, String)]) {
    for (depth, text) in texts {
        let _ = writeln!(
            html,
            "<tr><td class=\"word\">{}</td><td>{step}</td><td>{depth}</td><td class=\"text\">{}</td></tr>",
            markup(run),
            markup(text)
        );
    }
}

/// Escapes text for HTML. Makes control characters visible, except line ends and tabs.
fn markup(text: &str) -> String {
    escaped(&printable(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(steps: &[u64], prompt: &str, text: &str) -> History {
        let record = |step: &u64| {
            let sample = Sample {
                prompt: prompt.to_owned(),
                texts: vec![(1, text.to_owned()), (4, format!("{text}{step}"))],
            };
            sample.record(*step, 0).expect("two depths")
        };
        History::new(steps.iter().map(record).collect())
    }

    fn section_of(histories: &[(&str, History)]) -> String {
        let named = |(run, history): &(&str, History)| ((*run).to_owned(), by_prompt(history));
        of_runs(&histories.iter().map(named).collect::<Vec<_>>())
    }

    #[test]
    fn each_prompt_has_the_newest_text_of_every_run_at_every_depth() {
        let html = section_of(&[
            ("a", history(&[4, 8], "ROMEO:", "x")),
            ("b", history(&[6], "ROMEO:", "y")),
            ("c", History::default()),
        ]);
        assert_eq!(html.matches("<h3 class=\"text\">ROMEO:</h3>").count(), 1);
        let (newest, folded) = html.split_once("<details>").expect("run a has two");
        for (step, text) in [(8, "x8"), (6, "y6")] {
            let row = format!("<td>{step}</td><td>4</td><td class=\"text\">{text}</td>");
            assert!(newest.contains(&row), "{newest}");
        }
        assert!(!newest.contains("x4") && folded.contains("x4"));
        assert_eq!(html.matches("<details>").count(), 1);
    }

    #[test]
    fn nothing_is_said_where_no_run_has_texts() {
        assert_eq!(section_of(&[("a", History::default())]), "");
    }

    #[test]
    fn texts_cannot_become_markup() {
        let html = section_of(&[("<i>", history(&[1], "<b>", "<script>&\n\u{7}"))]);
        assert!(html.contains("&lt;script&gt;&amp;\n\\u{7}"), "{html}");
        for raw in ["<script>", "<b>", "<i>"] {
            assert!(!html.contains(raw), "{html}");
        }
    }

    #[test]
    fn of_many_evaluations_twenty_are_shown_with_the_first_and_the_last() {
        let steps: Vec<u64> = (0..100).collect();
        let found = by_prompt(&history(&steps, "p", "x"));
        let shown = spread(&found[0].1);
        assert_eq!(shown.len(), EVALUATIONS);
        assert_eq!((shown[0].0, shown[EVALUATIONS - 1].0), (0, 99));
    }
}
