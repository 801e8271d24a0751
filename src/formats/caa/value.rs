//! The values of properties.

/// Why a property cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("CAA `{tag}`, byte {at} of the value: {why}")]
pub struct Fault {
    /// The property's tag, printable.
    pub tag: String,
    /// Where in the value.
    pub at: usize,
    /// What is wrong there.
    pub why: &'static str,
}

/// A fault before the tag is known.
#[derive(Debug)]
pub(super) struct Bad {
    at: usize,
    why: &'static str,
}

pub(super) const fn bad(at: usize, why: &'static str) -> Bad {
    Bad { at, why }
}

impl Bad {
    pub(super) fn of(self, tag: &str) -> Fault {
        Fault { tag: tag.to_owned(), at: self.at, why: self.why }
    }
}

/// Bytes for a person, cut.
pub(super) fn printable(bytes: &[u8]) -> String {
    bytes
        .iter()
        .take(40)
        .copied()
        .map(std::ascii::escape_default)
        .map(|escaped| escaped.to_string())
        .collect()
}

/// Reads the value of an issuer from left to right.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) const fn at(&self) -> usize {
        self.at
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.peek().is_none()
    }

    fn many(&mut self, fits: impl Fn(u8) -> bool) -> String {
        let mut taken = String::new();
        while let Some(byte) = self.peek().filter(|byte| fits(*byte)) {
            taken.push(char::from(byte));
            self.at += 1;
        }
        taken
    }

    pub(super) fn space(&mut self) {
        self.many(|byte| matches!(byte, b' ' | b'\t'));
    }

    pub(super) fn expect(&mut self, wanted: u8, why: &'static str) -> Result<(), Bad> {
        if self.peek() != Some(wanted) {
            return Err(bad(self.at, why));
        }
        self.at += 1;
        Ok(())
    }

    /// `label *("." label)`.
    pub(super) fn domain(&mut self) -> Result<String, Bad> {
        let start = self.at;
        let name = self.many(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
        if !name.split('.').all(is_label) {
            return Err(bad(start, "not an issuer domain name"));
        }
        Ok(name)
    }

    pub(super) fn tag(&mut self) -> Result<String, Bad> {
        let start = self.at;
        let tag = self.many(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if is_label(&tag) { Ok(tag) } else { Err(bad(start, "not the name of a parameter")) }
    }

    /// `*WSP "=" *WSP value`.
    pub(super) fn assigned(&mut self) -> Result<String, Bad> {
        self.space();
        self.expect(b'=', "`=` is missing after the name of a parameter")?;
        self.space();
        Ok(self.many(|byte| byte.is_ascii_graphic() && byte != b';'))
    }
}

/// Letters and digits, with hyphens between.
fn is_label(label: &str) -> bool {
    !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
}

fn text(bytes: &[u8]) -> Result<String, Bad> {
    let text = std::str::from_utf8(bytes).map_err(|error| bad(error.valid_up_to(), "not UTF-8"))?;
    Ok(text.to_owned())
}

pub(super) fn report_url(bytes: &[u8]) -> Result<String, Bad> {
    let text = text(bytes)?;
    let url = url::Url::parse(&text).map_err(|_| bad(0, "not a URL"))?;
    let fits = match url.scheme() {
        "http" | "https" => url.has_host(),
        "mailto" => is_email(url.path()),
        _ => return Err(bad(0, "not a `mailto:`, `http:` or `https:` URL")),
    };
    if fits { Ok(text) } else { Err(bad(0, "a URL without an address")) }
}

pub(super) fn email(bytes: &[u8]) -> Result<String, Bad> {
    let text = text(bytes)?;
    if is_email(&text) { Ok(text) } else { Err(bad(0, "not an e-mail address")) }
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let plain = |char: char| !char.is_whitespace() && !char.is_control() && char != '@';
    let labels = || domain.split('.');
    !local.is_empty()
        && local.chars().all(plain)
        && labels()
            .all(|label| is_label(label) && label.chars().all(|char| char.is_alphanumeric() || char == '-'))
}

/// A global number (RFC 3966 section 5.1.4).
pub(super) fn phone(bytes: &[u8]) -> Result<String, Bad> {
    let text = text(bytes)?;
    let digits = text.strip_prefix('+').ok_or_else(|| bad(0, "a telephone number begins with `+`"))?;
    let wrong = digits.find(|char: char| !char.is_ascii_digit() && !matches!(char, '-' | '.' | '(' | ')'));
    if let Some(at) = wrong {
        return Err(bad(at + 1, "a character that no telephone number has"));
    }
    if digits.contains(|char: char| char.is_ascii_digit()) {
        return Ok(text);
    }
    Err(bad(1, "a telephone number without digits"))
}
