//! PEM (RFC 7468), with the line of a fault.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A block of a PEM text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its label, such as `CERTIFICATE`.
    pub label: String,
    /// The line of its first boundary, from 1.
    pub line: usize,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// Why a text is no PEM.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct PemError {
    /// The line, from 1.
    pub line: usize,
    /// The fault.
    pub why: &'static str,
}

/// Reads all blocks; text around them is skipped, as RFC 7468 section 2 allows.
///
/// # Errors
/// A block that does not end, that ends as another, or that is no base64.
pub fn blocks(text: &str) -> Result<Vec<Block>, PemError> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, usize, String)> = None;
    for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let line = line.trim();
        if let Some(label) = boundary(line, "-----BEGIN ") {
            if open.is_some() {
                return Err(PemError { line: number, why: "a block begins inside another" });
            }
            open = Some((label.to_owned(), number, String::new()));
        } else if let Some(label) = boundary(line, "-----END ") {
            let (opened, first, body) =
                open.take().ok_or(PemError { line: number, why: "a block ends that did not begin" })?;
            if opened != label {
                return Err(PemError {
                    line: number,
                    why: "a block ends with another label than it began with",
                });
            }
            let bytes =
                STANDARD.decode(body).map_err(|_| PemError { line: first, why: "the block is no base64" })?;
            blocks.push(Block { label: opened, line: first, bytes });
        } else if let Some((.., body)) = &mut open
            && !line.contains(':')
        {
            body.push_str(line);
        }
    }
    match open {
        Some((_, line, _)) => Err(PemError { line, why: "the block does not end" }),
        None => Ok(blocks),
    }
}

fn boundary<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    line.strip_prefix(start)?.strip_suffix("-----")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_block_is_found_and_what_is_around_it_is_not() {
        let text = "subject: x\n-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\r\n\n-----BEGIN X509 CRL-----\nAw==\n-----END X509 CRL-----\n";
        let found = blocks(text).unwrap();
        let found: Vec<_> = found.iter().map(|b| (b.label.as_str(), b.line, b.bytes.as_slice())).collect();
        assert_eq!(found, [("CERTIFICATE", 2, &[0, 1, 2][..]), ("X509 CRL", 6, &[3])]);
    }

    #[test]
    fn a_fault_names_its_line() {
        for (text, line) in [
            ("\n-----BEGIN A-----\nAAEC\n", 2),
            ("-----BEGIN A-----\nAAEC\n-----END B-----\n", 3),
            ("-----BEGIN A-----\n!!!\n-----END A-----\n", 1),
            ("-----END A-----\n", 1),
        ] {
            assert_eq!(blocks(text).unwrap_err().line, line, "{text:?}");
        }
    }
}
