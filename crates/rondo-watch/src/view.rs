//! The part of the runs that is shown, and the keys that change it.

/// How several runs are arranged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrangement {
    /// In the same charts, below a table.
    Overlaid,
    /// Each in its own column.
    SideBySide,
}

/// The share of the steps that the charts show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// All steps.
    All,
    /// The last half.
    Half,
    /// The last tenth.
    Tenth,
}

/// The request of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Overlaid or side by side.
    Arrange,
    /// The next panels, if not all fit.
    NextPanels,
    /// The previous panels.
    PreviousPanels,
    /// Later runs, if not all fit.
    NextRun,
    /// Earlier runs.
    PreviousRun,
    /// Another depth for the perplexity of overlaid runs.
    NextDepth,
    /// Another share of the steps.
    Zoom,
}

/// The part of the runs that is shown. Numbers that are too large, after the window or the number
/// of runs has shrunk, are reduced where they are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// How several runs are arranged.
    pub arrangement: Arrangement,
    /// The page of panels.
    pub page: usize,
    /// The first run.
    pub first: usize,
    /// How often another depth was requested.
    pub depth: usize,
    /// The share of the steps.
    pub span: Span,
}

impl View {
    /// Starts with overlaid runs, or side by side if there are no colours to distinguish their
    /// lines.
    pub fn new(has_colour: bool) -> Self {
        Self {
            arrangement: match has_colour {
                true => Arrangement::Overlaid,
                false => Arrangement::SideBySide,
            },
            page: 0,
            first: 0,
            depth: 0,
            span: Span::All,
        }
    }

    /// Applies the request of a key, given the numbers of runs and of pages of panels.
    pub fn grant(&mut self, wish: Wish, runs: usize, pages: usize) {
        match wish {
            Wish::Arrange => {
                self.arrangement = match self.arrangement {
                    Arrangement::Overlaid => Arrangement::SideBySide,
                    Arrangement::SideBySide => Arrangement::Overlaid,
                };
            }
            Wish::NextPanels => self.page = (self.page.min(pages.max(1) - 1) + 1) % pages.max(1),
            Wish::PreviousPanels => {
                self.page = (self.page.min(pages.max(1) - 1) + pages.max(1) - 1) % pages.max(1);
            }
            Wish::NextRun => self.first = (self.first + 1).min(runs.saturating_sub(1)),
            Wish::PreviousRun => self.first = self.first.saturating_sub(1),
            Wish::NextDepth => self.depth = self.depth.wrapping_add(1),
            Wish::Zoom => {
                self.span = match self.span {
                    Span::All => Span::Half,
                    Span::Half => Span::Tenth,
                    Span::Tenth => Span::All,
                };
            }
        }
    }
}

impl Span {
    /// Returns the first step that is shown, if `last` is the last one.
    pub fn start(self, last: u64) -> f64 {
        let last = last as f64;
        match self {
            Self::All => 0.0,
            Self::Half => last * 0.5,
            Self::Tenth => last * 0.9,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colours_runs_begin_side_by_side() {
        assert_eq!(View::new(true).arrangement, Arrangement::Overlaid);
        let mut view = View::new(false);
        assert_eq!(view.arrangement, Arrangement::SideBySide);
        view.grant(Wish::Arrange, 2, 1);
        assert_eq!(view.arrangement, Arrangement::Overlaid);
    }

    #[test]
    fn pages_turn_in_a_circle_and_runs_stop_at_the_ends() {
        let mut view = View::new(true);
        view.grant(Wish::PreviousPanels, 2, 3);
        assert_eq!(view.page, 2);
        view.grant(Wish::NextPanels, 2, 3);
        assert_eq!(view.page, 0);
        for first in [1, 1] {
            view.grant(Wish::NextRun, 2, 3);
            assert_eq!(view.first, first);
        }
        view.page = 9;
        view.grant(Wish::NextPanels, 2, 2);
        assert_eq!(view.page, 0, "a larger window has fewer pages");
    }

    #[test]
    fn a_span_begins_at_its_share_of_the_steps() {
        let starts = [Span::All, Span::Half, Span::Tenth].map(|span| span.start(300) as u64);
        assert_eq!(starts, [0, 150, 270]);
    }
}
