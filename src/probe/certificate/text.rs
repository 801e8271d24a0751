//! Texts of certificates and services as they are shown.

/// One line of at most `longest` bytes: what would break the line or turn its direction becomes a blank.
pub fn one_line(text: &str, longest: usize) -> String {
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let mut plain: String = text.chars().take(longest).map(|c| if odd(c) { ' ' } else { c }).collect();
    plain.truncate(plain.floor_char_boundary(longest));
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_break_out_of_its_line_or_fill_a_page() {
        assert_eq!(one_line("Let's Encrypt", 128), "Let's Encrypt");
        assert_eq!(one_line("a\nb\0c\u{202e}d", 128), "a b c d");
        assert_eq!(one_line(&"é".repeat(1_000), 7), "ééé");
    }
}
