//! The one environment of all templates: its limits, functions and filters.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::io;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value};

use super::error::{Fault, Refusal};
use super::sheet;
use super::{LARGEST, totp};

/// What one render may do: about as many instructions, or 64 bytes of data each.
const FUEL: u64 = 40_000;

/// How deep a render may nest.
const DEPTH: usize = 64;

/// The name under which the run's clock is found; no template can spell it.
pub(super) const CLOCK: &str = "\0clock";

/// Functions, which are no variables.
pub(super) const FUNCTIONS: &[&str] = &["uuid", "totp", "now", "range", "dict"];

/// Why a value is no JSON.
const NO_JSON: &str = "the value has no JSON form of at most 1 MiB";

/// The longest format of `now`, in bytes.
const LONGEST_FORMAT: usize = 256;

pub(super) static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_auto_escape_callback(|_| AutoEscape::None);
    engine.set_formatter(emit);
    engine.set_fuel(Some(FUEL));
    engine.set_recursion_limit(DEPTH);
    // Its debug information holds values.
    engine.set_debug(false);
    // A body keeps the line break it ends with, with or without a variable in it.
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        engine.set_syntax(syntax);
    }
    // One prints every variable, the other can nest values without a bound.
    engine.remove_global("debug");
    engine.remove_global("namespace");
    engine.add_function("uuid", uuid);
    engine.add_function("totp", code);
    engine.add_function("now", now);
    engine.add_filter("base64", |value: &Value| argument(value).map(|text| STANDARD.encode(text.as_bytes())));
    engine.add_filter("urlencode", |value: &Value| {
        argument(value).map(|text| sheet::encoded(&text).collect::<String>())
    });
    engine.add_filter("json", json);
    engine.add_filter("tojson", json);
    engine
});

/// The variables among the names a template does not declare itself.
pub(super) fn variables(names: HashSet<String>) -> BTreeSet<String> {
    names.into_iter().filter(|name| !FUNCTIONS.contains(&name.as_str())).collect()
}

/// The text of a value that can stand within a text.
pub(super) fn text_of(value: &Value) -> Result<Cow<'_, str>, Refusal> {
    match value.kind() {
        ValueKind::String => Ok(Cow::Borrowed(value.as_str().unwrap_or_default())),
        // As JSON spells it; the engine would write True.
        ValueKind::Bool => Ok(Cow::Borrowed(if value.is_true() { "true" } else { "false" })),
        ValueKind::Number => Ok(Cow::Owned(value.to_string())),
        ValueKind::None => Err(Refusal::Null),
        ValueKind::Undefined => Err(Refusal::NoValue),
        _ => Err(Refusal::Structured),
    }
}

/// Writes a value; the sheet encodes it.
fn emit(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let text = text_of(value).map_err(Fault::Refused)?;
    Ok(sheet::as_value(|| out.write_str(&text))?)
}

/// The text of a filter's or function's argument.
fn argument(value: &Value) -> Result<Cow<'_, str>, Error> {
    if value.is_undefined() {
        return Err(ErrorKind::UndefinedError.into());
    }
    Ok(text_of(value).map_err(Fault::Refused)?)
}

/// JSON, without the escapes for HTML that minijinja's own filter adds.
fn json(value: &Value) -> Result<String, Error> {
    if value.is_undefined() {
        return Err(ErrorKind::UndefinedError.into());
    }
    let mut text = Bounded(Vec::new());
    let written = serde_json::to_writer(&mut text, value).ok().and_then(|()| String::from_utf8(text.0).ok());
    Ok(written.ok_or(Fault::Why(NO_JSON.into()))?)
}

/// The value as JSON. Lists and maps go by their text: a template can make one far larger than what
/// it is made of.
pub(super) fn to_json(value: &Value) -> Result<serde_json::Value, &'static str> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => {
            let text = json(value).map_err(|_| NO_JSON)?;
            serde_json::from_str(&text).map_err(|_| NO_JSON)
        }
        _ => serde_json::to_value(value).map_err(|_| NO_JSON),
    }
}

/// Takes no more than a template may render to.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LARGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A random UUID (RFC 9562, version 4).
fn uuid() -> Result<String, Error> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Fault::Why("the system gave no random numbers".into()))?;
    let random = u128::from_be_bytes(bytes);
    let versioned = random & !(0xf << 76) | 4 << 76;
    let hex = format!("{:032x}", versioned & !(0b11 << 62) | 0b10 << 62);
    let part = |range| hex.get(range).unwrap_or_default();
    Ok([part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-"))
}

fn code(state: &State<'_, '_>, secret: &Value) -> Result<String, Error> {
    let secret = argument(secret)?;
    Ok(totp::code(&secret, clock(state)?).map_err(|why| Fault::Why(why.into()))?)
}

/// The time in UTC, as RFC 3339 or in a strftime format.
fn now(state: &State<'_, '_>, format: Option<&str>) -> Result<String, Error> {
    let format = format.unwrap_or("%Y-%m-%dT%H:%M:%SZ");
    let wrong = || Fault::Why("now() takes a short strftime format such as \"%Y-%m-%d\"".into());
    if format.len() > LONGEST_FORMAT {
        return Err(wrong().into());
    }
    let time = clock(state)?.to_zoned(TimeZone::UTC);
    Ok(jiff::fmt::strtime::format(format, &time).map_err(|_| wrong())?)
}

fn clock(state: &State<'_, '_>) -> Result<Timestamp, Error> {
    let at = state.lookup(CLOCK).and_then(|value| value.as_i64());
    let at = at.and_then(|at| Timestamp::from_microsecond(at).ok());
    Ok(at.ok_or_else(|| Fault::Why("the run has no clock".into()))?)
}
