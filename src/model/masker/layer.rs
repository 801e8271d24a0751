//! A text as it reads once one round of encoding is taken off, with the way back to where it stood.

use std::borrow::Cow;

/// What stands at the end of a text that was cut.
pub(super) const CUT: &str = "…";

/// Fewer characters of base64 hold nothing that is looked for.
const SHORTEST_RUN: usize = 6;

/// The longest escape that is read, in bytes: `&#x0010ffff;`.
const LONGEST_ESCAPE: usize = 12;

/// Entities of HTML that stand for one ASCII character each.
const ENTITIES: [(&[u8], char); 40] = [
    (b"amp", '&'),
    (b"lt", '<'),
    (b"gt", '>'),
    (b"quot", '"'),
    (b"AMP", '&'),
    (b"LT", '<'),
    (b"GT", '>'),
    (b"QUOT", '"'),
    (b"apos", '\''),
    (b"nbsp", ' '),
    (b"Tab", '\t'),
    (b"NewLine", '\n'),
    (b"excl", '!'),
    (b"num", '#'),
    (b"dollar", '$'),
    (b"percnt", '%'),
    (b"lpar", '('),
    (b"rpar", ')'),
    (b"ast", '*'),
    (b"plus", '+'),
    (b"comma", ','),
    (b"period", '.'),
    (b"sol", '/'),
    (b"colon", ':'),
    (b"semi", ';'),
    (b"equals", '='),
    (b"quest", '?'),
    (b"commat", '@'),
    (b"lbrack", '['),
    (b"lsqb", '['),
    (b"bsol", '\\'),
    (b"rbrack", ']'),
    (b"rsqb", ']'),
    (b"Hat", '^'),
    (b"lowbar", '_'),
    (b"grave", '`'),
    (b"lcub", '{'),
    (b"lbrace", '{'),
    (b"verbar", '|'),
    (b"rcub", '}'),
];

/// Those of [`ENTITIES`] that HTML reads without their semicolon.
const OLD_ENTITIES: usize = 8;

/// A text and where each of its bytes came from.
pub(super) struct Layer<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    /// Start and end of each byte in the first text; none where this is the first.
    places: Option<Vec<(usize, usize)>>,
}

impl<'a> Layer<'a> {
    pub(super) fn first(text: &'a str) -> Self {
        Self { bytes: Cow::Borrowed(text.as_bytes()), places: None }
    }

    fn empty() -> Self {
        Self { bytes: Cow::Owned(Vec::new()), places: Some(Vec::new()) }
    }

    /// Where the byte stands in the first text.
    pub(super) fn place(&self, at: usize) -> (usize, usize) {
        match &self.places {
            None => (at, at + 1),
            Some(places) => places.get(at).copied().unwrap_or_default(),
        }
    }

    fn push(&mut self, bytes: &[u8], place: (usize, usize)) {
        self.bytes.to_mut().extend_from_slice(bytes);
        if let Some(places) = &mut self.places {
            places.extend(bytes.iter().map(|_| place));
        }
    }

    fn rest(&self, at: usize) -> &[u8] {
        self.bytes.get(at..).unwrap_or_default()
    }

    /// Whether the text was cut here, or in the midst of the escape that begins here.
    pub(super) fn is_cut(&self, at: usize) -> bool {
        let rest = self.rest(at);
        let cut = CUT.as_bytes();
        let escape = matches!(rest.first(), Some(b'%' | b'\\' | b'&'));
        rest.starts_with(cut)
            || escape
                && rest
                    .get(..LONGEST_ESCAPE.min(rest.len()))
                    .unwrap_or_default()
                    .windows(cut.len())
                    .any(|part| part == cut)
    }

    /// The text without one round of percent encoding, escapes of JSON, JavaScript and Rust, and
    /// entities of HTML; none where it holds none of them.
    pub(super) fn unescaped(&self) -> Option<Layer<'static>> {
        let starts = |byte: &u8| matches!(byte, b'%' | b'\\' | b'&');
        if !self.bytes.iter().any(starts) {
            return None;
        }
        let mut plain = Layer::empty();
        let mut changed = false;
        let mut at = 0;
        while let Some(byte) = self.bytes.get(at) {
            let place = self.place(at);
            let Some((read, length)) = starts(byte).then(|| unescape(self.rest(at))).flatten() else {
                plain.push(&[*byte], place);
                at += 1;
                continue;
            };
            let end = self.place(at + length - 1).1;
            match read {
                Read::Byte(byte) => plain.push(&[byte], (place.0, end)),
                Read::Char(char) => plain.push(char.encode_utf8(&mut [0; 4]).as_bytes(), (place.0, end)),
            }
            changed = true;
            at += length;
        }
        changed.then_some(plain)
    }

    /// Each stretch that could be base64 (of either alphabet), decoded as if it began at each of its
    /// first four characters. One that holds less than `shortest` bytes is left out, unless it was cut.
    pub(super) fn decoded(&self, shortest: usize) -> impl Iterator<Item = Layer<'static>> {
        let mut at = 0;
        let runs = std::iter::from_fn(move || {
            let skipped = self.rest(at).iter().position(|byte| digit(*byte).is_some())?;
            let start = at + skipped;
            let rest = self.rest(start);
            let length = rest.iter().position(|byte| digit(*byte).is_none()).unwrap_or(rest.len());
            at = start + length;
            Some((start, at))
        });
        let needed = SHORTEST_RUN.max((shortest * 4).div_ceil(3));
        let long = runs.filter(move |(start, end)| {
            end - start >= needed || end - start >= SHORTEST_RUN && self.is_cut(*end)
        });
        long.flat_map(move |(start, end)| (0..4).map(move |skip| self.base64(start + skip, end)))
    }

    fn base64(&self, start: usize, end: usize) -> Layer<'static> {
        let mut plain = Layer::empty();
        let (mut bits, mut held) = (0_u32, 0);
        for at in start..end {
            let value = self.bytes.get(at).and_then(|byte| digit(*byte)).unwrap_or_default();
            bits = (bits << 6 | u32::from(value)) & 0xffff;
            held += 6;
            if held >= 8 {
                held -= 8;
                let [.., byte] = (bits >> held).to_be_bytes();
                plain.push(&[byte], (self.place(at - 1).0, self.place(at).1));
            }
        }
        if self.is_cut(end) {
            let here = self.place(end).0;
            plain.push(CUT.as_bytes(), (here, here));
        }
        plain
    }
}

/// What an escape stands for.
enum Read {
    Byte(u8),
    Char(char),
}

/// What the escape at the beginning stands for, and its length.
fn unescape(text: &[u8]) -> Option<(Read, usize)> {
    match text {
        [b'%', b'u' | b'U', rest @ ..] => Some((Read::Char(char::from_u32(hex(rest.get(..4)?)?)?), 6)),
        [b'%', rest @ ..] => Some((Read::Byte(u8::try_from(hex(rest.get(..2)?)?).ok()?), 3)),
        [b'\\', rest @ ..] => backslash(rest),
        [b'&', b'#', rest @ ..] => numbered(rest),
        [b'&', rest @ ..] => named(rest),
        _ => None,
    }
}

fn backslash(rest: &[u8]) -> Option<(Read, usize)> {
    let plain = match rest.first()? {
        byte @ (b'"' | b'\\' | b'/' | b'\'') => *byte,
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 8,
        b'f' => 12,
        b'0' => 0,
        b'x' => return Some((Read::Char(char::from_u32(hex(rest.get(1..3)?)?)?), 4)),
        b'u' => return unicode(rest.get(1..)?),
        _ => return None,
    };
    Some((Read::Byte(plain), 2))
}

/// What follows `\u`: four digits, a pair of surrogates, or any number of digits in braces.
fn unicode(rest: &[u8]) -> Option<(Read, usize)> {
    if let [b'{', rest @ ..] = rest {
        let length = rest.iter().take(7).position(|byte| *byte == b'}')?;
        return Some((Read::Char(char::from_u32(hex(rest.get(..length)?)?)?), length + 4));
    }
    let first = hex(rest.get(..4)?)?;
    if let Some(char) = char::from_u32(first) {
        return Some((Read::Char(char), 6));
    }
    let second = rest.get(4..10)?.strip_prefix(b"\\u").and_then(hex)?;
    let pair = [u16::try_from(first).ok()?, u16::try_from(second).ok()?];
    Some((Read::Char(char::decode_utf16(pair).next()?.ok()?), 12))
}

/// What follows `&#`.
fn numbered(rest: &[u8]) -> Option<(Read, usize)> {
    let (digits, radix, before) = match rest {
        [b'x' | b'X', digits @ ..] => (digits, 16, 3),
        digits => (digits, 10, 2),
    };
    let length = digits.iter().take(8).position(|byte| !char::from(*byte).is_digit(radix));
    let length = length.unwrap_or(digits.len().min(8));
    if digits.get(length..)?.starts_with(CUT.as_bytes()) {
        return None;
    }
    let number = u32::from_str_radix(std::str::from_utf8(digits.get(..length)?).ok()?, radix).ok()?;
    let semicolon = usize::from(digits.get(length) == Some(&b';'));
    Some((Read::Char(char::from_u32(number)?), before + length + semicolon))
}

/// What follows `&`.
fn named(rest: &[u8]) -> Option<(Read, usize)> {
    ENTITIES.iter().enumerate().find_map(|(index, (name, char))| {
        let after = rest.strip_prefix(*name)?;
        let semicolon = after.first() == Some(&b';');
        let known = semicolon || index < OLD_ENTITIES;
        known.then_some((Read::Char(*char), 1 + name.len() + usize::from(semicolon)))
    })
}

fn hex(digits: &[u8]) -> Option<u32> {
    let mut number = 0_u32;
    for byte in digits {
        number = number << 4 | char::from(*byte).to_digit(16)?;
    }
    (!digits.is_empty()).then_some(number)
}

/// The six bits of a character of base64, standard or URL-safe.
const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}
