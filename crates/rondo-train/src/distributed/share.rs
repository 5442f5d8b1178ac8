//! Divides the micro-batches of a step among ranks.

use crate::error::{Error, Result};

/// The micro-batches of a step that a rank computes. Every rank computes equally many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The first micro-batch of the rank, counted from 0 within the step.
    pub first: usize,
    /// The number of micro-batches of the rank.
    pub count: usize,
    /// The number of micro-batches of the step.
    pub total: usize,
}

impl Share {
    /// Divides the `accumulation` micro-batches of a step equally among `ranks` ranks. Returns the
    /// share of `rank`.
    ///
    /// # Errors
    ///
    /// When the micro-batches cannot be divided equally. The message lists the possible numbers of
    /// ranks.
    pub fn of(accumulation: usize, rank: usize, ranks: usize) -> Result<Self> {
        if !accumulation.is_multiple_of(ranks) {
            return Err(Error::Usage(refusal(accumulation, ranks)));
        }
        let count = accumulation / ranks;
        Ok(Self {
            first: rank * count,
            count,
            total: accumulation,
        })
    }

    /// Returns the number of the rank's first micro-batch in step `step`, counted from the start of
    /// the run.
    pub(crate) fn first_number(&self, step: u64) -> u64 {
        (step - 1) * self.total as u64 + self.first as u64
    }

    /// Returns whether the gradient summed over all ranks has the same bits as in one process.
    pub fn has_the_bits_of_one_process(&self) -> bool {
        self.count.is_power_of_two() || self.count == self.total
    }
}

fn refusal(accumulation: usize, ranks: usize) -> String {
    let divisors: Vec<String> = (1..=accumulation)
        .filter(|count| accumulation.is_multiple_of(*count))
        .map(|count| count.to_string())
        .collect();
    let divisors = match divisors.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    };
    format!(
        "train.accumulation = {accumulation} cannot be shared by {ranks} ranks: start {divisors}, or set \
         train.accumulation to a multiple of {ranks}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rank_has_as_many_in_a_row() {
        let share = |rank| Share::of(8, rank, 4).expect("two each");
        let ranges: Vec<_> = (0..4)
            .map(|rank| (share(rank).first, share(rank).count))
            .collect();
        assert_eq!(ranges, [(0, 2), (2, 2), (4, 2), (6, 2)]);
        assert_eq!(
            (share(0).first_number(1), share(3).first_number(2)),
            (0, 14)
        );
    }

    #[test]
    fn what_cannot_be_shared_is_refused_with_what_can() {
        let told = Share::of(6, 0, 4).expect_err("six on four").to_string();
        assert_eq!(
            told,
            "train.accumulation = 6 cannot be shared by 4 ranks: start 1, 2, 3 or 6, or set train.accumulation \
             to a multiple of 4"
        );
        let told = Share::of(1, 0, 2).expect_err("one on two").to_string();
        assert!(told.contains("start 1, or set"), "{told}");
    }

    #[test]
    fn powers_of_two_on_each_rank_keep_the_bits() {
        for (accumulation, ranks, same) in [
            (8, 4, true),
            (6, 2, false),
            (6, 3, true),
            (6, 1, true),
            (12, 4, false),
            (4, 4, true),
        ] {
            let share = Share::of(accumulation, 0, ranks).expect("shared");
            assert_eq!(
                share.has_the_bits_of_one_process(),
                same,
                "{accumulation} on {ranks}"
            );
        }
    }
}
