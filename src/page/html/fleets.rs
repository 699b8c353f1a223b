//! The fleets as a form to find them by and a table of those that were found.

use std::fmt::{self, Write as _};

use super::super::chart;
use super::super::query::{Column, Query, Sort};
use super::super::view::{Counts, FleetView, ON_A_PAGE, Overall, View, number};
use super::text::{Clock, Escaped, Grouped, Percent, Signed};

/// What is searched for, and the order.
pub(super) fn form(html: &mut String, view: &View) -> fmt::Result {
    write!(
        html,
        "<form role=\"search\" method=\"get\"><label for=\"q\">Name or slug</label>\
         <input id=\"q\" name=\"q\" type=\"search\" maxlength=\"200\" autocomplete=\"off\" spellcheck=\"false\" \
         value=\"{}\"><label for=\"sort\">Order</label><select id=\"sort\" name=\"sort\">",
        Escaped(&view.search)
    )?;
    for (sort, name) in Sort::ALL {
        let selected = if sort == view.sort { " selected" } else { "" };
        write!(html, "<option value=\"{}\"{selected}>{name}</option>", sort.word())?;
    }
    html.push_str("</select><button>Show</button></form>\n");
    Ok(())
}

/// The fleets that were found, or why there is none.
pub(super) fn found(html: &mut String, view: &View) -> fmt::Result {
    let all = Query { sort: view.sort, page: 1, ..Query::default() };
    if view.matching == 0 {
        html.push_str("<p class=\"empty\">");
        match (view.totals.fleets, view.state) {
            (0, Overall::Starting) => html.push_str("No fleet was counted yet: the first collect is running."),
            (0, _) if view.sources.iter().any(|source| source.state == "failing") => html.push_str(
                "There are no counts to be shown. Why collecting fails is said above, and what to do.",
            ),
            (0, _) => html.push_str(
                "The account has no fleet that is counted. Look whether the token's user can see fleets, and at \
                 BALENA_FLEETS_INCLUDE and BALENA_FLEETS_EXCLUDE.",
            ),
            (fleets, _) => write!(
                html,
                "<span id=\"found\">No fleet matches</span> “<bdi>{}</bdi>”. <a id=\"all\" data-go href=\"{}\">Show all {}</a>",
                Escaped(&view.search),
                Escaped(&all.address()),
                Grouped(fleets as u64)
            )?,
        }
        html.push_str("</p>");
        return Ok(());
    }
    html.push_str("<table><caption>");
    caption(html, view)?;
    html.push_str("</caption><thead><tr>");
    for (column, class, title) in [
        (Column::Name, "fleet", "Fleet"),
        (Column::Online, "n", "Online"),
        (Column::Devices, "n devices", "Devices"),
        (Column::Share, "share", "Share"),
        (Column::Change, "hour", "Last hour"),
    ] {
        heading(html, view, column, class, title)?;
    }
    html.push_str("</tr></thead>\n<tbody>");
    view.fleets.iter().try_for_each(|fleet| row(html, view, fleet))?;
    html.push_str("</tbody></table>");
    pager(html, view)
}

fn caption(html: &mut String, view: &View) -> fmt::Result {
    let (first, all) = ((view.page - 1) * ON_A_PAGE + 1, Grouped(view.matching as u64));
    html.push_str("<span id=\"found\">");
    match (view.pages, view.search.is_empty()) {
        (1, true) => html.push_str(&number(view.matching, "fleet")),
        (1, false) => write!(
            html,
            "{} of {} found",
            number(view.matching, "fleet"),
            Grouped(view.totals.fleets as u64)
        )?,
        _ => write!(html, "fleets {first} to {} of {all}", first + view.fleets.len() - 1)?,
    }
    html.push_str("</span>. The lines go from no device online to all of them.");
    let old = view.sources.iter().filter(|source| source.counts != Counts::Current);
    for at in old.filter_map(|source| source.last_success.as_deref()) {
        write!(html, " <strong>Last counted at {}.</strong>", Clock(at, &view.at))?;
    }
    Ok(())
}

fn heading(html: &mut String, view: &View, column: Column, class: &str, title: &str) -> fmt::Result {
    let is_sorted = view.sort.by == column;
    let next = if is_sorted { view.sort.turned() } else { column.first() };
    let (sorted, arrow) = match (is_sorted, view.sort.descending) {
        (false, _) => ("", ""),
        (true, true) => (" aria-sort=\"descending\"", "<i aria-hidden=\"true\">▼</i>"),
        (true, false) => (" aria-sort=\"ascending\"", "<i aria-hidden=\"true\">▲</i>"),
    };
    let query = Query { search: view.search.clone(), sort: next, page: 1, json: false };
    write!(
        html,
        "<th scope=\"col\" class=\"{class}\"{sorted}><a id=\"by-{}\" data-go href=\"{}\">{title}{arrow}</a></th>",
        column.first().word().trim_start_matches('-'),
        Escaped(&query.address()),
    )
}

fn row(html: &mut String, view: &View, fleet: &FleetView) -> fmt::Result {
    let FleetView { online, devices, .. } = *fleet;
    html.push_str(if fleet.current {
        "<tr><th scope=\"row\" class=\"fleet\">"
    } else {
        "<tr class=\"old\"><th scope=\"row\" class=\"fleet\">"
    });
    let slug = fleet.slug.as_deref().unwrap_or_default();
    // A name of blanks alone cannot be seen.
    let is_named = !fleet.name.trim().is_empty();
    match (is_named, slug) {
        (false, "") => html.push_str("(no name)"),
        (false, slug) => write!(html, "<bdi>{}</bdi>", Escaped(slug))?,
        (true, _) => write!(html, "<bdi>{}</bdi>", Escaped(&fleet.name))?,
    }
    if devices > 0 && online == 0 {
        html.push_str(" <b class=\"dark\">dark</b>");
    }
    if is_named && !slug.is_empty() {
        write!(html, " <bdi class=\"slug\">{}</bdi>", Escaped(slug))?;
    }
    write!(
        html,
        "</th><td class=\"n\">{}<span class=\"of\"> / {1}</span></td><td class=\"n devices\">{1}</td><td class=\"share\">",
        Grouped(online),
        Grouped(devices)
    )?;
    chart::bar(html, online, devices)?;
    write!(html, "<span>{}</span></td><td class=\"hour\">", Percent(fleet.share))?;
    let counted = || fleet.points.iter().filter_map(|(_, online)| *online);
    let (least, most) = (counted().min().unwrap_or(online), counted().max().unwrap_or(online));
    chart::line(html, fleet.points.iter().copied(), devices.max(most), view.now)?;
    match fleet.change {
        None => html.push_str("<span class=\"hidden\">no earlier count</span>"),
        Some(change) => write!(
            html,
            "<span class=\"change\">{}</span><span class=\"hidden\">, between {least} and {most}</span>",
            Signed(change)
        )?,
    }
    html.push_str("</td></tr>\n");
    Ok(())
}

fn pager(html: &mut String, view: &View) -> fmt::Result {
    if view.pages == 1 {
        return Ok(());
    }
    html.push_str("<nav class=\"pager\" aria-label=\"Pages of fleets\">");
    let mut link = |id: &str, title: &str, page: usize, is_there: bool| {
        let query = Query { search: view.search.clone(), sort: view.sort, page, json: false };
        match is_there {
            true => {
                write!(html, "<a id=\"{id}\" data-go href=\"{}\">{title}</a> ", Escaped(&query.address()))
            }
            false => write!(html, "<span class=\"note\">{title}</span> "),
        }
    };
    link("previous", "Previous", view.page.saturating_sub(1), view.page > 1)?;
    link("next", "Next", view.page + 1, view.page < view.pages)?;
    write!(html, "<span>page {} of {}</span></nav>", view.page, view.pages)
}
