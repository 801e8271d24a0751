//! A strict reader of the Prometheus text format 0.0.4. Refuses what a scraper may take but a
//! correct page never holds.

use std::collections::{BTreeMap, HashMap, HashSet};

/// One sample.
#[derive(Debug, Clone)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// Reads a page, or says what is wrong with it.
pub fn parse(page: &str) -> Result<Vec<Sample>, String> {
    let mut samples = Vec::new();
    let (mut help, mut kinds, mut seen) = (HashSet::new(), HashMap::new(), HashSet::new());
    let mut last_family = String::new();
    if !page.ends_with('\n') {
        return Err("the last line has no end".into());
    }
    for line in page.lines() {
        let fault = |what: &str| format!("{what}: {line}");
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, text) = rest.split_once(' ').ok_or(fault("no help"))?;
            escapes(text, false).map_err(|why| fault(&why))?;
            if !help.insert(name.to_owned()) || name <= last_family.as_str() {
                return Err(fault("family twice or out of order"));
            }
            last_family = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or(fault("no type"))?;
            if !["counter", "gauge", "histogram"].contains(&kind) || !help.contains(name) {
                return Err(fault("type unknown or before help"));
            }
            if kind == "counter" && !name.ends_with("_total") {
                return Err(fault("a counter without _total"));
            }
            kinds.insert(name.to_owned(), kind.to_owned());
        } else {
            let sample = sample(line).map_err(|why| fault(&why))?;
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .filter_map(|suffix| sample.name.strip_suffix(suffix))
                .find(|family| kinds.get(*family).is_some_and(|kind| kind == "histogram"))
                .unwrap_or(&sample.name);
            if family != last_family || !kinds.contains_key(family) {
                return Err(fault("a sample without or outside its family"));
            }
            if !seen.insert((sample.name.clone(), sample.labels.clone())) {
                return Err(fault("equal label sets"));
            }
            samples.push(sample);
        }
    }
    Ok(samples)
}

fn is_name(name: &str, colon: bool) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colon && c == ':');
    !name.is_empty() && name.chars().all(fits) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn escapes(text: &str, quote: bool) -> Result<String, String> {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', _) => match chars.next() {
                Some('\\') => plain.push('\\'),
                Some('n') => plain.push('\n'),
                Some('"') if quote => plain.push('"'),
                other => return Err(format!("bad escape {other:?}")),
            },
            ('"', true) => return Err("bare quote".into()),
            _ => plain.push(c),
        }
    }
    Ok(plain)
}

fn sample(line: &str) -> Result<Sample, String> {
    let (head, value) = line.rsplit_once(' ').ok_or("no value")?;
    let value: f64 = value.parse().map_err(|_| "bad value")?;
    let (name, labels) = match head.split_once('{') {
        None => (head, BTreeMap::new()),
        Some((name, rest)) => (name, labels(rest)?),
    };
    if !is_name(name, true) {
        return Err("bad name".into());
    }
    Ok(Sample { name: name.to_owned(), labels, value })
}

fn labels(mut rest: &str) -> Result<BTreeMap<String, String>, String> {
    let mut labels = BTreeMap::new();
    while rest != "}" {
        let (name, quoted) = rest.split_once("=\"").ok_or("label without value")?;
        if !is_name(name, false) || name.starts_with("__") {
            return Err(format!("bad label name {name}"));
        }
        let mut escaped = false;
        let end = quoted.char_indices().find(|(_, c)| {
            let ends = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        });
        let end = end.ok_or("value without end")?.0;
        if labels.insert(name.to_owned(), escapes(&quoted[..end], true)?).is_some() {
            return Err(format!("label {name} twice"));
        }
        rest = &quoted[end + 1..];
        rest = match rest.strip_prefix(',') {
            Some(next) => next,
            None if rest == "}" => rest,
            None => return Err("no comma between labels".into()),
        };
    }
    Ok(labels)
}

#[test]
fn the_reader_refuses_what_a_scraper_would_choke_on() {
    let good = "# HELP a A.\n# TYPE a gauge\na{x=\"1\\\"\\n\\\\\"} 1\na{x=\"2\"} 1\n";
    assert_eq!(parse(good).unwrap()[0].labels["x"], "1\"\n\\");
    for bad in [
        "a 1\n",
        "# HELP a A.\na 1\n",
        "# TYPE a gauge\na 1\n",
        "# HELP a A.\n# TYPE a gauge\na{x=\"1\"} 1\na{x=\"1\"} 2\n",
        "# HELP a A.\n# TYPE a gauge\na{x=\"1\"\"} 1\n",
        "# HELP a A.\n# TYPE a gauge\na{x=\"\\t\"} 1\n",
        "# HELP a A.\n# TYPE a gauge\na{x-y=\"1\"} 1\n",
        "# HELP a A.\n# TYPE a gauge\na{x=\"1\",x=\"2\"} 1\n",
        "# HELP a A.\n# TYPE a counter\na 1\n",
        "# HELP a A.\n# TYPE a gauge\na one\n",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}
