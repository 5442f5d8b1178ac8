//! Which runs, panels and steps are shown, and the keys that change the selection.

/// How several runs are arranged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrangement {
    /// All runs share the same charts, below a table.
    Overlaid,
    /// Each run has its own column.
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

/// A change of the view, requested by a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Switches between overlaid runs and runs side by side.
    Arrange,
    /// Shows the next page of panels, if not all panels fit.
    NextPanels,
    /// Shows the previous page of panels.
    PreviousPanels,
    /// Shows later runs, if not all runs fit.
    NextRun,
    /// Shows earlier runs.
    PreviousRun,
    /// Compares the perplexity of overlaid runs at another depth.
    NextDepth,
    /// Shows another share of the steps.
    Zoom,
}

/// Which runs, panels and steps are shown. A number may become too large when the window or the
/// number of runs shrinks; the code that uses the number reduces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// How several runs are arranged.
    pub arrangement: Arrangement,
    /// The page of panels, counted from 0.
    pub page: usize,
    /// The index of the first run that is shown.
    pub first: usize,
    /// How often the user requested another depth.
    pub depth: usize,
    /// The share of the steps that the charts show.
    pub span: Span,
}

impl View {
    /// Starts with overlaid runs; if there are no colours to distinguish their lines, starts with
    /// runs side by side.
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

    /// Applies a change of the view, given the number of runs and the number of pages of panels.
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
    /// Returns the first step that is shown if the last step is `last`.
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
