//! The terms of a record.

use super::{Directive, DualCidr, Fault, MacroString, Mechanism, Qualifier, Record, Target};

/// Behind `v=spf1`.
const BEGINS: usize = 6;

pub fn record(text: &str) -> Result<Record, Fault> {
    let mut record =
        Record { directives: Vec::new(), redirect: None, explanation: None, unknown: Vec::new() };
    let mut at = BEGINS;
    for word in text.get(BEGINS..).unwrap_or_default().split(' ') {
        if !word.is_empty() {
            term(&mut record, word, at)?;
        }
        at += word.len() + 1;
    }
    Ok(record)
}

fn term(record: &mut Record, word: &str, at: usize) -> Result<(), Fault> {
    let Some((name, value)) = word.split_once('=').filter(|(name, _)| is_name(name)) else {
        record.directives.push(directive(word, at)?);
        return Ok(());
    };
    let value_at = at + name.len() + 1;
    let place = match name.to_ascii_lowercase().as_str() {
        "redirect" => &mut record.redirect,
        "exp" => &mut record.explanation,
        _ => {
            MacroString::of_unknown(value, value_at)?;
            record.unknown.push(word.to_owned());
            return Ok(());
        }
    };
    if place.is_some() {
        return Err(Fault { at, why: format!("{name}= stands twice") });
    }
    *place = Some(Target { name: MacroString::domain(value, value_at)?, at });
    Ok(())
}

/// `ALPHA *( ALPHA / DIGIT / "-" / "_" / "." )`
fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn directive(word: &str, at: usize) -> Result<Directive, Fault> {
    let (qualifier, rest) = match word.as_bytes().first() {
        Some(b'+') => (Qualifier::Pass, word.get(1..)),
        Some(b'-') => (Qualifier::Fail, word.get(1..)),
        Some(b'~') => (Qualifier::SoftFail, word.get(1..)),
        Some(b'?') => (Qualifier::Neutral, word.get(1..)),
        _ => (Qualifier::Pass, Some(word)),
    };
    let rest = rest.unwrap_or_default();
    let end = rest.find([':', '/']).unwrap_or(rest.len());
    let (name, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let tail = Tail { text: tail, at: at + (word.len() - tail.len()) };
    let mechanism = match name.to_ascii_lowercase().as_str() {
        "all" => tail.nothing(Mechanism::All)?,
        "include" => Mechanism::Include(tail.name()?),
        "exists" => Mechanism::Exists(tail.name()?),
        "a" => {
            let (name, cidr) = tail.name_and_cidr()?;
            Mechanism::A { name, cidr }
        }
        "mx" => {
            let (name, cidr) = tail.name_and_cidr()?;
            Mechanism::Mx { name, cidr }
        }
        "ptr" if tail.text.is_empty() => Mechanism::Ptr(None),
        "ptr" => Mechanism::Ptr(Some(tail.name()?)),
        "ip4" => {
            let (address, bits) = tail.network(32)?;
            Mechanism::Ip4 { address, bits }
        }
        "ip6" => {
            let (address, bits) = tail.network(128)?;
            Mechanism::Ip6 { address, bits }
        }
        _ => {
            let why =
                format!("{word:?} is no mechanism; there are all, include, a, mx, ptr, ip4, ip6 and exists");
            return Err(Fault { at, why });
        }
    };
    Ok(Directive { qualifier, mechanism, at, text: word.to_owned() })
}

/// What stands behind the name of a mechanism.
struct Tail<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Tail<'t> {
    fn fault(&self, why: impl Into<String>) -> Fault {
        Fault { at: self.at, why: why.into() }
    }

    fn nothing(&self, mechanism: Mechanism) -> Result<Mechanism, Fault> {
        if self.text.is_empty() { Ok(mechanism) } else { Err(self.fault("nothing may follow `all`")) }
    }

    /// Behind the colon.
    fn value(&self) -> Result<(&'t str, usize), Fault> {
        let value = self.text.strip_prefix(':').filter(|value| !value.is_empty());
        value.map(|value| (value, self.at + 1)).ok_or_else(|| self.fault("a colon and a value must follow"))
    }

    fn name(&self) -> Result<MacroString, Fault> {
        let (value, at) = self.value()?;
        MacroString::domain(value, at)
    }

    fn name_and_cidr(&self) -> Result<(Option<MacroString>, DualCidr), Fault> {
        let begins = cidr_begins(self.text);
        let (name, cidr) = self.text.split_at_checked(begins).unwrap_or((self.text, ""));
        let cidr = dual_cidr(cidr).ok_or_else(|| Fault {
            at: self.at + begins,
            why: format!("{cidr:?} is no prefix length; write /24, //64 or /24//64"),
        })?;
        let name = match name {
            "" => None,
            _ => Some(Tail { text: name, at: self.at }.name()?),
        };
        Ok((name, cidr))
    }

    fn network<A: std::str::FromStr>(&self, most: u8) -> Result<(A, u8), Fault> {
        let (value, at) = self.value()?;
        let (address, bits) = match value.split_once('/') {
            Some((address, bits)) => (address, length(bits, most)),
            None => (value, Some(most)),
        };
        let bits = bits.ok_or_else(|| Fault {
            at,
            why: format!("{value:?} has a prefix length that is none; 0 to {most} are"),
        })?;
        let address =
            address.parse().map_err(|_| Fault { at, why: format!("{address:?} is no such address") })?;
        Ok((address, bits))
    }
}

/// Where the prefix lengths begin; a slash may also stand in a name.
fn cidr_begins(text: &str) -> usize {
    let without = |text: &str, slashes: &str| {
        let digits = text.bytes().rev().take_while(u8::is_ascii_digit).count();
        let rest = text.get(..text.len() - digits).and_then(|rest| rest.strip_suffix(slashes));
        rest.filter(|_| digits > 0).map_or(text.len(), str::len)
    };
    let v6 = without(text, "//");
    without(text.get(..v6).unwrap_or_default(), "/")
}

/// `[ "/" v4 ] [ "//" v6 ]`
fn dual_cidr(text: &str) -> Option<DualCidr> {
    let (v4, v6) = match text.split_once("//") {
        Some((v4, v6)) => (v4, Some(v6)),
        None => (text, None),
    };
    let v4 = match v4 {
        "" => 32,
        _ => length(v4.strip_prefix('/')?, 32)?,
    };
    let v6 = match v6 {
        None => 128,
        Some(v6) => length(v6, 128)?,
    };
    Some(DualCidr { v4, v6 })
}

/// Without leading zeros.
fn length(text: &str, most: u8) -> Option<u8> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|bits| plain && *bits <= most)
}
