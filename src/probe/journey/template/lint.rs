//! What the engine does not refuse when the config is read: filters and tests that it does not know,
//! and what would take more stack to read than there is.

use std::sync::LazyLock;

use minijinja::{Expression, Value};

use super::engine::ENGINE;

/// The longest expression, in bytes: far above what anyone writes, far below what overflows a stack.
const LONGEST: usize = 1000;

/// The most statements in a template: each may stand within the one before.
const MOST: usize = 100;

/// Whether the engine knows a filter, and a test, of a name.
static KNOWN: LazyLock<Option<(Expression<'static, 'static>, Expression<'static, 'static>)>> =
    LazyLock::new(|| {
        let filter = ENGINE.compile_expression("name is filter").ok()?;
        Some((filter, ENGINE.compile_expression("name is test").ok()?))
    });

fn is_known(name: &str, filter: bool) -> bool {
    let Some((of_filter, of_test)) = KNOWN.as_ref() else { return true };
    let asked = if filter { of_filter } else { of_test };
    asked.eval(Value::from_pairs([("name", name)])).map_or(true, |known| known.is_true())
}

/// Refuses an expression that uses an unknown filter or test.
pub(super) fn unknown_names_of_expression(text: &str) -> Result<(), String> {
    let words = words(text);
    for (index, word) in words.iter().enumerate() {
        let next = |offset: usize| words.get(index + offset).copied().unwrap_or_default();
        let (name, filter) = match *word {
            "|" => (next(1), true),
            "is" if next(1) == "not" => (next(2), false),
            "is" => (next(1), false),
            _ => continue,
        };
        if is_name(name) && !is_known(name, filter) {
            let what = if filter { "filter" } else { "test" };
            return Err(format!("{name:?} is no {what} that templates know"));
        }
    }
    Ok(())
}

/// Refuses a template that uses an unknown filter or test. One with comments or `raw` is left alone:
/// what looks like a tag in it may be none.
pub(super) fn unknown_names(text: &str) -> Result<(), String> {
    if text.contains("{#") || text.contains("raw") {
        return Ok(());
    }
    tags(text).try_for_each(unknown_names_of_expression)
}

/// Refuses a template that may nest too deep; to be asked before the engine reads it.
pub(super) fn too_deep(text: &str) -> Result<(), String> {
    if text.matches("{%").count() > MOST {
        return Err(format!("a template has more than {MOST} statements; make it simpler"));
    }
    tags(text).try_for_each(long_expression)
}

/// Refuses an expression that is too long.
pub(super) fn long_expression(text: &str) -> Result<(), String> {
    if text.len() > LONGEST {
        return Err(format!("an expression is longer than {LONGEST} bytes; make it simpler"));
    }
    Ok(())
}

/// What stands within `{{ … }}` and `{% … %}`.
fn tags(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find("{{").into_iter().chain(rest.find("{%")).min()?;
        let inside = rest.get(start + 2..)?;
        let (tag, after) = inside.split_at_checked(end_of_tag(inside))?;
        rest = after;
        Some(tag)
    })
}

/// Where a tag ends; strings and maps within it are skipped.
fn end_of_tag(inside: &str) -> usize {
    let mut at = 0;
    let mut maps = 0_u32;
    while let Some(rest) = inside.get(at..).filter(|rest| !rest.is_empty()) {
        if maps == 0 && (rest.starts_with("}}") || rest.starts_with("%}")) {
            return at;
        }
        let piece = piece(rest);
        match piece {
            "{" => maps += 1,
            "}" => maps = maps.saturating_sub(1),
            _ => {}
        }
        at += piece.len();
    }
    inside.len()
}

/// The words and signs of an expression; strings are left out.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let piece = piece(rest);
        rest = rest.get(piece.len()..).unwrap_or_default();
        if !piece.starts_with(['"', '\'']) && !piece.trim().is_empty() {
            words.push(piece);
        }
    }
    words
}

/// The first word, string or single character.
fn piece(text: &str) -> &str {
    let Some(first) = text.chars().next() else { return text };
    let end = if is_letter(first) {
        text.find(|c| !is_letter(c))
    } else if matches!(first, '"' | '\'') {
        end_of_string(text, first)
    } else {
        Some(first.len_utf8())
    };
    text.get(..end.unwrap_or(text.len())).unwrap_or(text)
}

/// Where a string ends that begins with its quote; a backslash takes the next character along.
fn end_of_string(text: &str, quote: char) -> Option<usize> {
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        if letter == quote {
            return Some(at + 1);
        }
        if letter == '\\' {
            letters.next();
        }
    }
    None
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_name(word: &str) -> bool {
    word.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_')
}
