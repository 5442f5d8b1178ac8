//! Tests with hostile documents: mutated, deeply nested, huge, or full of errors.

use super::*;

/// A linear congruential generator (Knuth, MMIX). Its quality is sufficient to vary a text.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

#[test]
fn no_cut_flipped_or_spliced_document_or_override_panics() {
    let mut dice = Dice(7);
    let mut read = 0;
    for _ in 0..3000 {
        let mut bytes = VALID.as_bytes().to_vec();
        for _ in 0..=dice.below(3) {
            let at = dice.below(bytes.len());
            match dice.below(4) {
                0 => bytes.truncate(at.max(1)),
                1 => bytes[at] ^= 1 << dice.below(8),
                2 => bytes.insert(at, b"[]{}=.\"'\n#,09-e\xff"[dice.below(16)]),
                _ => drop(bytes.drain(at..(at + dice.below(9)).min(bytes.len() - 1).max(at))),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        match Document::parse("mutated.toml", &text).and_then(|mut document| {
            let at = dice.below(bytes.len());
            document.set(&String::from_utf8_lossy(
                &bytes[at..(at + 30).min(bytes.len())],
            ));
            document.read::<Run>()
        }) {
            Ok(_) => read += 1,
            Err(violations) => {
                assert!(!violations.is_empty() && !violations.to_string().is_empty());
            }
        }
    }
    assert!(read > 0, "some mutations are harmless");
}

#[test]
fn deep_nesting_is_a_violation_not_a_stack_overflow() {
    let level = "a.".repeat(78);
    for text in [
        format!("seed = {}{}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("seed = {}", "{a=".repeat(100_000)),
        format!("{}a = 1", "a.".repeat(100_000)),
        format!(
            "{level}a = {}1{}",
            format!("{{{level}a = ").repeat(78),
            "}".repeat(78)
        ),
        format!("{level}a = 1"),
        format!("seed = {}1{}", "[".repeat(70), "]".repeat(70)),
    ] {
        let violations = Document::parse("deep.toml", &text).expect_err("it is too deep");
        assert_eq!(violations.len(), 1);
        assert!(check_as::<Run>("", &[&text]).len() <= 2);
    }
}

#[test]
fn a_huge_document_reads_and_a_hopeless_one_ends() {
    let huge = format!("[schedule]\nknots = [{}]\n{VALID}", "1, ".repeat(200_000))
        .replacen(
            "[schedule]\nknots = [1, 2.5]\nnames = [\"a\", \"b\"]",
            "",
            1,
        )
        .replacen("name = \"main\"\nseed = 18446744073709551615", "", 1);
    let run = Document::parse("huge.toml", &huge).and_then(|document| document.read::<Run>());
    assert_eq!(run.map(|run| run.schedule.knots.len()), Ok(200_000));

    let hopeless = "[[perturb]]\nkind = 'rate'\n".repeat(1000);
    let found = check_as::<Run>(&hopeless, &[]);
    assert!(found.len() > 30, "{}", found.len());
    assert_eq!(
        found.last().map(String::as_str),
        Some("- there may be more problems; correct these first")
    );
}

#[test]
fn a_hopeless_document_that_is_huge_ends_after_its_first_problems() {
    let knots = "1, ".repeat(100_000);
    let perturb = "[[perturb]]\nkind = 'noise'\nat = 'x'\nscale = 'x'\n".repeat(100);
    let found = check_as::<Run>(&format!("[schedule]\nknots = [{knots}]\n{perturb}"), &[]);
    assert!((2..100).contains(&found.len()), "{found:?}");
    assert_eq!(
        found.last().map(String::as_str),
        Some("- there may be more problems; correct these first")
    );
}
