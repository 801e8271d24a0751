//! Strings with macros in them (RFC 7208 section 7).

use super::Fault;

/// A string with macros in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MacroString(pub Vec<Part>);

/// A part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// As it is.
    Text(String),
    /// To be filled in.
    Macro(Macro),
}

/// A macro.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Macro {
    /// Which, in lower case: one of `slodiphcrtv`.
    pub letter: char,
    /// Written in upper case: what is filled in is escaped as in URLs.
    pub escaped: bool,
    /// So many of its parts from the right are kept; all of them without.
    pub keep: Option<usize>,
    /// Its parts are turned around first.
    pub reversed: bool,
    /// What parts it; a dot if none is given.
    pub delimiters: String,
}

const LETTERS: &str = "slodiphcrtv";
/// Only in explanations.
const OF_EXPLANATIONS: &str = "crt";
const DELIMITERS: &str = ".-+,/_=";

impl MacroString {
    /// Reads one whose text begins at byte `at` of its record.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(text: &str, at: usize) -> Result<Self, Fault> {
        Self::read(text, at).map(|(string, _)| string)
    }

    /// Also says whether it ends with a `macro-expand`, which `%%`, `%_` and `%-` are too.
    fn read(text: &str, at: usize) -> Result<(Self, bool), Fault> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        let mut expands = false;
        while let Some(next) = rest.chars().next() {
            let here = at + (text.len() - rest.len());
            expands = next == '%';
            if next != '%' {
                plain.push(next);
                rest = rest.get(next.len_utf8()..).unwrap_or_default();
                continue;
            }
            let body = rest.get(1..).unwrap_or_default();
            rest = match body.chars().next() {
                Some('%') => literal(&mut plain, "%", body),
                Some('_') => literal(&mut plain, " ", body),
                Some('-') => literal(&mut plain, "%20", body),
                Some('{') => {
                    let (inside, after) = body
                        .get(1..)
                        .and_then(|body| body.split_once('}'))
                        .ok_or_else(|| Fault { at: here, why: "a macro is never closed".to_owned() })?;
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(Part::Macro(one(inside, here)?));
                    after
                }
                _ => return Err(Fault { at: here, why: "a % stands alone; write %% for it".to_owned() }),
            };
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok((Self(parts), expands))
    }

    /// Reads the value of a modifier that no standard knows: its macros are those of all terms.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn of_unknown(text: &str, at: usize) -> Result<Self, Fault> {
        let string = Self::parse(text, at)?;
        string.outside_explanations(at)?;
        Ok(string)
    }

    fn outside_explanations(&self, at: usize) -> Result<(), Fault> {
        let explains = |part: &Part| matches!(part, Part::Macro(one) if OF_EXPLANATIONS.contains(one.letter));
        if self.0.iter().any(explains) {
            return Err(Fault { at, why: "the macros c, r and t stand in explanations alone".to_owned() });
        }
        Ok(())
    }

    /// Reads one that is a name (`domain-spec`): it ends with a label that is not all digits, or with a macro.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn domain(text: &str, at: usize) -> Result<Self, Fault> {
        let (string, expands) = Self::read(text, at)?;
        if let Some(wrong) = text.find(|letter: char| !('\x21'..='\x7e').contains(&letter)) {
            return Err(Fault { at: at + wrong, why: "a character that stands in no name".to_owned() });
        }
        string.outside_explanations(at)?;
        let ends_with_name = |part: &Part| matches!(part, Part::Text(text) if ends_with_label(text));
        let ends_well = expands || string.0.last().is_some_and(ends_with_name);
        if ends_well {
            return Ok(string);
        }
        Err(Fault {
            at,
            why: format!("{text:?} is no domain name; it needs a dot and a top-level label at its end"),
        })
    }
}

fn literal<'t>(plain: &mut String, meant: &str, body: &'t str) -> &'t str {
    plain.push_str(meant);
    body.get(1..).unwrap_or_default()
}

/// `"." toplabel [ "." ]`
fn ends_with_label(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let Some((_, label)) = text.rsplit_once('.') else { return false };
    let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    inner
        && !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && !label.bytes().all(|byte| byte.is_ascii_digit())
}

/// What stands between the braces.
fn one(inside: &str, at: usize) -> Result<Macro, Fault> {
    let wrong = |why: &str| Fault { at, why: format!("%{{{inside}}} {why}") };
    let letter = inside.chars().next().ok_or_else(|| wrong("is empty"))?;
    let lower = letter.to_ascii_lowercase();
    if !LETTERS.contains(lower) {
        return Err(wrong("is no macro; there are s, l, o, d, i, p, h, v"));
    }
    let rest = inside.get(1..).unwrap_or_default();
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = rest.split_at_checked(digits).unwrap_or((rest, ""));
    let keep = match number {
        "" => None,
        // More parts than any name has are all of them.
        _ => Some(number.parse().unwrap_or(usize::MAX)),
    };
    if keep == Some(0) {
        return Err(wrong("keeps no part"));
    }
    let reversed = rest.starts_with(['r', 'R']);
    let delimiters = if reversed { rest.get(1..).unwrap_or_default() } else { rest };
    if !delimiters.chars().all(|delimiter| DELIMITERS.contains(delimiter)) {
        return Err(wrong("has something else behind its letter than a number, an r and delimiters"));
    }
    let escaped = letter.is_ascii_uppercase();
    Ok(Macro { letter: lower, escaped, keep, reversed, delimiters: delimiters.to_owned() })
}
