//! Breaks text into lines that fit a terminal.

/// Maximum width of a line, in columns.
pub(crate) const WIDTH: usize = 80;

/// Breaks text into lines of at most [`WIDTH`] columns. The first line begins with `first`, and all
/// other lines begin with `rest`.
///
/// A word that is longer than a line has a line of its own.
pub(crate) fn paragraph(text: &str, first: &str, rest: &str) -> Vec<String> {
    let mut lines = vec![first.to_owned()];
    let mut is_new = true;
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("one line at least");
        if !is_new && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(format!("{rest}{word}"));
        } else {
            if !is_new {
                line.push(' ');
            }
            line.push_str(word);
        }
        is_new = false;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_fill_lines_and_none_is_lost() {
        let text = "word ".repeat(40);
        let lines = paragraph(&text, "a  ", "   ");
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH));
        assert!(lines[0].starts_with("a  word") && lines[1].starts_with("   word"));
        let words: usize = lines.iter().map(|line| line.matches("word").count()).sum();
        assert_eq!(words, 40);
    }
}
