//! The forms and meta tags of a recorded page. A recording is no hostile page and the result is a
//! draft for a person, so that tags are scanned without building a tree.

/// One form of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    pub id: Option<String>,
    pub name: Option<String>,
    pub action: Option<String>,
    pub inputs: Vec<Input>,
}

/// One field of a form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    pub name: String,
    /// In lower case; `select` and `textarea` are kinds too.
    pub kind: String,
    pub value: String,
}

/// What a page holds. Fields outside of any form stand in the first form, which has no attributes.
#[derive(Debug, Default)]
pub struct Page {
    pub forms: Vec<Form>,
    /// `name` and `content`.
    pub metas: Vec<(String, String)>,
}

impl Form {
    /// Whether a password is typed here.
    pub fn has_password(&self) -> bool {
        self.inputs.iter().any(|input| input.kind == "password")
    }

    pub fn input(&self, name: &str) -> Option<&Input> {
        self.inputs.iter().find(|input| input.name == name)
    }
}

/// Scans a page.
pub fn scan(text: &str) -> Page {
    let mut page = Page { forms: vec![Form::default()], metas: Vec::new() };
    let mut current = 0;
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '/').unwrap_or(rest.len());
        let (tag, after) = rest.split_at(end);
        match tag.to_ascii_lowercase().as_str() {
            "script" | "style" => rest = past_end(after, tag),
            "/form" => current = 0,
            "form" => {
                let (found, after) = attributes(after);
                page.forms.push(Form {
                    id: get(&found, "id"),
                    name: get(&found, "name"),
                    action: get(&found, "action"),
                    inputs: Vec::new(),
                });
                current = page.forms.len() - 1;
                rest = after;
            }
            "meta" => {
                let (found, after) = attributes(after);
                if let (Some(name), Some(content)) = (get(&found, "name"), get(&found, "content")) {
                    page.metas.push((name, content));
                }
                rest = after;
            }
            kind @ ("input" | "select" | "textarea" | "button") => {
                let (found, after) = attributes(after);
                if let (Some(input), Some(form)) = (input(kind, &found), page.forms.get_mut(current)) {
                    form.inputs.push(input);
                }
                rest = after;
            }
            _ => rest = after,
        }
    }
    page
}

fn input(tag: &str, found: &[(String, String)]) -> Option<Input> {
    let name = get(found, "name").filter(|name| !name.is_empty())?;
    let kind = if tag == "input" {
        get(found, "type").unwrap_or_else(|| "text".to_owned()).to_ascii_lowercase()
    } else {
        tag.to_owned()
    };
    Some(Input { name, kind, value: get(found, "value").unwrap_or_default() })
}

fn get(found: &[(String, String)], name: &str) -> Option<String> {
    found.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
}

/// What follows the end tag of an element whose content is no markup.
fn past_end<'a>(text: &'a str, tag: &str) -> &'a str {
    let ends = text.match_indices("</").map(|(at, _)| at);
    let end = ends
        .filter_map(|at| text.get(at..))
        .find(|end| end.get(2..2 + tag.len()).is_some_and(|name| name.eq_ignore_ascii_case(tag)));
    end.unwrap_or("")
}

/// The attributes of a tag, and what follows it.
fn attributes(text: &str) -> (Vec<(String, String)>, &str) {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if let Some(after) = rest.strip_prefix('>') {
            return (found, after);
        }
        let end = rest
            .find(|c: char| c.is_ascii_whitespace() || matches!(c, '=' | '>' | '/'))
            .unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if name.is_empty() {
            // A stray `=`, or the end of the page.
            let mut chars = rest.chars();
            if chars.next().is_none() {
                return (found, "");
            }
            rest = chars.as_str();
            continue;
        }
        let (value, after) = match after.trim_start().strip_prefix('=') {
            Some(after) => value(after.trim_start()),
            None => ("", after),
        };
        found.push((name.to_ascii_lowercase(), unescape(value)));
        rest = after;
    }
}

fn value(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote) {
            return inner.split_once(quote).unwrap_or((inner, ""));
        }
    }
    let end = text.find(|c: char| c.is_ascii_whitespace() || c == '>').unwrap_or(text.len());
    text.split_at(end)
}

/// The character references that servers write into attributes.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let known = after.split_once(';').and_then(|(name, after)| Some((reference(name)?, after)));
        match known {
            Some((c, after)) => {
                plain.push(c);
                rest = after;
            }
            None => {
                plain.push('&');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

fn reference(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code);
    }
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_whatever_the_quotes_the_case_and_the_references() {
        let page = scan(
            "<!-- <form id=no> --><script>'<input name=no>'</script><META content='a&#43;b&amp;c' NAME=csrf-token>
             <input name=loose value=1>
             <Form id=login action='/in?a=1&amp;b=2'><input type=HIDDEN name=t value='x&#x2F;&quot;&bogus;'>
             <input name=user><input type=password name=pw required/><select name=s></select></form><input name=late>",
        );
        assert_eq!(page.metas, [("csrf-token".to_owned(), "a+b&c".to_owned())]);
        let names = |form: &Form| form.inputs.iter().map(|input| input.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&page.forms[0]), ["loose", "late"]);
        let login = &page.forms[1];
        assert_eq!((login.id.as_deref(), login.action.as_deref()), (Some("login"), Some("/in?a=1&b=2")));
        assert_eq!(names(login), ["t", "user", "pw", "s"]);
        assert_eq!(
            login.inputs[0],
            Input { name: "t".into(), kind: "hidden".into(), value: "x/\"&bogus;".into() }
        );
        assert!(login.has_password() && !page.forms[0].has_password());
    }

    #[test]
    fn half_a_page_ends() {
        for text in
            ["<", "<form", "<input name=", "<input name='a", "<form = = >", "<!--", "<script>", "<é ä=ö"]
        {
            let _ = scan(text);
        }
        assert_eq!(scan("<input name='a").forms[0].inputs[0].name, "a");
    }
}
