//! Why a receiver will not take samples, for a counter's label.

/// Why samples were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Older than the newest sample of their series.
    OutOfOrder,
    /// Older than the receiver takes from anyone.
    TooOld,
    /// Newer than the receiver's clock allows.
    TooFarInFuture,
    /// The same time again with another value.
    Duplicate,
    /// A limit of the tenant.
    Limit,
    /// One sample alone is larger than the receiver takes.
    TooLarge,
    /// A conflict that is not told in detail (409, Thanos).
    Conflict,
    /// Anything else that a receiver finds wrong with them.
    BadData,
    /// The queue's record cannot be read.
    Damaged,
}

/// Words of the receivers (Prometheus, Mimir, Cortex, Thanos, VictoriaMetrics) in lower case, those that
/// occur inside others' texts last.
const WORDS: [(Reason, &[&str]); 5] = [
    (Reason::Duplicate, &["duplicate sample", "duplicate-timestamp", "duplicate timestamp"]),
    (Reason::TooFarInFuture, &["too far in the future", "too-far-in-future", "too far in future"]),
    (Reason::TooOld, &["out of bounds", "too old", "too-old", "too-far-in-past", "too far in the past"]),
    (Reason::OutOfOrder, &["out of order", "out-of-order"]),
    (Reason::Limit, &["limit", "err-mimir-max-", "exceed"]),
];

impl Reason {
    /// Reads the status and a foreign text; a text that is not known is bad data.
    pub fn of(status: u16, text: &str) -> Reason {
        let text = text.to_lowercase();
        let known = WORDS.iter().find(|(_, words)| words.iter().any(|word| text.contains(word)));
        match (known, status) {
            (Some((reason, _)), _) => *reason,
            (None, 409) => Reason::Conflict,
            (None, _) => Reason::BadData,
        }
    }

    /// As it stands in labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::OutOfOrder => "out_of_order",
            Reason::TooOld => "too_old",
            Reason::TooFarInFuture => "too_far_in_future",
            Reason::Duplicate => "duplicate",
            Reason::Limit => "limit",
            Reason::TooLarge => "too_large",
            Reason::Conflict => "conflict",
            Reason::BadData => "bad_data",
            Reason::Damaged => "damaged",
        }
    }

    /// What an operator should know once.
    pub const fn explanation(self) -> Option<&'static str> {
        match self {
            Reason::TooOld | Reason::OutOfOrder => Some(
                "while these samples waited, others wrote newer ones; the receiver takes them only within an \
                 out-of-order window (Prometheus: storage.tsdb.out_of_order_time_window, Mimir: \
                 out_of_order_time_window)",
            ),
            Reason::Duplicate => Some("another sender writes the same series: give each its own labels"),
            Reason::Limit => Some("raise the tenant's limit at the receiver"),
            Reason::TooFarInFuture => Some("compare this machine's clock with the receiver's"),
            Reason::TooLarge | Reason::Conflict | Reason::BadData | Reason::Damaged => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_known_receivers_are_told_apart() {
        for (text, reason) in [
            ("out of order sample", Reason::OutOfOrder),
            ("out of bounds", Reason::TooOld),
            ("too old sample", Reason::TooOld),
            ("duplicate sample for timestamp", Reason::Duplicate),
            ("timestamp is too far in the future", Reason::TooFarInFuture),
            ("... out-of-order samples are not allowed (err-mimir-sample-out-of-order)", Reason::OutOfOrder),
            ("its timestamp is too old (err-mimir-sample-timestamp-too-old)", Reason::TooOld),
            ("a different value (err-mimir-sample-duplicate-timestamp)", Reason::Duplicate),
            ("per-user series limit of 150000 exceeded (err-mimir-max-series-per-user)", Reason::Limit),
            ("duplicate label name", Reason::BadData),
            ("", Reason::BadData),
        ] {
            assert_eq!(Reason::of(400, text), reason, "{text}");
        }
    }

    #[test]
    fn a_conflict_without_details_is_a_conflict() {
        assert_eq!(Reason::of(409, "store locally for endpoint: conflict"), Reason::Conflict);
        assert_eq!(Reason::of(409, "Out of Order sample"), Reason::OutOfOrder);
    }
}
