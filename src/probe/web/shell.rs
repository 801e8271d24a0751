//! Commands for a POSIX shell.

/// One word of a POSIX shell.
pub fn quote(text: &str) -> String {
    if text.chars().any(char::is_control) {
        return escaped(text);
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// `$'…'`, on one line whatever the word holds (POSIX.1-2024 section 2.2.4; bash, zsh, ksh and busybox
/// have had it before).
fn escaped(text: &str) -> String {
    let mut word = "$'".to_owned();
    for char in text.chars() {
        match char {
            '\'' | '\\' => word.extend(['\\', char]),
            '\n' => word.push_str("\\n"),
            '\t' => word.push_str("\\t"),
            '\r' => word.push_str("\\r"),
            // Three digits of octal each, so that a digit that follows is not taken for one of them.
            char if char.is_control() => {
                char.encode_utf8(&mut [0; 4])
                    .bytes()
                    .for_each(|byte| word.push_str(&format!("\\{byte:03o}")));
            }
            char => word.push(char),
        }
    }
    word.push('\'');
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_gets_out_of_its_quotes() {
        assert_eq!(quote("a $(id) `id` \"b\" \\"), "'a $(id) `id` \"b\" \\'");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote("a\n'b\\\t\u{1b}1"), r"$'a\n\'b\\\t\0331'");
    }
}
