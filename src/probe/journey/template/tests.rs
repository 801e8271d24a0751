use jiff::Timestamp;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::*;
use crate::formats::yaml;
use crate::model::Secret;

const TOTP: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn vars() -> Vars {
    let (password, totp) = (Secret::new("hunter2&more", "env:P"), Secret::new(TOTP, "env:T"));
    let identity = IdentityVars {
        username: Some("probe@acme.example"),
        password: Some(&password),
        totp: Some(&totp),
        token: None,
    };
    let mut vars = Vars::new("r-1", "2026-01-02T03:04:05Z".parse().unwrap(), identity);
    let captures = json!({
        "empty": "", "null": null, "dot": ".", "dots": "..", "query": "1?all=true", "slash": "a/b",
        "crlf": "a\r\nX: y", "nul": "a\0b", "tab": "a\tb", "number": 7, "float": 1.5, "yes": true, "no": false,
        "list": [1, "b"], "map": {"b": 1, "a": {"deep": "x"}}, "space": "a b", "html": "<a href='x'>&</a>",
        "percent": "%2e", "e": "e", "umlaut": "ü",
    });
    for (name, value) in captures.as_object().unwrap() {
        vars.set(name, value);
    }
    vars
}

fn template(text: &str) -> Template {
    Template::new(text).unwrap_or_else(|why| panic!("{text}: {why}"))
}

fn rendered(place: Place, text: &str) -> String {
    template(text).render(place, &vars()).unwrap_or_else(|why| panic!("{text}: {why}")).into_owned()
}

fn refusal(place: Place, text: &str) -> (Option<String>, Refusal) {
    match template(text).render(place, &vars()) {
        Err(RenderError::Refused { name, why, template }) => {
            assert_eq!(&*template, text);
            (name.map(Into::into), why)
        }
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_value_in_a_path_stays_one_segment() {
    for (text, expected) in [
        ("/t/{{ number }}", "/t/7"),
        ("/t/{{ query }}", "/t/1%3Fall%3Dtrue"),
        ("/t/{{ slash }}/x", "/t/a%2Fb/x"),
        ("/t/{{ space }}", "/t/a%20b"),
        ("/t/{{ percent }}", "/t/%252e"),
        ("/t/{{ umlaut }}", "/t/%C3%BC"),
        ("/t/{{ yes }}-{{ float }}", "/t/true-1.5"),
        ("{{ query }}", "1%3Fall%3Dtrue"),
        ("https://a.example/x y/{{ e }}", "https://a.example/x y/e"),
        ("/a/../{{ e }}/./b", "/a/../e/./b"),
        ("/{{ dot ~ e }}", "/.e"),
    ] {
        assert_eq!(rendered(Place::Path, text), expected, "{text}");
    }
}

#[test]
fn a_value_that_would_lead_elsewhere_is_refused_before_anything_is_sent() {
    for (text, name, why) in [
        ("/t/{{ empty }}", Some("empty"), Refusal::Empty),
        ("/t/{{ null }}", Some("null"), Refusal::Null),
        ("/t/{{ dot }}", Some("dot"), Refusal::Dots),
        ("/t/{{ dots }}/x", Some("dots"), Refusal::Dots),
        ("/t/{{ crlf }}", Some("crlf"), Refusal::Control),
        ("/t/{{ nul }}", Some("nul"), Refusal::Control),
        ("/t/{{ list }}", Some("list"), Refusal::Structured),
        ("/t/{{ map.a }}", Some("map.a"), Refusal::Structured),
        ("{{ dots }}", Some("dots"), Refusal::Dots),
        ("{{ empty }}", Some("empty"), Refusal::Empty),
        ("/t/{{ empty | trim }}", Some("empty"), Refusal::Empty),
        ("/t/{{ space | replace('a b', '') }}", None, Refusal::Empty),
        ("/t/{{ 'x' if no }}", None, Refusal::NoValue),
        ("{{ 'x' if no }}", None, Refusal::NoValue),
        // Joined with what stands beside it.
        ("/t/.{{ dot }}", Some("dot"), Refusal::Dots),
        ("/t/%2{{ e }}/x", None, Refusal::Dots),
        ("/t/%2{{ e }}.?x", None, Refusal::Dots),
        ("/t/%2{{ e }} ", None, Refusal::Dots),
        ("\\%2{{ e }}\\x", None, Refusal::Dots),
        // Kept for later before it is written.
        ("{% set a %}{{ empty }}{% endset %}/t/{{ a }}", Some("empty"), Refusal::Empty),
        ("{% set a %}.{% endset %}/t/{{ a }}", None, Refusal::Dots),
    ] {
        assert_eq!(refusal(Place::Path, text), (name.map(Into::into), why), "{text}");
    }
}

#[test]
fn a_value_that_is_kept_or_filtered_is_encoded_once() {
    let set = "{% set a %}{{ slash }}?{% endset %}/t/{{ a }}";
    assert_eq!(rendered(Place::Path, set), "/t/a%2Fb%3F");
    assert_eq!(rendered(Place::Path, "/t/{% filter upper %}{{ slash }}{% endfilter %}"), "/t/A%2FB");
    assert_eq!(rendered(Place::Path, "/t/{{ slash | safe }}"), "/t/a%2Fb");
    assert_eq!(rendered(Place::Path, "/t/{% for x in list %}{{ x }}/{% endfor %}"), "/t/1/b/");
}

#[test]
fn a_query_takes_an_empty_value_and_no_null() {
    for (place, text, expected) in [
        (Place::Path, "/t?q={{ query }}&r={{ empty }}", "/t?q=1%3Fall%3Dtrue&r="),
        (Place::Path, "/t/{{ slash }}?q={{ slash }}/{{ dots }}", "/t/a%2Fb?q=a%2Fb/.."),
        (Place::Path, "{% if yes %}/t?{% endif %}q={{ empty }}", "/t?q="),
        (Place::Query, "{{ query }}", "1%3Fall%3Dtrue"),
        (Place::Query, "a=1&b={{ crlf }}", "a=1&b=a%0D%0AX%3A%20y"),
        (Place::Query, "{{ empty }}", ""),
    ] {
        assert_eq!(rendered(place, text), expected, "{text}");
    }
    assert_eq!(refusal(Place::Path, "/t?q={{ null }}"), (Some("null".into()), Refusal::Null));
    assert_eq!(refusal(Place::Query, "{{ null }}"), (Some("null".into()), Refusal::Null));
    assert_eq!(refusal(Place::Query, "{{ map }}"), (Some("map".into()), Refusal::Structured));
    assert_eq!(refusal(Place::Path, "/{{ empty }}?q={{ e }}"), (Some("empty".into()), Refusal::Empty));
}

#[test]
fn a_value_cannot_add_a_header() {
    assert_eq!(rendered(Place::Header, "Bearer {{ slash }}"), "Bearer a/b");
    assert_eq!(rendered(Place::Header, "{{ tab }}"), "a\tb");
    assert_eq!(rendered(Place::Header, "x{{ empty }}"), "x");
    for (text, name) in [
        ("Bearer {{ crlf }}", Some("crlf")),
        ("{{ crlf }}", Some("crlf")),
        ("{{ nul }}", Some("nul")),
        ("{{ e }}\r\nX: y", None),
        ("a\nb", None),
    ] {
        assert_eq!(refusal(Place::Header, text), (name.map(Into::into), Refusal::Control), "{text}");
    }
}

#[test]
fn a_text_is_left_as_it_is() {
    for (text, expected) in [
        ("{{ html }} {{ crlf }}", "<a href='x'>&</a> a\r\nX: y"),
        ("{{ html }}", "<a href='x'>&</a>"),
        ("a {{ empty }}b\n", "a b\n"),
        ("plain } text {\n", "plain } text {\n"),
        ("{{ run.id }} {{ run.started }}", "r-1 2026-01-02T03:04:05Z"),
        ("{{ identity.username }}:{{ identity.password }}", "probe@acme.example:hunter2&more"),
        ("{{ missing | default('x') }}", "x"),
        ("{% if missing is defined %}a{% else %}b{% endif %}", "b"),
        ("{# nothing #}x", "x"),
    ] {
        assert_eq!(rendered(Place::Text, text), expected, "{text}");
    }
    assert_eq!(refusal(Place::Text, "x {{ list }}"), (Some("list".into()), Refusal::Structured));
    assert_eq!(refusal(Place::Text, "x {{ null }}"), (Some("null".into()), Refusal::Null));
}

#[test]
fn names_need_no_engine_and_mean_the_same_without_it() {
    for text in ["/t/{{ number }}", "{{run.id}}", "a{{\nmap.a.deep\t}}b\n", "}} {{ e }} }}", "{ {{ e }}}"] {
        let template = template(text);
        assert!(matches!(template.0, Body::Names { .. }), "{text}");
        let program = Program::new(text).unwrap();
        assert_eq!(template.variables(), program.variables(), "{text}");
        for place in [Place::Path, Place::Query, Place::Header, Place::Text] {
            let mut sheet = Sheet::new(place, 0);
            let of_program = program.write(&mut sheet, &vars()).map(|()| sheet.finish().unwrap());
            assert_eq!(template.render(place, &vars()).ok().as_deref(), of_program.ok().as_deref(), "{text}");
        }
    }
    for text in [
        "{{ now() }}",
        "{{- e }}",
        "{{ true }}",
        "{{ e -}}",
        "{{ a | trim }}",
        "{# x #}",
        "{{ a }}{% if e %}{% endif %}",
    ] {
        assert!(matches!(template(text).0, Body::Program(_)), "{text}");
    }
}

#[test]
fn what_is_not_there_is_named() {
    for (text, name) in [
        ("/t/{{ ticket }}", "ticket"),
        ("{{ ticket }}", "ticket"),
        ("{{ ticket.id }}", "ticket.id"),
        ("x {{ map.nothing }}", "map.nothing"),
        ("{{ map.nothing }}", "map.nothing"),
        ("{{ identity.token }}", "identity.token"),
        ("x {{ identity.token | base64 }}", "identity.token"),
        ("x {{ ticket | json }}", "ticket"),
        ("{{ totp(identity.topt) }}", "identity.topt"),
        ("{{ repeat.index }}", "repeat.index"),
        ("x{{ e }}{{ item }}", "item"),
        ("{% for x in list %}{{ x.y }}{% endfor %}", "x.y"),
        ("{% if ticket %}a{% endif %}", "ticket"),
        ("{% if ticket is defined %}a{% endif %}{% for x in list %}{{ x.y }}{% endfor %}", "x.y"),
        ("{{ e }}{{ ma }}", "ma"),
    ] {
        match template(text).render(Place::Text, &vars()) {
            Err(RenderError::Undefined { name: named, template }) => {
                assert_eq!((&*named, &*template), (name, text));
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn the_variables_of_a_template_are_known_before_it_runs() {
    let of = |text: &str| template(text).variables().into_iter().collect::<Vec<_>>();
    assert_eq!(of("{{ csrf }}"), ["csrf"]);
    assert_eq!(
        of("/{{ a }}/{{ identity.password | base64 }}?{{ run.id }}"),
        ["a", "identity.password", "run.id"]
    );
    assert_eq!(of("{{ totp(identity.totp) }}{{ uuid() }}{{ now() }}"), ["identity.totp"]);
    assert_eq!(of("{% for x in items %}{{ x }}{{ loop.index }}{% endfor %}"), ["items"]);
    assert_eq!(of("plain"), [""; 0]);
    assert_eq!(of("{{ nonsense() }}"), ["nonsense"]);
    let condition = Expression::new("ticket is defined and repeat.index < 3").unwrap();
    assert_eq!(condition.variables().into_iter().collect::<Vec<_>>(), ["repeat.index", "ticket"]);
}

#[test]
fn a_lone_variable_keeps_its_type() {
    for (text, expected) in [
        ("{{ number }}", json!(7)),
        ("{{ float }}", json!(1.5)),
        ("{{ yes }}", json!(true)),
        ("{{ null }}", json!(null)),
        ("{{ list }}", json!([1, "b"])),
        ("{{- map -}}", json!({"b": 1, "a": {"deep": "x"}})),
        ("{{ e }}", json!("e")),
        ("{{ number + 1 }}", json!(8)),
        ("{{ number }}{{ number }}", json!("77")),
        ("n {{ number }}", json!("n 7")),
        ("{{ '}}{{' }}", json!("}}{{")),
        ("7", json!("7")),
    ] {
        let value = template(text).value(&vars()).unwrap();
        assert_eq!(value, expected, "{text}");
        assert_eq!(value.to_string(), expected.to_string(), "{text}: the order of keys");
    }
    assert!(matches!(template("{{ ticket }}").value(&vars()), Err(RenderError::Undefined { .. })));
    assert!(matches!(template("a {{ list }}").value(&vars()), Err(RenderError::Refused { .. })));
}

#[derive(Debug, Deserialize)]
struct Config {
    text: Template,
    #[serde(default)]
    json: Option<JsonTemplate>,
    #[serde(default)]
    when: Option<Expression>,
}

fn faults(text: &str) -> Vec<String> {
    yaml::from_str::<Config>("m.yaml", text).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn a_document_keeps_its_shape() {
    let text = "text: 5\nwhen: true\njson: { z: '{{ number }}', a: [1, 'x {{ e }}', null, 1.5], '{{ e }}': plain, n: { m: 1 } }";
    let config: Config = yaml::from_str("m.yaml", text).unwrap();
    let document = config.json.unwrap();
    let expected = json!({ "z": 7, "a": [1, "x e", null, 1.5], "{{ e }}": "plain", "n": { "m": 1 } });
    let value = document.render(&vars()).unwrap();
    assert_eq!(value.to_string(), expected.to_string());
    assert_eq!(document.variables().into_iter().collect::<Vec<_>>(), ["e", "number"]);
    assert_eq!(document.source()["a"][1], "x {{ e }}");
    assert!(document.as_plain().is_none());
    assert_eq!(config.text.source(), "5");
    assert!(config.text.is_plain());
    assert!(config.when.unwrap().holds(&vars()).unwrap());
    let plain: Config = yaml::from_str("m.yaml", "text: a\njson: { a: [1, { b: c }] }").unwrap();
    assert_eq!(plain.json.unwrap().as_plain(), Some(&json!({ "a": [1, { "b": "c" }] })));
}

#[test]
fn a_fault_in_a_template_stands_at_its_key() {
    let text = "text: '/t/{{ a'\nwhen: '{{ a }}'\njson:\n  a:\n    - '{{ a | nofilter }}'";
    insta::assert_snapshot!(faults(text).join("\n"));
}

#[test]
fn a_fault_in_several_lines_says_which() {
    let why = |text: &str| Template::new(text).unwrap_err();
    let all = [
        why("one\ntwo {{ a b }}\nthree"),
        why("{{ a +"),
        why("{% include 'x' %}"),
        why("{% import 'x' as y %}"),
        why("{% extends 'x' %}"),
        why("{% macro x() %}{% endmacro %}"),
        why("{{ a | nofilter('|x') }}"),
        why("{% if a is not notest %}{% endif %}"),
        Expression::new("a ==").unwrap_err(),
        Expression::new("a | nofilter").unwrap_err(),
        Expression::new(" ").unwrap_err(),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn a_known_filter_is_not_taken_for_an_unknown_one() {
    for text in [
        "{{ 'a | nofilter' }}",
        "{{ \"\\\" | nofilter\" }}",
        "a | nofilter {{ e }} | nofilter",
        "{% raw %}{{ a | nofilter }}{% endraw %}",
        "{# {{ a | nofilter }} #}",
        "{{ e | upper | trim | base64 | urlencode | json | tojson }}",
        "{% if e is not none and e is string and e is not in list %}{% endif %}",
        "{{ e | default('is nothing') }}",
        "{{ this is defined }}",
    ] {
        template(text);
    }
    assert!(Expression::new("'is nofilter' == e").is_ok());
}

#[test]
fn conditions_are_strict_too() {
    let holds = |text: &str| Expression::new(text).unwrap().holds(&vars());
    assert_eq!(holds("e is defined"), Ok(true));
    assert_eq!(holds("ticket is defined"), Ok(false));
    assert_eq!(holds("number > 3 and yes"), Ok(true));
    assert_eq!(holds("empty"), Ok(false));
    assert_eq!(holds("null"), Ok(false));
    assert_eq!(
        holds("ticket"),
        Err(RenderError::Undefined { template: "ticket".into(), name: "ticket".into() })
    );
    assert_eq!(
        holds("map.x == 1"),
        Err(RenderError::Undefined { template: "map.x == 1".into(), name: "map.x".into() })
    );
}

#[test]
fn templates_are_shared_by_all_runs() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Template>();
    shared::<Expression>();
    shared::<JsonTemplate>();
    shared::<Vars>();
    shared::<RenderError>();
}

#[test]
fn captures_come_and_go() {
    let mut vars = vars();
    let earlier = vars.clone();
    assert!(!vars.has("ticket") && !vars.has("repeat.index") && !vars.has("item.id"));
    vars.set("ticket", &json!(5));
    vars.set_repeat(2);
    vars.set_item(&json!({ "id": 9 }));
    let text = template("{{ ticket }}-{{ repeat.index }}-{{ item.id }}");
    assert_eq!(text.render(Place::Text, &vars).unwrap(), "5-2-9");
    assert!(vars.has("ticket") && vars.has("null") && vars.has("identity.password"));
    assert!(!vars.has("identity.token") && !vars.has("ticket.id"));
    vars.unset("ticket");
    assert!(!vars.has("ticket"));
    assert!(!earlier.has("item"), "a copy is not changed along");
}

#[test]
fn a_capture_cannot_take_a_name_that_means_something() {
    for name in ["ticket", "_x", "a1", "number"] {
        assert_eq!(check_name(name), Ok(()));
    }
    for name in
        ["", "1a", "a-b", "a.b", "ü", "identity", "run", "item", "repeat", "totp", "not", "loop", "range"]
    {
        assert!(check_name(name).is_err(), "{name}");
    }
}

#[test]
fn functions_and_filters_do_what_they_say() {
    for (text, expected) in [
        ("{{ e | base64 }}", "ZQ=="),
        ("{{ (identity.username ~ ':' ~ number) | base64 }}", "cHJvYmVAYWNtZS5leGFtcGxlOjc="),
        ("{{ query | urlencode }}", "1%3Fall%3Dtrue"),
        ("{{ html | json }}", "\"<a href='x'>&</a>\""),
        ("{{ map | json }}", "{\"b\":1,\"a\":{\"deep\":\"x\"}}"),
        ("{{ null | json }} {{ list | tojson }}", "null [1,\"b\"]"),
        ("{{ now() }}", "2026-01-02T03:04:05Z"),
        ("{{ now('%Y/%m') }}", "2026/01"),
        ("{{ list | join('+') }}", "1+b"),
    ] {
        assert_eq!(rendered(Place::Text, text), expected, "{text}");
    }
    let mut later = vars();
    later.set_time("2026-02-03T00:00:00.5Z".parse().unwrap());
    assert_eq!(template("{{ now() }}").render(Place::Text, &later).unwrap(), "2026-02-03T00:00:00Z");
    assert_eq!(template("{{ run.started }}").render(Place::Text, &later).unwrap(), "2026-01-02T03:04:05Z");
}

#[test]
fn every_uuid_is_another_and_of_version_4() {
    let text = rendered(Place::Text, "{{ uuid() }} {{ uuid() }}");
    let (one, other) = text.split_once(' ').unwrap();
    assert_ne!(one, other);
    let pattern =
        regex::Regex::new("^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$").unwrap();
    assert!(pattern.is_match(one) && pattern.is_match(other), "{text}");
}

#[test]
fn one_time_codes_are_those_of_rfc_6238_appendix_b() {
    // Its secret is the ASCII text 12345678901234567890; of its eight digits the last six.
    for (seconds, expected) in [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ] {
        let mut vars = vars();
        let at = Timestamp::from_second(seconds).unwrap();
        vars.set_time(at);
        assert_eq!(template("{{ totp(identity.totp) }}").render(Place::Text, &vars).unwrap(), expected);
        for spelt in ["gezd gnbv gy3t qojq gezd gnbv gy3t qojq", "GEZDGNBV-GY3TQOJQ-GEZDGNBV-GY3TQOJQ==="] {
            vars.set("spelt", &json!(spelt));
            assert_eq!(template("{{ totp(spelt) }}").render(Place::Text, &vars).unwrap(), expected);
        }
    }
    assert_eq!(totp_step(Timestamp::from_second(59).unwrap()), 1);
    assert_eq!(totp_step(Timestamp::from_second(60).unwrap()), 2);
}

#[test]
fn a_totp_secret_that_is_no_base32_is_told_without_showing_it() {
    for secret in ["", "  ", "0189", "MZXW6YTB1", "MZXW6Y", "pass=word", "MZXW6YTBÜ", "====", "A"] {
        let mut vars = vars();
        vars.set("wrong", &json!(secret));
        let error = template("{{ totp(wrong) }}").render(Place::Text, &vars).unwrap_err();
        assert!(matches!(&error, RenderError::Other { why, .. } if why.contains("no base32")), "{error}");
        assert!(secret.trim().len() < 4 || !format!("{error} {error:?}").contains(secret));
    }
    for secret in ["MZXW6===", "mzxw 6", "MZXW6YTBOI======", TOTP] {
        let mut vars = vars();
        vars.set("right", &json!(secret));
        assert!(template("{{ totp(right) }}").render(Place::Text, &vars).is_ok(), "{secret}");
    }
}

#[test]
fn no_template_can_hang_or_eat_the_memory() {
    for text in [
        "{% for i in range(1000000000) %}x{% endfor %}",
        "{% for i in range(90000) %}x{% endfor %}",
        "x{{ 'x' * 1000000000 }}",
        "{{ 'x' * 1000000000 }}",
        "x{{ range(100000) | list | json }}",
        "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}",
        "{% set x = 'xxxxxxxxxxxxxxxx' * 1000 %}{{ x * 1000 }}",
        "{% for i in [[1]] recursive %}{{ loop([i]) }}{% endfor %}",
    ] {
        let error = template(text).render(Place::Text, &vars()).unwrap_err();
        assert!(!matches!(error, RenderError::Undefined { .. }), "{text}: {error}");
    }
    let mut vars = vars();
    vars.set("big", &json!("x".repeat(LARGEST)));
    for text in [
        "{{ ([big] * 1000) | json | length }}",
        "{{ [big] * 1000 }}",
        "{{ ([[big] * 1000] * 1000) }}",
        "{{ '%1000000000d' | format(1) }}",
        "{{ 'x' | indent(1000000000) }}",
        "{{ big | replace('x', big) }}",
        "{{ [1] | batch(1000000000, 'x') | list }}",
        "{{ now('%255d' * 1000) }}",
        "{{ big | base64 | base64 | base64 }}",
    ] {
        assert!(template(text).value(&vars).is_err(), "{text}");
    }
    assert_eq!(template("{{ big }}").render(Place::Text, &vars).unwrap().len(), LARGEST);
    let over = template("{{ big }}x").render(Place::Text, &vars).unwrap_err();
    assert!(matches!(over, RenderError::Refused { why: Refusal::TooLarge, .. }), "{over}");
    let encoded = template("/{{ big }}%{{ big }}").render(Place::Path, &vars).unwrap_err();
    assert!(matches!(encoded, RenderError::Refused { why: Refusal::TooLarge, .. }), "{encoded}");
}

#[test]
fn an_expression_cannot_be_too_deep_to_read() {
    for (before, more, after) in [
        ("{{ e", "+e", " }}"),
        ("{{ e", "|trim", " }}"),
        ("{{ e", ".e", "() }}"),
        ("{{ e", "[0]", " }}"),
        ("{{ not", " not", " e }}"),
        ("{{ {1: {}} ~ e", "~e", " }}"),
        ("{{ ", "(", " }}"),
        ("", "{% if e %}", ""),
        ("", "{% for x in e %}", ""),
        ("{{ e | trim }}", "{% if e %}{% else %}", "x"),
    ] {
        for times in [150, 400, 50_000] {
            let text = format!("{before}{}{after}", more.repeat(times));
            let read = Template::new(&text);
            assert!(read.is_err() || times < 50_000, "{before}{more}");
            if let Ok(template) = read {
                let _ = template.render(Place::Text, &vars());
                template.variables();
            }
        }
    }
    assert!(Expression::new(&format!("e{}", "+e".repeat(50_000))).is_err());
}

#[test]
fn a_template_reaches_nothing_but_its_variables() {
    for text in ["{{ debug() }}", "{{ namespace() }}", "{{ lipsum() }}", "{{ env('PATH') }}", "{{ self }}"] {
        let error = template(text).render(Place::Text, &vars()).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

/// Every way to fail, with a secret and a capture within reach.
const FAILING: &[&str] = &[
    "{{ identity.password + 1 }}",
    "x {{ identity.password + 1 }}",
    "{{ identity.password | int }}",
    "x {{ identity.password | float }}",
    "{{ identity.password.x }}",
    "{{ identity[identity.password] }}",
    "x{{ map[identity.password] }}",
    "{{ identity.password() }}",
    "{{ identity.password.strip() }}",
    "{{ totp(identity.password) }}",
    "{{ totp(identity.password, 1) }}",
    "{{ totp(secret=identity.password) }}",
    "{{ now(identity.password * 100) }}",
    "{{ identity }}",
    "x {{ identity }}",
    "{{ identity | base64 }}",
    "{{ identity | round }}",
    "{{ identity.password | round }}",
    "{{ identity.password | sum }}",
    "{{ identity.password | batch('x') }}",
    "{{ identity.password | attr(planted) }}",
    "{{ [identity.password] | map(planted) }}",
    "{{ [identity.password] | map('nofilter') | list }}",
    "{{ [identity.password] | sort(attribute=planted) | map('x') | list }}",
    "{{ [planted, identity.password] | select(planted) | list }}",
    "{% for x in number %}{{ identity.password }}{% endfor %}",
    "{% for x in identity.password %}{{ x.y }}{% endfor %}",
    "{% set a, b = identity.password %}",
    "{{ identity.password in number }}",
    "{{ -planted }}",
    "{{ planted // identity.password }}",
    "{{ planted[1:identity.password] }}",
    "{{ planted is divisibleby(identity.password) }}",
    "{{ planted | format(identity.password) }}",
    "{{ '%d' | format(identity.password) }}",
    "{{ dict(identity.password) }}",
    "{{ range(planted) }}",
    "{{ identity.password | replace }}",
    "{{ identity.password | indent(planted) }}",
    "{{ planted * 9999999 }}",
    "{{ missing }}",
    "x{{ identity.missing }}",
];

#[test]
fn no_error_shows_a_value_in_any_form() {
    let mut vars = vars();
    vars.set("planted", &json!("planted-capture"));
    vars.set("lines", &json!("planted-capture\r\n"));
    let mut failed = 0;
    let mut texts = vec![format!("{vars:?} {vars:#?}")];
    let header = template("a {{ lines }}").render(Place::Header, &vars).unwrap_err();
    texts.push(format!("{header} {header:#} {header:?} {header:#?}"));
    for text in FAILING {
        let template = template(text);
        for error in
            [template.render(Place::Path, &vars).err(), template.value(&vars).err()].into_iter().flatten()
        {
            failed += 1;
            texts.push(format!("{error} {error:#} {error:?} {error:#?} {template:?}"));
            let source = std::error::Error::source(&error).map(ToString::to_string);
            assert_eq!(source, None, "{text}");
        }
    }
    assert!(failed > FAILING.len(), "only {failed} of them fail");
    for text in texts {
        for value in ["hunter2", "planted-capture", TOTP, "probe@acme", "&more"] {
            assert!(!text.contains(value), "{text}");
        }
    }
}

#[test]
fn a_long_body_does_not_fill_a_message() {
    let body = format!("{}{{{{ ticket }}}}", "ä".repeat(10_000));
    let error = template(&body).render(Place::Text, &vars()).unwrap_err();
    assert!(error.to_string().len() < 500 && error.to_string().contains("ticket is not there"), "{error}");
}

#[test]
fn an_error_reads_well() {
    let say = |place, text: &str| template(text).render(place, &vars()).unwrap_err().to_string();
    let all = [
        say(Place::Path, "/t/{{ ticket }}"),
        say(Place::Text, "{{ identity.token }}"),
        say(Place::Path, "/t/{{ empty }}"),
        say(Place::Path, "/t/{{ dots }}"),
        say(Place::Path, "/t/%2{{ e }}"),
        say(Place::Path, "/t/{{ null }}"),
        say(Place::Header, "a {{ crlf }}"),
        say(Place::Text, "a {{ map }}"),
        say(Place::Text, "{{ 'x' if no }}"),
        say(Place::Text, "{{ totp(e) }}"),
        say(Place::Text, "{{ number + identity.password }} a"),
        say(Place::Text, "{% for i in range(90000) %}x{% endfor %}"),
        say(Place::Text, "{{ nothing(e) }}"),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

/// Templates in which a value could do harm, each with a harmless value's form of it.
const ADDRESSES: &[&str] = &[
    "/a/{{ v }}/b?q={{ v }}&r=1",
    "/{{ v }}",
    "/a/.{{ v }}/b",
    "/a/{{ v }}.",
    "/a/%2{{ v }}/b?x",
    "/a/%{{ v }}",
    "/a;{{ v }}/{{ v }}{{ v }}",
    "https://other.example/{{ v }}?{{ v }}={{ v }}#x",
    "/a/{% if v %}{{ v }}{% endif %}?q={{ v }}",
    "/{% set w %}{{ v }}{% endset %}{{ w }}/x",
];

fn parsed(text: &str, value: &str) -> Result<Url, RenderError> {
    let mut vars = vars();
    vars.set("v", &json!(value));
    let address = template(text).render(Place::Path, &vars)?.into_owned();
    Ok(Url::parse("https://portal.example/").unwrap().join(&address).unwrap())
}

proptest! {
    #[test]
    fn no_value_changes_what_a_request_means(
        value in prop_oneof!["[./\\\\%?#&=;:@2eE ]{0,6}", any::<String>(), "\\PC{0,12}"],
    ) {
        for text in ADDRESSES {
            let Ok(url) = parsed(text, &value) else { continue };
            let harmless = parsed(text, "x").unwrap();
            prop_assert_eq!(url.origin(), harmless.origin());
            prop_assert_eq!(
                url.path_segments().unwrap().count(),
                harmless.path_segments().unwrap().count(),
                "{} with {:?}: {}", text, value, url
            );
            prop_assert_eq!(url.query_pairs().count(), harmless.query_pairs().count(), "{} {:?}", text, value);
            prop_assert_eq!(url.fragment(), harmless.fragment());
            if text.contains("q={{ v }}") {
                let (_, sent) = url.query_pairs().find(|(key, _)| key == "q").unwrap();
                prop_assert_eq!(sent, value.as_str());
            }
        }
    }

    #[test]
    fn the_short_way_and_the_engine_agree(
        pieces in prop::collection::vec(
            prop_oneof!["[{}%#-]{0,3}", "[\\r\\n e/.]{0,3}", Just("{{ e }}".to_owned()), Just("{{run.id}}".to_owned())],
            0..8,
        ),
    ) {
        let text = pieces.concat();
        if parts::parts(&text).is_some() {
            let program = Program::new(&text).unwrap();
            let mut sheet = Sheet::new(Place::Text, 0);
            program.write(&mut sheet, &vars()).unwrap();
            let template = template(&text);
            prop_assert_eq!(template.render(Place::Text, &vars()).unwrap(), sheet.finish().unwrap());
            prop_assert_eq!(template.variables(), program.variables());
        }
    }

    #[test]
    fn no_text_makes_the_compiler_panic(text in "[{}%#|a-z'\" .()\\[\\]\\\\]{0,40}|\\PC{0,20}") {
        if let Ok(template) = Template::new(&text) {
            let _ = template.render(Place::Path, &vars());
            let _ = template.value(&vars());
            template.variables();
        }
        if let Ok(expression) = Expression::new(&text) {
            let _ = expression.holds(&vars());
        }
    }
}
