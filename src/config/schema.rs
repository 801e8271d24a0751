//! The JSON Schema of the language, from the same types that read it.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::keys::*;

/// The schema of the whole language; `kinds` and `channels` are the alternatives of a check's and a
/// channel's own key, by name, and `shared` the definitions that they refer to.
pub fn schema(
    kinds: Vec<(&'static str, Value)>,
    channels: Vec<(&'static str, Value)>,
    shared: Map<String, Value>,
) -> Value {
    let layer = properties::<Layer>();
    let check = alternatives(joined([layer.clone(), properties::<CheckKeys>()]), kinds);
    let channel = alternatives(properties::<ChannelKeys>(), channels);
    let mut portal = joined([layer.clone(), properties::<PortalKeys>()]);
    portal.insert(
        "identities".into(),
        names(&plain::<super::identity::IdentityKeys>(), "As whom its checks may act, by name."),
    );
    portal.insert("checks".into(), names(&check, "The checks, by name."));
    let defaults =
        object(joined([layer, properties::<GlobalKeys>()]), "What holds where nothing else is said.");
    let routes = json!({"type": "array", "items": plain::<RouteKeys>(), "description": "First match wins."});
    let notify = json!({
        "type": "object",
        "description": "Who is told.",
        "properties": {
            "timezone": {"type": "string", "description": "Of times in messages; UTC if not set."},
            "channels": names(&channel, "The channels, by name."),
            "routes": routes,
        },
        "additionalProperties": false,
    });
    let mut portals = names(&object(portal, "A portal."), "The portals, by name.");
    if let Some(portals) = portals.as_object_mut() {
        portals.insert("minProperties".into(), json!(1));
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "portalwatch",
        "type": "object",
        "properties": {
            "server": plain::<ServerKeys>(),
            "storage": plain::<StorageKeys>(),
            "defaults": defaults,
            "portals": portals,
            "objectives": {
                "type": "array",
                "items": plain::<ObjectiveKeys>(),
                "description": "What is promised of checks together.",
            },
            "notify": notify,
            "metrics": plain::<MetricsKeys>(),
        },
        "additionalProperties": false,
        "$defs": shared,
    })
}

fn plain<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Some(map) = schema.as_object_mut() {
        map.remove("$schema");
        map.remove("title");
    }
    schema
}

fn properties<T: JsonSchema>() -> Map<String, Value> {
    plain::<T>().get("properties").and_then(Value::as_object).cloned().unwrap_or_default()
}

fn joined(parts: [Map<String, Value>; 2]) -> Map<String, Value> {
    parts.into_iter().flatten().collect()
}

fn object(properties: Map<String, Value>, description: &str) -> Value {
    json!({
        "type": "object",
        "description": description,
        "properties": properties,
        "additionalProperties": false,
    })
}

fn names(of: &Value, description: &str) -> Value {
    json!({
        "type": "object",
        "description": description,
        "propertyNames": {"pattern": "^[a-z0-9][a-z0-9-]*$"},
        "additionalProperties": of,
    })
}

/// An object with exactly one of the given keys beside the common ones.
fn alternatives(mut common: Map<String, Value>, own: Vec<(&str, Value)>) -> Value {
    let one: Vec<Value> = own.iter().map(|(name, _)| json!({"required": [name]})).collect();
    common.extend(own.into_iter().map(|(name, schema)| (name.to_owned(), schema)));
    json!({"type": "object", "properties": common, "additionalProperties": false, "oneOf": one})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_knows_every_key_and_refuses_others() {
        let shared = Map::from_iter([("X".to_owned(), json!({"type": "string"}))]);
        let kind = json!({"$ref": "#/$defs/X"});
        let schema = schema(vec![("http", kind)], vec![("email", json!({"type": "object"}))], shared);
        let check = "/properties/portals/additionalProperties/properties/checks/additionalProperties";
        for key in LAYER.iter().chain(CHECK).chain(&["http"]) {
            assert!(schema.pointer(&format!("{check}/properties/{key}")).is_some(), "{key}");
        }
        assert_eq!(schema.pointer(&format!("{check}/additionalProperties")), Some(&json!(false)));
        assert!(schema.pointer("/$defs/X").is_some());
        let identity = "/properties/portals/additionalProperties/properties/identities/additionalProperties";
        assert!(schema.pointer(&format!("{identity}/properties/oauth2/properties/grant")).is_some());
        assert_eq!(schema.pointer(&format!("{identity}/additionalProperties")), Some(&json!(false)));
        assert!(schema.pointer("/properties/defaults/properties/limits").is_some());
    }
}
