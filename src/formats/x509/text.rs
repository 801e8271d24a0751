//! Bounds on what a certificate can make us keep and show.

/// At most this many bytes of one text are kept.
pub(super) const LONGEST_TEXT: usize = 512;

/// The text cut at a character to what is kept.
pub(super) fn clip(text: &str) -> String {
    if text.len() <= LONGEST_TEXT {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(LONGEST_TEXT - '…'.len_utf8());
    format!("{}…", text.get(..end).unwrap_or_default())
}
