//! The two pictures of a fleet, as SVG without a style of its own: how many of its devices are online, and how
//! many were in the last hour. Both only repeat what stands beside them in words, so readers pass them over.

use std::fmt::{self, Write};
use std::time::Duration;

use super::history::SPAN;
use crate::sample::Millis;

const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 24.0;
/// Room for a line's thickness above and below.
const EDGE: f64 = 2.0;
/// A shorter silence is no gap.
const LEAST_GAP: Duration = Duration::from_secs(180);

/// A bar that is full where all devices are online, and only then.
pub fn bar(out: &mut String, online: u64, devices: u64) -> fmt::Result {
    let width = (online.min(devices) * 1_000).checked_div(devices).unwrap_or(0);
    let width = if online > 0 { width.max(10) } else { width };
    write!(
        out,
        "<svg class=\"bar\" viewBox=\"0 0 1000 1\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect class=\"all\" width=\"1000\" height=\"1\"/><rect class=\"on\" width=\"{width}\" height=\"1\"/></svg>"
    )
}

/// A line from an hour ago to now, between none and `top`; it breaks where nothing was counted.
pub fn line(
    out: &mut String,
    points: impl Iterator<Item = (Millis, Option<u64>)>,
    top: u64,
    now: Millis,
) -> fmt::Result {
    let points: Vec<_> = points.filter(|(at, _)| now.since(*at) <= SPAN).collect();
    write!(out, "<svg class=\"line\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" aria-hidden=\"true\">")?;
    for run in runs(&points) {
        let mut places: Vec<(f64, f64)> =
            run.iter().map(|(at, online)| place(*at, *online, top, now)).collect();
        // A level stretch needs its two ends alone.
        let mut kept = Vec::with_capacity(places.len());
        for (index, (x, y)) in places.iter().copied().enumerate() {
            let beside = |other: Option<usize>| other.and_then(|other| places.get(other)).map(|(_, y)| *y);
            let level = beside(index.checked_sub(1)) == Some(y) && beside(Some(index + 1)) == Some(y);
            if !level {
                kept.push((x, y));
            }
        }
        places = kept;
        match places.as_slice() {
            [(x, y)] => write!(out, "<circle cx=\"{x}\" cy=\"{y}\" r=\"1.5\"/>")?,
            many => {
                out.push_str("<polyline points=\"");
                for (index, (x, y)) in many.iter().enumerate() {
                    write!(out, "{}{x},{y}", if index == 0 { "" } else { " " })?;
                }
                out.push_str("\"/>");
            }
        }
    }
    out.push_str("</svg>");
    Ok(())
}

fn place(at: Millis, online: u64, top: u64, now: Millis) -> (f64, f64) {
    let age = now.since(at).as_secs_f64() / SPAN.as_secs_f64();
    let share = online.min(top) as f64 / top.max(1) as f64;
    let x = EDGE + (WIDTH - 2.0 * EDGE) * (1.0 - age);
    (x.round(), (HEIGHT - EDGE - (HEIGHT - 2.0 * EDGE) * share).round())
}

/// The stretches in which counting went on.
fn runs(points: &[(Millis, Option<u64>)]) -> Vec<Vec<(Millis, u64)>> {
    let steps = points.windows(2).map(|pair| pair[1].0.since(pair[0].0));
    let gap = steps.min().map_or(LEAST_GAP, |step| LEAST_GAP.max(step * 3));
    let (mut all, mut last) = (Vec::<Vec<_>>::new(), None::<Millis>);
    for (at, online) in points {
        let Some(online) = online else {
            last = None;
            continue;
        };
        match all.last_mut().filter(|_| last.is_some_and(|last| at.since(last) <= gap)) {
            Some(run) => run.push((*at, *online)),
            None => all.push(vec![(*at, *online)]),
        }
        last = Some(*at);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(points: &[(i64, Option<u64>)]) -> String {
        let mut out = String::new();
        let minutes = points.iter().map(|(minute, online)| (Millis(minute * 60_000), *online));
        line(&mut out, minutes, 10, Millis(3_600_000)).unwrap();
        let inside = out.split_once('>').unwrap().1;
        inside.strip_suffix("</svg>").unwrap().to_owned()
    }

    #[test]
    fn a_line_goes_from_an_hour_ago_to_now() {
        assert_eq!(drawn(&[]), "");
        assert_eq!(drawn(&[(-1, Some(3))]), "");
        assert_eq!(drawn(&[(60, Some(10))]), "<circle cx=\"118\" cy=\"2\" r=\"1.5\"/>");
        let all: Vec<_> = (0..=60).map(|minute| (minute, Some(10))).collect();
        assert_eq!(drawn(&all), "<polyline points=\"2,2 118,2\"/>");
    }

    #[test]
    fn a_line_breaks_where_nothing_was_counted_and_where_time_is_missing() {
        assert_eq!(
            drawn(&[(0, Some(10)), (1, Some(0)), (2, None), (3, Some(5)), (4, Some(10)), (50, Some(0))]),
            "<polyline points=\"2,2 4,22\"/><polyline points=\"8,12 10,2\"/><circle cx=\"99\" cy=\"22\" r=\"1.5\"/>"
        );
        assert_eq!(
            drawn(&[(0, Some(10)), (30, Some(0)), (60, Some(10))]),
            "<polyline points=\"2,2 60,22 118,2\"/>"
        );
    }

    #[test]
    fn a_bar_is_full_or_empty_only_where_all_or_none_are_online() {
        for (online, devices, width) in
            [(0, 0, 0), (0, 5, 0), (5, 5, 1_000), (1, 5_000, 10), (4_999, 5_000, 999), (9, 5, 1_000)]
        {
            let mut out = String::new();
            bar(&mut out, online, devices).unwrap();
            assert!(out.contains(&format!("class=\"on\" width=\"{width}\"")), "{out}");
        }
    }
}
