//! Cron text as Kubernetes reads it: five fields, names of months and days, `@hourly` and the like.

use std::collections::BTreeSet;

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// The shortest time between two starts, in seconds.
pub(super) fn shortest_gap(schedule: &str) -> Result<u64, String> {
    let text = match schedule {
        "@hourly" => "0 * * * *",
        "@daily" | "@midnight" => "0 0 * * *",
        "@weekly" => "0 0 * * 0",
        "@monthly" => "0 0 1 * *",
        "@yearly" | "@annually" => "0 0 1 1 *",
        other => other,
    };
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields[..] else {
        return Err(format!("{schedule:?} has {} fields where five are due", fields.len()));
    };
    let minutes = field(minute, 0, 59, &[])?;
    let hours = field(hour, 0, 23, &[])?;
    field(day, 1, 31, &[])?;
    field(month, 1, 12, &MONTHS)?;
    field(weekday, 0, 6, &DAYS)?;
    // Which days are left out makes no gap shorter.
    let starts: Vec<u64> =
        hours.iter().flat_map(|hour| minutes.iter().map(move |minute| hour * 60 + minute)).collect();
    let next = starts.iter().skip(1).copied().chain([starts[0] + 24 * 60]);
    let gaps = starts.iter().zip(next).map(|(start, next)| next - start);
    Ok(gaps.min().expect("a field has at least one value") * 60)
}

fn field(text: &str, least: u64, most: u64, names: &[&str]) -> Result<BTreeSet<u64>, String> {
    let wrong = || format!("{text:?} is no field of a schedule from {least} to {most}");
    let number = |one: &str| {
        let named = names.iter().position(|name| name.eq_ignore_ascii_case(one));
        let value = match named {
            Some(position) => position as u64 + least,
            None => one.parse().map_err(|_| wrong())?,
        };
        if (least..=most).contains(&value) { Ok(value) } else { Err(wrong()) }
    };
    let mut all = BTreeSet::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<usize>().map_err(|_| wrong())?)),
            None => (part, None),
        };
        if step == Some(0) {
            return Err(wrong());
        }
        let (from, to) = match range.split_once('-') {
            None if range == "*" || range == "?" => (least, most),
            None => (number(range)?, if step.is_some() { most } else { number(range)? }),
            Some((from, to)) => (number(from)?, number(to)?),
        };
        if from > to {
            return Err(wrong());
        }
        all.extend((from..=to).step_by(step.unwrap_or(1)));
    }
    Ok(all)
}

#[rstest::rstest]
#[case("*/2 * * * *", Ok(120))]
#[case("1-59/2 * * * *", Ok(120))]
#[case("* * * * *", Ok(60))]
#[case("0,50 * * * *", Ok(600))]
#[case("*/25 * * * *", Ok(600))]
#[case("7 3 * JAN-mar Mon,5", Ok(86_400))]
#[case("@hourly", Ok(3600))]
#[case("0 8-17 * * *", Ok(3600))]
#[case("*/2 * * *", Err("has 4 fields"))]
#[case("60 * * * *", Err("\"60\" is no field of a schedule from 0 to 59"))]
#[case("*/0 * * * *", Err("\"*/0\""))]
#[case("5-1 * * * *", Err("\"5-1\""))]
#[case("* * 0 * *", Err("\"0\""))]
#[case("* * * FOO *", Err("\"FOO\""))]
#[case("@often", Err("has 1 fields"))]
fn a_schedule_is_read_as_it_is_meant(#[case] text: &str, #[case] due: Result<u64, &str>) {
    match (shortest_gap(text), due) {
        (Ok(gap), Ok(due)) => assert_eq!(gap, due),
        (Err(error), Err(due)) => assert!(error.contains(due), "{error}"),
        (found, _) => panic!("{found:?}"),
    }
}
