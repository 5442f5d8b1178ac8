//! Finds the next pair to merge without counting every word again.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::mem;

use super::{Pair, WordCounts};

/// Words as sequences of ids, with the count of every adjacent pair kept up to date.
#[derive(Default)]
pub(super) struct Merger {
    words: Vec<(Vec<u32>, u64)>,
    counts: HashMap<Pair, u64>,
    /// For each pair, the words that contain it, or that contained it earlier. A word may be listed
    /// twice.
    places: HashMap<Pair, Vec<usize>>,
    /// Pairs whose count rose since the queue was last filled.
    raised: Vec<Pair>,
    /// Every pair, with a count that is at least its current count. An outdated entry is corrected
    /// when it is popped.
    queue: BinaryHeap<(u64, Reverse<Pair>)>,
}

impl Merger {
    /// Counts the pairs of words, spelt in bytes.
    pub(super) fn new(words: &WordCounts, byte_of: &BTreeMap<char, u32>) -> Self {
        let mut merger = Self::default();
        for (place, (word, count)) in words.0.iter().enumerate() {
            let ids: Vec<u32> = word.chars().map(|c| byte_of[&c]).collect();
            for pair in ids.windows(2) {
                merger.raise((pair[0], pair[1]), *count, place);
            }
            merger.words.push((ids, *count));
        }
        merger.queue_raised();
        merger
    }

    fn raise(&mut self, pair: Pair, by: u64, place: usize) {
        *self.counts.entry(pair).or_default() += by;
        let places = self.places.entry(pair).or_default();
        if places.last() != Some(&place) {
            places.push(place);
        }
        self.raised.push(pair);
    }

    fn lower(&mut self, pair: Pair, by: u64) {
        if let Some(count) = self.counts.get_mut(&pair) {
            *count = count.saturating_sub(by);
        }
    }

    fn queue_raised(&mut self) {
        self.raised.sort_unstable();
        self.raised.dedup();
        for pair in self.raised.drain(..) {
            if let Some(count) = self.counts.get(&pair) {
                self.queue.push((*count, Reverse(pair)));
            }
        }
    }

    /// Returns the most frequent pair, and of equally frequent pairs the smallest. `None` if no
    /// pair occurs twice.
    pub(super) fn most_frequent(&mut self) -> Option<Pair> {
        while let Some((claimed, Reverse(pair))) = self.queue.pop() {
            let count = self.counts.get(&pair).copied().unwrap_or(0);
            if count == claimed && count >= 2 {
                return Some(pair);
            }
            if count >= 2 && count < claimed {
                self.queue.push((count, Reverse(pair)));
            }
        }
        None
    }

    /// Replaces the pair by `id` in every word, from left to right without overlap.
    pub(super) fn merge(&mut self, pair: Pair, id: u32) {
        for place in self.places.remove(&pair).unwrap_or_default() {
            let (old, count) = mem::take(&mut self.words[place]);
            let mut new = Vec::with_capacity(old.len());
            let mut rest = old.as_slice();
            while let Some((&first, behind)) = rest.split_first() {
                if !(first == pair.0 && behind.first() == Some(&pair.1)) {
                    new.push(first);
                    rest = behind;
                    continue;
                }
                rest = &behind[1..];
                if let Some(&before) = new.last() {
                    self.lower((before, pair.0), count);
                    self.raise((before, id), count, place);
                }
                if let Some(&after) = rest.first() {
                    self.lower((pair.1, after), count);
                    self.raise((id, after), count, place);
                }
                new.push(id);
            }
            self.words[place] = (new, count);
        }
        self.counts.remove(&pair);
        self.queue_raised();
    }
}
