//! Charts as SVG, readable without a script and without colours alone: each has a title and its
//! figures stand in a table beside it.

use std::time::Duration;

use maud::{Markup, html};

use crate::record::reading::Stretch;
use crate::stats::budget::told;
use crate::stats::uptime::Uptime;

const MINUTE: i64 = 60_000;
/// Lengths of a slice, milliseconds.
const STEPS: [i64; 10] = [
    MINUTE,
    5 * MINUTE,
    15 * MINUTE,
    60 * MINUTE,
    3 * 60 * MINUTE,
    6 * 60 * MINUTE,
    1_440 * MINUTE,
    7 * 1_440 * MINUTE,
    30 * 1_440 * MINUTE,
    365 * 1_440 * MINUTE,
];
/// Slices of a chart at most, where the longest step is enough.
const SLICES: i64 = 130;

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 160.0;
const COLOURS: [&str; 3] = ["#2b6cb0", "#c05621", "#9b2c2c"];

/// One line: its points from left to right, in seconds; `None` where nothing was measured.
pub struct Line {
    pub name: String,
    pub points: Vec<Option<f64>>,
}

/// Where the slices of a chart of this stretch begin.
pub fn bounds(stretch: &Stretch) -> Vec<i64> {
    let length = stretch.to.saturating_sub(stretch.from).max(1);
    let step = STEPS.into_iter().find(|step| length / step <= SLICES).unwrap_or(STEPS[STEPS.len() - 1]);
    let first = stretch.from.div_euclid(step) * step;
    (0..).map(|index| first + index * step).take_while(|bound| *bound < stretch.to).take(1_000).collect()
}

#[expect(clippy::cast_precision_loss, reason = "positions on a chart")]
fn x(index: usize, count: usize) -> f64 {
    (index as f64 + 0.5) / count.max(1) as f64 * WIDTH
}

/// Lines over time, from zero to the highest point.
pub fn lines(lines: &[Line], from: &str, to: &str) -> Markup {
    let points = lines.iter().flat_map(|line| &line.points);
    let top = points.flatten().copied().fold(0.0, f64::max);
    let top = if top > 0.0 { top } else { 1.0 };
    let length = |seconds: f64| told(Duration::try_from_secs_f64(seconds).unwrap_or_default());
    let highest = length(top);
    html! {
        figure {
            // The picture is stretched to the width of the page; text in it would be, too.
            div class="scale" { span { (highest) } span { (length(top / 2.0)) } span { "0" } }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" {
                title { "Latency over time, from 0 to " (highest) }
                line class="grid" x1="0" x2=(WIDTH) y1="0.5" y2="0.5" {}
                line class="grid" x1="0" x2=(WIDTH) y1=(HEIGHT / 2.0) y2=(HEIGHT / 2.0) {}
                line class="grid" x1="0" x2=(WIDTH) y1=(HEIGHT - 0.5) y2=(HEIGHT - 0.5) {}
                @for (line, colour) in lines.iter().zip(COLOURS) {
                    path d=(path(line, top)) stroke=(colour) { title { (line.name) } }
                }
            }
            div class="span" { span { (from) } span { (to) } }
            figcaption {
                @for (line, colour) in lines.iter().zip(COLOURS) {
                    span style={ "color:" (colour) } { (line.name) } " "
                }
            }
        }
    }
}

/// A path that is broken where nothing was measured; a lone point is a short dash.
fn path(line: &Line, top: f64) -> String {
    let mut path = String::new();
    let mut drawing = false;
    for (index, point) in line.points.iter().enumerate() {
        let Some(value) = point else {
            drawing = false;
            continue;
        };
        let (x, y) = (x(index, line.points.len()), HEIGHT * (1.0 - value / top));
        let command = if drawing { 'L' } else { 'M' };
        path.push_str(&format!("{command}{x:.1} {y:.1}"));
        let lone = !drawing && line.points.get(index + 1).is_none_or(Option::is_none);
        if lone {
            path.push_str("h2");
        }
        drawing = true;
    }
    path
}

/// Bars of known time: green up, red down, grey where nothing is known.
pub fn strip(bars: &[(String, Uptime)]) -> Markup {
    let width = x(1, bars.len()) - x(0, bars.len());
    html! {
        svg class="strip" viewBox={ "0 0 " (WIDTH) " 24" } preserveAspectRatio="none" role="img" {
            title { "Uptime over time" }
            @for (index, (from, uptime)) in bars.iter().enumerate() {
                @let ratio = uptime.ratio();
                @let left = x(index, bars.len()) - width / 2.0;
                rect class=(class(ratio)) x=(format!("{left:.2}")) y="0"
                    width=(format!("{:.2}", (width - 0.5).max(0.5))) height="24" {
                    title { (from) ": " (ratio.map_or("unknown".to_owned(), super::percent)) }
                }
            }
        }
    }
}

fn class(ratio: Option<f64>) -> &'static str {
    match ratio {
        None => "unknown",
        Some(ratio) if ratio >= 1.0 => "up",
        Some(ratio) if ratio >= 0.95 => "dented",
        Some(_) => "down",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_a_gap_and_no_zero() {
        let line = Line { name: "p95".into(), points: vec![Some(1.0), Some(0.5), None, Some(1.0)] };
        assert_eq!(path(&line, 1.0), "M100.0 0.0L300.0 80.0M700.0 0.0h2");
    }

    #[test]
    fn bars_tell_unknown_from_down() {
        let up = Uptime { up: 10, ..Uptime::default() };
        let down = Uptime { up: 1, down: 9, ..Uptime::default() };
        let bars = [("a".to_owned(), up), ("b".to_owned(), down), ("<b>".to_owned(), Uptime::default())];
        let svg = strip(&bars).into_string();
        for class in
            ["class=\"up\"", "class=\"down\"", "class=\"unknown\"", "&lt;b&gt;: unknown", "b: 10.000 %"]
        {
            assert!(svg.contains(class), "{class}: {svg}");
        }
    }
}
