//! The block `tls_server_config` of the page's file: which certificate is shown, who is let in, what is spoken.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::ConfigError;
use super::block::{Placed, Typed, blocks};
use super::resolve::wrong;
use super::value::{Place, Setting, is_pem};

blocks! {
    /// Paths begin in the folder of this file.
    TlsServerBlock {
        /// The certificate with its chain (PEM).
        cert_file: Typed as "path" = "required",
        /// The certificate's key (PEM).
        key_file: Typed as "path" = "required",
        /// The certificate itself, instead of `cert_file`.
        cert: Typed as "PEM",
        /// The key itself, instead of `key_file`.
        key: Typed as "PEM",
        /// What is asked of clients; each but `NoClientCert` asks for a certificate, and those with `Verify` want one of
        /// `client_ca_file`.
        client_auth_type: Typed
            as "`NoClientCert`, `RequestClientCert`, `RequireAnyClientCert`, `RequireClientCert`, `VerifyClientCertIfGiven` or `RequireAndVerifyClientCert`"
            = "`NoClientCert`",
        /// The authorities that sign clients' certificates (PEM). Required where those are verified.
        client_ca_file: Typed as "path",
        /// The same itself, instead of `client_ca_file`.
        client_ca: Typed as "PEM",
        /// Names (DNS, e-mail, URI, IP address) of which a client's certificate must have one.
        client_allowed_sans: Option<Placed<Vec<Typed>>> as "list of texts" = "any",
        /// The oldest version of TLS that is spoken. For one before 1.2 there is a warning, and 1.2 is spoken.
        min_version: Typed as "`TLS13`, `TLS12`, `TLS11` or `TLS10`" = "`TLS12`",
        /// The newest version of TLS that is spoken, `TLS12` or `TLS13`.
        max_version: Typed as "`TLS13`, `TLS12`, `TLS11` or `TLS10`" = "`TLS13`",
        /// The suites of TLS 1.2 that may be used. Those of TLS 1.3 cannot be chosen; weak ones (CBC) are a warning.
        cipher_suites: Vec<Typed> as "list of words" = "all",
        /// The groups for the key exchange, best first. `CurveP521` is a warning.
        curve_preferences: Vec<Typed> as "list of `X25519`, `CurveP256`, `CurveP384` or `CurveP521`" = "all",
        /// Whether our order of suites counts, not the client's.
        prefer_server_cipher_suites: Typed as "boolean" = "`true`",
    }
}

/// What the page shows its clients, and what it asks of them.
#[derive(Clone, Debug)]
pub struct ServerTls {
    /// Where the block stands, for errors that its files' contents give.
    pub place: String,
    /// The certificate, with its chain.
    pub cert: Pem,
    /// The certificate's key.
    pub key: Pem,
    /// What is asked of clients.
    pub client_auth: ClientAuth,
    /// Who signs clients' certificates.
    pub client_ca: Option<Pem>,
    /// Names of which a client's certificate must have one; empty: any.
    pub allowed_sans: Vec<String>,
    /// Which versions are spoken.
    pub versions: TlsVersions,
    /// The suites of TLS 1.2 that may be used; none: all. Those of 1.3 are always there.
    pub suites: Option<Vec<&'static str>>,
    /// The groups for key exchange, best first; none: the default.
    pub groups: Option<Vec<&'static str>>,
    /// Whether our order of suites counts, not the client's.
    pub prefer_server_order: bool,
}

/// A PEM text: itself, or the file that holds it.
#[derive(Clone, Debug)]
pub enum Pem {
    /// The text.
    Inline(SecretString),
    /// A file, which is read again when it changes.
    File(PathBuf),
}

/// What is asked of clients, in Go's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// `NoClientCert`: nothing.
    None,
    /// `RequestClientCert`: a certificate, which may be left out and is not verified.
    Request,
    /// `RequireAnyClientCert`: any certificate.
    RequireAny,
    /// `VerifyClientCertIfGiven`: a certificate may be left out; one that is shown is verified.
    VerifyIfGiven,
    /// `RequireAndVerifyClientCert`: one of the authority's.
    RequireAndVerify,
}

impl ClientAuth {
    /// Whether certificates must be of the authority.
    pub fn verifies(self) -> bool {
        matches!(self, ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify)
    }

    /// Whether nobody is let in without one.
    pub fn requires(self) -> bool {
        matches!(self, ClientAuth::RequireAny | ClientAuth::RequireAndVerify)
    }
}

/// Which versions of TLS are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TlsVersions {
    Both,
    Only12,
    Only13,
}

const CLIENT_AUTH: [(&str, ClientAuth); 6] = [
    ("NoClientCert", ClientAuth::None),
    ("RequestClientCert", ClientAuth::Request),
    ("RequireAnyClientCert", ClientAuth::RequireAny),
    // An older word for it, which the exporters still take.
    ("RequireClientCert", ClientAuth::RequireAny),
    ("VerifyClientCertIfGiven", ClientAuth::VerifyIfGiven),
    ("RequireAndVerifyClientCert", ClientAuth::RequireAndVerify),
];
const VERSIONS: [(&str, u8); 4] = [("TLS13", 13), ("TLS12", 12), ("TLS11", 11), ("TLS10", 10)];
/// The suites of TLS 1.2 that are spoken.
const SUITES: [&str; 6] = [
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];
/// Those of TLS 1.3 cannot be chosen, there as here.
const SUITES_13: [&str; 3] =
    ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];
/// Suites that the exporters take and that are not spoken here, since they are weak.
const WEAK_SUITES: [&str; 4] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
];
/// Go's names for groups, and the registry's; none: not spoken.
const GROUPS: [(&str, Option<&str>); 4] = [
    ("X25519", Some("X25519")),
    ("CurveP256", Some("secp256r1")),
    ("CurveP384", Some("secp384r1")),
    ("CurveP521", None),
];

impl ServerTls {
    /// Checks the block.
    pub(super) fn of(
        Placed { place, value: block }: Placed<TlsServerBlock>,
        folder: &Path,
        warnings: &mut Vec<String>,
    ) -> Result<Self, ConfigError> {
        let cert = pem(block.cert, block.cert_file, folder, "CERTIFICATE")?;
        let key = pem(block.key, block.key_file, folder, "PRIVATE KEY")?;
        let client_ca = pem(block.client_ca.clone(), block.client_ca_file.clone(), folder, "CERTIFICATE")?;
        let missing = |what: &str| wrong(&place, format_args!("has no {what}; add one"));
        let cert = cert.ok_or_else(|| missing("cert_file"))?;
        let key = key.ok_or_else(|| missing("key_file"))?;
        let auth = block.client_auth_type;
        let client_auth = auth.as_ref().map_or(Ok(ClientAuth::None), |typed| typed.choice(&CLIENT_AUTH))?;
        match (&client_ca, block.client_ca_file.or(block.client_ca), auth) {
            (Some(_), Some(ca), _) if client_auth == ClientAuth::None => {
                return Err(ca.error(
                    "asks nothing of clients without client_auth_type; add RequireAndVerifyClientCert",
                ));
            }
            // Go would trust every authority of the system then.
            (None, _, Some(auth)) if client_auth.verifies() => {
                return Err(auth.error("has no client_ca_file to verify by; add one"));
            }
            _ => {}
        }
        let (versions, suites) = spoken(
            &place,
            (block.min_version, block.max_version),
            block.cipher_suites.into_iter().flatten().collect(),
            warnings,
        )?;
        let prefer = block.prefer_server_cipher_suites;
        Ok(ServerTls {
            place: place.to_string(),
            cert,
            key,
            client_auth,
            client_ca,
            allowed_sans: allowed_sans(block.client_allowed_sans, client_auth)?,
            versions,
            suites,
            groups: groups(block.curve_preferences.into_iter().flatten().collect(), warnings)?,
            prefer_server_order: prefer.map_or(Ok(true), |typed| typed.boolean())?,
        })
    }

    /// The files that it names.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let all = [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()];
        let path = |pem: &Pem| match pem {
            Pem::File(path) => Some(path.clone()),
            Pem::Inline(_) => None,
        };
        all.into_iter().flatten().filter_map(path).collect()
    }
}

fn pem(text: Typed, file: Typed, folder: &Path, kind: &str) -> Result<Option<Pem>, ConfigError> {
    match (text, file) {
        (Some(text), Some(file)) => {
            Err(file.error(format_args!("stands beside {}; keep one of them", text.place)))
        }
        (Some(text), None) if is_pem(text.text.as_bytes(), kind) => {
            Ok(Some(Pem::Inline(SecretString::from(text.text))))
        }
        (Some(text), None) => {
            let kind = kind.to_lowercase();
            Err(text.error(format_args!("has no {kind} in PEM form (-----BEGIN …)")))
        }
        (None, Some(file)) => file.pem_in(folder, kind).map(|path| Some(Pem::File(path))),
        (None, None) => Ok(None),
    }
}

fn allowed_sans(
    list: Option<Placed<Vec<Typed>>>,
    client_auth: ClientAuth,
) -> Result<Vec<String>, ConfigError> {
    let Some(Placed { place, value }) = list else { return Ok(Vec::new()) };
    if !client_auth.requires() {
        return Err(wrong(
            &place,
            "needs a client_auth_type that requires a certificate; set RequireAndVerifyClientCert",
        ));
    }
    let names: Vec<String> =
        value.iter().flatten().map(|name| name.filled().map(str::to_owned)).collect::<Result<_, _>>()?;
    if names.is_empty() {
        return Err(wrong(&place, "is empty, so nobody would be let in; leave it out"));
    }
    Ok(names)
}

type Spoken = (TlsVersions, Option<Vec<&'static str>>);

fn spoken(
    place: &Place,
    (min, max): (Typed, Typed),
    wanted: Vec<Setting>,
    warnings: &mut Vec<String>,
) -> Result<Spoken, ConfigError> {
    let least = min.as_ref().map_or(Ok(12), |typed| typed.choice(&VERSIONS))?;
    let most = max.as_ref().map_or(Ok(13), |typed| typed.choice(&VERSIONS))?;
    if let Some(max) = max.filter(|_| most < 12) {
        return Err(max.error("is older than anything that is spoken here; write TLS12 or TLS13"));
    }
    if let Some(min) = min {
        if least > most {
            return Err(min.error("is newer than max_version; no version is left"));
        }
        if least < 12 {
            let what = "changes nothing here: TLS 1.2 is the oldest version that is spoken";
            warnings.push(format!("{}: {what}", min.place));
        }
    }
    let versions = match (least, most) {
        (13, _) => TlsVersions::Only13,
        (_, 12) => TlsVersions::Only12,
        _ => TlsVersions::Both,
    };
    if wanted.is_empty() {
        return Ok((versions, None));
    }
    let mut suites = Vec::new();
    for setting in wanted {
        let name = setting.filled()?;
        if let Some(known) = SUITES.iter().find(|known| **known == name) {
            suites.push(*known);
        } else if WEAK_SUITES.contains(&name) {
            warnings.push(format!("{}: {name} is weak and not spoken here", setting.place));
        } else if !SUITES_13.contains(&name) {
            let known = SUITES.join(", ");
            return Err(setting.error(format_args!("{name:?} is not one of {known}")));
        }
    }
    match versions {
        TlsVersions::Only12 if suites.is_empty() => {
            Err(wrong(place, "has no cipher suite of TLS 1.2 that is spoken here; add one, or TLS 1.3"))
        }
        TlsVersions::Both if suites.is_empty() => Ok((TlsVersions::Only13, None)),
        versions => Ok((versions, Some(suites))),
    }
}

fn groups(
    wanted: Vec<Setting>,
    warnings: &mut Vec<String>,
) -> Result<Option<Vec<&'static str>>, ConfigError> {
    let mut groups = Vec::new();
    for setting in &wanted {
        match setting.choice(&GROUPS)? {
            Some(group) => groups.push(group),
            None => warnings.push(format!("{}: {} is not spoken here", setting.place, setting.text.trim())),
        }
    }
    match wanted.first().filter(|_| groups.is_empty()) {
        Some(first) => Err(first.error("is not spoken here, so none is left; add X25519 or CurveP256")),
        None => Ok((!groups.is_empty()).then_some(groups)),
    }
}
