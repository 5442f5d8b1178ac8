//! Groups items into strata by a field.

use std::collections::BTreeMap;

use super::Items;
use crate::error::{Result, TaskError};

/// The name of the stratum that holds the items without the field.
const WITHOUT: &str = "(without)";

/// Returns the strata of the `chosen` items by a field. If all values are numbers, the strata are
/// in ascending order, otherwise in alphabetical order. The items without the field come last.
///
/// # Errors
///
/// No item of the task has the field.
pub(super) fn strata(
    items: &Items<'_>,
    field: &str,
    chosen: &[usize],
) -> Result<Vec<(String, Vec<usize>)>> {
    if !items.fields.iter().any(|fields| fields.contains_key(field)) {
        let known: std::collections::BTreeSet<&str> = items
            .fields
            .iter()
            .flat_map(|fields| fields.keys().map(String::as_str))
            .collect();
        let known = match known.is_empty() {
            true => "its items have no fields".to_owned(),
            false => format!(
                "fields here: {}",
                known.into_iter().collect::<Vec<_>>().join(", ")
            ),
        };
        return Err(TaskError::file(
            items.file,
            format!("no item has the field `{field}` to put items into strata by; {known}"),
        ));
    }
    let mut named: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut without = Vec::new();
    for item in chosen {
        match items.fields[*item].get(field) {
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
    use crate::rows::Plan;
    use crate::rules::Rules;
    use crate::tests::task;

    #[test]
    fn numbers_are_in_rising_order_and_items_without_the_field_come_last() {
        let task = task(&[
            r#"{"text":"a","hops":10}"#,
            r#"{"text":"b"}"#,
            r#"{"text":"c","hops":2}"#,
            r#"{"text":"d","hops":10}"#,
        ]);
        let items = Items::of(&task, &Plan::default(), Rules::LmEval, 0);
        let found = strata(&items, "hops", &[0, 1, 2, 3]).expect("a field");
        let expected = [("2", vec![2]), ("10", vec![0, 3]), (WITHOUT, vec![1])];
        assert_eq!(
            found,
            expected.map(|(name, items)| (name.to_owned(), items))
        );
        let message = strata(&items, "area", &[0])
            .expect_err("no such field")
            .to_string();
        assert!(
            message.contains("no item has the field `area`")
                && message.contains("fields here: hops")
        );
    }
}
