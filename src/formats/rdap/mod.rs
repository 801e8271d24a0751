//! Registration data as registries and registrars answer it: RDAP's JSON (RFC 9083) and the file that
//! says whom to ask (RFC 9224).
//!
//! Servers differ in what they leave out and how they write it. What is not understood is left out;
//! only an answer that is no RDAP at all is an error. Texts are cut, lists too.

mod bootstrap;
mod date;

pub use bootstrap::{Bootstrap, is_under};
use jiff::Timestamp;
use serde_json::Value;

/// At most this many elements of any list are read.
const MOST: usize = 64;
/// At most this many bytes of any text are kept.
const LONGEST: usize = 256;

/// What a server said of a domain.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The domain's registration (RFC 9083 section 5.3).
    Domain(Box<Domain>),
    /// An error in the server's words (section 6).
    Error(ErrorResponse),
}

/// A domain object (RFC 9083 section 5.3).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Domain {
    /// Its name in letters, digits and hyphens, lower-case, without a final dot.
    pub ldh_name: Option<String>,
    /// Its name as people write it.
    pub unicode_name: Option<String>,
    /// Its statuses, each as [`status_words`] writes it.
    pub status: Vec<String>,
    /// What happened or is to happen to it.
    pub events: Vec<Event>,
    /// Registrar, registrant and others.
    pub entities: Vec<Entity>,
    /// The names of its name servers, lower-case, sorted; absent where the answer does not say.
    pub nameservers: Option<Vec<String>>,
    /// Its DNSSEC delegation; absent where the answer does not say.
    pub secure_dns: Option<SecureDns>,
    /// Where more is said.
    pub links: Vec<Link>,
    /// The answer leaves out a part of the object and says so (section 4.3, "object truncated …").
    pub truncated: bool,
}

/// An event (RFC 9083 section 4.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Such as `registration` and `expiration`, lower-case.
    pub action: String,
    /// When; absent where it is no date.
    pub date: Option<Timestamp>,
    /// By whom.
    pub actor: Option<String>,
}

/// A person or an organisation (RFC 9083 section 5.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entity {
    /// What it is to the domain, lower-case.
    pub roles: Vec<String>,
    /// Its name: `fn` of its vCard, else `org` (RFC 7095).
    pub name: Option<String>,
    /// Its IANA Registrar ID (section 4.8).
    pub iana_id: Option<String>,
}

/// The DNSSEC delegation (RFC 9083 section 5.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecureDns {
    /// Whether the parent zone holds DS records for it.
    pub delegation_signed: Option<bool>,
    /// Its DS records as in a zone file, `TAG ALGORITHM DIGEST-TYPE DIGEST`, sorted.
    pub ds: Vec<String>,
    /// The keys given instead, `FLAGS PROTOCOL ALGORITHM KEY`, sorted.
    pub keys: Vec<String>,
}

/// A link (RFC 9083 section 4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The relation, lower-case, such as `self` and `related`.
    pub rel: Option<String>,
    /// Where to.
    pub href: String,
    /// The media type of what is there, lower-case.
    pub media_type: Option<String>,
}

/// An error (RFC 9083 section 6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorResponse {
    /// Its code, the same as the HTTP status.
    pub code: Option<u64>,
    /// Its title and description, one line.
    pub words: String,
}

/// Why an answer cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RdapError {
    /// No JSON.
    #[error("no JSON: {0}")]
    Json(String),
    /// JSON, but no object.
    #[error("JSON, but no object")]
    NoObject,
    /// Another kind of object.
    #[error("an object of the class {0:?}, not a domain")]
    OtherClass(String),
    /// An object that no RDAP server writes.
    #[error("JSON, but no RDAP: neither objectClassName nor errorCode")]
    NoRdap,
    /// No bootstrap file.
    #[error("JSON, but no bootstrap file: it lists no services")]
    NoServices,
}

impl Domain {
    /// The date of an event; the earliest where there are several.
    pub fn date_of(&self, action: &str) -> Option<Timestamp> {
        self.events.iter().filter(|event| event.action == action).filter_map(|event| event.date).min()
    }

    /// The entity with a role.
    pub fn entity(&self, role: &str) -> Option<&Entity> {
        self.entities.iter().find(|entity| entity.roles.iter().any(|own| own == role))
    }

    /// Where the registrar's own answer is (`rel=related`, as the profile of ICANN has it).
    pub fn related(&self) -> Option<&str> {
        let related = self.links.iter().filter(|link| link.rel.as_deref() == Some("related"));
        let typed = |link: &&Link| link.media_type.as_deref() == Some("application/rdap+json");
        let untyped = |link: &&Link| link.media_type.is_none() && link.href.contains("/domain/");
        let found = related.clone().find(typed).or_else(|| related.clone().find(untyped));
        found.map(|link| link.href.as_str())
    }
}

/// Reads an answer.
///
/// # Errors
/// It is no RDAP, or about something else than a domain.
pub fn parse(body: &[u8]) -> Result<Answer, RdapError> {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| RdapError::Json(line(&error.to_string())))?;
    let object = value.as_object().ok_or(RdapError::NoObject)?;
    if object.contains_key("errorCode") {
        return Ok(Answer::Error(error_response(&value)));
    }
    match object.get("objectClassName").and_then(Value::as_str) {
        Some(class) if class.eq_ignore_ascii_case("domain") => {}
        Some(class) => return Err(RdapError::OtherClass(line(class))),
        None if object.contains_key("ldhName") => {}
        None => return Err(RdapError::NoRdap),
    }
    Ok(Answer::Domain(Box::new(domain(&value))))
}

/// A status as it is compared: EPP's `clientTransferProhibited` and RDAP's `client transfer prohibited`
/// are the same (RFC 8056), in RDAP's words.
pub fn status_words(text: &str) -> String {
    let mut words = String::with_capacity(text.len() + 4);
    let mut before = ' ';
    for char in text.trim().chars() {
        if char.is_ascii_uppercase() && before.is_ascii_lowercase() {
            words.push(' ');
        }
        words.push(if matches!(char, '_' | '-') { ' ' } else { char.to_ascii_lowercase() });
        before = char;
    }
    line(&words)
}

fn domain(value: &Value) -> Domain {
    Domain {
        ldh_name: text(value, "ldhName").map(|name| host_name(&name)),
        unicode_name: text(value, "unicodeName").map(|name| name.trim_end_matches('.').to_lowercase()),
        status: list(value, "status").filter_map(Value::as_str).map(status_words).collect(),
        events: list(value, "events").filter_map(event).collect(),
        entities: list(value, "entities").map(entity).collect(),
        nameservers: value.get("nameservers").and_then(Value::as_array).map(|_| nameservers(value)),
        secure_dns: value.get("secureDNS").filter(|found| found.is_object()).map(secure_dns),
        links: list(value, "links").filter_map(link).collect(),
        truncated: list(value, "notices").chain(list(value, "remarks")).any(|notice| {
            text(notice, "type").is_some_and(|kind| kind.to_ascii_lowercase().starts_with("object truncated"))
        }),
    }
}

fn event(value: &Value) -> Option<Event> {
    let date = value.get("eventDate").and_then(Value::as_str).and_then(date::read);
    Some(Event { action: text(value, "eventAction")?.to_lowercase(), date, actor: text(value, "eventActor") })
}

fn entity(value: &Value) -> Entity {
    let vcard = value.get("vcardArray").and_then(|card| card.get(1));
    Entity {
        roles: list(value, "roles").filter_map(Value::as_str).map(|role| line(role).to_lowercase()).collect(),
        name: vcard.and_then(|card| property(card, "fn").or_else(|| property(card, "org"))),
        iana_id: list(value, "publicIds").find_map(iana_id),
    }
}

/// A text property of a jCard (RFC 7095 section 3.3): `[name, parameters, type, value, …]`.
fn property(card: &Value, name: &str) -> Option<String> {
    card.as_array()?.iter().take(MOST).find_map(|property| {
        let found = property.get(0)?.as_str()?.eq_ignore_ascii_case(name);
        let value = property.get(3)?;
        let value = value.as_str().or_else(|| value.get(0)?.as_str())?;
        let value = line(value);
        (found && !value.is_empty()).then_some(value)
    })
}

fn iana_id(value: &Value) -> Option<String> {
    let kind = text(value, "type")?.to_lowercase();
    (kind.contains("iana") && kind.contains("registrar")).then_some(())?;
    let id = value.get("identifier")?;
    let id = id.as_str().map(line).or_else(|| id.as_u64().map(|id| id.to_string()))?;
    (!id.is_empty()).then_some(id)
}

fn nameservers(value: &Value) -> Vec<String> {
    let names = list(value, "nameservers").filter_map(|server| text(server, "ldhName"));
    sorted(names.map(|name| host_name(&name)).collect())
}

fn secure_dns(value: &Value) -> SecureDns {
    let ds = list(value, "dsData").filter_map(|ds| {
        let digest = text(ds, "digest")?.to_ascii_uppercase();
        Some(format!(
            "{} {} {} {digest}",
            number(ds, "keyTag")?,
            number(ds, "algorithm")?,
            number(ds, "digestType")?
        ))
    });
    let keys = list(value, "keyData").filter_map(|key| {
        let public: String = text(key, "publicKey")?.split_whitespace().collect();
        Some(format!(
            "{} {} {} {public}",
            number(key, "flags")?,
            number(key, "protocol")?,
            number(key, "algorithm")?
        ))
    });
    SecureDns {
        delegation_signed: value.get("delegationSigned").and_then(Value::as_bool),
        ds: sorted(ds.collect()),
        keys: sorted(keys.collect()),
    }
}

fn link(value: &Value) -> Option<Link> {
    // An address that was cut would be another address.
    let href = value.get("href")?.as_str()?.trim();
    (href.len() <= 2048).then(|| Link {
        rel: text(value, "rel").map(|rel| rel.to_lowercase()),
        href: href.to_owned(),
        media_type: text(value, "type").map(|kind| kind.to_lowercase()),
    })
}

fn error_response(value: &Value) -> ErrorResponse {
    let description = list(value, "description").filter_map(Value::as_str);
    let parts: Vec<&str> =
        value.get("title").and_then(Value::as_str).into_iter().chain(description).collect();
    ErrorResponse { code: number(value, "errorCode"), words: line(&parts.join(": ")) }
}

/// The elements of a list; what stands where a list should is its one element.
fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    let found = value.get(key).map(|found| match found {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    });
    found.into_iter().flatten().take(MOST)
}

fn text(value: &Value, key: &str) -> Option<String> {
    let text = line(value.get(key)?.as_str()?);
    (!text.is_empty()).then_some(text)
}

/// A number, also where it is written as a text.
fn number(value: &Value, key: &str) -> Option<u64> {
    let value = value.get(key)?;
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// One line of at most [`LONGEST`] bytes, cut at a character.
fn line(text: &str) -> String {
    let text = text.trim();
    let end = text.floor_char_boundary(LONGEST);
    let cut = text.get(..end).unwrap_or_default();
    cut.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

fn host_name(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort_unstable();
    list.dedup();
    list
}

#[cfg(test)]
mod tests;
