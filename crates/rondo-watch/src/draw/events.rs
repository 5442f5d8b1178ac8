//! Draws the events of runs, newest first.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph};

use super::words::cut;
use super::{Numbered, Scene};
use crate::palette::quiet;
use crate::run::Happening;

/// Draws as many events as fit. The events of several runs are sorted by step, and each shows the
/// name of its run.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, runs: &[Numbered<'_>]) {
    let title = Span::styled("events ", Style::new().add_modifier(Modifier::BOLD));
    let block = Block::new()
        .borders(Borders::TOP)
        .border_style(quiet())
        .title_style(Style::reset())
        .title(title);
    let room = usize::from(area.height.saturating_sub(1));
    let mut happened: Vec<(Numbered<'_>, &Happening)> = runs
        .iter()
        .flat_map(|run| {
            run.1
                .happenings()
                .take(room)
                .map(|happening| (*run, happening))
        })
        .collect();
    happened.sort_by_key(|(_, happening)| std::cmp::Reverse(happening.step));
    let lines: Vec<Line<'static>> = happened
        .into_iter()
        .take(room)
        .map(|(run, happening)| line(scene, runs.len() > 1, run, happening, area.width))
        .collect();
    let text = match lines.is_empty() {
        true => vec![Line::styled("none", quiet())],
        false => lines,
    };
    frame.render_widget(Paragraph::new(text).block(block), area);
}

fn line(
    scene: &Scene<'_>,
    is_named: bool,
    (index, run): Numbered<'_>,
    happening: &Happening,
    width: u16,
) -> Line<'static> {
    let name = match is_named {
        true => format!("{}  ", cut(run.name(), 16)),
        false => String::new(),
    };
    let style = match happening.is_warning {
        true => scene.palette.warning(),
        false => Style::new(),
    };
    let step = format!("{:>6}  ", happening.step);
    let room = usize::from(width).saturating_sub(Span::raw(&name).width() + step.len());
    Line::from(vec![
        Span::styled(step, quiet()),
        Span::styled(name, scene.palette.line(index)),
        Span::styled(cut(&happening.text, room), style),
    ])
}
