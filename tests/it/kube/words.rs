//! The words that Kubernetes' schemas take for any text: names, labels, quantities, durations, networks.

use std::net::IpAddr;

use serde_json::Value;

/// A DNS label, as of a Service or a port.
pub(super) fn is_label(name: &str, most: usize) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty()
        && name.len() <= most
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// A DNS subdomain, as of most objects.
pub(super) fn is_subdomain(name: &str, most: usize) -> bool {
    name.len() <= most && name.split('.').all(|part| is_label(part, 63))
}

/// The key of a label or an annotation.
pub(super) fn is_key(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    prefix.is_none_or(|prefix| is_subdomain(prefix, 253)) && is_label_value(name) && !name.is_empty()
}

/// The value of a label.
pub(super) fn is_label_value(value: &str) -> bool {
    let outer = |byte: &u8| byte.is_ascii_alphanumeric();
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    value.len() <= 63
        && value.bytes().all(inner)
        && value.as_bytes().first().is_none_or(outer)
        && value.as_bytes().last().is_none_or(outer)
}

/// A quantity, as of memory: `256Mi`, `10m`, `2`.
pub(super) fn quantity(value: &Value) -> Option<f64> {
    let text = match value {
        Value::Number(number) => return number.as_f64(),
        Value::String(text) => text,
        _ => return None,
    };
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let factor = match suffix {
        "" => 1.0,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        "Ti" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|number| number * factor)
}

/// Seconds of a duration as Prometheus writes it, such as `1m30s`.
pub(super) fn seconds(text: &str) -> Option<f64> {
    fleetpush::config::parse_duration(text).ok().map(|duration| duration.as_secs_f64())
}

/// A network as address and length.
pub(super) fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = text.split_once('/')?;
    let (address, length) = (address.parse::<IpAddr>().ok()?, length.parse().ok()?);
    let most = if address.is_ipv4() { 32 } else { 128 };
    (length <= most).then_some((address, length))
}

/// Whether a network lies in another one and is not all of it.
pub(super) fn lies_in(inner: (IpAddr, u8), outer: (IpAddr, u8)) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let ((inner_bits, inner_size), (outer_bits, outer_size)) = (bits(inner.0), bits(outer.0));
    let same = inner_bits.checked_shr(u32::from(128 - outer.1)).unwrap_or(0)
        == outer_bits.checked_shr(u32::from(128 - outer.1)).unwrap_or(0);
    inner_size == outer_size && inner.1 > outer.1 && same
}

#[test]
fn words_are_told_from_what_only_looks_like_them() {
    for (good, name) in [(true, "fleetpush"), (false, "Fleetpush"), (false, "-a"), (false, "a-"), (false, "")]
    {
        assert_eq!(is_label(name, 63), good, "{name:?}");
    }
    assert!(!is_label(&"a".repeat(53), 52) && is_label(&"a".repeat(52), 52));
    assert!(is_subdomain("a.b-c", 253) && !is_subdomain("a..b", 253) && !is_subdomain("a_b", 253));
    assert!(
        is_key("app.kubernetes.io/name")
            && is_key("team")
            && !is_key("a b")
            && !is_key("/x")
            && !is_key("x/")
    );
    assert!(is_label_value("0.1.0") && is_label_value("") && !is_label_value("a b") && !is_label_value("-a"));
    assert_eq!(quantity(&"2Gi".into()), Some(2147483648.0));
    assert_eq!(quantity(&"10m".into()), Some(0.01));
    assert_eq!(quantity(&2.into()), Some(2.0));
    for bad in ["banana", "2GiB", "Mi", "", "1 Mi"] {
        assert_eq!(quantity(&bad.into()), None, "{bad:?}");
    }
    let networks = |inner: &str, outer: &str| lies_in(network(inner).unwrap(), network(outer).unwrap());
    assert!(networks("169.254.0.0/16", "0.0.0.0/0") && networks("fe80::/10", "::/0"));
    assert!(!networks("fe80::/10", "0.0.0.0/0") && !networks("10.0.0.0/8", "10.0.0.0/8"));
    assert!(networks("10.1.0.0/16", "10.0.0.0/8") && !networks("11.1.0.0/16", "10.0.0.0/8"));
    assert!(network("10.0.0.0").is_none() && network("10.0.0.0/33").is_none());
}
