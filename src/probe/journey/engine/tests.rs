use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::model::{CheckId, Identity, Masker};
use crate::net::{Net, NetOptions, TlsOptions};
use crate::probe::{PortalScope, Scope};
use crate::record::memory::ledger::MemoryLedger;

/// 20 seconds into a window of one-time codes.
const AT: i64 = 1_000_000_010;
const WINDOW: u64 = 1_000_000_010 / 30;

struct Stage {
    scope: Scope,
    net: Net,
    ledger: MemoryLedger,
    masker: Masker,
    portal: Url,
}

impl Stage {
    fn new(deadline: u64) -> Self {
        let identity = Identity {
            name: "staff".into(),
            username: Some("probe".into()),
            password: Some(Secret::new("hunter2", "env:P")),
            totp: Some(Secret::new("MZXW6YTB", "env:T")),
            token: None,
            oauth2: None,
            client: None,
        };
        // Nobody listens there: nothing is to be sent.
        let portal = Url::parse("http://127.0.0.1:1/").unwrap();
        let portal_scope = PortalScope {
            name: "acme".into(),
            url: Some(portal.clone()),
            private: true,
            ..PortalScope::default()
        };
        Self {
            scope: Scope {
                check: CheckId::new("acme", "work"),
                portal: Arc::new(portal_scope),
                timeout: Duration::from_secs(1),
                deadline: Duration::from_secs(deadline),
                resolvers: Arc::new([]),
                tls: Arc::new(TlsOptions::default()),
                identity: Some(Arc::new(identity)),
                triggered: None,
            },
            net: Net::new(NetOptions {
                per_host: 1,
                global: 1,
                user_agent: "portalwatch/test".into(),
                hosts: BTreeMap::new(),
            }),
            ledger: MemoryLedger::default(),
            masker: Masker::default(),
            portal,
        }
    }

    fn ctx(&self) -> Ctx<'_> {
        let at = Timestamp::from_second(AT).unwrap();
        let ledger: Option<&dyn crate::model::Ledger> = Some(&self.ledger);
        Ctx {
            scope: &self.scope,
            net: &self.net,
            masker: &self.masker,
            at,
            everything: false,
            ledger,
            baselines: None,
            writes: true,
        }
    }
}

fn spec(value: Value) -> Spec {
    serde_json::from_value(value).unwrap()
}

fn two_codes() -> Spec {
    let step =
        |name: &str| json!({ "name": name, "post": "/", "form": { "code": "{{ totp(identity.totp) }}" } });
    spec(json!({ "steps": [step("a"), step("b"), { "name": "c", "get": "/" }] }))
}

#[tokio::test(start_paused = true)]
async fn no_code_is_shown_twice_within_a_run_or_across_two() {
    let stage = Stage::new(120);
    let (ctx, spec) = (stage.ctx(), two_codes());
    let mut run = Run::new(&spec, &ctx, &stage.portal, "pw-1".into());
    let fresh = Memory::default();
    run.next_code(&spec.steps[0], &fresh).await.unwrap();
    assert_eq!((run.began.elapsed(), run.facts.totp_step), (Duration::ZERO, Some(WINDOW)));
    run.next_code(&spec.steps[1], &fresh).await.unwrap();
    assert_eq!((run.began.elapsed(), run.facts.totp_step), (Duration::from_secs(10), Some(WINDOW + 1)));
    let mut run = Run::new(&spec, &ctx, &stage.portal, "pw-2".into());
    let used = Memory { totp_step: Some(WINDOW), ..Memory::default() };
    run.next_code(&spec.steps[2], &used).await.unwrap();
    assert_eq!((run.began.elapsed(), run.facts.totp_step), (Duration::ZERO, None), "it shows none");
    run.next_code(&spec.steps[0], &used).await.unwrap();
    assert_eq!((run.began.elapsed(), run.facts.totp_step), (Duration::from_secs(10), Some(WINDOW + 1)));
}

#[tokio::test(start_paused = true)]
async fn a_used_code_is_not_shown_for_want_of_time() {
    let stage = Stage::new(8);
    let (ctx, spec) = (stage.ctx(), two_codes());
    let mut run = Run::new(&spec, &ctx, &stage.portal, "pw-1".into());
    let used = Memory { totp_step: Some(WINDOW), ..Memory::default() };
    run.steps(&used).await;
    assert_eq!(run.facts.our_side.as_ref().map(|skipped| skipped.cause), Some(Cause::Config));
    assert_eq!((run.facts.steps.len(), run.facts.steps[0].requests), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_there_is_no_time_for_is_not_entered() {
    let stage = Stage::new(10);
    let ctx = stage.ctx();
    let spec = spec(json!({ "steps": [
        { "name": "create", "write": true, "post": "/t", "json": { "t": "{{ run.id }}" } },
        { "name": "read", "get": "/t" },
    ] }));
    let mut run = Run::new(&spec, &ctx, &stage.portal, "pw-1".into());
    tokio::time::advance(Duration::from_secs(10)).await;
    run.steps(&Memory::default()).await;
    let seen: Vec<_> = run.facts.steps.iter().map(|seen| (seen.name.as_str(), &seen.trouble)).collect();
    assert_eq!(seen, [("create", &Some(Trouble::OutOfTime))]);
    assert!(!run.entered);
}

#[tokio::test(start_paused = true)]
async fn time_is_kept_for_what_follows_the_steps() {
    let left = |value: Value, deadline: u64| {
        let stage = Stage::new(deadline);
        let (ctx, spec) = (stage.ctx(), spec(value));
        let run = Run::new(&spec, &ctx, &stage.portal, "pw-1".into());
        let since = |at: Instant| at - run.began;
        (since(run.steps_end), since(run.all_end))
    };
    let steps = json!([{ "name": "a", "get": "/" }]);
    let seconds = Duration::from_secs;
    assert_eq!(left(json!({ "steps": steps }), 60), (seconds(59), seconds(59)));
    let all = json!({ "steps": steps, "cleanup": [{ "delete": "/x" }], "sign_out": { "post": "/out" } });
    // A second each for the clean-up, the sign-out and its proof; at most a third of the whole.
    assert_eq!(left(all.clone(), 60), (seconds(56), seconds(59)));
    assert_eq!(left(all, 6), (Duration::from_millis(3700), Duration::from_millis(5700)));
}

#[test]
fn runs_have_names_of_their_own() {
    let (one, other) = (run_id().unwrap(), run_id().unwrap());
    assert!(one != other && one.len() == 19 && one.starts_with("pw-"), "{one} {other}");
}
