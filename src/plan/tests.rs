//! Checks that act as somebody, with a kind made for it.

use jiff::Timestamp;
use rcgen::{CertificateParams, KeyPair};
use schemars::JsonSchema;
use serde::Deserialize;

use super::*;
use crate::config::{Environment, Vocabulary, load_for_plan};
use crate::model::{Cause, Confirm, FindingDoc, Grant, Secret};
use crate::probe::{Ctx, Judgement, Kind, Observed, Past, Problem, Unmeasured};

/// Signs in, or would.
struct Acting;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Spec {
    r#as: Option<String>,
    header: Option<Secret>,
}

impl Kind for Acting {
    const NAME: &'static str = "acting";
    const EXAMPLE: &'static str = "acting: { as: staff }\n";
    const FINDINGS: &'static [FindingDoc] = &[];
    const CONFIRM: Confirm = Confirm { failures: 1, successes: 1, recheck: None };
    type Spec = Spec;
    type Facts = ();
    type Memory = ();

    fn identity(spec: &Spec) -> Option<&str> {
        spec.r#as.as_deref()
    }

    fn validate(spec: &Spec, scope: &Scope) -> Vec<Problem> {
        assert_eq!(spec.r#as.is_some(), scope.identity.is_some(), "a kind is judged with its identity");
        Vec::new()
    }

    fn hosts(_: &Spec, _: &Scope) -> Vec<String> {
        Vec::new()
    }

    async fn observe(_: &Spec, _: &Ctx<'_>, _: &Past<Self>) -> Result<Observed<()>, Unmeasured> {
        Err(Unmeasured { cause: Cause::Config, why: "plans are not run here".to_owned() })
    }

    fn judge(_: &Spec, (): &(), _: &Past<Self>, _: Timestamp) -> Judgement<Self> {
        Judgement { findings: Vec::new(), memory: (), unknown: None }
    }

    fn reproduce(spec: &Spec, _: &Scope) -> Vec<String> {
        spec.header.iter().map(|header| header.shown().to_owned()).collect()
    }
}

static KINDS: [KindEntry; 1] = [KindEntry::of::<Acting>()];

const PASSWORD: &str = "c0rrect-horse";

/// The folder of a config, and its environment.
struct World {
    folder: tempfile::TempDir,
    environment: Environment,
}

impl World {
    fn new(variables: &[(&str, &str)]) -> Self {
        let variables = variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Self { folder: tempfile::tempdir().unwrap(), environment: Environment(variables.collect()) }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn plan_of(&self, text: &str, policy: SecretPolicy, wanted: &str) -> Result<Plan, Vec<String>> {
        self.write("m.yaml", text);
        let path = self.folder.path().join("m.yaml");
        let words = Vocabulary { kinds: &["acting"], channels: &[] };
        let prefix = format!("{}/", self.folder.path().display());
        load_for_plan(&path, &words, &self.environment, policy)
            .and_then(|settings| {
                let wanted = |id: &CheckId| wanted.is_empty() || id.name() == wanted;
                build_of(&KINDS, settings, &wanted, false, SecretPolicy::Resolve).map(|(plan, ..)| plan)
            })
            .map_err(|faults| faults.iter().map(|fault| fault.to_string().replace(&prefix, "")).collect())
    }

    fn plan(&self, text: &str) -> Plan {
        self.plan_of(text, SecretPolicy::Resolve, "").map_err(|faults| format!("{faults:#?}")).unwrap()
    }

    #[track_caller]
    fn refused(&self, text: &str, expected: &[&str]) {
        let faults = self.plan_of(text, SecretPolicy::Resolve, "").map(drop).unwrap_err();
        assert_eq!(faults.len(), expected.len(), "{faults:#?}");
        for (fault, expected) in faults.iter().zip(expected) {
            assert!(fault.contains(expected), "expected {expected}\n   found {fault}");
            assert!(!fault.contains(PASSWORD), "{fault}");
        }
    }
}

fn portal(identities: &str, checks: &str) -> String {
    format!(
        "portals:\n  acme:\n    url: https://a.example\n    identities: {{{identities}}}\n    checks: {{{checks}}}\n"
    )
}

const STAFF: &str = "staff: {username: probe, password: {env: P}}";
const ONE: &str = "one: {acting: {as: staff}}";

#[test]
fn checks_that_act_as_the_same_share_it_and_know_its_secrets() {
    let world = World::new(&[("P", PASSWORD), ("T", "jbsw y3dp ehpk 3pxp")]);
    let staff = "staff: {username: probe, password: {env: P}, totp: {env: T}}";
    let plan = world
        .plan(&portal(staff, "one: {acting: {as: staff}}, two: {acting: {as: staff}}, none: {acting: {}}"));
    let [one, two, none] = plan.checks.as_slice() else { panic!("{}", plan.checks.len()) };
    let (first, second) = (one.scope.identity.as_ref().unwrap(), two.scope.identity.as_ref().unwrap());
    assert!(Arc::ptr_eq(first, second));
    assert_eq!((first.name.as_str(), first.username.as_deref()), ("staff", Some("probe")));
    for check in [one, two] {
        let said = check.masker.mask("c0rrect-horse, jbsw y3dp ehpk 3pxp, JBSWY3DPEHPK3PXP");
        assert_eq!(said, "<env:P>, <env:T>, <env:T>");
    }
    assert!(none.scope.identity.is_none() && none.masker.is_empty());
}

#[test]
fn every_way_to_sign_in_reaches_the_check() {
    let world = World::new(&[("S", PASSWORD)]);
    let identities = "api: {token: {env: S}}, \
         svc: {oauth2: {token_url: 'https://id.example/t', client_id: x, client_secret: {env: S}, scopes: [a, b]}}, \
         kept: {oauth2: {token_url: 'http://127.0.0.1:1/t', client_id: x, grant: refresh_token, refresh_token: {env: S}}}, \
         user: {username: u, password: {env: S}, oauth2: {token_url: 'https://id.example/t', client_id: x, grant: password}}";
    let checks =
        "a: {acting: {as: api}}, b: {acting: {as: svc}}, c: {acting: {as: kept}}, d: {acting: {as: user}}";
    let plan = world.plan(&portal(identities, checks));
    let identity = |index: usize| plan.checks[index].scope.identity.as_ref().unwrap();
    assert_eq!(identity(0).token.as_ref().unwrap().expose(), PASSWORD);
    let client = |index: usize| identity(index).oauth2.as_ref().unwrap();
    assert_eq!((client(1).grant, client(1).scopes.len()), (Grant::ClientCredentials, 2));
    assert_eq!(client(2).grant, Grant::RefreshToken);
    assert!(client(2).client_secret.is_none() && client(2).refresh_token.is_some());
    assert_eq!(client(3).grant, Grant::Password);
    assert!(plan.checks.iter().all(|check| check.masker.mask(PASSWORD) == "<env:S>"));
}

#[test]
fn a_name_that_no_identity_has_is_a_fault_of_the_check_with_the_way_out() {
    let world = World::new(&[("P", PASSWORD)]);
    world.refused(
        &portal(STAFF, "one: {acting: {as: staf}}"),
        &["m.yaml:5: portals.acme.checks.one.acting.as: portal acme has no identity \"staf\", did you mean \"staff\"?"],
    );
    world.refused(
        &portal(STAFF, "one: {acting: {as: administrator}}"),
        &["portal acme has no identity \"administrator\"; it has staff"],
    );
    world.refused(
        &portal("", "one: {acting: {as: staff}}"),
        &["portal acme has no identities; define one: portals.acme.identities: {"],
    );
}

#[test]
fn secrets_of_an_identity_are_needed_by_those_alone_who_use_it() {
    let world = World::new(&[("P", PASSWORD)]);
    let unset = "portals.acme.identities.other.password: the environment variable Q is not set";
    let identities = format!("{STAFF}, other: {{username: u, password: {{env: Q}}}}");
    assert_eq!(world.plan(&portal(&identities, ONE)).checks.len(), 1, "nobody uses the other");
    let both = portal(&identities, &format!("{ONE}, two: {{acting: {{as: other}}}}"));
    world.refused(&both, &[unset]);
    let lone = world.plan_of(&both, SecretPolicy::Leave, "one").map_err(|faults| format!("{faults:?}"));
    assert_eq!(lone.unwrap().checks.len(), 1);
    let faults = world.plan_of(&both, SecretPolicy::Leave, "two").map(drop).unwrap_err();
    assert!(faults.len() == 1 && faults[0].contains(unset), "{faults:?}");
}

#[test]
fn a_fault_of_an_identity_is_said_once_however_many_use_it() {
    let world = World::new(&[]);
    let checks = "one: {acting: {as: staff}}, two: {acting: {as: staff}}";
    world.refused(&portal(STAFF, checks), &["the environment variable P is not set"]);
    world.refused(
        &portal("staff: {username: u, pasword: {env: P}}", checks),
        &["portals.acme.identities.staff: unknown key \"pasword\", did you mean \"password\"?"],
    );
}

#[test]
fn a_secret_for_one_time_codes_that_is_none_is_refused_without_showing_it() {
    let world = World::new(&[("P", PASSWORD), ("T", PASSWORD)]);
    let staff = "staff: {username: probe, password: {env: P}, totp: {env: T}}";
    world.refused(&portal(staff, ONE), &["portals.acme.identities.staff.totp: the secret is no base32"]);
}

fn certificate() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    (CertificateParams::default().self_signed(&key).unwrap().pem(), key.serialize_pem())
}

#[test]
fn the_certificate_of_an_identity_replaces_the_one_of_tls_for_its_checks_alone() {
    let world = World::new(&[]);
    let ((own_cert, own_key), (cert, key)) = (certificate(), certificate());
    for (name, text) in [("own.pem", &own_cert), ("own.key", &own_key), ("c.pem", &cert), ("c.key", &key)] {
        world.write(name, text);
    }
    let text = portal(
        "device: {client: {cert: c.pem, key: {file: c.key}}}",
        "one: {acting: {as: device}}, two: {acting: {}}",
    )
    .replace("    checks", "    tls: {client: {cert: own.pem, key: own.key}}\n    checks");
    let plan = world.plan(&text);
    let shown = |index: usize| plan.checks[index].scope.tls.client.as_ref().unwrap();
    assert_eq!((&*shown(0).0, shown(0).1.expose()), (cert.as_str(), key.trim_end()));
    assert_eq!(&*shown(1).0, own_cert);
    assert!(plan.watched.iter().any(|path| path.ends_with("c.pem")), "{:?}", plan.watched);

    world.write("c.key", &own_key);
    world.refused(&text, &["portals.acme.identities.device.client: the client certificate and its key"]);
    std::fs::remove_file(world.folder.path().join("c.pem")).unwrap();
    world.refused(&text, &["portals.acme.identities.device.client.cert: cannot read"]);
}

#[test]
fn what_a_check_does_and_as_whom_is_in_its_fingerprint_and_nothing_else() {
    let print =
        |variables: &[(&str, &str)], text: &str| World::new(variables).plan(text).checks[0].fingerprint;
    let before = print(&[("P", "one-password")], &portal(STAFF, ONE));
    let same = |text: &str| print(&[("P", "one-password")], text) == before;
    assert!(same(&format!("# moved down\n{}", portal(STAFF, ONE))));
    assert!(same(&portal(STAFF, "one: {every: 5m, timeout: 5s, labels: {team: a}, acting: {as: staff}}")));
    assert!(same(&portal(&format!("{STAFF}, more: {{token: {{env: T}}}}"), ONE)), "nobody uses it");

    assert!(!same(&portal("staff: {username: other, password: {env: P}}", ONE)));
    assert!(!same(&portal(STAFF, "one: {acting: {as: staff, header: {env: P}}}")));
    assert!(!same(&portal(STAFF, ONE).replace("a.example", "b.example")));
    assert!(print(&[("P", "two-password")], &portal(STAFF, ONE)) != before, "the secret's value changed");
}

#[test]
fn an_objective_whose_checks_run_too_seldom_for_burn_rates_is_told() {
    let world = World::new(&[]);
    let warnings = |every: &str, kind: &str| {
        let checks = portal("", &format!("home: {{ every: {every}, acting: {{}} }}"));
        let objective = format!("{{ name: fast, of: 'acme/*', target: 99%, {kind} }}");
        let mut all = world.plan(&format!("{checks}objectives: [ {objective} ]\n")).warnings;
        all.retain(|warning| warning.starts_with("objectives: "));
        all
    };
    let latency = "kind: latency, threshold: 1s";
    let told = warnings("1h", latency);
    assert!(told.len() == 1 && told[0].contains("fast: objective.burn_fast cannot be found"), "{told:?}");
    assert!(warnings("1m", latency).is_empty() && warnings("12h", "kind: availability").is_empty());
}
