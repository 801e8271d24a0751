//! Takes a check's secrets out of what its run came to: a server may give back anything it was sent.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::model::{Finding, Masker, Outcome};
use crate::probe::Memory;

/// Masks everything of an outcome that is kept, shown or sent.
pub(super) fn outcome(outcome: &mut Outcome, masker: &Masker) {
    if masker.is_empty() {
        return;
    }
    if let Some(why) = &mut outcome.why {
        text(why, masker);
    }
    for finding in &mut outcome.findings {
        mask_finding(finding, masker);
    }
    for step in &mut outcome.steps {
        if let std::borrow::Cow::Owned(masked) = masker.mask(&step.name) {
            step.name = masked.into();
        }
    }
    if let Some(facts) = &mut outcome.facts {
        mask_facts(facts, masker);
    }
}

/// Masks what is remembered from run to run: it is kept like a result.
pub(super) fn memory(memory: &mut Memory, masker: &Masker) {
    if let Some(memory) = memory.as_mut().filter(|_| !masker.is_empty()) {
        mask_facts(memory, masker);
    }
}

fn mask_finding(finding: &mut Finding, masker: &Masker) {
    text(&mut finding.subject, masker);
    text(&mut finding.summary, masker);
    map(&mut finding.evidence, masker);
}

/// The facts are parsed only when there is something to take out of them.
fn mask_facts(facts: &mut Box<RawValue>, masker: &Masker) {
    if matches!(masker.mask(facts.get()), std::borrow::Cow::Borrowed(_)) {
        return;
    }
    let Ok(mut parsed) = serde_json::from_str::<Value>(facts.get()) else { return };
    value(&mut parsed, masker);
    if let Ok(masked) = serde_json::value::to_raw_value(&parsed) {
        *facts = masked;
    }
}

fn value(value: &mut Value, masker: &Masker) {
    match value {
        Value::String(said) => text(said, masker),
        Value::Array(items) => items.iter_mut().for_each(|item| self::value(item, masker)),
        Value::Object(entries) => map(entries, masker),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn map(entries: &mut Map<String, Value>, masker: &Masker) {
    let masked = |key: &String| matches!(masker.mask(key), std::borrow::Cow::Owned(_));
    if entries.keys().any(masked) {
        let old = std::mem::take(entries);
        entries.extend(old.into_iter().map(|(key, value)| (masker.mask(&key).into_owned(), value)));
    }
    entries.values_mut().for_each(|entry| value(entry, masker));
}

fn text(text: &mut String, masker: &Masker) {
    if let std::borrow::Cow::Owned(masked) = masker.mask(text) {
        *text = masked;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CheckId, FindingDoc, Secret, Severity, StepTime, Timings, Verdict};

    const DOC: FindingDoc = FindingDoc {
        id: "http.json",
        severity: Severity::Error,
        broken: true,
        meaning: "",
        why: "",
        fix: "",
        reference: None,
        confirm: None,
    };

    fn leaking(facts: &str) -> Outcome {
        let finding = Finding::of(&DOC, "a.example", "$.echo is \"hunter2-hunter2\"")
            .with("seen", serde_json::json!([{ "hunter2-hunter2": "x hunter2-hunter2" }]));
        Outcome {
            check: CheckId::new("acme", "home"),
            at: jiff::Timestamp::UNIX_EPOCH,
            took: std::time::Duration::ZERO,
            verdict: Verdict::Fail,
            cause: None,
            why: Some("said hunter2-hunter2".to_owned()),
            findings: vec![finding],
            status: None,
            timings: Timings::default(),
            steps: vec![StepTime { name: "as hunter2-hunter2".into(), took: std::time::Duration::ZERO }],
            facts: Some(RawValue::from_string(facts.to_owned()).unwrap()),
            transport: false,
            recheck: false,
        }
    }

    fn masked(mut all: Outcome, secrets: &[&str]) -> String {
        let secrets: Vec<Secret> = secrets.iter().map(|secret| Secret::new(*secret, "file:a\"b")).collect();
        outcome(&mut all, &Masker::new(&secrets));
        serde_json::to_string(&all).unwrap()
    }

    #[test]
    fn nothing_a_server_gives_back_keeps_the_secret() {
        let facts = r#"{"matches":[{"value":"hunter2-hunter2"}],"size":7,"redirects":[]}"#;
        let shown = masked(leaking(facts), &["hunter2-hunter2"]);
        assert!(!shown.contains("hunter2"), "{shown}");
        assert_eq!(shown.matches("<file:a").count(), 6, "{shown}");
        assert!(shown.contains(r#""size":7"#), "{shown}");
    }

    #[test]
    fn a_clipped_value_keeps_no_beginning_of_a_secret() {
        let facts = r#"{"matches":[{"value":"token: hunter2-hun…"},{"value":"just hun…"}]}"#;
        let shown = masked(leaking(facts), &["hunter2-hunter2"]);
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("just hun…"), "{shown}");
    }

    #[test]
    fn what_is_remembered_until_the_next_run_keeps_no_secret_either() {
        let json = r#"{"stop":{"why":"the page says hunter2%2Dhunter2"}}"#;
        let mut kept = Some(RawValue::from_string(json.to_owned()).unwrap());
        memory(&mut kept, &Masker::new(&[Secret::new("hunter2-hunter2", "env:P")]));
        assert_eq!(kept.unwrap().get(), r#"{"stop":{"why":"the page says <env:P>"}}"#);
    }

    #[test]
    fn what_holds_no_secret_stays_byte_for_byte() {
        let facts = r#"{ "b": 1.50, "a": "x" }"#;
        assert!(masked(leaking(facts), &[]).contains(facts));
        assert!(masked(leaking(facts), &["other-secret"]).contains(facts));
    }
}
