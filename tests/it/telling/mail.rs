//! Mail as it was delivered, taken apart.

use base64::Engine as _;

/// A mail with its two parts decoded.
#[derive(Debug)]
pub struct Mail {
    head: String,
    pub text: String,
    pub html: String,
}

impl Mail {
    pub fn parse(raw: &str) -> Self {
        let raw = raw.replace("\r\n", "\n");
        let (head, body) = raw.split_once("\n\n").unwrap();
        let head = unfold(head);
        let boundary = field(&head, "Content-Type").unwrap();
        let boundary = boundary.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap();
        let delimiter = format!("--{boundary}");
        let mut mail = Self { head, text: String::new(), html: String::new() };
        for part in body.split(&delimiter) {
            let Some((part_head, content)) = part.trim_start().split_once("\n\n") else { continue };
            let part_head = unfold(part_head);
            let decoded =
                decode(content, &field(&part_head, "Content-Transfer-Encoding").unwrap_or_default());
            match field(&part_head, "Content-Type") {
                Some(kind) if kind.starts_with("text/plain") => mail.text = decoded,
                Some(kind) if kind.starts_with("text/html") => mail.html = decoded,
                _ => {}
            }
        }
        mail
    }

    /// A header's value; none if it is not there.
    pub fn header(&self, name: &str) -> Option<String> {
        field(&self.head, name)
    }

    pub fn subject(&self) -> String {
        self.header("Subject").unwrap()
    }

    pub fn id(&self) -> String {
        self.header("Message-ID").unwrap()
    }

    pub fn key(&self) -> String {
        self.header("X-Portalwatch-Key").unwrap()
    }

    pub fn parent(&self) -> Option<String> {
        let parent = self.header("In-Reply-To");
        assert_eq!(parent, self.header("References"), "{}", self.head);
        parent
    }

    /// The value of a line `Label: value` of the text.
    pub fn fact(&self, label: &str) -> Option<&str> {
        self.text.lines().find_map(|line| line.strip_prefix(label)?.strip_prefix(": "))
    }
}

fn unfold(head: &str) -> String {
    head.replace("\n ", " ").replace("\n\t", " ")
}

fn field(head: &str, name: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

fn decode(content: &str, encoding: &str) -> String {
    match encoding.to_ascii_lowercase().as_str() {
        "base64" => {
            let packed: String = content.split_whitespace().collect();
            let bytes = base64::engine::general_purpose::STANDARD.decode(packed).unwrap();
            String::from_utf8(bytes).unwrap()
        }
        "quoted-printable" => quoted_printable(content),
        _ => content.to_owned(),
    }
    .replace("\r\n", "\n")
}

fn quoted_printable(content: &str) -> String {
    let joined = content.replace("=\n", "");
    let mut bytes = Vec::new();
    let mut rest = joined.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = (first == b'=').then(|| after.get(..2)).flatten();
        match code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}
