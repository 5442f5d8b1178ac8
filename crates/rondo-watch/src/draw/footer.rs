//! Draws as many of the keys as fit.

use std::ops::Range;

use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::Scene;
use crate::palette::quiet;
use crate::view::{Arrangement, Span as Share};

/// Returns the keys that have an effect now. If not everything fits, the line also contains the
/// page of panels and the range of shown runs.
pub(super) fn line(
    width: u16,
    scene: &Scene<'_>,
    pages: usize,
    shown: &Range<usize>,
) -> Line<'static> {
    let view = scene.view;
    let runs = scene.runs.len();
    let is_overlaid = view.arrangement == Arrangement::Overlaid;
    let page = view.page.min(pages.saturating_sub(1)) + 1;
    let span = match view.span {
        Share::All => "all steps",
        Share::Half => "last half",
        Share::Tenth => "last tenth",
    };
    let keys = [
        Some(("q", "quit".to_owned())),
        (pages > 1).then(|| ("space", format!("{page}/{pages}"))),
        (shown.len() < runs).then(|| {
            let which = match shown.len() {
                1 => format!("run {}/{runs}", shown.end),
                _ => format!("runs {}-{}/{runs}", shown.start + 1, shown.end),
            };
            ("↑↓", which)
        }),
        (runs > 1).then(|| {
            let other = if is_overlaid {
                "side by side"
            } else {
                "overlay"
            };
            ("s", other.to_owned())
        }),
        Some(("z", span.to_owned())),
        (runs > 1 && is_overlaid).then(|| ("d", "depth".to_owned())),
    ];
    let mut line = Line::default();
    for (key, what) in keys.into_iter().flatten() {
        let gap = if line.spans.is_empty() { "" } else { "  " };
        let needed = gap.len() + Span::raw(key).width() + 1 + what.len();
        if line.width() + needed > usize::from(width) {
            break;
        }
        line.push_span(Span::raw(gap));
        line.push_span(Span::styled(key, Style::new().add_modifier(Modifier::BOLD)));
        line.push_span(Span::styled(format!(" {what}"), quiet()));
    }
    line
}
