//! Ends a text before the first stop text in it. No part of a stop text is returned.

/// Holds back the end of a text as long as it may be the beginning of a stop text.
#[derive(Debug)]
pub(crate) struct Stops<'a> {
    texts: &'a [String],
    held: String,
    met: bool,
}

impl<'a> Stops<'a> {
    pub(crate) fn new(texts: &'a [String]) -> Self {
        Self {
            texts,
            held: String::new(),
            met: false,
        }
    }

    /// Returns whether a stop text was found.
    pub(crate) fn met(&self) -> bool {
        self.met
    }

    /// Adds text. Returns the part of the text that later additions cannot change.
    pub(crate) fn push(&mut self, text: &str) -> String {
        if self.met {
            return String::new();
        }
        self.held.push_str(text);
        let found = self
            .texts
            .iter()
            .filter_map(|stop| self.held.find(stop.as_str()));
        if let Some(end) = found.min() {
            self.met = true;
            self.held.truncate(end);
            return std::mem::take(&mut self.held);
        }
        let rest = self
            .held
            .split_off(self.held.len() - self.longest_beginning());
        std::mem::replace(&mut self.held, rest)
    }

    /// Returns the held text. Nothing follows it, so it cannot become a stop text.
    pub(crate) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Returns the length, in bytes, of the longest end of the held text with which a stop text
    /// begins.
    fn longest_beginning(&self) -> usize {
        let longest = |stop: &String| {
            let beginnings = stop.char_indices().map(|(at, _)| at).rev();
            let mut beginnings = beginnings.filter(|at| self.held.ends_with(&stop[..*at]));
            beginnings.next().unwrap_or(0)
        };
        self.texts.iter().map(longest).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(stops: &[&str], texts: &[&str]) -> (Vec<String>, bool) {
        let stops: Vec<String> = stops.iter().map(|stop| (*stop).to_owned()).collect();
        let mut text = Stops::new(&stops);
        let mut pieces: Vec<String> = texts.iter().map(|piece| text.push(piece)).collect();
        pieces.push(text.finish());
        (pieces, text.met())
    }

    fn texts(pieces: &[&str]) -> Vec<String> {
        pieces.iter().map(|piece| (*piece).to_owned()).collect()
    }

    #[test]
    fn what_may_begin_a_stop_waits_for_what_follows() {
        let found = pieces(&["\n\n"], &["a\n", "b", "\n", "\nc"]);
        assert_eq!(found, (texts(&["a", "\nb", "", "", ""]), true));
    }

    #[test]
    fn what_began_a_stop_and_was_none_comes_at_the_end() {
        assert_eq!(
            pieces(&["end"], &["the e", "n"]),
            (texts(&["the ", "", "en"]), false)
        );
    }

    #[test]
    fn the_first_place_counts_whichever_stop_it_is() {
        assert_eq!(pieces(&["cd", "b"], &["abcd"]), (texts(&["a", ""]), true));
        assert_eq!(
            pieces(&["é"], &["caf", "é", "!"]),
            (texts(&["caf", "", "", ""]), true)
        );
    }
}
