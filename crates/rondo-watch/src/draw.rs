//! Draws runs into the cells of a terminal, according to a view.
//!
//! In reading order: `layout` (chooses and places the panels that fit), `words` (wraps text),
//! `header` (describes one run), `overview` (a table of several runs), `panels` (the content of
//! each panel), `curves` (the data of a panel's curves), `chart` (draws curves and axes), `events`
//! (draws the events), `footer` (draws the keys).

mod chart;
mod curves;
mod events;
mod footer;
mod header;
mod layout;
mod overview;
mod panels;
mod words;

use std::time::SystemTime;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use self::layout::Grid;
use crate::palette::Palette;
use crate::run::Run;
use crate::view::{Arrangement, View};

/// The smallest window in which anything is drawn.
const SMALLEST: (u16, u16) = (24, 8);

/// The minimum width of a run's column when runs are side by side.
const BESIDE: u16 = 38;

/// The content of the screen.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// All runs.
    pub runs: &'a [Run],
    /// The part of the runs to show.
    pub view: &'a View,
    /// The colours to use.
    pub palette: Palette,
    /// The current time. It determines how long a run has been silent.
    pub now: SystemTime,
}

/// A run and its index among all runs.
type Numbered<'a> = (usize, &'a Run);

/// Draws the runs, and returns how many pages of panels there are.
pub fn draw(frame: &mut Frame<'_>, scene: &Scene<'_>) -> usize {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let text = format!(
            "{} x {} is too small: {} x {} at least",
            area.width, area.height, SMALLEST.0, SMALLEST.1
        );
        frame.render_widget(Paragraph::new(text), area);
        return 1;
    }
    let [body, foot] = Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(area);
    let numbered: Vec<Numbered<'_>> = scene.runs.iter().enumerate().collect();
    let is_overlaid = scene.runs.len() > 1 && scene.view.arrangement == Arrangement::Overlaid;
    let (pages, shown) = match is_overlaid {
        true => overlaid(frame, body, scene, &numbered),
        false => beside(frame, body, scene, &numbered),
    };
    let text = footer::line(foot.width, scene, pages, &shown);
    frame.render_widget(text, foot);
    pages
}

/// Draws all runs into the same charts, below a table. Returns the number of pages, and which runs
/// the table shows.
fn overlaid(
    frame: &mut Frame<'_>,
    area: Rect,
    scene: &Scene<'_>,
    runs: &[Numbered<'_>],
) -> (usize, std::ops::Range<usize>) {
    let room = usize::from(area.height / 3).max(2) - 1;
    let first = scene.view.first.min(runs.len().saturating_sub(room));
    let shown = first..(first + room).min(runs.len());
    let table = overview::lines(area.width, scene, &runs[shown.clone()]);
    let [top, rest] = split(area, &table);
    frame.render_widget(Paragraph::new(table), top);
    let grid = Grid::of(rest, scene.view.page);
    for (panel, place) in &grid.panels {
        panels::draw(frame, *place, *panel, scene, runs, runs);
    }
    if let Some(place) = grid.events {
        events::draw(frame, place, scene, runs);
    }
    (grid.pages, shown)
}

/// Draws as many runs as fit, each in its own column and all with the same axes. Returns the number
/// of pages, and which runs are drawn.
fn beside(
    frame: &mut Frame<'_>,
    area: Rect,
    scene: &Scene<'_>,
    runs: &[Numbered<'_>],
) -> (usize, std::ops::Range<usize>) {
    let room = usize::from(area.width / BESIDE).clamp(1, runs.len().max(1));
    let first = scene.view.first.min(runs.len().saturating_sub(room));
    let shown = first..(first + room).min(runs.len());
    let runs = &runs[shown.clone()];
    let columns = Layout::horizontal(vec![Constraint::Fill(1); room])
        .spacing(1)
        .split(area);
    let headers: Vec<Vec<Line<'_>>> = runs
        .iter()
        .zip(columns.iter())
        .map(|(run, column)| header::lines(column.width, scene, *run))
        .collect();
    // All headers have the same height, so that equal panels are side by side.
    let tallest = headers.iter().max_by_key(|lines| lines.len());
    let tallest = tallest.cloned().unwrap_or_default();
    let mut pages = 1;
    for ((run, column), header) in runs.iter().zip(columns.iter()).zip(headers) {
        let [top, rest] = split(*column, &tallest);
        frame.render_widget(Paragraph::new(header), top);
        let grid = Grid::of(rest, scene.view.page);
        for (panel, place) in &grid.panels {
            panels::draw(frame, *place, *panel, scene, &[*run], runs);
        }
        if let Some(place) = grid.events {
            events::draw(frame, place, scene, &[*run]);
        }
        pages = grid.pages;
    }
    (pages, shown)
}

/// Splits an area in two: the top for `lines`, at most half of the area, and the rest.
fn split(area: Rect, lines: &[Line<'_>]) -> [Rect; 2] {
    let height = (lines.len() as u16).min(area.height / 2);
    Layout::vertical([Constraint::Length(height), Constraint::Fill(1)]).areas(area)
}

#[cfg(test)]
mod tests;
