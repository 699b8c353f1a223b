//! The names of a certificate (its subject alternative names): DER goes in, names come out as Go writes them.
//! A certificate that cannot be read has none. Pure.

use std::net::IpAddr;

const SEQUENCE: u8 = 0x30;
const OBJECT: u8 = 0x06;
const BOOLEAN: u8 = 0x01;
const OCTETS: u8 = 0x04;
/// `[3]` of a certificate's body: its extensions.
const EXTENSIONS: u8 = 0xa3;
/// 2.5.29.17
const ALTERNATIVE_NAMES: [u8; 3] = [0x55, 0x1d, 0x11];

/// E-mail addresses, host names, URIs and IP addresses of a certificate.
pub(super) fn names(certificate: &[u8]) -> Vec<String> {
    alternative_names(certificate).map(|list| all(list).filter_map(name).collect()).unwrap_or_default()
}

fn alternative_names(certificate: &[u8]) -> Option<&[u8]> {
    let body = first(first(certificate, SEQUENCE)?, SEQUENCE)?;
    let (_, extensions) = all(body).find(|(tag, _)| *tag == EXTENSIONS)?;
    let extensions = first(extensions, SEQUENCE)?;
    let value = all(extensions).find_map(|(_, extension)| {
        let mut parts = all(extension);
        let named = parts.next().is_some_and(|part| part == (OBJECT, &ALTERNATIVE_NAMES));
        let mut rest = parts.filter(|(tag, _)| *tag != BOOLEAN);
        rest.next().filter(|(tag, _)| named && *tag == OCTETS).map(|(_, value)| value)
    })?;
    first(value, SEQUENCE)
}

fn name((tag, value): (u8, &[u8])) -> Option<String> {
    match tag {
        // rfc822Name, dNSName, uniformResourceIdentifier
        0x81 | 0x82 | 0x86 => Some(String::from_utf8_lossy(value).into_owned()),
        // iPAddress
        0x87 => {
            let v4 = <[u8; 4]>::try_from(value).map(IpAddr::from);
            let address = v4.or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from)).ok()?;
            Some(address.to_canonical().to_string())
        }
        _ => None,
    }
}

/// The content of the first element, which must be of this kind.
fn first(input: &[u8], tag: u8) -> Option<&[u8]> {
    all(input).next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
}

/// Kind and content of each element, up to the first that is cut off.
fn all(mut input: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (tag, rest) = input.split_first()?;
        let (length, rest) = length(rest)?;
        let (content, rest) = rest.split_at_checked(length)?;
        input = rest;
        Some((*tag, content))
    })
}

fn length(input: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = input.split_first()?;
    match first {
        0..=0x7f => Some((usize::from(*first), rest)),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = bytes.iter().fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte));
            Some((length, rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn certificate() -> Vec<u8> {
        let mut params =
            CertificateParams::new(vec!["a.example.test".to_owned(), "10.0.0.1".to_owned()]).unwrap();
        let text = |text: &str| text.try_into().unwrap();
        params.subject_alt_names.extend([
            SanType::Rfc822Name(text("me@example.test")),
            SanType::URI(text("spiffe://example.test/scraper")),
            SanType::IpAddress("2001:db8::1".parse().unwrap()),
        ]);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn every_kind_of_name_is_found() {
        let wanted =
            ["a.example.test", "10.0.0.1", "me@example.test", "spiffe://example.test/scraper", "2001:db8::1"];
        assert_eq!(names(&certificate()), wanted);
        let without = CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert_eq!(names(without.der()), Vec::<String>::new());
    }

    #[test]
    fn a_certificate_that_is_cut_off_has_no_name_that_it_did_not_have() {
        let whole = certificate();
        let wanted = names(&whole);
        for end in 0..whole.len() {
            assert!(names(whole.get(..end).unwrap()).iter().all(|name| wanted.contains(name)), "{end}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            names(&bytes);
        }
    }
}
