//! Takes secrets out of any text, however they are encoded in it.

mod layer;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use self::layer::Layer;
use super::Secret;

/// Shorter values and beginnings of values are chance: to mask them would garble every text and hide
/// nothing.
const SHORTEST: usize = 4;

/// From this length on, a value is found in letters of either case: names of hosts and headers are
/// written small.
const LONG: usize = 8;

/// Rounds of encoding that are taken off: percent encoding in JSON in HTML, and one more.
const DEEPEST: usize = 4;

/// Where texts are cut in the midst of what a server sent: at the query or fragment of an address, at
/// the attributes of a cookie, at the end of a line.
const SEPARATORS: [char; 7] = ['?', '#', '&', ';', '\r', '\n', '\t'];

/// What is shown in the stead of a secret whose name gives another secret away.
const NAMELESS: &str = "<secret>";

/// Takes known secrets out of texts before they go anywhere, in each form in which a library or a
/// server may give them back: percent- and form-encoded, escaped as in JSON or HTML, as base64, several
/// of these in each other, and cut off (`…`). It reads the text as its recipients would, so it need not
/// know how each of them writes.
#[derive(Clone, Default)]
pub struct Masker {
    known: Arc<Known>,
}

#[derive(Clone, Default)]
struct Known {
    needles: Vec<Needle>,
    /// The length of the shortest needle, in bytes.
    shortest: usize,
    /// The needles by their folded beginnings.
    by_start: HashMap<u32, Vec<usize>>,
    /// Which beginnings there may be: a look here saves most looks there.
    starts: Starts,
    marks: Vec<String>,
}

/// A value that is looked for.
#[derive(Clone)]
struct Needle {
    bytes: Vec<u8>,
    mark: usize,
}

/// A stretch of the text that holds a secret.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
    mark: usize,
}

impl Masker {
    /// Knows the given secrets. Values shorter than four bytes are left out: masking them would
    /// garble every text and hide nothing.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        Self::default().and(secrets)
    }

    /// Knows these too. Whoever masks a text for one kind of secrets first and for another later may
    /// break with the first marks what the later ones would have been found by.
    #[must_use]
    pub fn and<'a>(&self, secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut known = Known::clone(&self.known);
        let mut all: HashSet<Vec<u8>> = known.needles.iter().map(|needle| needle.bytes.clone()).collect();
        for secret in secrets {
            let value = secret.expose();
            if value.len() < SHORTEST || !all.insert(value.as_bytes().to_vec()) {
                continue;
            }
            let mark = known.marks.len();
            known.marks.push(format!("<{}>", secret.shown()));
            known.add(value.as_bytes().to_vec(), mark);
            for variant in variants(value) {
                if variant.len() >= SHORTEST && all.insert(variant.clone()) {
                    known.add(variant, mark);
                }
            }
        }
        // A server chooses the names of cookies and fields.
        let telling: Vec<bool> = known.marks.iter().map(|mark| !known.spans(mark).is_empty()).collect();
        for (mark, _) in known.marks.iter_mut().zip(telling).filter(|(_, telling)| *telling) {
            NAMELESS.clone_into(mark);
        }
        Self { known: Arc::new(known) }
    }

    /// Whether there is nothing to take out of any text.
    pub fn is_empty(&self) -> bool {
        self.known.needles.is_empty()
    }

    /// The text without the secrets.
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let spans = self.known.spans(text);
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut masked = String::with_capacity(text.len());
        let mut from = 0;
        for span in spans {
            masked.push_str(text.get(from..span.start).unwrap_or_default());
            masked.push_str(self.known.marks.get(span.mark).map_or(NAMELESS, String::as_str));
            from = span.end;
        }
        masked.push_str(text.get(from..).unwrap_or_default());
        Cow::Owned(masked)
    }
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Masker({} secrets)", self.known.marks.len())
    }
}

/// What is looked for beside the value itself.
fn variants(value: &str) -> Vec<Vec<u8>> {
    let mut variants = vec![value.trim().as_bytes().to_vec()];
    // What looks like an escape in the value itself is read as one in the text.
    let mut plain = Layer::first(value).unescaped();
    for _ in 1..DEEPEST {
        plain = plain.map(|layer| layer.unescaped().unwrap_or(layer));
    }
    variants.extend(plain.map(|layer| layer.bytes.into_owned()));
    if !value.is_ascii() {
        // As Latin-1, and as what remains of that where UTF-8 is expected.
        let latin: Option<Vec<u8>> = value.chars().map(|char| u8::try_from(u32::from(char)).ok()).collect();
        if let Some(latin) = latin {
            variants.push(String::from_utf8_lossy(&latin).into_owned().into_bytes());
            variants.push(latin);
        }
    }
    let parts = value.split(SEPARATORS).filter(|part| part.len() >= LONG);
    variants.extend(parts.map(|part| part.as_bytes().to_vec()));
    variants
}

impl Known {
    fn add(&mut self, bytes: Vec<u8>, mark: usize) {
        let Some(start) = start(&bytes) else { return };
        self.shortest = if self.needles.is_empty() { bytes.len() } else { self.shortest.min(bytes.len()) };
        self.starts.add(start);
        self.by_start.entry(start).or_default().push(self.needles.len());
        self.needles.push(Needle { bytes, mark });
    }

    /// Where secrets stand in the text, in order and apart from each other.
    fn spans(&self, text: &str) -> Vec<Span> {
        let mut spans = Vec::new();
        if !self.needles.is_empty() {
            self.read(&Layer::first(text), DEEPEST, &mut spans);
        }
        spans.sort_unstable_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
        let mut apart: Vec<Span> = Vec::new();
        for span in spans {
            // A value in Latin-1 may end in the midst of a character.
            let (start, end) = (text.floor_char_boundary(span.start), text.ceil_char_boundary(span.end));
            match apart.last_mut() {
                Some(last) if start < last.end => last.end = last.end.max(end),
                _ => apart.push(Span { start, end, mark: span.mark }),
            }
        }
        apart
    }

    /// Looks in the text as it is and as it reads without its encodings.
    fn read(&self, layer: &Layer<'_>, depth: usize, spans: &mut Vec<Span>) {
        self.search(layer, spans);
        if depth == 0 {
            return;
        }
        if let Some(plain) = layer.unescaped() {
            self.read(&plain, depth - 1, spans);
        }
        for plain in layer.decoded(self.shortest) {
            self.read(&plain, depth - 1, spans);
        }
    }

    fn search(&self, layer: &Layer<'_>, spans: &mut Vec<Span>) {
        let mut beginning = 0_u32;
        for (last, byte) in layer.bytes.iter().enumerate() {
            beginning = beginning << 8 | u32::from(fold(*byte));
            let Some(at) = (last + 1).checked_sub(SHORTEST) else { continue };
            if !self.starts.may_hold(beginning) {
                continue;
            }
            let here = self.by_start.get(&beginning).into_iter().flatten();
            let found = here.filter_map(|index| {
                let needle = self.needles.get(*index)?;
                Some((needle.length_at(layer, at)?, needle.mark))
            });
            if let Some((length, mark)) = found.max_by_key(|(length, _)| *length) {
                let (start, end) = (layer.place(at).0, layer.place(at + length - 1).1);
                spans.push(Span { start, end, mark });
            }
        }
    }
}

impl Needle {
    /// How many bytes of the text it takes, if it stands here: whole, or to where the text was cut.
    fn length_at(&self, layer: &Layer<'_>, at: usize) -> Option<usize> {
        let there = layer.bytes.get(at..)?;
        let either_case = self.bytes.len() >= LONG;
        let same = |(ours, theirs): &(&u8, &u8)| match either_case {
            true => fold(**ours) == fold(**theirs),
            false => alike(**ours) == alike(**theirs),
        };
        let length = self.bytes.iter().zip(there).take_while(same).count();
        let whole = length == self.bytes.len();
        // The beginning of an escape that was cut may look like the value's next bytes.
        let cut = || (SHORTEST..=length).rev().take(4).any(|length| layer.is_cut(at + length));
        (whole || cut()).then_some(length)
    }
}

/// Makes alike what is written in different ways: a space is `+` in forms, and `\` becomes `/` in
/// addresses.
const fn alike(byte: u8) -> u8 {
    match byte {
        b'+' => b' ',
        b'\\' => b'/',
        other => other,
    }
}

/// The same, and in one case.
const fn fold(byte: u8) -> u8 {
    alike(byte).to_ascii_lowercase()
}

/// The folded beginning of a value.
fn start(bytes: &[u8]) -> Option<u32> {
    let first = bytes.get(..SHORTEST)?;
    Some(first.iter().fold(0, |start, byte| start << 8 | u32::from(fold(*byte))))
}

/// A set of beginnings that may say yes to one it does not hold.
#[derive(Clone)]
struct Starts([u64; 64]);

impl Default for Starts {
    fn default() -> Self {
        Self([0; 64])
    }
}

impl Starts {
    fn place(start: u32) -> (usize, u64) {
        let hash = start.wrapping_mul(0x9e37_79b1) >> 20;
        ((hash >> 6) as usize, 1 << (hash & 63))
    }

    fn add(&mut self, start: u32) {
        let (word, bit) = Self::place(start);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    fn may_hold(&self, start: u32) -> bool {
        let (word, bit) = Self::place(start);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }
}

#[cfg(test)]
mod tests;
