//! Answers a parsed query from the rows.
//! In: a [`Query`], a [`View`]. Out: JSON, or [`Unknown`] for a field that does not exist, as the real API even
//! when no row would have been touched. Never: HTTP.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::json;
use super::odata::{Direction, Expr, Literal, Op, Path, Query};
use super::rows::{Kind, Row, Value, View, fields, neighbour};

/// A field or navigation that does not exist: the real API answers 500.
#[derive(Debug)]
pub(super) struct Unknown;

/// Checks every name of a query, those in nested options too.
pub(super) fn check(query: &Query, kind: Kind, version: u8) -> Result<(), Unknown> {
    let known = |name: &String| fields(kind, version).contains(&name.as_str());
    if !query.select.iter().flatten().all(known) {
        return Err(Unknown);
    }
    for (path, _) in &query.order {
        check_path(path, kind, version)?;
    }
    if let Some(filter) = &query.filter {
        check_expr(filter, kind, version, &[])?;
    }
    for expand in &query.expand {
        check(&expand.query, neighbour(kind, &expand.name, version).ok_or(Unknown)?, version)?;
    }
    Ok(())
}

fn check_path(path: &[String], mut kind: Kind, version: u8) -> Result<(), Unknown> {
    let Some((last, before)) = path.split_last() else { return Err(Unknown) };
    for name in before {
        kind = neighbour(kind, name, version).ok_or(Unknown)?;
    }
    if (last == "$count" && !before.is_empty()) || fields(kind, version).contains(&last.as_str()) {
        return Ok(());
    }
    Err(Unknown)
}

fn check_expr(expr: &Expr, kind: Kind, version: u8, aliases: &[(&str, Kind)]) -> Result<(), Unknown> {
    let check = |expr| check_expr(expr, kind, version, aliases);
    match expr {
        Expr::Or(all) | Expr::And(all) => all.iter().try_for_each(check),
        Expr::Not(one) | Expr::In(one, _) => check(one),
        Expr::Compare(left, _, right) => check(left).and_then(|()| check(right)),
        Expr::Literal(_) => Ok(()),
        Expr::Path(path) => {
            let (kind, path) = start(path, kind, aliases);
            check_path(path, kind, version)
        }
        Expr::Any { path, alias, such } => {
            let (mut inner, path) = start(path, kind, aliases);
            for name in path {
                inner = neighbour(inner, name, version).ok_or(Unknown)?;
            }
            let aliases = [aliases, &[(alias.as_str(), inner)]].concat();
            check_expr(such, kind, version, &aliases)
        }
    }
}

/// Where a path starts: at an alias when its first part is one, else at the row itself.
fn start<'p, T: Copy>(path: &'p [String], here: T, aliases: &[(&str, T)]) -> (T, &'p [String]) {
    let Some((first, rest)) = path.split_first() else { return (here, path) };
    match aliases.iter().rev().find(|(alias, _)| alias == first) {
        Some((_, there)) => (*there, rest),
        None => (here, path),
    }
}

/// The whole answer, `{"d":[...]}` or `{"d":14}`, of a query that [`check`] let through.
pub(super) fn answer(view: &View<'_>, rows: Vec<Row<'_>>, kind: Kind, query: &Query, count: bool) -> String {
    let mut out = String::from("{\"d\":");
    if count {
        out.push_str(&self::count(view, rows, query).to_string());
    } else {
        write_rows(&mut out, view, rows, kind, query);
    }
    out.push('}');
    out
}

/// Nested `$top`, `$skip` and `$orderby` have no effect on a number.
fn count(view: &View<'_>, rows: Vec<Row<'_>>, query: &Query) -> usize {
    rows.into_iter().filter(|row| is_wanted(view, *row, query)).count()
}

fn is_wanted(view: &View<'_>, row: Row<'_>, query: &Query) -> bool {
    query.filter.as_ref().is_none_or(|filter| truth(view, row, filter, &[]))
}

fn write_rows<'a>(out: &mut String, view: &View<'a>, mut rows: Vec<Row<'a>>, kind: Kind, query: &Query) {
    rows.retain(|row| is_wanted(view, *row, query));
    if !query.order.is_empty() {
        rows.sort_by(|left, right| order(view, *left, *right, &query.order));
    }
    let fields = match &query.select {
        Some(select) => select.iter().map(String::as_str).collect(),
        None => fields(kind, view.version),
    };
    out.push('[');
    for (position, row) in rows.into_iter().skip(query.skip).take(query.top.unwrap_or(usize::MAX)).enumerate()
    {
        if position > 0 {
            out.push(',');
        }
        write_row(out, view, row, kind, query, &fields);
    }
    out.push(']');
}

fn write_row<'a>(
    out: &mut String,
    view: &View<'a>,
    row: Row<'a>,
    kind: Kind,
    query: &Query,
    fields: &[&str],
) {
    let mut written = HashSet::new();
    out.push('{');
    for expand in &query.expand {
        if !written.insert(expand.name.as_str()) {
            continue;
        }
        key(out, written.len() > 1, &expand.name);
        // Of two expands of one name the last counts, and nothing says so.
        let expand = query.expand.iter().rfind(|other| other.name == expand.name).unwrap_or(expand);
        let rows = view.follow(row, &expand.name);
        if expand.count {
            out.push_str(&count(view, rows, &expand.query).to_string());
        } else if let Some(kind) = neighbour(kind, &expand.name, view.version) {
            write_rows(out, view, rows, kind, &expand.query);
        }
    }
    for field in fields {
        if !written.insert(field) {
            continue;
        }
        key(out, written.len() > 1, field);
        json::value(out, &view.field(row, field).unwrap_or(Value::Null));
    }
    out.push('}');
}

fn key(out: &mut String, comma: bool, name: &str) {
    if comma {
        out.push(',');
    }
    json::string(out, name);
    out.push(':');
}

fn order(view: &View<'_>, left: Row<'_>, right: Row<'_>, by: &[(Path, Direction)]) -> Ordering {
    by.iter()
        .map(|(path, direction)| {
            let compared =
                compare(&walk(view, left, path), &walk(view, right, path)).unwrap_or(Ordering::Equal);
            if *direction == Direction::Down { compared.reverse() } else { compared }
        })
        .find(|compared| compared.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// A value while it is compared.
enum Operand {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
}

impl From<Value<'_>> for Operand {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(truth),
            // Ids of a simulation are far below 2^53.
            Value::Int(number) | Value::Ref(number) => Self::Number(number as f64),
            Value::Text(text) => Self::Text(text.into_owned()),
        }
    }
}

impl From<&Literal> for Operand {
    fn from(literal: &Literal) -> Self {
        match literal {
            Literal::Null => Self::Null,
            Literal::Bool(truth) => Self::Bool(*truth),
            Literal::Number(number) => Self::Number(*number),
            Literal::Text(text) => Self::Text(text.clone()),
        }
    }
}

fn compare(left: &Operand, right: &Operand) -> Option<Ordering> {
    match (left, right) {
        (Operand::Null, Operand::Null) => Some(Ordering::Equal),
        (Operand::Bool(left), Operand::Bool(right)) => Some(left.cmp(right)),
        (Operand::Number(left), Operand::Number(right)) => left.partial_cmp(right),
        (Operand::Text(left), Operand::Text(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

fn walk<'a>(view: &View<'a>, row: Row<'a>, path: &[String]) -> Operand {
    let Some((first, rest)) = path.split_first() else { return Operand::Null };
    if rest.is_empty() {
        return view.field(row, first).map_or(Operand::Null, Operand::from);
    }
    let rows = view.follow(row, first);
    if rest.first().is_some_and(|next| next == "$count") {
        return Operand::Number(rows.len() as f64);
    }
    rows.first().map_or(Operand::Null, |next| walk(view, *next, rest))
}

fn operand<'a>(view: &View<'a>, row: Row<'a>, expr: &Expr, aliases: &[(&str, Row<'a>)]) -> Operand {
    match expr {
        Expr::Literal(literal) => literal.into(),
        Expr::Path(path) => {
            let (row, path) = start(path, row, aliases);
            walk(view, row, path)
        }
        other => Operand::Bool(truth(view, row, other, aliases)),
    }
}

fn truth<'a>(view: &View<'a>, row: Row<'a>, expr: &Expr, aliases: &[(&str, Row<'a>)]) -> bool {
    let truth_of = |expr| truth(view, row, expr, aliases);
    match expr {
        Expr::Or(all) => all.iter().any(truth_of),
        Expr::And(all) => all.iter().all(truth_of),
        Expr::Not(one) => !truth_of(one),
        Expr::Compare(left, op, right) => {
            let compared = compare(&operand(view, row, left, aliases), &operand(view, row, right, aliases));
            match op {
                Op::Eq => compared == Some(Ordering::Equal),
                Op::Ne => compared != Some(Ordering::Equal),
                Op::Gt => compared == Some(Ordering::Greater),
                Op::Ge => compared.is_some_and(Ordering::is_ge),
                Op::Lt => compared == Some(Ordering::Less),
                Op::Le => compared.is_some_and(Ordering::is_le),
            }
        }
        Expr::In(one, all) => {
            let value = operand(view, row, one, aliases);
            all.iter().any(|literal| compare(&value, &literal.into()) == Some(Ordering::Equal))
        }
        Expr::Literal(_) | Expr::Path(_) => {
            matches!(operand(view, row, expr, aliases), Operand::Bool(true))
        }
        Expr::Any { path, alias, such } => {
            let (from, path) = start(path, row, aliases);
            let found = path.iter().fold(vec![from], |rows, name| {
                rows.into_iter().flat_map(|row| view.follow(row, name)).collect()
            });
            found.into_iter().any(|inner| {
                let aliases = [aliases, &[(alias.as_str(), inner)]].concat();
                truth(view, row, such, &aliases)
            })
        }
    }
}
