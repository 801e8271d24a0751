//! BIMI: the record, the logo and the certificate that vouches for it.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Look;
use crate::formats::bimi::{Record, svg};
use crate::formats::dns::RecordType;
use crate::formats::x509::{Certificate, GeneralName, hex, pem};
use crate::probe::mail::facts::{Bimi, Mark, Says};

/// So much of a logo is read: what is longer than clients load is told with its length.
const LONGEST_LOGO: usize = 256 * 1024;
/// So much of a chain of certificates is read; they hold the logo too.
const LONGEST_CHAIN: usize = 256 * 1024;
/// `id-kp-BrandIndicatorforMessageIdentification`.
const FOR_MARKS: &str = "1.3.6.1.5.5.7.3.31";
/// Before the logo in the extension "logotype" (RFC 9399).
const EMBEDDED: &[u8] = b"data:image/svg+xml;base64,";

pub(super) async fn look(look: &Look<'_>) -> Bimi {
    let record = look.ask(&format!("default._bimi.{}", look.spec.name()), RecordType::TXT).await;
    let read = record.values.iter().find_map(|text| Record::parse(text).ok());
    let url = |text: Option<&String>| text.and_then(|text| url::Url::parse(text).ok());
    let (logo, evidence) = match &read {
        Some(read) => (url(read.logo.as_ref()), url(read.evidence.as_ref())),
        None => (None, None),
    };
    let of = async |url: Option<url::Url>, most, read: fn(&[u8]) -> Says| match url {
        Some(url) => Some(look.fetch(&url, most, read).await),
        None => None,
    };
    let logo = of(logo, LONGEST_LOGO, logo_of).await;
    let evidence = of(evidence, LONGEST_CHAIN, mark_of).await;
    Bimi { record, logo, evidence }
}

fn logo_of(body: &[u8]) -> Says {
    match std::str::from_utf8(body) {
        Err(_) => Says::Unreadable("it is no text in UTF-8".to_owned()),
        Ok(text) => {
            let flaws = svg::flaws(text);
            Says::Logo(flaws.iter().map(|flaw| (flaw.words(), flaw.refused())).collect())
        }
    }
}

fn mark_of(body: &[u8]) -> Says {
    let text = String::from_utf8_lossy(body);
    let blocks = match pem::blocks(&text) {
        Ok(blocks) => blocks,
        Err(why) => return Says::Unreadable(why.to_string()),
    };
    let mut ders = blocks.into_iter().filter(|block| block.label == "CERTIFICATE").map(|block| block.bytes);
    let Some(first) = ders.next() else {
        return Says::Unreadable("it holds no certificate in PEM".to_owned());
    };
    let leaf = match Certificate::parse(&first) {
        Ok(leaf) => leaf,
        Err(why) => return Says::Unreadable(format!("its first certificate cannot be read: {why}")),
    };
    let name = |name: &GeneralName| match name {
        GeneralName::Dns(text) => text.plain().map(str::to_ascii_lowercase),
        _ => None,
    };
    let usages = leaf.extensions.eku.iter().flatten();
    Says::Mark(Mark {
        for_marks: usages.into_iter().any(|usage| usage == FOR_MARKS),
        names: leaf.sans().iter().filter_map(name).collect(),
        not_after: leaf.not_after.seconds,
        logo: embedded(&first),
        certificates: 1 + ders.count(),
    })
}

/// The digest of the logo within a certificate, unpacked: it stands in an IA5String, whose length says
/// where it ends.
fn embedded(der: &[u8]) -> Option<String> {
    const IA5_STRING: u8 = 0x16;
    let at = der.windows(EMBEDDED.len()).position(|window| window == EMBEDDED)?;
    let length = match der.get(..at)? {
        [.., IA5_STRING, 0x83, high, middle, low] => u32::from_be_bytes([0, *high, *middle, *low]),
        [.., IA5_STRING, 0x82, high, low] => u32::from_be_bytes([0, 0, *high, *low]),
        [.., IA5_STRING, 0x81, low] | [.., IA5_STRING, low] => u32::from(*low),
        _ => return None,
    };
    let whole = der.get(at..)?.get(..usize::try_from(length).ok()?)?;
    let packed = STANDARD.decode(whole.get(EMBEDDED.len()..)?).ok()?;
    let logo = unpacked(&packed)?;
    Some(hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &logo).as_ref()))
}

/// A logo without its gzip; none if it is longer than a logo may be.
fn unpacked(packed: &[u8]) -> Option<Vec<u8>> {
    let mut logo = Vec::new();
    let most = u64::try_from(LONGEST_LOGO).unwrap_or(u64::MAX);
    let read = flate2::read::GzDecoder::new(packed).take(most + 1).read_to_end(&mut logo).ok()?;
    (read <= LONGEST_LOGO).then_some(logo)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use rcgen::{CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, KeyPair};

    use super::*;

    fn certificate(purpose: &[u64], logo: Option<&[u8]>) -> String {
        let mut params = CertificateParams::new(vec!["Acme.example".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(purpose.to_vec())];
        if let Some(logo) = logo {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            packer.write_all(logo).unwrap();
            let mut content = EMBEDDED.to_vec();
            content.extend(STANDARD.encode(packer.finish().unwrap()).into_bytes());
            let length = u8::try_from(content.len()).unwrap();
            // What comes after it looks like base64, too.
            let content = [&[0x16, 0x81, length][..], &content, b"0AAA"].concat();
            let logotype = CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 12], content);
            params.custom_extensions.push(logotype);
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn a_mark_certificate_says_for_whom_and_for_which_logo_it_is() {
        let logo = b"<svg/>";
        let digest = hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, logo).as_ref());
        let Says::Mark(mark) = mark_of(certificate(&[1, 3, 6, 1, 5, 5, 7, 3, 31], Some(logo)).as_bytes())
        else {
            panic!("it is a certificate")
        };
        assert!(mark.for_marks && mark.names == ["acme.example"] && mark.certificates == 1);
        assert_eq!(mark.logo, Some(digest));
        let Says::Mark(other) = mark_of(certificate(&[1, 3, 6, 1, 5, 5, 7, 3, 1], None).as_bytes()) else {
            panic!("it is a certificate")
        };
        assert!(!other.for_marks && other.logo.is_none());
        for broken in ["", "text", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(matches!(mark_of(broken.as_bytes()), Says::Unreadable(_)), "{broken}");
        }
    }

    #[test]
    fn a_logo_that_unpacks_without_end_is_none() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(&vec![b' '; LONGEST_LOGO + 1]).unwrap();
        assert_eq!(unpacked(&packer.finish().unwrap()), None);
        assert_eq!(unpacked(b"no gzip"), None);
    }
}
