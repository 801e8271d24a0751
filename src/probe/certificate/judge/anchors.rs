//! The roots that are trusted.

use std::sync::{Arc, LazyLock};

use rustls::pki_types::{CertificateDer, TrustAnchor};

use crate::formats::x509::extensions::NameConstraints;
use crate::formats::x509::{Certificate, Malformed, Name, sequence};

/// One root.
#[derive(Debug)]
pub struct Anchor {
    /// Its name.
    pub name: Name,
    /// Its key.
    pub spki: Box<[u8]>,
    /// The whole certificate, where it is known; stores such as Mozilla's keep name and key alone.
    pub certificate: Option<Certificate>,
    /// Its name constraints.
    pub constraints: Option<NameConstraints>,
    /// Whether it stands in Mozilla's store: then the rules of public authorities apply to what it
    /// issues.
    pub public: bool,
}

/// All roots that are trusted.
#[derive(Debug, Default)]
pub struct Anchors {
    list: Vec<Arc<Anchor>>,
    /// The same for webpki, which refuses some.
    webpki: Vec<TrustAnchor<'static>>,
}

impl Anchors {
    /// Trusts these certificates.
    pub fn of(certificates: impl IntoIterator<Item = Certificate>) -> Self {
        let mut all = Self::default();
        for certificate in certificates {
            let der = CertificateDer::from(certificate.der());
            if let Ok(anchor) = webpki::anchor_from_trusted_cert(&der) {
                all.webpki.push(anchor.to_owned());
            }
            all.list.push(Arc::new(Anchor {
                name: certificate.subject.clone(),
                spki: certificate.spki().into(),
                constraints: certificate.extensions.name_constraints.clone(),
                public: in_mozillas_store(&certificate),
                certificate: Some(certificate),
            }));
        }
        all
    }

    /// Trusts these certificates as if they stood in Mozilla's store.
    #[cfg(test)]
    pub fn public(certificates: impl IntoIterator<Item = Certificate>) -> Self {
        let Self { list, webpki } = Self::of(certificates);
        let public = |anchor: Arc<Anchor>| {
            let anchor = Arc::into_inner(anchor).unwrap();
            Arc::new(Anchor { public: true, ..anchor })
        };
        Self { list: list.into_iter().map(public).collect(), webpki }
    }

    /// Trusts Mozilla's store, as it was compiled in.
    ///
    /// # Errors
    /// The store is damaged.
    pub fn mozilla() -> Result<Self, Malformed> {
        let mut all = Self::default();
        for root in webpki_roots::TLS_SERVER_ROOTS {
            let constraints = root.name_constraints.as_ref();
            all.list.push(Arc::new(Anchor {
                name: Name::parse(&sequence(&root.subject))?,
                spki: sequence(&root.subject_public_key_info).into(),
                constraints: constraints
                    .map(|content| NameConstraints::parse(&sequence(content)))
                    .transpose()?,
                public: true,
                certificate: None,
            }));
            all.webpki.push(root.to_owned());
        }
        Ok(all)
    }

    /// Trusts Mozilla's store and these certificates.
    pub fn mozilla_and(certificates: impl IntoIterator<Item = Certificate>) -> Self {
        // A test holds that the store that is compiled in can be read.
        static STORE: LazyLock<Anchors> = LazyLock::new(|| Anchors::mozilla().unwrap_or_default());
        let mut all = Self::of(certificates);
        all.list.extend(STORE.list.iter().cloned());
        all.webpki.extend(STORE.webpki.iter().cloned());
        all
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Anchor> {
        self.list.iter().map(|anchor| &**anchor)
    }

    /// Whether nothing is trusted.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The form that webpki takes.
    pub fn webpki(&self) -> &[TrustAnchor<'static>] {
        &self.webpki
    }
}

fn in_mozillas_store(certificate: &Certificate) -> bool {
    webpki_roots::TLS_SERVER_ROOTS.iter().any(|root| {
        certificate.spki().ends_with(&root.subject_public_key_info)
            && certificate.subject.der().ends_with(&root.subject)
    })
}
