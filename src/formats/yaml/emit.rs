//! From a JSON value to YAML text that reads back as the same value.

use std::fmt::Write as _;

use serde_json::Value;

use super::scalar;

/// Writes a value as block YAML.
pub fn emit(value: &Value) -> String {
    let mut text = String::new();
    block(&mut text, value, 0);
    text
}

fn block(text: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let _ = write!(text, "{indent}{}:", plain(key));
                below(text, value, depth + 1);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let _ = write!(text, "{indent}-");
                below(text, item, depth + 1);
            }
        }
        other => {
            let _ = writeln!(text, "{indent}{}", inline(other));
        }
    }
}

fn below(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            text.push('\n');
            block(text, value, depth);
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            block(text, value, depth);
        }
        other => {
            let _ = writeln!(text, " {}", inline(other));
        }
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(value) => plain(value),
        Value::Object(_) => "{}".to_owned(),
        Value::Array(_) => "[]".to_owned(),
        other => other.to_string(),
    }
}

/// Text as a plain scalar where that reads back as the same text, else quoted as JSON does, which
/// YAML reads.
fn plain(value: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':' | '+' | '@');
    let safe = !value.is_empty()
        && value.chars().all(harmless)
        && !value.starts_with(['-', '@', ':'])
        && !value.ends_with(':')
        && matches!(scalar(value), super::Value::String(_));
    if safe { value.to_owned() } else { Value::from(value).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_as_the_same() {
        let value = serde_json::json!({
            "server": { "listen": "127.0.0.1:9790", "open": true },
            "list": ["a", { "b": 1.5, "c": [] }, "true", "12", "", "x: y", "# no", "- a", "é"],
            "empty": {},
            "odd key: #": null,
        });
        let read: serde_json::Value = super::super::from_str("m.yaml", &emit(&value)).unwrap();
        assert_eq!(read, value);
    }
}
