//! The `webhook` channel: Alertmanager's webhook JSON, version 4, so that every bridge made for
//! Alertmanager reads it; signed as Standard Webhooks when a secret is given.
//!
//! Incomplete: `format: template` is refused as not supported in this version.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::card;
use super::registry::{ChannelType, Problem};
use super::{HttpTarget, Notifier, Transport};
use crate::model::{
    Finding, HttpMessage, Labels, Notice, Notification, Outgoing, Reason, Secret, Severity, Text,
};

/// A webhook channel.
pub struct Webhook {
    target: HttpTarget,
}

/// Settings of a webhook.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WebhookSettings")]
pub struct Settings {
    /// Where to POST: a text or a secret.
    url: Text,
    /// Headers added to each request; values are texts or secrets.
    #[serde(default)]
    headers: BTreeMap<String, Text>,
    /// The key of Standard Webhooks signatures: `whsec_` and base64, or any text.
    #[serde(default)]
    secret: Option<Secret>,
    /// The body's format.
    #[serde(default)]
    format: Format,
}

/// The body's format.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// Alertmanager's webhook JSON, version 4.
    #[default]
    Alertmanager,
    /// A template of one's own; not supported in this version.
    Template,
}

impl ChannelType for Webhook {
    const NAME: &'static str = "webhook";
    const EXAMPLE: &'static str = r"url: https://hooks.acme.example/portalwatch
headers: { x-team: ops }
secret: { insecure_literal: whsec_ZXhhbXBsZSBrZXkgb2YgdGhlIGRvY3M= }
";
    type Settings = Settings;

    fn build(settings: Settings) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let sent = |text: Text, name: &str| match text {
            Text::Plain(text) => Secret::new(text, name),
            Text::Secret(secret) => secret,
        };
        let url = sent(settings.url, "url");
        match url::Url::parse(url.expose()) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.host_str().is_some() => {}
            _ => problems.push(Problem::at(&["url"], "no http:// or https:// URL")),
        }
        let headers: Vec<_> =
            settings.headers.into_iter().map(|(name, value)| (name, sent(value, "header"))).collect();
        problems.extend(headers.iter().filter_map(|(name, value)| header_problem(name, value)));
        if let Some(secret) = &settings.secret
            && let Err(message) = signing_key(secret)
        {
            problems.push(Problem::at(&["secret"], message));
        }
        if matches!(settings.format, Format::Template) {
            let message =
                "template is not supported in this version; leave format out, or write alertmanager";
            problems.push(Problem::at(&["format"], message));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self { target: HttpTarget { url, headers, signing: settings.secret } })
    }
}

fn header_problem(name: &str, value: &Secret) -> Option<Problem> {
    let reserved = ["host", "content-length", "content-type", "connection", "transfer-encoding"];
    let lower = name.to_ascii_lowercase();
    let message = if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        "no valid header name"
    } else if reserved.contains(&lower.as_str()) || lower.starts_with("webhook-") {
        "set by portalwatch itself; leave it out"
    } else if http::HeaderValue::from_str(value.expose()).is_err() {
        "the value holds characters that no header may hold, such as a line break"
    } else {
        return None;
    };
    Some(Problem::at(&["headers", name], message))
}

/// The bytes of a Standard Webhooks secret: base64 after `whsec_`, else the text itself.
pub(super) fn signing_key(secret: &Secret) -> Result<Vec<u8>, &'static str> {
    use base64::Engine as _;
    let Some(encoded) = secret.expose().strip_prefix("whsec_") else {
        return Ok(secret.expose().as_bytes().to_vec());
    };
    base64::engine::general_purpose::STANDARD
        .decode(encoded)
        .map_err(|_| "what follows whsec_ is not base64; copy it again")
}

/// `webhook-signature` of Standard Webhooks: `v1,` and the base64 of HMAC-SHA256 over
/// `id.timestamp.body`.
pub(super) fn signature(key: &[u8], id: &str, timestamp: i64, body: &str) -> String {
    use base64::Engine as _;
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
    let tag = aws_lc_rs::hmac::sign(&key, format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", base64::engine::general_purpose::STANDARD.encode(tag.as_ref()))
}

impl Notifier for Webhook {
    fn render(&self, notification: &Notification) -> Outgoing {
        let message = message(notification);
        Outgoing::Http(HttpMessage {
            method: "POST",
            headers: BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]),
            body: serde_json::to_string(&message).unwrap_or_default(),
        })
    }

    fn transport(&self) -> Transport<'_> {
        Transport::Http(&self.target)
    }
}

/// Alertmanager's webhook message, version 4.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    version: &'static str,
    group_key: &'a str,
    truncated_alerts: usize,
    status: &'static str,
    receiver: &'a str,
    group_labels: &'a Labels,
    common_labels: Labels,
    common_annotations: Labels,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    #[serde(rename = "notification_reason")]
    notification_reason: &'static str,
    alerts: Vec<Alert>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    status: &'static str,
    labels: Labels,
    annotations: Labels,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: String,
    fingerprint: String,
}

/// What Alertmanager's receivers take for "not ended" (Go's zero time).
const NOT_ENDED: &str = "0001-01-01T00:00:00Z";

fn message(notification: &Notification) -> Message<'_> {
    let mut told: Vec<Alert> = Vec::new();
    for alert in notification.notices.iter().flat_map(|notice| alerts(notice, &notification.external_url)) {
        // Of one label set only what holds now is told: a receiver may take them in any order.
        told.retain(|earlier| earlier.fingerprint != alert.fingerprint);
        told.push(alert);
    }
    let firing = told.iter().any(|alert| alert.status == "firing");
    Message {
        version: "4",
        group_key: &notification.group_key,
        truncated_alerts: 0,
        status: if firing { "firing" } else { "resolved" },
        receiver: &notification.channel,
        group_labels: &notification.group_labels,
        common_labels: common(told.iter().map(|alert| &alert.labels)),
        common_annotations: common(told.iter().map(|alert| &alert.annotations)),
        external_url: &notification.external_url,
        notification_reason: notification.notices.last().map_or("test", |notice| notice.reason.as_str()),
        alerts: told,
    }
}

/// The alerts of one notice: two after a rise or fall, because the severity is a label and so the
/// old label set must end for the new one to begin.
fn alerts(notice: &Notice, external_url: &str) -> Vec<Alert> {
    let incident = &notice.incident;
    let labels = incident.outgoing_labels();
    let ended = match notice.reason {
        Reason::Test => Some(notice.at),
        _ => incident.ended,
    };
    let mut alerts = Vec::new();
    let turned = matches!(notice.reason, Reason::Rose | Reason::Fell);
    if let Some(before) = notice.severity_before.filter(|before| turned && *before != incident.severity) {
        alerts.push(alert(notice, with_severity(&labels, before), Some(notice.at), external_url));
    }
    alerts.push(alert(notice, labels, ended, external_url));
    alerts
}

fn with_severity(labels: &Labels, severity: Severity) -> Labels {
    let mut labels = labels.clone();
    labels.insert("severity".into(), severity.as_str().into());
    labels
}

fn alert(notice: &Notice, mut labels: Labels, ended: Option<Timestamp>, external_url: &str) -> Alert {
    // Alertmanager drops empty labels before it takes the fingerprint.
    labels.retain(|_, value| !value.is_empty());
    let base = external_url.trim_end_matches('/');
    Alert {
        status: if ended.is_some() { "resolved" } else { "firing" },
        fingerprint: fingerprint(&labels),
        annotations: annotations(notice, base),
        starts_at: notice.incident.started.to_string(),
        ends_at: ended.map_or_else(|| NOT_ENDED.to_owned(), |ended| ended.to_string()),
        generator_url: format!("{base}/"),
        labels,
    }
}

/// A line for the finding, and those of what changed and who sees what.
fn described(finding: &Finding) -> Vec<String> {
    let line = match card::evidence(finding) {
        evidence if evidence.is_empty() => format!("{}: {}", finding.subject, finding.summary),
        evidence => format!("{}: {} ({evidence})", finding.subject, finding.summary),
    };
    let compared = card::comparison(finding).into_iter().map(|(_, line)| format!("    {line}"));
    std::iter::once(card::bounded(&line, 1000)).chain(compared).collect()
}

fn annotations(notice: &Notice, base: &str) -> Labels {
    let findings = &notice.incident.findings;
    let description: Vec<String> = findings.iter().take(10).flat_map(described).collect();
    let mut annotations = Labels::from([("summary".to_owned(), card::bounded(&card::summary(notice), 500))]);
    annotations.insert("description".into(), description.join("\n"));
    annotations.insert("runbook_url".into(), format!("{base}/"));
    if let Some(finding) = findings.first() {
        annotations.insert("explain".into(), format!("portalwatch explain {}", finding.id));
    }
    if !notice.reproduce.is_empty() {
        let commands: Vec<String> =
            notice.reproduce.iter().take(5).map(|command| card::bounded(command, 1000)).collect();
        annotations.insert("reproduce".into(), commands.join("\n"));
    }
    if !notice.confirmed.is_empty() {
        annotations.insert("confirmed".into(), card::bounded(&notice.confirmed, 100));
    }
    if notice.incident.not_recorded {
        annotations.insert("not_recorded".into(), "true".into());
    }
    annotations
}

/// The pairs that all of the maps have.
fn common<'a>(mut maps: impl Iterator<Item = &'a Labels>) -> Labels {
    let mut common = maps.next().cloned().unwrap_or_default();
    for map in maps {
        common.retain(|name, value| map.get(name) == Some(value));
    }
    common
}

/// Alertmanager's fingerprint of a label set: FNV-1a, 64 bits, over each name and value in name
/// order, each followed by the byte 255; 16 hex digits.
fn fingerprint(labels: &Labels) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    for (name, value) in labels {
        for text in [name, value] {
            text.bytes().for_each(&mut add);
            add(255);
        }
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    use crate::model::{CheckId, Incident, IncidentId};

    fn notice(reason: Reason) -> Notice {
        let check = CheckId::from("acme/home");
        let started = "2026-11-24T12:00:00Z".parse().unwrap();
        Notice {
            reason,
            incident: Incident {
                id: IncidentId::new(&check, started),
                check,
                kind: "http".into(),
                labels: Labels::from([("team".into(), "ops".into()), ("empty".into(), String::new())]),
                alertname: "http.status".into(),
                severity: Severity::Critical,
                started,
                opened: started,
                last_good: None,
                findings: vec![
                    Finding {
                        id: "http.status".into(),
                        subject: "https://portal.acme.example/".into(),
                        severity: Severity::Critical,
                        broken: true,
                        measured: true,
                        summary: "answered 502".into(),
                        evidence: serde_json::Map::new(),
                        reference: None,
                    }
                    .with("status", 502),
                ],
                worst: None,
                ended: (reason == Reason::Resolved).then(|| "2026-11-24T12:05:00Z".parse().unwrap()),
                closed: None,
                flapping: false,
                not_recorded: false,
            },
            severity_before: matches!(reason, Reason::Rose | Reason::Fell).then_some(Severity::Warning),
            at: "2026-11-24T12:03:00Z".parse().unwrap(),
            confirmed: "3/3".into(),
            reproduce: vec!["portalwatch check acme/home".into()],
            collapsed: false,
        }
    }

    fn body(notices: Vec<Notice>) -> serde_json::Value {
        let notification = Notification {
            key: "key".into(),
            channel: "hook".into(),
            group_key: "group".into(),
            group_labels: Labels::from([("team".into(), "ops".into())]),
            notices,
            shares: None,
            replies_to: None,
            external_url: "https://status.acme.example".into(),
            timezone: jiff::tz::TimeZone::UTC,
            now: "2026-11-24T12:03:01Z".parse().unwrap(),
        };
        serde_json::to_value(message(&notification)).unwrap()
    }

    #[test]
    fn an_opening_is_a_firing_alert_of_alertmanager() {
        let body = body(vec![notice(Reason::Opened)]);
        insta::assert_snapshot!(serde_json::to_string_pretty(&body).unwrap(), @r#"
        {
          "version": "4",
          "groupKey": "group",
          "truncatedAlerts": 0,
          "status": "firing",
          "receiver": "hook",
          "groupLabels": {
            "team": "ops"
          },
          "commonLabels": {
            "alertname": "http.status",
            "check": "home",
            "kind": "http",
            "portal": "acme",
            "severity": "critical",
            "team": "ops"
          },
          "commonAnnotations": {
            "confirmed": "3/3",
            "description": "https://portal.acme.example/: answered 502 (status 502)",
            "explain": "portalwatch explain http.status",
            "reproduce": "portalwatch check acme/home",
            "runbook_url": "https://status.acme.example/",
            "summary": "answered 502"
          },
          "externalURL": "https://status.acme.example",
          "notification_reason": "opened",
          "alerts": [
            {
              "status": "firing",
              "labels": {
                "alertname": "http.status",
                "check": "home",
                "kind": "http",
                "portal": "acme",
                "severity": "critical",
                "team": "ops"
              },
              "annotations": {
                "confirmed": "3/3",
                "description": "https://portal.acme.example/: answered 502 (status 502)",
                "explain": "portalwatch explain http.status",
                "reproduce": "portalwatch check acme/home",
                "runbook_url": "https://status.acme.example/",
                "summary": "answered 502"
              },
              "startsAt": "2026-11-24T12:00:00Z",
              "endsAt": "0001-01-01T00:00:00Z",
              "generatorURL": "https://status.acme.example/",
              "fingerprint": "c1e185760d88b80c"
            }
          ]
        }
        "#);
    }

    #[test]
    fn a_resolution_ends_the_alert_that_fired() {
        let (opened, resolved) = (body(vec![notice(Reason::Opened)]), body(vec![notice(Reason::Resolved)]));
        assert_eq!(resolved["status"], "resolved");
        assert_eq!(resolved["alerts"][0]["endsAt"], "2026-11-24T12:05:00Z");
        assert_eq!(resolved["alerts"][0]["fingerprint"], opened["alerts"][0]["fingerprint"]);
        assert_eq!(resolved["alerts"][0]["labels"], opened["alerts"][0]["labels"]);
    }

    #[test]
    fn a_rise_ends_the_old_label_set_and_fires_the_new_one() {
        let rose = body(vec![notice(Reason::Rose)]);
        let [old, new] = rose["alerts"].as_array().unwrap().as_slice() else { panic!("{rose}") };
        assert_eq!((&old["status"], &old["labels"]["severity"]), (&json!("resolved"), &json!("warning")));
        assert_eq!((&new["status"], &new["labels"]["severity"]), (&json!("firing"), &json!("critical")));
        assert_ne!(old["fingerprint"], new["fingerprint"]);
        assert_eq!(new["endsAt"], NOT_ENDED);
        assert_eq!(rose["status"], "firing");
        assert_eq!(rose["notification_reason"], "rose");
        assert!(rose["commonLabels"].get("severity").is_none());
    }

    #[test]
    fn a_turn_and_the_end_in_one_message_leave_nothing_firing() {
        let told = body(vec![notice(Reason::Rose), notice(Reason::Resolved)]);
        let alerts = told["alerts"].as_array().unwrap();
        let severities: Vec<_> = alerts.iter().map(|alert| &alert["labels"]["severity"]).collect();
        assert_eq!(severities, ["warning", "critical"]);
        assert!(alerts.iter().all(|alert| alert["status"] == "resolved"), "{told}");
        assert_eq!((&told["status"], &told["notification_reason"]), (&json!("resolved"), &json!("resolved")));
    }

    #[test]
    fn a_test_leaves_no_alert_firing() {
        assert_eq!(body(vec![notice(Reason::Test)])["status"], "resolved");
    }

    #[test]
    fn fingerprints_are_those_of_alertmanager() {
        // The hash of nothing is FNV's offset; "a" "b" worked out by hand from the definition.
        assert_eq!(fingerprint(&Labels::new()), "cbf29ce484222325");
        let by_hand = [b'a', 255, b'b', 255].into_iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(1_099_511_628_211)
        });
        assert_eq!(fingerprint(&Labels::from([("a".into(), "b".into())])), format!("{by_hand:016x}"));
    }

    #[test]
    fn signatures_agree_with_standard_webhooks() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "env:X");
        let key = signing_key(&secret).unwrap();
        let signed =
            signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    fn problems(settings: serde_json::Value) -> Vec<String> {
        match Webhook::build(serde_json::from_value(settings).unwrap()) {
            Ok(webhook) => {
                assert!(!format!("{:?}", webhook.target).contains("hunter2"), "a secret in Debug");
                Vec::new()
            }
            Err(problems) => problems
                .into_iter()
                .map(|problem| format!("{}: {}", problem.path.join("."), problem.message))
                .collect(),
        }
    }

    #[test]
    fn all_faults_of_the_settings_are_told_with_the_way_out() {
        let found = problems(json!({
            "url": "ftp://hooks.acme.example/",
            "headers": { "bad name": "x", "Webhook-Id": "x", "x-team": "a\nb" },
            "secret": { "value": "whsec_hunter2!", "shown": "env:X" },
            "format": "template",
        }));
        insta::assert_snapshot!(found.join("\n"), @r#"
        url: no http:// or https:// URL
        headers.Webhook-Id: set by portalwatch itself; leave it out
        headers.bad name: no valid header name
        headers.x-team: the value holds characters that no header may hold, such as a line break
        secret: what follows whsec_ is not base64; copy it again
        format: template is not supported in this version; leave format out, or write alertmanager
        "#);
        assert!(problems(json!({ "url": "https://hooks.acme.example/hunter2" })).is_empty());
    }
}
