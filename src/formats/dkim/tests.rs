use super::*;
use crate::formats::vectors::{cases, expected};

fn flags(record: &KeyRecord) -> Vec<String> {
    let mut flags = Vec::new();
    flags.extend(record.is_tested().then(|| "testing".to_owned()));
    flags.extend(record.unknown.iter().map(|tag| format!("unknown-tag:{tag}")));
    match (record.kind, &record.key) {
        (KeyType::Rsa, Some(key)) if key.bits < 1024 => flags.push("key-too-short".to_owned()),
        (KeyType::Rsa, Some(key)) if key.bits < 2048 => flags.push("weak-key".to_owned()),
        _ => {}
    }
    flags
}

#[test]
fn keys_are_read_as_those_who_verify_do() {
    for case in cases("dkim/keys.json", "keys_are_read_as_those_who_verify_do") {
        let text = case["record"].as_str().unwrap();
        let read = KeyRecord::parse(text);
        let said = match &read {
            _ if !is_key(text) => "ignored",
            Ok(_) => "valid",
            Err(_) => "invalid",
        };
        assert!(expected(&case, said), "{}: {said} {read:?}", case["id"]);
        let (Ok(record), "valid") = (read, said) else { continue };
        if let Some(kind) = case["key"].as_str() {
            assert_eq!(record.kind.as_str(), kind, "{}", case["id"]);
        }
        if let Some(bits) = case["key_bits"].as_u64() {
            assert_eq!(record.key.as_ref().map(|key| u64::from(key.bits)), Some(bits), "{}", case["id"]);
        }
        if let Some(revoked) = case["revoked"].as_bool() {
            assert_eq!(record.key.is_none(), revoked, "{}", case["id"]);
        }
        if let Some(usable) = case["usable_for_email"].as_bool() {
            assert_eq!(record.is_for_mail(), usable, "{}", case["id"]);
        }
        if let Some(found) = case["findings"].as_array() {
            let found: Vec<&str> = found.iter().map(|one| one.as_str().unwrap()).collect();
            assert_eq!(flags(&record), found, "{}", case["id"]);
        }
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, at) in [
        ("v=DKIM1; p=%%", 11),
        ("v=DKIM1; k=dsa; p=", 11),
        ("v=DKIM1; p=; p=", 13),
        ("v=DKIM1; x", 9),
        ("k=rsa; v=DKIM1; p=", 7),
    ] {
        assert_eq!(KeyRecord::parse(text).unwrap_err().at, at, "{text}");
    }
}

#[test]
fn a_key_may_be_folded_and_restricted() {
    let record = KeyRecord::parse(
        "v=DKIM1; h=sha1; s=tlsrpt; k=ed25519; p=JDcbZ0Hpba5NKXI4U AW3G0IDhhFOxhJTDybZEwe1FeA=",
    )
    .unwrap();
    assert!(!record.allows_sha256() && !record.is_for_mail());
    assert_eq!(record.key.unwrap().fingerprint().len(), 64);
}
