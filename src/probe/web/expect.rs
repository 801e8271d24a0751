//! What an answer should be.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use crate::formats::yaml::NotYet;
use crate::judge::{BodyRule, JsonRules, StatusSet, TextRule, Texts};

/// What the answer should be. Everything given must hold.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// The statuses; 200–299 by default. Redirects are followed until one of these comes.
    pub status: StatusSet,
    /// Response headers: a scalar or list means equals, a map means operators.
    pub headers: Option<Box<HeaderRules>>,
    /// The body: a scalar means equals, a map means operators.
    #[serde(deserialize_with = "crate::judge::body_rule")]
    pub body: Option<Box<BodyRule>>,
    /// The body as JSON, by JSONPath.
    pub json: Option<Box<JsonRules>>,
    /// The address of the judged answer: a scalar means equals, a map means operators.
    #[serde(deserialize_with = "final_url")]
    #[schemars(with = "Option<HeaderRule>")]
    pub final_url: Option<Box<TextRule>>,
    /// Rules for redirects on the way.
    pub redirects: Redirects,
    /// A key of the language whose capability this version lacks.
    #[serde(rename = "metrics")]
    #[schemars(skip)]
    _metrics: Option<NotYet>,
}

impl Expect {
    /// The texts compared with, for whoever fills in what is known only at the time of a run.
    pub fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let headers = self.headers.iter_mut().flat_map(|rules| rules.0.iter_mut());
        let headers = headers.flat_map(|(_, rule)| rule.texts_mut());
        let body = self.body.iter_mut().flat_map(|body| body.texts_mut());
        let url = self.final_url.iter_mut().flat_map(|rule| rule.texts_mut());
        headers.chain(body).chain(url)
    }

    /// Writes the addresses of `final_url` as the URL standard does, once they are filled in.
    pub fn tidy_final_url(&mut self) {
        let wanted = self.final_url.iter_mut().filter_map(|rule| rule.equals.as_mut());
        for text in wanted.flat_map(|Texts(wanted)| wanted.iter_mut()) {
            if let Ok(url) = url::Url::parse(text) {
                *text = url.into();
            }
        }
    }

    /// The JSON values compared with, for the same.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut serde_json::Value> {
        self.json.iter_mut().flat_map(|rules| rules.values_mut())
    }

    /// The rules on what an answer holds, in words.
    pub fn content_rules(&self) -> Vec<String> {
        let rules = [
            ("expect.headers", self.headers.is_some()),
            ("expect.body", self.body.is_some()),
            ("expect.json", self.json.is_some()),
            ("expect.final_url", self.final_url.is_some()),
            ("expect.redirects", self.redirects != Redirects::default()),
        ];
        rules.into_iter().filter(|(_, given)| *given).map(|(name, _)| name.to_owned()).collect()
    }

    /// Whether the body's content matters.
    pub fn wants_body(&self) -> bool {
        self.body.is_some() || self.json.is_some()
    }
}

/// Rules for redirects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Redirects {
    /// At most this many are followed, 10 at most.
    #[serde(deserialize_with = "at_most_ten")]
    #[schemars(range(max = 10))]
    pub max: u8,
    /// Every target must be `https`.
    pub https_only: bool,
    /// Every target must belong to the registrable domain the check starts at.
    pub same_site: bool,
}

/// The most redirects that are ever followed.
pub const MOST_REDIRECTS: u8 = 10;

impl Default for Redirects {
    fn default() -> Self {
        Self { max: MOST_REDIRECTS, https_only: false, same_site: false }
    }
}

fn at_most_ten<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let max = u8::deserialize(deserializer)?;
    if max > MOST_REDIRECTS {
        return Err(de::Error::custom("at most 10 redirects are followed; write 0 to 10"));
    }
    Ok(max)
}

/// Reads the rule and writes its addresses as the URL standard does, so that
/// `https://portal.example` equals `https://portal.example/`.
fn final_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<TextRule>>, D::Error> {
    let mut rule = crate::judge::rule(deserializer)?;
    if let Some(Texts(wanted)) = &mut rule.equals {
        // A template is read once it is filled in.
        for text in wanted.iter_mut().filter(|text| !text.contains("{{")) {
            let url = url::Url::parse(text).map_err(|error| {
                de::Error::custom(format!("{text:?} is no address, write https://host/path: {error}"))
            })?;
            *text = url.into();
        }
    }
    Ok(Some(Box::new(rule)))
}

/// A rule of [`HeaderRules`].
#[derive(Debug)]
pub struct HeaderRule(pub TextRule);

impl<'de> Deserialize<'de> for HeaderRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::judge::rule(deserializer).map(Self)
    }
}

impl JsonSchema for HeaderRule {
    fn schema_name() -> Cow<'static, str> {
        "TextExpectation".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let operators = generator.subschema_for::<TextRule>();
        let texts = generator.subschema_for::<Texts>();
        json_schema!({
            "description": "A scalar or list means equals, a map means operators.",
            "anyOf": [texts, operators],
        })
    }
}

/// Header names and their rules.
#[derive(Clone, Debug)]
pub struct HeaderRules(pub Box<[(http::HeaderName, TextRule)]>);

struct RulesVisitor;

impl<'de> Visitor<'de> for RulesVisitor {
    type Value = HeaderRules;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map from header name to what it should say")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HeaderRules, A::Error> {
        let mut rules = Vec::new();
        while let Some(name) = map.next_key::<super::values::Name>()? {
            rules.push((name.0, map.next_value::<HeaderRule>()?.0));
        }
        Ok(HeaderRules(rules.into()))
    }
}

impl<'de> Deserialize<'de> for HeaderRules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RulesVisitor)
    }
}

impl JsonSchema for HeaderRules {
    fn schema_name() -> Cow<'static, str> {
        "HeaderRules".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let rule = generator.subschema_for::<HeaderRule>();
        json_schema!({
            "type": "object",
            "description": "Header name to what it should say.",
            "additionalProperties": rule,
        })
    }
}
