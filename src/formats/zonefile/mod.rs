//! Zone files, called master files by RFC 1035 (section 5), with `$TTL` (RFC 2308 section 4) and unknown
//! types (RFC 3597 section 5).
//!
//! `$INCLUDE` and `$GENERATE` are refused: a file is read alone, and holds what it says.

mod words;

use self::words::{Entry, Word};
use super::dns::written::comparable;
use super::dns::{Name, RecordType};

/// The most faults that are told.
const MOST_FAULTS: usize = 50;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The line on which it begins, from 1.
    pub line: usize,
    /// Whose.
    pub name: Name,
    /// Of which type.
    pub kind: RecordType,
    /// Its data as records are compared ([`super::dns::Record::comparable`]); names are complete.
    pub value: String,
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong and what would be right.
    pub why: String,
}

/// Reads a file. Names that are not complete are below `origin`, until the file says `$ORIGIN`.
///
/// # Errors
/// All faults, at most 50.
pub fn parse(text: &str, origin: Option<&Name>) -> Result<Vec<Record>, Vec<Fault>> {
    let mut file = File { origin: origin.cloned(), owner: None };
    let (mut records, mut faults) = (Vec::new(), Vec::new());
    for entry in words::entries(text) {
        let line = entry.as_ref().map_or_else(|fault| fault.line, |entry| entry.line);
        let read = entry.map_err(|fault| fault.why).and_then(|entry| file.entry(&entry));
        match read {
            Ok(record) => records.extend(record),
            Err(why) => faults.push(Fault { line, why }),
        }
        if faults.len() >= MOST_FAULTS {
            break;
        }
    }
    if faults.is_empty() { Ok(records) } else { Err(faults) }
}

struct File {
    origin: Option<Name>,
    /// That of the last record, which stands for a blank one.
    owner: Option<Name>,
}

impl File {
    fn entry(&mut self, entry: &Entry<'_>) -> Result<Option<Record>, String> {
        let mut words = entry.words.as_slice();
        if let Some(directive) = words.first().filter(|word| !entry.indented && word.is_directive()) {
            self.directive(directive.raw, words.get(1..).unwrap_or_default())?;
            return Ok(None);
        }
        if !entry.indented {
            let Some((first, rest)) = words.split_first() else { return Ok(None) };
            self.owner = Some(self.name(first)?);
            words = rest;
        }
        let name = self.owner.clone();
        let name = name.ok_or("a record without a name stands before any with one; write its name")?;
        let (kind, data) = kind(words)?;
        if data.is_empty() {
            return Err(format!("the {kind} record of {name} has no data"));
        }
        let value = self.value(kind, data)?;
        Ok(Some(Record { line: entry.line, name, kind, value }))
    }

    fn directive(&mut self, directive: &str, words: &[Word<'_>]) -> Result<(), String> {
        match (directive.to_ascii_uppercase().as_str(), words) {
            ("$ORIGIN", [name]) => {
                self.origin = Some(self.name(name)?);
                Ok(())
            }
            ("$TTL", [time]) if is_time(time.raw) => Ok(()),
            ("$ORIGIN", _) => Err("$ORIGIN takes one name".to_owned()),
            ("$TTL", _) => Err("$TTL takes one time, such as 3600 or 1h".to_owned()),
            ("$INCLUDE" | "$GENERATE", _) => {
                Err(format!("{directive} is not followed; put the records themselves into the file"))
            }
            _ => Err(format!("{directive} is no directive; there are $ORIGIN and $TTL")),
        }
    }

    fn name(&self, word: &Word<'_>) -> Result<Name, String> {
        let bad = |why: &dyn std::fmt::Display| format!("{} is no name: {why}", word.raw.escape_debug());
        if word.quoted {
            return Err(bad(&"it stands in quotation marks"));
        }
        let missing = || {
            let name = word.raw.escape_debug();
            format!(
                "{name} is relative, and there is no $ORIGIN; write it with its final dot, or say --origin"
            )
        };
        match word.raw {
            "@" => self.origin.clone().ok_or_else(missing),
            whole if is_complete(whole) => whole.parse().map_err(|why| bad(&why)),
            labels => {
                let origin = self.origin.as_ref().ok_or_else(missing)?;
                origin.child(labels).map_err(|why| bad(&why))
            }
        }
    }

    /// The data as it is compared.
    fn value(&self, kind: RecordType, words: &[Word<'_>]) -> Result<String, String> {
        if let [first, rest @ ..] = words
            && first.raw == "\\#"
        {
            return unknown(kind, rest);
        }
        let name_at = match kind {
            RecordType::CNAME | RecordType::NS | RecordType::PTR | RecordType::DNAME => Some(0),
            RecordType::MX | RecordType::SVCB | RecordType::HTTPS => Some(1),
            RecordType::SRV => Some(3),
            RecordType::NAPTR => Some(5),
            _ => None,
        };
        let write = |(at, word): (usize, &Word<'_>)| match kind {
            _ if Some(at) == name_at => Ok(self.name(word)?.to_string()),
            RecordType::TXT if !word.quoted => Ok(format!("\"{}\"", word.raw.replace('"', "\\\""))),
            _ => Ok(word.written()),
        };
        let text: Vec<String> = words.iter().enumerate().map(write).collect::<Result<_, String>>()?;
        comparable(kind, &text.join(" "))
    }
}

/// The type and the data behind it; TTL and class may stand before it in either order.
fn kind<'w, 't>(words: &'w [Word<'t>]) -> Result<(RecordType, &'w [Word<'t>]), String> {
    let (mut time, mut class) = (false, false);
    let mut rest = words;
    while let Some((word, after)) = rest.split_first() {
        rest = after;
        if !time && is_time(word.raw) {
            time = true;
        } else if !class && is_class(word.raw) {
            class = true;
            if !word.raw.eq_ignore_ascii_case("IN") {
                return Err(format!("records of class {} are not compared; leave them out", word.raw));
            }
        } else {
            return word.raw.parse().map(|kind| (kind, rest));
        }
    }
    Err("a record has a type, such as A or MX".to_owned())
}

fn is_class(word: &str) -> bool {
    ["IN", "CH", "HS", "CS"].iter().any(|class| class.eq_ignore_ascii_case(word))
}

/// Seconds, or as name servers also take it: `1h30m`.
fn is_time(word: &str) -> bool {
    let unit = |byte: u8| matches!(byte.to_ascii_lowercase(), b's' | b'm' | b'h' | b'd' | b'w');
    word.starts_with(|first: char| first.is_ascii_digit())
        && word.bytes().all(|byte| byte.is_ascii_digit() || unit(byte))
}

/// Ends with a dot that is not escaped.
fn is_complete(name: &str) -> bool {
    let Some(rest) = name.strip_suffix('.') else { return false };
    rest.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 0
}

/// `\# 4 0a000001` (RFC 3597 section 5).
fn unknown(kind: RecordType, words: &[Word<'_>]) -> Result<String, String> {
    let wrong = || "after \\# stand the number of bytes and the bytes in hexadecimal: \\# 2 0a1b".to_owned();
    if kind.to_string() != format!("TYPE{}", kind.0) {
        return Err(format!("{kind} records are known; write the data in their own form instead of \\#"));
    }
    let (length, digits) = words.split_first().ok_or_else(wrong)?;
    let digits: String = digits.iter().map(|word| word.raw.to_ascii_lowercase()).collect();
    let length: usize = length.raw.parse().map_err(|_| wrong())?;
    let fits = digits.len() == length * 2 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !fits {
        return Err(wrong());
    }
    Ok(if digits.is_empty() { "\\# 0".to_owned() } else { format!("\\# {length} {digits}") })
}

#[cfg(test)]
mod tests;
