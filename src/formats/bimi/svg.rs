//! Logos of BIMI: the profile "SVG Tiny Portable/Secure" (draft-svg-tiny-ps-abrotman), as far as mail
//! clients insist on it.

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

/// What is wrong with a logo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It is no SVG document.
    NoSvg(String),
    /// `version` is not `1.2`.
    Version,
    /// `baseProfile` is not `tiny-ps`.
    Profile,
    /// The root has a position.
    Position(&'static str),
    /// It is not square (or has no `viewBox`).
    NotSquare,
    /// It has no title.
    NoTitle,
    /// Its title is that of a drawing program.
    Placeholder(String),
    /// It has parts that the profile forbids: scripts, animation, pictures, what is interactive.
    Forbidden(String),
    /// It refers to something outside.
    External(String),
    /// It is longer than mail clients load.
    Long(usize),
}

impl Flaw {
    /// Whether mail clients refuse the logo for it.
    pub const fn refused(&self) -> bool {
        !matches!(self, Self::NotSquare | Self::Placeholder(_) | Self::Long(_))
    }

    /// In words.
    pub fn words(&self) -> String {
        match self {
            Self::NoSvg(why) => format!("it is no SVG document: {why}"),
            Self::Version => "the root's version is not 1.2".to_owned(),
            Self::Profile => "the root's baseProfile is not tiny-ps".to_owned(),
            Self::Position(name) => format!("the root has {name}"),
            Self::NotSquare => "its viewBox is not square".to_owned(),
            Self::NoTitle => "it has no title".to_owned(),
            Self::Placeholder(title) => format!("its title {title:?} names no brand"),
            Self::Forbidden(what) => format!("it has {what}, which the profile forbids"),
            Self::External(what) => format!("it refers to {what}, outside of itself"),
            Self::Long(bytes) => format!("it has {bytes} bytes, more than 32 KiB"),
        }
    }
}

/// The longest logo that mail clients load, in bytes.
pub const LONGEST: usize = 32 * 1024;
/// Elements that may not be there.
const FORBIDDEN: [&str; 13] = [
    "script",
    "image",
    "a",
    "animate",
    "animateColor",
    "animateMotion",
    "animateTransform",
    "set",
    "foreignObject",
    "audio",
    "video",
    "handler",
    "listener",
];
/// Titles that drawing programs give.
const PLACEHOLDERS: [&str; 4] = ["untitled", "svg", "logo", "title"];
/// So deep may elements stand in each other.
const DEPTH: usize = 100;

/// What is wrong with a logo; nothing if mail clients show it.
pub fn flaws(text: &str) -> Vec<Flaw> {
    let mut look = Look { flaws: Vec::new(), depth: 0, titled: false, in_title: false };
    if text.len() > LONGEST {
        look.flaws.push(Flaw::Long(text.len()));
    }
    if let Err(why) = look.document(text) {
        return vec![Flaw::NoSvg(why)];
    }
    if !look.titled {
        look.flaws.push(Flaw::NoTitle);
    }
    look.flaws
}

struct Look {
    flaws: Vec<Flaw>,
    depth: usize,
    titled: bool,
    in_title: bool,
}

impl Look {
    fn document(&mut self, text: &str) -> Result<(), String> {
        let mut reader = Reader::from_str(text);
        let mut rooted = false;
        loop {
            match reader.read_event().map_err(|why| why.to_string())? {
                Event::Start(element) => {
                    self.begin(&element, &mut rooted)?;
                    self.depth += 1;
                    if self.depth > DEPTH {
                        return Err(format!("elements stand more than {DEPTH} deep"));
                    }
                }
                Event::Empty(element) => {
                    self.begin(&element, &mut rooted)?;
                    self.in_title = false;
                }
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    self.in_title = false;
                }
                Event::Text(text) if self.in_title => {
                    self.title(&text);
                }
                Event::DocType(_) => self.flaws.push(Flaw::Forbidden("a document type".to_owned())),
                Event::Eof if self.depth > 0 => return Err("it ends in the middle".to_owned()),
                Event::Eof if rooted => return Ok(()),
                Event::Eof => return Err("it has no element".to_owned()),
                _ => {}
            }
        }
    }

    fn begin(&mut self, element: &BytesStart<'_>, rooted: &mut bool) -> Result<(), String> {
        let local = element.local_name();
        let name = local.as_ref();
        if !*rooted {
            *rooted = true;
            if name != "svg" {
                return Err(format!("its root is {}", name));
            }
            self.root(element)?;
        }
        if FORBIDDEN.contains(&name) {
            self.flaws.push(Flaw::Forbidden(name.to_owned()));
        }
        self.in_title = self.depth == 1 && name == "title";
        for attribute in element.attributes() {
            let attribute = attribute.map_err(|why| why.to_string())?;
            let key = attribute.key.local_name();
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|why| why.to_string())?;
            if key.as_ref().starts_with("on") {
                self.flaws.push(Flaw::Forbidden(key.as_ref().to_owned()));
            }
            if key.as_ref() == "href" && !value.starts_with('#') {
                self.flaws.push(Flaw::External(short(&value)));
            }
        }
        Ok(())
    }

    fn root(&mut self, element: &BytesStart<'_>) -> Result<(), String> {
        let get = |name: &str| -> Result<Option<String>, String> {
            match element.try_get_attribute(name).map_err(|why| why.to_string())? {
                None => Ok(None),
                Some(attribute) => {
                    let value = attribute.normalized_value(XmlVersion::Implicit1_0);
                    value.map(|value| Some(value.into_owned())).map_err(|why| why.to_string())
                }
            }
        };
        if get("version")?.as_deref() != Some("1.2") {
            self.flaws.push(Flaw::Version);
        }
        if get("baseProfile")?.as_deref() != Some("tiny-ps") {
            self.flaws.push(Flaw::Profile);
        }
        for name in ["x", "y"] {
            if get(name)?.is_some() {
                self.flaws.push(Flaw::Position(name));
            }
        }
        let view = get("viewBox")?.unwrap_or_default();
        let numbers: Vec<f64> = view
            .split([' ', ','])
            .filter(|part| !part.is_empty())
            .filter_map(|part| part.parse().ok())
            .collect();
        let square = matches!(numbers.as_slice(), [_, _, width, height] if (width - height).abs() < 1e-6 && *width > 0.0);
        if !square {
            self.flaws.push(Flaw::NotSquare);
        }
        Ok(())
    }

    fn title(&mut self, text: &str) {
        let title = text.trim();
        if title.is_empty() {
            return;
        }
        self.titled = true;
        if PLACEHOLDERS.contains(&title.to_lowercase().as_str()) {
            self.flaws.push(Flaw::Placeholder(short(title)));
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(100).collect()
}
