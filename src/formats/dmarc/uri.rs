//! Addresses that reports go to (RFC 9989 section 4.7, `dmarc-uri`).

use crate::formats::Fault;

/// An address that reports go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportUri {
    /// As written, without the limit of size.
    pub text: String,
    /// Its scheme in lower case.
    pub scheme: String,
    /// The mailbox of a `mailto:`, where it names one.
    pub mailbox: Option<String>,
    /// The limit of size of RFC 7489, as written: `10m`.
    pub size: Option<String>,
}

impl ReportUri {
    /// Reads one address.
    ///
    /// # Errors
    /// It is no URI (RFC 3986). Commas, semicolons and exclamation marks have to be percent-encoded.
    pub fn parse(at: usize, text: &str) -> Result<Self, Fault> {
        let (uri, size) = match text.split_once('!') {
            None => (text, None),
            Some((uri, size)) if is_size(size) => (uri, Some(size.to_owned())),
            Some((uri, _)) => {
                return Err(Fault::new(at + uri.len(), "! has to be written as %21"));
            }
        };
        let scheme = scheme(at, uri)?;
        let rest = uri.get(scheme.len() + 1..).unwrap_or_default();
        let mailbox = if scheme == "mailto" { mailbox(rest) } else { None };
        Ok(Self { text: uri.to_owned(), scheme, mailbox, size })
    }

    /// The domain of its mailbox, in lower case.
    pub fn domain(&self) -> Option<String> {
        let (_, domain) = self.mailbox.as_deref()?.rsplit_once('@')?;
        Some(domain.trim_end_matches('.').to_ascii_lowercase())
    }
}

/// The scheme of a URI in lower case.
///
/// # Errors
/// It is no URI (RFC 3986): no scheme, nothing behind it, or characters that have to be encoded.
pub fn scheme(at: usize, uri: &str) -> Result<String, Fault> {
    let no = |why: &str| Err(Fault::new(at, format!("{uri:?} {why}")));
    let Some((scheme, rest)) = uri.split_once(':') else {
        return no("has no scheme; write mailto:reports@example.org");
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !scheme.bytes().all(plain) {
        return no("does not begin with a scheme; write mailto:reports@example.org");
    }
    if rest.is_empty() {
        return no("has nothing behind its scheme");
    }
    for (offset, byte) in rest.bytes().enumerate() {
        let place = at + scheme.len() + 1 + offset;
        match byte {
            b'%' => {
                let digits = rest.as_bytes().get(offset + 1..offset + 3);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(Fault::new(place, "% stands before no two hexadecimal digits"));
                }
            }
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | b',' | b';' | b'!' => {
                return Err(Fault::new(place, format!("{:?} has to be percent-encoded", char::from(byte))));
            }
            byte if byte.is_ascii_graphic() => {}
            _ => return Err(Fault::new(place, "spaces and what is no ASCII have to be percent-encoded")),
        }
    }
    Ok(scheme.to_ascii_lowercase())
}

fn is_size(text: &str) -> bool {
    let digits = text.strip_suffix(['k', 'm', 'g', 't', 'K', 'M', 'G', 'T']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The one mailbox that is named before the headers of a `mailto:` (RFC 6068 section 2).
pub fn mailbox(rest: &str) -> Option<String> {
    let (address, _) = rest.split_once('?').unwrap_or((rest, ""));
    let (local, domain) = address.rsplit_once('@')?;
    let label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !label.is_empty() && label.len() <= 63 && label.bytes().all(plain)
    };
    let whole =
        !local.is_empty() && !local.contains('/') && domain.trim_end_matches('.').split('.').all(label);
    whole.then(|| address.to_owned())
}
