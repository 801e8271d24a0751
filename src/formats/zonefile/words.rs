//! The words of a zone file: entries end with the line, unless parentheses hold them together.

use super::Fault;

/// The longest entry, in words.
const MOST_WORDS: usize = 10_000;

/// The words of one entry.
#[derive(Debug)]
pub struct Entry<'t> {
    /// The line on which it begins.
    pub line: usize,
    /// It begins with a blank: the name is that of the one before.
    pub indented: bool,
    pub words: Vec<Word<'t>>,
}

/// One word, escapes left as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word<'t> {
    /// Without its quotation marks.
    pub raw: &'t str,
    pub quoted: bool,
}

impl Word<'_> {
    pub fn is_directive(&self) -> bool {
        !self.quoted && self.raw.starts_with('$')
    }

    /// As it stood in the file.
    pub fn written(&self) -> String {
        if self.quoted { format!("\"{}\"", self.raw) } else { self.raw.to_owned() }
    }
}

/// The entries of a file, without the empty ones.
pub fn entries(text: &str) -> impl Iterator<Item = Result<Entry<'_>, Fault>> {
    let mut reader = Reader { text, at: 0, line: 1 };
    std::iter::from_fn(move || {
        loop {
            match reader.entry()? {
                Ok(entry) if entry.words.is_empty() => {}
                other => return Some(other),
            }
        }
    })
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    line: usize,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn entry(&mut self) -> Option<Result<Entry<'t>, Fault>> {
        let indented = matches!(self.peek()?, b' ' | b'\t');
        let line = self.line;
        let (mut words, mut depth) = (Vec::new(), 0_usize);
        loop {
            let word = match self.peek() {
                None if depth > 0 => {
                    return Some(Err(self.fault(line, "an opening parenthesis is never closed")));
                }
                None => break,
                Some(b'\n') => {
                    self.at += 1;
                    self.line += 1;
                    if depth == 0 {
                        break;
                    }
                    continue;
                }
                Some(b' ' | b'\t' | b'\r') => {
                    self.at += 1;
                    continue;
                }
                Some(b';') => {
                    self.skip_to_end_of_line();
                    continue;
                }
                Some(b'(') => {
                    (self.at, depth) = (self.at + 1, depth + 1);
                    continue;
                }
                Some(b')') => {
                    let Some(less) = depth.checked_sub(1) else {
                        return Some(Err(
                            self.fault(self.line, "a closing parenthesis without an opening one")
                        ));
                    };
                    (self.at, depth) = (self.at + 1, less);
                    continue;
                }
                Some(b'"') => self.quoted(),
                Some(_) => Ok(self.bare()),
            };
            match word {
                Ok(word) if words.len() < MOST_WORDS => words.push(word),
                Ok(_) => return Some(Err(self.fault(line, "is too long to be a record"))),
                Err(fault) => return Some(Err(fault)),
            }
        }
        // The name of the first word may open parentheses on the line's first place.
        Some(Ok(Entry { line, indented, words }))
    }

    /// What is wrong; reading goes on with the next line.
    fn fault(&mut self, line: usize, why: &str) -> Fault {
        self.skip_to_end_of_line();
        Fault { line, why: why.to_owned() }
    }

    fn skip_to_end_of_line(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    }

    fn word(&self, from: usize, quoted: bool) -> Word<'t> {
        Word { raw: self.text.get(from..self.at).unwrap_or_default(), quoted }
    }

    fn quoted(&mut self) -> Result<Word<'t>, Fault> {
        self.at += 1;
        let from = self.at;
        loop {
            match self.peek() {
                None | Some(b'\n') => {
                    return Err(Fault {
                        line: self.line,
                        why: "a quotation mark is never closed".to_owned(),
                    });
                }
                Some(b'"') => {
                    let word = self.word(from, true);
                    self.at += 1;
                    return Ok(word);
                }
                Some(b'\\') => {
                    self.at += 1 + usize::from(
                        self.text.as_bytes().get(self.at + 1).is_some_and(|next| *next != b'\n'),
                    )
                }
                Some(_) => self.at += 1,
            }
        }
    }

    fn bare(&mut self) -> Word<'t> {
        let from = self.at;
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' | b'"' => break,
                b'\\' => {
                    self.at += 1 + usize::from(
                        self.text.as_bytes().get(self.at + 1).is_some_and(|next| *next != b'\n'),
                    )
                }
                _ => self.at += 1,
            }
        }
        // An escaped character may be longer than a byte.
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
        self.word(from, false)
    }
}
