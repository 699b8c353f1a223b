//! What the page shows its clients and asks of them, as the TLS library wants it: checked settings and the files
//! that they name go in, a server's configuration comes out.

use std::path::Path;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::{
    CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::server::{NoClientAuth, WebPkiClientVerifier};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    DigitallySignedStruct, DistinguishedName, Error, ProtocolVersion, RootCertStore, ServerConfig,
    SignatureScheme, SupportedProtocolVersion,
};

use super::GuardError;
use super::san;
use crate::config::{ClientAuth, Pem, ServerTls, TlsVersions};

/// The configuration of the files as they are now.
pub(super) fn server(tls: &ServerTls) -> Result<ServerConfig, GuardError> {
    let provider = Arc::new(provider(tls));
    let versions: &[&SupportedProtocolVersion] = match tls.versions {
        TlsVersions::Both => &[&TLS13, &TLS12],
        TlsVersions::Only12 => &[&TLS12],
        TlsVersions::Only13 => &[&TLS13],
    };
    let wrong = |what: String| GuardError::Tls { place: tls.place.clone(), what };
    let chain = certificates(&tls.cert, "certificate").map_err(&wrong)?;
    let key = text(&tls.key).map_err(&wrong)?;
    let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes());
    let key = key.map_err(|_| wrong(format!("{} holds no key that can be read", shown(&tls.key, "key"))))?;
    let verifier = verifier(tls, &provider).map_err(&wrong)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| wrong(format!("no such TLS can be spoken: {error}")))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| wrong(unpaired(tls, &error)))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ignore_client_order = tls.prefer_server_order;
    Ok(config)
}

fn unpaired(tls: &ServerTls, error: &Error) -> String {
    let (cert, key) = (shown(&tls.cert, "certificate"), shown(&tls.key, "key"));
    match error {
        Error::InconsistentKeys(_) => format!("{key} does not belong to {cert}: replace one of them"),
        Error::InvalidCertificate(_) => format!("{cert} holds no certificate that can be read"),
        error => format!("{cert} and {key} cannot be used: {error}"),
    }
}

/// The suites and groups that were chosen, or all.
fn provider(tls: &ServerTls) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    if let Some(chosen) = &tls.suites {
        provider.cipher_suites.retain(|suite| {
            let name = format!("{:?}", suite.suite());
            suite.version().version == ProtocolVersion::TLSv1_3 || chosen.contains(&name.as_str())
        });
    }
    if let Some(chosen) = &tls.groups {
        let group = |name: &&str| {
            let mut all = provider.kx_groups.iter();
            all.find(|group| format!("{:?}", group.name()) == *name).copied()
        };
        provider.kx_groups = chosen.iter().filter_map(group).collect();
    }
    provider
}

fn verifier(tls: &ServerTls, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let verifier: Arc<dyn ClientCertVerifier> = match (&tls.client_ca, tls.client_auth) {
        (_, ClientAuth::None) => return Ok(Arc::new(NoClientAuth)),
        (Some(authority), how) if how.verifies() => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(authority, "client_ca")? {
                let unusable = |error| format!("{} cannot be used: {error}", shown(authority, "client_ca"));
                roots.add(certificate).map_err(unusable)?;
            }
            let builder = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(provider));
            let builder = if how.requires() { builder } else { builder.allow_unauthenticated() };
            builder.build().map_err(|error| format!("client certificates cannot be verified: {error}"))?
        }
        (_, how) => Arc::new(Unverified { provider: Arc::clone(provider), required: how.requires() }),
    };
    if tls.allowed_sans.is_empty() {
        return Ok(verifier);
    }
    Ok(Arc::new(Named { verifier, allowed: tls.allowed_sans.clone() }))
}

fn certificates(pem: &Pem, kind: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = text(pem)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.expose_secret().as_bytes()).collect();
    let unreadable = || format!("{} holds no certificate that can be read", shown(pem, kind));
    all.ok().filter(|all| !all.is_empty()).ok_or_else(unreadable)
}

fn text(pem: &Pem) -> Result<SecretString, String> {
    match pem {
        Pem::Inline(text) => Ok(text.clone()),
        Pem::File(path) => read(path).map(SecretString::from),
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn shown(pem: &Pem, kind: &str) -> String {
    match pem {
        Pem::Inline(_) => format!("the {kind}"),
        Pem::File(path) => path.display().to_string(),
    }
}

/// Takes any certificate whose key the client holds.
#[derive(Debug)]
struct Unverified {
    provider: Arc<CryptoProvider>,
    required: bool,
}

impl ClientCertVerifier for Unverified {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Beside what another verifier wants, one of these names.
#[derive(Debug)]
struct Named {
    verifier: Arc<dyn ClientCertVerifier>,
    allowed: Vec<String>,
}

impl ClientCertVerifier for Named {
    fn offer_client_auth(&self) -> bool {
        self.verifier.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.verifier.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.verifier.verify_client_cert(end_entity, intermediates, now)?;
        if san::names(end_entity).iter().any(|name| self.allowed.contains(name)) {
            return Ok(verified);
        }
        Err(Error::General("the client's certificate has none of client_allowed_sans".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
