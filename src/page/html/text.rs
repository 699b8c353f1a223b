//! Foreign text, sentences and numbers as they may stand in HTML.

use std::fmt::{self, Display, Write as _};

use crate::telemetry::words::{Piece, Sentence};

/// A sentence with its exact times, as one says them on the day of its second part (RFC 3339).
pub(super) struct Said<'a>(pub(super) &'a Sentence, pub(super) &'a str);

impl Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.pieces().iter().try_for_each(|piece| match piece {
            Piece::Text(text) => Escaped(text).fmt(f),
            Piece::Time { exact, said } if exact.is_empty() => f.write_str(said),
            Piece::Time { exact, said } if exact == said => Clock(exact, self.1).fmt(f),
            Piece::Time { exact, said } => {
                write!(f, "<time datetime=\"{exact}\" title=\"{exact}\">{said}</time>")
            }
        })
    }
}

/// A point in time (RFC 3339); the day is said where it is not that of the second part.
pub(super) struct Clock<'a>(pub(super) &'a str, pub(super) &'a str);

impl Display for Clock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Clock(exact, now) = self;
        write!(f, "<time datetime=\"{exact}\" title=\"{exact}\">")?;
        match exact.trim_end_matches('Z').split_once('T') {
            Some((day, clock)) if now.starts_with(day) => f.write_str(clock)?,
            Some((day, clock)) => write!(f, "{day} {clock}")?,
            None => f.write_str(exact)?,
        }
        f.write_str(" UTC</time>")
    }
}

/// Text that means itself, in content and in quoted attributes. What steers a terminal or turns the direction of
/// the text around it is shown as a sign of its own.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '&' => f.write_str("&amp;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            '\0'..='\x1f' => f.write_char(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
            '\x7f'..='\u{9f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{2066}'..='\u{2069}' => f.write_char('\u{fffd}'),
            c => f.write_char(c),
        })
    }
}

/// A number in groups of three.
pub(super) struct Grouped(pub(super) u64);

impl Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                f.write_char('\u{202f}')?;
            }
            f.write_char(digit)?;
        }
        Ok(())
    }
}

/// A share in whole percents; all and none are said only where they are meant.
pub(super) struct Percent(pub(super) Option<f64>);

impl Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("no device"),
            Some(share) if share > 0.0 && share < 0.01 => f.write_str("&lt;1 %"),
            Some(share) => write!(f, "{} %", (share * 100.0).floor()),
        }
    }
}

/// A difference.
pub(super) struct Signed(pub(super) i64);

impl Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("±0"),
            more @ 1.. => write!(f, "+{more}"),
            less => write!(f, "−{}", less.unsigned_abs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_means_itself() {
        for (text, escaped) in [
            ("<script>&\"'", "&lt;script&gt;&amp;&quot;&#39;"),
            ("a\nb\0\x1b", "a␊b␀␛"),
            ("\u{202e}evil\u{2066}", "\u{fffd}evil\u{fffd}"),
            ("👩\u{200d}🚀 e\u{301} שלום", "👩\u{200d}🚀 e\u{301} שלום"),
        ] {
            assert_eq!(Escaped(text).to_string(), escaped);
        }
    }

    #[test]
    fn the_day_is_said_where_it_is_another_one() {
        let (exact, attributes) =
            ("2026-01-15T02:17:30Z", "datetime=\"2026-01-15T02:17:30Z\" title=\"2026-01-15T02:17:30Z\"");
        let sentence = Sentence::new("at ").exactly(exact).say(", ").span(exact, 61);
        for (now, clock) in
            [("2026-01-15T23:00:00Z", "02:17:30 UTC"), ("2026-01-16T00:00:00Z", "2026-01-15 02:17:30 UTC")]
        {
            assert_eq!(
                Said(&sentence, now).to_string(),
                format!("at <time {attributes}>{clock}</time>, <time {attributes}>1 min 1 s</time>")
            );
        }
    }

    #[test]
    fn numbers_are_said_as_one_reads_them() {
        for (number, said) in
            [(0, "0"), (999, "999"), (1_000, "1\u{202f}000"), (1_234_567, "1\u{202f}234\u{202f}567")]
        {
            assert_eq!(Grouped(number).to_string(), said);
        }
        for (share, said) in [
            (None, "no device"),
            (Some(0.0), "0 %"),
            (Some(0.002), "&lt;1 %"),
            (Some(0.9998), "99 %"),
            (Some(1.0), "100 %"),
        ] {
            assert_eq!(Percent(share).to_string(), said);
        }
        for (change, said) in [(0, "±0"), (3, "+3"), (-3, "−3")] {
            assert_eq!(Signed(change).to_string(), said);
        }
    }
}
