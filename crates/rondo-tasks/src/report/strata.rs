//! Items by a field.

use std::collections::BTreeMap;

use crate::error::{Result, TaskError};
use crate::task::Task;

/// What items without the field are called.
const WITHOUT: &str = "(without)";

/// Returns the strata of `items` by a field: numbers in rising order, words in theirs, items without it last.
///
/// # Errors
///
/// Where no item of the task has the field.
pub(super) fn strata(
    task: &Task,
    field: &str,
    items: &[usize],
) -> Result<Vec<(String, Vec<usize>)>> {
    if !task
        .items
        .iter()
        .any(|item| item.fields.contains_key(field))
    {
        let known: std::collections::BTreeSet<&str> = task
            .items
            .iter()
            .flat_map(|item| item.fields.keys().map(String::as_str))
            .collect();
        let known = match known.is_empty() {
            true => "its items have no fields".to_owned(),
            false => format!(
                "fields here: {}",
                known.into_iter().collect::<Vec<_>>().join(", ")
            ),
        };
        return Err(TaskError::file(
            &task.path,
            format!("no item has the field `{field}` to put items into strata by; {known}"),
        ));
    }
    let mut named: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut without = Vec::new();
    for item in items {
        match task.items[*item].fields.get(field) {
            Some(value) => named.entry(value).or_default().push(*item),
            None => without.push(*item),
        }
    }
    let mut strata: Vec<(String, Vec<usize>)> = named
        .into_iter()
        .map(|(name, items)| (name.to_owned(), items))
        .collect();
    let number = |name: &str| name.parse::<f64>().ok();
    if strata.iter().all(|(name, _)| number(name).is_some()) {
        let key = |name: &str| number(name).unwrap_or(f64::NAN);
        strata.sort_by(|(a, _), (b, _)| key(a).total_cmp(&key(b)));
    }
    if !without.is_empty() {
        strata.push((WITHOUT.to_owned(), without));
    }
    Ok(strata)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::task;

    #[test]
    fn numbers_are_in_rising_order_and_items_without_the_field_come_last() {
        let task = task(&[
            r#"{"text":"a","hops":10}"#,
            r#"{"text":"b"}"#,
            r#"{"text":"c","hops":2}"#,
            r#"{"text":"d","hops":10}"#,
        ]);
        let found = strata(&task, "hops", &[0, 1, 2, 3]).expect("a field");
        let expected = [("2", vec![2]), ("10", vec![0, 3]), (WITHOUT, vec![1])];
        assert_eq!(
            found,
            expected.map(|(name, items)| (name.to_owned(), items))
        );
        let message = strata(&task, "area", &[0])
            .expect_err("no such field")
            .to_string();
        assert!(
            message.contains("no item has the field `area`")
                && message.contains("fields here: hops")
        );
    }
}
