//! Reads benchmark items and makes rows of them.

use rondo_tasks::item::Kind;
use rondo_tasks::prompt::Template;
use rondo_tasks::rows::{Window, plan};
use rondo_tasks::rules::Rules;
use rondo_tasks::task::Task;

use crate::scratch;

/// The number of positions in the model's context.
const CONTEXT: usize = 16;

/// Reads a file of benchmark items and makes rows of bytes from the items. It uses both scoring
/// rules, without examples and with one example.
///
/// Every row must fit the context, and the scored part of a row must lie within the row.
///
/// # Panics
///
/// Panics if one of these properties does not hold.
pub fn items(bytes: &[u8]) {
    let Ok(tasks) = Task::read_all(&scratch::file("items.jsonl", bytes)) else {
        return;
    };
    for task in &tasks {
        for (rules, shots) in [(Rules::LmEval, 0), (Rules::Core, 1)] {
            let template = Template {
                rules,
                delimiter: rules.delimiter(task.kind).to_owned(),
                shots,
            };
            let window = Window {
                context: CONTEXT,
                opening: 0,
            };
            let encode = |text: &str| Ok(text.bytes().map(u32::from).collect());
            let Ok(plan) = plan(task, &template, window, encode) else {
                continue;
            };
            assert_eq!(plan.items.len(), task.items.len());
            for row in &plan.rows {
                assert!(!row.targets.is_empty() && row.inputs.len() <= CONTEXT);
                assert_eq!(row.first + row.targets.len(), row.inputs.len());
            }
            assert!(task.kind != Kind::Generation || plan.rows.is_empty());
        }
    }
}
