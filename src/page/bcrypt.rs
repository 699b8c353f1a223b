//! bcrypt: a password and a hash's salt and cost go in, the digest comes out. Its work is meant to be slow, so it
//! never runs where other things wait.

use blowfish::Blowfish;

use crate::config::BcryptHash;

/// What is enciphered: "OrpheanBeholderScryDoubt".
const TEXT: [u32; 6] = [0x4f72_7068, 0x6561_6e42, 0x6568_6f6c, 0x6465_7253, 0x6372_7944, 0x6f75_6274];
const ROUNDS: usize = 64;
/// What lies beyond is not looked at: bcrypt's own bound.
const LONGEST: usize = 72;

/// Whether a password is the one of a hash.
pub(super) fn matches(hash: &BcryptHash, password: &[u8]) -> bool {
    let digest = digest(hash.cost, &hash.salt, password);
    // Every byte is looked at, wherever they begin to differ.
    digest.iter().zip(&hash.digest).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

fn digest(cost: u32, salt: &[u8; 16], password: &[u8]) -> [u8; 24] {
    let key: Vec<u8> = password.iter().copied().chain([0]).take(LONGEST).collect();
    let mut state: Blowfish = Blowfish::bc_init_state();
    state.salted_expand_key(salt, &key);
    for _ in 0..1_u64 << cost {
        state.bc_expand_key(&key);
        state.bc_expand_key(salt);
    }
    let mut digest = [0; 24];
    for (pair, out) in TEXT.chunks_exact(2).zip(digest.chunks_exact_mut(8)) {
        let mut block = [pair[0], pair[1]];
        for _ in 0..ROUNDS {
            block = state.bc_encrypt(block);
        }
        for (word, out) in block.iter().zip(out.chunks_exact_mut(4)) {
            out.copy_from_slice(&word.to_be_bytes());
        }
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by the C library's crypt, with one salt.
    const MADE: [(&str, &str); 4] = [
        ("", "ubyCG3zY1GIXMyxfivm.ClDiInHzxjiq"),
        ("open-sesame", "uXcjcm5avyCiJoD2uS24xa2lb6fjMB3G"),
        ("pässwörd", "uyx2n0Zzopyr9QuYTMCfOJJOj526QVoC"),
        (
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "ubzadhGtS2zEF.gu0yd0opP6cVzb.e0i",
        ),
    ];

    fn hash(end: &str) -> BcryptHash {
        BcryptHash::parse(&format!("$2y$04$abcdefghijklmnopqrstu{end}")).unwrap()
    }

    #[test]
    fn hashes_that_another_program_has_made_match_their_own_password_alone() {
        for (password, end) in MADE {
            for (other, _) in MADE {
                assert_eq!(matches(&hash(end), other.as_bytes()), other == password, "{other} {end}");
            }
        }
    }

    #[test]
    fn what_is_longer_than_bcrypt_looks_at_is_cut_as_everywhere() {
        let (longest, end) = MADE[3];
        assert!(matches(&hash(end), format!("{longest}and more").as_bytes()));
        assert!(!matches(&hash(end), longest.get(1..).unwrap().as_bytes()));
    }
}
